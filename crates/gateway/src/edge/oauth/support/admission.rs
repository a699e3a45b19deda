//! What a sign-in comes to whose account is not admitted (threat 53). The rules are
//! `portunus_core::admission`; the sign-in itself is `edge::oauth::callback`'s.

use axum::response::Response;
use http::StatusCode;
use portunus_core::{
    admission::NotAdmitted,
    oauth::{ErrorCode, OAuthError, authorize},
    principal::User,
    resource::PublicUrl,
    signin::{Purpose, Transaction},
};

use crate::edge::{
    browser::{PageContext, PageError},
    extensions::RequestId,
    pages::{self, BackLink, Label, NotAdmittedPage},
};

/// The parameter of `/auth/signin` that asks the provider for another account than the one it
/// knows.
pub const ACCOUNT: &str = "account";
/// Its one value.
pub const ANOTHER: &str = "another";

/// The account is none of those that the rule of the provider with this label names. The
/// transaction goes on: another account may finish it.
pub fn not_admitted(
    page_context: &PageContext,
    id: &RequestId,
    label: &str,
    user: &User,
    transaction: &Transaction,
    public_url: &PublicUrl,
    why: &NotAdmitted,
) -> Response {
    tracing::warn!(user = %user.id, provider = %user.provider, %why, "sign-in refused: the account is not admitted");
    let back = match &transaction.purpose {
        Purpose::Authorize(request) => {
            let denied = OAuthError::new(
                ErrorCode::AccessDenied,
                "the person may not sign in at this gateway",
            );
            let href =
                authorize::error_redirect(&request.return_address(), &denied, public_url.as_str());
            href.map(|href| BackLink {
                label: Label::from("Tell the application, and go back to it"),
                href: href.into(),
            })
        }
        Purpose::SignIn { .. } => None,
    };
    let page = NotAdmittedPage {
        frame: page_context.frame(None),
        provider: Label::from(label),
        account: Label::from(user.email.as_deref().unwrap_or_else(|| user.display_name())),
        subject: Label::from(&user.subject),
        another: sign_in_again(transaction, true).into(),
        back,
        request_id: Label::from(id.as_str()),
    };
    pages::respond(StatusCode::FORBIDDEN, &page)
}

/// The provider did not tell what the rule asks for, so the account may be admitted or not: the
/// answer is no for now.
pub fn not_checked(
    page_context: &PageContext,
    id: &RequestId,
    user: &User,
    transaction: &Transaction,
    why: &str,
) -> Response {
    tracing::warn!(
        user = %user.id, provider = %user.provider, why,
        "sign-in refused: the provider did not tell all that the rule asks for, so it could not be checked; see the scopes setting"
    );
    let text = "Whether your account may use this gateway could not be checked: your identity provider did not say enough about it.";
    let error = PageError::new("Your access could not be checked", text)
        .hint("Try again in a minute. If it happens again, ask the administrator of this gateway.")
        .leading("Try again", sign_in_again(transaction, false));
    page_context.error(StatusCode::SERVICE_UNAVAILABLE, id, error)
}

/// An administrator disabled the person. The transaction goes on: another account may finish it.
/// Why it was done is for administrators.
pub fn disabled(
    page_context: &PageContext,
    id: &RequestId,
    label: &str,
    user: &User,
    transaction: &Transaction,
) -> Response {
    tracing::warn!(user = %user.id, provider = %user.provider, "sign-in refused: the person is disabled");
    let account = user.email.as_deref().unwrap_or_else(|| user.display_name());
    let text = format!(
        "You came as {account} of {label}. The administrator of this gateway has disabled this account."
    );
    let hint = "If you should have access, ask the administrator of this gateway, and say which account you used and the request id below.";
    let error = PageError::new("This account is disabled", text)
        .hint(hint)
        .leading("Sign in with another account", sign_in_again(transaction, true));
    page_context.error(StatusCode::FORBIDDEN, id, error)
}

fn sign_in_again(transaction: &Transaction, with_another: bool) -> String {
    let account = if with_another { format!("&{ACCOUNT}={ANOTHER}") } else { String::new() };
    format!("/auth/signin?transaction={}{account}", transaction.id)
}
