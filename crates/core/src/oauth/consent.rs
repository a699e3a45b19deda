//! What a person is asked before a client may act for them, and what is remembered of the answer (MCP security best practices,
//! "Confused deputy"; threats 1, 5). When to ask is decided in [`super::authorize::next_step`].

use crate::{
    client::Client,
    clock::Timestamp,
    grant::Consent,
    ids::{ServerName, UserId},
    oauth::{ErrorCode, OAuthError},
    redirect::RedirectUri,
    resource::{Resources, Target},
    signin::AuthorizationRequest,
};

/// Everything the person must see to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The servers the client would reach.
    pub reach: Reach,
    /// Each scope with its meaning in words.
    pub scopes: Vec<ScopeWords>,
    /// The host (or scheme) the answer is sent to.
    pub redirect_host: String,
    /// Every redirect URI of the client leads to this computer, where any program could be waiting (threat 5).
    pub all_local: bool,
}

/// What stands behind the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Servers(Vec<ServerName>),
    /// A proxied service, by its path.
    Service(String),
}

/// One scope and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeWords {
    pub scope: String,
    pub words: String,
}

/// Puts the question together.
pub fn question(request: &AuthorizationRequest, client: &Client, resources: &Resources) -> Question {
    let reach = match resources.target(&request.resource) {
        Some(Target::Server(name)) => Reach::Servers(vec![name.clone()]),
        Some(Target::Proxy { pattern }) => Reach::Service(pattern.clone()),
        Some(Target::All) | None => {
            let reach = resources.catalogue().reach(&request.scopes);
            let mut servers: Vec<_> = resources.servers().filter(|name| reach.touches(name)).cloned().collect();
            servers.sort();
            Reach::Servers(servers)
        }
    };
    let catalogue = resources.catalogue();
    // What is implied by something else that is asked for would only hide it.
    let asked = catalogue.minimal(&request.scopes);
    let scopes = asked.iter().map(|scope| ScopeWords { scope: scope.as_str().to_owned(), words: catalogue.words(scope) });
    Question {
        reach,
        scopes: scopes.collect(),
        redirect_host: request.redirect_uri.host(),
        all_local: client.redirect_uris.iter().all(RedirectUri::is_local),
    }
}

/// What to remember once the person in the login has allowed the request.
pub fn remember(request: &AuthorizationRequest, user: &UserId, now: Timestamp) -> Consent {
    Consent {
        user: user.clone(),
        client: request.client.clone(),
        resource: request.resource.clone(),
        scopes: request.scopes.clone(),
        given_at: now,
    }
}

/// What the client is told when the person says no (RFC 6749 section 4.1.2.1).
pub fn denied() -> OAuthError {
    OAuthError::new(ErrorCode::AccessDenied, "the person did not allow the request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::authorize::tests::{client, request, resources};

    #[test]
    fn the_root_resource_reaches_every_server() {
        let question = question(&request("mcp"), &client(), &resources());
        let Reach::Servers(servers) = question.reach else { panic!("servers") };
        assert_eq!(servers.iter().map(ServerName::as_str).collect::<Vec<_>>(), ["dice", "uuid"]);
        assert!(!question.all_local);
    }

    #[test]
    fn a_server_scope_reaches_that_server_alone() {
        let question = question(&request("dice"), &client(), &resources());
        let Reach::Servers(servers) = question.reach else { panic!("servers") };
        assert_eq!(servers.iter().map(ServerName::as_str).collect::<Vec<_>>(), ["dice"]);
    }

    #[test]
    fn t05_a_client_with_local_redirects_alone_is_marked() {
        let mut client = client();
        client.redirect_uris = vec![RedirectUri::parse("http://localhost:1/cb").unwrap()];
        assert!(question(&request("mcp"), &client, &resources()).all_local);
        client.redirect_uris.push(RedirectUri::parse("https://app.example/cb").unwrap());
        assert!(!question(&request("mcp"), &client, &resources()).all_local);
    }
}
