//! Figures as one JSON object: the last line on standard output, and a file.

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::path::Path;

/// Prints `figures` as the last line and writes them to `target/bench/NAME.json`.
pub(crate) fn finish(name: &str, figures: &Map<String, Value>) -> anyhow::Result<()> {
    let text = Value::Object(figures.clone()).to_string();
    let folder = Path::new("target/bench");
    std::fs::create_dir_all(folder).context("while making target/bench")?;
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, format!("{text}\n")).with_context(|| format!("while writing {}", file.display()))?;
    say(&text);
    Ok(())
}

/// A line on standard output.
pub(crate) fn say(line: &str) {
    // A closed standard output is no reason to stop measuring.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line for whoever watches.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Three significant digits after the point are more than any of these measurements deserve.
pub(crate) fn figure(value: f64) -> Value {
    json!((value * 1_000.0).round() / 1_000.0)
}

/// A whole number.
pub(crate) fn whole(value: f64) -> Value {
    json!(value.round())
}
