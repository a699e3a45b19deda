//! The reasons to refuse a message or a part of one, and the JSON-RPC code of each. The codes are
//! next door, in [`super::protocol`].

use thiserror::Error;

use super::{depth::MAX_DEPTH, protocol::code};

/// A message, or a part of one, that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("the message is not valid JSON")]
    Parse(String),
    #[error("batches are not supported: send one JSON-RPC message at a time")]
    Batch,
    #[error("the message is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the key `{0}` appears more than once")]
    DuplicateKey(String),
    #[error("the key `{found}` must be spelt `{expected}`")]
    OddKey { found: String, expected: &'static str },
    #[error("not a JSON-RPC 2.0 message: {0}")]
    InvalidRequest(&'static str),
    #[error("the parameters are not as expected")]
    InvalidParams(String),
    #[error("`{0}` must be {1}")]
    WrongType(&'static str, &'static str),
    #[error("`{0}` is missing")]
    Missing(String),
}

impl WireError {
    /// The JSON-RPC error code to answer with.
    pub fn code(&self) -> i64 {
        match self {
            Self::Parse(_) => code::PARSE_ERROR,
            Self::Batch
            | Self::TooDeep
            | Self::DuplicateKey(_)
            | Self::OddKey { .. }
            | Self::InvalidRequest(_) => code::INVALID_REQUEST,
            Self::InvalidParams(_) | Self::WrongType(..) | Self::Missing(_) => code::INVALID_PARAMS,
        }
    }
}
