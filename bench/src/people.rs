//! Synthetic members: keys from a seed, certificates from the mesh.

use aggregator::mesh::Mesh;
use aggregator::store::Batch;
use everypath_protocol::batch::{BatchHeader, Codec, Envelope};
use everypath_protocol::block::Block;
use everypath_protocol::id::{AgentId, MeshId, mix64};
use everypath_protocol::sign::{self, Ed25519, SecretKey, Signed, Signer as _};
use everypath_protocol::time::{Now, UnixTime};
use everypath_protocol::trust::Certificate;

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: SecretKey,
    pub(crate) certificate: Signed,
}

impl Member {
    pub(crate) fn id(&self) -> AgentId {
        self.key.public().into()
    }

    /// The header over `blocks`, which must not be empty.
    pub(crate) fn header(&self, blocks: &[Block], body: &[u8], sent: Now) -> BatchHeader {
        let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
        BatchHeader {
            agent: self.id(),
            epoch: first.epoch,
            first: first.first,
            count: last.last().0 - first.first.0 + 1,
            body_hash: sign::sha256(&[body]),
            boot: first.boot,
            sent,
            config: 0,
        }
    }

    /// What is sent over HTTPS.
    pub(crate) fn envelope(&self, mesh: MeshId, blocks: &[Block], sent: Now) -> Envelope {
        let plain: Vec<u8> = blocks.iter().flat_map(Block::encode).collect();
        let body = zstd::bulk::compress(&plain, 3).unwrap_or_default();
        let (codec, body) = if body.is_empty() { (Codec::Plain, plain) } else { (Codec::Zstd, body) };
        let header = sign::seal(self.header(blocks, &body, sent), mesh, &self.key).signed().clone();
        Envelope { header, certificate: self.certificate.clone(), codec, body }
    }
}

/// The key of a member.
pub(crate) fn key(seed: u64, number: usize) -> SecretKey {
    let mut bytes = [0; 32];
    for (place, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&mix64(mix64(mix64(seed) ^ number as u64) ^ place as u64).to_le_bytes());
    }
    SecretKey::from_seed(&bytes)
}

/// Members with certificates made here.
pub(crate) fn members(mesh: &Mesh, count: usize, seed: u64, now: UnixTime) -> Vec<Member> {
    let member = |number| {
        let key = key(seed, number);
        let certificate =
            mesh.certify(key.public().into(), format!("load-{seed}-{number}"), format!("site-{}", number % 8), now);
        Member { key, certificate }
    };
    (0..count).map(member).collect()
}

/// What the store is handed once HTTP has checked a batch.
pub(crate) fn batch(
    mesh: &Mesh,
    member: &Member,
    blocks: Vec<Block>,
    received_at: UnixTime,
    sent: Now,
) -> anyhow::Result<Batch> {
    let certificate = mesh.trust().open_certificate(member.certificate.clone(), &Ed25519)?;
    let certificate: Certificate = certificate.document().clone();
    Ok(Batch {
        is_backlog: false,
        header: member.header(&blocks, &[], sent),
        certificate,
        certificate_signed: member.certificate.clone(),
        blocks,
        received_at,
    })
}
