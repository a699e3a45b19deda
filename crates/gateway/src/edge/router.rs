//! The only place where endpoints and layers are put together, and rooms are handed what they need. [`super::front`] is what stands before
//! them.

use std::sync::Arc;

use axum::{Router, handler::Handler as _, middleware};
use portunus_core::{
    oauth::{metadata::Features, token::is_service, ways::Way},
    resource::Target,
};

use super::{
    body,
    browser::PageContext,
    cookies::CookieJar,
    health::{self, HealthRoom},
    home::{self, HomeRoom},
    house::House,
    layers::LayerRoom,
    oauth::{authorize, callback, consent, disconnect, introspect, manage, metadata, register, revoke, signin, signout, token},
    oauth_clients::ClientGate,
    pages::assets,
    protect::{
        bearer::Bearer,
        door::{self, DoorRoom},
    },
    throttle::{self, Gate, ThrottleRoom},
    tools::{self, ToolsRoom},
    transactions::Transactions,
};

/// The whole HTTP surface. `extra` are routes of the demo; nobody else has any.
pub fn build(house: &House, extra: Router) -> LayerRoom {
    let page_context = PageContext {
        cookies: CookieJar::new(house.resources.public_url()),
        keys: house.keys.clone(),
        logins: Arc::clone(&house.ground.stores.logins),
        providers: house.providers.clone(),
        clock: Arc::clone(&house.ground.clock),
        entropy: Arc::clone(&house.ground.entropy),
        lifetimes: house.lifetimes,
        demo: house.ground.demo,
    };
    let throttle = &house.throttle;
    let at = |gate, page_context: Option<&PageContext>| {
        let room = ThrottleRoom { throttle: throttle.clone(), gate, page_context: page_context.cloned() };
        middleware::from_fn_with_state(room, throttle::by_address)
    };
    let bearer = Bearer {
        grants: Arc::clone(&house.ground.stores.grants),
        logins: Arc::clone(&house.ground.stores.logins),
        cache: house.ground.tokens.clone(),
        resources: Arc::clone(&house.resources),
        admission: house.ground.admission.subscribe(),
        clock: Arc::clone(&house.ground.clock),
    };
    // A request that is refused for its address is not read first; all others are read whole before their endpoint sees them.
    let forms = Router::new()
        .merge(oauth(house, &page_context).layer(at(Gate::Authorize, Some(&page_context))))
        .merge(clients(house, &bearer).layer(at(Gate::Registration, None)))
        .merge(tokens(house, &bearer).layer(at(Gate::Token, None)))
        .merge(people(house, &page_context, &bearer));
    let endpoints = Router::new()
        .merge(health::routes(HealthRoom {
            upkeep: Arc::clone(&house.ground.stores.upkeep),
            cluster: house.ground.cluster.clone(),
            stopping: house.ground.stopping.clone(),
        }))
        .merge(assets::routes())
        .merge(metadata(house))
        .merge(forms.layer(middleware::from_fn(body::whole)))
        .merge(extra)
        .fallback_service(door::any.with_state(Arc::new(guarded(house, bearer))));
    LayerRoom {
        public_url: house.resources.public_url().clone(),
        admission: house.admission.clone(),
        entropy: Arc::clone(&house.ground.entropy),
        stopping: house.ground.stopping.clone(),
        demo: house.ground.demo,
        throttle: house.throttle.clone(),
        requests: house.ground.counts.requests_by_address.clone(),
        requests_per_address: house.limits.requests_per_address,
        endpoints,
    }
}

/// What the gateway says of itself.
fn metadata(house: &House) -> Router {
    metadata::routes(metadata::MetadataRoom {
        resources: Arc::clone(&house.resources),
        features: features(house),
        directory: house.directory(),
    })
}

/// Where people sign in and allow clients.
fn oauth(house: &House, page_context: &PageContext) -> Router {
    let stores = &house.ground.stores;
    let transactions = Transactions {
        store: Arc::clone(&stores.transactions),
        clock: Arc::clone(&house.ground.clock),
        entropy: Arc::clone(&house.ground.entropy),
        lifetime: house.lifetimes.sign_in,
        per_address: house.limits.sign_ins_per_address,
    };
    Router::new()
        .merge(authorize::routes(authorize::AuthorizeRoom {
            page_context: page_context.clone(),
            directory: house.directory(),
            transactions: transactions.clone(),
            consents: Arc::clone(&stores.consents),
            grants: Arc::clone(&stores.grants),
            resources: Arc::clone(&house.resources),
            providers: house.providers.clone(),
            lifetimes: house.lifetimes,
        }))
        .merge(consent::routes(consent::ConsentRoom {
            page_context: page_context.clone(),
            transactions: transactions.clone(),
            directory: house.directory(),
            resources: Arc::clone(&house.resources),
        }))
        .merge(signin::routes(signin::SignInRoom {
            page_context: page_context.clone(),
            transactions: transactions.clone(),
            providers: house.providers.clone(),
            public_url: house.resources.public_url().clone(),
            lifetimes: house.lifetimes,
        }))
        .merge(callback::routes(callback::CallbackRoom {
            page_context: page_context.clone(),
            transactions: transactions.clone(),
            logins: Arc::clone(&stores.logins),
            providers: house.providers.clone(),
            resources: Arc::clone(&house.resources),
            lifetimes: house.lifetimes,
        }))
        .merge(signout::routes(signout::SignOutRoom {
            page_context: page_context.clone(),
            logins: Arc::clone(&stores.logins),
            providers: house.providers.clone(),
            public_url: house.resources.public_url().clone(),
        }))
}

/// Where clients come to be.
fn clients(house: &House, bearer: &Bearer) -> Router {
    let stores = &house.ground.stores;
    Router::new()
        .merge(register::routes(register::RegisterRoom {
            clients: Arc::clone(&stores.clients),
            ways: Arc::clone(&house.ways),
            public_url: house.resources.public_url().clone(),
            clock: Arc::clone(&house.ground.clock),
            entropy: Arc::clone(&house.ground.entropy),
            max_unused_clients: house.max_unused_clients,
        }))
        .merge(manage::routes(manage::ManageRoom {
            clients: Arc::clone(&stores.clients),
            cache: bearer.cache.clone(),
            ways: Arc::clone(&house.ways),
            public_url: house.resources.public_url().clone(),
            clock: Arc::clone(&house.ground.clock),
            entropy: Arc::clone(&house.ground.entropy),
        }))
}

/// Where clients exchange, end and look at tokens: all behind one gate.
fn tokens(house: &House, bearer: &Bearer) -> Router {
    let stores = &house.ground.stores;
    let gate = ClientGate { directory: house.directory(), assertions: house.assertions(), throttle: house.throttle.clone() };
    Router::new()
        .merge(token::routes(token::TokenRoom {
            gate: gate.clone(),
            clients: Arc::clone(&stores.clients),
            logins: Arc::clone(&stores.logins),
            grants: Arc::clone(&stores.grants),
            cache: bearer.cache.clone(),
            resources: Arc::clone(&house.resources),
            providers: house.providers.clone(),
            clock: Arc::clone(&house.ground.clock),
            entropy: Arc::clone(&house.ground.entropy),
            lifetimes: house.lifetimes,
        }))
        .merge(revoke::routes(revoke::RevokeRoom {
            gate: gate.clone(),
            grants: Arc::clone(&stores.grants),
            cache: bearer.cache.clone(),
            clock: Arc::clone(&house.ground.clock),
        }))
        .merge(introspect::routes(introspect::IntrospectRoom {
            gate,
            grants: Arc::clone(&stores.grants),
            logins: Arc::clone(&stores.logins),
            providers: house.providers.clone(),
            public_url: house.resources.public_url().clone(),
            clock: Arc::clone(&house.ground.clock),
        }))
}

/// What metadata advertises.
fn features(house: &House) -> Features {
    Features {
        registration: house.ways.is_open(Way::Registration),
        metadata_documents: house.ways.is_open(Way::MetadataDocument),
        client_credentials: house.configured_clients.iter().any(is_service),
    }
}

/// What people look at: the front page, and the list of tools.
fn people(house: &House, page_context: &PageContext, bearer: &Bearer) -> Router {
    let proxy_patterns = house.resources.targets().filter_map(|target| match target {
        Target::Proxy { pattern } => Some(pattern.clone()),
        Target::Server(_) | Target::All => None,
    });
    Router::new()
        .merge(home::routes(HomeRoom {
            page_context: page_context.clone(),
            directory: house.directory(),
            grants: Arc::clone(&house.ground.stores.grants),
            resources: Arc::clone(&house.resources),
            server_kinds: house.server_kinds.clone().into(),
            proxy_patterns: proxy_patterns.collect(),
        }))
        .merge(disconnect::routes(disconnect::DisconnectRoom {
            page_context: page_context.clone(),
            grants: Arc::clone(&house.ground.stores.grants),
            consents: Arc::clone(&house.ground.stores.consents),
            cache: bearer.cache.clone(),
        }))
        .merge(tools::routes(ToolsRoom {
            page_context: page_context.clone(),
            bearer: bearer.clone(),
            resources: Arc::clone(&house.resources),
            mcp: house.mcp_room(),
        }))
}

/// Everything behind a token.
fn guarded(house: &House, bearer: Bearer) -> DoorRoom {
    DoorRoom { bearer, resources: Arc::clone(&house.resources), mcp: house.mcp_room(), proxy: house.proxy.clone() }
}
