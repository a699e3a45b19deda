//! `/auth/signout`: ends the browser's login, here and at the provider when it offers that (OpenID Connect RP-Initiated Logout).
//! `POST` signs out; `GET` is where providers send the browser afterwards, and never signs anybody out (threat 14).

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    oauth::params::Params,
    resource::PublicUrl,
    secret::{TokenKind, TokenSecret},
    store::{LoginStore, StoreError},
};

use crate::edge::{
    browser::{Desk, LOGIN, PageError, see_other},
    house::Providers,
    layers::RequestId,
    limits,
    pages::SignedOutPage,
};

#[derive(Clone)]
pub struct SignOutRoom {
    pub desk: Desk,
    pub logins: Arc<dyn LoginStore>,
    pub providers: Providers,
    pub public_url: PublicUrl,
}

pub fn routes(room: SignOutRoom) -> Router {
    Router::new().route("/auth/signout", routing::get(get).post(post)).layer(DefaultBodyLimit::max(limits::FORM)).with_state(room)
}

/// Whoever is still signed in goes to the front page, which has the button.
async fn get(State(room): State<SignOutRoom>, Extension(id): Extension<RequestId>, headers: HeaderMap) -> Response {
    match room.desk.login(&headers).await {
        Ok(Some(_)) => see_other("/"),
        Ok(None) => room.desk.respond(StatusCode::OK, &SignedOutPage { frame: room.desk.frame(None), at_provider: None }),
        Err(error) => room.desk.store_down(&id, &error),
    }
}

async fn post(State(room): State<SignOutRoom>, Extension(id): Extension<RequestId>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Params::parse(&body).unwrap_or_default();
    let browser = room.desk.known_browser(&headers);
    if !browser.is_some_and(|browser| room.desk.is_own_form(&browser, form.find("csrf"))) {
        let error =
            PageError::new("This page is out of date", "The request does not come from a page we served to this browser.")
                .hint("Go to the front page and sign out there.");
        return room.desk.error(StatusCode::BAD_REQUEST, &id, error);
    }
    match sign_out(&room, &headers).await {
        Ok(mut response) => {
            let (name, value) = room.desk.cookies.clear(LOGIN);
            response.headers_mut().append(name, value);
            response
        }
        Err(error) => room.desk.store_down(&id, &error),
    }
}

async fn sign_out(room: &SignOutRoom, headers: &HeaderMap) -> Result<Response, StoreError> {
    let signed_out = || see_other("/auth/signout");
    let cookie = room.desk.cookies.find(headers, LOGIN);
    let Some(secret) = cookie.and_then(|value| TokenSecret::parse(TokenKind::Login, &value)) else { return Ok(signed_out()) };
    let Some(login) = room.logins.take_login(&secret.hash()).await? else { return Ok(signed_out()) };
    tracing::info!(user = %login.user, "signed out");
    let Some(entry) = room.providers.find(&login.provider) else { return Ok(signed_out()) };
    let return_to = room.public_url.at("/auth/signout");
    match entry.provider.sign_out_url(login.id_token.as_ref(), &return_to).await {
        Ok(Some(url)) => Ok(see_other(url.as_str())),
        Ok(None) => Ok(signed_out()),
        Err(error) => {
            tracing::warn!(%error, "signed out here, but not at the provider");
            Ok(signed_out())
        }
    }
}
