//! `GET /auth/authorize`: the authorization endpoint (RFC 6749 section 4.1.1), and the place every step of a sign-in returns to.
//! It alone decides what comes next; the rules are `portunus_core::oauth::authorize`.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    response::Response,
    routing,
};
use http::{HeaderMap, StatusCode};
use portunus_core::{
    client::Client,
    ids::{ClientId, TransactionId},
    lifetimes::Lifetimes,
    oauth::{
        authorize::{self, Step},
        consent::{self, Reach},
        params::Params,
    },
    principal::User,
    resource::Resources,
    signin::{AuthorizationRequest, Login, Purpose, Transaction},
    store::{ConsentStore, GrantStore, StoreError, TransactionStore},
};

use crate::edge::{
    browser::{Browser, Desk, PageError, see_other},
    clients::{ClientDirectory, NoClient},
    house::Providers,
    layers::RequestId,
    pages::{ConsentPage, Label, ScopeLine, UrlText, when},
};

#[derive(Clone)]
pub struct AuthorizeRoom {
    pub desk: Desk,
    pub directory: ClientDirectory,
    pub transactions: Arc<dyn TransactionStore>,
    pub consents: Arc<dyn ConsentStore>,
    pub grants: Arc<dyn GrantStore>,
    pub resources: Arc<Resources>,
    pub providers: Providers,
    pub lifetimes: Lifetimes,
}

pub fn routes(room: AuthorizeRoom) -> Router {
    Router::new().route("/auth/authorize", routing::get(get)).route("/authorize", routing::get(get)).with_state(room)
}

async fn get(
    State(room): State<AuthorizeRoom>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let params = match Params::parse(query.unwrap_or_default().as_bytes()) {
        Ok(params) => params,
        Err(bad) => return refuse(&room, &id, &bad.to_string()),
    };
    let outcome = match params.find("transaction") {
        Some(transaction) => resume(&room, &id, &headers, &TransactionId::from_text(transaction)).await,
        None => begin(&room, &id, &headers, &params).await,
    };
    outcome.unwrap_or_else(|error| room.desk.store_down(&id, &error))
}

/// A client's request that cannot be trusted enough to be answered anywhere but here (threats 4, 11).
fn refuse(room: &AuthorizeRoom, id: &RequestId, problem: &str) -> Response {
    tracing::warn!(problem, "authorization request refused");
    let error =
        PageError::new("This request cannot be used", format!("The application sent a request we do not accept: {problem}."))
            .hint(
                "Close this page and start again from the application. If it happens again, tell its maker what this page says.",
            );
    room.desk.error(StatusCode::BAD_REQUEST, id, error)
}

/// It cannot be said which client that is: its document is none, or is away.
fn no_client(room: &AuthorizeRoom, id: &RequestId, error: NoClient) -> Result<Response, StoreError> {
    match error {
        NoClient::Store(error) => Err(error),
        NoClient::Refused(problem) => Ok(refuse(room, id, &problem)),
        NoClient::Unreachable => {
            let text = "The application describes itself in a document on the web, and that cannot be fetched just now.";
            let error = PageError::new("This application cannot be looked up", text).hint("Try again in a minute.");
            Ok(room.desk.error(StatusCode::SERVICE_UNAVAILABLE, id, error))
        }
    }
}

/// A new request of a client.
async fn begin(room: &AuthorizeRoom, id: &RequestId, headers: &HeaderMap, params: &Params) -> Result<Response, StoreError> {
    let Some(client_id) = params.find("client_id") else { return Ok(refuse(room, id, "client_id is missing")) };
    let client = match room.directory.find(&ClientId::from_text(client_id)).await {
        Ok(Some(client)) => client,
        Ok(None) => return Ok(refuse(room, id, "the client_id is not registered here; the application must register again")),
        Err(error) => return no_client(room, id, error),
    };
    let address = match authorize::return_address(params, &client) {
        Ok(address) => address,
        Err(problem) => return Ok(refuse(room, id, &problem.description)),
    };
    let request = match authorize::check(params, &client, address.clone(), &room.resources) {
        Ok(request) => request,
        Err(problem) => {
            tracing::warn!(client_id = %client.id, %problem, "authorization request refused");
            let back = authorize::error_redirect(&address, &problem, room.resources.public_url().as_str());
            let text = format!("{} sent a request we do not accept: {}.", client.display_name(), problem.description);
            let error = PageError::new("This request cannot be used", text).back("Tell the application, and go back to it", back);
            return Ok(room.desk.error(StatusCode::BAD_REQUEST, id, error));
        }
    };
    let browser = room.desk.browser(headers);
    let transaction = authorize::begin(
        Purpose::Authorize(request.clone()),
        browser.hash(),
        room.desk.clock.now(),
        room.lifetimes.sign_in,
        &*room.desk.entropy,
    );
    room.transactions.insert_transaction(&transaction).await?;
    go_on(room, id, headers, browser, transaction, &request, client).await
}

/// A step of the sign-in came back. Everything is read from the transaction, nothing from the browser (threat 8).
async fn resume(
    room: &AuthorizeRoom,
    id: &RequestId,
    headers: &HeaderMap,
    transaction: &TransactionId,
) -> Result<Response, StoreError> {
    let expired = || {
        let error =
            PageError::new("This sign-in has ended", "It took too long, was finished already, or began in another browser.")
                .hint("Start again from the application.");
        Ok(room.desk.error(StatusCode::BAD_REQUEST, id, error))
    };
    let Some(browser) = room.desk.known_browser(headers) else { return expired() };
    let found = room.transactions.find_transaction(transaction, room.desk.clock.now()).await?;
    let Some(transaction) = found.filter(|found| found.browser == browser.hash()) else { return expired() };
    let Purpose::Authorize(request) = transaction.purpose.clone() else { return expired() };
    let client = match room.directory.find(&request.client).await {
        Ok(Some(client)) => client,
        Ok(None) => return expired(),
        Err(error) => return no_client(room, id, error),
    };
    go_on(room, id, headers, browser, transaction, &request, client).await
}

/// Decides the next step and takes it.
async fn go_on(
    room: &AuthorizeRoom,
    id: &RequestId,
    headers: &HeaderMap,
    browser: Browser,
    transaction: Transaction,
    request: &AuthorizationRequest,
    client: Client,
) -> Result<Response, StoreError> {
    let signed_in = room.desk.login(headers).await?;
    let remembered = match &signed_in {
        Some((login, _)) => room.consents.find_consent(&login.user, &request.client, &request.resource).await?,
        None => None,
    };
    let login = signed_in.as_ref().map(|(login, _)| login);
    let step = authorize::next_step(request, transaction.consented_at, login, remembered.as_ref());
    tracing::debug!(?step, client_id = %client.id, "authorization goes on");
    match (step, signed_in) {
        (Step::IssueCode, Some((login, user))) => issue_code(room, id, &transaction, request, &login, &user).await,
        (Step::SignIn | Step::IssueCode, _) => {
            Ok(browser.accompany(see_other(&format!("/auth/signin?transaction={}", transaction.id))))
        }
        (Step::AskConsent, signed_in) => {
            let page = consent_page(room, &browser, &transaction, request, &client, signed_in.map(|(_, user)| user).as_ref());
            Ok(browser.accompany(room.desk.respond(StatusCode::OK, &page)))
        }
    }
}

/// The last step, taken once: the transaction is taken out, and the browser goes back to the client with a code.
async fn issue_code(
    room: &AuthorizeRoom,
    id: &RequestId,
    transaction: &Transaction,
    request: &AuthorizationRequest,
    login: &Login,
    user: &User,
) -> Result<Response, StoreError> {
    let now = room.desk.clock.now();
    if room.transactions.take_transaction(&transaction.id, now).await?.is_none() {
        let error = PageError::new("This sign-in has ended", "It was finished already.").hint("Go back to the application.");
        return Ok(room.desk.error(StatusCode::BAD_REQUEST, id, error));
    }
    if transaction.consented_at.is_some() {
        room.consents.save_consent(&consent::remember(request, &user.id, now)).await?;
    }
    let (secret, code) = authorize::issue_code(request, user, login, now, room.lifetimes.authorization_code, &*room.desk.entropy);
    room.grants.insert_code(&code).await?;
    tracing::info!(user = %user.id, client_id = %request.client, resource = %request.resource, scope = %request.scopes, "code issued");
    let issuer = room.resources.public_url().as_str();
    Ok(see_other(&authorize::success_redirect(&request.return_address(), &secret, issuer)))
}

fn consent_page(
    room: &AuthorizeRoom,
    browser: &Browser,
    transaction: &Transaction,
    request: &AuthorizationRequest,
    client: &Client,
    user: Option<&User>,
) -> ConsentPage {
    let question = consent::question(request, client, &room.resources);
    let (resource_label, servers) = match question.reach {
        Reach::Service(pattern) => (Label::from(&pattern), vec![Label::from(&pattern)]),
        Reach::Servers(servers) if request.resource == room.resources.root() => {
            let label = if servers.len() == 1 { "one server" } else { "your MCP servers" };
            (Label::from(label), servers.iter().map(|name| Label::from(name.as_str())).collect())
        }
        Reach::Servers(servers) => {
            let names: Vec<_> = servers.iter().map(|name| Label::from(name.as_str())).collect();
            (names.first().cloned().unwrap_or_default(), names)
        }
    };
    ConsentPage {
        frame: room.desk.frame(user),
        client_name: Label::from(client.display_name()),
        client_id: UrlText::from(client.id.as_str()),
        client_uri: client.client_uri.as_deref().map(UrlText::from),
        registered: when::day(client.created_at, room.desk.clock.now()),
        resource_label,
        resource: UrlText::from(request.resource.as_str()),
        servers,
        scopes: question.scopes.into_iter().map(|line| ScopeLine { name: Label::from(line.scope), words: line.words }).collect(),
        redirect_uri: UrlText::from(request.redirect_uri.as_str()),
        redirect_host: UrlText::from(question.redirect_host),
        all_local: question.all_local,
        user: user.map(|user| Label::from(user.display_name())),
        provider_label: Label::from(room.providers.label()),
        transaction: transaction.id.to_string(),
        csrf: room.desk.csrf(browser),
    }
}
