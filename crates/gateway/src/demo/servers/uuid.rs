//! The UUID server's one tool (RFC 9562).

use portunus_core::{Entropy, Timestamp};
use serde_json::{Value, json};

use super::{Arguments, ToolOutput, only, whole_number};

pub(super) const NAME: &str = "generate";

pub(super) fn tool() -> Value {
    json!({
        "name": NAME,
        "title": "Generate UUIDs",
        "description": "Generates UUIDs: version 4 is random, version 7 sorts by time.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "count": {"type": "integer", "minimum": 1, "maximum": 100, "default": 1, "description": "How many"},
                "version": {"type": "integer", "enum": [4, 7], "default": 4, "description": "4 (random) or 7 (sorts by time)"},
            },
            "additionalProperties": false,
        },
        "outputSchema": {
            "type": "object",
            "properties": {
                "version": {"type": "integer"},
                "uuids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
            },
            "required": ["version", "uuids"],
        },
        "annotations": {"readOnlyHint": true, "openWorldHint": false},
    })
}

pub(super) fn call(
    arguments: &Arguments,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<ToolOutput, String> {
    only(arguments, &["count", "version"])?;
    let count = whole_number(arguments, "count", 1, 1, 100)?;
    let version = match whole_number(arguments, "version", 4, 4, 7)? {
        7 => 7,
        4 => 4,
        other => return Err(format!("`version` must be 4 or 7, not {other}.")),
    };
    let uuids: Vec<String> = (0..count).map(|_| uuid(version, entropy, now)).collect();
    Ok(ToolOutput {
        text: uuids.join("\n"),
        structured: json!({"version": version, "uuids": uuids}),
    })
}

/// RFC 9562 sections 5.4 and 5.7.
fn uuid(version: u8, entropy: &dyn Entropy, now: Timestamp) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    if version == 7 {
        bytes[..6].copy_from_slice(&now.as_millis().to_be_bytes()[2..]);
    }
    bytes[6] = (bytes[6] & 0x0F) | (version << 4);
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
