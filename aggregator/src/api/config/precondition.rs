//! `If-Match` (RFC 9110, 13.1.1): a change names the version that it was made from.

use crate::api::ApiError;
use axum::http::{HeaderMap, StatusCode, header};

/// The version that the caller read. Whoever only asks what would happen need not say.
///
/// # Errors
/// 428 if it must be said and is not, 400 if it is not a version in quotes.
pub(super) fn version(headers: &HeaderMap, dry_run: bool) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        if dry_run {
            return Ok(None);
        }
        let detail = "Send the header If-Match with the version that you read, as the ETag of GET /api/v1/config has it; \
                      it is \"0\" before the first.";
        return Err(ApiError::new(StatusCode::PRECONDITION_REQUIRED, "if_match_needed", detail));
    };
    let text = value.to_str().unwrap_or_default().trim();
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        let detail = "If-Match must be one version in quotes, as the ETag of GET /api/v1/config has it: \"7\".";
        ApiError::invalid("invalid_parameter", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_in_quotes() {
        let ask = |text: &str, dry_run| {
            let mut headers = HeaderMap::new();
            if !text.is_empty() {
                headers.insert(header::IF_MATCH, text.parse().expect("a value"));
            }
            version(&headers, dry_run).map_err(|error| error.code())
        };
        assert_eq!(ask("\"7\"", false), Ok(Some(7)));
        assert_eq!(ask("", true), Ok(None));
        assert_eq!(ask("", false), Err("if_match_needed"));
        for wrong in ["7", "*", "W/\"7\"", "\"7\", \"8\"", "\"-1\"", "\"x\"", "\""] {
            assert_eq!(ask(wrong, false), Err("invalid_parameter"), "{wrong}");
        }
    }
}
