//! Where the metadata of a protected resource (RFC 9728) and of an authorization server (RFC 8414,
//! OpenID Connect Discovery 1.0) is looked for, in which order, and whose it may be (MCP,
//! authorization server discovery).

use url::{Host, Url};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// Where a server that names no metadata document may have one: for its path, then for its host.
pub fn resource_metadata_urls(server: &Url) -> Vec<Url> {
    let mut urls = vec![inserted(server, RESOURCE)];
    let root = at_root(server, RESOURCE);
    if !urls.contains(&root) {
        urls.push(root);
    }
    urls
}

/// Where the metadata of the authorization server with this issuer may be.
pub fn server_metadata_urls(issuer: &Url) -> Vec<Url> {
    let mut urls = vec![inserted(issuer, SERVER), inserted(issuer, OPENID)];
    let path = issuer.path().trim_end_matches('/');
    if !path.is_empty() {
        urls.push(at_root(issuer, &format!("{path}{OPENID}")));
    }
    urls
}

fn inserted(url: &Url, well_known: &str) -> Url {
    let mut found = at_root(url, &format!("{well_known}{}", url.path().trim_end_matches('/')));
    found.set_query(url.query());
    found
}

fn at_root(url: &Url, path: &str) -> Url {
    let mut found = url.clone();
    found.set_path(path);
    found.set_query(None);
    found.set_fragment(None);
    found
}

/// Is a token for `resource` one for this server? The same origin, and a path that the server's
/// begins with, segment by segment: anything else would have a token fetched that belongs elsewhere
/// (threat 91).
pub fn covers(resource: &str, server: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let is_plain = resource.fragment().is_none() && resource.username().is_empty();
    if !is_plain || resource.origin() != server.origin() {
        return false;
    }
    let (outer, inner) = (resource.path().trim_end_matches('/'), server.path());
    let rest = inner.strip_prefix(outer);
    let fits_query = resource.query().is_none() || resource.query() == server.query();
    fits_query && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The longest URL of metadata that is used. URLs are shown to people.
pub const MAX_URL: usize = 2048;
const MAX_ISSUER: usize = 512;

/// May an issuer be written so? As a URL of visible ASCII (RFC 3986): it is shown to people as it
/// is, and compared as it is.
pub fn is_issuer(text: &str) -> bool {
    text.len() <= MAX_ISSUER
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && Url::parse(text).is_ok_and(|url| url.has_host())
}

/// May this URL be asked for metadata or tokens, or be opened in a browser? https, or http on this
/// machine alone; `allow_http` is a person's own decision.
pub fn is_secure(url: &Url, allow_http: bool) -> bool {
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    let is_clean = url.username().is_empty() && url.password().is_none();
    let scheme = match url.scheme() {
        "https" => true,
        "http" => allow_http || is_loopback(url),
        _ => false,
    };
    has_host && is_clean && scheme
}

/// Does the URL name this machine?
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests;
