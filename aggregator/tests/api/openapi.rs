//! The committed description of the API is the program's own. `UPDATE=1` writes it anew.

use crate::world::World;
use aggregator::api::openapi;
use aggregator::auth::Listener;
use aggregator::router;
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
