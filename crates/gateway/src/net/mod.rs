//! The only constructor of HTTP clients. What is sent with them lives next to its meaning:
//! `portunus-identity` talks to identity providers, `portunus-mcp` to MCP servers, `edge/proxy` to
//! the targets of `proxies`. URLs that are not in our configuration are asked by [`guarded`] alone.

pub mod fetch_budgets;
pub mod fetch_error;
mod freshness;
pub mod guarded;
pub mod reach;
pub mod response_cache;

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{self, Client as LegacyClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use portunus_mcp::upstream::HttpClient;
use reqwest::{Certificate, Client, ClientBuilder, Proxy, dns::Resolve, redirect};
use thiserror::Error;
use url::Url;

/// What differs between the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetSettings {
    /// How long a connection, TLS included, may take to stand.
    pub connect_timeout: Duration,
    /// How long a whole exchange may take, the body's last byte included; `None` for answers that
    /// stream.
    pub overall_timeout: Option<Duration>,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept for each host.
    pub idle_per_host: usize,
}

impl NetSettings {
    /// For identity providers: short exchanges. A person waits for them, and a sign-in must fail
    /// within 5 seconds (F3).
    pub const fn identity() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            overall_timeout: Some(Duration::from_secs(5)),
            idle_timeout: Duration::from_secs(60),
            idle_per_host: 8,
        }
    }

    /// For a collector of audit records: no request waits for it.
    pub const fn collector() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            overall_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Duration::from_secs(60),
            idle_per_host: 1,
        }
    }

    /// For other gateways on the same store: near, and either there or not. Answers may stream for
    /// hours.
    pub const fn node() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            overall_timeout: None,
            idle_timeout: Duration::from_secs(30),
            idle_per_host: 1024,
        }
    }

    /// For MCP servers and proxied targets: answers may stream for hours, so the caller limits the
    /// time.
    pub const fn upstream() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            overall_timeout: None,
            idle_timeout: Duration::from_secs(90),
            idle_per_host: 256,
        }
    }
}

/// The TLS library could not be set up, as when the machine has no trusted root certificates.
#[derive(Debug, Error)]
#[error("no HTTP client can be made: {0}")]
pub struct NetError(#[from] reqwest::Error);

/// Makes an HTTP client: rustls with the machine's trusted roots, no cookies, and
/// - no redirects: an answer that points elsewhere is an answer, not a forwarded request (threat
///   26);
/// - no proxies: `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` are not honoured, so that where a
///   secret is sent stands in our own configuration only.
pub fn client(settings: NetSettings) -> Result<Client, NetError> {
    Ok(builder(settings).build()?)
}

/// Makes the client that identity providers are asked with: it trusts these authorities too, which
/// are certificates as PEM.
pub fn identity_client(authorities: &[u8]) -> Result<Client, NetError> {
    trusting_too(NetSettings::identity(), authorities)
}

/// Makes the client that a collector of audit records is asked with, with authorities as above.
pub fn collector_client(authorities: &[u8]) -> Result<Client, NetError> {
    trusting_too(NetSettings::collector(), authorities)
}

fn trusting_too(settings: NetSettings, authorities: &[u8]) -> Result<Client, NetError> {
    let mut builder = builder(settings);
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(authorities)?);
    }
    Ok(builder.build()?)
}

/// Makes the client of `portunus connect` for what a server leads to: as [`client`], with names
/// resolved by `resolver` alone.
pub fn resolving_client(
    settings: NetSettings,
    resolver: Arc<dyn Resolve>,
) -> Result<Client, NetError> {
    Ok(builder(settings).referer(false).dns_resolver(resolver).build()?)
}

/// The same for a gateway on this machine, asked by its address: its certificate, which is for its
/// name, is not looked at. Nothing secret is sent with it.
pub fn client_of_this_machine() -> Result<Client, NetError> {
    Ok(builder(NetSettings::identity()).tls_danger_accept_invalid_certs(true).build()?)
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes HTTP clients")]
fn builder(settings: NetSettings) -> ClientBuilder {
    let mut builder = Client::builder()
        .user_agent(concat!("portunus/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(settings.idle_per_host)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60));
    if let Some(timeout) = settings.overall_timeout {
        builder = builder.timeout(timeout);
    }
    builder
}

/// Makes the client of [`guarded`]: names are resolved by `resolver` alone, and each request opens
/// a connection of its own, so that what it is sent to was looked at just then. https and HTTP/1.1
/// only; no redirects, proxies, cookies or decompression.
#[expect(clippy::disallowed_methods, reason = "the one place that makes HTTP clients")]
fn guarded_client(
    resolver: Arc<dyn Resolve>,
    roots: Vec<Certificate>,
    timeout: Duration,
) -> Result<Client, NetError> {
    strangers_client(
        ClientBuilder::no_proxy(Client::builder()).dns_resolver(resolver).https_only(true),
        roots,
        timeout,
    )
}

/// The same through a proxy that is configured for this alone: it resolves the names, and what it
/// lets through is its affair.
#[expect(clippy::disallowed_methods, reason = "the one place that makes HTTP clients")]
fn proxied_client(
    proxy: &Url,
    roots: Vec<Certificate>,
    timeout: Duration,
) -> Result<Client, NetError> {
    strangers_client(
        Client::builder().no_proxy().proxy(Proxy::https(proxy.clone())?),
        roots,
        timeout,
    )
}

fn strangers_client(
    builder: ClientBuilder,
    roots: Vec<Certificate>,
    timeout: Duration,
) -> Result<Client, NetError> {
    let builder = builder
        .user_agent(concat!("portunus/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_only()
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .pool_max_idle_per_host(0)
        .timeout(timeout);
    Ok(if roots.is_empty() { builder } else { builder.tls_certs_merge(roots) }.build()?)
}

/// Sends requests exactly as they are given: `reqwest` would respell paths and queries (`'` becomes
/// `%27`), and a proxy must not.
pub type ForwardingClient = LegacyClient<HttpsConnector<HttpConnector>, Body>;

/// Makes the client of the reverse proxy, HTTP/1.1 only; `settings.overall_timeout` is the caller's
/// to apply. Otherwise as
/// [`client`]: the machine's trusted roots, no redirects, no proxies.
pub fn forwarding_client(settings: NetSettings) -> Result<ForwardingClient, TrustError> {
    let connector = trusting()?.https_or_http().enable_http1().wrap_connector(tcp(settings));
    Ok(pool(settings).build(connector))
}

/// Makes the client of MCP servers: as [`forwarding_client`], with HTTP/2 where a server offers it.
pub fn upstream_client(settings: NetSettings) -> Result<HttpClient, TrustError> {
    let connector = trusting()?.https_or_http().enable_all_versions().wrap_connector(tcp(settings));
    Ok(pool(settings).build(connector))
}

fn trusting() -> Result<HttpsConnectorBuilder<WantsSchemes>, TrustError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(HttpsConnectorBuilder::new().with_provider_and_platform_verifier(provider)?)
}

fn tcp(settings: NetSettings) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(settings.connect_timeout));
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    tcp
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes HTTP clients")]
fn pool(settings: NetSettings) -> legacy::Builder {
    let mut pool = LegacyClient::builder(TokioExecutor::new());
    pool.pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(settings.idle_per_host);
    pool
}

/// The machine's trusted roots cannot be used.
#[derive(Debug, Error)]
#[error("no HTTP client can be made: {0}")]
pub struct TrustError(#[from] std::io::Error);

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../../testkit/fixtures/gateway-1.pem");
    const KEY: &[u8] = include_bytes!("../../../testkit/fixtures/gateway-1.key.pem");

    /// A provider whose certificate no authority of this machine has signed.
    async fn provider() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let chain =
            CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ));
        let server = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let acceptor = TlsAcceptor::from(Arc::new(server.unwrap()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        let answer =
                            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
                        let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
                    }
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn fb68_a_provider_whose_authority_is_named_in_a_file() {
        let url = provider().await;
        let error = identity_client(&[]).unwrap().get(&url).send().await.unwrap_err();
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        assert!(causes.any(|cause| cause.to_string().contains("UnknownIssuer")), "{error:?}");
        assert_eq!(
            identity_client(CERTIFICATE)
                .unwrap()
                .get(&url)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
            "ok"
        );
    }
}
