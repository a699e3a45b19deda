//! Requests to the MCP server, each with the token. What is done about one that is refused is next
//! door, in [`super::credentials`]; tokens go to the configured address alone: no redirect is
//! followed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use portunus_core::{oauth_client::challenge, secret::SecretText};
use reqwest::{Client, Response};
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    credentials::Credentials,
    error::{ConnectError, cause_of, quoted},
    fetch::place,
    options::Options,
};
use crate::net::{self, NetSettings};

/// How often one request is sent again with another token.
const RENEWALS: u32 = 2;
/// How long a server that accepts no connection is tried again.
const UNREACHABLE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Server {
    url: Url,
    client: Client,
    headers: HeaderMap,
    credentials: Option<Arc<Credentials>>,
}

impl Server {
    /// `credentials`: `None` when the configured headers bring their own.
    pub(super) fn new(
        options: &Options,
        credentials: Option<Arc<Credentials>>,
    ) -> Result<Self, ConnectError> {
        let client = net::client(NetSettings::upstream())
            .map_err(|error| ConnectError::Server(error.to_string()))?;
        let mut headers = options.headers.clone();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(Self { url: options.server.clone(), client, headers, credentials })
    }

    /// Sends a request until its token is taken, and answers with the head of the response.
    pub(super) async fn send(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response, ConnectError> {
        let (mut renewals, mut token) = (0, self.token().await?);
        loop {
            let response = self.send_once(method, headers, body, token.as_ref()).await?;
            let Some(credentials) = &self.credentials else { return refuse_redirect(response) };
            let challenge = challenge::bearer(
                response
                    .headers()
                    .get_all(header::WWW_AUTHENTICATE)
                    .iter()
                    .filter_map(|value| value.to_str().ok()),
            );
            let next = match (response.status(), challenge) {
                (StatusCode::UNAUTHORIZED, _) if renewals >= RENEWALS => {
                    return Err(ConnectError::Server(
                        "the server refuses the token that it was just given, with status 401"
                            .to_owned(),
                    ));
                }
                (StatusCode::UNAUTHORIZED, challenge) => {
                    Some(credentials.renew(token.as_ref(), &challenge.unwrap_or_default()).await?)
                }
                (StatusCode::FORBIDDEN, Some(challenge))
                    if challenge.is_insufficient_scope() && renewals < RENEWALS =>
                {
                    credentials.step_up(token.as_ref(), &challenge).await?
                }
                _ => None,
            };
            let Some(next) = next else { return refuse_redirect(response) };
            token = Some(next);
            renewals += 1;
        }
    }

    /// Asks for nothing, so that a server that wants a sign-in says so. `false`: it wants none.
    pub(super) async fn sign_in(&self) -> Result<bool, ConnectError> {
        let ping = Bytes::from_static(br#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        let status = self.send(&Method::POST, &headers, &ping).await?.status();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Err(ConnectError::Server(format!(
                "there is no MCP server at {}, which answers with status {status}: the addresses of most end in /mcp",
                place(&self.url)
            )));
        }
        Ok(self.credentials.as_ref().is_some_and(|credentials| credentials.is_signed_in()))
    }

    /// The same without a sign-in: for what no request of the client waits for.
    pub(super) async fn send_quietly(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, ConnectError> {
        let token = self.token().await?;
        refuse_redirect(self.send_once(method, headers, &Bytes::new(), token.as_ref()).await?)
    }

    async fn token(&self) -> Result<Option<SecretText>, ConnectError> {
        match &self.credentials {
            Some(credentials) => credentials.token().await,
            None => Ok(None),
        }
    }

    /// A server that accepts no connection has done nothing, so it is tried again.
    async fn send_once(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
        token: Option<&SecretText>,
    ) -> Result<Response, ConnectError> {
        let mut all = self.headers.clone();
        all.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(token) = token {
            all.insert(header::AUTHORIZATION, bearer(token)?);
        }
        let (until, mut pause) = (Instant::now() + UNREACHABLE, FIRST_PAUSE);
        loop {
            let request = self
                .client
                .request(method.clone(), self.url.clone())
                .headers(all.clone())
                .body(body.clone());
            match request.send().await {
                Ok(response) => return Ok(response),
                Err(error) if error.is_connect() && Instant::now() + pause < until => {
                    let error = cause_of(&error);
                    if pause == FIRST_PAUSE {
                        tracing::warn!(
                            error,
                            "the server accepts no connection, and is tried for half a minute"
                        );
                    } else {
                        tracing::debug!(error, "the server still accepts no connection");
                    }
                }
                Err(error) if error.is_connect() => {
                    return Err(ConnectError::Unreachable(place(&self.url), cause_of(&error)));
                }
                Err(_) => return Err(ConnectError::Broken),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn bearer(token: &SecretText) -> Result<HeaderValue, ConnectError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| ConnectError::Trouble("its token cannot stand in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn refuse_redirect(response: Response) -> Result<Response, ConnectError> {
    if !response.status().is_redirection() {
        return Ok(response);
    }
    let target = response.headers().get(header::LOCATION).and_then(|target| target.to_str().ok());
    let target = quoted(target.unwrap_or_default());
    Err(ConnectError::Server(format!(
        "the server redirects to \"{target}\", where no token is sent unasked: if that is right, give it as the URL"
    )))
}
