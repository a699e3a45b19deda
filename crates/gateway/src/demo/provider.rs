//! The demo's identity provider: shows [`super::people`] on a page of ours and believes the person
//! who clicks. Everything else is as strict as a real one: single-use codes bound to redirect URI,
//! nonce and PKCE challenge. The page is `edge::pages`'.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Extension, Form, Router,
    extract::{Query, State, rejection::FormRejection},
    response::{IntoResponse, Response},
    routing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode, header};
use portunus_core::{
    Clock, Entropy, Timestamp,
    admission::Unread,
    entropy::random_bytes,
    ids::ProviderName,
    pkce::CodeChallenge,
    resource::PublicUrl,
    secret::{SecretText, TokenHash},
};
use portunus_identity::provider::{
    IdentityError, Inbound, Outbound, Provider, ProviderRequestSecrets, SignedIn,
};
use serde::Deserialize;
use url::Url;

use super::people::{self, PEOPLE, Person};
use crate::edge::{
    extensions::RequestId,
    pages::{self, DemoPeoplePage, DemoPerson, ErrorPage, Frame},
};

/// The issuer of all people in the demo.
pub const ISSUER: &str = "urn:portunus:demo";
/// Where the page is.
pub const PATH: &str = "/auth/demo";

const REQUEST_LIFETIME: Duration = Duration::from_secs(10 * 60);
const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// The most requests, and the most codes, that wait at a time; beyond it the oldest are forgotten.
const WAITING: usize = 1024;

pub struct DemoProvider {
    name: ProviderName,
    public_url: PublicUrl,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    requests: Mutex<ResponseCache<Request>>,
    codes: Mutex<ResponseCache<Code>>,
}

/// A browser that was sent here. It carries only the key; nothing else is read back from it (threat
/// 8).
#[derive(Clone)]
struct Request {
    redirect_uri: String,
    state: SecretText,
    nonce: SecretText,
    code_challenge: CodeChallenge,
}

struct Code {
    request: Request,
    person: &'static Person,
}

impl DemoProvider {
    pub fn new(public_url: PublicUrl, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let name = ProviderName::from_text("demo");
        Self {
            name,
            public_url,
            clock,
            entropy,
            requests: Mutex::default(),
            codes: Mutex::default(),
        }
    }

    fn random_key(&self) -> SecretText {
        SecretText::new(URL_SAFE_NO_PAD.encode(random_bytes(&*self.entropy)))
    }

    fn unverified(&self, detail: &str) -> IdentityError {
        IdentityError::Unverified { provider: self.name.clone(), detail: detail.to_owned() }
    }

    /// Is there a request under this key?
    fn knows(&self, key: &str) -> bool {
        lock(&self.requests).holds(&TokenHash::of(key), self.clock.now())
    }

    /// Turns a waiting request into a code for `person`, and gives the callback's URL with it.
    fn choose(&self, key: &str, person: &'static Person) -> Option<Url> {
        let now = self.clock.now();
        let request = lock(&self.requests).take(&TokenHash::of(key), now)?;
        let mut callback = Url::parse(&request.redirect_uri).ok()?;
        let code = self.random_key();
        callback
            .query_pairs_mut()
            .append_pair("code", code.expose())
            .append_pair("state", request.state.expose())
            .append_pair("iss", ISSUER);
        lock(&self.codes).put(
            TokenHash::of(code.expose()),
            now + CODE_LIFETIME,
            now,
            Code { request, person },
        );
        Some(callback)
    }
}

impl fmt::Debug for DemoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoProvider").finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for DemoProvider {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn label(&self) -> &'static str {
        "the demo"
    }

    fn is_issuer(&self, iss: &str) -> bool {
        iss == ISSUER
    }

    async fn authorization_url(
        &self,
        provider_request: &Outbound<'_>,
    ) -> Result<Url, IdentityError> {
        let request = Request {
            redirect_uri: provider_request.redirect_uri.to_owned(),
            state: provider_request.state.clone(),
            nonce: provider_request.nonce.clone(),
            code_challenge: provider_request.code_challenge.clone(),
        };
        let key = self.random_key();
        let now = self.clock.now();
        lock(&self.requests).put(TokenHash::of(key.expose()), now + REQUEST_LIFETIME, now, request);
        let page = self.public_url.at(&format!("{PATH}?request={}", key.expose()));
        Url::parse(&page).map_err(|error| self.unverified(&error.to_string()))
    }

    async fn complete(
        &self,
        answer: &Inbound,
        provider_request: &ProviderRequestSecrets<'_>,
        now: Timestamp,
    ) -> Result<SignedIn, IdentityError> {
        if answer.iss.as_deref() != Some(ISSUER) {
            return Err(self.unverified("iss is not the demo's"));
        }
        let presented = answer.code.as_ref().ok_or_else(|| self.unverified("there is no code"))?;
        let code = lock(&self.codes).take(&TokenHash::of(presented.expose()), now);
        let Code { request, person } =
            code.ok_or_else(|| self.unverified("the code is unknown, used or expired"))?;
        if request.redirect_uri != provider_request.redirect_uri {
            return Err(self.unverified("the code was made for another redirect URI"));
        }
        if !request.code_challenge.admits(provider_request.code_verifier.expose()) {
            return Err(self.unverified("the code verifier does not fit"));
        }
        if request.nonce != *provider_request.nonce {
            return Err(self.unverified("the nonce does not fit"));
        }
        Ok(SignedIn {
            issuer: ISSUER.to_owned(),
            subject: person.subject.to_owned(),
            name: Some(person.name.to_owned()),
            email: Some(person.email.to_owned()),
            email_verified: true,
            groups: person.groups.iter().map(ToString::to_string).collect(),
            hosted_domain: None,
            no_groups: None,
            unread: Unread::default(),
            id_token: None,
            refresh_token: None,
        })
    }

    async fn sign_out_url(
        &self,
        _: Option<&SecretText>,
        _: &str,
        _: &str,
    ) -> Result<Option<Url>, IdentityError> {
        Ok(None)
    }

    async fn probe(&self, _: &str) -> Result<(), IdentityError> {
        Ok(())
    }
}

/// `GET` and `POST` of [`PATH`].
pub fn routes<S: Clone + Send + Sync + 'static>(provider: Arc<DemoProvider>) -> Router<S> {
    Router::new().route(PATH, routing::get(get).post(post)).with_state(provider)
}

#[derive(Deserialize)]
struct Asked {
    request: Option<String>,
}

#[derive(Deserialize)]
struct Chosen {
    request: String,
    person: String,
}

async fn get(
    State(provider): State<Arc<DemoProvider>>,
    Query(asked): Query<Asked>,
    id: Option<Extension<RequestId>>,
) -> Response {
    let Some(key) = asked.request.filter(|key| provider.knows(key)) else {
        return start_again(id.as_deref());
    };
    let person = |person: &Person| DemoPerson {
        name: person.name.into(),
        email: person.email.into(),
        groups: person.groups.iter().map(|group| (*group).into()).collect(),
        value: person.subject.into(),
    };
    let page = DemoPeoplePage {
        frame: frame(),
        people: PEOPLE.iter().map(person).collect(),
        action: PATH,
        hidden: vec![("request".into(), key.into())],
    };
    pages::respond(StatusCode::OK, &page)
}

async fn post(
    State(provider): State<Arc<DemoProvider>>,
    id: Option<Extension<RequestId>>,
    form: Result<Form<Chosen>, FormRejection>,
) -> Response {
    let callback = form
        .ok()
        .and_then(|Form(chosen)| provider.choose(&chosen.request, people::find(&chosen.person)?))
        .and_then(|url| HeaderValue::from_str(url.as_str()).ok());
    match callback {
        Some(location) => {
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (StatusCode::SEE_OTHER, [(header::LOCATION, location), no_store]).into_response()
        }
        None => start_again(id.as_deref()),
    }
}

fn frame() -> Frame {
    Frame { demo: true, signed_in_as: None }
}

fn start_again(id: Option<&RequestId>) -> Response {
    let page = ErrorPage {
        frame: frame(),
        title: "This sign-in is over".into(),
        message: "It was used already, or it took longer than ten minutes.".into(),
        hint: Some("Go back to your application and connect again.".into()),
        again: None,
        back: None,
        request_id: id.map_or("none", RequestId::as_str).into(),
    };
    pages::respond(StatusCode::BAD_REQUEST, &page)
}

fn lock<T>(
    response_cache: &Mutex<ResponseCache<T>>,
) -> std::sync::MutexGuard<'_, ResponseCache<T>> {
    response_cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A few things that wait to be taken once, oldest first.
struct ResponseCache<T>(VecDeque<(TokenHash, Timestamp, T)>);

impl<T> Default for ResponseCache<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> ResponseCache<T> {
    fn put(&mut self, key: TokenHash, expires_at: Timestamp, now: Timestamp, thing: T) {
        self.0.retain(|(_, expires_at, _)| *expires_at > now);
        if self.0.len() >= WAITING {
            self.0.pop_front();
        }
        self.0.push_back((key, expires_at, thing));
    }

    fn holds(&self, key: &TokenHash, now: Timestamp) -> bool {
        self.0.iter().any(|(held, expires_at, _)| held == key && *expires_at > now)
    }

    fn take(&mut self, key: &TokenHash, now: Timestamp) -> Option<T> {
        let at =
            self.0.iter().position(|(held, expires_at, _)| held == key && *expires_at > now)?;
        self.0.remove(at).map(|(_, _, thing)| thing)
    }
}

#[cfg(test)]
mod tests;
