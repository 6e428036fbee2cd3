//! The dashboard, embedded. Files were compressed when they were built; here they are only chosen.

use crate::api::ApiError;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

/// The folder that `build.rs` chose: the dashboard, or a page that says how to build it.
#[cfg(web_dist)]
#[derive(RustEmbed)]
#[folder = "../web/dist"]
struct Files;

#[cfg(not(web_dist))]
#[derive(RustEmbed)]
#[folder = "stub"]
struct Files;

/// Names under this path carry a hash of their content and never change.
const HASHED: &str = "assets/";

/// Everything that is no route: a file, or the page itself, whose own code reads the address.
pub async fn page(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path.starts_with("api/") || path == "api" {
        return ApiError::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match file(path, request.headers()) {
        Some(response) => response,
        // A page from before an upgrade asks for files that are gone, and a collector may ask for metrics at the wrong listener.
        // A page instead would break them silently.
        None if path.starts_with(HASHED) || path == "metrics" => StatusCode::NOT_FOUND.into_response(),
        None => file("index.html", request.headers()).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response()),
    }
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Files::get(path)?;
    let etag = format!("\"{}\"", everypath_protocol::id::hex(&plain.metadata.sha256_hash()[..16]));
    let cache = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (encoding, content) = smallest(path, plain, headers);
        let mut response = Response::new(Body::from(content.data));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        if let Some(encoding) = encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).ok()?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    Some(response)
}

/// The compressed file beside the plain one that the browser takes.
fn smallest(path: &str, plain: EmbeddedFile, headers: &HeaderMap) -> (Option<&'static str>, EmbeddedFile) {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    for (encoding, ending) in [("br", "br"), ("gzip", "gz")] {
        // A quality of zero is a refusal.
        let accepts = accepted.split(',').map(str::trim).any(|item| {
            item.strip_prefix(encoding)
                .is_some_and(|rest| rest.is_empty() || (rest.starts_with(';') && !rest.ends_with("q=0")))
        });
        if let Some(file) = accepts.then(|| Files::get(&format!("{path}.{ending}"))).flatten() {
            return (Some(encoding), file);
        }
    }
    (None, plain)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
