//! Redeeming a join token.

use super::{ApiError, Problem};
use crate::app::{App, Shared};
use crate::audit_log::Event;
use crate::auth::{Caller, Client};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::{Redeemed, Redemption};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use everypath_protocol::codec;
use everypath_protocol::id::hex;
use everypath_protocol::join::{self, BYTES_MAX, JoinAnswer, JoinGrant, JoinRefusal, JoinRequest};
use everypath_protocol::sign::{Ed25519, Signed};
use serde_json::json;

/// Member records that a new agent gets to start from.
const MEMBERS_MAX: usize = 16;
/// Bytes of them; the whole answer stays small.
const MEMBERS_BYTES_MAX: usize = 16 * 1024;
/// What is redeemed later needs no hurry.
const RETRY_AFTER_S: u64 = 5;

/// Redeem a join token: a signed `JoinRequest` in postcard. A refusal is a `JoinAnswer` too, unless JSON is asked for.
///
/// # Errors
/// 403 with the code of the refusal, 503 when busy.
#[utoipa::path(
    post, path = "/api/v1/join", operation_id = "join", tag = "agents",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Welcome: a `JoinAnswer`.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 403, description = "`unknown_token`, `token_expired`, `token_used_up`, `name_taken`, `invalid_name` or `bad_join_request`; as a `JoinAnswer`, or as a problem where JSON is accepted", content(
            (Vec<u8> = "application/octet-stream"), (Problem = "application/problem+json"),
        )),
        (status = 503, description = "`try_later`; nothing was spent.", content(
            (Vec<u8> = "application/octet-stream"), (Problem = "application/problem+json"),
        )),
    ),
)]
pub async fn join(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    authorize(&caller.actor, Action::Join, Resource::Mesh)?;
    let answer = redeem(&app, &caller.client, &body).await;
    let result = match &answer {
        JoinAnswer::Granted(_) => "granted",
        JoinAnswer::Refused(refusal) => refusal.code(),
    };
    app.metrics.joins.with_label_values(&[result]).inc();
    respond(&answer, &headers)
}

fn respond(answer: &JoinAnswer, headers: &HeaderMap) -> Result<Response, ApiError> {
    let status = match answer {
        JoinAnswer::Granted(_) => StatusCode::OK,
        JoinAnswer::Refused(JoinRefusal::TryLater) => StatusCode::SERVICE_UNAVAILABLE,
        JoinAnswer::Refused(_) => StatusCode::FORBIDDEN,
    };
    let wants_json =
        headers.get(header::ACCEPT).is_some_and(|accept| accept.to_str().is_ok_and(|text| text.contains("json")));
    if let (JoinAnswer::Refused(refusal), true) = (answer, wants_json) {
        let error = ApiError::new(status, refusal.code(), refusal.advice());
        return Err(if *refusal == JoinRefusal::TryLater { error.retry_after(RETRY_AFTER_S) } else { error });
    }
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/octet-stream")], codec::encode(answer)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    Ok(response)
}

async fn redeem(app: &App, client: &Client, body: &[u8]) -> JoinAnswer {
    match try_redeem(app, client, body).await {
        Ok(grant) => JoinAnswer::Granted(grant),
        Err(refusal) => JoinAnswer::Refused(refusal),
    }
}

async fn try_redeem(app: &App, client: &Client, body: &[u8]) -> Result<JoinGrant, JoinRefusal> {
    let later = |error: crate::store::StoreError| {
        tracing::error!(%error, "a request to join must be repeated");
        JoinRefusal::TryLater
    };
    let signed: Signed = codec::decode(body, BYTES_MAX).map_err(|_| JoinRefusal::BadRequest)?;
    let request = join::open_request(signed, &app.mesh.id(), &Ed25519)?;
    let (key, site) = app.store.join_token(request.token).await.map_err(later)?.ok_or(JoinRefusal::UnknownToken)?;
    let JoinRequest { token, agent, nonce, proof, name, site: wished } = request;
    if !same(&key.proof(&agent, &app.mesh.id(), &nonce), &proof) {
        return Err(JoinRefusal::UnknownToken);
    }
    let site = site.unwrap_or(wished);
    let now = app.now();
    let certificate = app.mesh.certify(agent, name.clone(), site.clone(), now);
    let event = Event::new(&Actor::Agent(agent), &client.address(), "agent.join", &name, now);
    let event = event.detail(&json!({"site": &site, "join_token": hex(&token.0)}));
    let redemption = Redemption { token, agent, certificate: certificate.clone(), name, site, now };
    let certificate = match app.store.redeem(redemption, event).await.map_err(later)? {
        Redeemed::Joined => {
            app.refresh_agents().await.map_err(later)?;
            certificate
        }
        Redeemed::Again(certificate) => certificate,
        Redeemed::UnknownToken => return Err(JoinRefusal::UnknownToken),
        Redeemed::Expired => return Err(JoinRefusal::Expired),
        Redeemed::UsedUp => return Err(JoinRefusal::UsedUp),
        Redeemed::NameTaken => return Err(JoinRefusal::NameTaken),
    };
    let members = recent_members(app).await.map_err(later)?;
    Ok(JoinGrant { credentials: app.mesh.credentials(certificate), aggregators: app.addresses(), members })
}

/// The members that were heard of last, as many as fit.
async fn recent_members(app: &App) -> Result<Vec<Signed>, crate::store::StoreError> {
    let mut agents = app.store.agents().await?;
    agents.sort_by_key(|agent| std::cmp::Reverse(agent.last_seen));
    let mut bytes = 0;
    let members = agents.into_iter().filter_map(|agent| agent.member).take(MEMBERS_MAX);
    let fitting = members.take_while(|member| {
        bytes += codec::encode(member).len();
        bytes <= MEMBERS_BYTES_MAX
    });
    Ok(fitting.collect())
}

/// Compares in a time that says nothing about where two values differ.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}
