//! `tasks/list` of revision 2025-11-25, merged: the servers' lists one after the other, each item
//! the bytes it was. Nothing is kept: tasks change all the time, and their ids stand for
//! themselves. Which servers are asked is [`super::requests`]'s business.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::ids::ServerName;

use super::{dialect, ownership};
use crate::{
    calls::{ask::Ask, context::CallContext, forward::forward},
    permission::check_method,
    problem::{Problem, Reply},
    registry::list,
    upstream::UpstreamError,
    wire::{self, Outcome, Payload, WireError},
};

/// Longer cursors are none of ours.
const LONGEST_CURSOR: usize = 16 * 1024;

/// Where the next page begins: at a page of a server's own, or at its first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    server: ServerName,
    /// The server's own words, as raw JSON.
    page: Option<Payload>,
}

impl Cursor {
    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!(
            "1k{}:{}",
            self.server,
            self.page.as_ref().map_or("", Payload::as_str)
        ))
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_CURSOR {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (server, page) = text.strip_prefix("1k")?.split_once(':')?;
        let page = if page.is_empty() { None } else { Some(Payload::from_json(page).ok()?) };
        Some(Self { server: ServerName::parse(server).ok()?, page })
    }
}

/// One page: as many servers' as fit, the last one's perhaps in part. A server that does not answer
/// is left out.
pub(super) async fn merged(
    context: &Arc<CallContext>,
    ask: &Ask,
    mut servers: Vec<ServerName>,
) -> Reply {
    servers.retain(|server| ask.allow.method(server, &ask.method).is_allowed());
    let bad_cursor = || Problem::invalid_params("the cursor is not valid: begin again without one");
    let mut cursor = ask
        .head()?
        .cursor
        .as_ref()
        .map(|text| Cursor::parse(text).ok_or_else(bad_cursor))
        .transpose()?;
    if let Some(cursor) = &cursor {
        let at =
            servers.iter().position(|server| *server == cursor.server).ok_or_else(bad_cursor)?;
        servers.drain(..at);
    }
    let (mut tasks, mut next) = (Vec::new(), None);
    for server in servers {
        if tasks.len() >= context.settings.page_size {
            next = Some(Cursor { server, page: None });
            break;
        }
        let page = cursor.take().and_then(|cursor| cursor.page);
        match page_of(context, ask, &server, page).await {
            Ok((listed, more)) => {
                tasks.extend(ownership::own_among(context, ask, &server, listed).await?);
                if more.is_some() {
                    next = Some(Cursor { server, page: more });
                    break;
                }
            }
            Err(problem) => {
                tracing::warn!(%server, ?problem, "a server is left out of the list of tasks");
            }
        }
    }
    let tasks = list::array(tasks.iter().map(Payload::as_bytes));
    let next = next.map(|cursor| wire::quote(&cursor.write()));
    let mut members = vec![("tasks", tasks.as_str())];
    members.extend(next.as_deref().map(|next| ("nextCursor", next)));
    Ok(Outcome::Result(wire::object(&members)))
}

/// One page of one server's list, and the cursor of the next.
async fn page_of(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    page: Option<Payload>,
) -> Result<(Vec<Payload>, Option<Payload>), Problem> {
    let question = async {
        let peer = context
            .connections
            .connect(server, &ask.requester)
            .await
            .map_err(|error| Problem::server(server, error))?;
        if !dialect::Method::List.is_served_by(&peer.info().capabilities, ask.era) {
            return Ok((Vec::new(), None));
        }
        let cursor = page.as_ref().map(|page| ("cursor", page.as_str()));
        let params = wire::object(cursor.as_slice());
        match forward(context, ask, server, Some(params)).await? {
            Outcome::Result(result) => Ok(read(&result)?),
            Outcome::Error(_) => Err(Problem::invalid_params("the server refuses")),
        }
    };
    let late = || Problem::server(server, UpstreamError::Timeout);
    let (tasks, more) = tokio::time::timeout(context.settings.list_deadline, question)
        .await
        .map_err(|_| late())??;
    // A server that turns in a circle has told everything.
    let more = more.filter(|more| page.as_ref() != Some(more));
    Ok((tasks, more))
}

fn read(result: &Payload) -> Result<(Vec<Payload>, Option<Payload>), WireError> {
    let (mut tasks, mut more) = (Vec::new(), None);
    for (key, value) in wire::members(result)? {
        match &*key {
            "tasks" => tasks = wire::elements(&value)?,
            "nextCursor" if value.as_str().starts_with('"') => more = Some(value),
            _ => {}
        }
    }
    Ok((tasks, more))
}

/// The list of one server, for `/mcp/{server}`: the server's own page, without what is another's.
pub(super) async fn of_one(context: &Arc<CallContext>, server: &ServerName, ask: &Ask) -> Reply {
    check_method(&*ask.allow, server, &ask.method)?;
    let result = match forward(context, ask, server, ask.params.clone()).await? {
        Outcome::Result(result) if ownership::is_common(context, server) => result,
        other => return Ok(other),
    };
    let (listed, _) = read(&result)?;
    let own = ownership::own_among(context, ask, server, listed).await?;
    let own = list::array(own.iter().map(Payload::as_bytes));
    Ok(Outcome::Result(wire::replace_member(&result, &["tasks"], &own)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let server = ServerName::parse("a_b.c").unwrap();
        for page in [None, Some(Payload::from_json(r#""x:\u00e9""#).unwrap())] {
            let cursor = Cursor { server: server.clone(), page };
            assert_eq!(Cursor::parse(&cursor.write()), Some(cursor));
        }
        for bad in ["", "x", "MWthYjp7", &"A".repeat(LONGEST_CURSOR + 1)] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
