//! Trial requests, which sign no user in and tell what a real sign-in would meet: is our redirect
//! URI registered, is the client known, is its secret right? What is made of the answers for people
//! lives in [`crate::diagnose`].

use portunus_core::{pkce::CodeChallenge, secret::SecretText};
use reqwest::header::LOCATION;
use url::Url;

use crate::{
    error_report::{ErrorReport, quote},
    fetch::{Answer, DEADLINE, fetch},
    presets::Facts,
    provider::{IdentityError, Outbound, ProviderRequestSecrets},
};

/// Not a secret: nothing is ever redeemed with it.
const NO_SECRET: &str = "a-trial-of-the-configuration-that-ends-here-by-design";

/// A request at the provider that leads nowhere.
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
            max_age: None,
            login_hint: None,
        }
    }

    pub(crate) fn provider_request<'a>(
        &'a self,
        redirect_uri: &'a str,
    ) -> ProviderRequestSecrets<'a> {
        ProviderRequestSecrets {
            redirect_uri,
            nonce: &self.text,
            code_verifier: &self.text,
            signed_in_since: None,
        }
    }

    /// A code that was never issued.
    pub(crate) const fn code(&self) -> &SecretText {
        &self.text
    }

    /// A provider that knows the client refuses the code; another one refuses the client.
    pub(crate) fn is_client_known<T>(
        redeemed: Result<T, IdentityError>,
    ) -> Result<(), IdentityError> {
        match redeemed {
            Err(IdentityError::Refused { error, .. }) if error == "invalid_grant" => Ok(()),
            redeemed => redeemed.map(|_| ()),
        }
    }
}

/// The secret of no client.
pub(crate) const WRONG_SECRET: &str = "not-the-secret-to-see-whether-it-is-looked-at";
/// How often a provider may send the browser on to another page of its own.
const MOST_STEPS: usize = 3;
/// How much of a page is quoted.
const QUOTED: usize = 200;

/// What a probe says of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// It could not be found out, and why.
    Unknown(String),
}

/// What the authorization endpoint answered to a request that may show no page (`prompt=none`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// It knows our redirect URI, and sent a code there, or an error: `login_required`, if all is
    /// well.
    Back { error: Option<(String, String)>, iss: Option<String> },
    /// It stays on a page of its own, which may be one to sign in at: nothing is learnt.
    Unknown(String),
}

/// Sends the browser's request ourselves.
pub(crate) async fn authorize(
    http: &reqwest::Client,
    mut url: Url,
    redirect_uri: &str,
    error_report: &ErrorReport,
    facts: &Facts,
) -> Result<Authorization, IdentityError> {
    url.query_pairs_mut().append_pair("prompt", "none");
    let (answer, _) = walk(http, url, redirect_uri, "authorization endpoint", error_report).await?;
    if is_refusal(&answer) {
        return Err(error_report.misconfigured(
            format!(
                "the authorization endpoint answered {} for the redirect URI {redirect_uri}{}",
                answer.status,
                said(&answer.body)
            ),
            format!(
                "Add exactly {redirect_uri} to the Sign-in redirect URIs in {}; if it is there, check {}, and whether the application is enabled \
                 and may use the authorization code flow",
                facts.console,
                error_report.setting("ID")
            ),
        ));
    }
    Ok(read(&answer, redirect_uri))
}

/// Asks for a sign-out, with no user signed in at this program.
pub(crate) async fn sign_out(
    http: &reqwest::Client,
    url: Url,
    return_to: &str,
    error_report: &ErrorReport,
    facts: &Facts,
) -> Result<Verdict, IdentityError> {
    let (answer, is_back) =
        walk(http, url, return_to, "end_session_endpoint", error_report).await?;
    let words = said(&answer.body);
    // No user is signed in here, so there is no ID token to send.
    if is_refusal(&answer) && words.contains("id_token_hint") {
        return Ok(Verdict::Unknown(
            "it wants the ID token of somebody who is signed in".to_owned(),
        ));
    }
    if is_refusal(&answer) {
        return Err(error_report.misconfigured(
            format!("the end_session_endpoint answered {} for {return_to}{words}", answer.status),
            format!(
                "Add exactly {return_to} to the sign-out (post-logout) redirect URIs in {}",
                facts.console
            ),
        ));
    }
    Ok(if is_back { Verdict::Fine } else { Verdict::Unknown(stayed(&answer)) })
}

/// Asks, and follows redirects that stay at the provider: one that has a single way to sign in
/// leads there. `true`: it leads back to us.
async fn walk(
    http: &reqwest::Client,
    mut url: Url,
    ours: &str,
    what: &str,
    error_report: &ErrorReport,
) -> Result<(Answer, bool), IdentityError> {
    let mut steps = 0;
    loop {
        let answer = fetch(http.get(url.clone()), DEADLINE)
            .await
            .map_err(|trouble| error_report.trouble(what, &trouble))?;
        if let Some(error) = error_report.overload(what, &answer) {
            return Err(error);
        }
        let location = answer.header(LOCATION.as_str()).filter(|_| answer.status.is_redirection());
        let Some(next) = location.and_then(|location| url.join(location).ok()) else {
            return Ok((answer, false));
        };
        let is_back = location.is_some_and(|location| location.starts_with(ours));
        if is_back || next.origin() != url.origin() || steps == MOST_STEPS {
            return Ok((answer, is_back));
        }
        (url, steps) = (next, steps + 1);
    }
}

fn is_refusal(answer: &Answer) -> bool {
    answer.status.is_client_error() && answer.status.as_u16() != 403
}

fn read(answer: &Answer, redirect_uri: &str) -> Authorization {
    let location = answer.header(LOCATION.as_str()).filter(|_| answer.status.is_redirection());
    let Some(location) = location
        .filter(|location| location.starts_with(redirect_uri))
        .and_then(|text| Url::parse(text).ok())
    else {
        return Authorization::Unknown(stayed(answer));
    };
    let find = |name: &str| {
        location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let error = find("error").map(|error| (error, find("error_description").unwrap_or_default()));
    Authorization::Back { error, iss: find("iss") }
}

/// What a page says, for an administrator who cannot see it.
fn stayed(answer: &Answer) -> String {
    if answer.status.is_redirection() {
        return format!("it leads on to another place ({})", answer.status);
    }
    format!("it answers with a page of its own ({}){}", answer.status, said(&answer.body))
}

/// The words of a page, its title first; of JSON the description.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json = serde_json::from_str::<serde_json::Value>(&text).ok();
    let described = json.as_ref().and_then(|json| {
        ["error_description", "errorSummary", "message"]
            .iter()
            .find_map(|name| json[*name].as_str())
    });
    let words = described.map_or_else(|| words(&text), str::to_owned);
    let words: String = quote(&words).chars().take(QUOTED).collect();
    if words.is_empty() { words } else { format!(", saying: {words}") }
}

/// The text between the tags of a page, without what is no text.
fn words(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<').map(|found| at + found) {
        text.push_str(&page[at..open]);
        text.push(' ');
        if lower[open..].starts_with("<!--") {
            at = lower[open..].find("-->").map_or(page.len(), |found| open + found + 3);
            continue;
        }
        let skipped =
            ["script", "style", "svg"].iter().find(|name| lower[open + 1..].starts_with(**name));
        let close = match skipped {
            Some(name) => {
                lower[open..].find(&format!("</{name}")).map_or(page.len(), |found| open + found)
            }
            None => open,
        };
        at = lower[close..].find('>').map_or(page.len(), |found| close + found + 1);
    }
    text.push_str(&page[at..]);
    let text = text
        .replace("&nbsp;", " ")
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb69_a_page_is_quoted_in_its_words() {
        for (page, expected) in [
            (
                "<html><head><title>Sorry</title><style>a{}</style></head><body><p>Client&nbsp;disabled<script>x<y</script>.</body>",
                "Sorry Client disabled .",
            ),
            ("plain", "plain"),
            ("a<!-- portal <b>markup</b> like > this -->b<!---->c<!-- never ends > x", "a b c"),
            ("<p", ""),
            ("", ""),
            ("<script>never ends", ""),
        ] {
            assert_eq!(words(page), expected, "{page}");
        }
        assert_eq!(
            said(br#"{"error":"x","error_description":"Client not enabled"}"#),
            ", saying: Client not enabled"
        );
    }
}
