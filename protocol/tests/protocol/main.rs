//! What must hold for all values, and for all bytes.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test may panic, and cuts random bits short"
)]

mod hostile_bytes;
mod laws;
mod mesh_config;
mod random;
