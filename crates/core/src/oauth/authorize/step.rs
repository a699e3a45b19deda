//! What comes next for an authorization request that is sound: ask, sign in, hand out a code, or
//! say that it cannot be done without a page.

use std::time::Duration;

use crate::{
    client::{Client, ClientSource},
    clock::Timestamp,
    grant::Consent,
    oauth::{ErrorCode, OAuthError, consent},
    resource::Resources,
    signin::{AuthorizationRequest, BrowserTransaction, Login},
};

/// What comes next for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the person whether they allow the client. Always before the first request at a provider
    /// (threat 1).
    AskConsent,
    /// The person allowed all of it before, and says once more that it is they who connect the
    /// client (threat 58).
    AskToContinue,
    /// Send the browser to a provider.
    SignIn,
    /// Everything is there: hand out a code.
    IssueCode,
    /// A page would be needed, and the client asked that none be shown (`prompt=none`).
    Refuse(ErrorCode),
}

/// How far an authorization has come: its transaction, and what is known of the browser.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationProgress<'a> {
    pub request: &'a AuthorizationRequest,
    pub transaction: &'a BrowserTransaction,
    pub login: Option<&'a Login>,
    /// What the person in `login` allowed this client on this resource before.
    pub remembered: Option<&'a Consent>,
    pub now: Timestamp,
}

impl<'a> AuthorizationProgress<'a> {
    /// The login, if the request is content with it. One that is too old for `max_age`, or older
    /// than a request with `prompt=login`, tells nothing: who sits there now is not known until
    /// they have signed in again.
    pub fn current_login(&self) -> Option<&'a Login> {
        let interaction = &self.request.interaction;
        let is_young = |login: &Login| {
            interaction
                .max_age
                .is_none_or(|age| self.now.since(login.created_at) <= Duration::from_secs(age))
        };
        self.login.filter(|login| {
            // Signing in for this very request is enough, however the clocks stand.
            self.transaction.signed_in == Some(login.id)
                || (!interaction.prompt.login && is_young(login))
        })
    }

    /// The next step. A remembered consent counts only for the person who is signed in, for the
    /// client as it was then, and for scopes it covers; one that was given just now only for the
    /// person who gave it. Of some clients a remembered one spares the person the reading, and not
    /// the answer ([`consent::needs_an_answer`]).
    pub fn next_step(&self, client: &Client, resources: &Resources) -> Step {
        let prompt = self.request.interaction.prompt;
        let login = self.current_login();
        let is_remembered = !prompt.consent
            && login.zip(self.remembered).is_some_and(|(login, consent)| {
                consent::covers(consent, self.request, &login.user, resources)
            });
        let needs_answer = consent::needs_an_answer(client, &self.request.redirect_uri);
        let is_allowed = self.is_allowed_here(login) || (is_remembered && !needs_answer);
        match (login, is_allowed) {
            (Some(_), true) => Step::IssueCode,
            (None, _) if prompt.none => Step::Refuse(ErrorCode::LoginRequired),
            (Some(_), false) if prompt.none && is_remembered => {
                Step::Refuse(ErrorCode::InteractionRequired)
            }
            (Some(_), false) if prompt.none => Step::Refuse(ErrorCode::ConsentRequired),
            (Some(_), false) if is_remembered => Step::AskToContinue,
            (_, false) => Step::AskConsent,
            (None, true) => Step::SignIn,
        }
    }

    /// Was consent given in this transaction? Given by a browser without a login, it holds for the
    /// person who signs in with that browser.
    fn is_allowed_here(&self, login: Option<&Login>) -> bool {
        let given_by = self.transaction.consented_by.as_ref();
        self.transaction.consented_at.is_some()
            && login.zip(given_by).is_none_or(|(login, given_by)| login.user == *given_by)
    }

    /// May the client be told that a page would be needed, although the person has seen none? Only
    /// where that makes no open redirector of us (threat 11): to clients of the configuration, to
    /// programs on the person's own computer, and to those this person has allowed before, as they
    /// were then.
    pub fn may_be_told(&self, client: &Client) -> bool {
        let is_known = self.login.zip(self.remembered).is_some_and(|(login, consent)| {
            consent::concerns(consent, self.request, &login.user)
                && consent.fingerprint == self.request.fingerprint
        });
        is_known
            || client.source == ClientSource::Configured
            || self.request.redirect_uri.is_local()
    }
}

/// What the client is told of a step that would need a page.
pub fn refusal(code: ErrorCode) -> OAuthError {
    let description = match code {
        ErrorCode::LoginRequired => "the person must sign in, which needs a page",
        ErrorCode::InteractionRequired => {
            "the person must answer each time for a program on their own computer, which needs a page"
        }
        _ => "the person must be asked, which needs a page",
    };
    OAuthError::new(code, description)
}

#[cfg(test)]
mod tests;
