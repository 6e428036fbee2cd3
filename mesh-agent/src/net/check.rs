//! Signatures are checked here, before anything reaches the agent: it is handed only what its author really said.

use crate::metrics::Metrics;
use crate::trust::SharedTrust;
use everypath_protocol::member::MemberRecord;
use everypath_protocol::row::Row;
use everypath_protocol::sign::{Document, Ed25519, Signed};
use mesh_agent_core::effect::Statement;

/// Checks statements against what is believed now.
#[derive(Clone, Debug)]
pub struct Checker {
    trust: SharedTrust,
    metrics: Metrics,
}

impl Checker {
    /// Counts what it refuses in `metrics`.
    pub const fn new(trust: SharedTrust, metrics: Metrics) -> Self {
        Self { trust, metrics }
    }

    /// Those of `documents` that are a member's own words. The rest is counted and left out.
    pub fn statements(&self, documents: Vec<Signed>) -> Vec<Statement> {
        let trust = self.trust.current();
        let open = |signed: Signed| match signed.kind {
            MemberRecord::KIND => match MemberRecord::open(signed, &trust, &Ed25519) {
                Ok(member) => Some(Statement::Member(member)),
                Err(why) => self.refuse("member", &why),
            },
            Row::KIND => match Row::open(signed, &trust.mesh(), &Ed25519) {
                Ok(row) => Some(Statement::Row(row)),
                Err(why) => self.refuse("row", &why),
            },
            _ => self.refuse("unknown", &"a kind of statement that this program does not know"),
        };
        documents.into_iter().filter_map(open).collect()
    }

    fn refuse(&self, kind: &str, why: &dyn std::fmt::Display) -> Option<Statement> {
        self.metrics.statements_refused.with_label_values(&[kind]).inc();
        tracing::debug!(kind, %why, "a statement did not pass its check and was left out");
        None
    }
}
