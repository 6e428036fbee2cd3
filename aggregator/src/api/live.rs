//! The matrix as it changes, over a WebSocket.

use super::session::Origin;
use super::{ApiError, Problem};
use crate::app::Shared;
use crate::auth::{self, Listener};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::seats::{ACCOUNT_CLIENTS_MAX, Full, Seat};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A client that takes no frame for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether a client may still watch; the same replica looks within a second when it took a right away.
/// With [`CLIENTS_MAX`](crate::seats::CLIENTS_MAX) that is a hundred small reads a second.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// And at most so often, however often somebody logs out.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Close code: whoever watches may not any more. Signing in again helps, connecting again does not.
const ENDED: u16 = 4_401;
/// Whoever found no place may ask again then.
const RETRY_AFTER_S: u64 = 30;
/// Clients have nothing to say but "pong" and "close".
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Frames of the live matrix, at most ten a second. `docs/reference/live-protocol.md` describes the bytes. When the session or
/// token ends, or gets another role, the connection is closed with 4401: at once by the replica that was told, by others within 5 s.
///
/// # Errors
/// 401 without a session or an API token, 403 from a page of another origin, 429 with too many clients of one account, 503 with too
/// many at all.
#[utoipa::path(
    get, path = "/api/v1/live", operation_id = "live", tag = "mesh",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 101, description = "The connection is a WebSocket from here on; frames are binary."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forged_request`, or `not_allowed` for an API token without the scope `read`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_live`: this account has as many open as it may have.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn live(
    State(app): State<Shared>,
    actor: Actor,
    origin: Origin,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let seat = app.seats.take(&actor).map_err(no_seat)?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    let watcher = Watcher { rights: app.rights.subscribe(), actor, headers, listener: origin.listener };
    // Whoever never comes gives the place back too: it is dropped with what was to be done.
    Ok(upgrade.on_upgrade(move |socket| serve(app, watcher, socket, seat)))
}

fn no_seat(full: Full) -> ApiError {
    match full {
        Full::Account => {
            let detail = format!(
                "This account has {ACCOUNT_CLIENTS_MAX} live connections, which is all it may have. Close a page that shows the matrix."
            );
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_live", detail).retry_after(RETRY_AFTER_S)
        }
        Full::All => {
            let detail =
                "This aggregator has as many live connections as it takes. Try again later, or ask another replica.";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_AFTER_S)
        }
    }
}

/// Who watches, and by what it was let in.
struct Watcher {
    actor: Actor,
    headers: HeaderMap,
    listener: Listener,
    rights: watch::Receiver<()>,
}

impl Watcher {
    /// Returns when it may not watch any more.
    async fn ended(&mut self, app: &Shared) {
        let mut looks = interval(LOOK_PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Nobody can be told apart from "time is over" if the sender is gone, and it lives as long as the program.
            let _ = timeout(LOOK_EVERY, self.rights.changed()).await;
            looks.tick().await;
            // What changed while it slept is seen now.
            self.rights.mark_unchanged();
            match auth::still(app, &self.headers, self.listener).await {
                Ok(Some(actor)) if actor == self.actor => {}
                Ok(_) => return,
                // Rather watched a little longer than thrown out while the database is away.
                Err(error) => tracing::debug!(%error, "whether somebody may still watch is not known"),
            }
        }
    }
}

async fn serve(app: Shared, watcher: Watcher, mut socket: WebSocket, _seat: Seat) {
    send_frames(&app, watcher, &mut socket).await;
}

/// Ends when the client leaves, stops taking frames, may not watch any more, or the program ends.
async fn send_frames(app: &Shared, mut watcher: Watcher, socket: &mut WebSocket) {
    let Ok((hello, mut frames)) = app.hub.join().await else { return };
    if !send(socket, hello).await {
        return;
    }
    let ended = watcher.ended(app);
    tokio::pin!(ended);
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            message = socket.recv() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            () = app.draining.cancelled() => {
                // The page connects again at once, and finds another replica or this one restarted.
                return close(socket, close_code::RESTART, "the aggregator ends").await;
            }
            () = &mut ended => return close(socket, ENDED, "the session has ended").await,
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(RecvError::Lagged(_)) => {
                // Frames are lost to this client. It fetches the whole again, and goes on from now.
                app.metrics.live_resets.inc();
                frames = frames.resubscribe();
                let Ok(again) = app.hub.fetch_again().await else { return };
                again
            }
            Err(RecvError::Closed) => return,
        };
        if !send(socket, frame).await {
            return;
        }
    }
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    // The connection ends in any case.
    let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(frame)))).await;
}

async fn send(socket: &mut WebSocket, frame: Bytes) -> bool {
    timeout(SEND_TIMEOUT, socket.send(Message::Binary(frame))).await.is_ok_and(|sent| sent.is_ok())
}
