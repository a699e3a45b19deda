//! What a fake Okta is set up with: its one application, its people, how it hands out groups. What
//! happens to it later is in [`super::state`].

use std::{sync::Arc, time::Duration};

use portunus_core::clock::{Clock, SystemClock};
use serde_json::Value;

/// How a fake Okta is set up: its one application, its people, its groups claim.
#[derive(Clone)]
pub struct Options {
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uris: Vec<String>,
    pub sign_out_uris: Vec<String>,
    pub people: Vec<Person>,
    /// Has the application a groups claim filter? The org server needs one to put groups into the
    /// ID token.
    pub groups_filter: bool,
    /// How the custom server hands out groups.
    pub custom_groups: GroupsClaim,
    /// Are name and e-mail left to userinfo, as Okta does for some clients?
    pub thin_id_token: bool,
    /// Show a page to sign in at instead of taking the person that [`super::FakeOkta::sign_in_as`]
    /// named.
    pub form: bool,
    /// Sign with ES256 instead of RS256.
    pub elliptic: bool,
    /// Take client secrets only in the body (`client_secret_post`), and say so in the metadata.
    pub secret_in_body_only: bool,
    /// Send `iss` with every answer and say so (RFC 9207). Okta does not.
    pub sends_iss: bool,
    /// What it takes for its own address, in place of the one it listens on: as behind a proxy.
    pub public_base: Option<String>,
    /// Has the application the grant type Refresh Token? Without it `offline_access` is refused.
    pub refresh_grant: bool,
    /// How long a refresh token that was rotated is still taken. Okta: 30 s.
    pub refresh_grace: Duration,
    pub clock: Arc<dyn Clock>,
}

/// How the custom server (`/oauth2/default`) hands out groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupsClaim {
    /// A claim of the ID token, for any scope; there is no scope `groups`.
    Always,
    /// A claim of the ID token when the scope `groups`, which is defined and published, is asked
    /// for.
    WithScope,
    /// Only in the access token, which is a JWT then.
    AccessToken,
    /// Only in userinfo; there is no scope `groups`.
    Userinfo,
    Never,
}

/// A person in the directory.
#[derive(Clone, Debug)]
pub struct Person {
    pub username: String,
    pub subject: String,
    pub name: String,
    pub email: String,
    pub email_verified: bool,
    pub groups: Vec<String>,
    /// Claims of the ID token beside Okta's own, such as Google's `hd`.
    pub more_claims: Vec<(String, Value)>,
    /// Is the person assigned to the application?
    pub assigned: bool,
}

impl Person {
    /// An assigned person; everything else follows from the name they sign in with.
    pub fn new(username: &str, groups: &[&str]) -> Self {
        let (first, rest) = username.split_at(1);
        Self {
            username: username.to_owned(),
            subject: format!("00u1{username}"),
            name: format!("{}{rest} Example", first.to_uppercase()),
            email: format!("{username}@acme.example"),
            email_verified: true,
            more_claims: Vec::new(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            assigned: true,
        }
    }
}

impl Default for Options {
    /// Alice (engineering, admins) and Bob (sales) are assigned, Carol is not; both servers hand
    /// out groups.
    fn default() -> Self {
        let everyone = "Everyone";
        let carol = Person { assigned: false, ..Person::new("carol", &[everyone]) };
        Self {
            client_id: "0oa1portunus".to_owned(),
            client_secret: "test-secret/with+odd:characters%".to_owned(),
            redirect_uris: Vec::new(),
            sign_out_uris: Vec::new(),
            people: vec![
                Person::new("alice", &[everyone, "engineering", "admins"]),
                Person::new("bob", &[everyone, "sales"]),
                carol,
            ],
            groups_filter: true,
            custom_groups: GroupsClaim::Always,
            thin_id_token: false,
            form: false,
            elliptic: false,
            secret_in_body_only: false,
            sends_iss: false,
            public_base: None,
            refresh_grant: true,
            refresh_grace: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
        }
    }
}
