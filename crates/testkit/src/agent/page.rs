//! What a browser got: [`Page`], with its forms and links; or [`Returned`], when it was sent back to the client.

use std::fmt;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Agent, Request, html};

/// An answer that a person would look at, and the agent that fetched it.
#[derive(Clone)]
pub struct Page {
    pub(super) agent: Agent,
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
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
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
    pub fn fields<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
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
    pub async fn submit<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Landing {
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
        let mut found = self.url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
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
