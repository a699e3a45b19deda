//! A sign-in in flight and what it leaves behind: [`Transaction`], [`BrowserTransaction`],
//! [`ProviderRequest`], [`Login`]. The rules that move a transaction on live in
//! [`crate::oauth::authorize`].

use std::{ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    address_block::AddressTag,
    clock::Timestamp,
    ids::{ClientId, ProviderName, TransactionId, UserId},
    lifetimes::Lifetimes,
    pkce::CodeChallenge,
    redirect::RedirectUri,
    resource::ResourceSet,
    scope::ScopeSet,
    secret::{SecretText, TokenHash},
};

/// A checked authorization request. It is kept here and never read again from the browser (threat
/// 8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client: ClientId,
    /// As presented, which for loopback hosts may differ from the registered one in its port.
    pub redirect_uri: RedirectUri,
    pub state: Option<String>,
    pub code_challenge: CodeChallenge,
    #[serde(alias = "resource")]
    pub resources: ResourceSet,
    pub scopes: ScopeSet,
    /// What the client was when it asked ([`crate::oauth::consent::fingerprint`]).
    #[serde(default = "unknown")]
    pub fingerprint: TokenHash,
    #[serde(default)]
    pub interaction: Interaction,
}

fn unknown() -> TokenHash {
    TokenHash::of("")
}

/// What the client wishes of the person's part (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interaction {
    pub prompt: Prompt,
    /// Seconds since the person signed in, at most.
    pub max_age: Option<u64>,
    /// Whom the client expects; goes to the provider.
    pub login_hint: Option<String>,
}

impl Interaction {
    /// Must the provider have the person sign in again, even if it has a session of theirs?
    pub fn is_fresh(&self) -> bool {
        self.prompt.login || self.max_age.is_some()
    }

    /// How many seconds ago the person may have signed in at the provider, at most: its own session
    /// does not count for a request that wants them to sign in (FB64).
    pub fn oldest_sign_in(&self) -> Option<u64> {
        if self.prompt.login { Some(0) } else { self.max_age }
    }

    /// Since when they must have signed in there, for a request that began then.
    pub fn signed_in_since(&self, begun: Timestamp) -> Option<Timestamp> {
        self.oldest_sign_in().map(|age| begun - Duration::from_secs(age))
    }
}

/// The `prompt` of a request. `none` goes with no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Show no page.
    pub none: bool,
    /// Have the person sign in again.
    pub login: bool,
    /// Ask even if there is a remembered consent.
    pub consent: bool,
}

/// Why the browser is being signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Purpose {
    /// A client's authorization request.
    Authorize(AuthorizationRequest),
    /// The person opened the sign-in page themselves; afterwards they go to this path of ours.
    SignIn { return_to: LocalPath },
}

/// A path on this gateway to return to: starts with exactly one slash, and is visible ASCII without
/// a backslash (threat 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalPath(String);

impl LocalPath {
    /// `None` when the text could lead anywhere but to this gateway.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let fits = !rest.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        (fits && text.len() <= 2048).then(|| Self(text.to_owned()))
    }

    /// The page `/`.
    pub fn front_page() -> Self {
        Self("/".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A sign-in or authorization in flight, kept by the server under an opaque id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: TransactionId,
    pub purpose: Purpose,
    /// The cookie of the browser that began it; another browser cannot go on with it.
    pub browser: TokenHash,
    /// When the person in front of this browser allowed the client, if they have.
    pub consented_at: Option<Timestamp>,
    /// The user who was signed in then, if one was: the consent holds for no other user.
    #[serde(default)]
    pub consented_by: Option<UserId>,
    /// The login that this transaction's request at a provider ended with.
    #[serde(default)]
    pub signed_in: Option<TokenHash>,
    /// Where it was begun from: so many of one address may be open at once (threat 63).
    #[serde(default)]
    pub begun_from: Option<AddressTag>,
    /// How often the browser was sent to a provider for it.
    #[serde(default)]
    pub departures: u32,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Requests to a provider for one transaction: people change their minds, and press the back
/// button.
const MAX_DEPARTURES: u32 = 20;

/// A transaction of the browser that sent the request at hand (threat 8). It is made where that was
/// checked, and nowhere else: whatever goes on with a transaction takes this in place of a
/// [`Transaction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserTransaction(Transaction);

impl BrowserTransaction {
    /// One that has just begun, with the browser it was begun for.
    pub(crate) const fn begun(transaction: Transaction) -> Self {
        Self(transaction)
    }

    /// The transaction with the consent that the person in front of this browser has given; `by` is
    /// who that is, if it is known.
    #[must_use]
    pub fn consented(self, at: Timestamp, by: Option<UserId>) -> Self {
        Self(Transaction { consented_at: Some(at), consented_by: by, ..self.0 })
    }

    /// The same, begun from this address.
    #[must_use]
    pub fn begun_from(self, address: AddressTag) -> Self {
        Self(Transaction { begun_from: Some(address), ..self.0 })
    }

    /// The transaction with its browser sent to a provider once more; `None` if that was too often
    /// (threat 63).
    pub fn departed(&self) -> Option<Self> {
        let departures = self.0.departures + 1;
        (departures <= MAX_DEPARTURES).then(|| Self(Transaction { departures, ..self.0.clone() }))
    }

    /// The transaction once its person has signed in.
    #[must_use]
    pub fn signed_in(self, login: TokenHash) -> Self {
        Self(Transaction { signed_in: Some(login), ..self.0 })
    }
}

impl Deref for BrowserTransaction {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}

impl Transaction {
    /// The check of threat 8: is this a transaction of the browser whose cookie has this hash?
    /// `None` for every other browser.
    pub fn of_browser(self, browser: &TokenHash) -> Option<BrowserTransaction> {
        (self.browser == *browser).then_some(BrowserTransaction(self))
    }
}

impl ProviderRequest {
    /// Is an answer that came to `callback`, with the state cookie whose hash is `cookie`, an
    /// answer to this request? Decided before the request is taken out of the store, so that a
    /// stranger who knows the `state` uses nothing up (threats 2, 54, 72; RFC 9700 section
    /// 4.4.2.2).
    pub fn is_answered_at(&self, callback: &str, cookie: &TokenHash) -> bool {
        self.browser == *cookie && self.redirect_uri == callback
    }
}

/// One authorization request at an identity provider, kept under the hash of its `state`; taken out
/// once (threats 2, 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRequest {
    pub state: TokenHash,
    /// The state cookie of the browser that was sent there.
    pub browser: TokenHash,
    pub transaction: TransactionId,
    pub provider: ProviderName,
    /// Where the provider was asked to send its answer, and the only place where one is taken
    /// (threat 54).
    #[serde(default)]
    pub redirect_uri: String,
    pub nonce: SecretText,
    pub code_verifier: SecretText,
    pub expires_at: Timestamp,
}

/// A browser's signed-in session with the gateway, kept under the hash of its cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub id: TokenHash,
    pub user: UserId,
    pub provider: ProviderName,
    /// For signing out at the provider too (`id_token_hint`, OpenID Connect RP-Initiated Logout
    /// section 2).
    pub id_token: Option<SecretText>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was last used, as far as that is noted (`lifetimes.login_idle`).
    #[serde(default)]
    pub last_seen_at: Option<Timestamp>,
}

impl Login {
    /// The login's new end, if its use at `now` is worth noting: ten notes in an idle lifetime at
    /// most, for each is a write.
    pub fn prolonged(&self, now: Timestamp, lifetimes: &Lifetimes) -> Option<Timestamp> {
        let idle = lifetimes.login_idle?;
        let noted_at = self.last_seen_at.unwrap_or(self.created_at);
        (now.since(noted_at) >= idle / 10).then(|| lifetimes.login_end(self.created_at, now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_login_in_use_goes_on_until_its_absolute_end() {
        let seconds = Duration::from_secs;
        let start = Timestamp::from_secs(0);
        let lifetimes = Lifetimes {
            login: seconds(1000),
            login_idle: Some(seconds(100)),
            ..Lifetimes::default()
        };
        let login = |noted: Option<i64>| Login {
            id: TokenHash::of("login"),
            user: UserId::of("https://idp", "alice"),
            provider: ProviderName::from_text("okta"),
            id_token: None,
            created_at: start,
            expires_at: lifetimes.login_end(start, start),
            last_seen_at: noted.map(Timestamp::from_secs),
        };
        assert_eq!(login(None).expires_at, start + seconds(100));
        let cases = [
            (None, 9, None),
            (None, 10, Some(110)),
            (Some(50), 59, None),
            (Some(50), 60, Some(160)),
            (Some(890), 950, Some(1000)),
        ];
        for (noted, now, expected) in cases {
            let prolonged = login(noted).prolonged(Timestamp::from_secs(now), &lifetimes);
            assert_eq!(prolonged, expected.map(Timestamp::from_secs), "{noted:?} {now}");
        }
        let no_limit = Lifetimes { login_idle: None, ..lifetimes };
        assert_eq!(login(None).prolonged(Timestamp::from_secs(500), &no_limit), None);
        assert_eq!(no_limit.login_end(start, start), start + seconds(1000));
    }

    #[test]
    fn return_paths_stay_here() {
        for good in ["/", "/tools", "/a?b=c&d=//e"] {
            assert!(LocalPath::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "//evil",
            "https://evil",
            "/\\evil",
            "\\/evil",
            "/a\nb",
            "/\t/evil",
            "evil",
            "/ /evil",
            "/\u{202e}live",
            "/\u{e9}",
        ] {
            assert!(LocalPath::parse(bad).is_none(), "{bad:?}");
        }
    }
}
