//! A report as a mail: what most people read, and the tables beside it for those who count.

use super::{Availability, IncidentLine, Report};
use crate::alert::render::{Clock, cut, length};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::time::UnixTime;

/// Most lines of each list; the tables have all.
const LINES_MAX: usize = 10;
/// Most characters of a name in a list.
const NAME_MAX: usize = 40;

/// What a report is about, beside its numbers.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What its schedule is called.
    pub name: &'a str,
    /// The site that it is about; all of the mesh without one.
    pub site: Option<&'a str>,
    /// The newest incidents.
    pub incidents: &'a [IncidentLine],
    /// How many there were.
    pub incidents_count: usize,
    /// The beginning of the mesh's id.
    pub mesh: &'a str,
    /// Where the pages are.
    pub url: Option<&'a str>,
    /// Since when there is a mesh.
    pub began: Option<UnixTime>,
    /// When it is made.
    pub now: UnixTime,
}

/// Subject and text, lines end with `\n`.
pub fn mail(report: &Report, about: &About<'_>, clock: Clock<'_>) -> (String, String) {
    let (from, to) = (clock(report.period.from), clock(report.period.to));
    let days = format!("{} to {}", cut_day(&from), cut_day(&to));
    let site = about.site.and_then(|site| report.sites.iter().find(|line| line.name == site));
    let whole = site.map_or(&report.whole, |line| &line.availability);
    let subject = format!("[report] {}: availability {}, {days}", about.name, percent(whole.share_ppm()));
    let mut body = match about.site {
        Some(site) => format!("Site {site}, {from} to {to}\n\n"),
        None => format!("All of the mesh, {from} to {to}\n\n"),
    };
    let coverage = percent(Some(whole.coverage_ppm()));
    body.push_str(&format!("Availability {}, coverage {coverage}.\n", percent(whole.share_ppm())));
    body.push_str("Availability is up / (up + down); what nobody measured is neither, and lowers the coverage.\n");
    body.push_str(&since_when(report, about, whole, clock));
    incidents(&mut body, about, clock);
    if about.site.is_none() {
        let sites = report.sites.iter().map(|line| (line.name.clone(), &line.availability));
        list(&mut body, "Sites, the worst first", sites.collect());
    }
    let is_inside = |of: &str| about.site.is_none_or(|site| site == of);
    let agents = report.agents.iter().filter(|line| is_inside(&line.site));
    list(&mut body, "Agents, the worst first", agents.map(|line| (line.name.clone(), &line.availability)).collect());
    let pairs = report.pairs.iter().filter(|line| line.availability.down_ms > 0);
    let pairs = pairs.map(|line| (format!("{} -> {}", line.source, line.target), &line.availability));
    list(&mut body, "Paths that were down, the worst first", pairs.collect());
    body.push('\n');
    if let Some(url) = about.url {
        body.push_str(&format!("{:<14}{url}/reports\n", "Look"));
    }
    body.push_str(&format!("{:<14}{}\n", "Mesh", about.mesh));
    (subject, body)
}

/// Why there may be less than the period is long.
fn since_when(report: &Report, about: &About<'_>, whole: &Availability, clock: Clock<'_>) -> String {
    match about.began {
        None => "There is no agent yet.\n".into(),
        Some(began) if began >= report.period.to => {
            format!("The mesh was not there yet: its first agent joined at {}.\n", clock(began))
        }
        Some(began) if began > report.period.from => {
            format!("There is data from {} on; before that the mesh was not there yet.\n", clock(began))
        }
        Some(_) if *whole == Availability::default() => "Nobody measured anything in this time.\n".into(),
        Some(_) => String::new(),
    }
}

fn incidents(body: &mut String, about: &About<'_>, clock: Clock<'_>) {
    match about.incidents_count {
        0 => body.push_str("\nNo incidents.\n"),
        count => body.push_str(&format!("\nIncidents ({count})\n")),
    }
    for incident in about.incidents.iter().take(LINES_MAX) {
        let lasted = incident.lasted(about.now).as_micros();
        let lasted = length(i64::try_from(lasted).unwrap_or(i64::MAX));
        let still = if incident.ended.is_none() { ", still open" } else { "" };
        let (since, severity) = (clock(incident.since), &incident.severity);
        body.push_str(&format!("  {since}  [{severity}] {} ({lasted}{still})\n", incident.title));
    }
    more(body, about.incidents_count);
}

fn list(body: &mut String, head: &str, lines: Vec<(String, &Availability)>) {
    if lines.is_empty() {
        return;
    }
    body.push_str(&format!("\n{head}\n"));
    for (name, availability) in lines.iter().take(LINES_MAX) {
        let down = length(i64::try_from(availability.down_ms.saturating_mul(1_000)).unwrap_or(i64::MAX));
        let (share, coverage) = (percent(availability.share_ppm()), percent(Some(availability.coverage_ppm())));
        let name = cut(name, NAME_MAX);
        body.push_str(&format!("  {name:<NAME_MAX$}  {share:>10}  down {down}, coverage {coverage}\n"));
    }
    more(body, lines.len());
}

fn more(body: &mut String, count: usize) {
    if count > LINES_MAX {
        body.push_str(&format!("  and {} more\n", count - LINES_MAX));
    }
}

fn percent(ppm: Option<u32>) -> String {
    ppm.map_or_else(|| "unknown".into(), |ppm| format!("{}.{:04} %", ppm / 10_000, ppm % 10_000))
}

/// The day of a time as it is written.
fn cut_day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}
