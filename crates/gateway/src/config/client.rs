//! One client of the configuration (`clients.configured`): who it is, how it proves itself, what it
//! may do.

use portunus_core::{
    Timestamp,
    client::{Client, ClientAuthMethod, ClientKeys, ClientSource, GrantType},
    ids::{AGENT_KEY, ClientId, GENERATED_CLIENT},
    oauth::jwks,
    redirect::RedirectUri,
    scope::{Scope, ScopeSet},
    secret::{SecretText, TokenHash},
    settings::{Section, Setting, ValueType},
};

use super::{
    check::quoted,
    document::Item,
    inputs::{Content, Inputs, Written, WrittenSecret, written},
    members::{flag, texts},
    mistake::{Report, Where},
    placeholder::is_placeholder,
};

pub(super) const CONFIGURED: Section = Section::new(
    "A client known beforehand",
    &[
        Setting::new("client_id", ValueType::Text, "Its id: letters, digits, `-`, `_`, `.`, `~`").details("1 to 128 of them; not starting with `ptn_client_`, and not `agent-key`")
            .required(),
        Setting::new("name", ValueType::Text, "What the consent page calls it"),
        Setting::new(
            "redirect_uris",
            ValueType::List(&ValueType::Text),
            "Where people are sent back to; needed for authorization_code",
        ).details("https, http on a loopback host, or a private-use scheme. Without a way to prove itself, a client at a loopback host or a private-use scheme has a person answer each time ([46](decisions/0046-a-person-answers-each-time.md))"),
        Setting::new("auth_method", ValueType::Choice(AUTH_METHODS), "How it proves itself")
            .default("by what is given of the following"),
        Setting::new("secret", ValueType::Secret, "Its secret: 32 bytes at least"),
        Setting::new("secret_file", ValueType::Text, "A file that holds the secret"),
        Setting::new(
            "secret_sha256",
            ValueType::Secret,
            "The SHA-256 of the secret in hexadecimal, in place of the secret",
        ).details("`printf %s \"$SECRET\" | sha256sum` prints it"),
        Setting::new("jwks", ValueType::Text, "Its public keys: a JWK Set as JSON").details("For `private_key_jwt`"),
        Setting::new("jwks_file", ValueType::Text, "A file that holds the JWK Set"),
        Setting::new("jwks_uri", ValueType::Text, "The https URL of the JWK Set").details("It must be on the public Internet like any client's"),
        Setting::new(
            "grant_types",
            ValueType::List(&ValueType::Choice(GRANT_TYPES)),
            "What it may ask for",
        ).details("`client_credentials` too, if it proves itself")
        .default("authorization_code and refresh_token"),
        Setting::new("scopes", ValueType::List(&ValueType::Text), "The scopes it may ask for")
            .default("every one there is"),
        Setting::new(
            "groups",
            ValueType::List(&ValueType::Text),
            "client_credentials: the groups it is in, for policy",
        ),
        Setting::new("trusted", ValueType::Flag, "May it introspect every token?").default("false"),
    ],
);

const AUTH_METHODS: &[&str] =
    &["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
const GRANT_TYPES: &[&str] = &["authorization_code", "refresh_token", "client_credentials"];

const SHORTEST_SECRET: usize = 32;

/// The client and where its id stands, unless something is wrong with it.
pub(super) fn resolve_one(
    inputs: &Inputs<'_>,
    item: &Item<'_>,
    report: &mut Report,
) -> Option<(Client, Where)> {
    let before = report.mistakes.len();
    let resolved = Reading { inputs, item, report }.client();
    resolved.filter(|_| report.mistakes.len() == before)
}

struct Reading<'a, 'r> {
    inputs: &'a Inputs<'a>,
    item: &'a Item<'a>,
    report: &'r mut Report,
}

impl Reading<'_, '_> {
    fn client(mut self) -> Option<(Client, Where)> {
        let id = self.field("client_id")?;
        self.check_id(&id);
        let secret = self.secret();
        let keys = self.keys();
        let auth_method = self.auth_method(secret.is_some(), keys.is_some());
        let grant_types = self.grant_types(auth_method);
        let redirect_uris = self.redirect_uris(&grant_types);
        let trusted = flag(self.item, "trusted").unwrap_or_default();
        if trusted && auth_method == ClientAuthMethod::None {
            self.report.mistake(
                self.item.at(),
                "a trusted client without a secret or keys",
                "a way for it to prove itself",
            );
        }
        let groups = texts(self.item, "groups").into_iter().map(|written| written.text).collect();
        let client = Client {
            source: ClientSource::Configured,
            name: self.field("name").map(|written| written.text),
            redirect_uris,
            auth_method,
            secret,
            keys,
            grant_types,
            scopes: self.scopes(),
            groups,
            trusted,
            ..Client::new(ClientId::from_text(id.text), Timestamp::from_secs(0))
        };
        Some((client, id.at))
    }

    fn field(&self, key: &str) -> Option<Written> {
        written(self.item.find(key))
    }

    /// An id of the administrator's choice looks neither like a document's URL nor like one that
    /// was generated (threat 29).
    fn check_id(&mut self, Written { text, at, .. }: &Written) {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        if !(1..=128).contains(&text.len()) || !text.bytes().all(is_plain) {
            let expected = "1 to 128 letters, digits, `-`, `_`, `.` or `~`: no URL, which names a metadata document";
            self.report.mistake(at.clone(), format!("`{text}`"), expected);
        } else if text.starts_with(GENERATED_CLIENT) {
            let expected = format!(
                "an id that does not start with `{GENERATED_CLIENT}`, as those of registered clients do"
            );
            self.report.mistake(at.clone(), format!("`{text}`"), expected);
        } else if text == AGENT_KEY {
            let expected = "another id: this one stands for agent keys";
            self.report.mistake(at.clone(), format!("`{text}`"), expected);
        }
    }

    /// The hash of the secret, whichever way it is given.
    fn secret(&mut self) -> Option<TokenHash> {
        let itself =
            self.inputs.secret_of((self.field("secret"), self.field("secret_file")), self.report);
        let hash = self.field("secret_sha256");
        match (itself, hash) {
            (None, None) => None,
            (Some(_), Some(hash)) => {
                self.report.mistake(hash.at, "a hash, and the secret itself", "one of the two");
                None
            }
            (Some(WrittenSecret { text, at }), None) => self.own_secret(&text, at),
            (None, Some(Written { text, at, .. })) => {
                let parsed = from_hex(&text);
                if parsed.is_none() {
                    let expected =
                        "64 hexadecimal digits, as `printf %s \"$SECRET\" | sha256sum` prints them";
                    self.report.mistake(at, "[redacted]", expected);
                }
                parsed.map(TokenHash::from_bytes)
            }
        }
    }

    fn own_secret(&mut self, text: &SecretText, at: Where) -> Option<TokenHash> {
        let length = text.expose().len();
        let found = if is_placeholder(text.expose()) {
            "still the example value".to_owned()
        } else if length < SHORTEST_SECRET {
            format!("[redacted], {length} bytes")
        } else {
            return Some(TokenHash::of(text.expose()));
        };
        self.report.mistake(
            at,
            found,
            format!("{SHORTEST_SECRET} bytes at least, from `openssl rand -base64 33`"),
        );
        None
    }

    fn keys(&mut self) -> Option<ClientKeys> {
        let uri = self.field("jwks_uri");
        let set = self.inputs.text_of(
            (self.field("jwks"), self.field("jwks_file")),
            Content::Plain,
            self.report,
        );
        let at = uri
            .as_ref()
            .map(|uri| uri.at.clone())
            .or_else(|| set.as_ref().map(|set| set.at.clone()))?;
        let set = match set.map(|set| serde_json::from_str(set.text.expose())).transpose() {
            Ok(set) => set,
            Err(error) => {
                let found = format!(
                    "text that is no JSON at line {}, column {}",
                    error.line(),
                    error.column()
                );
                self.report.mistake(at, found, "a JWK Set as JSON: {\"keys\": [...]}");
                return None;
            }
        };
        jwks::client_keys(set, uri.map(|uri| uri.text)).unwrap_or_else(|bad| {
            self.report.mistake(at, "keys that cannot be used", bad.to_string());
            None
        })
    }

    fn auth_method(&mut self, has_secret: bool, has_keys: bool) -> ClientAuthMethod {
        let by_proof = match (has_secret, has_keys) {
            (_, true) => ClientAuthMethod::PrivateKeyJwt,
            (true, false) => ClientAuthMethod::ClientSecretBasic,
            (false, false) => ClientAuthMethod::None,
        };
        let given = self.field("auth_method");
        let at = given.as_ref().map_or_else(|| self.item.at(), |given| given.at.clone());
        let text = given.map_or_else(|| by_proof.as_str().to_owned(), |given| given.text);
        let Some(method) = ClientAuthMethod::parse(&text) else {
            let known = ClientAuthMethod::SUPPORTED.map(ClientAuthMethod::as_str);
            self.report.mistake(
                at,
                format!("`{text}`"),
                format!("one of {}", quoted(&known, ", ")),
            );
            return by_proof;
        };
        let expected = match method {
            ClientAuthMethod::None if has_secret || has_keys => {
                "no secret and no keys with `auth_method: none`"
            }
            ClientAuthMethod::PrivateKeyJwt if has_secret => {
                "no secret with `auth_method: private_key_jwt`"
            }
            ClientAuthMethod::PrivateKeyJwt if !has_keys => {
                "`jwks`, `jwks_file` or `jwks_uri` with `auth_method: private_key_jwt`"
            }
            method if method.needs_secret() && has_keys => {
                "no keys with an `auth_method` that uses a secret"
            }
            method if method.needs_secret() && !has_secret => {
                "`secret`, `secret_file` or `secret_sha256`"
            }
            _ => return method,
        };
        // What is wrong with a secret or key that is given was told already.
        let is_given = ["secret", "secret_file", "secret_sha256", "jwks", "jwks_file", "jwks_uri"];
        let is_broken =
            !has_secret && !has_keys && is_given.iter().any(|key| self.item.find(key).is_some());
        if !is_broken {
            self.report.mistake(at, format!("`{text}`"), expected);
        }
        method
    }

    fn grant_types(&mut self, auth_method: ClientAuthMethod) -> Vec<GrantType> {
        let written = texts(self.item, "grant_types");
        if written.is_empty() {
            return vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        }
        let mut types = Vec::new();
        for Written { text, at, .. } in written {
            match GrantType::parse(&text) {
                Some(GrantType::ClientCredentials) if auth_method == ClientAuthMethod::None => {
                    self.report.mistake(
                        at,
                        "`client_credentials` without a secret or keys",
                        "a way for the client to prove itself",
                    );
                }
                Some(grant) => types.push(grant),
                None => {
                    let known = GrantType::SUPPORTED.map(GrantType::as_str);
                    self.report.mistake(
                        at,
                        format!("`{text}`"),
                        format!("one of {}", quoted(&known, ", ")),
                    );
                }
            }
        }
        types
    }

    fn redirect_uris(&mut self, grant_types: &[GrantType]) -> Vec<RedirectUri> {
        let written = texts(self.item, "redirect_uris");
        if written.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
            self.report.mistake(
                self.item.at(),
                "no `redirect_uris`",
                "where people are sent back to; authorization_code needs it",
            );
        }
        let mut uris = Vec::new();
        for Written { text, at, .. } in written {
            match RedirectUri::parse_chosen(&text) {
                Ok(uri) => uris.push(uri),
                Err(bad) => self.report.mistake(
                    at,
                    format!("`{text}`"),
                    format!("a redirect URI that is safe: {bad}"),
                ),
            }
        }
        uris
    }

    fn scopes(&mut self) -> Option<ScopeSet> {
        self.item.find("scopes")?;
        let mut scopes = ScopeSet::default();
        for Written { text, at, .. } in texts(self.item, "scopes") {
            match Scope::parse(&text) {
                Ok(scope) => scopes.insert(scope),
                Err(bad) => self.report.mistake(at, format!("`{text}`"), bad.to_string()),
            }
        }
        Some(scopes)
    }
}

/// Thirty-two bytes from hexadecimal digits; what other tools print behind them (`  -`) is cut off.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.split_ascii_whitespace().next()?.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    digits.iter().all(u8::is_ascii_hexdigit).then_some(bytes)
}
