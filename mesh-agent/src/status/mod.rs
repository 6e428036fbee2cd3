//! The loopback page: what this agent knows and how it fares. Read-only, never reachable from another host, and deaf to
//! pages in a browser that pretend to be it.

pub mod json;

use crate::aggregators::Aggregators;
use crate::driver::Question;
use crate::listen;
use crate::metrics::Metrics;
use crate::net::supervisor::Listening;
use crate::probe::privilege::Privileges;
use crate::store::Store;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use everypath_protocol::ledger::Ledger;
use json::{About, BufferJson, RunningBufferJson, StateJson};
use mesh_agent_core::matrix::View;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Questions that may wait for the driver; one more is answered with 503.
pub const QUESTIONS_MAX: usize = 16;
/// The driver must answer within this time.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Not on loopback.
    #[error(
        "the status page must be on loopback, like 127.0.0.1:9117, because it shows the whole mesh to anyone who can reach it; {0} is not"
    )]
    NotLoopback(SocketAddr),
    /// The operating system refuses.
    #[error(
        "cannot serve the status page at {address}: {why}. {}",
        listen::advice(why.kind(), *address, "--status")
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        why: std::io::Error,
    },
}

/// What the page is made of.
#[derive(Clone, Debug)]
pub struct Page {
    /// To the driver.
    pub questions: mpsc::Sender<Question>,
    /// Holds the ledger.
    pub store: Store,
    /// Shown at /metrics.
    pub metrics: Metrics,
    /// Where the mesh listens.
    pub listening: watch::Receiver<Listening>,
    /// What this host allows.
    pub privileges: watch::Receiver<Privileges>,
    /// Knows what went wrong last on the way to them.
    pub aggregators: Aggregators,
    /// What does not change.
    pub about: Arc<About>,
}

/// Opens the page's socket.
///
/// # Errors
/// See [`StatusError`].
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StatusError> {
    if !address.ip().is_loopback() {
        return Err(StatusError::NotLoopback(address));
    }
    let failed = |why| StatusError::Bind { address, why };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Whose page it is, in hexadecimal: another agent may have the address of one that ended.
pub const AGENT_HEADER: &str = "x-everypath-agent";

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, page: Page, shutdown: CancellationToken) {
    let served = axum::serve(listener, router(page)).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(why) = served {
        tracing::error!(%why, "the status page ended");
    }
}

/// The routes, for tests without a socket.
pub fn router(page: Page) -> Router {
    let agent = page.about.agent.to_string();
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/state", get(state))
        .route("/ledger", get(ledger))
        .route("/buffer", get(buffer))
        .fallback(async || (StatusCode::NOT_FOUND, "this page has /healthz, /metrics, /state, /ledger and /buffer\n"))
        .with_state(page)
        .layer(middleware::from_fn(move |request, next| only_own_names(agent.clone(), request, next)))
}

/// A page elsewhere can make a browser connect to loopback under a name of its own (DNS rebinding); the name gives it away.
async fn only_own_names(agent: String, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if host.is_some_and(is_own_name) {
        let mut response = next.run(request).await;
        let agent = header::HeaderValue::try_from(agent).expect("hexadecimal digits");
        response.headers_mut().insert(AGENT_HEADER, agent);
        response
    } else {
        (StatusCode::FORBIDDEN, "this page answers only to 127.0.0.1, [::1] and localhost\n").into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

async fn view(page: &Page) -> Result<View, Response> {
    let busy =
        || (StatusCode::SERVICE_UNAVAILABLE, "the agent is busy and did not answer within 2 seconds\n").into_response();
    let (answer, answered) = oneshot::channel();
    page.questions.try_send(answer).map_err(|_| {
        page.metrics.queue_full.with_label_values(&["questions"]).inc();
        busy()
    })?;
    match tokio::time::timeout(ANSWER_MAX, answered).await {
        Ok(Ok(view)) => Ok(view),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

async fn healthz(State(page): State<Page>) -> Response {
    view(&page).await.map_or_else(|busy| busy, |_| "ok\n".into_response())
}

async fn metrics(State(page): State<Page>) -> Response {
    // Numbers of the agent itself are asked for only when somebody looks.
    let mut text = page.metrics.text();
    if let Ok(view) = view(&page).await {
        text.push_str(&json::view_metrics(&view));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn state(State(page): State<Page>) -> Response {
    match view(&page).await {
        Ok(view) => {
            let (listening, privileges) = (page.listening.borrow().clone(), page.privileges.borrow().clone());
            Json(StateJson::new(&view, &page.about, &listening, &privileges, page.aggregators.failure()))
                .into_response()
        }
        Err(busy) => busy,
    }
}

async fn buffer(State(page): State<Page>) -> Response {
    let view = match view(&page).await {
        Ok(view) => view,
        Err(busy) => return busy,
    };
    match tokio::time::timeout(ANSWER_MAX, page.store.report()).await {
        Ok(Ok(report)) => {
            let state = page.store.news().state.borrow().clone();
            let running = Some(RunningBufferJson::new(&view, &page.about, &state));
            Json(BufferJson { report, file: page.store.file_report(), running }).into_response()
        }
        Ok(Err(_)) | Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the buffer did not answer within 2 seconds\n").into_response()
        }
    }
}

async fn ledger(State(page): State<Page>) -> Response {
    match tokio::time::timeout(ANSWER_MAX, page.store.ledger()).await {
        Ok(Ok(entries)) => Json(Ledger { agent: page.about.agent, entries }).into_response(),
        Ok(Err(_)) | Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the buffer did not answer within 2 seconds\n").into_response()
        }
    }
}
