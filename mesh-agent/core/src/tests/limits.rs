//! The arithmetic behind the limits, computed from the bytes that are really written.

use crate::params::AgentParams;
use alloc::vec::Vec;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq, mix64};
use everypath_protocol::record::Record;
use everypath_protocol::time::Span;
use everypath_protocol::window::{ProbeKind, ProbeOutcome, Window};

/// Sixty-four windows of `span`, as an agent writes them when a window closes.
fn block(span: Span, probes: u64) -> Block {
    let now = super::bench::at(0);
    let window = |target: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&mix64(target).to_le_bytes());
        let mut window = Window::new(AgentId(id), ProbeKind::Icmp, now.wall);
        window.span = span;
        // Round trips of 40 ms that scatter by a tenth.
        let rtt = |probe| 40_000 + u32::try_from(mix64(target * 100 + probe) % 4_000).unwrap();
        (0..probes).for_each(|probe| window.add(ProbeOutcome::Replied { rtt_us: rtt(probe) }));
        Record::Window(window.slimmed())
    };
    let records: Vec<Record> = (0..64).map(window).collect();
    let written = now;
    let content = Content::Records(records);
    Block { epoch: Epoch(u64::MAX), first: Seq(1 << 20), boot: BootId(u64::MAX), written, renumbered: false, content }
}

#[test]
fn the_buffer_holds_seven_days_of_sixty_four_targets() {
    let params: AgentParams = super::bench::params(1);
    let size = |span: Span| {
        let probes = span.as_seconds() / params.probe_interval.as_seconds();
        u64::try_from(block(span, probes).encode().len()).unwrap()
    };
    // The first ten minutes without an aggregator are written in usual windows, the rest of seven days in lonely ones.
    let usual = params.lonely_after.as_seconds() / params.window.as_seconds() * size(params.window);
    let rest = 7 * 24 * 3_600 - params.lonely_after.as_seconds();
    let lonely = rest / params.window_lonely.as_seconds() * size(params.window_lonely);
    let total = usual + lonely;
    assert!(total <= params.buffer_bytes_max, "{total} bytes, {} a lonely block", size(params.window_lonely));
}

#[test]
fn a_full_block_fits_its_limit() {
    let mut full = block(Span::seconds(60), 12);
    let Content::Records(records) = &mut full.content else { unreachable!("it was made of records") };
    let four = records.iter().cloned().cycle().take(256).collect();
    *records = four;
    assert!(full.encode().len() <= everypath_protocol::block::BYTES_MAX);
}
