//! What the aggregator decides, without a clock, a socket or a database: which records of a batch are new ([`admit`]), what
//! the matrix of now is ([`matrix`]), and the bytes that show it ([`live`]). The SQLite store and the simulated aggregator
//! call the same functions, so what is simulated is what ships.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod admit;
pub mod archive;
pub mod follow;
pub mod live;
pub mod matrix;
pub mod report;
pub mod rollup;
pub mod series;
