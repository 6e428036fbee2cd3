//! Ranges of time as they stand in a query: `from` and `to`, or `range` before `to`.

use super::ApiError;
use crate::clock::{span, time_of};
use everypath_config::Value as _;
use everypath_protocol::time::{Span, UnixTime};
use std::time::Duration;

/// What was said of a range.
pub(super) struct Said<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) range: Option<&'a str>,
}

impl Said<'_> {
    /// First moment, and first moment after it. Without a beginning it is `usual` long, without an end it ends now.
    pub(super) fn read(&self, usual: Span, now: UnixTime) -> Result<(UnixTime, UnixTime), ApiError> {
        if self.from.is_some() && self.range.is_some() {
            return Err(fault("range", "says the same thing as `from`; give one of them"));
        }
        let to = time("to", self.to)?.unwrap_or(now);
        let from = match time("from", self.from)? {
            Some(from) => from,
            None => to.minus(length("range", self.range)?.unwrap_or(usual)),
        };
        Ok((from, to))
    }
}

pub(super) fn invalid(detail: String) -> ApiError {
    ApiError::invalid("invalid_range", detail)
}

pub(super) fn fault(path: &str, message: impl Into<String>) -> ApiError {
    ApiError::fault("invalid_range", path, message)
}

fn time(name: &str, text: Option<&str>) -> Result<Option<UnixTime>, ApiError> {
    let wrong = || fault(name, "is not a time like 2026-11-23T00:00:00Z (RFC 3339; a + must be written %2B)");
    text.map(|text| time_of(text).ok_or_else(wrong)).transpose()
}

pub(super) fn length(name: &str, text: Option<&str>) -> Result<Option<Span>, ApiError> {
    let wrong = || fault(name, format!("is not {}", Duration::EXPECTED));
    text.map(|text| Duration::parse(text).map(span).ok_or_else(wrong)).transpose()
}
