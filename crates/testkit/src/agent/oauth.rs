//! An MCP client's half of OAuth, as its specification describes it: 401, metadata, registration,
//! authorization with PKCE, tokens.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use portunus_core::{
    entropy::SeededEntropy,
    pkce::{CodeChallenge, generate_verifier},
};
use serde_json::{Value, json};
use url::Url;

use super::{
    browser::{Agent, Landing, Page, Returned},
    request::Request,
};

/// A redirect URI where nothing listens.
const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";

/// What a client learns before it registers.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// `WWW-Authenticate` of the first answer.
    pub challenge: String,
    /// RFC 9728.
    pub resource: Value,
    /// RFC 8414.
    pub server: Value,
}

impl Discovery {
    /// Asks `mcp_url` without a token and follows the challenge: protected resource metadata,
    /// authorization server metadata.
    ///
    /// # Panics
    /// If a step fails.
    pub async fn of(agent: &Agent, mcp_url: &str) -> Self {
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
        let refused =
            agent.send(Request::json(mcp_url, &initialize).without_cookies()).await.expect(401);
        let challenge = refused.header("www-authenticate").to_owned();
        let metadata = parameter(&challenge, "resource_metadata")
            .expect("the challenge has resource_metadata");
        let resource =
            agent.send(Request::get(&metadata).without_cookies()).await.expect(200).json();
        let issuer = resource["authorization_servers"][0]
            .as_str()
            .expect("an authorization server")
            .to_owned();
        let well_known =
            format!("{}/.well-known/oauth-authorization-server", issuer.trim_end_matches('/'));
        let server =
            agent.send(Request::get(&well_known).without_cookies()).await.expect(200).json();
        assert_eq!(server["issuer"], issuer, "RFC 8414 section 3.3");
        Self { challenge, resource, server }
    }

    fn endpoint(&self, name: &str) -> &str {
        self.server[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.server))
    }
}

/// The value of a parameter of a challenge.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

/// A registered client. Clones are the same client.
#[derive(Clone)]
pub struct OAuthClient {
    pub agent: Agent,
    pub discovery: Discovery,
    pub id: String,
    pub secret: Option<String>,
    /// `none`, `client_secret_basic` or `client_secret_post`.
    pub auth_method: String,
    pub redirect_uri: String,
    /// All that it was told when it registered.
    pub registration: Value,
}

impl OAuthClient {
    /// Discovers and registers, as a public client with refresh tokens.
    pub async fn register(agent: &Agent, mcp_url: &str) -> Self {
        Self::register_as(agent, mcp_url, json!({"client_name": "Test client"})).await
    }

    /// The same with metadata of its own; what is missing is filled in.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn register_as(agent: &Agent, mcp_url: &str, mut metadata: Value) -> Self {
        let discovery = Discovery::of(agent, mcp_url).await;
        let defaults = [
            ("redirect_uris", json!([REDIRECT_URI])),
            ("token_endpoint_auth_method", json!("none")),
            ("grant_types", json!(["authorization_code", "refresh_token"])),
        ];
        for (name, value) in defaults {
            if metadata.get(name).is_none() {
                metadata[name] = value;
            }
        }
        let request =
            Request::json(discovery.endpoint("registration_endpoint"), &metadata).without_cookies();
        let registered = agent.send(request).await.expect(201).json();
        let text = |name: &str| registered[name].as_str().map(str::to_owned);
        let secret = text("client_secret");
        for secret in [secret.clone(), text("registration_access_token")].into_iter().flatten() {
            agent.keep_secret(&secret);
        }
        Self {
            agent: agent.clone(),
            id: text("client_id").expect("a client id"),
            secret,
            auth_method: text("token_endpoint_auth_method").expect("an authentication method"),
            redirect_uri: registered["redirect_uris"][0]
                .as_str()
                .expect("a redirect URI")
                .to_owned(),
            discovery,
            registration: registered,
        }
    }

    /// A new authorization request for the resource that was discovered.
    pub fn authorization(&self) -> Authorization {
        let verifier = self.verifier();
        let state = format!("state-{}", next());
        let challenge =
            CodeChallenge::of(&portunus_core::secret::SecretText::new(verifier.clone()));
        let resource = self.discovery.resource["resource"].as_str().unwrap_or_default();
        let params = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("state", &state),
            ("resource", resource),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Authorization {
            endpoint: self.discovery.endpoint("authorization_endpoint").to_owned(),
            params,
            verifier,
            state,
        }
    }

    fn verifier(&self) -> String {
        let verifier = generate_verifier(&SeededEntropy::new(next())).expose().to_owned();
        self.agent.keep_secret(&verifier);
        verifier
    }

    /// Takes the browser through an authorization: allows what it is asked to allow, and comes back
    /// with the answer.
    pub async fn authorize(&self, browser: &Agent, authorization: &Authorization) -> Returned {
        match self.begin(browser, authorization).await {
            Landing::Page(page) => {
                page.form("/auth/consent").submit([("decision", "allow")]).await.returned()
            }
            Landing::Client(returned) => returned,
        }
    }

    /// Opens the authorization in a browser and stops at the first page.
    pub async fn begin(&self, browser: &Agent, authorization: &Authorization) -> Landing {
        browser.stop_at(&self.redirect_uri);
        browser.open(authorization.url().as_str()).await
    }

    /// From nothing to tokens: authorization, `state` and `iss` checked, code redeemed.
    ///
    /// # Panics
    /// If any step fails.
    pub async fn connect(&self, browser: &Agent) -> Tokens {
        let authorization = self.authorization();
        let returned = self.authorize(browser, &authorization).await;
        authorization.check(&returned, &self.discovery);
        self.tokens(self.redeem(&authorization, &returned.code()).await)
    }

    /// Redeems a code; the answer may be an error.
    pub async fn redeem(&self, authorization: &Authorization, code: &str) -> Page {
        let resource = authorization.find("resource").unwrap_or_default();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &authorization.verifier),
            ("resource", resource),
        ];
        self.token_request(fields.into_iter().filter(|(_, value)| !value.is_empty())).await
    }

    /// Exchanges a refresh token; the answer may be an error.
    pub async fn refresh(&self, refresh_token: &str) -> Page {
        self.token_request([("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
            .await
    }

    /// Sends `fields` to the token endpoint, with this client's credentials.
    pub async fn token_request<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Page {
        self.send("token_endpoint", fields).await
    }

    /// Sends `fields` to an endpoint that metadata calls so, with this client's credentials.
    pub async fn send<'a>(
        &self,
        endpoint: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Page {
        let mut fields: Vec<_> = fields.into_iter().collect();
        let secret = self.secret.as_deref().unwrap_or_default();
        if self.auth_method != "client_secret_basic" {
            fields.push(("client_id", &self.id));
        }
        if self.auth_method == "client_secret_post" {
            fields.push(("client_secret", secret));
        }
        let mut request = Request::form(Method::POST, self.discovery.endpoint(endpoint), fields)
            .without_cookies();
        if self.auth_method == "client_secret_basic" {
            request = request.header(
                "authorization",
                &format!("Basic {}", STANDARD.encode(format!("{}:{secret}", self.id))),
            );
        }
        let answer = self.agent.send(request).await;
        for name in ["access_token", "refresh_token"] {
            if let Some(token) = serde_json::from_str::<Value>(&answer.body)
                .ok()
                .and_then(|body| body[name].as_str().map(str::to_owned))
            {
                self.agent.keep_secret(&token);
            }
        }
        answer
    }

    /// The tokens of a successful answer.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn tokens(&self, answer: Page) -> Tokens {
        let answer = answer.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store", "RFC 6749 section 5.1");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        Tokens {
            access: body["access_token"].as_str().expect("an access token").to_owned(),
            refresh: body["refresh_token"].as_str().map(str::to_owned),
            scope: body["scope"].as_str().unwrap_or_default().to_owned(),
            expires_in: body["expires_in"].as_u64().expect("expires_in"),
        }
    }
}

fn next() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// One authorization request, to be spoilt at will.
#[derive(Clone, Debug)]
pub struct Authorization {
    endpoint: String,
    params: Vec<(String, String)>,
    pub verifier: String,
    pub state: String,
}

impl Authorization {
    /// With `value` in place of whatever the parameter was.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// With one more parameter, be it there already or not.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.params.retain(|(key, _)| key != name);
        self
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// # Panics
    /// If the endpoint is no URL.
    pub fn url(&self) -> Url {
        let mut url = Url::parse(&self.endpoint).expect("the endpoint is a URL");
        url.query_pairs_mut().extend_pairs(&self.params);
        url
    }

    /// Does the answer belong to this request and come from this server (RFC 9207)?
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn check(&self, returned: &Returned, discovery: &Discovery) {
        assert_eq!(returned.find("state").as_deref(), self.find("state"), "{}", returned.url);
        assert_eq!(
            returned.find("iss").as_deref(),
            discovery.server["issuer"].as_str(),
            "{}",
            returned.url
        );
    }
}

/// What the token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub scope: String,
    pub expires_in: u64,
}

impl Tokens {
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn refresh(&self) -> &str {
        self.refresh.as_deref().expect("a refresh token")
    }
}
