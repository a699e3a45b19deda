//! Section: where other gateways on the same store reach this one.

use std::net::{IpAddr, SocketAddr};

use portunus_core::settings::{Section, Setting, ValueType};
use url::Url;

use super::{
    inputs::{Inputs, Written},
    mistake::Report,
    store::StoreConfig,
};

pub(super) const CLUSTER: Setting = Setting::new(
    "cluster",
    ValueType::Section(&SECTION),
    "Where other gateways on the same store reach this one",
)
.needs_restart();

const SECTION: Section = Section::new(
    "Other gateways on the same store",
    &[
        Setting::new(
            "listen",
            ValueType::Text,
            "Address and port on a network that only the gateways are on, such as 10.0.0.5:7946",
        )
        .default("the address that Redis is reached from, and any free port")
        .variables(&["CLUSTER_LISTEN"]),
        Setting::new(
            "url",
            ValueType::Text,
            "How the others reach it, if not at that address: http://gateway-1.internal:7946",
        )
        .variables(&["CLUSTER_URL"]),
    ],
);

/// Both have defaults that are found out at start, from the way to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where forwarded requests of other nodes are taken in.
    pub listen: Option<SocketAddr>,
    /// How other nodes reach that address, if it is not simply that address. Without a slash at the
    /// end.
    pub url: Option<String>,
}

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    store: &StoreConfig,
    report: &mut Report,
) -> ClusterConfig {
    let listen = inputs.setting("cluster.listen", report);
    let url = inputs.setting("cluster.url", report);
    if let (StoreConfig::Sqlite { .. }, Some(Written { at, .. })) =
        (store, listen.as_ref().or(url.as_ref()))
    {
        report.mistake(
            at.clone(),
            "an address for other gateways, while the store is SQLite",
            "Redis (KVS_ADDR or REDIS_URL), which several gateways can share; or no `cluster` at all",
        );
        return ClusterConfig::default();
    }
    let listens_at = listen.as_ref().map(|written| written.at.clone());
    let listen = listen.and_then(|written| address(written, report));
    let url = url.and_then(|written| base(written, report));
    if let (Some(listen), Some(at), None) = (listen, listens_at, &url)
        && listen.ip().is_unspecified()
    {
        let expected = "`cluster.url` (CLUSTER_URL) with it, such as http://10.0.0.5:7946; or the one address to listen on";
        report.mistake(at, format!("`{listen}` alone"), expected);
    }
    ClusterConfig { listen, url }
}

fn address(Written { text, at, .. }: Written, report: &mut Report) -> Option<SocketAddr> {
    let parsed = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 0)));
    if parsed.is_err() {
        report.mistake(at, format!("`{text}`"), "an IP address and a port, such as 10.0.0.5:7946");
    }
    parsed.ok()
}

fn base(Written { text, at, .. }: Written, report: &mut Report) -> Option<String> {
    let parsed = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty()
    });
    if parsed.is_none() {
        report.mistake(
            at,
            format!("`{text}`"),
            "where other nodes reach this one: a URL without a path, such as http://10.0.0.5:7946",
        );
    }
    parsed.map(|url| url.as_str().trim_end_matches('/').to_owned())
}
