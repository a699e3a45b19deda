//! A fake Okta on loopback: both kinds of authorization server, with the shapes, refusals and error
//! pages of Okta's developer documentation, and knobs for what a real one does on bad days.
//! [`FakeOkta`] is the handle; its endpoints are [`authorize`], [`token`], [`refresh`] and
//! [`server`]; what it is set up with is in [`setup`], what it remembers in [`state`]; tokens are
//! made in [`mint`] with [`keys`], and what can be wrong with them is in [`tamper`].

mod authorize;
mod keys;
mod mint;
mod refresh;
mod server;
mod setup;
mod state;
mod tamper;
mod token;

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::task::JoinHandle;

pub use setup::{GroupsClaim, Options, Person};
pub use state::{Endpoint, Fault};
pub use tamper::Tamper;

use state::State;

/// A running fake Okta; it ends when dropped.
pub struct FakeOkta {
    state: Arc<State>,
    internal: String,
    task: JoinHandle<()>,
}

impl FakeOkta {
    /// Starts one on a free port of loopback.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    pub async fn start(options: Options) -> Self {
        let listener =
            tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let internal = format!("http://{address}");
        let base = options.public_base.clone().unwrap_or_else(|| internal.clone());
        let state = Arc::new(State::new(options, base));
        let router = server::router(Arc::clone(&state));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the fake Okta serves until it is dropped");
        });
        Self { state, internal, task }
    }

    /// The address it listens on.
    pub fn internal(&self) -> &str {
        &self.internal
    }

    /// The issuer of the org authorization server.
    pub fn org_issuer(&self) -> String {
        self.state.base.clone()
    }

    /// The issuer of a custom authorization server. Only `default` exists.
    pub fn custom_issuer(&self, id: &str) -> String {
        format!("{}/oauth2/{id}", self.state.base)
    }

    pub fn client_id(&self) -> &str {
        &self.state.options.client_id
    }

    pub fn client_secret(&self) -> &str {
        &self.state.options.client_secret
    }

    /// Registers a sign-in redirect URI: gateways know theirs only once they run.
    pub fn register_redirect(&self, uri: impl Into<String>) {
        self.state.with(|inner| inner.redirect_uris.push(uri.into()));
    }

    /// Registers a sign-out redirect URI.
    pub fn register_sign_out(&self, uri: impl Into<String>) {
        self.state.with(|inner| inner.sign_out_uris.push(uri.into()));
    }

    /// From now on every browser without a cookie is this person's.
    pub fn sign_in_as(&self, username: &str) {
        self.state.with(|inner| inner.current = Some(username.to_owned()));
    }

    /// From now on no browser is signed in.
    pub fn sign_out_everybody(&self) {
        self.state.with(|inner| inner.current = None);
    }

    /// Adds a person, or changes the one with the same user name.
    pub fn put_person(&self, person: Person) {
        self.state.with(|inner| {
            inner.people.retain(|other| other.username != person.username);
            inner.people.push(person);
        });
    }

    /// From now on the person is in these groups.
    pub fn put_groups(&self, username: &str, groups: &[&str]) {
        self.change_person(username, |person| {
            person.groups = groups.iter().map(|&group| group.to_owned()).collect();
        });
    }

    /// The person was deactivated, or taken out of the application: they can neither sign in nor be
    /// refreshed.
    pub fn deactivate(&self, username: &str) {
        self.change_person(username, |person| person.assigned = false);
    }

    fn change_person(&self, username: &str, change: impl FnOnce(&mut Person)) {
        self.state.with(|inner| {
            let person = inner.people.iter_mut().find(|person| person.username == username);
            change(person.expect("a person of the directory"));
        });
    }

    /// The refresh tokens that it has given, which are secrets.
    pub fn refresh_tokens(&self) -> Vec<String> {
        self.state.with(|inner| inner.refresh_tokens.keys().cloned().collect())
    }

    /// Signs with a new key from now on; the one before it stays published, older ones do not.
    pub fn rotate_keys(&self) {
        self.state.with(|inner| inner.ring.rotate());
    }

    /// Spoils the next answer of `endpoint`.
    pub fn fail_next(&self, endpoint: Endpoint, fault: Fault) {
        self.state.with(|inner| inner.faults.entry(endpoint).or_default().next.push_back(fault));
    }

    /// Spoils every answer of `endpoint` until [`Self::heal`].
    pub fn fail(&self, endpoint: Endpoint, fault: Fault) {
        self.state.with(|inner| inner.faults.entry(endpoint).or_default().every = Some(fault));
    }

    pub fn heal(&self, endpoint: Endpoint) {
        self.state.with(|inner| inner.faults.remove(&endpoint));
    }

    /// Makes the next ID token a bad one.
    pub fn tamper_next(&self, tamper: Tamper) {
        self.state.with(|inner| inner.tampers.push_back(tamper));
    }

    /// The next authorization ends with this error at the redirect URI.
    pub fn refuse_next(&self, error: &str, description: &str) {
        self.state
            .with(|inner| inner.refusals.push_back((error.to_owned(), description.to_owned())));
    }

    /// Makes userinfo speak of another subject.
    pub fn lie_in_userinfo(&self, subject: &str) {
        self.state.with(|inner| inner.userinfo_subject = Some(subject.to_owned()));
    }

    /// Publishes this member of the metadata in place of its own.
    pub fn publish(&self, member: &str, value: Value) {
        self.state.with(|inner| inner.metadata.push((member.to_owned(), value)));
    }

    /// Puts this claim into access tokens in place of its own.
    pub fn put_into_access_tokens(&self, claim: &str, value: Value) {
        self.state.with(|inner| inner.access_token_claims.push((claim.to_owned(), value)));
    }

    /// Answers with signed JWTs at userinfo from now on.
    pub fn sign_userinfo(&self) {
        self.state.with(|inner| inner.signs_userinfo = true);
    }

    /// Takes any client secret from now on, as a public client of some providers may have.
    pub fn take_any_secret(&self) {
        self.state.with(|inner| inner.takes_any_secret = true);
    }

    /// Changes the client secret, as an administrator does: the old one is refused at once.
    pub fn rotate_secret(&self, secret: &str) {
        self.state.with(|inner| secret.clone_into(&mut inner.client_secret));
    }

    /// Puts Okta's clock ahead of the real one, or with `ahead` false behind it (F7).
    pub fn skew_clock(&self, by: Duration, ahead: bool) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.state.with(|inner| inner.skew_millis = if ahead { millis } else { -millis });
    }

    /// How often `endpoint` was asked.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.state.with(|inner| inner.counts.get(&endpoint).copied().unwrap_or(0))
    }
}

impl Drop for FakeOkta {
    fn drop(&mut self) {
        self.task.abort();
    }
}
