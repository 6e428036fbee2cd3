//! The effective values, taken one by one with their types.

use crate::problem::{Invalid, Place, Problem};
use crate::schema::Schema;
use crate::value::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) items: Vec<String>,
    pub(crate) place: Place,
}

/// What the layers came to, and what was wrong so far.
#[derive(Debug)]
pub struct Values {
    schema: Schema,
    settings: BTreeMap<String, Setting>,
    problems: Vec<Problem>,
}

impl Values {
    pub(crate) const fn new(schema: Schema, settings: BTreeMap<String, Setting>, problems: Vec<Problem>) -> Self {
        Self { schema, settings, problems }
    }

    /// The value of a key. One that cannot be read is noted, and the default stands in until [`Self::finish`] refuses.
    ///
    /// # Panics
    /// If the schema does not list `name` or its default is not a `T`: the program contradicts itself.
    pub fn get<T: Value>(&mut self, name: &str) -> T {
        let setting = self.settings.get(name).expect("the schema lists every key that is read");
        match T::parse_items(&setting.items) {
            Ok(value) => value,
            Err(text) => {
                let message = format!("`{text}` is not {}", T::EXPECTED);
                self.problems.push(Problem { place: setting.place.clone(), message });
                let key = self.schema.keys.iter().find(|key| key.name == name);
                key.and_then(|key| T::parse(key.default)).expect("every default can be read")
            }
        }
    }

    /// Notes that the value of a key cannot be used, with a message that says what would be right.
    pub fn reject(&mut self, name: &str, message: impl Into<String>) {
        let place = self.place(name).clone();
        let message = message.into();
        let message = if place == Place::Default { format!("`{name}`: {message}") } else { message };
        self.problems.push(Problem { place, message });
    }

    /// Where the value of a key comes from.
    ///
    /// # Panics
    /// If the schema does not list `name`.
    pub fn place(&self, name: &str) -> &Place {
        &self.settings.get(name).expect("the schema lists every key that is read").place
    }

    /// What was written for a key.
    pub(crate) fn items(&self, name: &str) -> &[String] {
        &self.settings.get(name).expect("the schema lists every key that is read").items
    }

    /// `config`, if nothing was wrong.
    ///
    /// # Errors
    /// [`Invalid`] with everything that was.
    pub fn finish<T>(self, config: T) -> Result<T, Invalid> {
        if self.problems.is_empty() { Ok(config) } else { Err(Invalid { problems: self.problems }) }
    }
}
