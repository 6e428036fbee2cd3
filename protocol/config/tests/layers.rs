//! What wins, and what is said when something is wrong.

use everypath_config::{ByteSize, Invalid, Key, Place, Schema, Sources, Value, Values, duration_text};
use std::net::SocketAddr;
use std::time::Duration;

const SCHEMA: Schema = Schema {
    program: "example",
    prefix: "EVERYPATH_EXAMPLE_",
    keys: &[
        Key { name: "data_dir", default: "./data", doc: "Where everything is kept." },
        Key { name: "server.listen", default: "0.0.0.0:8443", doc: "Where to listen.\nTLS always." },
        Key { name: "server.advertise", default: "", doc: "Names for others." },
        Key { name: "keep.samples", default: "7d", doc: "How long." },
        Key { name: "keep.size_max", default: "64MiB", doc: "How much." },
        Key { name: "keep.enabled", default: "true", doc: "Whether." },
    ],
};

fn messages(values: Values) -> Vec<String> {
    let Err(Invalid { problems }) = values.finish(()) else { return Vec::new() };
    problems.iter().map(|problem| format!("{}: {}", problem.place, problem.message)).collect()
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let mut sources = Sources::default();
    assert_eq!(SCHEMA.load(&sources).get::<Duration>("keep.samples"), Duration::from_secs(7 * 86_400));
    sources.file("f.toml", "[keep]\nsamples = \"6d\"");
    assert_eq!(SCHEMA.load(&sources).get::<Duration>("keep.samples"), Duration::from_secs(6 * 86_400));
    sources.variable("EVERYPATH_EXAMPLE_KEEP__SAMPLES", "5h");
    assert_eq!(SCHEMA.load(&sources).get::<Duration>("keep.samples"), Duration::from_secs(5 * 3_600));
    sources.flag("keep.samples", "4m");
    let mut values = SCHEMA.load(&sources);
    assert_eq!(values.get::<Duration>("keep.samples"), Duration::from_secs(240));
    assert_eq!(*values.place("keep.samples"), Place::Flag("keep.samples".to_owned()));
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let mut sources = Sources::default();
    sources
        .file("a/f.toml", "dta_dir = \"x\"\n\n[server]\nlisten = \"here\"\n[kep]\nsamples = 1\n[keep]\nenabled = 3\n");
    sources.variable("EVERYPATH_EXAMPLE_KEEP__SIZE", "1KiB");
    sources.variable("EVERYPATH_OTHER_KEEP__SIZE", "not ours");
    sources.flag("keep.samples", "soon");
    let mut values = SCHEMA.load(&sources);
    let _: SocketAddr = values.get("server.listen");
    let _: Duration = values.get("keep.samples");
    let _: bool = values.get("keep.enabled");
    values.reject("keep.size_max", "is too small");
    let said = messages(values);
    assert_eq!(said.len(), 7, "{said:#?}");
    assert!(said.contains(&"a/f.toml:1: unknown key `dta_dir`; did you mean `data_dir`?".to_owned()), "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with("a/f.toml:5: unknown section `kep`")), "{said:#?}");
    assert!(
        said.iter().any(|line| line.starts_with("a/f.toml:4: `here` is not an IP address and a port")),
        "{said:#?}"
    );
    assert!(said.contains(&"a/f.toml:8: `3` is not true or false".to_owned()), "{said:#?}");
    assert!(
        said.iter().any(|line| line.starts_with("EVERYPATH_EXAMPLE_KEEP__SIZE: unknown key `keep.size`; did you mean"))
    );
    assert!(said.iter().any(|line| line.starts_with("--samples: `soon` is not a length of time")), "{said:#?}");
    assert!(said.contains(&"default: `keep.size_max`: is too small".to_owned()), "{said:#?}");
}

#[test]
fn broken_toml_and_a_missing_file_are_errors_with_a_place() {
    let mut sources = Sources::default();
    sources.file("f.toml", "[keep]\nsamples = \n");
    let said = messages(SCHEMA.load(&sources));
    assert!(said[0].starts_with("f.toml:2: "), "{said:?}");
    let missing = Sources::of_process(Some("/nowhere/f.toml".as_ref()));
    let said = messages(SCHEMA.load(&missing));
    assert!(said[0].starts_with("/nowhere/f.toml: cannot be read: "), "{said:?}");
}

#[test]
fn lists_come_from_arrays_commas_and_repeated_flags() {
    let mut sources = Sources::default();
    assert_eq!(SCHEMA.load(&sources).get::<Vec<String>>("server.advertise"), Vec::<String>::new());
    sources.file("f.toml", "[server]\nadvertise = [\"a\", \"b\"]");
    assert_eq!(SCHEMA.load(&sources).get::<Vec<String>>("server.advertise"), ["a", "b"]);
    sources.variable("EVERYPATH_EXAMPLE_SERVER__ADVERTISE", "c, d");
    assert_eq!(SCHEMA.load(&sources).get::<Vec<String>>("server.advertise"), ["c", "d"]);
    sources.flags("server.advertise", &["e", "f"]);
    assert_eq!(SCHEMA.load(&sources).get::<Vec<String>>("server.advertise"), ["e", "f"]);
}

#[test]
fn values_are_read_as_people_write_them() {
    assert_eq!(Duration::parse("250ms"), Some(Duration::from_millis(250)));
    assert_eq!(Duration::parse("10"), None, "a bare number could be anything");
    assert_eq!(Duration::parse("99999999999999999999d"), None);
    assert_eq!(Duration::parse("9999999999999999d"), None, "overflow is not a value");
    assert_eq!(ByteSize::parse("64KiB"), Some(ByteSize(65_536)));
    assert_eq!(ByteSize::parse("64KB"), None, "1000 or 1024? The unit must say");
    assert_eq!(Option::<SocketAddr>::parse(""), Some(None));
    assert_eq!(Option::<SocketAddr>::parse("x"), None);
    for text in ["7d", "36h", "90s", "1500ms", "0ms"] {
        assert_eq!(duration_text(Duration::parse(text).expect(text)), text);
    }
}

#[test]
fn the_template_names_every_key_and_loads() {
    let template = SCHEMA.template();
    let uncommented: String = template
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let mut sources = Sources::default();
    sources.file("template.toml", uncommented);
    let mut values = SCHEMA.load(&sources);
    for key in SCHEMA.keys {
        assert!(matches!(values.place(key.name), Place::File { .. }), "{} is in the template", key.name);
    }
    assert!(values.get::<bool>("keep.enabled"));
    assert_eq!(messages(values), Vec::<String>::new());
}

/// The output is a file that says the same, but for what it hides.
#[test]
fn what_is_in_force_is_shown_with_its_place_and_without_secrets() {
    let mut sources = Sources::default();
    sources.file("a/f.toml", "[keep]\nsamples = \"6d\"\nenabled = false\n[server]\nadvertise = [\"a\", \"b\"]\n");
    sources.variable("EVERYPATH_EXAMPLE_DATA_DIR", "postgres://me:secret\u{1b}@here");
    let text = SCHEMA.effective(&sources, &["data_dir", "keep.samples"]);
    for line in [
        "data_dir = \"(hidden)\"  # EVERYPATH_EXAMPLE_DATA_DIR",
        "listen = \"0.0.0.0:8443\"  # default",
        "advertise = [\"a\", \"b\"]  # a/f.toml:5",
        "samples = \"(hidden)\"  # a/f.toml:2",
        "enabled = false  # a/f.toml:3",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
    let mut again = Sources::default();
    again.file("again.toml", SCHEMA.effective(&sources, &[]));
    let mut values = SCHEMA.load(&again);
    assert_eq!(values.get::<Vec<String>>("server.advertise"), ["a", "b"]);
    assert_eq!(values.get::<String>("data_dir"), "postgres://me:secret\u{1b}@here");
    values.finish(()).unwrap();
}
