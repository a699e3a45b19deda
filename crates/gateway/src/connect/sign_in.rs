//! One sign-in: who we are, the browser, and its code for tokens (OAuth 2.1 section 4.1 with PKCE,
//! RFC 7636). When there is one at all is decided next door, in [`super::credentials`].

use std::{
    io::{self, Write as _},
    sync::{Arc, atomic::AtomicBool},
};

use portunus_core::{
    Clock, Entropy,
    oauth_client::{
        discovery,
        response::{BadResponse, Expected},
    },
    pkce::{CodeChallenge, generate_verifier},
    secret::{SecretText, TokenKind, TokenSecret},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    time::timeout,
};
use url::Url;

use super::{
    browser::{Opener, SignInAddress},
    callback::{self, Callback},
    discovery::Discovered,
    error::ConnectError,
    fetch::Fetcher,
    identity::{self, ClientIdentity},
    options::{Options, SIGN_IN_LIMIT},
    token_request::{TokenRequest, Tokens},
    token_store::TokenStore,
};

/// What a sign-in needs.
pub(super) struct SignInRequest<'a> {
    pub(super) options: &'a Options,
    pub(super) store: &'a TokenStore,
    pub(super) fetcher: &'a Fetcher,
    pub(super) found: &'a Discovered,
    pub(super) scope: Option<&'a str>,
    /// A person at a terminal may paste the address at which the browser ended.
    pub(super) may_paste: bool,
    /// A registration that is kept is not used.
    pub(super) registers_anew: bool,
    pub(super) opener: &'a Opener,
    pub(super) clock: &'a dyn Clock,
    pub(super) entropy: &'a dyn Entropy,
}

/// What a person has allowed: a code, and what it is redeemed with.
pub(super) struct Granted {
    pub(super) client: ClientIdentity,
    code: SecretText,
    verifier: SecretText,
    redirect_uri: String,
}

impl SignInRequest<'_> {
    /// Sends a person to the authorization server, and waits for the answer.
    pub(super) async fn ask(&self) -> Result<Granted, ConnectError> {
        let (client, listener, port) = self.client().await?;
        let redirect_uri = identity::redirect_uri(port);
        let verifier = generate_verifier(self.entropy);
        let state = SecretText::new(TokenSecret::generate(TokenKind::State, self.entropy).expose());
        let url = self.authorization_url(&client, &redirect_uri, &verifier, &state)?;
        let callback = Arc::new(Callback {
            expected: Expected {
                state,
                issuer: self.found.issuer.clone(),
                names_issuer: self.found.names_issuer,
            },
            start: format!(
                "/start/{}",
                TokenSecret::generate(TokenKind::State, self.entropy).expose()
            ),
            authorization_url: url,
            started: AtomicBool::new(false),
        });
        self.tell(&callback, port);
        let waited = timeout(SIGN_IN_LIMIT, self.wait(callback, listener)).await;
        let code = waited
            .map_err(|_| {
                // The authorization server may not know a registration any more, and tells the
                // browser alone.
                let _ = self.store.remove_registration(&self.found.issuer);
                ConnectError::SignIn(format!(
                    "nobody signed in within {} minutes",
                    SIGN_IN_LIMIT.as_secs() / 60
                ))
            })?
            .map_err(|bad| ConnectError::SignIn(bad.to_string()))?;
        Ok(Granted { client, code, verifier, redirect_uri })
    }

    pub(super) async fn redeem(&self, granted: &Granted) -> Result<Tokens, ConnectError> {
        let Granted { client, code, verifier, redirect_uri } = granted;
        let request = TokenRequest {
            fetcher: self.fetcher,
            endpoint: &self.found.token_endpoint,
            client,
            resource: &self.found.resource,
            now: self.clock.now(),
        };
        request.redeem(code, verifier, redirect_uri).await.inspect_err(|error| {
            if is_unknown_client(error) {
                let _ = self.store.remove_registration(&self.found.issuer);
            }
        })
    }

    /// Who we are, and a listener at the redirect URI that goes with it.
    async fn client(&self) -> Result<(ClientIdentity, TcpListener, u16), ConnectError> {
        let issuer = &self.found.issuer;
        let known = match identity::configured(&self.options.client, self.found) {
            Some(client) => Some(client),
            None if self.registers_anew => None,
            None => self.store.registration(issuer)?,
        };
        if let Some(client) = known {
            let wanted = client.port.or(self.options.callback_port);
            match callback::bind(wanted).await {
                Ok(listener) => {
                    let port = port_of(&listener)?;
                    return Ok((client, listener, port));
                }
                // A registration is for its port, which another program has now: register anew.
                Err(_) if client.port.is_some() => {}
                Err(error) => return Err(no_port(wanted, &error)),
            }
        }
        let wanted = self.options.callback_port;
        let listener = callback::bind(wanted).await.map_err(|error| no_port(wanted, &error))?;
        let port = port_of(&listener)?;
        let client = identity::register(self.fetcher, self.found, port).await?;
        self.store.keep_registration(issuer, &client)?;
        Ok((client, listener, port))
    }

    fn authorization_url(
        &self,
        client: &ClientIdentity,
        redirect_uri: &str,
        verifier: &SecretText,
        state: &SecretText,
    ) -> Result<Url, ConnectError> {
        let mut url = self.found.authorization_endpoint.clone();
        if !discovery::is_secure(&url, self.options.allow_http) {
            return Err(ConnectError::Metadata(
                "the authorization endpoint is not https: no browser is sent there".to_owned(),
            ));
        }
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_challenge", CodeChallenge::of(verifier).as_str())
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", state.expose())
            .append_pair("resource", &self.found.resource);
        if let Some(scope) = self.scope {
            url.query_pairs_mut().append_pair("scope", scope);
            // OpenID Connect Core 1.0 section 11.
            if scope.split(' ').any(|one| one == "offline_access") {
                url.query_pairs_mut().append_pair("prompt", "consent");
            }
        }
        Ok(url)
    }

    fn tell(&self, callback: &Callback, port: u16) {
        (self.opener)(&SignInAddress {
            url: &callback.authorization_url,
            local: &format!("http://127.0.0.1:{port}{}", callback.start),
            may_paste: self.may_paste,
        });
    }

    async fn wait(
        &self,
        callback: Arc<Callback>,
        listener: TcpListener,
    ) -> Result<SecretText, BadResponse> {
        let answered = Arc::clone(&callback).wait(listener);
        if !self.may_paste {
            return answered.await;
        }
        tokio::select! {
            answer = answered => answer,
            answer = pasted(&callback) => answer,
        }
    }
}

/// What a person pastes, line by line. At its end there is only the browser.
async fn pasted(callback: &Callback) -> Result<SecretText, BadResponse> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(answer) = callback.of_pasted(&line) {
            return answer;
        }
        let _ = writeln!(
            io::stderr(),
            "That is not the address of this sign-in's end. It begins with http://127.0.0.1"
        );
    }
    std::future::pending().await
}

/// The authorization server does not know us, or not any more.
pub(super) fn is_unknown_client(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused { code, .. } if code == "invalid_client" || code == "unauthorized_client")
}

fn port_of(listener: &TcpListener) -> Result<u16, ConnectError> {
    let address = listener.local_addr();
    address.map(|address| address.port()).map_err(|error| no_port(None, &error))
}

fn no_port(port: Option<u16>, error: &io::Error) -> ConnectError {
    let port = port.map_or_else(|| "no port".to_owned(), |port| format!("not even port {port}"));
    ConnectError::SignIn(format!(
        "{port} of 127.0.0.1 can be listened on for the answer ({error}): choose another with --callback-port"
    ))
}
