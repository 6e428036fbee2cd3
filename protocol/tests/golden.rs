//! Bytes that were published never change. A file in `golden/` is only ever added: what it holds must be read for ever, and
//! must be written the same way as long as its version is the current one.
//!
//! `UPDATE=1 cargo test -p everypath-protocol --test golden` writes files that do not exist yet; it never replaces one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use everypath_protocol::batch::{
    BOOT_UNKNOWN, BatchHeader, BatchHeaderV1, BatchHeaderV2, CONFIG_UNKNOWN, Codec, Envelope, IngestAnswer,
};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::codec::{DecodeError, decode, encode};
use everypath_protocol::id::{AgentId, BootId, Epoch, PublicKey, Seq, hex};
use everypath_protocol::ledger::{ENTRY_BYTES_MAX, LedgerEntry};
use everypath_protocol::member::{MemberRecord, Version};
use everypath_protocol::mesh_config::{self, AgentConfig, Endpoint, Exclusion, MeshConfig, Ratchet, Selector};
use everypath_protocol::record::{CellFlip, DropReason, Record};
use everypath_protocol::row::Row;
use everypath_protocol::sign::{Document, Ed25519, Refused, SecretKey, Signed, Signer, open, seal, sha256};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::token::{AggregatorAddress, JoinToken, TokenId, TokenSecret};
use everypath_protocol::trust::{Certificate, Delegation, Trust, mesh_of};
use everypath_protocol::window::{ProbeKind, ProbeOutcome, Window};
use std::path::Path;

/// Compares with the file, or writes it where `UPDATE` is set and there is none.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if !path.exists() && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, hex(bytes)).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(hex(bytes), text, "{name}: the bytes on the wire have changed");
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn block(content: Content) -> Block {
    let written = Now { mono: MonoTime(12_345_678_901), wall: UnixTime(1_767_225_600_000_000) };
    Block { epoch: Epoch(0x1122_3344_5566_7788), first: Seq(41), boot: BootId(7), written, renumbered: false, content }
}

#[test]
fn blocks() {
    let target = AgentId([0xab; 32]);
    let mut window = Window::new(target, ProbeKind::Icmp, UnixTime(1_767_225_590_000_000));
    window.span = Span::seconds(10);
    window.state = CellState::Lossy;
    [900, 1_000, 1_100, 5_000, 65_000].into_iter().for_each(|rtt_us| window.add(ProbeOutcome::Replied { rtt_us }));
    window.add(ProbeOutcome::Lost);
    let flip = CellFlip {
        target,
        kind: ProbeKind::Icmp,
        at: UnixTime(1_767_225_601_000_000),
        from: CellState::Ok,
        to: CellState::Down,
    };
    let records = block(Content::Records(vec![Record::Window(window), Record::Flip(flip)]));
    assert_eq!(Block::decode(&golden("block-1-records.hex", &records.encode())), Ok(records));
    let dropped = block(Content::Dropped { count: 300, reason: DropReason::BufferFull });
    assert_eq!(Block::decode(&golden("block-1-dropped.hex", &dropped.encode())), Ok(dropped));
}

#[test]
fn signed_documents() {
    let (root, issuer, agent) =
        (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32]));
    let mesh = mesh_of(&root.public());
    let delegation =
        seal(Delegation { version: 3, issuers: vec![issuer.public()], config: vec![PublicKey([9; 32])] }, mesh, &root);
    let certificate = Certificate {
        agent: agent.public().into(),
        name: "alpha-1".to_owned(),
        site: "alpha".to_owned(),
        serial: 77,
        not_before: UnixTime(1_767_225_600_000_000),
        not_after: UnixTime(1_769_817_600_000_000),
    };
    let certificate = seal(certificate, mesh, &issuer);
    let member = MemberRecord {
        version: Version::default(),
        certificate: certificate.signed().clone(),
        mesh_addresses: vec!["/ip4/192.0.2.1/udp/7117/quic-v1".to_owned()],
        probe_addresses: vec![[192, 0, 2, 1].into()],
        program: "0.1.0".to_owned(),
    };
    let member = seal(member, mesh, &agent);
    let row = seal(Row { version: Version::default(), at: UnixTime(5), cells: vec![] }, mesh, &agent);
    for (name, signed) in [
        ("delegation-1.hex", delegation.signed()),
        ("certificate-1.hex", certificate.signed()),
        ("member-1.hex", member.signed()),
        ("row-1.hex", row.signed()),
    ] {
        let read: Signed = decode(&golden(name, &encode(signed)), 8_192).unwrap();
        assert_eq!(&read, signed, "{name}");
    }
    assert_eq!(open::<Certificate>(certificate.signed().clone(), &mesh, &Ed25519), Ok(certificate));
}

#[test]
fn tokens() {
    let token = JoinToken {
        mesh: mesh_of(&PublicKey([1; 32])),
        delegation_version_min: 1,
        issuer: PublicKey([2; 32]),
        id: TokenId([3; 8]),
        secret: TokenSecret([4; 16]),
        expires: UnixTime(1_767_225_600_000_000),
        bootstrap: vec!["/ip4/192.0.2.1/udp/7117/quic-v1".to_owned()],
        aggregators: vec![AggregatorAddress { url: "https://192.0.2.9:8443".to_owned(), pin: Some([5; 32]) }],
    };
    let text = golden("token-1.hex", token.to_text().as_bytes());
    assert_eq!(JoinToken::from_text(std::str::from_utf8(&text).unwrap()), Ok(token));
}

#[test]
fn a_block_of_one_refused_record_and_an_account() {
    let rejected = block(Content::Dropped { count: 1, reason: DropReason::Rejected });
    assert_eq!(Block::decode(&golden("block-1-rejected.hex", &rejected.encode())), Ok(rejected));
    let entry = LedgerEntry {
        epoch: Epoch(0x1122_3344_5566_7788),
        last: Seq(4_711),
        acked: Seq(4_000),
        dropped: vec![(Seq(17), Seq(17)), (Seq(300), Seq(900))],
        moved_from: Some(Seq(4_500)),
    };
    assert_eq!(decode(&golden("ledger-1.hex", &encode(&entry)), ENTRY_BYTES_MAX), Ok(entry));
}

#[test]
fn an_answer_to_a_batch() {
    let answer = IngestAnswer {
        acked: Seq(4_711),
        next_sync_ms: 1_500,
        received_at: UnixTime(1_767_225_600_000_000),
        agents: 0,
        config: None,
    };
    let text = golden("ingest-answer-1.hex", &serde_json::to_vec(&answer).unwrap());
    assert_eq!(serde_json::from_slice::<IngestAnswer>(&text).unwrap(), answer);

    let answer = IngestAnswer { agents: 200, ..answer };
    let text = golden("ingest-answer-2.hex", &serde_json::to_vec(&answer).unwrap());
    assert_eq!(serde_json::from_slice::<IngestAnswer>(&text).unwrap(), answer);

    let answer = IngestAnswer { config: Some(mesh_config::to_text(&config())), ..answer };
    let text = golden("ingest-answer-3.hex", &serde_json::to_vec(&answer).unwrap());
    let read = serde_json::from_slice::<IngestAnswer>(&text).unwrap();
    assert_eq!(read, answer);
    assert_eq!(mesh_config::from_text(&read.config.unwrap()), Ok(config()));
}

/// A configuration with something in every field.
fn config() -> Signed {
    let (root, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[9; 32]));
    let usual = MeshConfig::usual();
    let document = MeshConfig {
        version: 7,
        made: UnixTime(1_767_225_600_000_000),
        window_ms: 20_000,
        endpoints: vec![Endpoint {
            name: "gateway".to_owned(),
            address: "192.0.2.1".to_owned(),
            observers: vec![Selector::All, Selector::Tag("web".to_owned())],
        }],
        agents: vec![AgentConfig {
            agent: "alpha-1".to_owned(),
            site: Some("alpha".to_owned()),
            tags: vec!["web".to_owned()],
        }],
        exclude: vec![Exclusion {
            one: Selector::Site("alpha".to_owned()),
            other: Selector::Agent("beta-1".to_owned()),
        }],
        ..usual
    };
    seal(document, mesh_of(&root.public()), &key).signed().clone()
}

#[test]
fn a_configuration_and_what_was_taken_before() {
    let read: Signed = decode(&golden("mesh-config-1.hex", &encode(&config())), 8_192).unwrap();
    assert_eq!(read, config());
    let (root, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[9; 32]));
    let mesh = mesh_of(&root.public());
    let delegation = Delegation { version: 1, issuers: Vec::new(), config: vec![key.public()] };
    let trust = Trust::new(mesh, seal(delegation.clone(), mesh, &root));
    assert_eq!(trust.open_config(read, &Ed25519).unwrap().document().version, 7);
    let mut ratchet = Ratchet::default();
    ratchet.take(key.public(), 7, &delegation).unwrap();
    assert_eq!(decode::<Ratchet>(&golden("ratchet-1.hex", &encode(&ratchet)), 1_024), Ok(ratchet));
}

/// The parts of a batch of one block, signed with this header.
fn envelope<H: Document>(header: impl FnOnce(AgentId, [u8; 32]) -> H) -> (Envelope, Trust) {
    let (root, issuer, agent) =
        (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32]));
    let mesh = mesh_of(&root.public());
    let delegation = seal(Delegation { version: 1, issuers: vec![issuer.public()], config: Vec::new() }, mesh, &root);
    let certificate = Certificate {
        agent: agent.public().into(),
        name: "alpha-1".to_owned(),
        site: "alpha".to_owned(),
        serial: 77,
        not_before: UnixTime(1_767_225_600_000_000),
        not_after: UnixTime(1_769_817_600_000_000),
    };
    let certificate = seal(certificate, mesh, &issuer).signed().clone();
    let body = block(Content::Dropped { count: 300, reason: DropReason::BufferFull }).encode();
    let header = seal(header(agent.public().into(), sha256(&[&body])), mesh, &agent).signed().clone();
    (Envelope { header, certificate, codec: Codec::Plain, body }, Trust::new(mesh, delegation))
}

const EPOCH: Epoch = Epoch(0x1122_3344_5566_7788);
const SENT: Now = Now { mono: MonoTime(12_345_678_901), wall: UnixTime(1_767_225_600_000_000) };

#[test]
fn a_batch_of_the_versions_before_is_read_and_one_of_a_later_version_is_refused_as_such() {
    let (old, trust) = envelope(|agent, body_hash| BatchHeaderV1 {
        agent,
        epoch: EPOCH,
        first: Seq(41),
        count: 300,
        body_hash,
        sent_at: SENT.wall,
    });
    let read: Envelope = decode(&golden("envelope-header-1.hex", &encode(&old)), 8_192).unwrap();
    assert_eq!(read, old);
    let opened = read.open(&trust, &Ed25519).unwrap();
    assert_eq!((opened.header.boot, opened.header.sent.mono), (BOOT_UNKNOWN, MonoTime(0)));
    assert_eq!((opened.header.first, opened.header.sent.wall), (Seq(41), SENT.wall));

    let header = |agent, body_hash| BatchHeaderV2 {
        agent,
        epoch: EPOCH,
        first: Seq(41),
        count: 300,
        body_hash,
        boot: BootId(7),
        sent: SENT,
    };
    let (old, trust) = envelope(header);
    let read: Envelope = decode(&golden("envelope-header-2.hex", &encode(&old)), 8_192).unwrap();
    assert_eq!(read, old);
    let opened = read.open(&trust, &Ed25519).unwrap();
    assert_eq!((opened.header.boot, opened.header.sent), (BootId(7), SENT));
    assert_eq!(opened.header.config, CONFIG_UNKNOWN);

    let header = |agent, body_hash| BatchHeader {
        agent,
        epoch: EPOCH,
        first: Seq(41),
        count: 300,
        body_hash,
        boot: BootId(7),
        sent: SENT,
        config: 12,
    };
    let (current, trust) = envelope(header);
    let read: Envelope = decode(&golden("envelope-header-3.hex", &encode(&current)), 8_192).unwrap();
    assert_eq!(read, current);
    let opened = read.open(&trust, &Ed25519).unwrap();
    assert_eq!((opened.header.boot, opened.header.sent, opened.header.config), (BootId(7), SENT, 12));

    let mut later = current;
    later.header.version = 4;
    let refused = later.open(&trust, &Ed25519).unwrap_err();
    assert_eq!(refused, Refused::Unreadable(DecodeError::UnknownVersion(4)));
}
