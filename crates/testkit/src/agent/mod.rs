//! A browser without a screen: [`Agent`] keeps cookies, follows redirects, reads forms. Beside it
//! an MCP client's half of OAuth ([`OAuthClient`]) and of MCP ([`McpClient`]), and [`raw`] for
//! bytes that no library would send. Everything panics with what it saw: a test should stop there.

mod browser;
mod cookies;
mod html;
mod mcp;
mod oauth;
pub mod raw;
mod request;

pub use self::{
    browser::{Agent, Form, Landing, NoAnswer, Page, Returned},
    cookies::Cookie,
    mcp::McpClient,
    oauth::{Authorization, Discovery, OAuthClient, Tokens},
    request::Request,
};
