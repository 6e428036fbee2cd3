//! What is wrong, and where to correct it.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Nobody set it.
    Default,
    /// Line of a file, counted from 1; 0 stands for the file as a whole.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag on the command line; holds the key.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File { path, line: 0 } => write!(out, "{}", path.display()),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::Variable(name) => out.write_str(name),
            Self::Flag(key) => {
                write!(out, "--{}", key.rsplit_once('.').map_or(key.as_str(), |(_, last)| last).replace('_', "-"))
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what would be right.
    pub message: String,
}

/// Everything that is wrong; prints one line for each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => out.write_str("1 error in the configuration:")?,
            count => write!(out, "{count} errors in the configuration:")?,
        }
        self.problems.iter().try_for_each(|problem| write!(out, "\n  {}: {}", problem.place, problem.message))
    }
}
