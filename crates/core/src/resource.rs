//! Where tokens may be used: our own public URL, and the resources (RFC 8707, RFC 9728) below it. Redirect URIs, which are
//! the clients' URLs, live in [`crate::redirect`].

mod set;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

pub use self::set::ResourceSet;

use crate::{
    ids::ServerName,
    oauth::scopes::{ScopeCatalogue, ScopeRule},
    request::PlainPath,
    scope::{self, Scope, ScopeSet},
};

/// The origin (and optional path prefix) under which people and clients reach the gateway; never derived from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
    /// The URL without a trailing slash, as it stands before our paths and in `iss`.
    text: String,
}

/// Why a text cannot be the public URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPublicUrl {
    #[error("not a URL: {0}")]
    NotAUrl(url::ParseError),
    #[error("must start with http:// or https://")]
    Scheme,
    #[error("must have no user name, password, query or fragment")]
    Extras,
    #[error("must have no path: the gateway's paths start at the root of its host")]
    Path,
}

impl PublicUrl {
    pub fn parse(text: &str) -> Result<Self, BadPublicUrl> {
        let url = Url::parse(text).map_err(BadPublicUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadPublicUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(BadPublicUrl::Extras);
        }
        if url.path() != "/" {
            return Err(BadPublicUrl::Path);
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }

    /// Without a trailing slash: also the authorization server's issuer identifier (RFC 8414 section 2).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The absolute URL of one of our paths; `path` starts with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Is the host this machine itself?
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// `host[:port]`, as it must stand in a `Host` header.
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The origin (RFC 6454), as it stands in an `Origin` header. The same text as [`Self::as_str`], for we have no path.
    pub fn origin(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The URL a token is for (RFC 8707). Only [`Resources`] makes one from a request, so a `Resource` is always one of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(String);

impl Resource {
    /// Takes a resource as a store holds it.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URL at which a client reaches a resource, as the client writes it: with a trailing slash, with the `server_name` that `/mcp` takes.
/// What is below a proxied path is all one resource, of one address. The metadata found from it names it in the same way (RFC 9728 section 3.3), and as a `resource`
/// parameter it stands for the resource ([`Resources::parse`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAddress {
    /// Path and query, as they follow the public URL.
    after_host: String,
}

impl ResourceAddress {
    pub fn path_and_query(&self) -> &str {
        &self.after_host
    }
}

/// What stands behind a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/mcp`: every server the user may see.
    All,
    /// `/mcp/{server}`: one server of `mcp.json`.
    Server(ServerName),
    /// A `proxies` pattern of `config.yaml`: begins and ends with a slash.
    Proxy { pattern: String },
}

/// All resources of this gateway.
#[derive(Clone, Debug)]
pub struct Resources {
    public_url: PublicUrl,
    entries: Vec<Entry>,
    scopes: ScopeCatalogue,
}

#[derive(Clone, Debug)]
struct Entry {
    /// The path without a trailing slash.
    path: String,
    target: Target,
}

/// The `resource` parameter names nothing here: `invalid_target` (RFC 8707 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the resource is not one of this gateway's")]
pub struct UnknownResource;

impl Resources {
    /// `proxies` are the patterns of `config.yaml`; more specific ones win over `/mcp/{server}` and over each other.
    pub fn new(public_url: PublicUrl, servers: &[ServerName], proxies: &[String]) -> Self {
        let mut entries: Vec<Entry> = proxies
            .iter()
            .map(|pattern| Entry {
                path: pattern.trim_end_matches('/').to_owned(),
                target: Target::Proxy { pattern: pattern.clone() },
            })
            .chain(servers.iter().map(|name| Entry { path: format!("/mcp/{name}"), target: Target::Server(name.clone()) }))
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.path.len()));
        entries.push(Entry { path: "/mcp".to_owned(), target: Target::All });
        Self { public_url, entries, scopes: ScopeCatalogue::new(servers.to_vec(), Vec::new()) }
    }

    /// With scopes that the configuration names.
    #[must_use]
    pub fn with_scopes(mut self, rules: Vec<ScopeRule>) -> Self {
        self.scopes = self.scopes.with_rules(rules);
        self
    }

    /// The resource for the MCP endpoint that shows everything: `{public_url}/mcp`.
    pub fn root(&self) -> Resource {
        Resource(self.public_url.at("/mcp"))
    }

    pub fn of_server(&self, name: &ServerName) -> Resource {
        Resource(self.public_url.at(&format!("/mcp/{name}")))
    }

    /// Which resource guards the request path `path`? A proxy pattern guards everything below it; `/mcp` and
    /// `/mcp/{server}` guard just themselves. A trailing slash makes no difference.
    pub fn guarding(&self, path: PlainPath<'_>) -> Option<(Resource, &Target)> {
        let path = path.as_str();
        let bare = path.trim_end_matches('/');
        let entry = self.entries.iter().find(|entry| match &entry.target {
            Target::Proxy { pattern } => bare == entry.path || path.starts_with(pattern.as_str()),
            Target::Server(_) | Target::All => bare == entry.path,
        })?;
        Some((Resource(self.public_url.at(&entry.path)), &entry.target))
    }

    /// The address that a request on `path` with this query was sent to; `None` if no resource is there. Of the query only a `server_name`
    /// that names a server, and nothing else beside it, is part of the address.
    pub fn address(&self, path: PlainPath<'_>, query: Option<&str>) -> Option<ResourceAddress> {
        let (resource, target) = self.guarding(path)?;
        if matches!(target, Target::Proxy { .. }) {
            return Some(self.address_of(&resource));
        }
        let named = query.filter(|_| *target == Target::All).and_then(|query| query.strip_prefix("server_name="));
        let named = named.filter(|name| self.servers().any(|server| server.as_str() == *name));
        let query = named.map(|name| format!("?server_name={name}")).unwrap_or_default();
        Some(ResourceAddress { after_host: format!("{}{query}", path.as_str()) })
    }

    /// The plain address of a resource.
    pub fn address_of(&self, resource: &Resource) -> ResourceAddress {
        ResourceAddress { after_host: resource.0.strip_prefix(self.public_url.as_str()).unwrap_or_default().to_owned() }
    }

    /// The resource that a client's `resource` parameter names (RFC 8707 section 2). The scheme, host and port must be ours;
    /// a `server_name` query, which `/mcp` takes, is part of the address of `/mcp`; a fragment is never allowed. The bare
    /// public URL stands for `/mcp`. The path is taken as it is written, as that of a request is: a `resource` that parsers of URLs
    /// mend (dot segments, backslashes, missing slashes, user names that are empty) names nothing here (threat 60).
    pub fn parse(&self, requested: &str) -> Result<Resource, UnknownResource> {
        let url = Url::parse(requested).map_err(|_| UnknownResource)?;
        let (authority, path) = written_parts(requested).ok_or(UnknownResource)?;
        let is_as_written = path == url.path() || (path.is_empty() && url.path() == "/");
        let is_ours = url.origin() == self.public_url.url.origin() && !authority.contains('@');
        if !is_ours || !is_as_written || requested.contains('#') {
            return Err(UnknownResource);
        }
        if url.path() == "/" && url.query().is_none() {
            return Ok(self.root());
        }
        let path = PlainPath::parse(path).map_err(|_| UnknownResource)?;
        let (resource, target) = self.guarding(path).ok_or(UnknownResource)?;
        let query_is_ours = match url.query() {
            None => true,
            Some(query) => *target == Target::All && query.starts_with("server_name="),
        };
        if query_is_ours { Ok(resource) } else { Err(UnknownResource) }
    }

    /// What stands behind a resource; `None` when the configuration no longer has it.
    pub fn target(&self, resource: &Resource) -> Option<&Target> {
        let path = resource.0.strip_prefix(self.public_url.as_str())?;
        self.entries.iter().find(|entry| entry.path == path).map(|entry| &entry.target)
    }

    /// Scopes that may be asked for on `resource`: `mcp`, the names of the servers behind it, those the configuration names for
    /// them, and `offline_access`.
    pub fn scopes(&self, resource: &Resource) -> ScopeSet {
        self.scopes.on(self.target(resource)).union(&Scope::parse(scope::OFFLINE_ACCESS).into_iter().collect())
    }

    /// The scopes to ask for first on `resource`.
    pub fn first_scopes(&self, resource: &Resource) -> ScopeSet {
        self.scopes.first(self.target(resource))
    }

    /// What each scope means.
    pub fn catalogue(&self) -> &ScopeCatalogue {
        &self.scopes
    }

    /// The servers of `mcp.json`, longest name first.
    pub fn servers(&self) -> impl Iterator<Item = &ServerName> {
        self.entries.iter().filter_map(|entry| match &entry.target {
            Target::Server(name) => Some(name),
            Target::All | Target::Proxy { .. } => None,
        })
    }

    /// Everything there is, most specific path first.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.entries.iter().map(|entry| &entry.target)
    }

    pub fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }
}

/// Authority and path of a URL, as they are written.
fn written_parts(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://").filter(|_| url.bytes().all(|byte| byte.is_ascii_graphic()))?;
    if !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let (rest, _) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    Some(rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources() -> Resources {
        let servers = ["dice", "uuid"].map(|name| ServerName::parse(name).unwrap());
        Resources::new(
            PublicUrl::parse("https://gw.example").unwrap(),
            &servers,
            &["/mcp/legacy/".to_owned(), "/api/".to_owned()],
        )
    }

    #[test]
    fn public_urls() {
        assert_eq!(PublicUrl::parse("http://localhost:3000/").unwrap().as_str(), "http://localhost:3000");
        assert_eq!(PublicUrl::parse("https://gw.example:443").unwrap().authority(), "gw.example");
        assert!(PublicUrl::parse("http://127.0.0.1:3000").unwrap().is_loopback());
        assert!(!PublicUrl::parse("https://localhost.example").unwrap().is_loopback());
        assert_eq!(PublicUrl::parse("ftp://x"), Err(BadPublicUrl::Scheme));
        assert_eq!(PublicUrl::parse("https://x/y"), Err(BadPublicUrl::Path));
        assert_eq!(PublicUrl::parse("https://u@x"), Err(BadPublicUrl::Extras));
    }

    #[test]
    fn a_path_is_guarded_by_one_resource() {
        let cases = [
            ("/mcp", Some("https://gw.example/mcp")),
            ("/mcp/", Some("https://gw.example/mcp")),
            ("/mcp/dice", Some("https://gw.example/mcp/dice")),
            ("/mcp/dice/", Some("https://gw.example/mcp/dice")),
            ("/mcp/dice/more", None),
            ("/mcp/nobody", None),
            ("/mcp/legacy", Some("https://gw.example/mcp/legacy")),
            ("/mcp/legacy/mcp", Some("https://gw.example/mcp/legacy")),
            ("/mcp/legacyx", None),
            ("/api/v1/x", Some("https://gw.example/api")),
            ("/", None),
        ];
        let resources = resources();
        for (path, expected) in cases {
            let found = resources.guarding(PlainPath::parse(path).unwrap()).map(|(resource, _)| resource);
            assert_eq!(found.as_ref().map(Resource::as_str), expected, "{path}");
        }
    }

    #[test]
    fn resource_parameters() {
        let cases = [
            ("https://gw.example/mcp", Some("https://gw.example/mcp")),
            ("https://GW.example:443/mcp/", Some("https://gw.example/mcp")),
            ("https://gw.example", Some("https://gw.example/mcp")),
            ("https://gw.example/mcp?server_name=dice", Some("https://gw.example/mcp")),
            ("https://gw.example/mcp/dice", Some("https://gw.example/mcp/dice")),
            ("https://gw.example/mcp/legacy/mcp", Some("https://gw.example/mcp/legacy")),
            ("https://gw.example/mcp?x=1", None),
            ("https://gw.example/mcp/dice?server_name=uuid", None),
            ("https://gw.example/mcp#f", None),
            ("https://gw.example/mcp#", None),
            ("http://gw.example/mcp", None),
            ("https://gw.example.evil/mcp", None),
            ("https://gw.example@evil/mcp", None),
            ("https://u@gw.example/mcp", None),
            ("https://gw.example/mcp/nobody", None),
            ("mcp", None),
            ("https://gw.example/", Some("https://gw.example/mcp")),
            ("https://gw.example/mcp/legacy/a%20b", Some("https://gw.example/mcp/legacy")),
            // What is written otherwise than it is read (threat 60).
            ("https://gw.example/mcp/%64ice", None),
            ("https://gw.example/%6Dcp", None),
            ("https://gw.example/mcp/legacy/%61", None),
            ("https://gw.example/mcp/legacy/../dice", None),
            ("https://gw.example/mcp/./dice", None),
            ("https://gw.example/mcp/legacy/%2e%2e/dice", None),
            ("https://gw.example/x/..", None),
            ("https://gw.example//mcp", None),
            ("https://gw.example/mcp//dice", None),
            ("https://gw.example\\mcp\\dice", None),
            ("https://gw.example/mcp\\dice", None),
            ("https:/gw.example/mcp", None),
            ("https:gw.example/mcp", None),
            ("https:///gw.example/mcp", None),
            ("https://@gw.example/mcp", None),
            ("https://:@gw.example/mcp", None),
            (" https://gw.example/mcp", None),
            ("https://gw.example/mc\tp", None),
            ("https://gw.example/mcp\n", None),
            ("https://gw.example/mcp;x", None),
        ];
        let resources = resources();
        for (requested, expected) in cases {
            assert_eq!(resources.parse(requested).ok().as_ref().map(Resource::as_str), expected, "{requested}");
        }
    }

    #[test]
    fn fb07_every_address_of_a_resource_stands_for_it_and_is_named_as_it_was_written() {
        let resources = resources();
        let cases = [
            ("/mcp", None, Some("/mcp")),
            ("/mcp/", None, Some("/mcp/")),
            ("/mcp", Some("server_name=dice"), Some("/mcp?server_name=dice")),
            ("/mcp/", Some("server_name=dice"), Some("/mcp/?server_name=dice")),
            ("/mcp", Some("server_name=nobody"), Some("/mcp")),
            ("/mcp", Some("server_name=dice&x=1"), Some("/mcp")),
            ("/mcp", Some("x=1"), Some("/mcp")),
            ("/mcp/dice/", None, Some("/mcp/dice/")),
            ("/mcp/dice", Some("server_name=uuid"), Some("/mcp/dice")),
            ("/api/v1/x", Some("q=1"), Some("/api")),
            ("/api", None, Some("/api")),
            ("/elsewhere", None, None),
        ];
        for (path, query, expected) in cases {
            let path = PlainPath::parse(path).unwrap();
            let found = resources.address(path, query);
            assert_eq!(found.as_ref().map(ResourceAddress::path_and_query), expected, "{path:?} {query:?}");
            let Some(found) = found else { continue };
            let (resource, _) = resources.guarding(path).unwrap();
            assert_eq!(resources.parse(&resources.public_url().at(found.path_and_query())), Ok(resource), "{found:?}");
        }
        assert_eq!(resources.address_of(&resources.root()).path_and_query(), "/mcp");
    }

    #[test]
    fn scopes_of_a_resource() {
        let resources = resources();
        assert_eq!(resources.scopes(&resources.root()).to_string(), "dice mcp offline_access uuid");
        let dice = resources.of_server(&ServerName::parse("dice").unwrap());
        assert_eq!(resources.scopes(&dice).to_string(), "dice mcp offline_access");
    }
}
