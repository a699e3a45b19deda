//! The provider's metadata (OpenID Connect Discovery 1.0). It is kept in a [`crate::cache`]; its
//! keys are read in [`crate::jwks`].

use std::time::Duration;

use jsonwebtoken::Algorithm;
use reqwest::StatusCode;
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::{
    cache::Fetched,
    error_report::{ErrorReport, quote},
    fetch::fetch,
    id_token::ALLOWED,
    okta, presets,
    provider::IdentityError,
    reach::Reach,
    settings::Preset,
};

/// What we use of the metadata, checked.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    pub(crate) scopes_supported: Option<Vec<String>>,
    pub(crate) token_auth: TokenAuth,
    /// Our own allow-list where the provider's meets it.
    pub(crate) algorithms: Vec<Algorithm>,
    /// Does every answer carry `iss` (RFC 9207 section 3)?
    pub(crate) sends_iss: bool,
}

/// How we prove ourselves at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenAuth {
    Basic,
    Post,
    /// Only methods that we do not speak.
    Unsupported,
}

/// The document as it came. A member that is null, empty or of another type than it should be
/// counts as absent (FB20).
struct RawMetadata(Map<String, Value>);

impl RawMetadata {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        let texts: Vec<_> = self
            .0
            .get(name)?
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        (!texts.is_empty()).then_some(texts)
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|flag| flag == true || flag == "true")
    }
}

/// Where metadata is asked for, and in whose name.
#[derive(Debug)]
pub(crate) struct Discovery<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) reach: Reach<'a>,
    pub(crate) preset: Preset,
    pub(crate) error_report: &'a ErrorReport,
}

impl Discovery<'_> {
    /// Fetches `{issuer}/.well-known/openid-configuration` (section 4) and checks it.
    pub(crate) async fn fetch(
        &self,
        patience: Duration,
    ) -> Result<Fetched<Metadata>, IdentityError> {
        let url = Url::parse(&self.address()).map_err(|_| {
            self.error_report.misconfigured("the issuer is no URL", self.issuer_hint())
        })?;
        let request = self.http.get(self.reach.inside(&url)).header("accept", "application/json");
        let answer = fetch(request, patience)
            .await
            .map_err(|trouble| self.error_report.trouble("metadata document", &trouble))?;
        if let Some(error) = self.error_report.overload("metadata document", &answer) {
            return Err(error);
        }
        if let Some(target) = answer.header("location").filter(|_| answer.status.is_redirection()) {
            return Err(self.error_report.misconfigured(
                format!(
                    "the metadata document is not there: {} leads to {}",
                    answer.status,
                    quote(target)
                ),
                format!(
                    "Set {} to the issuer that answers there; redirects are not followed",
                    self.error_report.setting("ISSUER")
                ),
            ));
        }
        if answer.status != StatusCode::OK {
            return Err(self.not_there(answer.status));
        }
        let raw = answer.json().map(RawMetadata).map_err(|error| {
            self.error_report.misconfigured(
                format!("the metadata document cannot be read: {error}"),
                self.issuer_hint(),
            )
        })?;
        Ok(Fetched { value: self.check(&raw)?, max_age: answer.max_age() })
    }

    fn check(&self, raw: &RawMetadata) -> Result<Metadata, IdentityError> {
        let needed = |name: &str| {
            let lacks = || {
                self.error_report
                    .misconfigured(format!("its metadata has no {name}"), self.issuer_hint())
            };
            raw.text(name).ok_or_else(lacks)
        };
        let issuer = needed("issuer")?;
        let setting = self.reach.issuer;
        if issuer != setting && !presets::is_tenant_by_domain(self.preset, setting, issuer) {
            let found = quote(issuer);
            if Url::parse(issuer).is_ok_and(|issuer| self.reach.is_inside(&issuer)) {
                return Err(self.error_report.misconfigured(
                    format!("asked at its internal address, it takes that for its issuer: {found:?}"),
                    format!("Tell the provider its public address, {setting:?} (Keycloak: KC_HOSTNAME, and KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true)"),
                ));
            }
            return Err(self.error_report.misconfigured(
                format!("its metadata names the issuer {found:?}, the setting is {setting:?}"),
                format!("Set {} to exactly {found}", self.error_report.setting("ISSUER")),
            ));
        }
        let endpoint = |name: &str| self.endpoint(name, needed(name)?);
        // No sign-in needs it, so none ends because of it.
        let optional = |name: &str| {
            let found = self.endpoint(name, raw.text(name)?);
            found
                .inspect_err(
                    |error| tracing::warn!(%error, "an endpoint of a provider is not used"),
                )
                .ok()
        };
        let (inside, outside) =
            (|url: Url| self.reach.inside(&url), |url: Url| self.reach.outside(&url));
        Ok(Metadata {
            authorization_endpoint: endpoint("authorization_endpoint").map(outside)?,
            token_endpoint: endpoint("token_endpoint").map(inside)?,
            jwks_uri: endpoint("jwks_uri").map(inside)?,
            userinfo_endpoint: optional("userinfo_endpoint").map(inside),
            end_session_endpoint: optional("end_session_endpoint").map(outside),
            scopes_supported: raw.list("scopes_supported"),
            token_auth: token_auth(raw.list("token_endpoint_auth_methods_supported").as_deref()),
            algorithms: self.algorithms(raw.list("id_token_signing_alg_values_supported"))?,
            sends_iss: raw.flag("authorization_response_iss_parameter_supported"),
            issuer: issuer.to_owned(),
        })
    }

    /// https, or http on this machine when the issuer is that too, or the internal address.
    fn endpoint(&self, name: &str, text: &str) -> Result<Url, IdentityError> {
        let url = Url::parse(text).ok().filter(|url| {
            let plain_is_fine = self.reach.is_inside(url)
                || self.reach.issuer.starts_with("http://") && is_loopback(url);
            let scheme_fits = url.scheme() == "https" || (url.scheme() == "http" && plain_is_fine);
            scheme_fits
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        });
        url.ok_or_else(|| {
            self.error_report.misconfigured(
                format!("its metadata has a {name} that is not an https URL: {:?}", quote(text)),
                self.issuer_hint(),
            )
        })
    }

    /// RS256 where the provider does not say (RS256 must be supported, section 3).
    fn algorithms(&self, offered: Option<Vec<String>>) -> Result<Vec<Algorithm>, IdentityError> {
        let offered = offered.unwrap_or_else(|| vec!["RS256".to_owned()]);
        let fitting: Vec<_> = ALLOWED
            .into_iter()
            .filter(|(name, _)| offered.iter().any(|offer| offer == name))
            .map(|(_, alg)| alg)
            .collect();
        if fitting.is_empty() {
            return Err(self.error_report.misconfigured(
                format!(
                    "it signs ID tokens with none of our algorithms, only {:?}",
                    quote(&offered.join(" "))
                ),
                "Let it sign ID tokens with RS256 or ES256",
            ));
        }
        Ok(fitting)
    }

    fn not_there(&self, status: StatusCode) -> IdentityError {
        let hint = match self.preset {
            Preset::Okta => {
                okta::not_found_hint(self.reach.issuer, &self.error_report.setting("ISSUER"))
            }
            _ => self.issuer_hint(),
        };
        self.error_report
            .misconfigured(format!("no metadata document at {} ({status})", self.address()), hint)
    }

    fn issuer_hint(&self) -> String {
        format!(
            "Check that {} is the issuer of an OpenID provider; it is {:?}",
            self.error_report.setting("ISSUER"),
            self.reach.issuer
        )
    }

    fn address(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.reach.issuer.trim_end_matches('/'))
    }
}

/// `client_secret_basic` is the default (section 3, RFC 8414 section 2).
fn token_auth(offered: Option<&[String]>) -> TokenAuth {
    let offers =
        |method: &str| offered.is_some_and(|offered| offered.iter().any(|offer| offer == method));
    if offered.is_none() || offers("client_secret_basic") {
        TokenAuth::Basic
    } else if offers("client_secret_post") {
        TokenAuth::Post
    } else {
        TokenAuth::Unsupported
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
