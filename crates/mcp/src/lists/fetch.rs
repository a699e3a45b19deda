//! Pulling one server's whole list, page by page, within bounds, and what the server says of how it
//! may be kept (MCP 2026-07-28, caching).

use std::{sync::Arc, time::Duration};

use portunus_core::ids::ServerName;

use crate::{
    connections::Connections,
    era::Era,
    header_params,
    registry::{
        kind::Kind,
        list::{self, Item, List},
    },
    session::requester::Requester,
    settings::HubSettings,
    upstream::{Call, UpstreamError},
    wire::{self, Outcome, Payload, capabilities, code},
};

const MAX_PAGES: usize = 200;

/// A server that says its lists are good for longer is asked again after this all the same.
const LONGEST: Duration = Duration::from_secs(3600);

/// How a list may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// `ttlMs`: of its pages, the one that is good for the shortest time.
    pub(crate) fresh_for: Option<Duration>,
    /// `cacheScope`: for the asking client alone, when a page says so.
    pub(crate) is_private: bool,
}

impl Keeping {
    fn narrow(&mut self, page: &Payload) {
        let ttl = wire::find_member(page, &["ttlMs"]).and_then(|ttl| ttl.read::<f64>().ok());
        // What is below nothing counts as nothing.
        let ttl = ttl
            .and_then(|ttl| Duration::try_from_secs_f64(ttl.max(0.0) / 1000.0).ok())
            .map(|ttl| ttl.min(LONGEST));
        self.fresh_for = self.fresh_for.into_iter().chain(ttl).min();
        self.is_private |= wire::find_member(page, &["cacheScope"])
            .is_some_and(|scope| scope.as_str() == "\"private\"");
    }
}

/// The list, and how it may be kept.
pub(crate) async fn list(
    connections: &Arc<Connections>,
    settings: &HubSettings,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
) -> Result<(List, Keeping), UpstreamError> {
    for _ in 0..2 {
        let mut keeping = Keeping::default();
        match pages(connections, settings, server, kind, requester, &mut keeping).await {
            // Begun anew, once: the server had forgotten the session.
            Err(UpstreamError::SessionExpired) => {}
            outcome => return outcome.map(|list| (list, keeping)),
        }
    }
    Err(UpstreamError::SessionExpired)
}

/// A server without the capability has an empty list, and is not asked for it.
async fn pages(
    connections: &Arc<Connections>,
    settings: &HubSettings,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
    keeping: &mut Keeping,
) -> Result<List, UpstreamError> {
    let peer = connections.connect(server, requester).await?;
    if !capabilities::has(&peer.info().capabilities, kind.capability()) {
        return Ok(List::default());
    }
    let mut list = List::default();
    let (mut bytes, mut cursor) = (0, None);
    for _ in 0..MAX_PAGES {
        let params =
            cursor.as_ref().map(|cursor: &Payload| wire::object(&[("cursor", cursor.as_str())]));
        let result = match peer.request(kind.method(), params, Call::default()).await? {
            Outcome::Result(result) => result,
            Outcome::Error(error) if is_unknown_method(&error) => return Ok(list),
            Outcome::Error(error) => return Err(refused(kind, &error)),
        };
        if peer.info().era == Era::Modern {
            keeping.narrow(&result);
        }
        let (items, next) = list::page(kind, &result).map_err(|e| protocol(kind, &e))?;
        for raw in items {
            bytes += raw.as_bytes().len();
            if list.to_judge().count() >= settings.max_items_per_list
                || bytes > settings.max_bytes_per_list
            {
                tracing::warn!(%server, list = kind.method(), "the list is too long: its end is left out");
                return Ok(list);
            }
            if kind == Kind::Tools
                && peer.info().era == Era::Modern
                && let Err(error) = header_params::of_tool(&raw)
            {
                tracing::warn!(%server, %error, "a tool is left out");
                leave_out(&mut list, raw);
                continue;
            }
            if kind == Kind::Tools
                && let Some(why) = unusable(&raw)
            {
                tracing::warn!(%server, tool = name_of(&raw), why, "a tool is left out of /mcp, where it would cost clients the whole list");
                leave_out(&mut list, raw);
                continue;
            }
            add(&mut list, server, kind, raw);
        }
        match next {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => return Ok(list),
        }
    }
    tracing::warn!(%server, list = kind.method(), "the list has too many pages: the last ones are left out");
    Ok(list)
}

/// Why strict clients would refuse a list with this tool in it (FB38): `inputSchema` is a JSON
/// Schema of an object, and so is `outputSchema` if it is there (MCP, tools, data types).
fn unusable(tool: &Payload) -> Option<&'static str> {
    let is_of_object = |schema: &Payload| {
        let members = wire::members(schema).ok();
        members.is_some_and(|members| {
            members.iter().any(|(key, value)| key == "type" && value.as_str() == "\"object\"")
        })
    };
    let members = wire::members(tool).ok()?;
    let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match (find("inputSchema"), find("outputSchema")) {
        (None, _) => Some("it has no inputSchema"),
        (Some(input), _) if !is_of_object(input) => {
            Some("its inputSchema is not of type \"object\"")
        }
        (_, Some(output)) if !is_of_object(output) => {
            Some("its outputSchema is not of type \"object\"")
        }
        _ => None,
    }
}

fn name_of(tool: &Payload) -> String {
    let name = wire::find_member(tool, &["name"])
        .and_then(|name| name.read::<String>().ok())
        .unwrap_or_default();
    name.escape_debug().take(100).collect()
}

/// It is known to be there all the same: at the server's own address it can be called.
fn leave_out(list: &mut List, tool: Payload) {
    if let Ok(Some(item)) = Item::parse(Kind::Tools, tool) {
        list.leave_out(item);
    }
}

fn add(list: &mut List, server: &ServerName, kind: Kind, raw: Payload) {
    match Item::parse(kind, raw) {
        Ok(Some(item)) => {
            let id = item.id.clone();
            if !list.push(item) {
                tracing::warn!(%server, list = kind.method(), %id, "listed twice: the first one counts");
            }
        }
        Ok(None) => {
            tracing::warn!(%server, list = kind.method(), "an item without {:?} is left out", kind.id());
        }
        Err(error) => {
            tracing::warn!(%server, list = kind.method(), %error, "an item that cannot be read is left out");
        }
    }
}

/// Servers with resources need not have templates.
fn is_unknown_method(error: &Payload) -> bool {
    wire::members(error).is_ok_and(|members| {
        members.iter().any(|(key, value)| {
            key == "code" && value.as_str() == code::METHOD_NOT_FOUND.to_string()
        })
    })
}

fn refused(kind: Kind, error: &Payload) -> UpstreamError {
    let shown: String = error.as_str().chars().take(200).collect();
    UpstreamError::Protocol {
        detail: format!("{} was answered with an error: {shown}", kind.method()),
    }
}

fn protocol(kind: Kind, error: &wire::WireError) -> UpstreamError {
    UpstreamError::Protocol {
        detail: format!("{} was answered with what is no list: {error}", kind.method()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_page_counts() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (pages, fresh_for, is_private) in [
            (&[r"{}"][..], None, false),
            (&[r#"{"ttlMs":60000,"cacheScope":"public"}"#, "{}"], ms(60_000), false),
            (
                &[
                    r#"{"ttlMs":60000,"cacheScope":"public"}"#,
                    r#"{"ttlMs":5e3,"cacheScope":"private"}"#,
                ],
                ms(5_000),
                true,
            ),
            (&[r#"{"ttlMs":0,"cacheScope":null}"#, r#"{"ttlMs":7}"#], ms(0), false),
            (&[r#"{"ttlMs":-3,"cacheScope":"odd"}"#], ms(0), false),
            (&[r#"{"ttlMs":1e300}"#, r#"{"ttlMs":"7"}"#], None, false),
            (&[r#"{"ttlMs":99999999}"#], Some(LONGEST), false),
        ] {
            let mut keeping = Keeping::default();
            for page in pages {
                keeping.narrow(&Payload::from_json(page).unwrap());
            }
            assert_eq!(keeping, Keeping { fresh_for, is_private }, "{pages:?}");
        }
    }
}
