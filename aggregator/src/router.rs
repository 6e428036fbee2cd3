//! Every route, in one list. A route cannot be added without saying who may reach it and what is done there.

use crate::api::{
    self, ApiError, agents, alert_rules, api_tokens, audit, channels, config, health, hello, incidents, ingest, join,
    join_tokens, live, matrix, openapi, password, report_schedules, reports, retention, series, session, silences,
    system, users,
};
use crate::app::Shared;
use crate::auth::{self, Listener};
use crate::guard::{Action, Guard};
use crate::web;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::handler::Handler;
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use everypath_protocol::batch::REQUEST_BYTES_MAX;
use std::net::IpAddr;
use std::time::Duration;
use tower_http::timeout::TimeoutLayer;
use tracing::Instrument as _;

/// Most bytes of a JSON body.
const JSON_BYTES_MAX: usize = 64 * 1024;
/// A request that is not answered by then is given up; also bounds how long a body may take to arrive.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// What was begun goes on for so long although nobody waits for the answer: longer than anything takes that a request does.
const BEGUN_TIME_MAX: Duration = Duration::from_secs(60);

/// What the list says of one route.
#[derive(Clone, Debug)]
pub struct Route {
    /// How.
    pub method: Method,
    /// Where.
    pub path: &'static str,
    /// Who.
    pub guard: Guard,
    /// What for.
    pub action: Action,
}

/// Routes and what is known of them.
struct Routes {
    app: Shared,
    router: Router<Shared>,
    list: Vec<Route>,
}

impl Routes {
    fn add<H, T>(mut self, method: Method, path: &'static str, guard: Guard, action: Action, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("only the usual methods are in the list");
        let app = self.app.clone();
        let stand_before =
            middleware::from_fn(move |request: Request, next: Next| auth::guard(guard, app.clone(), request, next));
        self.router = self.router.route(path, on(filter, handler).route_layer(stand_before));
        self.list.push(Route { method, path, guard, action });
        self
    }
}

/// The list.
fn routes(app: Shared, listener: Listener) -> Routes {
    use Action::{
        ChangeConfig, ChangeOwnPassword, ChangeSettings, Join, MakeApiToken, ManageApiTokens, ManageJoinTokens,
        ManageUsers, ReadAuditLog, ReadMatrix, ReadPublic, RedeemInvitation, Report, UseSession,
    };
    let routes = Routes { app, router: Router::new(), list: Vec::new() }
        .add(Method::GET, "/healthz", Guard::Public, ReadPublic, health::healthz)
        .add(Method::GET, "/readyz", Guard::Public, ReadPublic, health::readyz)
        .add(Method::GET, "/api/v1/openapi.json", Guard::Public, ReadPublic, openapi::document)
        .add(Method::POST, "/api/v1/session", Guard::Public, UseSession, session::create)
        .add(Method::GET, "/api/v1/session", Guard::Public, UseSession, session::show)
        .add(Method::DELETE, "/api/v1/session", Guard::User, UseSession, session::delete)
        .add(Method::PUT, "/api/v1/session/password", Guard::User, ChangeOwnPassword, password::change)
        .add(Method::POST, "/api/v1/invitations/redeem", Guard::Public, RedeemInvitation, password::redeem)
        .add(Method::GET, "/api/v1/users", Guard::User, ManageUsers, users::list)
        .add(Method::POST, "/api/v1/users", Guard::User, ManageUsers, users::create)
        .add(Method::PATCH, "/api/v1/users/{name}", Guard::User, ManageUsers, users::change)
        .add(Method::DELETE, "/api/v1/users/{name}", Guard::User, ManageUsers, users::delete)
        .add(Method::POST, "/api/v1/users/{name}/invitation", Guard::User, ManageUsers, users::invite)
        .add(Method::GET, "/api/v1/api-tokens", Guard::User, ManageApiTokens, api_tokens::list)
        .add(Method::POST, "/api/v1/api-tokens", Guard::User, MakeApiToken, api_tokens::create)
        .add(Method::DELETE, "/api/v1/api-tokens/{name}", Guard::User, ManageApiTokens, api_tokens::delete)
        .add(Method::GET, "/api/v1/audit", Guard::User, ReadAuditLog, audit::list)
        .add(Method::GET, "/api/v1/agents", Guard::User, ReadMatrix, agents::list)
        .add(Method::GET, "/api/v1/matrix", Guard::User, ReadMatrix, matrix::now)
        .add(Method::GET, "/api/v1/pairs/{source}/{target}/series", Guard::User, ReadMatrix, series::series)
        .add(Method::GET, "/api/v1/reports/availability", Guard::User, ReadMatrix, reports::availability)
        .add(Method::GET, "/api/v1/config", Guard::User, ReadMatrix, config::show)
        .add(
            Method::PUT,
            "/api/v1/config",
            Guard::User,
            ChangeConfig,
            config::set.layer(DefaultBodyLimit::max(config::REQUEST_BYTES_MAX)),
        )
        .add(Method::GET, "/api/v1/config/agents", Guard::User, ReadMatrix, config::versions::agents)
        .add(Method::GET, "/api/v1/config/versions", Guard::User, ReadMatrix, config::versions::list)
        .add(Method::GET, "/api/v1/config/versions/{version}", Guard::User, ReadMatrix, config::versions::show)
        .add(
            Method::POST,
            "/api/v1/config/versions/{version}/rollback",
            Guard::User,
            ChangeConfig,
            config::versions::rollback,
        )
        .add(Method::GET, "/api/v1/settings/retention", Guard::User, ReadMatrix, retention::show)
        .add(Method::PUT, "/api/v1/settings/retention", Guard::User, ChangeSettings, retention::set)
        .add(Method::GET, "/api/v1/live", Guard::User, ReadMatrix, live::live)
        .add(Method::GET, "/api/v1/system", Guard::User, ReadMatrix, system::show)
        .add(Method::GET, "/api/v1/join-tokens", Guard::User, ManageJoinTokens, join_tokens::list)
        .add(Method::POST, "/api/v1/join-tokens", Guard::User, ManageJoinTokens, join_tokens::create)
        .add(Method::DELETE, "/api/v1/join-tokens/{id}", Guard::User, ManageJoinTokens, join_tokens::delete)
        .add(Method::POST, "/api/v1/join", Guard::JoinToken, Join, join::join)
        .add(Method::POST, "/api/v1/hello", Guard::Agent, Report, hello::hello)
        .add(
            Method::POST,
            "/api/v1/ingest",
            Guard::Agent,
            Report,
            ingest::ingest.layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)),
        );
    let routes = alert_routes(routes);
    match listener {
        Listener::Tls => routes,
        Listener::Loopback => routes.add(Method::GET, "/metrics", Guard::Public, ReadPublic, health::metrics),
    }
}

/// Incidents, who is told of them, and who gets reports.
fn alert_routes(routes: Routes) -> Routes {
    use Action::{AnswerAlerts, ManageChannels, ReadChannels, ReadMatrix};
    const ACKNOWLEDGEMENT: &str = "/api/v1/incidents/{id}/acknowledgement";
    const SCHEDULES: &str = "/api/v1/report-schedules";
    const SCHEDULE: &str = "/api/v1/report-schedules/{id}";
    routes
        .add(Method::GET, "/api/v1/incidents", Guard::User, ReadMatrix, incidents::list)
        .add(Method::GET, "/api/v1/incidents/{id}", Guard::User, ReadMatrix, incidents::show)
        .add(Method::PUT, ACKNOWLEDGEMENT, Guard::User, AnswerAlerts, incidents::acknowledge)
        .add(Method::DELETE, ACKNOWLEDGEMENT, Guard::User, AnswerAlerts, incidents::take_back)
        .add(Method::GET, "/api/v1/alert-rules", Guard::User, ReadMatrix, alert_rules::list)
        .add(Method::POST, "/api/v1/alert-rules", Guard::User, AnswerAlerts, alert_rules::create)
        .add(Method::PUT, "/api/v1/alert-rules/{id}", Guard::User, AnswerAlerts, alert_rules::replace)
        .add(Method::DELETE, "/api/v1/alert-rules/{id}", Guard::User, AnswerAlerts, alert_rules::delete)
        .add(Method::GET, "/api/v1/silences", Guard::User, ReadMatrix, silences::list)
        .add(Method::POST, "/api/v1/silences", Guard::User, AnswerAlerts, silences::create)
        .add(Method::PUT, "/api/v1/silences/{id}", Guard::User, AnswerAlerts, silences::replace)
        .add(Method::DELETE, "/api/v1/silences/{id}", Guard::User, AnswerAlerts, silences::delete)
        .add(Method::GET, "/api/v1/channels", Guard::User, ReadChannels, channels::list)
        .add(Method::POST, "/api/v1/channels", Guard::User, ManageChannels, channels::create)
        .add(Method::PUT, "/api/v1/channels/{id}", Guard::User, ManageChannels, channels::replace)
        .add(Method::DELETE, "/api/v1/channels/{id}", Guard::User, ManageChannels, channels::delete)
        .add(Method::POST, "/api/v1/channels/{id}/test", Guard::User, ManageChannels, channels::test)
        .add(Method::GET, "/api/v1/channels/{id}/deliveries", Guard::User, ReadChannels, channels::deliveries)
        .add(Method::GET, SCHEDULES, Guard::User, ReadChannels, report_schedules::list)
        .add(Method::POST, SCHEDULES, Guard::User, ManageChannels, report_schedules::create)
        .add(Method::PUT, SCHEDULE, Guard::User, ManageChannels, report_schedules::replace)
        .add(Method::DELETE, SCHEDULE, Guard::User, ManageChannels, report_schedules::delete)
        .add(Method::POST, "/api/v1/report-schedules/{id}/send", Guard::User, ManageChannels, report_schedules::send)
}

/// What a listener offers, for the test that compares it with the table of guards.
pub fn list(app: &Shared, listener: Listener) -> Vec<Route> {
    routes(app.clone(), listener).list
}

/// The service of a listener.
pub fn build(app: Shared, listener: Listener) -> Router {
    let routes = routes(app.clone(), listener);
    let router = routes.router.fallback(web::page);
    let router = match listener {
        Listener::Tls => router,
        Listener::Loopback => router.layer(middleware::from_fn(only_own_names)),
    };
    router
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), finish_what_was_begun))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIME_MAX))
        .layer(middleware::from_fn(api::render_problems))
        .layer(middleware::from_fn(move |request: Request, next: Next| add_security_headers(listener, request, next)))
        .layer(Extension(listener))
        .with_state(app)
}

/// Whoever hangs up after a message went out or a password was tried must not keep that out of the audit log: what changes something
/// goes on to its end in a task of its own, for which the end of the program waits a little.
async fn finish_what_was_begun(State(app): State<Shared>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    // The limit also ends what waits for a body that never comes.
    let limited = tokio::time::timeout(BEGUN_TIME_MAX, next.run(request)).in_current_span();
    match app.begun.spawn(limited).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => StatusCode::REQUEST_TIMEOUT.into_response(),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => ApiError::busy().into_response(),
    }
}

/// A page elsewhere can make a browser connect to loopback under a name of its own (DNS rebinding); the name gives it away.
async fn only_own_names(request: Request, next: Next) -> Response {
    if asks_for_own_name(&request) {
        return next.run(request).await;
    }
    let detail = "This address answers only to 127.0.0.1, [::1] and localhost; ask for it by one of these names.";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail).into_response()
}

/// HTTP/2 names the host elsewhere; whoever names it twice must be right twice.
fn asks_for_own_name(request: &Request) -> bool {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let authority = request.uri().authority().map(Authority::as_str);
    let mut names = authority.into_iter().chain(host).peekable();
    names.peek().is_some() && names.all(is_own_name)
}

fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// What every answer tells the browser: load nothing from elsewhere, show nothing inside another page, share nothing with pages
/// of others, guess no types, tell nobody where one came from, and over TLS come back over TLS alone.
async fn add_security_headers(listener: Listener, request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    // A year. Not for names below this one, which are not ours to speak for.
    const TLS_ONLY: &str = "max-age=31536000";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if listener == Listener::Tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_ONLY));
    }
    // What the API answers is of now and for one reader.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
