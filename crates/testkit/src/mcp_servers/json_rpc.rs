//! How servers answer that write their JSON-RPC by hand: [`super::ledger`], [`super::probing`] and
//! the program `echo-server`. Those of the official SDK leave it to the SDK.

use serde_json::{Value, json};

/// The answer to the request with this id. No result means that there is no such method;
/// `server/discover` among them is how the gateway learns that a server is of the legacy era.
pub fn answer(id: &Value, result: Option<Value>) -> Value {
    match result {
        Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        None => {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "Method not found"}})
        }
    }
}
