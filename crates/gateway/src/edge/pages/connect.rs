//! How to connect: the exact line or JSON to paste into each client. Shown on the front page and
//! printed by the demo.

use serde_json::json;

use super::text::UrlText;

/// What to paste for one MCP URL of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectHelp {
    pub url: String,
    /// A command line.
    pub claude_code: String,
    /// `~/.cursor/mcp.json`.
    pub cursor: String,
    /// `.vscode/mcp.json`.
    pub vscode: String,
    /// For clients that speak stdio only.
    pub mcp_remote: String,
}

impl ConnectHelp {
    /// The help for `url`, which is `{public_url}/mcp` or one server's URL below it.
    pub fn for_url(url: &str) -> Self {
        let url = UrlText::from(url);
        let url = url.as_str();
        let pretty =
            |value: serde_json::Value| serde_json::to_string_pretty(&value).unwrap_or_default();
        Self {
            url: url.to_owned(),
            claude_code: format!("claude mcp add --transport http portunus {url}"),
            cursor: pretty(json!({"mcpServers": {"portunus": {"url": url}}})),
            vscode: pretty(json!({"servers": {"portunus": {"type": "http", "url": url}}})),
            mcp_remote: pretty(
                json!({"mcpServers": {"portunus": {"command": "npx", "args": ["-y", "mcp-remote", url]}}}),
            ),
        }
    }
}
