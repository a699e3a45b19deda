//! People in more groups than fit into a token. Microsoft leaves the claim out then, with a mark in
//! its place; its API has the groups (Microsoft Graph, `getMemberGroups`). Okta answers with an
//! error, which [`crate::okta`] explains.

use portunus_core::secret::SecretText;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::OidcProvider;
use crate::{
    fetch::{DEADLINE, fetch},
    provider::{IdentityError, TOO_MANY_GROUPS},
    settings::Preset,
};

/// Pages of one list. The API answers with all groups at once, up to 11,000 of them.
const MAX_PAGES: usize = 5;

/// Microsoft's hosts for signing in, by cloud, and where its API is.
const GRAPHS: [(&str, &str); 7] = [
    ("login.microsoftonline.com", "https://graph.microsoft.com"),
    ("login.microsoft.com", "https://graph.microsoft.com"),
    ("login.windows.net", "https://graph.microsoft.com"),
    ("sts.windows.net", "https://graph.microsoft.com"),
    ("login.microsoftonline.us", "https://graph.microsoft.us"),
    ("login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ("login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
];

#[derive(Deserialize)]
struct Page {
    value: Vec<Value>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// What the API listed.
pub(super) struct Listed {
    pub(super) groups: Value,
    pub(super) is_whole: bool,
}

/// Where the API is that has the groups, by the issuer: of a known cloud, or on the same loopback
/// host. A token is sent nowhere else.
fn graph_of(issuer: &str) -> Option<Url> {
    let issuer = Url::parse(issuer).ok()?;
    let host = issuer.host_str()?;
    if let Some((_, graph)) = GRAPHS.iter().find(|(cloud, _)| *cloud == host) {
        return (issuer.scheme() == "https").then(|| Url::parse(graph).ok()).flatten();
    }
    let is_loopback = match issuer.host()? {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        url::Host::Domain(_) => false,
    };
    is_loopback.then(|| issuer.join("/").ok()).flatten()
}

/// Does the token say that there are groups elsewhere? In the claim's place, or by `hasgroups`.
fn is_overage(claims: &Map<String, Value>, groups_claim: &str) -> bool {
    let pointers = claims.get("_claim_names").and_then(Value::as_object);
    let is_marked = match claims.get("hasgroups") {
        Some(Value::Bool(marked)) => *marked,
        Some(Value::String(marked)) => marked == "true",
        _ => false,
    };
    pointers.is_some_and(|names| names.contains_key(groups_claim))
        || (is_marked && groups_claim == "groups" && !claims.contains_key("groups"))
}

impl OidcProvider {
    /// The groups that did not fit into the token; `None` if all that there are did. To sign the
    /// person in without any would be to judge them by rules that are not theirs, so a list that
    /// cannot be had is an error.
    pub(super) async fn groups_beyond_the_token(
        &self,
        claims: &Map<String, Value>,
        groups_claim: &str,
        access_token: Option<&SecretText>,
    ) -> Result<Option<Listed>, IdentityError> {
        if !is_overage(claims, groups_claim) {
            return Ok(None);
        }
        let graph =
            graph_of(&self.issuer).filter(|_| self.settings.preset == Preset::MicrosoftEntraId);
        let (Some(graph), Some(token)) = (graph, access_token) else {
            return Err(self.too_many_groups("the ID token points elsewhere for groups"));
        };
        let mut groups = Vec::new();
        let mut next = graph.join("/v1.0/me/getMemberGroups").ok();
        for page in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            if url.origin() != graph.origin() {
                return Err(self.error_report.unverified("Microsoft Graph leads to another host"));
            }
            let page = self.page_of_groups(url, token, page == 0).await?;
            groups.extend(page.value);
            // A list that goes on at an unreadable address is not whole.
            let unreadable = || self.error_report.unverified("Microsoft Graph leads to no address");
            let parsed = page.next.map(|next| Url::parse(&next).map_err(|_| unreadable()));
            next = parsed.transpose()?;
        }
        Ok(Some(Listed { groups: Value::Array(groups), is_whole: next.is_none() }))
    }

    async fn page_of_groups(
        &self,
        url: Url,
        token: &SecretText,
        is_first: bool,
    ) -> Result<Page, IdentityError> {
        // All kinds of groups: a rule that denies by one of them must not miss it.
        let request = if is_first {
            self.http.post(url).json(&json!({"securityEnabledOnly": false}))
        } else {
            self.http.get(url)
        };
        let request = request.bearer_auth(token.expose()).header("accept", "application/json");
        let answer = fetch(request, DEADLINE)
            .await
            .map_err(|trouble| self.error_report.trouble("Microsoft Graph", &trouble))?;
        if let Some(error) = self.error_report.overload("Microsoft Graph", &answer) {
            return Err(error);
        }
        if answer.status != StatusCode::OK {
            let why = format!(
                "the ID token points elsewhere for groups, and Microsoft Graph answered {} to a request for them",
                answer.status
            );
            return Err(self.too_many_groups(&why));
        }
        answer
            .json()
            .map_err(|_| self.too_many_groups("Microsoft Graph did not answer with groups"))
    }

    fn too_many_groups(&self, why: &str) -> IdentityError {
        let graph = match self.settings.preset {
            Preset::MicrosoftEntraId => format!(
                "or let the gateway ask Microsoft Graph: put User.Read into {}",
                self.error_report.setting("SCOPES")
            ),
            _ => "or narrow it there".to_owned(),
        };
        let hint = format!(
            "Let the groups claim hold only groups assigned to the application, in {}, {graph}",
            self.facts.console
        );
        self.error_report.refused(TOO_MANY_GROUPS, why, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_the_api_of_its_own_cloud_and_nowhere_else() {
        let cases = [
            ("https://login.microsoftonline.com/t/v2.0", Some("https://graph.microsoft.com/")),
            ("https://login.microsoftonline.us/t/v2.0", Some("https://graph.microsoft.us/")),
            (
                "https://login.chinacloudapi.cn/t/v2.0",
                Some("https://microsoftgraph.chinacloudapi.cn/"),
            ),
            ("http://login.microsoftonline.com/t/v2.0", None),
            ("https://login.microsoftonline.com.evil.example/t/v2.0", None),
            ("https://idp.example/t/v2.0", None),
            ("http://localhost:9/t/v2.0", None),
            ("http://127.0.0.1:9/t/v2.0", Some("http://127.0.0.1:9/")),
            ("http://10.0.0.1:9/t/v2.0", None),
        ];
        for (issuer, expected) in cases {
            assert_eq!(graph_of(issuer).as_ref().map(Url::as_str), expected, "{issuer}");
        }
    }

    #[test]
    fn the_marks_of_too_many_groups() {
        let cases = [
            (json!({}), false),
            (json!({"groups": ["a"]}), false),
            (json!({"_claim_names": {"groups": "src1"}}), true),
            (json!({"_claim_names": {"roles": "src1"}}), false),
            (json!({"hasgroups": true}), true),
            (json!({"hasgroups": "true"}), true),
            (json!({"hasgroups": false}), false),
            (json!({"hasgroups": true, "groups": ["a"]}), false),
        ];
        for (claims, expected) in cases {
            let claims = claims.as_object().unwrap();
            assert_eq!(is_overage(claims, "groups"), expected, "{claims:?}");
        }
    }
}
