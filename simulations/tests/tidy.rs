//! The rules about layout and dependencies that no compiler knows. Every gate is also given a violation and must refuse it.
#![expect(clippy::print_stderr, reason = "a warning, for the person who runs it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const LINES_WARNED: usize = 400;
const LINES_REFUSED: usize = 800;

/// Which of our packages may use which (docs/ARCHITECTURE.md). What is not here is refused.
const EDGES: &[(&str, &[&str])] = &[
    ("everypath-protocol", &[]),
    ("everypath-verdict", &["everypath-protocol"]),
    ("everypath-config", &[]),
    ("everypath-update", &["everypath-config"]),
    ("mesh-agent-core", &["everypath-protocol", "everypath-verdict"]),
    ("aggregator-core", &["everypath-protocol", "everypath-verdict"]),
    (
        "mesh-agent",
        &["everypath-protocol", "everypath-verdict", "everypath-config", "everypath-update", "mesh-agent-core"],
    ),
    (
        "aggregator",
        &["everypath-protocol", "everypath-verdict", "everypath-config", "everypath-update", "aggregator-core"],
    ),
    (
        "everypath-bench",
        &["everypath-protocol", "everypath-config", "aggregator-core", "aggregator", "mesh-agent-core", "mesh-agent"],
    ),
    ("simulations", &["everypath-protocol", "everypath-verdict", "mesh-agent-core", "aggregator-core"]),
];

/// Packages that decide and never do: no operating system under them, and these dependencies only.
const PURE: &[(&str, &str, &[&str])] = &[
    ("everypath-protocol", "protocol", &["serde", "postcard", "ed25519-dalek", "sha2", "hmac", "crc32fast"]),
    ("everypath-verdict", "protocol/verdict", &[]),
    ("mesh-agent-core", "mesh-agent/core", &["rand_core", "rand_chacha"]),
    ("aggregator-core", "aggregator/core", &["serde"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above this package").to_owned()
}

/// Source files of the project by path from the root, as git would take them.
fn sources() -> BTreeMap<String, String> {
    let list = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root()).output().expect("git is there");
        String::from_utf8(output.stdout).expect("names are UTF-8")
    };
    let names = list(&["ls-files", "--cached", "--others", "--exclude-standard"]);
    let is_source = |name: &&str| [".rs", ".ts", ".svelte", ".sh", ".mjs"].iter().any(|ending| name.ends_with(ending));
    let read = |name: &str| std::fs::read_to_string(root().join(name)).ok().map(|text| (name.to_owned(), text));
    let files: BTreeMap<String, String> = names.lines().filter(is_source).filter_map(read).collect();
    assert!(files.len() > 100, "only {} source files were found: the list is wrong", files.len());
    files
}

fn is_test(name: &str) -> bool {
    ["/tests/", "_tests.rs", "/tests.rs", ".test.", "e2e/"].iter().any(|part| name.contains(part))
}

fn too_long(files: &BTreeMap<String, String>) -> Vec<String> {
    let own = files.iter().filter(|(name, _)| !is_test(name) && !name.ends_with("schema.ts"));
    let counted = own.map(|(name, text)| (text.lines().count(), name));
    let long: Vec<_> = counted.filter(|(lines, _)| *lines > LINES_WARNED).collect();
    for (lines, name) in &long {
        eprintln!("warning: {name} has {lines} lines; is it still one thought?");
    }
    long.iter()
        .filter(|(lines, _)| *lines > LINES_REFUSED)
        .map(|(lines, name)| format!("{name}: {lines} lines"))
        .collect()
}

fn impure(name: &str, text: &str, is_root: bool) -> Vec<String> {
    let mut found = Vec::new();
    if is_root && !(text.contains("#![no_std]") && text.contains("#![forbid(unsafe_code)]")) {
        found.push(format!("{name}: must say #![no_std] and #![forbid(unsafe_code)]"));
    }
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    for line in lines {
        for forbidden in ["extern crate std", "std::", "HashMap", "HashSet", " f32", " f64"] {
            // `core::` paths end in the same letters as `std::` never do; `alloc::` neither.
            if line.contains(forbidden) {
                found.push(format!("{name}: `{forbidden}` in `{line}`"));
            }
        }
    }
    found
}

fn sql_outside_the_store(name: &str, text: &str) -> bool {
    let is_store = name.starts_with("aggregator/src/store/") || name.starts_with("migrations/");
    let speaks_sql = ["sqlx::query", "SELECT ", "INSERT INTO", "DELETE FROM", "select ", "insert into", "delete from"];
    let code: Vec<&str> = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).collect();
    let has_sql =
        |word: &&&str| code.iter().any(|line| line.contains(**word) && (line.contains('"') || line.contains("sqlx")));
    name.starts_with("aggregator/src/") && !is_store && !is_test(name) && speaks_sql.iter().any(|word| has_sql(&word))
}

fn reads_the_clock(name: &str, text: &str) -> bool {
    let is_clock = name.ends_with("/clock.rs");
    let reads = |line: &str| line.contains("Instant::now()") || line.contains("SystemTime::now()");
    name.ends_with(".rs")
        && !is_clock
        && text.lines().map(str::trim_start).any(|line| reads(line) && !line.starts_with("//"))
}

fn leftovers(name: &str, text: &str) -> Vec<String> {
    // Written apart, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("#[ign", "ore"),
        concat!("unimple", "mented!"),
    ];
    let is_whole =
        |line: &str, word: &str| line.split(|letter: char| !letter.is_ascii_alphabetic()).any(|part| part == word);
    let has = |line: &str, word: &str| {
        if word.starts_with('#') || word.ends_with('!') { line.contains(word) } else { is_whole(line, word) }
    };
    let found = text.lines().flat_map(|line| words.iter().filter(move |word| has(line, word)));
    found.map(|word| format!("{name}: {word}")).collect()
}

fn wrong_edges(metadata: &serde_json::Value) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().expect("cargo lists packages") {
        let name = package["name"].as_str().expect("a package has a name");
        let normal = package["dependencies"].as_array().expect("a list").iter().filter(|edge| edge["kind"].is_null());
        let used: BTreeSet<&str> = normal.filter_map(|edge| edge["name"].as_str()).collect();
        let Some(ours) = allowed.get(name) else {
            found.push(format!("{name} is not in the table of packages"));
            continue;
        };
        let others = PURE.iter().find(|(pure, ..)| *pure == name).map(|(_, _, others)| *others);
        for edge in used {
            let is_ours = allowed.contains_key(edge);
            let is_allowed = ours.contains(&edge) || (!is_ours && others.is_none_or(|others| others.contains(&edge)));
            if !is_allowed {
                found.push(format!("{name} must not depend on {edge}"));
            }
        }
    }
    found
}

#[test]
fn no_file_has_become_two() {
    assert_eq!(too_long(&sources()), Vec::<String>::new());
    let long = BTreeMap::from([("protocol/src/x.rs".to_owned(), "\n".repeat(LINES_REFUSED + 1))]);
    assert_eq!(too_long(&long).len(), 1, "the gate does not bite");
}

#[test]
fn what_decides_has_no_operating_system_under_it() {
    let files = sources();
    for (_, folder, _) in PURE {
        let inside = format!("{folder}/src/");
        let own: Vec<_> = files.iter().filter(|(name, _)| name.starts_with(&inside) && !is_test(name)).collect();
        assert!(!own.is_empty(), "{folder} has no sources");
        for (name, text) in own {
            assert_eq!(impure(name, text, name.ends_with("/lib.rs")), Vec::<String>::new());
        }
    }
    for wrong in ["extern crate std;", "use std::time::Instant;", "let map = HashMap::new();", "let share: f64 = 1.0;"]
    {
        assert!(!impure("x.rs", wrong, false).is_empty(), "the gate does not bite on `{wrong}`");
    }
    assert_eq!(impure("lib.rs", "#![forbid(unsafe_code)]", true).len(), 1, "the gate does not bite");
}

#[test]
fn dependencies_point_in_one_direction() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo is there");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    assert_eq!(wrong_edges(&metadata), Vec::<String>::new());
    let edge = |from: &str, to: &str| {
        let dependencies = serde_json::json!([{ "name": to, "kind": null }]);
        serde_json::json!({ "packages": [{ "name": from, "dependencies": dependencies }] })
    };
    for (from, to) in
        [("mesh-agent", "aggregator"), ("simulations", "mesh-agent"), ("mesh-agent-core", "tokio"), ("new", "serde")]
    {
        assert_eq!(wrong_edges(&edge(from, to)).len(), 1, "the gate does not bite on {from} → {to}");
    }
}

#[test]
fn sql_is_in_the_store_and_clocks_are_read_in_one_place() {
    for (name, text) in sources() {
        assert!(!sql_outside_the_store(&name, &text), "{name}: SQL belongs under aggregator/src/store/");
        let is_report = name == "simulations/src/main.rs";
        assert!(
            is_test(&name) || is_report || !reads_the_clock(&name, &text),
            "{name}: clocks are read in clock.rs only"
        );
    }
    assert!(sql_outside_the_store("aggregator/src/api/x.rs", r#"sqlx::query("select 1")"#), "the gate does not bite");
    assert!(reads_the_clock("mesh-agent/src/x.rs", "let now = Instant::now();"), "the gate does not bite");
}

#[test]
fn nothing_is_left_behind() {
    let found: Vec<String> = sources().iter().flat_map(|(name, text)| leftovers(name, text)).collect();
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(leftovers("x.rs", concat!("// TO", "DO later")).len(), 1, "the gate does not bite");
}

#[test]
fn documents_point_at_files_that_exist() {
    let list = Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().expect("git is there");
    let dead = |folder: &Path, text: &str| -> Vec<String> {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = targets
            .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"));
        let paths = local.map(|target| target.split('#').next().unwrap_or(target));
        paths.filter(|path| !folder.join(path).exists()).map(str::to_owned).collect()
    };
    for name in String::from_utf8(list.stdout).expect("names are UTF-8").lines() {
        let path = root().join(name);
        let text = std::fs::read_to_string(&path).expect("git listed it");
        let folder = path.parent().expect("a file is in a folder");
        assert_eq!(dead(folder, &text), Vec::<String>::new(), "dead links in {name}");
    }
    assert_eq!(dead(&root(), "[x](no/such/file.md)"), ["no/such/file.md"], "the gate does not bite");
}
