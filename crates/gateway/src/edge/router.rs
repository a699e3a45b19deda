//! The only file where endpoints and layers are put together, and each endpoint gets its state.
//! [`super::reloadable_service`] is what requests come to.

use std::sync::Arc;

use axum::{Router, handler::Handler as _, middleware};
use portunus_core::{
    oauth::{metadata::Features, registration_policy::RegistrationMethod, token::is_service},
    resource::Target,
};

use super::{
    app_state::AppState,
    body,
    browser::PageContext,
    cookies::CookieJar,
    front_page::{self, FrontPageState},
    health::{self, HealthState},
    layers::EdgeState,
    mcp::tools::{self, ToolsState},
    oauth::{
        authorize, callback, consent, disconnect, introspect, manage, metadata, register, revoke,
        signin, signout,
        support::{client_gate::ClientGate, transactions::Transactions},
        token,
    },
    pages::assets,
    resource_server::{
        bearer::Bearer,
        endpoint::{self, ResourceServerState},
    },
    throttle::{
        layer::{self, ThrottleState},
        limiter::Gate,
    },
};

/// The whole HTTP surface. `extra` are routes of the demo; no other gateway has any.
pub fn build(app: &AppState, extra: Router) -> EdgeState {
    let page_context = PageContext {
        cookies: CookieJar::new(app.resources.public_url()),
        keys: app.keys.clone(),
        logins: Arc::clone(&app.process.stores.logins),
        providers: app.providers.clone(),
        clock: Arc::clone(&app.process.clock),
        entropy: Arc::clone(&app.process.entropy),
        lifetimes: app.lifetimes,
        demo: app.process.demo,
    };
    let throttle = &app.throttle;
    let at = |gate, page_context: Option<&PageContext>| {
        let state =
            ThrottleState { throttle: throttle.clone(), gate, page_context: page_context.cloned() };
        middleware::from_fn_with_state(state, layer::by_address)
    };
    let bearer = Bearer {
        grants: Arc::clone(&app.process.stores.grants),
        logins: Arc::clone(&app.process.stores.logins),
        cache: app.process.tokens.clone(),
        resources: Arc::clone(&app.resources),
        admission: app.process.admission.subscribe(),
        clock: Arc::clone(&app.process.clock),
        disabled: app.process.disabled.clone(),
        reader: app.group_reader(),
        lifetimes: app.lifetimes,
    };
    // A request that is refused for its address is not read first; all others are read whole before
    // their endpoint sees them.
    let forms = Router::new()
        .merge(oauth(app, &page_context).layer(at(Gate::Authorize, Some(&page_context))))
        .merge(clients(app).layer(at(Gate::Registration, None)))
        .merge(tokens(app).layer(at(Gate::Token, None)))
        .merge(people(app, &page_context, &bearer));
    let endpoints = Router::new()
        .merge(health::routes(HealthState {
            upkeep: Arc::clone(&app.process.stores.upkeep),
            cluster: app.process.cluster.clone(),
            stopping: app.process.stopping.clone(),
        }))
        .merge(assets::routes())
        .merge(metadata(app))
        .merge(forms.layer(middleware::from_fn_with_state(app.process.audit.clone(), body::whole)))
        .merge(extra)
        .fallback_service(endpoint::any.with_state(Arc::new(guarded(app, bearer))));
    EdgeState {
        public_url: app.resources.public_url().clone(),
        admission: app.admission.clone(),
        entropy: Arc::clone(&app.process.entropy),
        stopping: app.process.stopping.clone(),
        audit: app.process.audit.clone(),
        metrics: app.process.metrics.clone(),
        demo: app.process.demo,
        throttle: app.throttle.clone(),
        requests: app.process.counts.requests_by_address.clone(),
        requests_per_address: app.limits.requests_per_address,
        endpoints,
    }
}

/// What the gateway says of itself.
fn metadata(app: &AppState) -> Router {
    metadata::routes(metadata::MetadataState {
        resources: Arc::clone(&app.resources),
        features: features(app),
        directory: app.directory(),
    })
}

/// Where people sign in and allow clients.
fn oauth(app: &AppState, page_context: &PageContext) -> Router {
    let stores = &app.process.stores;
    let transactions = Transactions {
        store: Arc::clone(&stores.transactions),
        clock: Arc::clone(&app.process.clock),
        entropy: Arc::clone(&app.process.entropy),
        lifetime: app.lifetimes.sign_in,
        per_address: app.limits.sign_ins_per_address,
    };
    Router::new()
        .merge(authorize::routes(authorize::AuthorizeState {
            page_context: page_context.clone(),
            directory: app.directory(),
            transactions: transactions.clone(),
            consents: Arc::clone(&stores.consents),
            grants: Arc::clone(&stores.grants),
            resources: Arc::clone(&app.resources),
            providers: app.providers.clone(),
            lifetimes: app.lifetimes,
        }))
        .merge(consent::routes(consent::ConsentState {
            page_context: page_context.clone(),
            transactions: transactions.clone(),
            directory: app.directory(),
            resources: Arc::clone(&app.resources),
        }))
        .merge(signin::routes(signin::SignInState {
            page_context: page_context.clone(),
            transactions: transactions.clone(),
            providers: app.providers.clone(),
            public_url: app.resources.public_url().clone(),
            lifetimes: app.lifetimes,
        }))
        .merge(callback::routes(callback::CallbackState {
            page_context: page_context.clone(),
            transactions: transactions.clone(),
            logins: Arc::clone(&stores.logins),
            provider_tokens: Arc::clone(&stores.provider_tokens),
            providers: app.providers.clone(),
            resources: Arc::clone(&app.resources),
            lifetimes: app.lifetimes,
            access: app.process.access.clone(),
            disabled: Arc::clone(&stores.disabled),
        }))
        .merge(signout::routes(signout::SignOutState {
            page_context: page_context.clone(),
            logins: Arc::clone(&stores.logins),
            providers: app.providers.clone(),
            public_url: app.resources.public_url().clone(),
        }))
}

/// Where clients come to be.
fn clients(app: &AppState) -> Router {
    let stores = &app.process.stores;
    Router::new()
        .merge(register::routes(register::RegisterState {
            clients: Arc::clone(&stores.clients),
            registration_policy: Arc::clone(&app.registration_policy),
            public_url: app.resources.public_url().clone(),
            clock: Arc::clone(&app.process.clock),
            entropy: Arc::clone(&app.process.entropy),
            max_unused_clients: app.max_unused_clients,
        }))
        .merge(manage::routes(manage::ManageState {
            clients: Arc::clone(&stores.clients),
            registration_policy: Arc::clone(&app.registration_policy),
            public_url: app.resources.public_url().clone(),
            clock: Arc::clone(&app.process.clock),
            entropy: Arc::clone(&app.process.entropy),
            disabled: app.process.disabled.clone(),
        }))
}

/// Where clients exchange, end and look at tokens: all behind one gate.
fn tokens(app: &AppState) -> Router {
    let stores = &app.process.stores;
    let gate = ClientGate {
        directory: app.directory(),
        assertions: app.assertions(),
        throttle: app.throttle.clone(),
    };
    Router::new()
        .merge(token::routes(token::TokenState {
            gate: gate.clone(),
            clients: Arc::clone(&stores.clients),
            logins: Arc::clone(&stores.logins),
            grants: Arc::clone(&stores.grants),
            resources: Arc::clone(&app.resources),
            providers: app.providers.clone(),
            clock: Arc::clone(&app.process.clock),
            entropy: Arc::clone(&app.process.entropy),
            lifetimes: app.lifetimes,
            disabled: app.process.disabled.clone(),
            reader: app.group_reader(),
        }))
        .merge(revoke::routes(revoke::RevokeState {
            gate: gate.clone(),
            grants: Arc::clone(&stores.grants),
            clock: Arc::clone(&app.process.clock),
        }))
        .merge(introspect::routes(introspect::IntrospectState {
            gate,
            grants: Arc::clone(&stores.grants),
            logins: Arc::clone(&stores.logins),
            providers: app.providers.clone(),
            public_url: app.resources.public_url().clone(),
            clock: Arc::clone(&app.process.clock),
            lifetimes: app.lifetimes,
        }))
}

/// What metadata advertises.
fn features(app: &AppState) -> Features {
    Features {
        registration: app.registration_policy.is_open(RegistrationMethod::Registration),
        metadata_documents: app.registration_policy.is_open(RegistrationMethod::MetadataDocument),
        client_credentials: app.configured_clients.iter().any(is_service),
    }
}

/// What people look at: the front page, and the list of tools.
fn people(app: &AppState, page_context: &PageContext, bearer: &Bearer) -> Router {
    let proxy_patterns = app.resources.targets().filter_map(|target| match target {
        Target::Proxy { pattern } => Some(pattern.clone()),
        Target::Server(_) | Target::All => None,
    });
    Router::new()
        .merge(front_page::routes(FrontPageState {
            page_context: page_context.clone(),
            directory: app.directory(),
            grants: Arc::clone(&app.process.stores.grants),
            resources: Arc::clone(&app.resources),
            access: app.process.access.clone(),
            server_kinds: app.server_kinds.clone().into(),
            proxy_patterns: proxy_patterns.collect(),
        }))
        .merge(disconnect::routes(disconnect::DisconnectState {
            page_context: page_context.clone(),
            grants: Arc::clone(&app.process.stores.grants),
            consents: Arc::clone(&app.process.stores.consents),
        }))
        .merge(tools::routes(ToolsState {
            page_context: page_context.clone(),
            bearer: bearer.clone(),
            resources: Arc::clone(&app.resources),
            mcp: app.mcp_state(),
        }))
}

/// Everything behind a token.
fn guarded(app: &AppState, bearer: Bearer) -> ResourceServerState {
    ResourceServerState {
        bearer,
        resources: Arc::clone(&app.resources),
        mcp: app.mcp_state(),
        proxy: app.proxy.clone(),
    }
}
