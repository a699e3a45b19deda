//! What the fake Okta remembers: registrations, codes, access tokens, faults to show, counters.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::{
    Timestamp,
    entropy::{SeededEntropy, random_bytes},
    pkce::CodeChallenge,
};
use serde_json::{Value, json};

use super::{
    keys::KeyRing,
    setup::{Options, Person},
    tamper::Tamper,
};

pub(super) use axum::extract::State as Extract;

/// How handlers get at what the fake remembers.
pub(super) type Okta = Extract<Arc<State>>;

/// An endpoint that is counted and can be spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Discovery,
    Keys,
    Authorize,
    Token,
    /// The token endpoint, asked with a refresh token. Counts for [`Endpoint::Token`] too.
    Refresh,
    Userinfo,
    /// The list of a person's groups beside the token, as Microsoft has one.
    Groups,
    Logout,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with Okta's JSON error.
    Status(u16),
    /// 429 with `X-Rate-Limit-Reset`.
    RateLimited,
    /// No answer at all.
    Hang,
    /// The right answer, late.
    Slow(Duration),
    /// 200 with something that is not JSON.
    Garbage,
    /// 200 with a megabyte of JSON.
    Huge,
    /// This answer: status, media type, body.
    Says(u16, &'static str, &'static str),
    /// A redirect to there.
    Leads(&'static str),
}

/// When a rate limit of ours resets, in Unix time.
pub(super) const RATE_LIMIT_RESET: &str = "1893456000";

pub(super) struct State {
    pub(super) options: Options,
    pub(super) base: String,
    entropy: SeededEntropy,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Faults {
    pub(super) next: VecDeque<Fault>,
    pub(super) every: Option<Fault>,
}

pub(super) struct Inner {
    pub(super) client_secret: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) sign_out_uris: Vec<String>,
    pub(super) people: Vec<Person>,
    pub(super) current: Option<String>,
    pub(super) ring: KeyRing,
    pub(super) faults: HashMap<Endpoint, Faults>,
    pub(super) counts: HashMap<Endpoint, usize>,
    pub(super) tampers: VecDeque<Tamper>,
    pub(super) refusals: VecDeque<(String, String)>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) access_tokens: HashMap<String, Access>,
    pub(super) refresh_tokens: HashMap<String, Refresh>,
    pub(super) userinfo_subject: Option<String>,
    pub(super) skew_millis: i64,
    /// Members of the metadata that are others.
    pub(super) metadata: Vec<(String, Value)>,
    /// Claims of access tokens that are others.
    pub(super) access_token_claims: Vec<(String, Value)>,
    pub(super) signs_userinfo: bool,
    pub(super) takes_any_secret: bool,
}

/// An authorization code and what it was issued for.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) server: Server,
    pub(super) person: Person,
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: String,
    pub(super) challenge: CodeChallenge,
    pub(super) expires_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) server: Server,
    pub(super) person: Person,
    pub(super) scopes: Vec<String>,
}

/// A refresh token. All that were rotated from one another have one family.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) family: String,
    pub(super) server: Server,
    pub(super) username: String,
    pub(super) scopes: Vec<String>,
    /// When it was exchanged for the next one.
    pub(super) used_at: Option<Timestamp>,
    /// That of the family's first one.
    pub(super) expires_at: Timestamp,
}

/// One of the two authorization servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Org,
    /// `/oauth2/default`.
    Custom,
}

impl Server {
    pub(super) fn issuer(self, base: &str) -> String {
        match self {
            Self::Org => base.to_owned(),
            Self::Custom => format!("{base}/oauth2/default"),
        }
    }

    /// The prefix of its endpoints.
    pub(super) fn endpoints(self, base: &str) -> String {
        match self {
            Self::Org => format!("{base}/oauth2/v1"),
            Self::Custom => format!("{base}/oauth2/default/v1"),
        }
    }
}

impl State {
    pub(super) fn new(options: Options, base: String) -> Self {
        let inner = Inner {
            client_secret: options.client_secret.clone(),
            redirect_uris: options.redirect_uris.clone(),
            sign_out_uris: options.sign_out_uris.clone(),
            people: options.people.clone(),
            current: None,
            ring: KeyRing::new(options.elliptic),
            faults: HashMap::new(),
            counts: HashMap::new(),
            tampers: VecDeque::new(),
            refusals: VecDeque::new(),
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            userinfo_subject: None,
            metadata: Vec::new(),
            access_token_claims: Vec::new(),
            signs_userinfo: false,
            takes_any_secret: false,
            skew_millis: 0,
        };
        Self { options, base, entropy: SeededEntropy::new(7), inner: Mutex::new(inner) }
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn now(&self) -> Timestamp {
        let skew = self.with(|inner| inner.skew_millis);
        Timestamp::from_millis(self.options.clock.now().as_millis() + skew)
    }

    pub(super) fn random(&self, prefix: &str) -> String {
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random_bytes(&self.entropy)))
    }

    /// Counts a request to `endpoint`, and answers it wrongly if it is spoilt.
    pub(super) async fn enter(&self, endpoint: Endpoint) -> Option<Response> {
        let fault = self.with(|inner| {
            *inner.counts.entry(endpoint).or_default() += 1;
            let faults = inner.faults.get_mut(&endpoint)?;
            faults.next.pop_front().or(faults.every)
        })?;
        match fault {
            Fault::Status(code) => {
                let status =
                    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(api_error(status, "E0000009", "Internal Server Error"))
            }
            Fault::RateLimited => {
                let mut answer = api_error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "E0000047",
                    "API call exceeded rate limit",
                );
                answer.headers_mut().insert("x-rate-limit-limit", HeaderValue::from_static("60"));
                answer
                    .headers_mut()
                    .insert("x-rate-limit-remaining", HeaderValue::from_static("0"));
                answer
                    .headers_mut()
                    .insert("x-rate-limit-reset", HeaderValue::from_static(RATE_LIMIT_RESET));
                Some(answer)
            }
            Fault::Hang => std::future::pending().await,
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                None
            }
            Fault::Garbage => {
                Some(Html("<html>Sorry, we are down for maintenance").into_response())
            }
            Fault::Says(code, media, body) => {
                let status =
                    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some((status, [("content-type", media)], body).into_response())
            }
            Fault::Leads(target) => {
                Some((StatusCode::FOUND, [("location", target)]).into_response())
            }
            Fault::Huge => Some(Json(json!({"padding": "x".repeat(1 << 20)})).into_response()),
        }
    }
}

/// An error of Okta's management API, which unknown paths answer with.
pub(super) fn api_error(status: StatusCode, code: &str, summary: &str) -> Response {
    let body = json!({"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oaeFake", "errorCauses": []});
    (status, Json(body)).into_response()
}

/// Okta's own error page: what a browser sees when it cannot be sent back.
pub(super) fn error_page(title: &str, text: &str) -> Response {
    let page =
        format!("<!doctype html><title>{title}</title><h1>400 Bad Request</h1><p>{text}</p>");
    (StatusCode::BAD_REQUEST, Html(page)).into_response()
}
