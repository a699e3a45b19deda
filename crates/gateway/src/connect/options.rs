//! What `portunus connect` is told, checked: the server's address, how to sign in there, which
//! headers go along.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use portunus_core::{oauth_client::discovery, secret::SecretText};
use url::Url;

/// How long a person may take to sign in.
pub const SIGN_IN_LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct Options {
    pub server: Url,
    /// Sent with each request to the server, and nowhere else.
    pub headers: HeaderMap,
    pub client: ConfiguredClient,
    pub scope: Option<String>,
    /// Of the loopback redirect URI; `None`: any that is free.
    pub callback_port: Option<u16>,
    pub allow_http: bool,
}

/// How the client is known at the authorization server, as far as a person has said.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredClient {
    pub id: Option<String>,
    pub secret: Option<SecretText>,
    /// Of a client ID metadata document.
    pub metadata_url: Option<Url>,
}

impl Options {
    /// The configured headers bring credentials of their own: there is no sign-in.
    pub fn has_credentials(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    /// What tokens are bound to beside the issuer: this server, as this client.
    pub fn key(&self) -> String {
        let client = self
            .client
            .id
            .clone()
            .or_else(|| self.client.metadata_url.as_ref().map(Url::to_string));
        format!("{}\n{}", self.server, client.unwrap_or_default())
    }
}

/// The server's address: what was typed, or `BASE_URL` with `/mcp`.
pub fn server_url(
    typed: Option<&str>,
    base_url: Option<&str>,
    allow_http: bool,
) -> anyhow::Result<Url> {
    let url = match (typed, base_url.filter(|text| !text.is_empty())) {
        (Some(text), _) => parse(text)?,
        (None, Some(text)) => {
            let mut url = parse(text).context("BASE_URL")?;
            let path = url.path().trim_end_matches('/').to_owned();
            if !path.ends_with("/mcp") {
                url.set_path(&format!("{path}/mcp"));
            }
            url
        }
        (None, None) => bail!(
            "which server? Give its URL, as in `portunus connect https://mcp.acme.com/mcp`, or set BASE_URL to the gateway's address"
        ),
    };
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "a user name or password in the URL can be seen by others: use --header 'Authorization: Basic ${{VARIABLE}}'"
    );
    ensure!(
        discovery::is_secure(&url, allow_http),
        "{url} is not https, so what goes there can be read on the way. Use https, or --allow-http if you trust that network"
    );
    Ok(url)
}

fn parse(text: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(text).with_context(|| {
        format!("{text:?} is no URL: write it with its scheme, as in https://mcp.acme.com/mcp")
    })?;
    ensure!(matches!(url.scheme(), "http" | "https"), "{text:?} is no http or https URL");
    url.set_fragment(None);
    Ok(url)
}

/// One `--header`, `Name: value`. `${VARIABLE}` in the value is taken from the environment, so that
/// a secret need not be typed where others of this machine see it.
pub fn header(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':').context("a header is written `Name: value`")?;
    let name: HeaderName =
        name.trim().parse().with_context(|| format!("{name:?} is no name of a header"))?;
    ensure!(
        !OURS.contains(&name.as_str()) && !name.as_str().starts_with("mcp-"),
        "the header {name} is set by portunus connect itself"
    );
    let value = expanded(value.trim(), variable)?;
    let mut value = HeaderValue::from_str(&value)
        .with_context(|| format!("the value of the header {name} cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// What the transport says of itself.
const OURS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "transfer-encoding",
];

fn expanded(text: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let (mut value, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').context("a `${` without its `}`")?;
        let found = variable(name).with_context(|| format!("the variable {name} is not set"))?;
        value.push_str(before);
        value.push_str(&found);
        rest = after;
    }
    value.push_str(rest);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_typed_or_made_of_base_url() {
        for (typed, base, allow_http, expected) in [
            (Some("https://h/mcp/dice"), Some("https://other"), false, Some("https://h/mcp/dice")),
            (None, Some("https://h"), false, Some("https://h/mcp")),
            (None, Some("https://h/"), false, Some("https://h/mcp")),
            (None, Some("https://h/portunus"), false, Some("https://h/portunus/mcp")),
            (None, Some("https://h/mcp"), false, Some("https://h/mcp")),
            (Some("http://localhost:3000/mcp"), None, false, Some("http://localhost:3000/mcp")),
            (Some("http://h/mcp"), None, false, None),
            (Some("http://h/mcp"), None, true, Some("http://h/mcp")),
            (Some("https://u:p@h/mcp"), None, false, None),
            (Some("h/mcp"), None, false, None),
            (Some("file:///x"), None, true, None),
            (None, Some(""), false, None),
            (None, None, false, None),
        ] {
            let found = server_url(typed, base, allow_http).ok();
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{typed:?} {base:?}");
        }
    }

    #[test]
    fn headers_take_secrets_from_variables_and_leave_the_transports_alone() {
        let variable = |name: &str| (name == "KEY").then(|| "k".to_owned());
        for (text, expected) in [
            ("X-Key: a${KEY}b", Some("akb")),
            ("X-Key:v", Some("v")),
            ("X-Key: ${NONE}", None),
            ("X-Key: ${KEY", None),
            ("X-Key", None),
            ("Mcp-Session-Id: 1", None),
            ("Host: h", None),
        ] {
            let found = header(text, variable).ok();
            assert_eq!(
                found.map(|(_, value)| value.to_str().unwrap().to_owned()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
