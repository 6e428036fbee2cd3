//! How unsteady an incident is: each reopening adds to a number that halves with time (the idea of RFC 2439, for
//! notifications only: what is found is found, however often).

use super::rules::Rules;
use everypath_protocol::time::Span;

/// What is left of `penalty` after `elapsed`. Between two halvings it falls in a straight line.
pub(super) fn decayed(penalty: u32, elapsed: Span, rules: &Rules) -> u32 {
    let half_life = rules.penalty_half_life.0.max(1);
    let halvings = u32::try_from(elapsed.0 / half_life).unwrap_or(u32::MAX);
    let halved = u64::from(penalty.checked_shr(halvings).unwrap_or(0));
    // Both in units of 1/1024 of a half-life, so that nothing overflows.
    let part = (elapsed.0 % half_life) / half_life.div_ceil(1024).max(1);
    u32::try_from(halved - halved * part.min(1024) / 2048).unwrap_or(u32::MAX)
}
