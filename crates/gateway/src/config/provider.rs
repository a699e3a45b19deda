//! The settings of one identity provider. Which providers there are is decided in
//! [`super::providers`]; what makes an issuer good is in [`super::issuer`].

use portunus_core::{
    admission::Allow,
    ids::ProviderName,
    resource::PublicUrl,
    secret::SecretText,
    settings::{Section, Setting, ValueType},
};
use portunus_identity::settings::{Preset, ProviderSettings};
use url::Url;

use super::{
    allow,
    inputs::{Inputs, Written, WrittenSecret, written},
    issuer,
    mistake::Report,
    placeholder::is_placeholder,
    provider_name::{Named, PRESETS, prefix, preset_of},
    server::without_credentials,
    suggest::nearest,
};

pub(super) const PROVIDER: Section = Section::new("An identity provider", &[
        Setting::new(
            "name",
            ValueType::Text,
            "Its name in /auth/callback/{name}: small letters, digits, `-`",
        ).default("the preset's"),
        Setting::new(
            "preset",
            ValueType::Choice(PRESETS),
            "Which kind it is",
        ).default("by its name, else oidc"),
        Setting::new(
            "issuer",
            ValueType::Text,
            "Its issuer, such as https://acme.okta.com or https://acme.okta.com/oauth2/default",
        ).details("Has a default for `google`, `github` and `gitlab`"),
        Setting::new(
            "internal_url",
            ValueType::Text,
            "Where this gateway reaches it, if not at the issuer's address: http://keycloak:8080. Browsers and tokens keep to the issuer",
        ).details("See [below](#internal-url)"),
        Setting::new(
            "tenant_id",
            ValueType::Text,
            "Microsoft Entra ID: the tenant, in place of the issuer",
        ).details("`AUTH_AZURE_AD_TENANT_ID`, for example"),
        Setting::new("client_id", ValueType::Text, "The client ID of the application registered there"),
        Setting::new("client_secret", ValueType::Secret, "Its client secret").details("Can be left out for `keycloak` and `oidc`, if the provider knows the gateway as a public client"),
        Setting::new("client_secret_file", ValueType::Text, "A file that holds client_secret"),
        Setting::new(
            "scopes",
            ValueType::List(&ValueType::Text),
            "Scopes to ask for in place of the preset's",
        ).details("The variable has spaces or commas between them"),
        Setting::new("groups_claim", ValueType::Text, "The claim that lists groups").details("See [below](#groups)").default("groups"),
        Setting::new(
            "offline_access",
            ValueType::Flag,
            "Ask for a refresh token, so that groups are read anew while people are away",
        ).details("See [groups](#groups)").default("true for `okta`, else as `scopes` say"),
        Setting::new("label", ValueType::Text, "What the sign-in page calls it"),
        Setting::new(
            "redirect_uri",
            ValueType::Text,
            "The callback registered there, if it is {public_url}/auth/callback",
        ).details("Two providers share that one only if their answers carry `iss` (RFC 9207), which Okta's and GitHub's do not; else each has its own, `{public_url}/auth/callback/{name}`"),
        Setting::new(
            "allow",
            ValueType::WordOr(&[allow::ANYONE], &allow::ALLOW),
            "Who may sign in: those that fit any of the lists; or `anyone`. Needed where anyone can have an account",
        ).default("every account"),
    ]);

/// A provider, what the sign-in page calls it if not by its preset's label, and whose accounts are
/// admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    pub settings: ProviderSettings,
    pub label: Option<String>,
    pub allow: Allow,
}

/// The provider, unless something is missing or wrong that it cannot be shown without.
pub(super) fn resolve_one(
    inputs: &Inputs<'_>,
    named: &Named<'_>,
    public_url: &PublicUrl,
    report: &mut Report,
) -> Option<ProviderConfig> {
    Reading { inputs, named, report }.provider(public_url)
}

/// What the other old system calls the settings of Okta.
const fn old_names(key: &str) -> &'static [&'static str] {
    match key.as_bytes() {
        b"issuer" => &["OKTA_URL", "OAUTH_OKTA_URL"],
        b"client_id" => &["OKTA_CLIENT_ID", "OAUTH_OKTA_CLIENT_ID"],
        b"client_secret" => &["OKTA_CLIENT_SECRET", "OAUTH_OKTA_CLIENT_SECRET"],
        b"client_secret_file" => &["OKTA_CLIENT_SECRET_FILE", "OAUTH_OKTA_CLIENT_SECRET_FILE"],
        b"redirect_uri" => &["OKTA_REDIRECT_URI", "OAUTH_OKTA_REDIRECT_URI"],
        _ => &[],
    }
}

/// Those that the old system has names for.
const KEYS: [&str; 4] = ["issuer", "client_id", "client_secret", "client_secret_file"];

/// Keys that have no variable.
const OF_FILE_ALONE: [&str; 2] = ["name", "preset"];

/// The variables that set what the keys of a provider of this name do.
pub(super) fn variables(name: &str) -> impl Iterator<Item = String> {
    let start = prefix(name);
    let keys = PROVIDER.settings.iter().map(|setting| setting.name);
    let own = keys.filter(|key| !OF_FILE_ALONE.contains(key)).map(suffix);
    own.chain(allow::variable_ends()).map(move |end| format!("{start}{end}"))
}

/// The variable for a key of the provider of this name: `AUTH_OKTA_ID` for `client_id` of `okta`.
pub(super) fn variable(name: &str, key: &str) -> String {
    format!("{}{}", prefix(name), suffix(key))
}

/// Those that the old gateways have for Okta.
pub(super) fn old_variables() -> impl Iterator<Item = &'static str> {
    PROVIDER.settings.iter().flat_map(|setting| old_names(setting.name)).copied()
}

/// The end of the variable for a key of `config.yaml`.
fn suffix(key: &str) -> String {
    key.strip_prefix("client_").unwrap_or(key).to_ascii_uppercase()
}

struct Reading<'a, 'r> {
    inputs: &'a Inputs<'a>,
    named: &'a Named<'a>,
    report: &'r mut Report,
}

impl Reading<'_, '_> {
    fn provider(mut self, public_url: &PublicUrl) -> Option<ProviderConfig> {
        let preset = self.preset();
        let client_id = self.client_id();
        let client_secret = self.client_secret(preset);
        let issuer = self.issuer(preset);
        let internal_url = self.internal_url(preset);
        let redirect_uri = self.redirect_uri(public_url);
        let scopes = self.scopes(preset);
        let groups_claim = self.field("groups_claim").map(|written| written.text);
        let offline_access = self.offline_access(preset);
        let label = self.field("label").map(|written| written.text);
        let allow = allow::Reader {
            inputs: self.inputs,
            named: self.named,
            preset,
            issuer: issuer.as_deref(),
            scopes: scopes.as_deref(),
            is_local: public_url.is_loopback(),
            report: self.report,
        };
        let allow = allow.resolve();
        let name = ProviderName::from_text(&self.named.name);
        let settings = ProviderSettings {
            name,
            preset,
            client_id: client_id?,
            client_secret,
            issuer: issuer?,
            internal_url,
            scopes,
            offline_access,
            groups_claim,
            redirect_uri,
        };
        Some(ProviderConfig { settings, label, allow })
    }

    /// A setting of this provider: its variables win over its entry in `config.yaml`.
    fn field(&mut self, key: &'static str) -> Option<Written> {
        self.of_env(key).or_else(|| self.of_file(key))
    }

    fn of_env(&mut self, key: &'static str) -> Option<Written> {
        let own = self.own_variable(key);
        let own = self.inputs.env.find(&own).map(|variable| (own.as_str(), variable));
        let old = if self.named.name == "okta" {
            self.inputs.variable(old_names(key), self.report)
        } else {
            None
        };
        let Some((name, variable)) = own else { return old };
        let text = variable.text.trim().to_owned();
        if let Some(Written { text: other, at, variable: Some(old), .. }) = old
            && other != text
        {
            self.report.mistake(
                at,
                format!("another value than {name} has"),
                format!("set {name} or {old}, not both"),
            );
        }
        Some(Written { text, at: variable.at.clone(), variable: None })
    }

    fn of_file(&self, key: &str) -> Option<Written> {
        written(self.named.item.as_ref().and_then(|item| item.find(key)))
    }

    fn own_variable(&self, key: &str) -> String {
        variable(&self.named.name, key)
    }

    /// The variable to name in what is said about a setting: of the naming that was used for
    /// others.
    fn variable_to_name(&self, key: &str) -> String {
        let is_set = |name: &str| self.inputs.env.find(name).is_some();
        let uses_own = KEYS.iter().any(|key| is_set(&self.own_variable(key)));
        let old = old_names(key).iter().enumerate().find(|(dialect, _)| {
            let others = KEYS.iter().filter_map(|key| old_names(key).get(*dialect));
            self.named.name == "okta" && !uses_own && others.into_iter().any(|name| is_set(name))
        });
        old.map_or_else(|| self.own_variable(key), |(_, name)| (*name).to_owned())
    }

    /// Reports a setting that is needed and not given.
    fn missing(&mut self, key: &str, what: &str) {
        let variable = self.variable_to_name(key);
        match &self.named.item {
            Some(item) => self.report.mistake(
                item.at(),
                format!("no `{key}`"),
                format!("`{key}`, or {variable}: {what}"),
            ),
            None => self.report.missing(variable, what),
        }
    }

    fn preset(&mut self) -> Preset {
        let by_name = preset_of(&self.named.name).unwrap_or(Preset::Oidc);
        let Some(written) = self.of_file("preset") else { return by_name };
        preset_of(&written.text).unwrap_or_else(|| {
            written.not_one_of(PRESETS, self.report);
            by_name
        })
    }

    fn client_id(&mut self) -> Option<String> {
        let Some(Written { text, at, .. }) = self.field("client_id") else {
            self.missing(
                "client_id",
                "the client ID of the application registered at the provider",
            );
            return None;
        };
        if is_placeholder(&text) {
            self.report.mistake(
                at,
                format!("`{text}`, still the example value"),
                "the client ID of your application at the provider",
            );
            return None;
        }
        Some(text)
    }

    fn client_secret(&mut self, preset: Preset) -> Option<SecretText> {
        let from_env = (self.of_env("client_secret"), self.of_env("client_secret_file"));
        let from_file = (self.of_file("client_secret"), self.of_file("client_secret_file"));
        let is_given =
            [&from_env.0, &from_env.1, &from_file.0, &from_file.1].into_iter().any(Option::is_some);
        let secret = self
            .inputs
            .secret_of(from_env, self.report)
            .or_else(|| self.inputs.secret_of(from_file, self.report));
        match secret {
            Some(WrittenSecret { text, at }) if is_placeholder(text.expose()) => {
                self.report.mistake(
                    at,
                    "still the example value",
                    "the client secret of your application at the provider",
                );
                None
            }
            Some(WrittenSecret { text, .. }) => Some(text),
            None if is_given => None,
            None if matches!(preset, Preset::Oidc | Preset::Keycloak) => {
                let text = format!(
                    "no {}: the provider must know this gateway as a public client",
                    self.variable_to_name("client_secret")
                );
                self.report.warning(self.named.at.clone(), text);
                None
            }
            None => {
                self.missing(
                    "client_secret",
                    "the client secret of the application registered at the provider",
                );
                None
            }
        }
    }

    fn issuer(&mut self, preset: Preset) -> Option<String> {
        let written = self.field("issuer");
        if preset == Preset::MicrosoftEntraId && written.is_none() {
            let Some(tenant) = self.field("tenant_id") else {
                self.missing(
                    "tenant_id",
                    "your tenant: its ID or its domain, such as acme.onmicrosoft.com",
                );
                return None;
            };
            return issuer::of_tenant(&tenant, self.report);
        }
        match (written, issuer::default_of(preset)) {
            (Some(written), _) => issuer::check(preset, written, self.report),
            (None, Some(default)) => Some(default.to_owned()),
            (None, None) => {
                let what = issuer::example_of(preset);
                let what = if preset_of(&self.named.name).is_none()
                    && self.of_file("preset").is_none()
                {
                    let guess = nearest(&self.named.name, PRESETS.iter().copied());
                    let guess =
                        guess.map(|guess| format!(": did you mean `{guess}`?")).unwrap_or_default();
                    format!(
                        "{what}. `{}` is none of the known providers ({}){guess}",
                        self.named.name,
                        PRESETS.join(", ")
                    )
                } else {
                    what.to_owned()
                };
                self.missing("issuer", &what);
                None
            }
        }
    }

    /// An origin: the paths are those of the public address.
    fn internal_url(&mut self, preset: Preset) -> Option<Url> {
        let Written { text, at, .. } = self.field("internal_url")?;
        if preset == Preset::Github {
            self.report.mistake(
                at,
                "an internal address of GitHub",
                "none: it is for providers of OpenID Connect",
            );
            return None;
        }
        let is_origin = |url: &Url| {
            let is_bare = url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none();
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.path() == "/"
                && is_bare
        };
        let url = Url::parse(&text).ok().filter(is_origin);
        if url.is_none() {
            let expected = "scheme, host and port of the provider as this gateway reaches it, such as http://keycloak:8080; the paths are those of the issuer";
            self.report.mistake(at, format!("`{}`", without_credentials(&text)), expected);
        }
        url
    }

    /// Without `openid` no provider of OpenID Connect sends the ID token that says who signed in
    /// (FB63).
    fn scopes(&mut self, preset: Preset) -> Option<Vec<String>> {
        let (scopes, at) = if let Some(Written { text, at, .. }) = self.of_env("scopes") {
            let words = text.split([' ', ',']).filter(|word| !word.is_empty());
            (words.map(str::to_owned).collect::<Vec<_>>(), at)
        } else {
            let list = self.named.item.as_ref()?.find("scopes")?;
            (list.items().into_iter().filter_map(|item| item.scalar()).collect(), list.at())
        };
        if preset != Preset::Github && !scopes.iter().any(|scope| scope == "openid") {
            let found = if scopes.is_empty() {
                "no scope".to_owned()
            } else {
                format!("`{}`", scopes.join(" "))
            };
            self.report.mistake(
                at,
                found,
                "`openid` among the scopes: without it the provider does not say who signs in",
            );
        }
        Some(scopes)
    }

    fn offline_access(&mut self, preset: Preset) -> Option<bool> {
        let written = self.field("offline_access")?;
        let wanted = match written.text.as_str() {
            "true" => true,
            "false" => false,
            _ => {
                written.not_one_of(&["true", "false"], self.report);
                return None;
            }
        };
        if wanted && preset == Preset::Github {
            self.report.mistake(
                written.at,
                "offline_access of GitHub",
                "none: GitHub gives no refresh tokens; its organisations and teams are read at sign-ins",
            );
            return None;
        }
        Some(wanted)
    }

    /// Only our own two callbacks are answered; any other would end people on a page that does not
    /// exist.
    fn redirect_uri(&mut self, public_url: &PublicUrl) -> Option<String> {
        let Written { text, at, .. } = self.field("redirect_uri")?;
        let own = [
            public_url.at("/auth/callback"),
            public_url.at(&format!("/auth/callback/{}", self.named.name)),
        ];
        if !own.contains(&text) {
            let expected = format!(
                "`{}` or `{}`: the gateway is at {public_url} by BASE_URL and PORT, and answers there",
                own[0], own[1]
            );
            self.report.mistake(at, format!("`{text}`"), expected);
        }
        Some(text)
    }
}
