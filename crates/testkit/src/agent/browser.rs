//! The browser itself: it keeps cookies, follows redirects, and gives pages, whose links and forms
//! lead on.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use url::Url;

use super::{
    cookies::{Cookie, CookieJar},
    html,
    request::Request,
};

/// More redirects than any sign-in has.
const REDIRECTS: usize = 20;

/// No answer came, or only a part of one.
#[derive(Debug)]
pub struct NoAnswer {
    url: Url,
    error: reqwest::Error,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no whole answer from {}: {:?}", self.url, self.error)
    }
}

/// One browser. Clones are the same browser; two browsers are two agents.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// Origins that are reached at an address of ours in place of their own, in plain HTTP.
    doors: HashMap<String, SocketAddr>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jar: CookieJar,
    /// Redirect URIs of clients. Nothing listens there, so the walk ends.
    stops: Vec<String>,
    secrets: Vec<String>,
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl Agent {
    pub fn new() -> Self {
        Self::with_doors([])
    }

    /// A browser for which each of the origins, such as `https://gw.example`, is at the address
    /// given, in plain HTTP: as if a proxy that ends TLS stood in front.
    ///
    /// # Panics
    /// If no HTTP client can be made.
    pub fn with_doors<const N: usize>(doors: [(&str, SocketAddr); N]) -> Self {
        Self::at_address(None, doors)
    }

    /// The same, its connections made from this address of the machine's own: another machine, as
    /// far as a server can tell.
    ///
    /// # Panics
    /// If no HTTP client can be made.
    pub fn at_address<const N: usize>(
        address: Option<IpAddr>,
        doors: [(&str, SocketAddr); N],
    ) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "test-only: what the browser is made of is the browser's own business"
        )]
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .local_address(address)
            // No TLS is spoken here; reading the machine's certificates takes longer than many a
            // test.
            .tls_certs_only([])
            .timeout(Duration::from_secs(60))
            .resolve("localhost", SocketAddr::from(([127, 0, 0, 1], 0)))
            .build()
            .expect("an HTTP client");
        let doors =
            doors.into_iter().map(|(origin, address)| (origin.to_owned(), address)).collect();
        Self { inner: Arc::new(Inner { http, doors, state: Mutex::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a walk ends when it comes to this redirect URI.
    pub fn stop_at(&self, redirect_uri: &str) {
        self.state().stops.push(redirect_uri.to_owned());
    }

    /// Opens an address as if typed, and follows where it leads.
    pub async fn open(&self, url: &str) -> Landing {
        self.visit(Request::get(url)).await
    }

    /// Sends a request and follows where it leads, to a page or to a client's redirect URI.
    ///
    /// # Panics
    /// If the redirects have no end, or there is no answer.
    pub async fn visit(&self, request: Request) -> Landing {
        self.try_visit(request).await.unwrap_or_else(|none| panic!("{none}"))
    }

    /// The same where an answer may fail to come.
    ///
    /// # Errors
    /// If no whole answer came on the way.
    ///
    /// # Panics
    /// If the redirects have no end.
    pub async fn try_visit(&self, request: Request) -> Result<Landing, NoAnswer> {
        let mut request = request;
        for _ in 0..REDIRECTS {
            if self.is_client(&request.url) {
                return Ok(Landing::Client(Returned { url: request.url }));
            }
            let page = self.try_send(request.clone()).await?;
            if !page.status.is_redirection() || page.header("location").is_empty() {
                return Ok(Landing::Page(page));
            }
            let location = page.location();
            request = match page.status.as_u16() {
                307 | 308 => request.at(location.as_str()),
                _ => Request::get(location.as_str()),
            };
        }
        panic!("more than {REDIRECTS} redirects")
    }

    fn is_client(&self, url: &Url) -> bool {
        let text = url.as_str();
        let stops = &self.state().stops;
        stops.iter().any(|stop| {
            text.strip_prefix(stop.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '&']))
        })
    }

    /// Sends one request, with this browser's cookies, and goes no further.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, request: Request) -> Page {
        self.try_send(request).await.unwrap_or_else(|none| panic!("{none}"))
    }

    /// The same where an answer may fail to come. Whether the request was carried out is unknown
    /// then.
    ///
    /// # Errors
    /// If no whole answer came.
    ///
    /// # Panics
    /// If the request cannot be sent as it is.
    pub async fn try_send(&self, request: Request) -> Result<Page, NoAnswer> {
        let Request { method, url, mut headers, body, cookies, cross_site } = request;
        if cookies
            && let Some(value) = self.state().jar.header(&url, cross_site && method != Method::GET)
        {
            headers.append(header::COOKIE, value.parse().expect("cookies fit into a header"));
        }
        let mut target = url.clone();
        let origin = url.origin().ascii_serialization();
        if let Some(address) = self.inner.doors.get(&origin) {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            headers.entry(header::HOST).or_insert(authority.parse().expect("a host"));
            let at = format!(
                "http://{address}{}",
                &url[url::Position::BeforePath..url::Position::AfterQuery]
            );
            target = Url::parse(&at).expect("an address is a URL");
        }
        let sent = self.inner.http.request(method, target).headers(headers).body(body).send().await;
        let none = |error| NoAnswer { url: url.clone(), error };
        let answer = sent.map_err(none)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(none)?;
        self.remember(&url, &headers);
        Ok(Page {
            agent: self.clone(),
            url,
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn remember(&self, url: &Url, headers: &HeaderMap) {
        let mut state = self.state();
        for value in
            headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok())
        {
            state.jar.take(url, value);
            let secret = value
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .map(|(_, secret)| secret.to_owned());
            state.secrets.extend(secret);
        }
        let location =
            headers.get(header::LOCATION).and_then(|value| url.join(value.to_str().ok()?).ok());
        for (name, value) in location.iter().flat_map(Url::query_pairs) {
            if matches!(&*name, "code" | "nonce" | "id_token_hint") {
                state.secrets.push(value.into_owned());
            }
        }
    }

    /// Notes something that must never turn up in a log.
    pub fn keep_secret(&self, secret: &str) {
        self.state().secrets.push(secret.to_owned());
    }

    /// Everything that passed through this browser and must never turn up in a log: cookies, codes,
    /// tokens.
    pub fn secrets(&self) -> Vec<String> {
        self.state().secrets.clone()
    }

    /// This browser's cookies.
    pub fn cookies(&self) -> Vec<Cookie> {
        self.state().jar.all().to_vec()
    }

    /// The cookie whose name ends with `name`.
    pub fn cookie(&self, name: &str) -> Option<Cookie> {
        self.cookies().into_iter().find(|cookie| cookie.name.ends_with(name))
    }

    /// Plants a cookie, as an attacker with access to the browser could.
    pub fn plant(&self, cookie: Cookie) {
        self.state().jar.put(cookie);
    }
}

/// An answer that a person would look at, and the agent that fetched it.
#[derive(Clone)]
pub struct Page {
    agent: Agent,
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}\n{:?}\n{}", self.url, self.status, self.headers, self.body)
    }
}

impl Page {
    /// What a person reads.
    pub fn text(&self) -> String {
        html::text(&self.body)
    }

    /// A header, empty when it is not there.
    ///
    /// # Panics
    /// If it came twice, or is not text.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().expect("a header is text"));
        assert!(values.next().is_none(), "{name} came twice: {self:?}");
        value
    }

    /// # Panics
    /// If the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The same, once the status was checked.
    ///
    /// # Panics
    /// If the status is another one.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "to check is enough")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// The OAuth error code of a JSON answer, empty when there is none.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Where a redirect leads.
    ///
    /// # Panics
    /// If this is none.
    #[track_caller]
    pub fn location(&self) -> Url {
        let location = self.header("location");
        assert!(!location.is_empty(), "no redirect: {self:?}");
        self.url.join(location).expect("a location is a URL")
    }

    /// Is there a form that goes to `action`?
    pub fn has_form(&self, action: &str) -> bool {
        html::forms(&self.body).iter().any(|form| form.action == action)
    }

    /// The form that goes to `action`, filled in as the page has it.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let mut forms = html::forms(&self.body).into_iter();
        let form = forms.find(|form| form.action == action);
        let form = form.unwrap_or_else(|| panic!("no form goes to {action}: {self:?}"));
        Form { page: self.clone(), tag: form }
    }

    /// Texts and addresses of the links.
    pub fn links(&self) -> Vec<(String, String)> {
        html::links(&self.body)
    }

    /// Clicks the link whose text contains `text`.
    ///
    /// # Panics
    /// If there is none.
    pub async fn click(&self, text: &str) -> Landing {
        let links = self.links();
        let found = links.iter().find(|(words, _)| words.contains(text));
        let (_, href) = found.unwrap_or_else(|| panic!("no link says {text}: {self:?}"));
        self.agent.open(self.url.join(href).expect("a link is a URL").as_str()).await
    }
}

/// A form on a page.
#[derive(Debug)]
pub struct Form {
    page: Page,
    tag: html::FormTag,
}

impl Form {
    /// What the form would send, with `values` in place of its own.
    pub fn fields<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(String, String)> {
        let mut fields = self.tag.inputs.clone();
        for (name, value) in values {
            fields.retain(|(key, _)| key != name);
            fields.push((name.to_owned(), value.to_owned()));
        }
        fields
    }

    /// The value of an input as the page has it.
    ///
    /// # Panics
    /// If there is no such input.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let found = self.tag.inputs.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("no input {name}: {self:?}"), |(_, value)| value)
    }

    /// The buttons that have a name.
    pub fn buttons(&self) -> &[(String, String)] {
        &self.tag.buttons
    }

    /// The request that a browser makes of it.
    ///
    /// # Panics
    /// If the form is not sent by POST.
    pub fn request<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Request {
        let url = self.page.url.join(&self.tag.action).expect("a form's action is a URL");
        assert_eq!(self.tag.method, "post", "{self:?}");
        let origin = self.page.url.origin().ascii_serialization();
        Request::form(Method::POST, url.as_str(), self.fields(values)).header("origin", &origin)
    }

    /// Fills in `values`, sends the form, and follows where it leads.
    pub async fn submit<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Landing {
        self.page.agent.visit(self.request(values)).await
    }
}

/// Where a walk ended.
#[derive(Clone, Debug)]
pub enum Landing {
    Page(Page),
    Client(Returned),
}

impl Landing {
    /// # Panics
    /// If the browser was sent back to a client.
    #[track_caller]
    pub fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::Client(returned) => panic!("a page was expected, not the client: {returned:?}"),
        }
    }

    /// # Panics
    /// If the walk ended at a page.
    #[track_caller]
    pub fn returned(self) -> Returned {
        match self {
            Self::Client(returned) => returned,
            Self::Page(page) => panic!("the client was expected, not a page: {page:?}"),
        }
    }
}

/// The browser was sent to a redirect URI of a client: here are the parameters.
#[derive(Clone, Debug)]
pub struct Returned {
    pub url: Url,
}

impl Returned {
    /// A parameter.
    ///
    /// # Panics
    /// If it came twice.
    pub fn find(&self, name: &str) -> Option<String> {
        let mut found = self
            .url
            .query_pairs()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned());
        let first = found.next();
        assert!(found.next().is_none(), "{name} came twice: {}", self.url);
        first
    }

    /// # Panics
    /// If there is no code.
    #[track_caller]
    pub fn code(&self) -> String {
        self.find("code").unwrap_or_else(|| panic!("no code: {}", self.url))
    }
}
