//! Making join tokens, for the API and for the command line.

use crate::audit_log::Event;
use crate::clock::rfc3339;
use crate::mesh::Mesh;
use crate::random;
use crate::store::{JoinTokenRow, Store, StoreError};
use everypath_protocol::time::Span;
use everypath_protocol::token::{AggregatorAddress, JoinToken, TokenId, TokenSecret};
use serde_json::json;

/// Most agents that may join with one token.
pub const USES_MAX: u32 = 10_000;
/// Most addresses of aggregators in one token: it must fit into one line that people copy.
const ADDRESSES_MAX: usize = 4;

/// A token that is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How many may join.
    pub uses: u32,
    /// For how long.
    pub life: Span,
    /// Where; `None` lets them say.
    pub site: Option<String>,
}

/// Makes a token, keeps what is needed to check its proofs, and logs that as `event`. The secret is in the returned value only.
///
/// # Errors
/// [`StoreError`].
pub async fn create(
    store: &Store,
    mesh: &Mesh,
    mut aggregators: Vec<AggregatorAddress>,
    wish: Wish,
    event: Event,
) -> Result<JoinToken, StoreError> {
    let now = event.at;
    aggregators.truncate(ADDRESSES_MAX);
    let token = JoinToken {
        mesh: mesh.id(),
        delegation_version_min: mesh.delegation_version(),
        issuer: mesh.issuer(),
        id: TokenId(random::bytes()),
        secret: TokenSecret(random::bytes()),
        expires: now.plus(wish.life),
        bootstrap: Vec::new(),
        aggregators,
    };
    let row = JoinTokenRow {
        id: token.id,
        key: token.secret.key(),
        site: wish.site,
        uses: wish.uses,
        created_at: now,
        created_by: event.actor.clone(),
        expires_at: token.expires,
    };
    let detail = json!({"uses": row.uses, "site": &row.site, "expires_at": rfc3339(row.expires_at)});
    let subject = everypath_protocol::id::hex(&row.id.0);
    store.create_join_token(row, Event { subject, ..event.detail(&detail) }).await?;
    Ok(token)
}
