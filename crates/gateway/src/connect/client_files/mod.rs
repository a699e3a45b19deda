//! The configuration files of MCP clients that start a server as a program: where each has its
//! file, what stands there for a server ([`json`], [`toml`]), and how a file is changed without
//! touching anything else of it ([`file`]).

pub mod file;
mod json;
mod toml;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;

/// A client whose file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum McpClient {
    /// Claude Desktop
    Claude,
    Cursor,
    /// VS Code, for all workspaces of a user
    Vscode,
    Windsurf,
    /// Codex CLI and its editor extension
    Codex,
    /// Gemini CLI
    Gemini,
}

/// A server as a client starts it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub command: String,
    pub args: Vec<String>,
}

impl McpClient {
    /// The user's file of this client.
    pub fn path(self, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<PathBuf> {
        let home = PathBuf::from(variable("HOME").context("HOME is not set")?);
        let settings = if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            variable("XDG_CONFIG_HOME")
                .filter(|text| !text.is_empty())
                .map_or_else(|| home.join(".config"), PathBuf::from)
        };
        Ok(match self {
            Self::Claude => settings.join("Claude/claude_desktop_config.json"),
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Vscode => settings.join("Code/User/mcp.json"),
            Self::Windsurf => home.join(".codeium/windsurf/mcp_config.json"),
            Self::Codex => variable("CODEX_HOME")
                .filter(|text| !text.is_empty())
                .map_or_else(|| home.join(".codex"), PathBuf::from)
                .join("config.toml"),
            Self::Gemini => home.join(".gemini/settings.json"),
        })
    }

    /// What stands in the file for this server, by itself.
    pub fn snippet(self, entry: &Entry) -> String {
        match self {
            Self::Codex => toml::table(entry),
            _ => json::document(self.servers(), self == Self::Vscode, entry),
        }
    }

    /// The file with this server in it; everything else of it stays. The error says why it is
    /// better changed by hand.
    pub fn with_entry(self, text: &str, entry: &Entry) -> anyhow::Result<String> {
        match self {
            Self::Codex => toml::with_table(text, entry),
            _ => json::with_member(text, self.servers(), self == Self::Vscode, entry),
        }
    }

    const fn servers(self) -> &'static str {
        match self {
            Self::Vscode => "servers",
            _ => "mcpServers",
        }
    }
}
