//! The real program replaces itself, from a server on loopback that signs with a key of its own.

use everypath_update::testing::Trial;
use std::path::Path;

fn trial() -> Trial<'static> {
    Trial {
        program: "aggregator",
        built: Path::new(env!("CARGO_BIN_EXE_aggregator")),
        prefix: "EVERYPATH_AGGREGATOR_",
        arguments: Vec::new(),
    }
}

#[tokio::test]
async fn it_takes_a_good_release_and_nothing_else() {
    trial().run_all().await;
}

#[tokio::test]
async fn updates_that_meet_do_not_undo_each_other() {
    trial().run_together().await;
}

#[test]
fn it_is_off_until_the_operator_turns_it_on() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_aggregator")).args(["update", "--check"]).output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("updating is off") && said.contains("EVERYPATH_AGGREGATOR_UPDATE__ENABLED=true"), "{said}");
}
