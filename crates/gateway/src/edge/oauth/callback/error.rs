//! Why a sign-in did not come to its end at the callback, and what the person sees of it. The
//! endpoint is [`super`].

use axum::response::Response;
use http::StatusCode;
use portunus_core::{
    admission::NotAdmitted,
    audit::{Person, RefusalReason},
    principal::User,
    resource::PublicUrl,
    signin::{BrowserTransaction, Purpose},
    store::StoreError,
};
use portunus_identity::provider::IdentityError;

use crate::{
    audit::RequestAudit,
    edge::{
        browser::{PageContext, PageError},
        extensions::RequestId,
        oauth::support::{admission, provider_requests},
    },
};

fn client_of(transaction: &BrowserTransaction) -> Option<String> {
    match &transaction.purpose {
        Purpose::Authorize(request) => Some(request.client.as_str().to_owned()),
        Purpose::SignIn { .. } => None,
    }
}

/// Why the person is not signed in.
#[derive(Debug)]
pub(super) enum CallbackError {
    /// The answer belongs to no request of this browser.
    Foreign,
    /// The same answer once more: its sign-in was finished the first time.
    Finished,
    /// The provider did not sign the person in.
    Provider {
        error: IdentityError,
        transaction: Box<BrowserTransaction>,
    },
    /// The account is none of those that the rule names (threat 53).
    NotAdmitted {
        label: String,
        user: Box<User>,
        transaction: Box<BrowserTransaction>,
        why: NotAdmitted,
    },
    /// The provider did not tell what the rule asks for.
    NotChecked {
        user: Box<User>,
        transaction: Box<BrowserTransaction>,
        why: String,
    },
    /// An administrator disabled the person.
    Disabled {
        label: String,
        user: Box<User>,
        transaction: Box<BrowserTransaction>,
    },
    Store(StoreError),
}

impl From<StoreError> for CallbackError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl CallbackError {
    /// Tells the audit log of a person who was not let in.
    pub(super) fn tell(&self, audit: &RequestAudit) {
        let of = |user: &User, transaction: &BrowserTransaction| Person {
            client: client_of(transaction),
            ..Person::user(user)
        };
        match self {
            Self::Foreign | Self::Finished | Self::Store(_) => {}
            Self::Provider { error, transaction } => {
                let person = Person { client: client_of(transaction), ..Person::default() };
                audit.refused(person, RefusalReason::SignInFailed, error.to_string());
            }
            Self::NotAdmitted { user, transaction, .. } => {
                let about = user.provider.as_str();
                audit.refused(of(user, transaction), RefusalReason::SignInNotAllowed, about);
            }
            Self::Disabled { user, transaction, .. } => {
                let about = user.provider.as_str();
                audit.refused(of(user, transaction), RefusalReason::Disabled, about);
            }
            Self::NotChecked { user, transaction, .. } => {
                let about = user.provider.as_str();
                audit.refused(of(user, transaction), RefusalReason::SignInNotChecked, about);
            }
        }
    }

    pub(super) fn answer(
        self,
        pages: &PageContext,
        id: &RequestId,
        public_url: &PublicUrl,
    ) -> Response {
        match self {
            Self::Foreign => {
                tracing::warn!(
                    "callback refused: unknown, used or expired state, or another browser's, another provider's or at another callback"
                );
                let text = "It took too long, was finished already, or began in another browser.";
                let page = PageError::new("This sign-in has ended", text)
                    .hint("Start again from the application.");
                pages.error(StatusCode::BAD_REQUEST, id, page)
            }
            Self::Finished => {
                let text = "This page was opened a second time. What you began was finished the first time.";
                let page = PageError::new("You are signed in already", text)
                    .hint("Go back to the application. If it still waits, start again there.")
                    .leading("Go to the front page", "/".to_owned());
                pages.error(StatusCode::OK, id, page)
            }
            Self::Provider { error, transaction } => {
                provider_requests::provider_failed(pages, id, &error, &transaction, public_url)
            }
            Self::NotAdmitted { label, user, transaction, why } => {
                admission::not_admitted(pages, id, &label, &user, &transaction, public_url, &why)
            }
            Self::NotChecked { user, transaction, why } => {
                admission::not_checked(pages, id, &user, &transaction, &why)
            }
            Self::Disabled { label, user, transaction } => {
                admission::disabled(pages, id, &label, &user, &transaction)
            }
            Self::Store(error) => pages.store_down(id, &error),
        }
    }
}
