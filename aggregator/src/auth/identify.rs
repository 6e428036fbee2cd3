//! From a request to an actor.

use super::client::Client;
use super::{refusals, session, token};
use crate::api::ApiError;
use crate::app::{App, Shared};
use crate::audit_log::Event;
use crate::guard::{Actor, Guard};
use crate::store::StoreError;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::convert::Infallible;

/// A header that a page of another origin cannot send without being asked first.
const REQUEST_HEADER: &str = "x-everypath-request";

/// By which door a request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    /// Over TLS, from anywhere.
    Tls,
    /// In the clear, from this host.
    Loopback,
}

impl Listener {
    /// Of a request.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().copied().unwrap_or(Self::Tls)
    }
}

/// Whether a session or a token is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// It is, and that is kept.
    Noted,
    /// It is looked whether it is still good.
    LookedAt,
}

/// Stands before a handler: finds out who asks, and turns away whom the route's guard does not let through.
pub async fn guard(guard: Guard, app: Shared, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = Client::of(&parts, &app.config.trusted_proxies);
    let asked = format!("{} {}", parts.method, parts.uri.path());
    let actor = match guard {
        Guard::User => match whoami(&app, &parts.headers, Listener::of(&parts)).await {
            Ok(Some(actor)) => match is_ours(&parts) {
                Ok(()) => actor,
                Err(error) => {
                    refusals::log_denied(&app, &actor, &client, &asked).await;
                    return error.into_response();
                }
            },
            Ok(None) if bearer(&parts.headers).is_some() => return ApiError::wrong_token().into_response(),
            Ok(None) => return ApiError::not_signed_in().into_response(),
            Err(error) => return ApiError::from(error).into_response(),
        },
        Guard::JoinToken => Actor::Joiner,
        // What these show is inside the request; a handler that wants a member checks the signature first.
        Guard::Public | Guard::Agent => Actor::Anonymous,
    };
    parts.extensions.insert(actor.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let is_denied = response.extensions().get::<ApiError>().is_some_and(ApiError::is_denial);
    if is_denied && guard == Guard::User {
        refusals::log_denied(&app, &actor, &client, &asked).await;
    }
    response
}

/// Who asks and from where, for the audit log.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub client: Client,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let actor = parts.extensions.get().cloned().unwrap_or(Actor::Anonymous);
        Ok(Self { actor, client: Client::of(parts, &app.config.trusted_proxies) })
    }
}

impl Caller {
    /// What is logged of something that was done now.
    pub fn event(&self, app: &App, action: &'static str, subject: &str) -> Event {
        Event::new(&self.actor, &self.client.address(), action, subject, app.now())
    }
}

/// The actor that the guard found.
impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::internal("a route was reached past its guard"))
    }
}

/// Who holds the API token or the session that the headers carry. A token that is not known is not made up for by a cookie.
///
/// # Errors
/// [`StoreError`].
pub async fn whoami(app: &App, headers: &HeaderMap, listener: Listener) -> Result<Option<Actor>, StoreError> {
    who(app, headers, listener, Use::Noted).await
}

/// The same for somebody who is still there and does nothing: what is only looked at is not in use, and ends when its time is over.
///
/// # Errors
/// [`StoreError`].
pub async fn still(app: &App, headers: &HeaderMap, listener: Listener) -> Result<Option<Actor>, StoreError> {
    who(app, headers, listener, Use::LookedAt).await
}

async fn who(app: &App, headers: &HeaderMap, listener: Listener, of: Use) -> Result<Option<Actor>, StoreError> {
    match (bearer(headers), session_secret(headers, listener)) {
        (Some(secret), _) => token::by_api_token(app, secret, of).await,
        (None, Some(secret)) => session::by_session(app, secret, of).await,
        (None, None) => Ok(None),
    }
}

/// Whether a request with a cookie comes from our own page; one with a token does not need to.
fn is_ours(parts: &Parts) -> Result<(), ApiError> {
    let headers = &parts.headers;
    if bearer(headers).is_some() {
        return Ok(());
    }
    // A browser sends the cookie with whatever any page makes it send, so what changes something needs proof that it was
    // our page. A WebSocket is a GET that other pages may open; its origin is checked too.
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    if !reads && !headers.contains_key(REQUEST_HEADER) {
        return Err(ApiError::forged());
    }
    if !reads || headers.contains_key(header::UPGRADE) {
        require_same_origin(parts.uri.authority().map(axum::http::uri::Authority::as_str), headers)?;
    }
    Ok(())
}

/// The secret of the caller's session.
pub fn session_secret(headers: &HeaderMap, listener: Listener) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == session::cookie_name(listener)).map(|(_, value)| value)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Refuses a request that a page of another origin made. Programs send neither of these headers; they hold no cookie either.
///
/// # Errors
/// [`ApiError::forged`].
pub fn require_same_origin(authority: Option<&str>, headers: &HeaderMap) -> Result<(), ApiError> {
    // What the browser itself says, whatever a proxy made of the names. A WebSocket always has an origin, and browsers differ in
    // what else they say of it.
    let fetched = headers.get("sec-fetch-site").filter(|_| !headers.contains_key(header::UPGRADE));
    if fetched.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(ApiError::forged());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    if origin.is_some() && origin == host { Ok(()) } else { Err(ApiError::forged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let many = headers(&[("cookie", "a=b; everypath_session=secret; __Host-everypath_session=other; c=d")]);
        assert_eq!(session_secret(&many, Listener::Loopback), Some("secret"));
        assert_eq!(session_secret(&many, Listener::Tls), Some("other"), "a neighbour cannot have set this one");
        let other = headers(&[("cookie", "xeverypath_session=1")]);
        assert_eq!(session_secret(&other, Listener::Loopback), None);
        assert_eq!(session_secret(&headers(&[]), Listener::Tls), None);
    }

    #[test]
    fn only_our_own_pages_are_of_our_origin() {
        let of = |origin, host| require_same_origin(None, &headers(&[("origin", origin), ("host", host)])).is_ok();
        assert!(of("https://a.example:8443", "a.example:8443"));
        assert!(!of("https://evil.example", "a.example:8443"));
        assert!(!of("null", "a.example:8443"));
        assert!(!of("https://a.example", "a.example:8443"));
        assert!(require_same_origin(None, &headers(&[("host", "a")])).is_ok(), "a program sends no origin");
        for (site, is_ours) in [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(require_same_origin(None, &headers(&[("sec-fetch-site", site)])).is_ok(), is_ours, "{site}");
        }
        assert!(
            require_same_origin(Some("a"), &headers(&[("origin", "https://a")])).is_ok(),
            "HTTP/2 names the host elsewhere"
        );
    }
}
