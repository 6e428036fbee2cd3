//! The configuration of the mesh in YAML. The API speaks JSON; this is for files that people keep under version control.

use super::text::ConfigText;

/// Reads a file; what is left out is as agents do it by themselves.
///
/// # Errors
/// What is wrong with the form, with its line.
pub fn read(text: &str) -> Result<ConfigText, String> {
    // A file of nothing but comments is nothing at all in YAML, and means here what an empty one means.
    let is_content =
        |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#') && line.trim() != "---";
    if !text.lines().any(is_content) {
        return Ok(ConfigText::default());
    }
    // The picture of the place names a file that nobody knows.
    serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string())
}

/// Writes a file.
///
/// # Errors
/// None that this form has; the library's type says that there may be.
pub fn write(config: &ConfigText) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(config)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh_config::text::{AgentText, EndpointText, ExclusionText};

    #[test]
    fn what_is_written_is_read_back() {
        let config = ConfigText {
            endpoints: vec![EndpointText {
                name: "gateway".into(),
                address: "2001:db8::1".into(),
                observers: vec!["site:alpha".into(), "agent:007".into()],
            }],
            // Words that YAML would take for something else.
            agents: vec![AgentText {
                agent: "no".into(),
                site: Some("1e3".into()),
                tags: vec!["true".into(), "0x10".into(), "null".into(), "1_000".into()],
            }],
            exclude: vec![ExclusionText { between: vec!["all".into(), "tag:yes".into()] }],
            ..ConfigText::default()
        };
        let text = write(&config).expect("written");
        assert_eq!(read(&text).as_ref(), Ok(&config), "{text}");
        assert_eq!(read(&write(&ConfigText::default()).expect("written")), Ok(ConfigText::default()));
    }

    #[test]
    fn parts_are_enough_and_mistakes_are_told_with_their_place() {
        for nothing in ["", "# nothing\n", "---\n"] {
            assert_eq!(read(nothing), Ok(ConfigText::default()), "{nothing:?}");
        }
        let some = read("probe:\n  interval: 2s\nwindow: 20s # of seconds\n").expect("right");
        assert_eq!((some.probe.interval.as_str(), some.window.as_str()), ("2s", "20s"));
        for (wrong, part) in [
            ("probe:\n  intervall: 2s\n", "intervall"),
            ("probe: [1\n", "line"),
            ("endpoints:\n  - name: a\n", "address"),
            ("window: 10s\nwindow: 20s\n", "window"),
        ] {
            let said = read(wrong).expect_err(wrong);
            assert!(said.contains(part), "{part:?} is not in {said}");
            assert!(!said.contains("error:") && !said.contains("<input>"), "{said}");
        }
    }

    #[test]
    fn a_file_that_grows_when_it_is_read_is_refused() {
        let mut bomb = "agents: &a0 [{agent: x}]\n".to_owned();
        for level in 1..30 {
            bomb.push_str(&format!("exclude{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n", level - 1));
        }
        assert!(read(&bomb).is_err());
        let deep = "[".repeat(100_000);
        assert!(read(&deep).is_err());
    }
}
