//! What the consent page shows for an authorization request. What is asked is decided in
//! `portunus_core::oauth::consent`; the page itself is `pages::consent`.

use axum::response::Response;
use http::StatusCode;
use portunus_core::{
    Timestamp,
    client::{Client, ClientSource},
    grant::Consent,
    oauth::consent::{self, Question, RequestedTargets, ScopeWords},
    principal::User,
    resource::Resources,
    signin::{AuthorizationRequest, BrowserTransaction},
};
use url::Url;

use crate::edge::{
    browser::{Browser, PageContext},
    pages::{ConsentPage, ContinuePage, Destination, Label, Origin, ScopeLine, UrlText, when},
    providers::Providers,
};

/// Who asks whom for what.
pub struct Asking<'a> {
    pub transaction: &'a BrowserTransaction,
    pub request: &'a AuthorizationRequest,
    pub client: &'a Client,
    /// The person who is signed in, if the request is content with their login.
    pub user: Option<&'a User>,
    /// What they allowed the client before.
    pub remembered: Option<&'a Consent>,
}

impl Asking<'_> {
    /// The page: in short, if the person `has_allowed` all of it before (threat 58).
    pub fn page(
        &self,
        page_context: &PageContext,
        browser: &Browser,
        resources: &Resources,
        providers: &Providers,
        has_allowed: bool,
    ) -> Response {
        let question = consent::question(self.request, self.client, self.remembered, resources);
        match (question.allowed_at, self.user) {
            (Some(at), Some(user)) if has_allowed => page_context.respond(
                StatusCode::OK,
                &self.continue_page(question, at, user, page_context, browser),
            ),
            _ => page_context.respond(
                StatusCode::OK,
                &self.consent_page(question, page_context, browser, providers),
            ),
        }
    }

    fn consent_page(
        &self,
        question: Question,
        page_context: &PageContext,
        browser: &Browser,
        providers: &Providers,
    ) -> ConsentPage {
        let Self { transaction, request, client, user, .. } = *self;
        ConsentPage {
            frame: page_context.frame(user),
            client_name: Label::from(client.display_name()),
            client_id: UrlText::from(client.id.as_str()),
            client_uri: client.client_uri.as_deref().map(UrlText::from),
            origin: origin(client, page_context.clock.now()),
            resources: request
                .resources
                .iter()
                .map(|resource| UrlText::from(resource.as_str()))
                .collect(),
            servers: servers(&question.targets),
            scopes: lines(question.scopes),
            kept: lines(question.kept),
            has_changed: question.has_changed,
            redirect_uri: UrlText::from(request.redirect_uri.as_str()),
            destination: Destination::from(&question.recipient),
            is_local: question.is_local,
            user: user.map(|user| Label::from(user.display_name())),
            asked: user.map(|user| UrlText::from(user.id.as_str())).unwrap_or_default(),
            provider_label: Label::from(providers.label()),
            transaction: UrlText::from(transaction.id.as_str()),
            csrf: page_context.csrf(browser).into(),
        }
    }

    fn continue_page(
        &self,
        question: Question,
        allowed_at: Timestamp,
        user: &User,
        page_context: &PageContext,
        browser: &Browser,
    ) -> ContinuePage {
        let Self { transaction, request, client, .. } = *self;
        ContinuePage {
            frame: page_context.frame(Some(user)),
            client_name: Label::from(client.display_name()),
            client_id: UrlText::from(client.id.as_str()),
            allowed: when::day(allowed_at, page_context.clock.now()).into(),
            servers: servers(&question.targets),
            scopes: lines(question.scopes),
            redirect_uri: UrlText::from(request.redirect_uri.as_str()),
            destination: Destination::from(&question.recipient),
            user: Label::from(user.display_name()),
            asked: UrlText::from(user.id.as_str()),
            transaction: UrlText::from(transaction.id.as_str()),
            csrf: page_context.csrf(browser).into(),
        }
    }
}

fn servers(RequestedTargets { servers, services }: &RequestedTargets) -> Vec<Label> {
    servers
        .iter()
        .map(|name| Label::from(name.as_str()))
        .chain(services.iter().map(Label::from))
        .collect()
}

fn lines(scopes: Vec<ScopeWords>) -> Vec<ScopeLine> {
    let line = |scope: ScopeWords| ScopeLine {
        name: Label::from(scope.scope),
        words: scope.words.into(),
        is_new: scope.is_new,
    };
    scopes.into_iter().map(line).collect()
}

fn origin(client: &Client, now: Timestamp) -> Origin {
    match client.source {
        ClientSource::Registered => Origin::Registered(when::day(client.created_at, now).into()),
        ClientSource::Configured => Origin::Configured,
        ClientSource::MetadataDocument => {
            let url = Url::parse(client.id.as_str()).ok();
            Origin::Document(UrlText::from(
                url.as_ref().and_then(Url::host_str).unwrap_or(client.id.as_str()),
            ))
        }
    }
}
