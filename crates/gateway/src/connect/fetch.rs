//! Asks the URLs that a server names: metadata, registration, tokens. What they may be is
//! `portunus_core::oauth_client::{discovery, reach}`; a name is resolved here, and no address is
//! connected to that the rules refuse (threat 90). No redirect is followed.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::StreamExt as _;
use http::StatusCode;
use portunus_core::{
    oauth_client::{
        discovery,
        reach::{self, Nearness},
    },
    secret::SecretText,
};
use reqwest::{
    Client, RequestBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
};
use serde_json::Value;
use url::{Host, Url};

use super::error::{ConnectError, cause_of, quoted};
use crate::net::{self, NetSettings};

/// Metadata, or the answer of an endpoint, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct Fetcher {
    client: Client,
    near: Nearness,
    server: Url,
    allow_http: bool,
}

/// An answer in JSON; `body` is null when it is none.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Fetcher {
    pub(super) async fn new(server: &Url, allow_http: bool) -> Result<Self, ConnectError> {
        let own = server.host_str().unwrap_or_default().to_owned();
        let addresses = match server.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            _ => lookup(&own).await.unwrap_or_default(),
        };
        let near = reach::of_server(&addresses);
        let settings = NetSettings { overall_timeout: Some(TIMEOUT), ..NetSettings::identity() };
        let resolver = Arc::new(Guard { own, near });
        let client = net::resolving_client(settings, resolver)
            .map_err(|error| ConnectError::Metadata(error.to_string()))?;
        Ok(Self { client, near, server: server.clone(), allow_http })
    }

    /// `None`: there is no such document.
    pub(super) async fn document(&self, url: &Url) -> Result<Option<Value>, ConnectError> {
        self.check(url)?;
        let request = self.client.get(url.clone()).header(http::header::ACCEPT, "application/json");
        let answer = send(url, request).await?;
        if answer.status.is_server_error() {
            return Err(ConnectError::Trouble(format!("{} from {}", answer.status, place(url))));
        }
        Ok((answer.status == StatusCode::OK && answer.body.is_object()).then_some(answer.body))
    }

    pub(super) async fn post_json(&self, url: &Url, body: &Value) -> Result<Answer, ConnectError> {
        self.check(url)?;
        send(url, self.client.post(url.clone()).json(body)).await
    }

    /// `basic`: client id and secret, encoded already (RFC 6749 section 2.3.1).
    pub(super) async fn post_form(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        basic: Option<(&str, &SecretText)>,
    ) -> Result<Answer, ConnectError> {
        self.check(url)?;
        let mut request = self
            .client
            .post(url.clone())
            .header(http::header::ACCEPT, "application/json")
            .form(fields);
        if let Some((id, secret)) = basic {
            request = request.basic_auth(id, Some(secret.expose()));
        }
        send(url, request).await
    }

    /// What can be told of a URL before its name is resolved.
    fn check(&self, url: &Url) -> Result<(), ConnectError> {
        if !discovery::is_secure(url, self.allow_http) {
            return Err(ConnectError::Metadata(format!(
                "the server leads to {}, which is not https: that is not asked",
                place(url)
            )));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        if url.host() == self.server.host() {
            return Ok(());
        }
        reach::check(self.near, literal).map_err(|block| {
            ConnectError::Metadata(format!(
                "the server leads to {literal} ({block}): that is not asked"
            ))
        })
    }
}

async fn send(url: &Url, request: RequestBuilder) -> Result<Answer, ConnectError> {
    let unreachable =
        |error: reqwest::Error| ConnectError::Unreachable(place(url), cause_of(&error));
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(unreachable)?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ConnectError::Trouble(format!("the answer of {} is too long", place(url))));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// A URL as messages name it, without its query, which may hold a secret.
pub(super) fn place(url: &Url) -> String {
    quoted(&format!("{}{}", url.origin().ascii_serialization(), url.path()))
}

async fn lookup(host: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
}

/// The resolver of the client: addresses that a server may lead to. Its own name is a person's
/// choice.
struct Guard {
    own: String,
    near: Nearness,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (near, is_own) = (self.near, name.as_str() == self.own);
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let refused = addresses.iter().find_map(|address| {
                let block = reach::check(near, address.ip()).err()?;
                Some(format!(
                    "{} leads to {} ({block}): that is not asked",
                    name.as_str(),
                    address.ip()
                ))
            });
            match refused.filter(|_| !is_own) {
                Some(refused) => Err(refused.into()),
                None => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}
