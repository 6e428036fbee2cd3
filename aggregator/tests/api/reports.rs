//! What was available over a period, as people and spreadsheets read it.

use crate::series::measured;
use crate::world::{Answer, World};
use aggregator::guard::Role;
use aggregator::jobs;
use serde_json::{Value, json};
use std::sync::Arc;

async fn ask(world: &World, query: &str) -> Answer {
    let bearer = world.bearer(Role::Viewer).await;
    world.get(&format!("/api/v1/reports/availability?{query}"), &[("authorization", &bearer)]).await
}

async fn summed() -> World {
    let world = World::new().await;
    measured(&world).await;
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    world
}

#[tokio::test]
async fn up_down_and_unknown_add_up_and_the_worst_comes_first() {
    let world = summed().await;
    // Ten minutes of each of three hours nothing came back; the other direction was measured for ten seconds.
    let report = ask(&world, "range=3h").await.json();
    assert_eq!((&report["made_of"], &report["pairs_measured"]), (&json!("hour"), &json!(2)));
    let pair = &report["pairs"][0];
    assert_eq!((&pair["source"], &pair["target"], &pair["kind"]), (&json!("a1"), &json!("a2"), &json!("icmp")));
    let times = |of: &Value| ["up_s", "down_s", "unknown_s"].map(|part| of[part].clone());
    assert_eq!(json!(times(pair)), json!([9_000.0, 1_800.0, 0.0]));
    assert_eq!((&pair["availability_percent"], &pair["coverage_percent"]), (&json!(83.3333), &json!(100.0)));
    assert_eq!((&pair["loss_percent"], &pair["rtt_mean_us"]), (&json!(16.6666), &json!(500)));
    assert_eq!(json!(times(&report["pairs"][1])), json!([10.0, 0.0, 10_790.0]));
    let agents: Vec<_> = report["agents"].as_array().expect("a list").iter().map(|agent| &agent["name"]).collect();
    assert_eq!(agents, ["a2", "a1"], "a2 is what a1 saw of it");
    assert_eq!(report["sites"][0]["pairs"], json!(0), "both are in one site");
    assert_eq!(json!(times(&report["mesh"])), json!([9_010.0, 1_800.0, 10_790.0]));
    assert!(report["maths"].as_str().is_some_and(|maths| maths.contains("up / (up + down)")));
}

#[tokio::test]
async fn what_is_listed_can_be_chosen_and_the_rest_still_counts() {
    let world = summed().await;
    let few = ask(&world, "range=3h&pairs=1").await.json();
    assert_eq!((few["pairs"].as_array().map(Vec::len), &few["pairs_measured"]), (Some(1), &json!(2)));
    let none = ask(&world, "range=3h&pairs=0").await.json();
    assert_eq!((none["pairs"].as_array().map(Vec::len), &none["mesh"]), (Some(0), &few["mesh"]));
    let of_one = ask(&world, "range=3h&agent=a1").await.json();
    assert_eq!(of_one["pairs"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_spreadsheet_is_a_file_with_a_name() {
    let world = summed().await;
    let answer = ask(&world, "range=3h&format=csv").await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let name = answer.headers["content-disposition"].to_str().expect("text");
    assert!(name.starts_with("attachment; filename=\"everypath-availability-20") && name.ends_with(".csv\""), "{name}");
    let text = std::str::from_utf8(&answer.body).expect("text");
    assert!(text.contains("pair,a1,,a2,icmp,9000.000,1800.000,0.000,83.3333,100.0000,16.6666,0.500\r\n"), "{text}");
}

#[tokio::test]
async fn a_period_that_cannot_be_says_why() {
    let world = World::new().await;
    for (query, part) in [
        ("range=500d", "400 days at most"),
        ("from=2030-01-01T00:00:00Z&to=2031-01-01T00:00:00Z", "has not begun"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "`from` must be before `to`"),
        ("from=2026-01-02T00:00:00Z&range=1d", "says the same thing"),
        ("pairs=100001", "from 0 to 100000"),
        ("format=pdf", "format"),
        ("sites=a", "unknown field"),
        ("site=nowhere", "`nowhere` is no site that there is"),
        ("agent=nobody", "`nobody` is no agent"),
    ] {
        let answer = ask(&world, query).await;
        let is_of_range = ["from=", "to=", "range="].iter().any(|key| query.starts_with(key));
        let code = if is_of_range { "invalid_range" } else { "invalid_parameter" };
        assert_eq!(answer.problem(), (400, code.into()), "{query}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_later() {
    let world = World::new().await;
    let places = Arc::clone(&world.app.reports).try_acquire_many_owned(2).expect("free");
    let answer = ask(&world, "range=3h").await;
    assert_eq!((answer.problem(), world.app.metrics.reports_refused.get()), ((503, "busy".into()), 1));
    assert!(answer.headers.contains_key("retry-after"));
    drop(places);
    assert_eq!(ask(&world, "range=3h").await.status, 200);
}
