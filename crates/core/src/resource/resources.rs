//! All resources of the gateway: which one guards a path, which one a `resource` parameter names,
//! and what scopes it has. What a single resource is lives next door, in [`super::identifier`].

use thiserror::Error;
use url::Url;

use super::{
    identifier::{Resource, ResourceAddress},
    public_url::PublicUrl,
    target::Target,
};
use crate::{
    ids::ServerName,
    oauth::scopes::{ScopeCatalogue, ScopeRule},
    request::PlainPath,
    scope::{self, Scope, ScopeSet},
};

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
    /// `proxies` are the patterns of `config.yaml`; more specific ones win over `/mcp/{server}` and
    /// over each other.
    pub fn new(public_url: PublicUrl, servers: &[ServerName], proxies: &[String]) -> Self {
        let mut entries: Vec<Entry> = proxies
            .iter()
            .map(|pattern| Entry {
                path: pattern.trim_end_matches('/').to_owned(),
                target: Target::Proxy { pattern: pattern.clone() },
            })
            .chain(servers.iter().map(|name| Entry {
                path: format!("/mcp/{name}"),
                target: Target::Server(name.clone()),
            }))
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

    /// Which resource guards the request path `path`? A proxy pattern guards everything below it;
    /// `/mcp` and `/mcp/{server}` guard just themselves. A trailing slash makes no difference.
    pub fn guarding(&self, path: PlainPath<'_>) -> Option<(Resource, &Target)> {
        self.entry(path).map(|entry| (Resource(self.public_url.at(&entry.path)), &entry.target))
    }

    fn entry(&self, path: PlainPath<'_>) -> Option<&Entry> {
        let path = path.as_str();
        let bare = path.trim_end_matches('/');
        self.entries.iter().find(|entry| match &entry.target {
            Target::Proxy { pattern } => bare == entry.path || path.starts_with(pattern.as_str()),
            Target::Server(_) | Target::All => bare == entry.path,
        })
    }

    /// The address that a request on `path` with this query was sent to; `None` if no resource is
    /// there. Of the query only a `server_name` that names a server, and nothing else beside it, is
    /// part of the address.
    pub fn address(&self, path: PlainPath<'_>, query: Option<&str>) -> Option<ResourceAddress> {
        let Entry { path: entry, target } = self.entry(path)?;
        if matches!(target, Target::Proxy { .. }) {
            return Some(ResourceAddress { after_host: entry.clone() });
        }
        let named = query
            .filter(|_| *target == Target::All)
            .and_then(|query| query.strip_prefix("server_name="));
        let named = named.filter(|name| self.servers().any(|server| server.as_str() == *name));
        let mut after_host = path.as_str().to_owned();
        after_host.extend(named.into_iter().flat_map(|name| ["?server_name=", name]));
        Some(ResourceAddress { after_host })
    }

    /// The plain address of a resource.
    pub fn address_of(&self, resource: &Resource) -> ResourceAddress {
        ResourceAddress {
            after_host: resource
                .0
                .strip_prefix(self.public_url.as_str())
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// The resource that a client's `resource` parameter names (RFC 8707 section 2). The scheme,
    /// host and port must be ours; a `server_name` query, which `/mcp` takes, is part of the
    /// address of `/mcp`; a fragment is never allowed. The bare public URL stands for `/mcp`. The
    /// path is taken as it is written, as that of a request is: a `resource` that parsers of URLs
    /// mend (dot segments, backslashes, missing slashes, user names that are empty) names nothing
    /// here (threat 60).
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

    /// Scopes that may be asked for on `resource`: `mcp`, the names of the servers behind it, those
    /// the configuration names for them, and `offline_access`.
    pub fn scopes(&self, resource: &Resource) -> ScopeSet {
        self.scopes
            .on(self.target(resource))
            .union(&Scope::parse(scope::OFFLINE_ACCESS).into_iter().collect())
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
    let (scheme, rest) =
        url.split_once("://").filter(|_| url.bytes().all(|byte| byte.is_ascii_graphic()))?;
    if !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let (rest, _) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    Some(rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests;
