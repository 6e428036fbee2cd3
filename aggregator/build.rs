//! Chooses what is embedded: the dashboard if it was built, else a page that says how to build it. Never builds it itself: a
//! Rust build must not need Node or the network.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(web_dist)");
    println!("cargo::rerun-if-changed=../web/dist");
    println!("cargo::rerun-if-changed=../migrations/sqlite");
    println!("cargo::rerun-if-changed=../migrations/postgres");
    if Path::new("../web/dist/index.html").exists() {
        println!("cargo::rustc-cfg=web_dist");
    } else {
        println!(
            "cargo::warning=web/dist is missing, so the aggregator will show a page that says so; `make web` builds it"
        );
    }
}
