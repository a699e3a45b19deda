//! The dice server's one tool.

use portunus_core::Entropy;
use serde_json::{Value, json};

use super::{Arguments, ToolOutput, only, whole_number};

pub(super) const NAME: &str = "roll";

pub(super) fn tool() -> Value {
    json!({
        "name": NAME,
        "title": "Roll dice",
        "description": "Rolls one or more dice and gives each roll and their total.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "sides": {"type": "integer", "minimum": 2, "maximum": 1000, "default": 6, "description": "Sides of each die"},
                "count": {"type": "integer", "minimum": 1, "maximum": 100, "default": 1, "description": "How many dice"},
            },
            "additionalProperties": false,
        },
        "outputSchema": {
            "type": "object",
            "properties": {
                "sides": {"type": "integer"},
                "rolls": {"type": "array", "items": {"type": "integer"}},
                "total": {"type": "integer"},
            },
            "required": ["sides", "rolls", "total"],
        },
        "annotations": {"readOnlyHint": true, "openWorldHint": false},
    })
}

pub(super) fn call(arguments: &Arguments, entropy: &dyn Entropy) -> Result<ToolOutput, String> {
    only(arguments, &["sides", "count"])?;
    let sides = whole_number(arguments, "sides", 6, 2, 1000)?;
    let count = whole_number(arguments, "count", 1, 1, 100)?;
    let rolls: Vec<u32> = (0..count).map(|_| roll(sides, entropy)).collect();
    let total: u32 = rolls.iter().sum();
    let listed = rolls.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let text = match count {
        1 => format!("Rolled a die with {sides} sides: {total}."),
        _ => format!("Rolled {count} dice with {sides} sides: {listed}. Total: {total}."),
    };
    Ok(ToolOutput { text, structured: json!({"sides": sides, "rolls": rolls, "total": total}) })
}

/// One die. Draws that would favour the lower sides are thrown again.
fn roll(sides: u32, entropy: &dyn Entropy) -> u32 {
    let fair = u32::MAX - u32::MAX % sides;
    loop {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        let draw = u32::from_be_bytes(bytes);
        if draw < fair {
            return draw % sides + 1;
        }
    }
}
