//! The matrix as it changes, over a WebSocket.

use super::{ApiError, Problem};
use crate::app::Shared;
use crate::guard::{Action, Actor, Resource, authorize};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// Clients at the same time; each holds a connection and what waits for it.
const CLIENTS_MAX: i64 = 512;
/// A client that takes no frame for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Clients have nothing to say but "pong" and "close".
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Frames of the live matrix, at most ten a second. `docs/reference/live-protocol.md` describes the bytes.
///
/// # Errors
/// 401 without a session or an API token, 403 from a page of another origin, 503 with too many clients.
#[utoipa::path(
    get, path = "/api/v1/live", operation_id = "live", tag = "mesh",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 101, description = "The connection is a WebSocket from here on; frames are binary."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn live(State(app): State<Shared>, actor: Actor, upgrade: WebSocketUpgrade) -> Result<Response, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    if app.metrics.live_clients.get() >= CLIENTS_MAX {
        return Err(ApiError::busy());
    }
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| serve(app, socket)))
}

async fn serve(app: Shared, mut socket: WebSocket) {
    app.metrics.live_clients.inc();
    send_frames(&app, &mut socket).await;
    app.metrics.live_clients.dec();
}

/// Ends when the client leaves, stops taking frames, or the program ends.
async fn send_frames(app: &Shared, socket: &mut WebSocket) {
    let Ok((hello, mut frames)) = app.hub.join().await else { return };
    if !send(socket, hello).await {
        return;
    }
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            message = socket.recv() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            () = app.draining.cancelled() => {
                // The page connects again at once, and finds another replica or this one restarted.
                let reason = CloseFrame { code: close_code::RESTART, reason: "the aggregator ends".into() };
                let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(reason)))).await;
                return;
            }
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

async fn send(socket: &mut WebSocket, frame: Bytes) -> bool {
    timeout(SEND_TIMEOUT, socket.send(Message::Binary(frame))).await.is_ok_and(|sent| sent.is_ok())
}
