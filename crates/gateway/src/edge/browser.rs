//! What every page is served with ([`PageContext`]): which browser is this, who is signed in, is
//! the form our own, and how an error looks. Endpoints of `edge::oauth` and the front page share it
//! and nothing else.

use std::{sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use portunus_core::{
    Clock, Entropy,
    lifetimes::Lifetimes,
    principal::User,
    secret::{TokenHash, TokenKind, TokenSecret},
    signin::{BrowserTransaction, Login, Transaction},
    store::{LoginStore, StoreError},
    text::{Label, Sentence},
};
use sha2::Sha256;

use super::{
    cookies::CookieJar,
    csrf::EdgeKeys,
    extensions::RequestId,
    pages::{self, ErrorPage, Frame, NotToldPage, Page},
    providers::Providers,
};

/// Names of our cookies, without their prefix.
pub const LOGIN: &str = "login";
const BROWSER: &str = "browser";
/// How long the browser cookie that binds forms and sign-ins to a browser lives.
const BROWSER_COOKIE: Duration = Duration::from_secs(24 * 60 * 60);
/// What the names of cookies begin with that hold one secret each.
const OWN: &str = "browser_";
/// So many of them are looked at.
const MOST_TABS: usize = 16;

/// What every page needs.
#[derive(Clone)]
pub struct PageContext {
    pub cookies: CookieJar,
    pub keys: EdgeKeys,
    pub logins: Arc<dyn LoginStore>,
    pub providers: Providers,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub lifetimes: Lifetimes,
    pub demo: bool,
}

/// A browser, known by a random cookie: forms and sign-ins are bound to it (threats 2, 14).
///
/// One that opens several tabs at once, before it has the cookie, is given one with each answer,
/// and keeps the last. So each comes in a second cookie too, under a name of its own, for as long
/// as a sign-in may take: every tab can finish (FB01).
pub struct Browser {
    secret: TokenSecret,
    /// Others that it was given.
    others: Vec<TokenSecret>,
    /// To be sent along when it is new.
    set_cookies: Vec<(HeaderName, HeaderValue)>,
}

impl Browser {
    pub fn hash(&self) -> TokenHash {
        self.secret.hash()
    }

    /// The transaction, if this browser began it (threat 8).
    pub fn own(&self, transaction: Transaction) -> Option<BrowserTransaction> {
        let hash =
            self.secrets().map(TokenSecret::hash).find(|hash| *hash == transaction.browser)?;
        transaction.of_browser(&hash)
    }

    fn secrets(&self) -> impl Iterator<Item = &TokenSecret> {
        std::iter::once(&self.secret).chain(&self.others)
    }

    /// Adds the cookie to an answer, if it is new.
    pub fn accompany(self, mut response: Response) -> Response {
        for (name, value) in self.set_cookies {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl PageContext {
    /// The browser that sent the request; a new one is given its cookie.
    pub fn browser(&self, headers: &HeaderMap) -> Browser {
        self.known_browser(headers).unwrap_or_else(|| {
            let secret = TokenSecret::generate(TokenKind::Browser, &*self.entropy);
            let own = self.cookies.set(&own_name(&secret), secret.expose(), self.lifetimes.sign_in);
            let set_cookies = vec![self.cookies.set(BROWSER, secret.expose(), BROWSER_COOKIE), own];
            Browser { secret, others: Vec::new(), set_cookies }
        })
    }

    /// The browser, if it has been here before.
    pub fn known_browser(&self, headers: &HeaderMap) -> Option<Browser> {
        let parse = |value: String| TokenSecret::parse(TokenKind::Browser, &value);
        let last = self.cookies.find(headers, BROWSER).and_then(parse);
        let own = self.cookies.find_all(headers, OWN).into_iter().filter_map(|(name, value)| {
            // The name follows from the secret, so that no two of one name can be planted.
            parse(value).filter(|secret| own_name(secret) == name)
        });
        let mut secrets = last.into_iter().chain(own.take(MOST_TABS));
        let secret = secrets.next()?;
        Some(Browser { secret, others: secrets.collect(), set_cookies: Vec::new() })
    }

    /// Who is signed in with this browser, and is still admitted: a login from before a rule was
    /// made stricter counts as none, so its person signs in again and is judged by what the
    /// provider says of them then (threat 53).
    pub async fn login(&self, headers: &HeaderMap) -> Result<Option<(Login, User)>, StoreError> {
        Ok(self.any_login(headers).await?.filter(|(_, user)| self.providers.admit(user)))
    }

    /// The login of this browser, admitted or not.
    pub async fn any_login(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<(Login, User)>, StoreError> {
        let Some(value) = self.cookies.find(headers, LOGIN) else { return Ok(None) };
        let Some(secret) = TokenSecret::parse(TokenKind::Login, &value) else { return Ok(None) };
        let now = self.clock.now();
        let found = match self.logins.find_login(&secret.hash(), now).await {
            // For good, so it is no login any more: its person signs in again.
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::warn!(%error, "a login cannot be read: AUTH_SECRET was replaced, or the record is damaged");
                None
            }
            found => found?,
        };
        if let Some((login, _)) = &found
            && let Some(end) = login.prolonged(now, &self.lifetimes)
            && let Err(error) = self.logins.touch_login(&login.id, now, end).await
        {
            tracing::warn!(%error, "a login is in use, but that could not be noted: it may end early");
        }
        Ok(found)
    }

    /// The CSRF token for forms that this browser is served (threat 14).
    pub fn csrf(&self, browser: &Browser) -> String {
        URL_SAFE_NO_PAD.encode(csrf_mac(self.keys.csrf(), &browser.secret).finalize().into_bytes())
    }

    /// Was the form served to this very browser? Compared in constant time.
    pub fn is_own_form(&self, browser: &Browser, presented: Option<&str>) -> bool {
        let Some(bytes) = presented.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else {
            return false;
        };
        let is_of = |secret: &TokenSecret| {
            self.keys.any_csrf().any(|key| csrf_mac(key, secret).verify_slice(&bytes).is_ok())
        };
        browser.secrets().any(is_of)
    }

    pub fn frame(&self, user: Option<&User>) -> Frame {
        Frame { demo: self.demo, signed_in_as: user.map(|user| Label::from(user.display_name())) }
    }

    /// An error page; the log has the detail under the same request id.
    pub fn error(&self, status: StatusCode, request_id: &RequestId, error: PageError) -> Response {
        let page = ErrorPage {
            frame: self.frame(None),
            title: error.title,
            message: error.message,
            hint: error.hint,
            again: error.again,
            back: error.back,
            request_id: Label::from(request_id.as_str()),
        };
        pages::respond(status, &page)
    }

    pub fn respond<P: Page>(&self, status: StatusCode, page: &P) -> Response {
        pages::respond(status, page)
    }

    /// The page for a no that the client must not be told of (threat 59).
    pub fn not_told(&self, client_name: &str) -> Response {
        pages::respond(
            StatusCode::OK,
            &NotToldPage { frame: self.frame(None), client_name: Label::from(client_name) },
        )
    }

    /// The page for a store that cannot be reached: nothing was accepted, nothing is lost.
    pub fn store_down(&self, request_id: &RequestId, error: &StoreError) -> Response {
        tracing::error!(%error, "the store failed");
        self.error(
            StatusCode::SERVICE_UNAVAILABLE,
            request_id,
            PageError::new("Not available just now", "We cannot reach our records at the moment.")
                .hint("Nothing was lost. Please try again in a minute."),
        )
    }
}

/// What an error page says: fixed texts, which may name an application.
pub struct PageError {
    title: Sentence,
    message: Sentence,
    hint: Option<Sentence>,
    again: Option<pages::BackLink>,
    back: Option<pages::BackLink>,
}

impl PageError {
    pub fn new(title: impl Into<Sentence>, message: impl Into<Sentence>) -> Self {
        Self { title: title.into(), message: message.into(), hint: None, again: None, back: None }
    }

    /// What the person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Sentence>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A link to a page of ours.
    #[must_use]
    pub fn leading(mut self, label: &str, path: String) -> Self {
        self.back = Some(pages::BackLink { label: Label::from(label), href: path.into() });
        self
    }

    /// A link that begins anew what failed.
    #[must_use]
    pub fn again(mut self, path: String) -> Self {
        self.again = Some(pages::BackLink { label: Label::from("Start again"), href: path.into() });
        self
    }

    /// A link that tells the client what happened (threat 11: only after the person has seen this
    /// page). Without an address to tell it at (threat 59) the person is told what to do.
    #[must_use]
    pub fn telling(mut self, client: Option<String>) -> Self {
        match client {
            Some(href) => {
                let label = Label::from("Tell the application, and go back to it");
                self.back = Some(pages::BackLink { label, href: href.into() });
            }
            None if self.hint.is_none() => {
                self.hint = Some("Nothing was allowed. You can close this window and go back to the application.".into());
            }
            None => {}
        }
        self
    }
}

/// A redirect after which the method is GET, whatever it was before (threat 11: never 307).
pub fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            let headers = [
                (header::LOCATION, location),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The name of a secret's own cookie.
fn own_name(secret: &TokenSecret) -> String {
    format!("{OWN}{}", &secret.hash().to_string()[..10])
}

fn csrf_mac(key: &[u8; 64], secret: &TokenSecret) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new(&(*key).into());
    mac.update(secret.expose().as_bytes());
    mac
}
