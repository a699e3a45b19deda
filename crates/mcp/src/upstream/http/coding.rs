//! Content codings of answers (RFC 9110 section 8.4).
//!
//! None is offered, but some servers compress all the same (FB34). Answers are decoded as they
//! arrive, so the bounds of the readers hold for the decoded bytes, and a stream's events are not
//! delayed.

use std::io;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Either, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::upstream::error::UpstreamError;

/// The body of an answer, decoded if it has a coding.
pub(super) type Body = Either<Incoming, UnsyncBoxBody<Bytes, io::Error>>;

/// The error of reading a body.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The `Accept-Encoding` of every request.
pub(super) const NONE: HeaderValue = HeaderValue::from_static("identity");
/// How much is decoded at a time.
const PIECE: usize = 16 * 1024;

/// The answer with its body decoded.
pub(super) fn decoded(response: Response<Incoming>) -> Result<Response<Body>, UpstreamError> {
    let Some(coding) = coding(response.headers()) else { return Ok(response.map(Either::Left)) };
    let (head, body) = response.into_parts();
    let coded = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let body = match coding.as_str() {
        "gzip" | "x-gzip" => {
            let mut decoder = GzipDecoder::new(coded);
            decoder.multiple_members(true);
            boxed(decoder)
        }
        "deflate" => boxed(ZlibDecoder::new(coded)),
        "br" => boxed(BrotliDecoder::new(coded)),
        _ => {
            let shown: String = coding.escape_debug().take(60).collect();
            return Err(UpstreamError::protocol(format!(
                "an answer of content coding \"{shown}\", and none was asked for"
            )));
        }
    };
    Ok(Response::from_parts(head, Either::Right(body)))
}

fn coding(headers: &HeaderMap) -> Option<String> {
    let mut codings = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let all = codings.next()?.into_owned();
    let all = codings.fold(all, |all, next| format!("{all}, {next}")).trim().to_ascii_lowercase();
    (!all.is_empty() && all != "identity").then_some(all)
}

fn boxed(decoder: impl AsyncRead + Send + 'static) -> UnsyncBoxBody<Bytes, io::Error> {
    StreamBody::new(ReaderStream::with_capacity(decoder, PIECE).map_ok(Frame::data)).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb34_codings_that_are_none() {
        for (values, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["identity"], None),
            (&[" Identity "], None),
            (&["GZIP"], Some("gzip")),
            (&["gzip", "br"], Some("gzip, br")),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(coding(&headers).as_deref(), expected, "{values:?}");
        }
    }
}
