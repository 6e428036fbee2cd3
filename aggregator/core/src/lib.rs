//! What the aggregator decides, without a clock, a socket or a database: which records of a batch are new ([`admit`]), what
//! the matrix of now is ([`matrix`]), the bytes that show it ([`live`]), and what people are told of it ([`alert`]). The
//! SQLite store and the simulated aggregator call the same functions, so what is simulated is what ships.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod admit;
pub mod alert;
pub mod archive;
pub mod follow;
pub mod live;
pub mod matrix;
pub mod network;
pub mod report;
pub mod rollup;
pub mod series;
