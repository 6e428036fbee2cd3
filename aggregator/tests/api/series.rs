//! One pair over time: from the samples, from the sums, and from both.

use crate::common::{T0, TestAgent, block, window};
use crate::world::{Answer, World};
use aggregator::guard::Role;
use aggregator::jobs;
use everypath_protocol::time::{Span, UnixTime};
use serde_json::{Value, json};

/// Two agents of which the first measured the second every ten seconds for three hours: a reply of 500 µs to each of two
/// probes, but in the first ten minutes of each hour none.
pub(crate) async fn measured(world: &World) -> (TestAgent, TestAgent) {
    let (one, two) = (world.agent(1), world.agent(2));
    let windows = (1..=1_080_u64).map(|number| {
        let ended = T0.minus(Span::seconds(3 * 3_600)).plus(Span::seconds(number * 10));
        let lost = (number - 1) % 360 < 60;
        window(two.id(), ended, (!lost).then_some(500))
    });
    let windows: Vec<_> = windows.collect();
    for (first, records) in (1..).step_by(120).zip(windows.chunks(120)) {
        world.ingest(&one, &[block(1, first, records.to_vec())]).await;
    }
    world.ingest(&two, &[block(1, 1, vec![window(one.id(), T0, Some(900))])]).await;
    (one, two)
}

async fn ask(world: &World, query: &str) -> Answer {
    let bearer = world.bearer(Role::Viewer).await;
    world.get(&format!("/api/v1/pairs/a1/a2/series?{query}"), &[("authorization", &bearer)]).await
}

fn sum(series: &Value, field: &str) -> u64 {
    series["points"].as_array().expect("points").iter().map(|point| point[field].as_u64().expect("a count")).sum()
}

#[tokio::test]
async fn samples_and_sums_say_the_same() {
    let world = World::new().await;
    measured(&world).await;
    let before = ask(&world, "range=3h&step=10s").await.json();
    assert_eq!(
        (before["sources"].clone(), sum(&before, "sent"), sum(&before, "lost")),
        (json!(["samples"]), 2_160, 360)
    );
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    let minutes = ask(&world, "range=3h&step=60s").await.json();
    assert_eq!(minutes["sources"], json!(["minute"]));
    assert_eq!((sum(&minutes, "sent"), sum(&minutes, "lost")), (2_160, 360));
    assert_eq!(minutes["points"].as_array().expect("points").len(), 180);
    let first = &minutes["points"][0];
    assert_eq!((&first["down_s"], &first["measured_s"]), (&json!(60.0), &json!(60.0)));
    assert_eq!(
        (&first["loss_permille"], &first["rtt_p50_us"], &first["rtt_min_us"]),
        (&json!(1_000), &Value::Null, &Value::Null)
    );
    let healthy = &minutes["points"][30];
    assert_eq!(
        (&healthy["loss_permille"], &healthy["rtt_mean_us"], &healthy["rtt_p50_us"]),
        (&json!(0), &json!(500), &json!(496))
    );
    let hours = ask(&world, "range=3h&step=1h").await.json();
    assert_eq!((hours["sources"].clone(), sum(&hours, "sent"), sum(&hours, "lost")), (json!(["hour"]), 2_160, 360));
}

#[tokio::test]
async fn late_data_corrects_sums_and_nothing_is_counted_twice() {
    let world = World::new().await;
    let (one, two) = measured(&world).await;
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    jobs::roll_up(&world.app).await.expect("nothing to do");
    let late = T0.minus(Span::seconds(2 * 3_600));
    world.ingest(&one, &[block(7, 1, vec![window(two.id(), late, Some(9_000)); 5])]).await;
    let before = ask(&world, "range=3h&step=60s").await.json();
    assert_eq!(sum(&before, "sent"), 2_170, "what is not rolled up yet is added");
    assert_eq!(before["sources"], json!(["minute", "samples"]));
    jobs::roll_up(&world.app).await.expect("rolled up");
    let after = ask(&world, "range=3h&step=60s").await.json();
    assert_eq!((sum(&after, "sent"), sum(&after, "lost")), (2_170, 360));
    assert_eq!(ask(&world, "range=3h&step=10s").await.json()["points"].as_array().map(Vec::len), Some(1_080));
}

#[tokio::test]
async fn a_time_without_a_measurement_has_no_point() {
    let world = World::new().await;
    let (one, two) = measured(&world).await;
    let gap = T0.minus(Span::seconds(10 * 3_600));
    world.ingest(&one, &[block(8, 1, vec![window(two.id(), gap, Some(100))])]).await;
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    let series = ask(&world, "range=12h&step=1h").await.json();
    assert_eq!(series["points"].as_array().map(Vec::len), Some(4), "{series}");
}

#[tokio::test]
async fn small_blocks_are_packed_and_say_the_same() {
    let world = World::new().await;
    let (one, two) = (world.agent(1), world.agent(2));
    world.ingest(&two, &[block(1, 1, vec![window(one.id(), T0, Some(900))])]).await;
    let at = |number: u64| -> UnixTime { T0.minus(Span::seconds(3 * 3_600)).plus(Span::seconds(number * 10)) };
    for number in 1..=300 {
        world
            .ingest(
                &one,
                &[block(
                    1,
                    number,
                    vec![window(two.id(), at(number), Some(400 + u32::try_from(number).expect("small")))],
                )],
            )
            .await;
    }
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    let before = ask(&world, "range=3h&step=10s").await.json();
    let streams = world.app.store.streams(one.id()).await.expect("readable");
    world.app.retention.run(&world.app).await.expect("run");
    let blocks = |description: aggregator::store::Description| {
        description.tables.into_iter().find(|(name, ..)| name == "sample_block").and_then(|(_, rows, _)| rows)
    };
    assert_eq!(
        blocks(world.app.store.describe().await.expect("described")),
        Some(2),
        "one packed, one of the other agent"
    );
    assert_eq!(ask(&world, "range=3h&step=10s").await.json()["points"], before["points"]);
    let packed = world.app.store.streams(one.id()).await.expect("readable");
    assert_eq!(packed[0].rows, streams[0].rows);
    assert_eq!(packed[0].blocks.iter().map(|(_, _, rows)| rows).sum::<u64>(), 300);
    assert_eq!((packed[0].blocks.len(), streams[0].blocks.len()), (1, 300));
    jobs::roll_up(&world.app).await.expect("nothing to do");
    assert_eq!(ask(&world, "range=3h&step=60s").await.json()["points"].as_array().map(Vec::len), Some(50));
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_says_why() {
    let world = World::new().await;
    measured(&world).await;
    for (query, part) in [
        ("range=90d&step=60s", "a step of at least 778s"),
        ("range=3d&step=61s", "a range of more than 26 hours needs a step of whole minutes"),
        ("step=500ms", "the step must be whole seconds"),
        ("range=banana", "range: is not a length of time"),
        ("from=yesterday", "from: is not a time like"),
        ("from=2026-11-22T00:00:00Z&range=1h", "range: says the same thing as `from`"),
        ("from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "`from` must be before `to`"),
        ("ranges=1h", "unknown field `ranges`"),
    ] {
        let answer = ask(&world, query).await;
        assert_eq!(answer.problem(), (400, "invalid_range".into()), "{query}");
        assert!(answer.json()["detail"].as_str().expect("a detail").contains(part), "{query}: {}", answer.json());
    }
    let bearer = world.bearer(Role::Viewer).await;
    let answer = world.get("/api/v1/pairs/a1/nobody/series", &[("authorization", &bearer)]).await;
    assert_eq!(answer.problem(), (404, "no_such_agent".into()));
    let chosen = ask(&world, "range=7d").await.json();
    assert_eq!(chosen["step_s"], 900, "a step that makes some hundred points");
}

#[tokio::test]
async fn how_long_things_are_kept_can_be_changed_by_an_admin_and_by_one_at_a_time() {
    let world = World::new().await;
    let (one, _) = measured(&world).await;
    let admin = world.bearer(Role::Admin).await;
    let path = "/api/v1/settings/retention";
    let put = async |body: &Value| {
        let headers = [("authorization", admin.as_str()), ("content-type", "application/json")];
        world.call(axum::http::Method::PUT, path, &headers, body.to_string()).await
    };
    let mut setting = world.get(path, &[("authorization", &admin)]).await.json();
    assert_eq!((&setting["version"], &setting["samples_s"]), (&json!(0), &json!(604_800)));
    setting["samples_s"] = json!(7_200);
    let set = put(&setting).await.json();
    assert_eq!((&set["version"], &set["samples_s"]), (&json!(1), &json!(7_200)));
    assert_eq!(put(&setting).await.problem(), (409, "changed_meanwhile".into()));
    let mut wrong = set.clone();
    (wrong["samples_s"], wrong["hours_s"]) = (json!(1), json!(90_000));
    let answer = put(&wrong).await;
    assert_eq!(answer.problem(), (400, "invalid_retention".into()));
    assert_eq!(answer.fault_paths(), ["samples_s", "hours_s"]);
    let part = put(&json!({"samples_s": 7_200})).await;
    assert_eq!(part.problem(), (400, "unreadable_json".into()));
    let detail = part.json()["detail"].as_str().expect("a detail").to_owned();
    assert!(detail.contains("missing field") && detail.contains("all six fields, `version`"), "{detail}");
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    world.app.retention.run(&world.app).await.expect("run");
    let kept: usize =
        world.app.store.streams(one.id()).await.expect("readable").iter().map(|stream| stream.rows.len()).sum();
    assert_eq!(kept, 720, "two of three hours");
    let series = ask(&world, "range=3h&step=60s").await.json();
    assert_eq!(sum(&series, "sent"), 2_160, "the sums stay");
}
