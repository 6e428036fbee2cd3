//! Bytes from outside never cause a panic, and never become something other than what was signed or written.

use crate::random::Random;
use everypath_protocol::batch::{BatchHeader, Codec, Envelope};
use everypath_protocol::block::{self, Block};
use everypath_protocol::codec::{DecodeError, decode, encode};
use everypath_protocol::id::{AgentId, BootId, Epoch, MeshId, PublicKey, Seq};
use everypath_protocol::join::{JoinAnswer, JoinRequest, open_request};
use everypath_protocol::member::{MemberRecord, Version};
use everypath_protocol::mesh::{Request, Response};
use everypath_protocol::row::{CELLS_MAX, Row};
use everypath_protocol::sign::{Ed25519, Refused, SecretKey, Signed, Signer, Verified, open, seal, sha256};
use everypath_protocol::time::{Now, UnixTime};
use everypath_protocol::token::{JoinToken, TokenError, TokenId, TokenSecret};
use everypath_protocol::trust::{Certificate, Credentials, Delegation, Trust, mesh_of};

const ROUNDS: usize = 20_000;

struct Mesh {
    root: SecretKey,
    issuer: SecretKey,
    trust: Trust,
}

impl Mesh {
    fn new(seed: u8) -> Self {
        let (root, issuer) = (SecretKey::from_seed(&[seed; 32]), SecretKey::from_seed(&[seed + 1; 32]));
        let mesh = mesh_of(&root.public());
        let delegation = Delegation { version: 1, issuers: vec![issuer.public()], config: vec![] };
        Self { trust: Trust::new(mesh, seal(delegation, mesh, &root)), root, issuer }
    }

    fn certificate(&self, agent: &SecretKey, name: &str) -> Signed {
        let (agent, name, site) = (agent.public().into(), name.to_owned(), "here".to_owned());
        let (not_before, not_after) = (UnixTime(0), UnixTime(1));
        let certificate = Certificate { agent, name, site, serial: 1, not_before, not_after };
        seal(certificate, self.trust.mesh(), &self.issuer).signed().clone()
    }

    fn credentials(&self, agent: &SecretKey) -> Credentials {
        let delegation = self.trust.delegation().signed().clone();
        Credentials { root: self.root.public(), delegation, certificate: self.certificate(agent, "a") }
    }

    fn record(&self, agent: &SecretKey, certificate: Signed) -> Signed {
        let record = MemberRecord {
            version: Version::default(),
            certificate,
            mesh_addresses: vec!["/ip4/127.0.0.1/udp/1/quic-v1".to_owned()],
            probe_addresses: vec![[127, 0, 0, 1].into()],
            program: "0".to_owned(),
        };
        seal(record, self.trust.mesh(), agent).signed().clone()
    }
}

fn agent(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

#[test]
fn a_bit_flipped_anywhere_in_a_block_is_found() {
    let mut random = Random::new(1);
    let good = random.block().encode();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Block::decode(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn a_block_cut_anywhere_is_refused() {
    let good = Random::new(2).block().encode();
    for length in 0..good.len() {
        assert!(Block::decode(&good[..length]).is_err(), "{length} of {} bytes", good.len());
    }
    assert_eq!(Block::decode(&[good, vec![0]].concat()), Err(DecodeError::Malformed));
}

#[test]
fn a_block_says_why_it_is_refused() {
    let good = Random::new(3).block().encode();
    let with = |place: usize, byte: u8| {
        let mut bad = good.clone();
        bad[place] = byte;
        Block::decode(&bad).unwrap_err()
    };
    assert_eq!(with(0, b'X'), DecodeError::NotThisFormat);
    assert_eq!(with(3, 9), DecodeError::UnknownVersion(9));
    assert_eq!(with(20, !good[20]), DecodeError::Damaged);
    let bytes_max = block::BYTES_MAX - 12;
    assert!(matches!(with(11, 255), DecodeError::TooLong { bytes_max: said, .. } if said == bytes_max));
}

/// Tries random bytes, and good bytes with random damage, on everything that reads bytes of strangers.
#[test]
fn nothing_that_reads_bytes_panics() {
    let mesh = Mesh::new(1);
    let mut random = Random::new(4);
    let request = Request::Give { documents: vec![mesh.record(&agent(9), mesh.certificate(&agent(9), "a"))] };
    let seeds = [random.block().encode(), encode(&request), encode(&mesh.credentials(&agent(9))), random.bytes(300)];
    for round in 0..ROUNDS {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(6) {
            let place = random.place(bytes.len());
            bytes[place] = random.bits() as u8;
        }
        bytes.truncate(random.place(bytes.len()) + 1);
        let _ = Block::decode_all(&bytes);
        let _ = decode::<Request>(&bytes, 65_536);
        let _ = decode::<Response>(&bytes, 65_536);
        let _ = decode::<JoinAnswer>(&bytes, 65_536);
        let _ = decode::<Envelope>(&bytes, 65_536).map(|envelope| envelope.open(&mesh.trust, &Ed25519));
        let _ = decode::<Credentials>(&bytes, 65_536)
            .map(|shown| mesh.trust.clone().admit(&AgentId([0; 32]), shown, &Ed25519));
        let _ = decode::<Signed>(&bytes, 65_536).map(|signed| MemberRecord::open(signed, &mesh.trust, &Ed25519));
        let _ = JoinToken::from_text(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_token_survives_pasting_and_nothing_else() {
    let token = JoinToken {
        mesh: MeshId([1; 32]),
        delegation_version_min: 1,
        issuer: PublicKey([2; 32]),
        id: TokenId([3; 8]),
        secret: TokenSecret([4; 16]),
        expires: UnixTime(5),
        bootstrap: vec!["/dns4/seed.example/udp/7117/quic-v1".to_owned()],
        aggregators: vec![],
    };
    let text = token.to_text();
    assert_eq!(JoinToken::from_text(&format!("  {text}\n")), Ok(token));
    assert_eq!(JoinToken::from_text("hello"), Err(TokenError::NotAToken));
    for place in 4..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[place] = if bad[place] == b'A' { b'B' } else { b'A' };
        assert_eq!(JoinToken::from_text(std::str::from_utf8(&bad).unwrap()), Err(TokenError::Damaged), "at {place}");
        assert_eq!(JoinToken::from_text(&text[..place]), Err(TokenError::Damaged));
    }
}

#[test]
fn a_signature_cannot_be_moved_to_another_mesh_kind_version_author_or_body() {
    let mesh = Mesh::new(1);
    let row = Row { version: Version::default(), at: UnixTime(0), cells: vec![] };
    let good: Verified<Row> = seal(row, mesh.trust.mesh(), &agent(9));
    let check = |change: fn(&mut Signed)| {
        let mut signed = good.signed().clone();
        change(&mut signed);
        open::<Row>(signed, &mesh.trust.mesh(), &Ed25519).unwrap_err()
    };
    assert!(open::<Row>(good.signed().clone(), &mesh.trust.mesh(), &Ed25519).is_ok());
    assert_eq!(check(|signed| signed.mesh = MeshId([0; 32])), Refused::OtherMesh);
    assert_eq!(check(|signed| signed.kind = 4), Refused::Unreadable(DecodeError::WrongKind(4)));
    assert_eq!(check(|signed| signed.version = 2), Refused::Unreadable(DecodeError::UnknownVersion(2)));
    assert_eq!(check(|signed| signed.author = agent(8).public()), Refused::BadSignature);
    assert_eq!(check(|signed| signed.body.push(0)), Refused::BadSignature);
    assert_eq!(check(|signed| signed.signature.0[7] ^= 1), Refused::BadSignature);
    assert!(matches!(check(|signed| signed.body = vec![0; 9_000]), Refused::Unreadable(DecodeError::TooLong { .. })));
}

#[test]
fn only_an_issuer_of_this_mesh_makes_members() {
    let (mesh, other) = (Mesh::new(1), Mesh::new(3));
    let admit = |shown| Mesh::new(1).trust.admit(&agent(9).public().into(), shown, &Ed25519).map(|_| ());
    let good = mesh.credentials(&agent(9));
    assert_eq!(admit(good.clone()), Ok(()));
    assert_eq!(admit(other.credentials(&agent(9))), Err(Refused::OtherMesh), "another mesh");
    assert_eq!(admit(mesh.credentials(&agent(8))), Err(Refused::NotAllowed), "somebody else's certificate");
    let by_member = seal(
        Certificate {
            agent: agent(9).public().into(),
            name: "a".into(),
            site: "b".into(),
            serial: 0,
            not_before: UnixTime(0),
            not_after: UnixTime(0),
        },
        mesh.trust.mesh(),
        &agent(8),
    );
    assert_eq!(
        admit(Credentials { certificate: by_member.signed().clone(), ..good.clone() }),
        Err(Refused::NotAllowed),
        "signed by a member"
    );
    let forged = Delegation { version: 9, issuers: vec![agent(8).public()], config: vec![] };
    let forged = seal(forged, mesh.trust.mesh(), &agent(8)).signed().clone();
    assert_eq!(
        admit(Credentials { delegation: forged, ..good.clone() }),
        Err(Refused::NotAllowed),
        "a delegation not by the root"
    );
    let root = other.root.public();
    assert_eq!(admit(Credentials { root, ..good }), Err(Refused::OtherMesh), "another root");
    let unshowable =
        Credentials { certificate: mesh.certificate(&agent(9), "<script>"), ..mesh.credentials(&agent(9)) };
    assert_eq!(admit(unshowable), Err(Refused::NotAllowed), "a name that cannot be shown");
}

#[test]
fn an_older_delegation_never_replaces_a_newer_one() {
    let mut mesh = Mesh::new(1);
    let delegation = |version, issuers| {
        seal(Delegation { version, issuers, config: vec![] }, mesh_of(&mesh.root.public()), &mesh.root)
    };
    let (newer, older) = (delegation(5, vec![agent(7).public()]), delegation(4, vec![]));
    assert!(mesh.trust.renew(newer));
    assert!(!mesh.trust.renew(older));
    assert_eq!(mesh.trust.delegation().document().version, 5);
}

#[test]
fn a_member_record_is_its_owners_and_within_limits() {
    let mesh = Mesh::new(1);
    let certificate = mesh.certificate(&agent(9), "a");
    assert!(MemberRecord::open(mesh.record(&agent(9), certificate.clone()), &mesh.trust, &Ed25519).is_ok());
    let stolen = mesh.record(&agent(8), certificate.clone());
    assert_eq!(MemberRecord::open(stolen, &mesh.trust, &Ed25519).map(|_| ()), Err(Refused::NotAllowed));
    let mut record = MemberRecord {
        version: Version::default(),
        certificate,
        mesh_addresses: vec![],
        probe_addresses: vec![],
        program: String::new(),
    };
    record.probe_addresses = vec![[127, 0, 0, 1].into(); 9];
    let crowded = seal(record, mesh.trust.mesh(), &agent(9)).signed().clone();
    assert_eq!(MemberRecord::open(crowded, &mesh.trust, &Ed25519).map(|_| ()), Err(Refused::NotAllowed));
}

#[test]
fn a_row_past_its_limit_is_refused() {
    let mesh = Mesh::new(1).trust.mesh();
    let cells = (0..=CELLS_MAX)
        .map(|n| (AgentId([u8::try_from(n).unwrap(); 32]), everypath_protocol::cell::PackedCell::UNKNOWN));
    let row = Row { version: Version::default(), at: UnixTime(0), cells: cells.collect() };
    let signed = seal(row, mesh, &agent(9)).signed().clone();
    assert_eq!(Row::open(signed, &mesh, &Ed25519).map(|_| ()), Err(Refused::NotAllowed));
}

#[test]
fn a_batch_is_refused_when_header_certificate_and_body_are_not_of_one_piece() {
    let mesh = Mesh::new(1);
    let body = Random::new(5).block().encode();
    let header = |hash| BatchHeader {
        agent: agent(9).public().into(),
        epoch: Epoch(1),
        first: Seq(1),
        count: 1,
        body_hash: hash,
        boot: BootId(1),
        sent: Now::default(),
        config: 0,
    };
    let sealed = |header, by: &SecretKey| seal(header, mesh.trust.mesh(), by).signed().clone();
    let good = Envelope {
        header: sealed(header(sha256(&[&body])), &agent(9)),
        certificate: mesh.certificate(&agent(9), "a"),
        codec: Codec::Plain,
        body,
    };
    let open = |envelope: Envelope| envelope.open(&mesh.trust, &Ed25519).map(|_| ());
    assert_eq!(open(good.clone()), Ok(()));
    assert_eq!(open(Envelope { body: vec![1], ..good.clone() }), Err(Refused::BadSignature), "another body");
    let by_other = sealed(header(sha256(&[&good.body])), &agent(8));
    assert_eq!(
        open(Envelope { header: by_other, ..good.clone() }),
        Err(Refused::NotAllowed),
        "signed by another agent"
    );
    let certificate = mesh.certificate(&agent(8), "b");
    assert_eq!(open(Envelope { certificate, ..good.clone() }), Err(Refused::NotAllowed), "another agent's certificate");
    let certificate = Mesh::new(3).certificate(&agent(9), "a");
    assert_eq!(open(Envelope { certificate, ..good }), Err(Refused::NotAllowed), "a certificate of another mesh");
}

#[test]
fn a_join_request_is_signed_by_the_key_that_wants_in() {
    let mesh = Mesh::new(1).trust.mesh();
    let request = |name: &str| JoinRequest {
        token: TokenId([0; 8]),
        agent: agent(9).public().into(),
        nonce: [0; 16],
        proof: [0; 32],
        name: name.into(),
        site: "s".into(),
    };
    assert!(open_request(seal(request("a"), mesh, &agent(9)).signed().clone(), &mesh, &Ed25519).is_ok());
    let refusal = |name, by| {
        open_request(seal(request(name), mesh, &agent(by)).signed().clone(), &mesh, &Ed25519).unwrap_err().code()
    };
    assert_eq!(refusal("a", 8), "bad_join_request");
    assert_eq!(refusal("no good name", 9), "invalid_name");
}
