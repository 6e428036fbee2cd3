//! Each machine alone: inputs in, effects out, compared.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the effects that it is about")]

mod agent;
mod bench;
mod clocks;
mod configured;
mod exchange;
mod limits;
mod membership;
mod outbox;
mod poison;
mod schedule;
mod uploader;
mod windows;
