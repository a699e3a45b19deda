//! Requests on `/mcp`: the server is found, the name there put in, everything else goes on as it came.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    kind::Kind,
    merge, quarantine, route,
    tasks::{self, dialect},
};
use crate::{
    hub::{
        Inner,
        ask::{Ask, Subscription},
        reply::{Problem, Reply, done},
    },
    wire::{self, Payload},
};

pub(crate) async fn request(hub: &Arc<Inner>, ask: &Ask) -> Reply {
    if let Some(kind) = Kind::of_method(&ask.method) {
        return merge::list(hub, ask, kind).await;
    }
    match ask.method.as_str() {
        "tools/call" => named(hub, ask, Kind::Tools).await,
        "prompts/get" => named(hub, ask, Kind::Prompts).await,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => resource(hub, ask).await,
        "completion/complete" => complete(hub, ask).await,
        "logging/setLevel" => {
            ask.note_level()?;
            hub.spread_level(ask.session()?).await;
            Ok(done())
        }
        method => match dialect::Method::of(method, ask.era) {
            Some(method) => tasks::request(hub, ask, method).await,
            None => Err(Problem::method_not_found(method)),
        },
    }
}

/// May the caller have this at all? What a list shows is filtered.
pub(crate) async fn guard(hub: &Arc<Inner>, ask: &Ask) -> Result<(), Problem> {
    let name = || Ok::<_, Problem>(ask.head()?.name.unwrap_or_default());
    match ask.method.as_str() {
        "tools/call" => route::by_name(hub, ask, Kind::Tools, &name()?).await.map(drop),
        "prompts/get" => route::by_name(hub, ask, Kind::Prompts, &name()?).await.map(drop),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            route::by_uri(hub, ask, &ask.head()?.uri.unwrap_or_default()).await.map(drop)
        }
        "completion/complete" => {
            let reference = ask.head()?.reference.unwrap_or_default();
            match (reference.name, reference.uri) {
                (Some(name), _) => route::by_name(hub, ask, Kind::Prompts, &name).await.map(drop),
                (None, uri) => route::by_template(hub, ask, &uri.unwrap_or_default()).await.map(drop),
            }
        }
        method if dialect::Method::of(method, ask.era).is_some() => tasks::guard(hub, ask).await,
        _ => Ok(()),
    }
}

async fn named(hub: &Arc<Inner>, ask: &Ask, kind: Kind) -> Reply {
    let (Some(name), Some(params)) = (ask.head()?.name, &ask.params) else { return Err(Problem::missing("name")) };
    let found = route::by_name(hub, ask, kind, &name).await?;
    if kind == Kind::Tools {
        quarantine::guard(hub, &found.server, &ask.asker, &found.name).await?;
    }
    let params = wire::replace_name(params, &found.name)?;
    ask.forward(hub, &found.server, Some(params)).await
}

async fn resource(hub: &Arc<Inner>, ask: &Ask) -> Reply {
    let uri = ask.head()?.uri.ok_or_else(|| Problem::missing("uri"))?;
    let server = route::by_uri(hub, ask, &uri).await?;
    match ask.method.as_str() {
        "resources/subscribe" => hub.subscribe(&server, ask, &uri, Subscription::Begin).await,
        "resources/unsubscribe" => hub.subscribe(&server, ask, &uri, Subscription::End).await,
        _ => ask.forward(hub, &server, ask.params.clone()).await,
    }
}

async fn complete(hub: &Arc<Inner>, ask: &Ask) -> Reply {
    let (Some(reference), Some(params)) = (ask.head()?.reference, &ask.params) else { return Err(Problem::missing("ref")) };
    match (reference.kind.as_deref(), reference.name, reference.uri) {
        (Some("ref/prompt"), Some(name), _) => {
            let found = route::by_name(hub, ask, Kind::Prompts, &name).await?;
            let own = Payload::trusted(Bytes::from(wire::quote(&found.name)));
            let params = wire::replace_member(params, &["ref", "name"], &own)?;
            ask.forward(hub, &found.server, Some(params)).await
        }
        (Some("ref/resource"), _, Some(uri)) => {
            let server = route::by_template(hub, ask, &uri).await?;
            ask.forward(hub, &server, ask.params.clone()).await
        }
        _ => Err(Problem::invalid_params("`ref` must be a ref/prompt with a name or a ref/resource with a uri")),
    }
}
