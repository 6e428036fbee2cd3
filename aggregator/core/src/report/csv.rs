//! The report for a spreadsheet (RFC 4180): one table, a line for each site, agent and pair.

use super::{Availability, Report};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

const HEADER: &str = "what,name,site,target,kind,up_s,down_s,unknown_s,availability_percent,coverage_percent,loss_percent,rtt_mean_ms\r\n";

/// All lines, the whole mesh first. What is not known is empty.
pub fn csv(report: &Report) -> String {
    let mut text = String::from(HEADER);
    push(&mut text, &["mesh", "", "", "", ""], &report.whole, None, None);
    for line in &report.sites {
        push(&mut text, &["site", &line.name, "", "", ""], &line.availability, None, None);
    }
    for line in &report.agents {
        push(&mut text, &["agent", &line.name, &line.site, "", ""], &line.availability, None, None);
    }
    for line in &report.pairs {
        let names = ["pair", &line.source, "", &line.target, line.kind.name()];
        push(&mut text, &names, &line.availability, line.loss_ppm, line.rtt_mean_us);
    }
    text
}

fn push(text: &mut String, names: &[&str; 5], of: &Availability, loss_ppm: Option<u32>, rtt_mean_us: Option<u64>) {
    let thousandths = |value: u64| format!("{}.{:03}", value / 1_000, value % 1_000);
    let percent =
        |ppm: Option<u32>| ppm.map_or_else(String::new, |ppm| format!("{}.{:04}", ppm / 10_000, ppm % 10_000));
    let rtt = rtt_mean_us.map_or_else(String::new, thousandths);
    let values = [
        thousandths(of.up_ms),
        thousandths(of.down_ms),
        thousandths(of.unknown_ms),
        percent(of.share_ppm()),
        percent(Some(of.coverage_ppm())),
        percent(loss_ppm),
        rtt,
    ];
    line(text, names.iter().map(|name| field(name)).chain(values.into_iter().map(Cow::Owned)));
}

/// One line of fields that are written as they stand.
pub(super) fn line<'a>(text: &mut String, fields: impl Iterator<Item = Cow<'a, str>>) {
    for (place, field) in fields.enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&field);
    }
    text.push_str("\r\n");
}

/// A name that a spreadsheet would take for a formula is quoted with an apostrophe, as OWASP says under "CSV injection".
pub(super) fn field(name: &str) -> Cow<'_, str> {
    let is_formula = name.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let needs_quotes = name.contains([',', '"', '\r', '\n']);
    match (is_formula, needs_quotes) {
        (false, false) => Cow::Borrowed(name),
        (true, false) => Cow::Owned(format!("'{name}")),
        (_, true) => {
            let mark = if is_formula { "'" } else { "" };
            Cow::Owned(format!("\"{mark}{}\"", name.replace('"', "\"\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn no_name_is_a_formula_or_ends_its_field() {
        for (name, written) in [
            ("alpha-1", "alpha-1"),
            ("=1+1", "'=1+1"),
            ("-beta", "'-beta"),
            ("a,b", "\"a,b\""),
            ("@a\"b\"", "'@a\"b\"".replace('"', "\"\"").as_str()),
        ] {
            let expected = if name.contains('"') { alloc::format!("\"{written}\"") } else { written.into() };
            assert_eq!(field(name), expected, "{name}");
        }
    }
}
