//! Reads the configuration of a program: built-in defaults, then a TOML file, then environment variables, then flags;
//! later wins. Nothing is read twice, nothing unknown is ignored, and everything that is wrong is said at once, each with
//! the line or the variable to correct.
//!
//! A program lists its keys once, in a [`Schema`]. It then takes each value by its key and its Rust type; the list also
//! makes the commented [template](Schema::template).
//!
//! ```
//! use everypath_config::{Invalid, Key, Schema, Sources};
//! use std::{net::SocketAddr, path::PathBuf, time::Duration};
//!
//! const SCHEMA: Schema = Schema {
//!     program: "example",
//!     prefix: "EVERYPATH_EXAMPLE_",
//!     keys: &[
//!         Key { name: "data_dir", default: "./data", doc: "Where everything is kept." },
//!         Key { name: "probe.interval", default: "5s", doc: "Time between two probes of one target." },
//!         Key { name: "probe.listen", default: "", doc: "Where to answer. Empty: nowhere." },
//!     ],
//! };
//!
//! struct Config { data_dir: PathBuf, interval: Duration, listen: Option<SocketAddr> }
//!
//! fn load(sources: &Sources) -> Result<Config, Invalid> {
//!     let mut values = SCHEMA.load(sources);
//!     let interval: Duration = values.get("probe.interval");
//!     if interval < Duration::from_secs(1) {
//!         values.reject("probe.interval", "must be at least 1s, so that no target is flooded");
//!     }
//!     let config = Config { data_dir: values.get("data_dir"), interval, listen: values.get("probe.listen") };
//!     values.finish(config)
//! }
//!
//! let mut sources = Sources::default();
//! sources.file("example.toml", "[probe]\ninterval = \"10s\"\nlisen = \"127.0.0.1:9\"\n");
//! sources.variable("EVERYPATH_EXAMPLE_DATA_DIR", "/var/lib/example");
//! sources.flag("probe.interval", "3x");
//! let Err(errors) = load(&sources) else { panic!("two things are wrong") };
//! assert_eq!(
//!     errors.to_string(),
//!     "2 errors in the configuration:\n\
//!      \x20 example.toml:3: unknown key `probe.lisen`; did you mean `probe.listen`?\n\
//!      \x20 --interval: `3x` is not a length of time like \"10s\", \"250ms\", \"5m\", \"12h\" or \"7d\""
//! );
//! ```
#![forbid(unsafe_code)]

mod layers;
mod printable;
mod problem;
mod schema;
mod value;
mod values;

pub use layers::Sources;
pub use printable::{printable, printable_line};
pub use problem::{Invalid, Place, Problem};
pub use schema::{Key, Schema};
pub use value::{ByteSize, Value, duration_text};
pub use values::Values;
