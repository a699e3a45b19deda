//! What the consent page shows for an authorization request. What is asked is decided in `portunus_core::oauth::consent`; the page
//! itself is `pages::consent`.

use portunus_core::{
    Timestamp,
    client::{Client, ClientSource},
    grant::Consent,
    oauth::consent::{self, Reach, ScopeWords},
    principal::User,
    resource::Resources,
    signin::{AuthorizationRequest, Transaction},
};
use url::Url;

use super::{
    browser::{Browser, Desk},
    house::Providers,
    pages::{ConsentPage, Label, Origin, ScopeLine, UrlText, when},
};

/// Who asks whom for what.
pub struct Asking<'a> {
    pub transaction: &'a Transaction,
    pub request: &'a AuthorizationRequest,
    pub client: &'a Client,
    /// Who sits there, if the request is content with their login.
    pub user: Option<&'a User>,
    /// What they allowed the client before.
    pub remembered: Option<&'a Consent>,
}

pub fn page(asking: &Asking<'_>, desk: &Desk, browser: &Browser, resources: &Resources, providers: &Providers) -> ConsentPage {
    let Asking { transaction, request, client, user, remembered } = *asking;
    let question = consent::question(request, client, remembered, resources);
    let Reach { servers, services } = &question.reach;
    let servers: Vec<_> = servers.iter().map(|name| Label::from(name.as_str())).chain(services.iter().map(Label::from)).collect();
    ConsentPage {
        frame: desk.frame(user),
        client_name: Label::from(client.display_name()),
        client_id: UrlText::from(client.id.as_str()),
        client_uri: client.client_uri.as_deref().map(UrlText::from),
        origin: origin(client, desk.clock.now()),
        resources: request.resources.iter().map(|resource| UrlText::from(resource.as_str())).collect(),
        servers,
        scopes: lines(question.scopes),
        kept: lines(question.kept),
        has_changed: question.has_changed,
        redirect_uri: UrlText::from(request.redirect_uri.as_str()),
        redirect_host: UrlText::from(question.redirect_host),
        is_local: question.is_local,
        user: user.map(|user| Label::from(user.display_name())),
        asked: user.map(|user| user.id.to_string()).unwrap_or_default(),
        provider_label: Label::from(providers.label()),
        transaction: transaction.id.to_string(),
        csrf: desk.csrf(browser),
    }
}

fn lines(scopes: Vec<ScopeWords>) -> Vec<ScopeLine> {
    let line = |scope: ScopeWords| ScopeLine { name: Label::from(scope.scope), words: scope.words, is_new: scope.is_new };
    scopes.into_iter().map(line).collect()
}

fn origin(client: &Client, now: Timestamp) -> Origin {
    match client.source {
        ClientSource::Registered => Origin::Registered(when::day(client.created_at, now)),
        ClientSource::Configured => Origin::Configured,
        ClientSource::MetadataDocument => {
            let url = Url::parse(client.id.as_str()).ok();
            Origin::Document(UrlText::from(url.as_ref().and_then(Url::host_str).unwrap_or(client.id.as_str())))
        }
    }
}
