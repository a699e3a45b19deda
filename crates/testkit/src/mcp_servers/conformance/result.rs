//! Results of either era, and the error of a method that an era does not have.

use rmcp::{ErrorData, model::ErrorCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::sdk_conversions::model;

/// A finished result. Modern results say that they are; rmcp takes it away for legacy clients.
pub(super) fn complete<T: DeserializeOwned>(mut result: Value) -> Result<T, ErrorData> {
    result["resultType"] = json!("complete");
    model(result)
}

pub(super) fn method_not_found(method: &'static str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None)
}
