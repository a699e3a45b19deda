//! `/auth/signout`: ends the browser's login, here and at the provider when it offers that (OpenID
//! Connect RP-Initiated Logout). `POST` signs out; `GET` is where providers send the browser
//! afterwards, and never signs a browser out (threat 14).

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    ids::ProviderName,
    oauth::params::Params,
    resource::PublicUrl,
    secret::{TokenKind, TokenSecret},
    store::{LoginStore, StoreError},
};

use crate::{
    audit::RequestAudit,
    edge::{
        browser::{LOGIN, PageContext, PageError, see_other},
        extensions::RequestId,
        limits,
        pages::{Label, SignedOutPage},
        providers::Providers,
    },
};

/// The cookie of a browser that went to a provider to sign out there: the state that comes back,
/// and the provider.
const LEFT_FOR: &str = "left_for";
/// How long it may stay there.
const THERE: Duration = Duration::from_secs(10 * 60);

#[derive(Clone)]
pub struct SignOutState {
    pub page_context: PageContext,
    pub logins: Arc<dyn LoginStore>,
    pub providers: Providers,
    pub public_url: PublicUrl,
}

pub fn routes(signout: SignOutState) -> Router {
    Router::new()
        .route("/auth/signout", routing::get(get).post(post))
        .layer(DefaultBodyLimit::max(limits::FORM))
        .with_state(signout)
}

/// A browser that is still signed in goes to the front page, which has the button.
async fn get(
    State(signout): State<SignOutState>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match signout.page_context.login(&headers).await {
        Ok(Some(_)) => see_other("/"),
        Ok(None) => {
            let at_provider = signout.signed_out_at(&headers, &query.unwrap_or_default());
            let page = SignedOutPage { frame: signout.page_context.frame(None), at_provider };
            let mut response = signout.page_context.respond(StatusCode::OK, &page);
            if page.at_provider.is_some() {
                let (name, value) = signout.page_context.cookies.clear(LEFT_FOR);
                response.headers_mut().append(name, value);
            }
            response
        }
        Err(error) => signout.page_context.store_down(&id, &error),
    }
}

impl SignOutState {
    /// The provider that has just sent this browser back from its sign-out: what it was given comes
    /// back with the browser (FB72).
    fn signed_out_at(&self, headers: &HeaderMap, query: &str) -> Option<Label> {
        let cookie = self.page_context.cookies.find(headers, LEFT_FOR)?;
        let (state, provider) = cookie.split_once('.')?;
        let params = Params::parse(query.as_bytes()).ok()?;
        let entry = self.providers.find(&ProviderName::from_text(provider))?;
        (params.find("state")? == state).then(|| Label::from(entry.label.as_str()))
    }
}

async fn post(
    State(signout): State<SignOutState>,
    Extension(id): Extension<RequestId>,
    Extension(audit): Extension<RequestAudit>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&signout, &audit, &headers, &body)
        .await
        .unwrap_or_else(|error| error.answer(&signout.page_context, &id))
}

/// Why the browser is not signed out.
#[derive(Debug)]
enum SignOutError {
    /// The form is not ours, or not this browser's (threat 14).
    NotThisForm,
    Store(StoreError),
}

impl From<StoreError> for SignOutError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl SignOutError {
    fn answer(self, pages: &PageContext, id: &RequestId) -> Response {
        match self {
            Self::NotThisForm => {
                let text = "The request does not come from a page we served to this browser.";
                let page = PageError::new("This page is out of date", text)
                    .hint("Go to the front page and sign out there.");
                pages.error(StatusCode::BAD_REQUEST, id, page)
            }
            Self::Store(error) => pages.store_down(id, &error),
        }
    }
}

async fn answer(
    signout: &SignOutState,
    audit: &RequestAudit,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, SignOutError> {
    let form = Params::parse(body).unwrap_or_default();
    let browser = signout.page_context.known_browser(headers);
    if !browser.is_some_and(|browser| signout.page_context.is_own_form(&browser, form.find("csrf")))
    {
        return Err(SignOutError::NotThisForm);
    }
    let mut response = sign_out(signout, audit, headers).await?;
    let (name, value) = signout.page_context.cookies.clear(LOGIN);
    response.headers_mut().append(name, value);
    Ok(response)
}

async fn sign_out(
    signout: &SignOutState,
    audit: &RequestAudit,
    headers: &HeaderMap,
) -> Result<Response, StoreError> {
    let signed_out = || see_other("/auth/signout");
    let cookie = signout.page_context.cookies.find(headers, LOGIN);
    let Some(secret) = cookie.and_then(|value| TokenSecret::parse(TokenKind::Login, &value)) else {
        return Ok(signed_out());
    };
    let Some(login) = signout.logins.take_login(&secret.hash()).await? else {
        return Ok(signed_out());
    };
    tracing::info!(user = %login.user, "signed out");
    audit.signed_out(&login.user, &login.provider);
    let Some(entry) = signout.providers.find(&login.provider) else { return Ok(signed_out()) };
    let return_to = signout.public_url.at("/auth/signout");
    let state = TokenSecret::generate(TokenKind::State, &*signout.page_context.entropy);
    match entry.provider.sign_out_url(login.id_token.as_ref(), &return_to, state.expose()).await {
        Ok(Some(url)) => {
            let mut response = see_other(url.as_str());
            let left_for = format!("{}.{}", state.expose(), login.provider);
            let (name, value) = signout.page_context.cookies.set(LEFT_FOR, &left_for, THERE);
            response.headers_mut().append(name, value);
            Ok(response)
        }
        Ok(None) => Ok(signed_out()),
        Err(error) => {
            tracing::warn!(%error, "signed out here, but not at the provider");
            Ok(signed_out())
        }
    }
}
