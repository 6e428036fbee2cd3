//! The numbers in force: what the mesh's configuration says, unless the operator of this host said something else.

use crate::params::AgentParams;
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::time::Span;
use everypath_verdict::Thresholds;

/// What the operator of this host set. It wins over the mesh's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// Each target is probed this often.
    pub probe_interval: Option<Span>,
    /// Without a reply for this long a probe is lost.
    pub probe_timeout: Option<Span>,
}

/// How often, how long, and what counts as broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Each target is probed this often.
    pub interval: Span,
    /// Without a reply for this long a probe is lost; at most the interval.
    pub timeout: Span,
    /// Length of a window; at least the interval.
    pub window: Span,
    /// Length of a window while nobody takes the results; at least the window.
    pub window_lonely: Span,
    /// Where one state of a cell ends and the next begins.
    pub thresholds: Thresholds,
}

impl Pace {
    /// 1. What the operator of this host set holds, then what the mesh's configuration says, then what `params` say.
    /// 2. The timeout gives way to the interval, and a window is at least as long as the interval: otherwise most would be empty.
    /// 3. When a cell is stale is counted in intervals, so it follows the interval that is in force.
    pub fn new(params: &AgentParams, config: Option<&MeshConfig>) -> Self {
        let Overrides { probe_interval, probe_timeout } = params.overrides;
        let (interval, timeout, window) = match config {
            Some(config) => (config.interval(), config.timeout(), config.window()),
            None => (params.probe_interval, params.probe_timeout, params.window),
        };
        let interval = probe_interval.unwrap_or(interval);
        let window = window.max(interval);
        let mut thresholds = config.map_or(params.thresholds, Thresholds::from);
        if let (Some(config), Some(interval)) = (config, probe_interval) {
            thresholds.stale_after = Span(interval.0.saturating_mul(config.cells.stale_after_intervals.into()));
        }
        Self {
            interval,
            timeout: probe_timeout.unwrap_or(timeout).min(interval),
            window,
            window_lonely: params.window_lonely.max(window),
            thresholds,
        }
    }
}
