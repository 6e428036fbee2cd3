//! The one check of a configuration. It finds everything that is wrong at once, each with the place where it is.

use super::{
    ADDRESS_BYTES_MAX, AGENTS_MAX, ENDPOINTS_MAX, EXCLUSIONS_MAX, INTERVAL_MS, MeshConfig, SELECTORS_MAX, Selector,
    TAGS_MAX, TIMEOUT_MS_MIN, VERSION_MAX, WINDOWS_MS,
};
use crate::codec;
use crate::fault::Fault;
use crate::id::AgentId;
use crate::sign::Document;
use crate::trust::is_valid_name;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Faults that are told; whoever has more has made one mistake many times.
const FAULTS_MAX: usize = 64;
/// Behind a name that cannot be one.
const NAME_RULE: &str = "must be 1 to 64 letters, digits, '-', '_' or '.'";

impl MeshConfig {
    /// Everything that is wrong, in the order of the document, at most 64 faults; nothing if it can be used.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_numbers(&mut faults);
        self.check_endpoints(&mut faults);
        self.check_agents(&mut faults);
        limit(&mut faults, "exclude", self.exclude.len(), EXCLUSIONS_MAX);
        for (place, exclusion) in self.exclude.iter().enumerate() {
            for (end, selector) in [&exclusion.one, &exclusion.other].into_iter().enumerate() {
                check_selector(&mut faults, format!("exclude[{place}].between[{end}]"), selector);
            }
        }
        faults.extend(oversize(codec::encode(self).len()));
        faults.truncate(FAULTS_MAX);
        faults
    }

    fn check_numbers(&self, faults: &mut Vec<Fault>) {
        if self.version > VERSION_MAX {
            faults.push(Fault::new("version", "is higher than any that a database can hold"));
        }
        let interval_ms = self.probe.interval_ms;
        if !INTERVAL_MS.contains(&interval_ms) {
            faults.push(Fault::new("probe.interval", "must be from 1s to 60s"));
        }
        // Compared with the nearest interval that may be, so that what is wrong beside a wrong interval is said too.
        let interval_ms = interval_ms.clamp(*INTERVAL_MS.start(), *INTERVAL_MS.end());
        if self.probe.timeout_ms < TIMEOUT_MS_MIN || self.probe.timeout_ms > interval_ms {
            faults.push(Fault::new("probe.timeout", "must be from 100ms up to probe.interval"));
        }
        if !WINDOWS_MS.contains(&self.window_ms) && self.window_ms < interval_ms {
            let message =
                "must be 10s, 12s, 15s, 20s, 30s or 1m, which are parts of a minute, and at least probe.interval";
            faults.push(Fault::new("window", message));
        } else if !WINDOWS_MS.contains(&self.window_ms) {
            faults.push(Fault::new("window", "must be 10s, 12s, 15s, 20s, 30s or 1m, which are parts of a minute"));
        } else if self.window_ms < interval_ms {
            faults.push(Fault::new("window", "must be at least probe.interval, or windows would be empty"));
        }
        let cells = &self.cells;
        let mut range = |path: &str, value: u32, least: u32, most: u32| {
            if !(least..=most).contains(&value) {
                faults.push(Fault::new(path, format!("must be from {least} to {most}")));
            }
        };
        range("cells.down_after_losses", cells.down_after_losses.into(), 1, 12);
        range("cells.up_after_replies", cells.up_after_replies.into(), 1, 12);
        range("cells.lossy_after_losses", cells.lossy_after_losses.into(), 1, 24);
        range("cells.stale_after_intervals", cells.stale_after_intervals.into(), 2, 20);
        if cells.slow_margin_ms > 10_000 {
            faults.push(Fault::new("cells.slow_margin", "must be at most 10s"));
        }
    }

    fn check_endpoints(&self, faults: &mut Vec<Fault>) {
        limit(faults, "endpoints", self.endpoints.len(), ENDPOINTS_MAX);
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for (place, endpoint) in self.endpoints.iter().enumerate() {
            let path = |field: &str| format!("endpoints[{place}].{field}");
            if !is_valid_name(&endpoint.name) {
                faults.push(Fault::new(path("name"), NAME_RULE));
            } else if !names.insert(endpoint.name.as_str()) {
                faults.push(Fault::new(path("name"), format!("`{}` is there twice", endpoint.name)));
            }
            if let Some(why) = address_fault(&endpoint.address) {
                faults.push(Fault::new(path("address"), why));
            } else if !addresses.insert(canonical(&endpoint.address)) {
                let why = format!("`{}` is there twice; agents send to one address for one endpoint", endpoint.address);
                faults.push(Fault::new(path("address"), why));
            }
            limit(faults, &path("observers"), endpoint.observers.len(), SELECTORS_MAX);
            for (which, selector) in endpoint.observers.iter().enumerate() {
                check_selector(faults, path(&format!("observers[{which}]")), selector);
            }
        }
    }

    fn check_agents(&self, faults: &mut Vec<Fault>) {
        limit(faults, "agents", self.agents.len(), AGENTS_MAX);
        let mut agents = BTreeSet::new();
        for (place, entry) in self.agents.iter().enumerate() {
            let path = |field: &str| format!("agents[{place}].{field}");
            if !is_valid_name(&entry.agent) {
                faults.push(Fault::new(path("agent"), format!("{NAME_RULE}, or the 64 digits of a key")));
            } else if !agents
                .insert(AgentId::parse(&entry.agent).map_or_else(|| entry.agent.clone(), |id| id.to_string()))
            {
                faults.push(Fault::new(path("agent"), format!("`{}` is there twice", entry.agent)));
            }
            if entry.site.as_ref().is_some_and(|site| !is_valid_name(site)) {
                faults.push(Fault::new(path("site"), NAME_RULE));
            }
            limit(faults, &path("tags"), entry.tags.len(), TAGS_MAX);
            for (which, _) in entry.tags.iter().enumerate().filter(|(_, tag)| !is_valid_name(tag)) {
                faults.push(Fault::new(path(&format!("tags[{which}]")), NAME_RULE));
            }
        }
    }
}

/// What is wrong with a document of so many bytes.
pub fn oversize(bytes: usize) -> Option<Fault> {
    let bytes_max = MeshConfig::BYTES_MAX;
    (bytes > bytes_max).then(|| Fault::new("", format!("the whole is {bytes} bytes and may have {bytes_max}")))
}

fn limit(faults: &mut Vec<Fault>, path: &str, count: usize, most: usize) {
    if count > most {
        faults.push(Fault::new(path, format!("has {count} entries and may have {most}")));
    }
}

fn check_selector(faults: &mut Vec<Fault>, path: String, selector: &Selector) {
    if !selector.is_valid() {
        faults.push(Fault::new(path, format!("the name in `{selector}` {NAME_RULE}")));
    }
}

/// One address in one form: `2001:DB8::1` and `2001:db8:0::1` are the same.
fn canonical(address: &str) -> String {
    let name = || address.trim_end_matches('.').to_ascii_lowercase();
    address.parse::<IpAddr>().map_or_else(|_| name(), |ip| ip.to_canonical().to_string())
}

/// What is wrong with an address that shall be probed, if anything is. Also asked of what a DNS name leads to.
pub fn address_fault(address: &str) -> Option<String> {
    if let Ok(ip) = address.parse::<IpAddr>() {
        return forbidden(ip.to_canonical()).map(|kind| format!("{ip} is {kind}, which is not measured"));
    }
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = address.strip_suffix('.').unwrap_or(address);
    // A name of digits only is a mistyped address.
    let is_name = name.split('.').all(is_label) && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    (address.len() > ADDRESS_BYTES_MAX || !is_name)
        .then(|| "must be an IP address like 192.0.2.1 or a DNS name like gateway.example.net".to_owned())
}

/// Addresses that lead to this host, to everybody, or to nobody.
const fn forbidden(ip: IpAddr) -> Option<&'static str> {
    if ip.is_unspecified() {
        return Some("no address");
    }
    if ip.is_multicast() {
        return Some("a multicast address");
    }
    if ip.is_loopback() {
        return Some("a loopback address");
    }
    match ip {
        IpAddr::V4(ip) if ip.is_broadcast() => Some("a broadcast address"),
        IpAddr::V4(ip) if ip.octets()[0] == 0 || ip.octets()[0] >= 240 => Some("a reserved address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}
