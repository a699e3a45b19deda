//! Why an authorization request got no code, and what the person sees of it. The endpoint is
//! [`super`].

use axum::response::Response;
use http::StatusCode;
use portunus_core::{
    audit::{Person, RefusalReason},
    client::Client,
    ids::{ClientId, UserId},
    oauth::OAuthError,
    store::StoreError,
};

use crate::{
    audit::RequestAudit,
    edge::{
        browser::{PageContext, PageError, see_other},
        extensions::RequestId,
        oauth::support::client_directory::NoClient,
    },
};

/// Every way in which an authorization request ends without a code.
#[derive(Debug)]
pub(super) enum AuthorizeError {
    /// The request cannot be trusted enough to be answered anywhere but here (threats 4, 11).
    Untrusted(String),
    /// The application kept a registration that is not here any more, as after a new beginning with
    /// empty records: only it can forget that (FB18).
    Unregistered,
    /// The client's metadata document is away.
    Unreachable {
        host: String,
    },
    /// The request is the client's, and wrong; `back` tells the client, once the person has seen
    /// the page.
    Invalid {
        client: Box<Client>,
        problem: OAuthError,
        back: Option<String>,
    },
    /// A page would be needed, and the client wants none. The client is told at once if that makes
    /// no open redirector of us (threat 11); else the person sees where they are.
    NeedsPage {
        client: Box<Client>,
        refusal: OAuthError,
        may_be_told: bool,
        back: Option<String>,
    },
    /// The transaction took too long, was finished, or is another browser's.
    Ended,
    /// Another request finished the transaction first.
    Finished,
    /// An administrator disabled the client; or the person, who was signed in until now.
    Disabled {
        user: Option<UserId>,
        client: ClientId,
    },
    Store(StoreError),
}

impl From<StoreError> for AuthorizeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NoClient> for AuthorizeError {
    fn from(error: NoClient) -> Self {
        match error {
            NoClient::Store(error) => Self::Store(error),
            NoClient::Disabled(client) => Self::Disabled { user: None, client },
            NoClient::Refused(problem) => Self::Untrusted(problem),
            NoClient::Unreachable { host } => Self::Unreachable { host },
        }
    }
}

impl AuthorizeError {
    /// Tells the audit log of what an administrator does not want any more.
    pub(super) fn tell(&self, audit: &RequestAudit) {
        if let Self::Disabled { user, client } = self {
            let person = user.as_ref().map(Person::user_id).unwrap_or_default();
            let person = person.with_client(client.as_str());
            audit.refused(person, RefusalReason::Disabled, "authorize");
        }
    }

    pub(super) fn answer(self, pages: &PageContext, id: &RequestId) -> Response {
        let (status, page) = match self {
            Self::Store(error) => return pages.store_down(id, &error),
            Self::NeedsPage { client, refusal, may_be_told, back } => {
                tracing::info!(client_id = %client.id, %refusal, "authorization needs a page, and the client wants none");
                if let Some(back) = back.as_ref().filter(|_| may_be_told) {
                    return see_other(back);
                }
                let text = format!(
                    "{} wanted to be let in without asking you, and that cannot be done now.",
                    client.display_name()
                );
                let page = PageError::new("You have not allowed this", text)
                    .hint("If you did not expect this, close the page: nothing has happened.");
                (StatusCode::BAD_REQUEST, page.telling(back))
            }
            Self::Untrusted(problem) => {
                tracing::warn!(problem, "authorization request refused");
                (StatusCode::BAD_REQUEST, untrusted(&problem))
            }
            Self::Unregistered => {
                tracing::warn!(
                    "authorization request refused: the client_id is not registered here; the application must register again"
                );
                (StatusCode::BAD_REQUEST, unregistered())
            }
            Self::Unreachable { host } => (StatusCode::SERVICE_UNAVAILABLE, unreachable(&host)),
            Self::Invalid { client, problem, back } => {
                tracing::warn!(client_id = %client.id, %problem, "authorization request refused");
                let text = format!(
                    "{} sent a request we do not accept: {}.",
                    client.display_name(),
                    problem.description
                );
                (
                    StatusCode::BAD_REQUEST,
                    PageError::new("This request cannot be used", text).telling(back),
                )
            }
            Self::Ended => {
                let text = "It took too long, was finished already, or began in another browser.";
                (
                    StatusCode::BAD_REQUEST,
                    PageError::new("This sign-in has ended", text)
                        .hint("Start again from the application."),
                )
            }
            Self::Disabled { user, client } => {
                tracing::warn!(client_id = %client, user = user.as_ref().map(UserId::as_str), "authorization request refused: disabled by an administrator");
                (StatusCode::FORBIDDEN, disabled(user.is_some()))
            }
            Self::Finished => {
                let page = PageError::new("This sign-in has ended", "It was finished already.");
                (StatusCode::BAD_REQUEST, page.hint("Go back to the application."))
            }
        };
        pages.error(status, id, page)
    }
}

fn untrusted(problem: &str) -> PageError {
    PageError::new("This request cannot be used", format!("The application sent a request we do not accept: {problem}."))
        .hint("Close this page and start again from the application. If it happens again, tell its maker what this page says.")
}

fn unregistered() -> PageError {
    let text = "It uses a registration that this gateway does not have, perhaps from before the gateway was set up anew.";
    PageError::new("This application is not registered here any more", text).hint(
        "Have it forget this server, and connect again. Claude Code: /mcp, this server, Clear authentication. VS Code: the command Authentication: \
         Remove Dynamic Authentication Providers. Cursor: remove the server in the settings, and add it again. mcp-remote: delete ~/.mcp-auth.",
    )
}

fn unreachable(host: &str) -> PageError {
    let text = format!(
        "The application describes itself in a document at {host}, and this gateway cannot fetch it just now."
    );
    PageError::new("This application cannot be looked up", text).hint(
        "Start again from the application in a minute. If it goes on, tell your administrator: a gateway without a direct way to the \
         Internet needs clients.metadata_documents.proxy, or clients.metadata_documents.enabled: false, in its configuration.",
    )
}

fn disabled(may_be_the_person: bool) -> PageError {
    let what =
        if may_be_the_person { "this account or this application" } else { "this application" };
    let text = format!("The administrator of this gateway has disabled {what}.");
    PageError::new("This is disabled", text).hint(
        "If you should have access, ask the administrator of this gateway, and give the request id below.",
    )
}
