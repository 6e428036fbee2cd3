//! The committed description of the API is the program's own. `UPDATE=1` writes it anew.

use crate::world::World;
use crate::{people, roles};
use aggregator::api::openapi;
use aggregator::auth::Listener;
use aggregator::router;
use serde_json::Value;
use std::collections::BTreeSet;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

#[test]
fn the_committed_document_is_fresh() {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(COMMITTED, openapi::text()).expect("written");
    }
    let committed = std::fs::read_to_string(COMMITTED).expect("aggregator/openapi.json exists; UPDATE=1 writes it");
    assert!(
        committed == openapi::text(),
        "aggregator/openapi.json is stale; UPDATE=1 cargo test -p aggregator writes it anew"
    );
}

#[tokio::test]
async fn it_describes_every_route_under_api_and_no_other() {
    let world = World::new().await;
    let routes: BTreeSet<(String, String)> = router::list(&world.app, Listener::Loopback)
        .into_iter()
        .filter(|route| route.path.starts_with("/api/"))
        .map(|route| (route.path.to_owned(), route.method.as_str().to_lowercase()))
        .collect();
    let document = world.get("/api/v1/openapi.json", &[]).await.json();
    let paths = document["paths"].as_object().expect("an object");
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("an object").keys().map(move |method| (path.clone(), method.clone()))
        })
        .collect();
    assert_eq!(routes, described);
}

/// What the document says of a route, by path and method.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    &document["paths"][path][method.to_lowercase()]
}

#[test]
fn it_names_every_refusal_of_the_table() {
    let document: Value = serde_json::from_str(&openapi::text()).expect("JSON");
    let (_, rows) = roles::table();
    for row in rows {
        let (method, path) = row[0].trim_matches('`').split_once(' ').expect("a method and a path");
        if !path.starts_with("/api/") {
            continue;
        }
        let answers = operation(&document, method, path)["responses"].as_object().expect("answers");
        assert!(answers.keys().any(|status| status.starts_with('2') || status == "101"), "{method} {path}");
        for status in row[1..].iter().filter(|cell| **cell != "yes") {
            assert!(answers.contains_key(*status), "{method} {path} does not say that {status} may be answered");
        }
    }
}

/// Whoever reads the document sees what goes in and what comes out, without trying.
#[test]
fn every_body_in_json_has_an_example() {
    let document: Value = serde_json::from_str(&openapi::text()).expect("JSON");
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        assert!(schema.get("example").or_else(|| schema.get("examples")).is_some(), "{name} has no example");
    }
    let operations = document["paths"].as_object().expect("paths").iter().flat_map(|(path, methods)| {
        methods
            .as_object()
            .expect("methods")
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    for (name, operation) in operations {
        let answers = operation["responses"].as_object().expect("answers").values();
        for body in answers.chain(operation.get("requestBody")) {
            let json = body["content"].as_object().into_iter().flatten().filter(|(kind, _)| kind.contains("json"));
            for (kind, content) in json {
                let is_named = content["schema"]["$ref"].is_string();
                assert!(is_named || name.ends_with("/openapi.json"), "{name}: {kind} without a schema of its own");
            }
        }
    }
}

/// An example that the program itself would refuse helps nobody.
#[tokio::test]
async fn the_examples_of_requests_are_taken() {
    let world = World::new().await;
    let document: Value = serde_json::from_str(&openapi::text()).expect("JSON");
    let admin = people::admin(&world).await;
    for (path, code) in [("/api/v1/users", 201), ("/api/v1/api-tokens", 201), ("/api/v1/join-tokens", 201)] {
        let schema =
            &operation(&document, "POST", path)["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let name = schema.as_str().and_then(|name| name.rsplit('/').next()).expect("a name");
        let example = document["components"]["schemas"][name]["example"].clone();
        let answer = people::post(&world, path, &admin, example).await;
        assert_eq!(answer.status.as_u16(), code, "{path}: {:?}", answer.body);
        let told =
            &operation(&document, "POST", path)["responses"]["201"]["content"]["application/json"]["schema"]["$ref"];
        let name = told.as_str().and_then(|name| name.rsplit('/').next()).expect("a name");
        let shown = document["components"]["schemas"][name]["example"].as_object().expect("an object").keys();
        assert!(shown.eq(answer.json().as_object().expect("an object").keys()), "{name} is not what comes");
    }
}
