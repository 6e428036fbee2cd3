//! What goes wrong in a run, all drawn from its seed: which kinds, how often, and when.

use crate::network::HostIndex;
use crate::pace::{Pace, Size};
use crate::random::Random;
use everypath_protocol::time::Span;

/// Something that goes wrong, or is mended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An agent is killed; it starts again after this long.
    Crash {
        /// Which.
        host: HostIndex,
        /// How long it stays down.
        down: Span,
        /// Its disk is replaced by the last copy of it, if there is one.
        restored: bool,
    },
    /// An agent ends in order, and starts again after this long.
    Stop {
        /// Which.
        host: HostIndex,
        /// How long it stays down.
        down: Span,
    },
    /// A copy of an agent's disk is made.
    Copy(HostIndex),
    /// The aggregator is killed; it starts again after this long.
    ServerCrash(Span),
    /// The network falls into parts, one for each number.
    Part(Vec<u8>),
    /// It is whole again.
    Heal,
    /// A wall clock is set.
    StepClock {
        /// Whose.
        host: HostIndex,
        /// By how much, in microseconds.
        by_us: i64,
    },
    /// A host is suspended, and goes on later.
    Suspend {
        /// Which.
        host: HostIndex,
        /// For how long.
        lasts: Span,
    },
    /// A disk takes nothing for a while.
    DiskFull {
        /// Whose.
        host: HostIndex,
        /// For how long.
        lasts: Span,
    },
    /// The aggregator answers that it is busy.
    Busy(Span),
}

/// The plan of a run: faults with their times, and which agents have a buffer that is too small for the longest outage.
#[derive(Debug)]
pub struct Plan {
    /// Ascending by time.
    pub faults: Vec<(Span, Fault)>,
    /// Bytes of each agent's buffer.
    pub buffer_bytes: Vec<u64>,
    /// Loss each way.
    pub loss_permille: u64,
}

/// A buffer that an outage of a quarter of an hour overflows.
const BUFFER_SMALL: u64 = 96 * 1024;
const BUFFER_USUAL: u64 = 64 * 1024 * 1024;
/// The same for agents that measure every minute, whose blocks are smaller.
const BUFFER_SMALL_KEEPING: u64 = 4 * 1024;

impl Plan {
    /// Faults for a run of `size` until `until`; the aggregator's host comes after the agents.
    pub fn draw(seed: u64, size: Size, until: Span) -> Self {
        let agents = size.agents;
        if size.pace == Pace::Returning {
            return Self { faults: Vec::new(), buffer_bytes: vec![BUFFER_USUAL; agents], loss_permille: 0 };
        }
        let mut random = Random::new(seed, 2);
        let mut faults = Vec::new();
        for host in 0..agents {
            faults.extend(disturbances(&mut random, host, until));
            for _ in 0..random.below(5) {
                let at = random.span(Span::seconds(60), until);
                let down = random.span(Span::millis(200), Span::seconds(120));
                let fault = if random.permille(200) {
                    Fault::Stop { host, down }
                } else {
                    Fault::Crash { host, down, restored: random.permille(300) }
                };
                faults.push((at, fault));
            }
            if random.permille(600) {
                faults.push((random.span(Span::seconds(60), until), Fault::Copy(host)));
            }
        }
        for _ in 0..=random.below(4) {
            let at = random.span(Span::seconds(30), until);
            faults.push((at, Fault::Busy(random.span(Span::seconds(1), Span::seconds(300)))));
        }
        for _ in 0..=random.below(4) {
            let at = random.span(Span::seconds(30), until);
            faults.push((at, Fault::ServerCrash(random.span(Span::seconds(1), Span::seconds(90)))));
        }
        // One outage long enough for the small buffers to overflow and for windows to grow.
        let latest = Span(until.0.saturating_sub(Span::seconds(1_500).0));
        let long = random.span(Span::seconds(900), Span::seconds(1_200));
        faults.push((random.span(Span::seconds(300), latest.max(Span::seconds(301))), Fault::ServerCrash(long)));
        for _ in 0..=random.below(5) {
            let at = random.span(Span::seconds(30), until);
            let pieces = 2 + random.below(2);
            let part = |_| u8::try_from(random.below(pieces)).unwrap_or(0);
            faults.push((at, Fault::Part((0..=agents).map(part).collect())));
            let whole = Span(at.0 + random.span(Span::seconds(5), Span::seconds(600)).0);
            faults.push((whole, Fault::Heal));
        }
        faults.sort_by_key(|(at, _)| *at);
        let small_bytes = match size.pace {
            Pace::Mesh | Pace::Returning => BUFFER_SMALL,
            Pace::Keeping => BUFFER_SMALL_KEEPING,
        };
        let mut small = |host| if host == 0 || random.permille(200) { small_bytes } else { BUFFER_USUAL };
        Self {
            buffer_bytes: (0..agents).map(&mut small).collect(),
            loss_permille: 5 + Random::new(seed, 3).below(20),
            faults,
        }
    }
}

/// What befalls one host and is no crash.
fn disturbances(random: &mut Random, host: HostIndex, until: Span) -> Vec<(Span, Fault)> {
    const HOUR_US: i64 = 3_600_000_000;
    /// An hour and a year, forth and back, and to about 1970.
    const STEPS_US: [i64; 5] = [HOUR_US, -HOUR_US, 8_760 * HOUR_US, -8_760 * HOUR_US, -56 * 8_766 * HOUR_US];
    let mut found = Vec::new();
    if random.permille(100) {
        let step = usize::try_from(random.below(5)).unwrap_or(0);
        let at = random.span(Span::seconds(60), until);
        found.push((at, Fault::StepClock { host, by_us: STEPS_US[step] }));
        if random.permille(700) {
            // Somebody notices.
            let later = Span(at.0 + random.span(Span::seconds(1), Span::seconds(1_800)).0);
            found.push((later, Fault::StepClock { host, by_us: -STEPS_US[step] }));
        }
    }
    if random.permille(150) {
        let lasts = random.span(Span::seconds(1), Span::seconds(1_200));
        found.push((random.span(Span::seconds(60), until), Fault::Suspend { host, lasts }));
    }
    if random.permille(150) {
        let lasts = random.span(Span::seconds(1), Span::seconds(900));
        found.push((random.span(Span::seconds(60), until), Fault::DiskFull { host, lasts }));
    }
    found
}
