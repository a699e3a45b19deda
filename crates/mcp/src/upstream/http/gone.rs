//! Recognizes answers that may say that a server no longer has the session (FB31).
//!
//! The specification has status 404 for it. Servers that were restarted use 400, 401, 403 or 422 as
//! well, or an error of JSON-RPC with status 200. The text alone decides nothing, since a tool may
//! speak of sessions too: a ping does, next door in [`super::session`].

use http::StatusCode;

use crate::wire::{self, Message, Outcome, RequestId};

/// Words that servers use of a session that is gone.
const GONE: [&str; 13] = [
    "not found",
    "unknown",
    "invalid",
    "no valid",
    "expired",
    "terminated",
    "closed",
    "missing",
    "required",
    "does not exist",
    "doesn't exist",
    "no such",
    "not initialized",
];

/// May this status mean that the session is gone? Statuses about the size, rate or duration of the
/// request may not.
pub(super) fn may_be(status: StatusCode) -> bool {
    let is_about_this_request = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::PAYMENT_REQUIRED
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    status.is_client_error() && !is_about_this_request
}

/// Does the text say that there is no such session, or that it was not initialized?
pub(super) fn is_said(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let speaks_of_session = text.contains("session") && GONE.iter().any(|word| text.contains(word));
    speaks_of_session
        || text.contains("not initialized")
        || text.contains("not been initialized")
        || text.contains("not initialised")
}

/// Is the message an error with such a text, in answer to this request or to none?
pub(super) fn is_told(message: &[u8], id: u64) -> bool {
    // Most messages are results, which are not read twice.
    let may_be_error =
        memchr::memmem::find(&message[..message.len().min(4096)], b"\"error\"").is_some();
    if !may_be_error || !is_said(message) {
        return false;
    }
    match wire::parse(&bytes::Bytes::copy_from_slice(message)) {
        Ok(Message::Response(answer)) => {
            let is_ours = answer.id.as_ref().is_none_or(|of| RequestId::as_u64(of) == Some(id));
            is_ours && matches!(answer.outcome, Outcome::Error(_))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb31_words_for_a_session_that_is_gone() {
        let cases = [
            (r#"{"error":{"message":"Bad Request: No valid session ID provided"}}"#, true),
            ("Session not found", true),
            ("Invalid session id", true),
            ("{\"detail\":\"Unknown session\"}", true),
            ("session terminated", true),
            ("Server not initialized", true),
            ("Missing session ID", true),
            ("no such tool", false),
            ("your session is fine", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_said(text.as_bytes()), expected, "{text}");
        }
        let error = |id: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"Session not found"}}}}"#
            )
        };
        assert!(is_told(error("7").as_bytes(), 7) && is_told(error("null").as_bytes(), 7));
        assert!(!is_told(error("8").as_bytes(), 7), "of another call");
        assert!(!is_told(
            br#"{"jsonrpc":"2.0","id":7,"result":{"text":"error: session not found"}}"#,
            7
        ));
    }

    #[test]
    fn fb31_statuses_that_may_mean_it() {
        for status in [400, 401, 403, 404, 409, 410, 422] {
            assert!(may_be(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 202, 405, 408, 413, 415, 429, 500, 502, 503] {
            assert!(!may_be(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
