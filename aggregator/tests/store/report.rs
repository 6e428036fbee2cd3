//! What all pairs add up to over a period is what the windows say.

use crate::common::{T0, block};
use crate::rungs::Place;
use crate::world::{World, any_window, records, roll_up_all, take_lease};
use aggregator_core::report::{PairSums, Period};
use aggregator_core::rollup::{Bucket, Level, floor};
use everypath_protocol::id::{AgentId, mix64};
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{ProbeKind, Window};
use std::collections::BTreeMap;

const DAY: Span = Span::seconds(86_400);

fn period(days: u64) -> Period {
    let to = floor(T0.minus(Span::micros(1)), DAY).plus(DAY);
    Period::new(to.minus(Span(days * DAY.0)), to, to).expect("in the past")
}

fn is_in(period: Period, time: UnixTime) -> bool {
    period.from <= time && time < period.to
}

pub(crate) async fn a_report_adds_up_what_was_measured(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let agents: Vec<_> = (1..=4).map(|number| world.agent(number)).collect();
    let stranger = AgentId([77; 32]);
    let mut all: Vec<(AgentId, Window)> = Vec::new();
    for (source, seed) in agents.iter().zip(1_u64..) {
        let others = agents.iter().map(|agent| agent.id()).filter(|id| *id != source.id()).chain([stranger]);
        let windows: Vec<Window> = others
            .flat_map(|target| (0..30).map(move |number| (target, number)))
            .map(|(target, number)| {
                let draw = mix64(seed << 32 | u64::from(target.0[0]) << 16 | number);
                let mut window = any_window(draw, target, Span::seconds(900));
                // Some of today, some of last week, some long before.
                window.start = window.start.minus(Span((draw % 3) * (draw % 40) * DAY.0));
                window
            })
            .collect();
        for (part, first) in windows.chunks(60).zip((1..).step_by(60)) {
            store.ingest(world.batch(source, vec![block(1, first, records(part))])).await.expect("in order");
        }
        all.extend(windows.into_iter().map(|window| (source.id(), window)));
    }
    let lease = take_lease(&store, 1).await;
    roll_up_all(&store, lease).await;
    for (days, level) in [(1, Level::Hour), (30, Level::Day)] {
        let period = period(days);
        assert_eq!(period.level, level);
        let rows = store.report(period).await.expect("readable");
        assert_eq!(
            rows.members.iter().map(|member| member.id).collect::<Vec<_>>(),
            agents.iter().map(|a| a.id()).collect::<Vec<_>>()
        );
        assert!(rows.members.iter().all(|member| member.site == "alpha" && member.name.starts_with('a')));
        let number = |id: AgentId| rows.members.iter().find(|member| member.id == id).map(|member| member.number);
        let mut expected: BTreeMap<(u32, u32), PairSums> = BTreeMap::new();
        for (source, window) in all.iter().filter(|(_, window)| is_in(period, window.start)) {
            let (Some(source), Some(target)) = (number(*source), number(window.target)) else { continue };
            let sums = expected.entry((source, target));
            sums.or_insert_with(|| PairSums::none(source, target, ProbeKind::Icmp)).add(&Bucket::of(window));
        }
        // Of pairs with a stranger nothing is promised; a report passes them over.
        let is_known = |number: u32| rows.members.iter().any(|member| member.number == number);
        let found: BTreeMap<_, _> = rows
            .sums
            .iter()
            .filter(|sums| is_known(sums.source) && is_known(sums.target))
            .map(|sums| ((sums.source, sums.target), *sums))
            .collect();
        assert_eq!(found, expected, "{days} days");
        assert!(found.len() > 6, "{found:?}");
    }
    store.close().await;
}
