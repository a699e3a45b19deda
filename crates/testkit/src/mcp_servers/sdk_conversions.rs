//! What a server of the official SDK converts by hand: its models from JSON, and its failures to
//! send into protocol errors. Used by the fixture server and by the conformance server.

use rmcp::{ErrorData, ServiceError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a model of the SDK's from its JSON.
pub(super) fn model<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// The error of a call during which a message could not be sent to the client.
#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
pub(super) fn sending(error: ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
