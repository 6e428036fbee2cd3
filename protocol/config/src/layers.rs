//! The layers, from the file up.

use crate::problem::{Place, Problem};
use crate::schema::Schema;
use crate::values::{Setting, Values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// What was given to a program. A default value of this type reads nothing at all, which is what tests want.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<(PathBuf, Result<String, String>)>,
    variables: Vec<(String, String)>,
    flags: Vec<(String, Vec<String>)>,
}

impl Sources {
    /// The environment of this process and, if one is named, a file. That the file cannot be read is an error like any
    /// other, reported with the rest.
    pub fn of_process(file: Option<&Path>) -> Self {
        let file = file.map(|path| (path.to_owned(), std::fs::read_to_string(path).map_err(|error| error.to_string())));
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self { file, variables: std::env::vars_os().filter_map(readable).collect(), flags: Vec::new() }
    }

    /// Takes `text` for the content of the file `path`.
    pub fn file(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> &mut Self {
        self.file = Some((path.into(), Ok(text.into())));
        self
    }

    /// Adds an environment variable.
    pub fn variable(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets a key from a flag. The flag's name must be the key's with hyphens, so that errors can name it.
    pub fn flag(&mut self, key: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.flags.push((key.into(), vec![value.into()]));
        self
    }

    /// Sets a key from a flag that may be left out.
    pub fn flag_if<T: ToString>(&mut self, key: &str, value: Option<&T>) -> &mut Self {
        if let Some(value) = value {
            self.flag(key, value.to_string());
        }
        self
    }

    /// Sets a list from a flag that may be given several times; none leaves the lower layers alone.
    pub fn flags<T: ToString>(&mut self, key: &str, values: &[T]) -> &mut Self {
        if !values.is_empty() {
            self.flags.push((key.to_owned(), values.iter().map(ToString::to_string).collect()));
        }
        self
    }
}

pub(crate) fn load(schema: &Schema, sources: &Sources) -> Values {
    let mut layers = Layers { schema, settings: BTreeMap::new(), problems: Vec::new() };
    for key in schema.keys {
        layers
            .settings
            .insert(key.name.to_owned(), Setting { items: vec![key.default.to_owned()], place: Place::Default });
    }
    if let Some((path, content)) = &sources.file {
        match content {
            Ok(text) => layers.add_file(path, text),
            Err(why) => layers.complain(Place::File { path: path.clone(), line: 0 }, format!("cannot be read: {why}")),
        }
    }
    for (variable, value) in &sources.variables {
        if let Some(rest) = variable.strip_prefix(schema.prefix) {
            let name = rest.replace("__", ".").to_ascii_lowercase();
            layers.set(&name, vec![value.clone()], Place::Variable(variable.clone()));
        }
    }
    for (key, items) in &sources.flags {
        layers.set(key, items.clone(), Place::Flag(key.clone()));
    }
    Values::new(*schema, layers.settings, layers.problems)
}

struct Layers<'a> {
    schema: &'a Schema,
    settings: BTreeMap<String, Setting>,
    problems: Vec<Problem>,
}

impl Layers<'_> {
    fn add_file(&mut self, path: &Path, text: &str) {
        let place = |offset: usize| Place::File { path: path.to_owned(), line: line_of(text, offset) };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            self.complain(place(error.span().map_or(0, |span| span.start)), error.message().to_owned());
        }
        // After a syntax error the rest of the file is guesswork; complaints about it would mislead.
        if errors.is_empty() {
            self.add_table("", table.get_ref(), &place);
        }
    }

    fn add_table(&mut self, section: &str, table: &DeTable<'_>, place: &dyn Fn(usize) -> Place) {
        for (key, value) in table {
            let key_place = place(key.span().start);
            let name =
                if section.is_empty() { key.get_ref().to_string() } else { format!("{section}.{}", key.get_ref()) };
            let value = value.get_ref();
            if let Some(text) = scalar(value) {
                self.set(&name, vec![text], key_place);
            } else if let Some(items) = value.as_array() {
                match items.iter().map(|item| scalar(item.get_ref())).collect() {
                    Some(items) => self.set(&name, items, key_place),
                    None => self.complain(key_place, format!("`{name}` must be a list of plain values")),
                }
            } else if self.schema.knows(&name) {
                self.complain(key_place, format!("`{name}` must be a plain value, not a section"));
            } else if self.schema.has_section(&name) {
                value.as_table().into_iter().for_each(|inner| self.add_table(&name, inner, place));
            } else {
                self.complain(key_place, self.unknown("section", &name));
            }
        }
    }

    fn set(&mut self, name: &str, items: Vec<String>, place: Place) {
        match self.settings.get_mut(name) {
            Some(setting) => *setting = Setting { items, place },
            None => self.complain(place, self.unknown("key", name)),
        }
    }

    fn unknown(&self, what: &str, name: &str) -> String {
        match self.schema.nearest(name) {
            Some(known) => format!("unknown {what} `{name}`; did you mean `{known}`?"),
            None => format!("unknown {what} `{name}`; `{} config template` lists all keys", self.schema.program),
        }
    }

    fn complain(&mut self, place: Place, message: String) {
        self.problems.push(Problem { place, message });
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
