//! What goes wrong in a run, all drawn from its seed: which kinds, how often, and when.

use crate::network::HostIndex;
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

impl Plan {
    /// Faults for `agents` agents until `until`; the aggregator's host is number `agents`.
    pub fn draw(seed: u64, agents: usize, until: Span) -> Self {
        let mut random = Random::new(seed, 2);
        let mut faults = Vec::new();
        for host in 0..agents {
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
        let mut small = |host| if host == 0 || random.permille(200) { BUFFER_SMALL } else { BUFFER_USUAL };
        Self {
            buffer_bytes: (0..agents).map(&mut small).collect(),
            loss_permille: 5 + Random::new(seed, 3).below(20),
            faults,
        }
    }
}
