//! What Okta alone does: two kinds of authorization server, and errors that an administrator can
//! only mend when told where.

use url::Url;

/// Is it the org's own authorization server (`https://acme.okta.com`), not a custom one
/// (`…/oauth2/default`)?
pub(crate) fn is_org_server(issuer: &str) -> bool {
    Url::parse(issuer).is_ok_and(|url| url.path().trim_matches('/').is_empty())
}

/// What to do about an error at our redirect URI; `None` when Okta has nothing of its own to say
/// about it.
pub(crate) fn hint(error: &str, issuer: &str, scopes_setting: &str) -> Option<String> {
    let text = match error {
        "access_denied" => {
            "Assign the person, or a group of theirs, to this application in the Okta Admin Console (Applications > Applications > \
             this application > Assignments), and check the sign-on policy there"
                .to_owned()
        }
        "invalid_scope" if is_org_server(issuer) => {
            format!("The org authorization server knows only Okta's own scopes: take the others out of {scopes_setting}")
        }
        "invalid_scope" => format!(
            "A custom authorization server knows only the scopes defined on it, and `groups` is not one unless added: define it in \
             the Okta Admin Console (Security > API > Authorization Servers > this server > Scopes), or take it out with \
             {scopes_setting}=\"openid profile email\""
        ),
        "login_required" | "consent_required" | "interaction_required" => {
            "Okta wanted to show a page and was not allowed to: start the sign-in again".to_owned()
        }
        "unauthorized_client" | "unsupported_response_type" => {
            "Allow the grant type Authorization Code for this application in the Okta Admin Console (Applications > Applications > \
             this application > General)"
                .to_owned()
        }
        _ => return None,
    };
    Some(text)
}

/// Does Okta say that the person is in more than the 100 groups that it puts into a claim?
pub(crate) fn is_too_many_groups(description: &str) -> bool {
    let description = description.to_ascii_lowercase();
    description.contains("user claim could not be evaluated")
        || description.contains("matched too many groups")
}

pub(crate) const TOO_MANY_GROUPS_HINT: &str = "Okta puts at most 100 groups into the claim: narrow its filter to the groups that \
     the gateway's rules name, for example `Starts with: mcp-`. Org server: Applications > this application > Sign On > OpenID \
     Connect ID Token; custom server: Security > API > Authorization Servers > this server > Claims";

/// What to do in Okta so that it gives refresh tokens.
pub(crate) const REFRESH_TOKEN_HINT: &str = "allow the grant type Refresh Token in the Okta Admin Console (Applications > Applications > \
     this application > General; of a custom authorization server also in its access policy, and applications of the integration network \
     cannot have it)";

/// Why Okta may not know the issuer at all.
pub(crate) fn not_found_hint(issuer: &str, issuer_setting: &str) -> String {
    if is_org_server(issuer) {
        return format!(
            "Set {issuer_setting} to your Okta domain, as in https://acme.okta.com (not the -admin one)"
        );
    }
    let org = Url::parse(issuer).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    format!(
        "There is no such authorization server: see Security > API > Authorization Servers in the Okta Admin Console. Without API \
         Access Management there are no custom ones; then set {issuer_setting} to {org}"
    )
}
