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
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn texts(urls: Vec<Url>) -> Vec<String> {
        urls.into_iter().map(String::from).collect()
    }

    #[test]
    fn metadata_is_looked_for_in_the_order_of_the_specification() {
        assert_eq!(
            texts(resource_metadata_urls(&url("https://h/a/mcp?x=1"))),
            [
                "https://h/.well-known/oauth-protected-resource/a/mcp?x=1",
                "https://h/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            texts(resource_metadata_urls(&url("https://h/"))),
            ["https://h/.well-known/oauth-protected-resource"]
        );
        assert_eq!(
            texts(server_metadata_urls(&url("https://h/t1"))),
            [
                "https://h/.well-known/oauth-authorization-server/t1",
                "https://h/.well-known/openid-configuration/t1",
                "https://h/t1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            texts(server_metadata_urls(&url("https://h"))),
            [
                "https://h/.well-known/oauth-authorization-server",
                "https://h/.well-known/openid-configuration"
            ]
        );
    }

    #[test]
    fn t91_a_resource_is_the_servers_own() {
        let server = url("https://h/mcp/dice");
        for (resource, expected) in [
            ("https://h/mcp/dice", true),
            ("https://H:443/mcp/dice/", true),
            ("https://h/mcp", true),
            ("https://h", true),
            ("https://h/mc", false),
            ("https://h/mcp/dice/more", false),
            ("https://h/mcp/dice?x", false),
            ("https://h/mcp/dice#x", false),
            ("http://h/mcp/dice", false),
            ("https://h:8443/mcp/dice", false),
            ("https://u@h/mcp/dice", false),
            ("https://evil/mcp/dice", false),
            ("", false),
        ] {
            assert_eq!(covers(resource, &server), expected, "{resource}");
        }
    }

    #[test]
    fn t91_tokens_and_browsers_go_to_https_or_to_this_machine() {
        for (text, plain, allowed) in [
            ("https://h/x", true, true),
            ("http://127.0.0.1:9/x", true, true),
            ("http://[::1]/x", true, true),
            ("http://localhost:1/x", true, true),
            ("http://h/x", false, true),
            ("http://localhost.evil/x", false, true),
            ("https://u:p@h/x", false, false),
            ("file:///etc/passwd", false, false),
            ("javascript:alert(1)", false, false),
        ] {
            assert_eq!(is_secure(&url(text), false), plain, "{text}");
            assert_eq!(is_secure(&url(text), true), allowed, "{text}");
        }
    }
}
