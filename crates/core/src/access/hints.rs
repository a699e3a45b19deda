//! What a server says of its tool (MCP, tool annotations). The names here are those of rules and of
//! Cedar's schema.

use serde::{Deserialize, Serialize};

/// The hints of a tool, each with MCP's default where the server says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ToolHints {
    /// `readOnlyHint`: it changes nothing.
    pub read_only: bool,
    /// `destructiveHint`: it may destroy something.
    pub destructive: bool,
    /// `idempotentHint`: once more with the same arguments changes nothing more.
    pub idempotent: bool,
    /// `openWorldHint`: it reaches beyond what its server itself has.
    pub open_world: bool,
}

impl ToolHints {
    /// As a server says it. What destroys and what is idempotent means something only of a tool
    /// that does not just read: of one that does, silence says that it destroys nothing, and that
    /// calling it again changes nothing.
    pub fn of(
        read_only: Option<bool>,
        destructive: Option<bool>,
        idempotent: Option<bool>,
        open_world: Option<bool>,
    ) -> Self {
        let read_only = read_only.unwrap_or(false);
        Self {
            read_only,
            destructive: destructive.unwrap_or(!read_only),
            idempotent: idempotent.unwrap_or(read_only),
            open_world: open_world.unwrap_or(true),
        }
    }

    /// Of a tool that is said to only read, and nothing else.
    pub fn reading() -> Self {
        Self::of(Some(true), None, None, None)
    }

    /// All that can be said of a tool.
    pub fn every() -> impl Iterator<Item = Self> {
        (0..16_u8).map(|bits| {
            let has = |bit: u8| bits & (1 << bit) != 0;
            let (read_only, destructive) = (has(0), has(1));
            Self { read_only, destructive, idempotent: has(2), open_world: has(3) }
        })
    }
}

/// Of a tool of which nothing is known.
impl Default for ToolHints {
    fn default() -> Self {
        Self::of(None, None, None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_means_what_mcp_says() {
        let hints = |read_only, destructive, idempotent, open_world| ToolHints {
            read_only,
            destructive,
            idempotent,
            open_world,
        };
        let (yes, no) = (Some(true), Some(false));
        for (said, expected) in [
            ([None; 4], hints(false, true, false, true)),
            ([yes, None, None, None], hints(true, false, true, true)),
            ([no, None, None, None], hints(false, true, false, true)),
            ([None, no, yes, no], hints(false, false, true, false)),
            // What contradicts itself counts as it is said.
            ([yes, yes, no, None], hints(true, true, false, true)),
        ] {
            let [a, b, c, d] = said;
            assert_eq!(ToolHints::of(a, b, c, d), expected, "{said:?}");
        }
    }
}
