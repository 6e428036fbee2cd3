//! Subcommands that are longer than one call into the library.

pub(crate) mod database;
pub(crate) mod people;
