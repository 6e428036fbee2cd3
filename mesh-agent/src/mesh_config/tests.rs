use super::*;
use crate::clock::Clock;
use everypath_protocol::id::BootId;
use everypath_protocol::sign::{SecretKey, Signer, seal};
use everypath_protocol::trust::{Delegation, Trust, mesh_of};
use std::path::Path;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// The config key is 9, the root 1.
fn trust() -> SharedTrust {
    let (root, mesh) = (key(1), mesh_of(&key(1).public()));
    let delegation = Delegation { version: 1, issuers: vec![key(2).public()], config: vec![key(9).public()] };
    let delegation = seal(delegation, mesh, &root);
    let certificate = delegation.signed().clone();
    SharedTrust::new(Trust::new(mesh, delegation), root.public(), certificate)
}

fn document(version: u64, by: &SecretKey) -> Signed {
    let config = MeshConfig { version, ..MeshConfig::usual() };
    seal(config, trust().mesh(), by).signed().clone()
}

fn open(dir: &Path) -> (Store, Option<StoredConfig>) {
    let (store, opened) = Store::open(dir, BootId(1), Clock::start(), &Metrics::new()).unwrap();
    (store, opened.config)
}

/// Hears these, and says which versions came to the driver, and what was refused.
async fn offer(store: &Store, kept: Option<StoredConfig>, texts: &[String]) -> (Vec<u64>, Vec<(&'static str, u64)>) {
    let metrics = Metrics::new();
    let (ratchet, document) = kept.map_or_else(Default::default, |kept| (kept.ratchet, Some(kept.document)));
    let mut keeper = Keeper::new(trust(), store.clone(), ratchet, metrics.clone());
    let resumed = document.and_then(|document| keeper.resume(document));
    let (offers, offered) = mpsc::channel(OFFERS_MAX);
    let (inputs, mut seen) = mpsc::channel(INPUTS_MAX);
    let serving = tokio::spawn(keeper.serve(offered, inputs));
    for text in texts {
        offers.send(text.clone()).await.unwrap();
    }
    drop(offers);
    serving.await.unwrap();
    let mut versions: Vec<u64> = resumed.iter().map(|config| config.document().version).collect();
    while let Some(input) = seen.recv().await {
        let Input::Configured(config) = input else { panic!("{input:?}") };
        versions.push(config.document().version);
    }
    let count = |name| (name, metrics.configs.refused.with_label_values(&[name]).get());
    let refused = ["unreadable", "wrong_key", "forged", "faulty", "older"].map(count);
    (versions, refused.into_iter().filter(|(_, count)| *count > 0).collect())
}

fn text(signed: &Signed) -> String {
    mesh_config::to_text(signed)
}

#[tokio::test]
async fn what_is_newer_is_used_and_what_is_anything_else_is_counted_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, none) = open(dir.path());
    assert_eq!(none, None);
    let good = |version| text(&document(version, &key(9)));
    let mut forged = document(9, &key(9));
    forged.body[0] ^= 1;
    let faulty = MeshConfig { version: 9, window_ms: 1, ..MeshConfig::usual() };
    let faulty = seal(faulty, trust().mesh(), &key(9)).signed().clone();
    let mut other_mesh = document(9, &key(9));
    other_mesh.mesh.0[0] ^= 1;
    let offers = [
        good(3),
        good(3),
        good(2),
        text(&forged),
        text(&document(9, &key(2))),
        text(&faulty),
        text(&other_mesh),
        "not base64url!".to_owned(),
        "A".repeat(1_000_000),
        good(5),
        good(4),
    ];
    let (versions, refused) = offer(&store, None, &offers).await;
    assert_eq!(versions, [3, 5]);
    assert_eq!(refused, [("unreadable", 2), ("wrong_key", 1), ("forged", 2), ("faulty", 1), ("older", 2)]);
    store.close().await;

    // The next start: the last good one, from the disk, and nothing older.
    let (store, kept) = open(dir.path());
    assert_eq!(offer(&store, kept, &[good(5), good(4), good(6)]).await, (vec![5, 6], vec![("older", 1)]));
    store.close().await;
}

#[tokio::test]
async fn what_was_changed_on_the_disk_is_not_used_and_its_version_still_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    offer(&store, None, &[text(&document(7, &key(9)))]).await;
    store.close().await;
    let (store, kept) = open(dir.path());
    let mut kept = kept.unwrap();
    kept.document.body[0] = 200;
    store.save_config(kept).await.unwrap();
    store.close().await;
    let (store, kept) = open(dir.path());
    let offers = [text(&document(6, &key(9))), text(&document(8, &key(9)))];
    assert_eq!(offer(&store, kept, &offers).await, (vec![8], vec![("forged", 1), ("older", 1)]));
    store.close().await;
}

#[tokio::test]
async fn addresses_are_looked_up_and_names_do_not_lead_where_addresses_may_not() {
    use everypath_protocol::id::AgentId;
    let (tell, wishes) = watch::channel(Vec::new());
    let (inputs, mut seen) = mpsc::channel(8);
    let resolving = tokio::spawn(resolve(wishes, inputs, Metrics::new()));
    let wish = |n: u8, address: &str| EndpointWish { endpoint: AgentId([n; 32]), address: address.to_owned() };
    tell.send_replace(vec![wish(1, "192.0.2.1"), wish(2, "localhost")]);
    let resolved = |n: u8, address| Input::Resolved { endpoint: AgentId([n; 32]), address };
    assert_eq!(seen.recv().await, Some(resolved(1, Some([192, 0, 2, 1].into()))));
    assert_eq!(seen.recv().await, Some(resolved(2, None)), "loopback is not measured");
    tell.send_replace(vec![wish(1, "192.0.2.9")]);
    assert_eq!(seen.recv().await, Some(resolved(1, Some([192, 0, 2, 9].into()))));
    drop(tell);
    resolving.await.unwrap();
}
