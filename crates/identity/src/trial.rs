//! Trial requests, which sign nobody in and tell what a real sign-in would meet: is our redirect URI registered, is the client
//! known, is its secret right? What is made of the answers for people lives in [`crate::diagnose`].

use portunus_core::{pkce::CodeChallenge, secret::SecretText};
use reqwest::header::LOCATION;
use url::Url;

use crate::{
    blame::Blame,
    fetch::{Answer, DEADLINE, fetch},
    presets::Facts,
    provider::{IdentityError, LegSecrets, Outbound},
};

/// Not a secret: nothing is ever redeemed with it.
const NO_SECRET: &str = "a-trial-of-the-configuration-that-ends-here-by-design";

/// A leg that leads nowhere.
#[derive(Debug)]
pub(crate) struct Trial {
    text: SecretText,
    code_challenge: CodeChallenge,
}

impl Trial {
    pub(crate) fn new() -> Self {
        let text = SecretText::new(NO_SECRET);
        Self { code_challenge: CodeChallenge::of(&text), text }
    }

    pub(crate) fn outbound<'a>(&'a self, redirect_uri: &'a str) -> Outbound<'a> {
        Outbound {
            redirect_uri,
            state: &self.text,
            nonce: &self.text,
            code_challenge: &self.code_challenge,
            fresh: false,
            login_hint: None,
        }
    }

    pub(crate) fn leg<'a>(&'a self, redirect_uri: &'a str) -> LegSecrets<'a> {
        LegSecrets { redirect_uri, nonce: &self.text, code_verifier: &self.text }
    }

    /// A code that was never issued.
    pub(crate) const fn code(&self) -> &SecretText {
        &self.text
    }

    /// A provider that knows the client refuses the code; another one refuses the client.
    pub(crate) fn is_client_known<T>(redeemed: Result<T, IdentityError>) -> Result<(), IdentityError> {
        match redeemed {
            Err(IdentityError::Refused { error, .. }) if error == "invalid_grant" => Ok(()),
            redeemed => redeemed.map(|_| ()),
        }
    }
}

/// What the authorization endpoint answered to a request that may show no page (`prompt=none`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// It knows our redirect URI, and sent a code there.
    Fine,
    /// It knows our redirect URI, and sent an error there: `login_required`, if all is well.
    Error { error: String, description: String },
    /// It stays on a page of its own, which may be one to sign in at: nothing is learnt.
    Unknown,
}

/// Sends the browser's request ourselves.
pub(crate) async fn authorize(
    http: &reqwest::Client,
    mut url: Url,
    redirect_uri: &str,
    blame: &Blame,
    facts: &Facts,
) -> Result<Authorization, IdentityError> {
    url.query_pairs_mut().append_pair("prompt", "none");
    let answer = fetch(http.get(url), DEADLINE).await.map_err(|trouble| blame.trouble("authorization endpoint", &trouble))?;
    if let Some(error) = blame.overload("authorization endpoint", &answer) {
        return Err(error);
    }
    if answer.status.is_client_error() && answer.status.as_u16() != 403 {
        return Err(blame.misconfigured(
            format!("the authorization endpoint answered {} for the redirect URI {redirect_uri}", answer.status),
            format!(
                "Add exactly {redirect_uri} to the Sign-in redirect URIs in {}; if it is there, check {}",
                facts.console,
                blame.setting("ID")
            ),
        ));
    }
    Ok(read(&answer, redirect_uri))
}

fn read(answer: &Answer, redirect_uri: &str) -> Authorization {
    let location = answer.header(LOCATION.as_str()).filter(|_| answer.status.is_redirection());
    let Some(location) = location.filter(|location| location.starts_with(redirect_uri)).and_then(|text| Url::parse(text).ok())
    else {
        return Authorization::Unknown;
    };
    let find = |name: &str| location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match find("error") {
        None => Authorization::Fine,
        Some(error) => Authorization::Error { error, description: find("error_description").unwrap_or_default() },
    }
}
