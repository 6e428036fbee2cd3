//! Values as people write them: lengths of time, sizes, addresses, lists.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A type that a key can have.
pub trait Value: Sized {
    /// Completes "… is not ".
    const EXPECTED: &'static str;

    /// Reads one written value; `None` if it is not one.
    fn parse(text: &str) -> Option<Self>;

    /// Reads a value that may have been written as a list. Only lists take more than one item.
    fn parse_items(items: &[String]) -> Result<Self, String> {
        match items {
            [item] => Self::parse(item).ok_or_else(|| item.clone()),
            _ => Err(items.join(", ")),
        }
    }
}

macro_rules! from_str_value {
    ($($kind:ty: $expected:literal),* $(,)?) => {
        $(impl Value for $kind {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        })*
    };
}

from_str_value! {
    String: "a text",
    PathBuf: "a path",
    bool: "true or false",
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number",
    usize: "a whole number",
    IpAddr: "an IP address like 192.0.2.1 or 2001:db8::1",
    SocketAddr: "an IP address and a port like 127.0.0.1:8080 or [::1]:8080",
}

impl Value for Duration {
    const EXPECTED: &'static str = "a length of time like \"10s\", \"250ms\", \"5m\", \"12h\" or \"7d\"";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let millis_each = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.checked_mul(millis_each).map(Self::from_millis)
    }
}

/// Writes a length of time as [`Duration`] values are written: in the largest unit that is exact.
pub fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let exact = units.iter().find(|(each, _)| millis > 0 && millis.is_multiple_of(*each));
    exact.map_or_else(|| format!("{millis}ms"), |(each, unit)| format!("{}{unit}", millis / each))
}

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ByteSize(pub u64);

impl Value for ByteSize {
    const EXPECTED: &'static str = "a size like \"64KiB\", \"16MiB\" or \"2GiB\"";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let bytes_each = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return None,
        };
        number.checked_mul(bytes_each).map(Self)
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Empty is "none".
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }
}

/// A list of the file, flags given several times, or one text with commas.
impl<T: Value> Value for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }

    fn parse_items(items: &[String]) -> Result<Self, String> {
        let mut all = Self::new();
        for item in items {
            all.extend(Self::parse(item).ok_or_else(|| item.clone())?);
        }
        Ok(all)
    }
}
