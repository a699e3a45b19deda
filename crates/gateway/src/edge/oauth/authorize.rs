//! `GET /auth/authorize`: the authorization endpoint (RFC 6749 section 4.1.1), and the place every step of a sign-in returns to.
//! It alone decides what comes next; the rules are `portunus_core::oauth::authorize`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    response::Response,
    routing,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portunus_core::{
    client::Client,
    grant::Consent,
    ids::{ClientId, TransactionId},
    lifetimes::Lifetimes,
    oauth::{
        ErrorCode,
        authorize::{self, AuthorizationProgress, Step},
        consent,
        params::Params,
    },
    principal::User,
    resource::Resources,
    signin::{AuthorizationRequest, BrowserTransaction, Login, Purpose},
    store::{ConsentStore, GrantStore, StoreError},
};

use super::support::{
    client_directory::{ClientDirectory, NoClient},
    consent_page::Asking,
    transactions::Transactions,
};
use crate::edge::{
    browser::{Browser, PageContext, PageError, see_other},
    extensions::{Peer, RequestId},
    pages::{BackLink, Label, SignedInPage},
    providers::Providers,
};

#[derive(Clone)]
pub struct AuthorizeState {
    pub page_context: PageContext,
    pub directory: ClientDirectory,
    pub transactions: Transactions,
    pub consents: Arc<dyn ConsentStore>,
    pub grants: Arc<dyn GrantStore>,
    pub resources: Arc<Resources>,
    pub providers: Providers,
    pub lifetimes: Lifetimes,
}

pub fn routes(state: AuthorizeState) -> Router {
    Router::new().route("/auth/authorize", routing::get(get)).route("/authorize", routing::get(get)).with_state(state)
}

async fn get(
    State(state): State<AuthorizeState>,
    Extension(id): Extension<RequestId>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let params = match Params::parse(query.unwrap_or_default().as_bytes()) {
        Ok(params) => params,
        Err(bad) => return refuse(&state, &id, &bad.to_string()),
    };
    let outcome = match params.find("transaction") {
        Some(transaction) => resume(&state, &id, peer, &headers, &TransactionId::from_text(transaction)).await,
        None => begin(&state, &id, peer, &headers, &params).await,
    };
    outcome.unwrap_or_else(|error| state.page_context.store_down(&id, &error))
}

/// A client's request that cannot be trusted enough to be answered anywhere but here (threats 4, 11).
fn refuse(state: &AuthorizeState, id: &RequestId, problem: &str) -> Response {
    tracing::warn!(problem, "authorization request refused");
    let error =
        PageError::new("This request cannot be used", format!("The application sent a request we do not accept: {problem}."))
            .hint(
                "Close this page and start again from the application. If it happens again, tell its maker what this page says.",
            );
    state.page_context.error(StatusCode::BAD_REQUEST, id, error)
}

/// The application kept a registration that is not here any more, as after a new beginning with empty records: only it can forget that (FB18).
fn forgotten(state: &AuthorizeState, id: &RequestId) -> Response {
    tracing::warn!("authorization request refused: the client_id is not registered here; the application must register again");
    let text = "It uses a registration that this gateway does not have, perhaps from before the gateway was set up anew.";
    let error = PageError::new("This application is not registered here any more", text).hint(
        "Have it forget this server, and connect again. Claude Code: /mcp, this server, Clear authentication. VS Code: the command Authentication: \
         Remove Dynamic Authentication Providers. Cursor: remove the server in the settings, and add it again. mcp-remote: delete ~/.mcp-auth.",
    );
    state.page_context.error(StatusCode::BAD_REQUEST, id, error)
}

/// It cannot be said which client that is: its document is none, or is away.
fn no_client(state: &AuthorizeState, id: &RequestId, error: NoClient) -> Result<Response, StoreError> {
    match error {
        NoClient::Store(error) => Err(error),
        NoClient::Refused(problem) => Ok(refuse(state, id, &problem)),
        NoClient::Unreachable { host } => {
            let text =
                format!("The application describes itself in a document at {host}, and this gateway cannot fetch it just now.");
            let error = PageError::new("This application cannot be looked up", text).hint(
                "Start again from the application in a minute. If it goes on, tell your administrator: a gateway without a direct way to the \
                 Internet needs clients.metadata_documents.proxy, or clients.metadata_documents.enabled: false, in its configuration.",
            );
            Ok(state.page_context.error(StatusCode::SERVICE_UNAVAILABLE, id, error))
        }
    }
}

/// A new request of a client.
async fn begin(
    state: &AuthorizeState,
    id: &RequestId,
    peer: IpAddr,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response, StoreError> {
    let Some(client_id) = params.find("client_id") else { return Ok(refuse(state, id, "client_id is missing")) };
    let client = match state.directory.find(&ClientId::from_text(client_id), peer).await {
        Ok(Some(client)) => client,
        Ok(None) => return Ok(forgotten(state, id)),
        Err(error) => return no_client(state, id, error),
    };
    let address = match authorize::return_address(params, &client) {
        Ok(address) => address,
        Err(problem) => return Ok(refuse(state, id, &problem.description)),
    };
    let request = match authorize::check(params, &client, address.clone(), &state.resources) {
        Ok(request) => request,
        Err(problem) => {
            tracing::warn!(client_id = %client.id, %problem, "authorization request refused");
            let back = authorize::error_redirect(&address, &problem, state.resources.public_url().as_str());
            let text = format!("{} sent a request we do not accept: {}.", client.display_name(), problem.description);
            let error = PageError::new("This request cannot be used", text).telling(back);
            return Ok(state.page_context.error(StatusCode::BAD_REQUEST, id, error));
        }
    };
    let browser = state.page_context.browser(headers);
    let transaction = state.transactions.begin(&browser, Purpose::Authorize(request.clone()), peer).await?;
    go_on(state, id, headers, browser, transaction, &request, client).await
}

/// A step of the sign-in came back. Everything is read from the transaction, nothing from the browser (threat 8).
async fn resume(
    state: &AuthorizeState,
    id: &RequestId,
    peer: IpAddr,
    headers: &HeaderMap,
    transaction: &TransactionId,
) -> Result<Response, StoreError> {
    let expired = || {
        let error =
            PageError::new("This sign-in has ended", "It took too long, was finished already, or began in another browser.")
                .hint("Start again from the application.");
        Ok(state.page_context.error(StatusCode::BAD_REQUEST, id, error))
    };
    let Some(browser) = state.page_context.known_browser(headers) else { return expired() };
    let Some(transaction) = state.transactions.find(&browser, transaction).await? else { return expired() };
    let Purpose::Authorize(request) = transaction.purpose.clone() else { return expired() };
    let client = match state.directory.find(&request.client, peer).await {
        Ok(Some(client)) => client,
        Ok(None) => return expired(),
        Err(error) => return no_client(state, id, error),
    };
    if consent::fingerprint(&client) != request.fingerprint {
        // What the person is asked, or has answered, is about another client than this one has become (threat 28).
        tracing::warn!(client_id = %client.id, "the client changed during a sign-in");
        return Ok(refuse(state, id, "it has changed its addresses or keys since you began"));
    }
    go_on(state, id, headers, browser, transaction, &request, client).await
}

/// Decides the next step and takes it.
async fn go_on(
    state: &AuthorizeState,
    id: &RequestId,
    headers: &HeaderMap,
    browser: Browser,
    transaction: BrowserTransaction,
    request: &AuthorizationRequest,
    client: Client,
) -> Result<Response, StoreError> {
    let (login, user) = state.page_context.login(headers).await?.unzip();
    let remembered = match &login {
        Some(login) => state.consents.find_consent(&login.user, &request.client, &request.resources).await?,
        None => None,
    };
    let (login, remembered, now) = (login.as_ref(), remembered.as_ref(), state.page_context.clock.now());
    let standing = AuthorizationProgress { request, transaction: &transaction, login, remembered, now };
    let step = standing.next_step(&client, &state.resources);
    tracing::debug!(?step, client_id = %client.id, "authorization goes on");
    match (step, progress.current_login().zip(user.as_ref())) {
        (Step::IssueCode, Some((login, user))) => {
            let consent = transaction.consented_at.is_some().then(|| consent::remember(request, &user.id, remembered, now));
            issue_code(state, id, &transaction, request, login, user, consent).await
        }
        (Step::SignIn | Step::IssueCode, _) => {
            Ok(browser.accompany(see_other(&format!("/auth/signin?transaction={}", transaction.id))))
        }
        (Step::AskConsent | Step::AskToContinue, person) => {
            let user = person.map(|(_, user)| user);
            // What a person allowed is not shown before they have signed in.
            let remembered = remembered.filter(|_| user.is_some());
            let asking = Asking { transaction: &transaction, request, client: &client, user, remembered };
            let page =
                asking.page(&state.page_context, &browser, &state.resources, &state.providers, step == Step::AskToContinue);
            Ok(browser.accompany(page))
        }
        (Step::Refuse(code), _) => {
            state.transactions.take(&transaction).await?;
            Ok(refuse_unseen(state, id, &standing, &client, code))
        }
    }
}

/// A page would be needed, and the client wants none. The client is told by redirect only if that makes no open redirector of us
/// (threat 11); else the person sees where they are.
fn refuse_unseen(state: &AuthorizeState, id: &RequestId, standing: &AuthorizationProgress<'_>, client: &Client, code: ErrorCode) -> Response {
    let refusal = authorize::refusal(code);
    tracing::info!(client_id = %client.id, %refusal, "authorization needs a page, and the client wants none");
    let address = standing.request.return_address();
    let back = authorize::error_redirect(&address, &refusal, state.resources.public_url().as_str());
    if let Some(back) = back.as_ref().filter(|_| standing.may_be_told(client)) {
        return see_other(back);
    }
    let text = format!("{} wanted to be let in without asking you, and that cannot be done now.", client.display_name());
    let error = PageError::new("You have not allowed this", text)
        .hint("If you did not expect this, close the page: nothing has happened.")
        .telling(back);
    state.page_context.error(StatusCode::BAD_REQUEST, id, error)
}

/// The last step, taken once: the transaction is taken out, and the browser goes back to the client with a code.
async fn issue_code(
    state: &AuthorizeState,
    id: &RequestId,
    transaction: &BrowserTransaction,
    request: &AuthorizationRequest,
    login: &Login,
    user: &User,
    consent: Option<Consent>,
) -> Result<Response, StoreError> {
    let now = state.page_context.clock.now();
    if !state.transactions.take(transaction).await? {
        let error = PageError::new("This sign-in has ended", "It was finished already.").hint("Go back to the application.");
        return Ok(state.page_context.error(StatusCode::BAD_REQUEST, id, error));
    }
    if let Some(consent) = consent {
        state.consents.save_consent(&consent).await?;
    }
    let (secret, code) =
        authorize::issue_code(request, user, login, now, state.lifetimes.authorization_code, &*state.page_context.entropy);
    state.grants.insert_code(&code).await?;
    tracing::info!(user = %user.id, client_id = %request.client, resources = %request.resources, scope = %request.scopes, "code issued");
    let issuer = state.resources.public_url().as_str();
    let location = authorize::success_redirect(&request.return_address(), &secret, issuer);
    if request.redirect_uri.is_private_use() { Ok(signed_in(state, user, &location)) } else { Ok(see_other(&location)) }
}

/// A redirect to a scheme of a program's own opens the program and leaves the browser where it was: on the consent page. So the
/// browser gets a page that says what happened, goes on by itself, and has a button for browsers that will not.
fn signed_in(state: &AuthorizeState, user: &User, location: &str) -> Response {
    let page = SignedInPage {
        frame: state.page_context.frame(Some(user)),
        name: Label::from(user.display_name()),
        back: BackLink { label: Label::from("Go back to your application"), href: location.into() },
    };
    let mut response = state.page_context.respond(StatusCode::OK, &page);
    if let Ok(refresh) = HeaderValue::from_str(&format!("0;url={location}")) {
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    response
}
