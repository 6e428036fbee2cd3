//! The golden example of the live protocol, shared with the page's tests. `UPDATE=1` writes it anew; a change of these bytes
//! is a change of the protocol.

use aggregator_core::live::{Frame, Moment, snapshot};
use aggregator_core::matrix::{Matrix, SavedCell};
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::{AgentId, hex};
use everypath_protocol::time::{Span, UnixTime};

const AT: UnixTime = UnixTime(1_795_392_000_000_000);
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/tests/fixtures/live-golden.json");

/// Three agents; the first has measured the others, the second lost the first, the third's picture of the first is stale.
fn matrix() -> Matrix {
    let [a, b, c] = [1, 2, 3].map(|byte| AgentId([byte; 32]));
    let mut matrix = Matrix::new(0x0102_0304_0506_0707);
    matrix.set_agents(vec![a, b, c]);
    let recent = AT.minus(Span::seconds(3));
    let cells = [
        (a, b, PackedCell::new(CellState::Ok, Some(0), Some(1_234)), recent),
        (a, c, PackedCell::new(CellState::Slow, Some(4), Some(250_000)), recent),
        (b, a, PackedCell::new(CellState::Down, Some(1_000), None), recent),
        (b, c, PackedCell::new(CellState::Lossy, Some(167), Some(89)), recent),
        (c, a, PackedCell::new(CellState::Ok, Some(0), Some(1_300)), AT.minus(Span::seconds(300))),
    ];
    for (source, target, packed, ended) in cells {
        matrix.restore(&source, &[SavedCell { target, packed, ended }], AT);
    }
    matrix
}

/// Magic, count, generation, sequence, time; then one line for each row of cells.
const SNAPSHOT: &str = concat!(
    "45504d31",
    "03000000",
    "0807060504030201",
    "2a00000000000000",
    "00806446e6600600",
    "05ffffff0100d2040201a13f",
    "04faffff05ffffff032a5900",
    "00ffffff06ffffff05ffffff",
);

fn frames() -> [(&'static str, Vec<u8>); 3] {
    let moment = |sequence| Moment { generation: 0x0102_0304_0506_0708, sequence, at: AT };
    let patches = [
        (1, PackedCell::new(CellState::Down, Some(1_000), None)),
        (7, PackedCell::new(CellState::Ok, Some(0), Some(2_047))),
        (8, PackedCell::UNKNOWN),
    ];
    [
        ("patch", Frame::Patch(&patches).encode(moment(43))),
        ("heartbeat", Frame::Heartbeat.encode(moment(43))),
        ("fetch_again", Frame::FetchAgain.encode(moment(43))),
    ]
}

fn cell_json(cell: PackedCell) -> String {
    let [state, ..] = cell.to_bytes();
    let number = |value: Option<u32>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
    format!(
        "{{\"state\": {state}, \"loss_permille\": {}, \"rtt_us\": {}}}",
        number(cell.loss_permille().map(u32::from)),
        number(cell.rtt_us())
    )
}

fn fixture() -> String {
    let matrix = matrix();
    let cells: Vec<String> = (0..3)
        .flat_map(|s| (0..3).map(move |t| (s, t)))
        .map(|(s, t)| format!("      {}", cell_json(matrix.cell(s, t))))
        .collect();
    let header = "\"generation\": \"72623859790382856\"";
    let [patch, heartbeat, fetch_again] = frames();
    format!(
        "{{\n  \"snapshot\": {{\n    \"hex\": \"{}\",\n    \"agents\": 3,\n    {header},\n    \"sequence\": 42,\n    \"at_us\": {},\n    \
         \"cells\": [\n{}\n    ]\n  }},\n  \"patch\": {{\n    \"hex\": \"{}\",\n    \"kind\": 1,\n    {header},\n    \"sequence\": 43,\n    \
         \"at_us\": {},\n    \"patches\": [\n      {{\"cell\": 1, \"state\": 4, \"loss_permille\": 1000, \"rtt_us\": null}},\n      \
         {{\"cell\": 7, \"state\": 1, \"loss_permille\": 0, \"rtt_us\": 2047}},\n      \
         {{\"cell\": 8, \"state\": 0, \"loss_permille\": null, \"rtt_us\": null}}\n    ]\n  }},\n  \
         \"heartbeat\": {{\"hex\": \"{}\", \"kind\": 2}},\n  \"fetch_again\": {{\"hex\": \"{}\", \"kind\": 3}}\n}}\n",
        hex(&snapshot(&matrix, 42, AT)),
        AT.0,
        cells.join(",\n"),
        hex(&patch.1),
        AT.0,
        hex(&heartbeat.1),
        hex(&fetch_again.1),
    )
}

#[test]
fn the_snapshot_has_exactly_these_bytes() {
    assert_eq!(hex(&snapshot(&matrix(), 42, AT)), SNAPSHOT);
}

#[test]
fn the_frames_have_exactly_these_bytes() {
    let common = "08070605040302012b0000000000000000806446e6600600";
    let patches = "0100000004faffff070000000100ff070800000000ffffff";
    let [patch, heartbeat, fetch_again] = frames();
    assert_eq!(hex(&patch.1), format!("0100000003000000{common}{patches}"));
    assert_eq!(hex(&heartbeat.1), format!("0200000000000000{common}"));
    assert_eq!(hex(&fetch_again.1), format!("0300000000000000{common}"));
}

#[test]
fn the_page_is_tested_against_the_same_bytes() {
    let wanted = fixture();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FIXTURE, &wanted).expect("the fixture can be written");
    }
    let found = std::fs::read_to_string(FIXTURE).expect("the fixture exists; UPDATE=1 writes it");
    // The page's formatter may lay it out anew; no string in it holds white space.
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(&found), bare(&wanted), "web/tests/fixtures/live-golden.json is stale; UPDATE=1 writes it anew");
}
