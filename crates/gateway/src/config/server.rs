//! Section: where the gateway listens and how it is reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use portunus_core::{
    resource::PublicUrl,
    settings::{Setting, ValueType},
};
use url::{Host, Url};

use super::{
    cidr::Cidr,
    inputs::{Inputs, Written, written},
    mistake::Report,
    placeholder::is_placeholder,
};

pub(super) const PUBLIC_URL: Setting = Setting::new(
    "public_url",
    ValueType::Text,
    "Where people and clients reach the gateway, such as https://mcp.acme.com",
)
.details("It has no path, and is never derived from a request")
.default("http://localhost:{port}")
.variables(&["BASE_URL", "PUBLIC_URL"]);

pub(super) const LISTEN: Setting = Setting::new(
    "listen",
    ValueType::Text,
    "Address and port to listen on. Default: {default} (HOST and PORT set the parts)",
)
.details("The variables `HOST` and `PORT` set the parts")
.default("0.0.0.0:3000")
.needs_restart();

pub(super) const ALLOWED_ORIGINS: Setting = Setting::new(
    "allowed_origins",
    ValueType::List(&ValueType::Text),
    "Origins, beside our own, whose pages may call the gateway",
)
.details("`https://app.acme.com`, for example. No wildcards");

pub(super) const ALLOWED_HOSTS: Setting = Setting::new(
    "allowed_hosts",
    ValueType::List(&ValueType::Text),
    "Host headers, beside the public URL's, to accept: host or host:port",
).details("`gateway.internal` (any port), `10.1.2.3:3000`. The default port may be written or left out. A request that names two hosts, in its target and in `Host`, is answered with 400");

pub(super) const TRUSTED_PROXIES: Setting = Setting::new(
    "trusted_proxies",
    ValueType::List(&ValueType::Text),
    "Addresses or ranges (10.0.0.0/8) whose X-Forwarded-* counts",
);

const DEFAULT_PORT: u16 = 3000;

/// What this section comes to.
pub(super) struct Server {
    pub(super) public_url: PublicUrl,
    pub(super) listen: SocketAddr,
    pub(super) production: bool,
    pub(super) allowed_origins: Vec<String>,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) trusted_proxies: Vec<Cidr>,
}

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Server {
    let listen = listen(inputs, report);
    let production =
        inputs.env.find("NODE_ENV").is_some_and(|variable| variable.text.trim() == "production");
    Server {
        public_url: public_url(inputs, listen.port(), production, report),
        listen,
        production,
        allowed_origins: list(inputs, "allowed_origins")
            .iter()
            .filter_map(|text| origin(text, report))
            .collect(),
        allowed_hosts: list(inputs, "allowed_hosts")
            .iter()
            .filter_map(|text| host(text, report))
            .collect(),
        trusted_proxies: list(inputs, "trusted_proxies")
            .iter()
            .filter_map(|text| range(text, report))
            .collect(),
    }
}

impl Server {
    /// Does this URL lead back to the gateway? Its own port is its own; behind its public name
    /// something may stand in front that sends other paths elsewhere.
    pub(super) fn is_at(&self, url: &Url) -> bool {
        let is_public = url.origin().ascii_serialization() == self.public_url.origin();
        is_public && (matches!(url.path(), "/" | "/mcp") || url.path().starts_with("/mcp/"))
            || self.listens_at(url)
    }

    fn listens_at(&self, url: &Url) -> bool {
        let own = self.listen.ip();
        let is_own = |address: IpAddr| {
            address == own || address.is_loopback() && (own.is_unspecified() || own.is_loopback())
        };
        let host = match url.host() {
            Some(Host::Ipv4(address)) => is_own(address.into()),
            Some(Host::Ipv6(address)) => is_own(address.into()),
            Some(Host::Domain(name)) => {
                (name == "localhost" || name.ends_with(".localhost"))
                    && is_own(Ipv4Addr::LOCALHOST.into())
            }
            None => false,
        };
        host && url.port_or_known_default() == Some(self.listen.port())
    }
}

/// Of a URL that leads back to the gateway. A gateway that this one takes the place of may have had
/// another default port, so it is no mistake.
pub(super) const OURSELVES: &str = "leads back to the gateway itself, by BASE_URL, HOST and PORT: the address of another program belongs here";

fn listen(inputs: &Inputs<'_>, report: &mut Report) -> SocketAddr {
    let mut listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT));
    if let Some(Written { text, at, .. }) = inputs.setting("listen", report) {
        let parts = text
            .rsplit_once(':')
            .and_then(|(host, port)| Some(SocketAddr::new(address(host)?, parse_port(port)?)));
        match parts {
            Some(parsed) => listen = parsed,
            None => report.mistake(
                at,
                format!("`{text}`"),
                "an IP address and a port, such as 127.0.0.1:3000, 0.0.0.0:3000 or [::]:3000",
            ),
        }
    }
    if let Some(Written { text, at, .. }) = inputs.variable(&["HOST"], report) {
        match address(&text) {
            Some(address) => listen.set_ip(address),
            None => report.mistake(
                at,
                format!("`{text}`"),
                "an IP address to listen on, such as 127.0.0.1 or 0.0.0.0",
            ),
        }
    }
    if let Some(Written { text, at, .. }) = inputs.variable(&["PORT"], report) {
        match parse_port(&text) {
            Some(port) => listen.set_port(port),
            None => report.mistake(at, format!("`{text}`"), "a port: a number from 1 to 65535"),
        }
    }
    listen
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { bare.parse().ok() }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn public_url(inputs: &Inputs<'_>, port: u16, production: bool, report: &mut Report) -> PublicUrl {
    let default = || local(port);
    let Some(Written { text, at, variable }) = inputs.setting("public_url", report) else {
        if production {
            report.missing("BASE_URL", "with NODE_ENV=production: where people reach the gateway, such as https://mcp.acme.com");
        }
        return default();
    };
    if is_placeholder(&text) {
        report.mistake(
            at,
            format!("`{text}`, still the example value"),
            "where people and clients reach this gateway",
        );
        return default();
    }
    let url = match PublicUrl::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            let expected =
                format!("such as https://mcp.acme.com or http://localhost:{port}: {error}");
            report.mistake(at, format!("`{}`", without_credentials(&text)), expected);
            return default();
        }
    };
    if !url.is_https() && !url.is_loopback() {
        if production {
            report.mistake(
                at,
                format!("`{url}` with NODE_ENV=production"),
                "https://…: tokens must not travel in the clear",
            );
        } else {
            let name = variable.unwrap_or("public_url");
            report.warning(
                at,
                format!("{name} is plain http to another machine: tokens travel in the clear, and many clients refuse it"),
            );
        }
    }
    url
}

#[expect(clippy::expect_used, reason = "localhost and a port always make a URL")]
fn local(port: u16) -> PublicUrl {
    PublicUrl::parse(&format!("http://localhost:{port}")).expect("a URL")
}

/// A text that should have been a URL, as it may be shown: without user name, password and query,
/// wherever these may begin.
pub(super) fn without_credentials(text: &str) -> String {
    let (before, shown) =
        text.rsplit_once('@').map_or((None, text), |(before, shown)| (Some(before), shown));
    let shown = shown
        .split_once('?')
        .map_or_else(|| shown.to_owned(), |(shown, _)| format!("{shown}?[redacted]"));
    match before.map(|before| before.split_once("://")) {
        None => shown,
        Some(Some((scheme, _))) => format!("{scheme}://[redacted]@{shown}"),
        Some(None) => "[redacted]".to_owned(),
    }
}

fn list(inputs: &Inputs<'_>, key: &str) -> Vec<Written> {
    let items = inputs.config.root().find(key).map(|item| item.items()).unwrap_or_default();
    items.into_iter().filter_map(|item| written(Some(item))).collect()
}

fn origin(Written { text, at, .. }: &Written, report: &mut Report) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let origin = url.map(|url| url.origin().ascii_serialization());
    let fits = origin
        .as_ref()
        .is_some_and(|origin| origin.eq_ignore_ascii_case(text.trim_end_matches('/')));
    if !fits {
        let expected = "an origin: scheme, host and port if it is not the default, such as https://app.acme.com; no path, no `*`";
        report.mistake(at.clone(), format!("`{}`", without_credentials(text)), expected);
    }
    origin.filter(|_| fits)
}

fn host(Written { text, at, .. }: &Written, report: &mut Report) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let url = Url::parse(&format!("http://{lower}/")).ok();
    let fits = url.is_some_and(|url| {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        url.path() == "/"
            && url
                .host_str()
                .is_some_and(|host| format!("{host}{port}") == lower.trim_end_matches(":80"))
    });
    if !fits {
        report.mistake(
            at.clone(),
            format!("`{text}`"),
            "a host, with a port if it stands in the Host header, such as mcp.acme.com or 10.1.2.3:3000",
        );
    }
    fits.then_some(lower)
}

fn range(Written { text, at, .. }: &Written, report: &mut Report) -> Option<Cidr> {
    text.parse()
        .inspect_err(|error| report.mistake(at.clone(), format!("`{text}`"), format!("{error}")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_secrets() {
        let cases = [
            ("https://mcp.acme.com/path", "https://mcp.acme.com/path"),
            ("mcp.acme.com", "mcp.acme.com"),
            ("https://u:p@h/x", "https://[redacted]@h/x"),
            ("redis://:p@ss/w@h", "redis://[redacted]@h"),
            ("u:p@h", "[redacted]"),
            ("https://h/?key=s", "https://h/?[redacted]"),
            ("https://h/?key=s@x", "https://[redacted]@x"),
            ("redis://:p?w@h", "redis://[redacted]@h"),
        ];
        for (text, shown) in cases {
            assert_eq!(without_credentials(text), shown, "{text}");
        }
    }
}
