//! JSON bodies, with errors that say where the mistake is.

use super::ApiError;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

/// A request body in JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                let detail = "Send JSON, with the header Content-Type: application/json.";
                Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
            }
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = "The request is larger than this address takes.";
                Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))
            }
            Err(rejection) => Err(ApiError::invalid("unreadable_json", plain(&rejection.body_text()))),
        }
    }
}

/// The parser's words without those about our types. Of a body of the wrong shape the first mistake is all that is known.
fn plain(text: &str) -> String {
    let shape = text.strip_prefix("Failed to deserialize the JSON body into the target type: ");
    let syntax = text.strip_prefix("Failed to parse the request body as JSON: ");
    match (shape, syntax) {
        (Some(what), _) => format!("The body has another shape than this address takes: {what}."),
        (_, Some(what)) => format!("The body is no JSON: {what}."),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "read by serde")]
    struct Wanted {
        name: String,
        inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "read by serde")]
    struct Inner {
        count: u32,
    }

    /// "Failed to deserialize the JSON body into the target type" was what people read who forgot a field.
    #[tokio::test]
    async fn a_body_of_another_shape_is_told_in_plain_words() {
        for (body, said) in [
            (
                r#"{"name": "x"}"#,
                "The body has another shape than this address takes: missing field `inner` at line 1 column 13.",
            ),
            (
                r#"{"name": "x", "inner": {"count": "y"}}"#,
                "The body has another shape than this address takes: inner.count: invalid type: string \"y\", expected u32 at line 1 column 36.",
            ),
            (r#"{"name": }"#, "The body is no JSON: name: expected value at line 1 column 10."),
        ] {
            let request = Request::builder().header("content-type", "application/json").body(Body::from(body));
            let refused =
                JsonBody::<Wanted>::from_request(request.expect("a request"), &()).await.expect_err("refused");
            assert_eq!(refused.problem("/x").detail, said);
        }
    }
}
