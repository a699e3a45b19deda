//! Section: guarded reverse-proxy routes (`proxies` of `config.yaml`).

use portunus_core::{
    request::HeaderPattern,
    settings::{Section, Setting, ValueType},
};
use url::Url;

use super::{
    document::Item,
    inputs::{Inputs, Written, written},
    mistake::{Report, Where},
    server::{OURSELVES, Server, without_credentials},
};

pub(super) const PROXIES: Setting = Setting::new(
    "proxies",
    ValueType::List(&ValueType::Section(&PROXY)),
    "Guarded reverse-proxy routes",
);

const PROXY: Section = Section::new(
    "Requests below `pattern` go to `target_url`, the pattern stripped",
    &[
        Setting::new(
            "pattern",
            ValueType::Text,
            "A path that starts and ends with a slash, such as /mcp/dice/",
        )
        .required(),
        Setting::new(
            "target_url",
            ValueType::Text,
            "An http or https URL without a trailing slash, such as http://localhost:3000",
        )
        .required(),
        Setting::new(
            "pass_headers",
            ValueType::List(&ValueType::Text),
            "Headers of clients to pass on beside those that always are: names such as X-Acme-Tenant, or the start of one and a *: X-Acme-*",
        ),
    ],
);

/// A guarded reverse proxy: requests below `pattern` go to `target`, the pattern stripped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRoute {
    /// Starts and ends with a slash.
    pub pattern: String,
    /// http or https. Has no trailing slash as it was written; `Url` shows one when there is no
    /// path.
    pub target: Url,
    /// Headers of clients that go on to the target beside those that always do (threat 61).
    pub pass_headers: Vec<HeaderPattern>,
}

impl ProxyRoute {
    /// A route that passes no more headers than every route does.
    pub fn new(pattern: impl Into<String>, target: Url) -> Self {
        Self { pattern: pattern.into(), target, pass_headers: Vec::new() }
    }
}

/// First segments of paths that are the gateway's own; `/mcp/…` is checked against the servers.
pub const OWN_PATHS: [&str; 13] = [
    ".well-known",
    "assets",
    "auth",
    "authorize",
    "health",
    "healthz",
    "metrics",
    "ready",
    "register",
    "robots.txt",
    "static",
    "token",
    "tools",
];

/// `servers` are the names of `mcp.json`, disabled ones too; `own` is the gateway, which is no
/// target.
pub(super) fn resolve(
    inputs: &Inputs<'_>,
    servers: &[String],
    own: &Server,
    report: &mut Report,
) -> Vec<ProxyRoute> {
    let items = inputs.config.root().find("proxies").map(|item| item.items()).unwrap_or_default();
    let mut routes = Vec::new();
    let mut seen: Vec<(String, Where)> = Vec::new();
    for item in items {
        let pattern = written(item.find("pattern"))
            .and_then(|pattern| check_pattern(pattern, servers, &mut seen, report));
        let target =
            written(item.find("target_url")).and_then(|target| check_target(target, own, report));
        let pass_headers = pass_headers(&item, report);
        if let (Some(pattern), Some(target)) = (pattern, target) {
            routes.push(ProxyRoute { pattern, target, pass_headers });
        }
    }
    routes
}

fn pass_headers(route: &Item<'_>, report: &mut Report) -> Vec<HeaderPattern> {
    let items = route.find("pass_headers").map(|item| item.items()).unwrap_or_default();
    let names = items.into_iter().filter_map(|item| written(Some(item)));
    let parsed = names.filter_map(|Written { text, at, .. }| {
        HeaderPattern::parse(&text)
            .map_err(|bad| report.mistake(at, format!("`{text}`"), bad.to_string()))
            .ok()
    });
    parsed.collect()
}

fn check_pattern(
    Written { text, at, .. }: Written,
    servers: &[String],
    seen: &mut Vec<(String, Where)>,
    report: &mut Report,
) -> Option<String> {
    let before = report.mistakes.len();
    let mut wrong = |expected: String| report.mistake(at.clone(), format!("`{text}`"), expected);
    let full = format!("/{}/", text.trim_matches('/'));
    if !text.starts_with('/') {
        wrong(format!("a slash at its start: `{full}`"));
    }
    if !text.ends_with('/') {
        wrong(format!("a slash at its end: `{full}`"));
    }
    let segments: Vec<&str> = text.trim_matches('/').split('/').collect();
    let plain =
        |segment: &&str| !matches!(*segment, "" | "." | "..") && segment.bytes().all(is_plain);
    if text.trim_matches('/').is_empty() {
        wrong(
            "a path below the root, such as `/mcp/dice/`: the root is the gateway's own".to_owned(),
        );
    } else if !segments.iter().all(plain) {
        wrong("a plain path of letters, digits, `-`, `_`, `.` and `~`: no wildcards, escapes, `..` or empty segments".to_owned());
    } else if OWN_PATHS.contains(&segments[0]) {
        wrong(format!("another path: `/{}` is the gateway's own", segments[0]));
    } else if segments == ["mcp"] {
        wrong("another path: `/mcp` is the gateway's own; `/mcp/{name}/` can be used".to_owned());
    } else if let ["mcp", name] = segments[..]
        && servers.iter().any(|server| server == name)
    {
        wrong(format!("another path: `/mcp/{name}` is the server `{name}` of mcp.json"));
    } else if let Some((_, first)) = seen.iter().find(|(pattern, _)| *pattern == full) {
        wrong(format!("another pattern: this one is already at {first}"));
    }
    seen.push((full, at));
    (report.mistakes.len() == before).then_some(text)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

fn check_target(
    Written { text, at, .. }: Written,
    own: &Server,
    report: &mut Report,
) -> Option<Url> {
    let parsed = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let expected = match &parsed {
        None => "an http or https URL, such as http://localhost:3000".to_owned(),
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            "a URL without user name and password".to_owned()
        }
        Some(url) if url.query().is_some() || url.fragment().is_some() => {
            "a URL without query and fragment".to_owned()
        }
        Some(_) if text.ends_with('/') => {
            format!("no slash at its end: `{}`", text.trim_end_matches('/'))
        }
        Some(url) => {
            if own.is_at(url) {
                report.warning(at, OURSELVES);
            }
            return parsed;
        }
    };
    report.mistake(at, format!("`{}`", without_credentials(&text)), expected);
    None
}
