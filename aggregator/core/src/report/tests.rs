use super::*;
use crate::rollup::Level;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use everypath_protocol::id::{AgentId, mix64};
use everypath_protocol::time::UnixTime;

const DAY_US: i64 = 86_400_000_000;
/// A beginning of a day.
const T0: UnixTime = UnixTime(20_000 * DAY_US);
const DAY: Span = Span::seconds(86_400);

fn member(number: u32, site: &str) -> Member {
    let key = [u8::try_from(number).expect("few"); 32];
    Member { number, id: AgentId(key), name: format!("{site}-{number}"), site: site.into() }
}

fn sums(source: u32, target: u32, [span, down, unknown]: [u64; 3]) -> PairSums {
    let none = PairSums::none(source, target, ProbeKind::Icmp);
    PairSums { span_ms: span * 1_000, down_ms: down * 1_000, unknown_ms: unknown * 1_000, ..none }
}

fn a_day() -> Period {
    Period::new(T0, T0.plus(DAY), T0.plus(DAY)).expect("in the past")
}

#[test]
fn the_three_parts_of_a_period_add_up_to_it() {
    for seed in 0..20_000_u64 {
        let draw = |salt: u64, below: u64| mix64(seed ^ salt << 40) % below;
        let span = draw(1, 200_000);
        let unknown = draw(2, span + 1);
        let down = draw(3, span - unknown + 1);
        let of = Availability::of(&sums(1, 2, [span, down, unknown]), DAY);
        assert_eq!(of.up_ms + of.down_ms + of.unknown_ms, DAY.as_millis(), "seed {seed}");
        assert!(
            of.down_ms <= down * 1_000
                && of.unknown_ms >= (unknown * 1_000).min(DAY.as_millis()).saturating_sub(span * 1_000)
        );
        assert_eq!(of.share_ppm().is_none(), of.up_ms + of.down_ms == 0);
    }
}

#[test]
fn what_nobody_saw_is_neither_up_nor_down() {
    let nothing = Availability::of(&sums(1, 2, [0, 0, 0]), DAY);
    assert_eq!((nothing.share_ppm(), nothing.coverage_ppm()), (None, 0));
    let half = Availability::of(&sums(1, 2, [43_200, 0, 0]), DAY);
    assert_eq!((half.share_ppm(), half.coverage_ppm()), (Some(1_000_000), 500_000));
    let judged_in_part = Availability::of(&sums(1, 2, [86_400, 8_640, 43_200]), DAY);
    assert_eq!(judged_in_part, Availability { up_ms: 34_560_000, down_ms: 8_640_000, unknown_ms: 43_200_000 });
    assert_eq!(judged_in_part.share_ppm(), Some(800_000));
}

#[test]
fn one_second_in_a_year_is_not_rounded_away() {
    let year = Span::seconds(365 * 86_400);
    let of = Availability::of(&sums(1, 2, [365 * 86_400, 1, 0]), year);
    assert_eq!(of.share_ppm(), Some(999_999));
}

#[test]
fn windows_that_overlap_are_shortened_in_proportion() {
    let of = Availability::of(&sums(1, 2, [172_800, 86_400, 0]), DAY);
    assert_eq!(of, Availability { up_ms: 43_200_000, down_ms: 43_200_000, unknown_ms: 0 });
}

#[test]
fn an_agent_is_what_others_saw_of_it_and_a_site_what_crosses_its_border() {
    let members = [member(1, "a"), member(2, "a"), member(3, "b")];
    let all = [
        sums(1, 2, [86_400, 8_640, 0]),
        sums(2, 1, [86_400, 0, 0]),
        sums(1, 3, [86_400, 0, 0]),
        sums(3, 1, [43_200, 43_200, 0]),
        // Somebody who is no member any more.
        sums(9, 1, [86_400, 86_400, 0]),
    ];
    let report = Report::new(a_day(), &members, &all);
    assert_eq!(report.pairs.len(), 4);
    let agent = |name: &str| report.agents.iter().find(|line| line.name == name).expect("a member").clone();
    assert_eq!((agent("a-2").availability.share_ppm(), agent("a-2").pairs), (Some(900_000), 1));
    // A day up as seen by 2, half a day down as seen by 3.
    assert_eq!(agent("a-1").availability.share_ppm(), Some(666_666));
    assert_eq!(agent("b-3").availability.share_ppm(), Some(1_000_000));
    let site = |name: &str| report.sites.iter().find(|line| line.name == name).expect("a site").clone();
    assert_eq!((site("a").availability, site("a").pairs, site("a").agents), (site("b").availability, 2, 2));
    assert_eq!(site("b").agents, 1);
    let first = (report.pairs[0].source.as_str(), report.pairs[0].target.as_str());
    assert_eq!(first, ("b-3", "a-1"), "the worst comes first");
    assert_eq!(report.agents.last().expect("three").name, "b-3");
}

#[test]
fn the_order_of_sums_and_members_does_not_matter() {
    let mut members: Vec<_> = (1..=12).map(|number| member(number, ["a", "b", "c"][number as usize % 3])).collect();
    let mut all: Vec<_> = (1..=12_u32)
        .flat_map(|source| (1..=12_u32).map(move |target| (source, target)))
        .filter(|(source, target)| source != target)
        .map(|(source, target)| {
            let seed = mix64(u64::from(source) << 32 | u64::from(target));
            PairSums {
                sent: 100,
                received: seed % 101,
                ..sums(source, target, [86_400, seed % 4 * 100, seed % 3 * 50])
            }
        })
        .collect();
    let report = Report::new(a_day(), &members, &all);
    members.reverse();
    all.reverse();
    assert_eq!(Report::new(a_day(), &members, &all), report);
    assert_eq!(report.whole.up_ms + report.whole.down_ms + report.whole.unknown_ms, 132 * DAY.as_millis());
}

#[test]
fn periods_are_whole_hours_or_days_and_end_now() {
    let hour = Span::seconds(3_600);
    let minute = Span::seconds(60);
    let now = T0.plus(DAY).plus(minute);
    let few = Period::new(T0.plus(minute), T0.plus(hour).plus(minute), now).expect("in the past");
    assert_eq!((few.from, few.to, few.level), (T0, T0.plus(Span(2 * hour.0)), Level::Hour));
    let running = Period::new(T0, T0.plus(Span(2 * DAY.0)), now).expect("it has begun");
    assert_eq!((running.to, running.level), (now, Level::Hour));
    let long = Period::new(T0.minus(Span(30 * DAY.0)).plus(minute), T0.plus(minute), now).expect("in the past");
    assert_eq!((long.from, long.to, long.level), (T0.minus(Span(30 * DAY.0)), T0.plus(DAY), Level::Day));
    assert_eq!(Period::new(T0, T0, now), Err(Unreportable::Backwards));
    assert_eq!(Period::new(now, now.plus(hour), now), Err(Unreportable::Future));
    assert_eq!(Period::new(T0.minus(Span(500 * DAY.0)), T0, now), Err(Unreportable::TooLong));
    assert!(Unreportable::TooLong.to_string().contains("400 days"));
}

#[test]
fn the_spreadsheet_has_a_line_for_everything_and_nothing_where_nothing_is_known() {
    let members = [member(1, "a"), member(2, "b")];
    let pair =
        PairSums { sent: 1_000, received: 990, late: 5, rtt_sum_us: 990 * 1_234, ..sums(1, 2, [86_400, 864, 0]) };
    let text = csv(&Report::new(a_day(), &members, &[pair]));
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 1 + 2 + 2 + 1);
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{text}");
    assert_eq!(lines[6], "pair,a-1,,b-2,icmp,85536.000,864.000,0.000,99.0000,100.0000,0.5000,1.234");
    assert!(lines.contains(&"agent,a-1,a,,,0.000,0.000,0.000,,0.0000,,"), "{text}");
}

fn an_incident(title: &str, ended: Option<u64>) -> IncidentLine {
    IncidentLine {
        id: "ab".repeat(16),
        severity: "critical".into(),
        class: "host_down".into(),
        title: title.into(),
        subject: "agent".into(),
        agents: Vec::from(["a-1".into(), "a-2".into()]),
        sites: Vec::new(),
        since: T0.plus(Span::seconds(60)),
        opened: T0.plus(Span::seconds(68)),
        first_opened: T0.plus(Span::seconds(8)),
        earlier: Span::seconds(30),
        outages: 2,
        ended: ended.map(|seconds| T0.plus(Span::seconds(seconds))),
        ending: ended.map(|_| "recovered".into()),
        is_silenced: true,
        is_ambiguous: false,
        acknowledged_by: Some("=ada".into()),
    }
}

fn seconds(time: UnixTime) -> alloc::string::String {
    (time.0 / 1_000_000).to_string()
}

#[test]
fn incidents_are_a_table_of_their_own() {
    let text = incidents_csv(
        &[an_incident("Host \"a\" is down", Some(660)), an_incident("x", None)],
        T0.plus(Span::millis(61_500)),
        &seconds,
    );
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[0].split(',').count(), 17);
    let id = "ab".repeat(16);
    assert_eq!(
        lines[1],
        format!(
            "{id},over,critical,host_down,\"Host \"\"a\"\" is down\",agent,a-1 a-2,,1728000060,1728000068,1728000660,630.000,recovered,yes,'=ada,1728000008,2"
        )
    );
    assert!(
        lines[2].ends_with(",1728000060,1728000068,,31.500,,yes,'=ada,1728000008,2") && lines[2].contains(",open,"),
        "{}",
        lines[2]
    );
}

#[test]
fn a_mail_says_what_most_people_want_to_know() {
    let members: Vec<Member> = (0..24).map(|number| member(number, if number < 12 { "a" } else { "b" })).collect();
    let pairs: Vec<PairSums> =
        (12..24).map(|target| sums(0, target, [86_400, u64::from(target - 12) * 60, 0])).collect();
    let report = Report::new(a_day(), &members, &pairs);
    let incidents: Vec<IncidentLine> = (0..12).map(|number| an_incident(&format!("i{number}"), Some(660))).collect();
    let about = mail::About {
        name: "Daily",
        site: None,
        incidents: &incidents,
        incidents_count: 30,
        mesh: "abcd",
        url: Some("https://e.test"),
        began: Some(T0),
        now: T0.plus(DAY),
    };
    let (subject, body) = mail::mail(&report, &about, &seconds);
    assert_eq!(subject, "[report] Daily: availability 99.6180 %, 1728000000 to 1728086400");
    for part in [
        "All of the mesh, 1728000000 to 1728086400\n",
        "Availability 99.6180 %, coverage 100.0000 %.\n",
        "\nIncidents (30)\n  1728000060  [critical] i0 (10 min 30 s)\n",
        "  and 20 more\n",
        "\nSites, the worst first\n",
        "\nPaths that were down, the worst first\n  a-0 -> b-23",
        "  and 14 more\n",
        "  and 1 more\n",
        "Look          https://e.test/reports\n",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let calm = mail::About { site: Some("a"), incidents: &[], incidents_count: 0, url: None, ..about };
    let (_, body) = mail::mail(&Report::new(a_day(), &members, &[]), &calm, &seconds);
    assert!(body.contains("Site a, ") && body.contains("Availability unknown, coverage 0.0000 %."), "{body}");
    assert!(body.contains("Nobody measured anything in this time.") && !body.contains("not there yet"), "{body}");
    for (began, said) in [
        (None, "There is no agent yet."),
        (Some(T0.plus(DAY)), "The mesh was not there yet: its first agent joined at 1728086400."),
        (Some(T0.plus(Span::seconds(60))), "There is data from 1728000060 on; before that the mesh was not there yet."),
    ] {
        let (_, body) = mail::mail(&report, &mail::About { began, ..about }, &seconds);
        assert!(body.contains(said), "{said}: {body}");
    }
    assert!(body.contains("No incidents.") && !body.contains("b-12") && !body.contains("Paths"), "{body}");
}
