//! The headers of a request that this transport has an opinion on. `Origin` and `Host` are the
//! edge's business (threat 34).

use http::{HeaderMap, StatusCode, header};

use super::answers;
use crate::{
    answer::Answer,
    session::{SessionId, resume::NamedEvent},
    wire::{code, protocol::header_name},
};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
/// What most clients send.
const USUAL: &[u8] = b"application/json, text/event-stream";

/// A POST carries JSON and can take both JSON and a stream.
pub(crate) fn check_post(map: &HeaderMap) -> Result<(), Box<Answer>> {
    if !essence(map.get(header::CONTENT_TYPE)).eq_ignore_ascii_case(JSON) {
        return Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be application/json",
        ));
    }
    let is_usual = map.get(header::ACCEPT).is_some_and(|value| value.as_bytes() == USUAL);
    if !is_usual && (!accepts(map, JSON) || !accepts(map, EVENTS)) {
        return Err(refuse(
            StatusCode::NOT_ACCEPTABLE,
            "the Accept header must list application/json and text/event-stream",
        ));
    }
    Ok(())
}

/// A GET can take a stream.
pub(crate) fn check_get(map: &HeaderMap) -> Result<(), Box<Answer>> {
    if accepts(map, EVENTS) {
        Ok(())
    } else {
        Err(refuse(StatusCode::NOT_ACCEPTABLE, "the Accept header must list text/event-stream"))
    }
}

/// The session that the request names; two names are none.
pub(crate) fn session(map: &HeaderMap) -> Result<SessionId, Box<Answer>> {
    let mut values = map.get_all(header_name::SESSION_ID).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Box::new(answers::session_missing())),
        (Some(value), None) => value
            .to_str()
            .map(SessionId::from_text)
            .map_err(|_| Box::new(answers::session_unknown())),
        (Some(_), Some(_)) => {
            Err(Box::new(answers::bad_request("the Mcp-Session-Id header appears more than once")))
        }
    }
}

/// The event after which a stream is to be taken up again.
pub(crate) fn last_event(map: &HeaderMap) -> Result<Option<NamedEvent>, Box<Answer>> {
    let mut values = map.get_all(header_name::LAST_EVENT_ID).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str().ok().and_then(NamedEvent::parse) {
            Some(event) => Ok(Some(event)),
            None => Err(Box::new(answers::bad_request(
                "the Last-Event-ID header names no event of this session",
            ))),
        },
        (Some(_), Some(_)) => {
            Err(Box::new(answers::bad_request("the Last-Event-ID header appears more than once")))
        }
    }
}

fn refuse(status: StatusCode, message: &str) -> Box<Answer> {
    Box::new(answers::error(status, None, code::INVALID_REQUEST, message))
}

/// A media type without parameters.
fn essence(value: Option<&http::HeaderValue>) -> &str {
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// No `Accept` header at all means anything (RFC 9110 section 12.5.1).
fn accepts(map: &HeaderMap, media_type: &str) -> bool {
    let mut values = map.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let main = media_type.split('/').next().unwrap_or_default();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            ["q=0", "q=0.0", "q=0.00", "q=0.000"].iter().any(|zero| part.eq_ignore_ascii_case(zero))
        });
        let is_of_main = |range: &str| {
            range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(main))
        };
        !refused && (range == "*/*" || range.eq_ignore_ascii_case(media_type) || is_of_main(range))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn accept_is_read_leniently_but_read() {
        let json = ("content-type", "application/json; charset=utf-8");
        for good in [
            "application/json, text/event-stream",
            "*/*",
            "text/*, Application/JSON;q=0.5",
            "text/event-stream,application/*",
        ] {
            assert!(check_post(&map(&[json, ("accept", good)])).is_ok(), "{good}");
        }
        assert!(check_post(&map(&[json])).is_ok(), "no Accept means anything");
        for bad in [
            "application/json",
            "text/event-stream",
            "text/html",
            "application/json, text/event-stream;q=0",
        ] {
            let answer = check_post(&map(&[json, ("accept", bad)])).unwrap_err();
            assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{bad}");
        }
        assert!(check_get(&map(&[("accept", "text/event-stream")])).is_ok());
        assert!(check_get(&map(&[("accept", "application/json")])).is_err());
    }

    #[test]
    fn only_json_is_taken() {
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let answer = check_post(&map(&[("content-type", bad)])).unwrap_err();
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{bad:?}");
        }
        assert!(check_post(&map(&[])).is_err());
    }

    #[test]
    fn one_session_at_a_time() {
        assert_eq!(session(&map(&[])).unwrap_err().status, StatusCode::BAD_REQUEST);
        let mut twice = map(&[("mcp-session-id", "a")]);
        twice.append("mcp-session-id", "b".parse().unwrap());
        assert_eq!(session(&twice).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
