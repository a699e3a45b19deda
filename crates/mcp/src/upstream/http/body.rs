//! Reads the body of an answer as a whole, within a bound. Streams of events are read next door, in
//! [`super::events`].

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::{client::broken, coding::Body};
use crate::upstream::error::UpstreamError;

/// How much of an error's body is read.
pub(super) const OF_AN_ERROR: usize = 64 * 1024;

pub(super) async fn read(response: Response<Body>, max: usize) -> Result<Bytes, UpstreamError> {
    let mut body = response.into_body();
    if body.size_hint().lower() > max as u64 {
        return Err(UpstreamError::TooLarge);
    }
    let mut whole = Whole::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&*error))?;
        if let Ok(chunk) = frame.into_data() {
            whole.add(chunk, max)?;
        }
    }
    Ok(whole.into_bytes())
}

/// The part of a body that was read. Most bodies come in one piece, which is not copied.
#[derive(Default)]
struct Whole {
    first: Bytes,
    more: Vec<u8>,
}

impl Whole {
    fn add(&mut self, chunk: Bytes, max: usize) -> Result<(), UpstreamError> {
        if self.first.len() + self.more.len() + chunk.len() > max {
            return Err(UpstreamError::TooLarge);
        }
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            self.more.extend_from_slice(&chunk);
        }
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() {
            self.first
        } else {
            Bytes::from([&self.first[..], &self.more].concat())
        }
    }
}
