//! One list of many: in the order of the configuration, then in each server's own. Policy takes out
//! what the caller may not use; a server that does not answer is left out.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use portunus_core::{ids::ServerName, tool_name::oddity};
use serde_json::json;

use super::{
    cursor::Cursor,
    find::{Lists, ServerLists},
    names,
};
use crate::{
    allow::Allow,
    caller::{Caller, View},
    era::Era,
    implementation,
    permission::may_list,
    problem::{Problem, Reply},
    registry::{
        kind::Kind,
        list::{self, Item, List},
    },
    session::requester::Requester,
    settings::Names,
    translate::results,
    wire::{self, Outcome},
};

/// What a list is asked for with.
pub(crate) struct Wanted<'a> {
    pub(crate) allow: &'a dyn Allow,
    pub(crate) requester: &'a Requester,
    /// The client's.
    pub(crate) era: Era,
    pub(crate) cursor: Option<String>,
}

/// A tool as `GET /tools` lists it.
#[derive(Clone, Debug)]
pub struct ServerTool {
    pub server: ServerName,
    /// As it is called in the caller's view.
    pub name: String,
    /// The tool object, `name` as above, all else as the server wrote it.
    pub tool: Bytes,
}

/// `tools/list` and its kin.
pub(crate) async fn list(lists: &Arc<Lists>, wanted: Wanted<'_>, kind: Kind) -> Reply {
    let Wanted { allow, requester, era, cursor } = wanted;
    let cursor =
        cursor.map(|text| Cursor::parse(kind, &text).ok_or_else(bad_cursor)).transpose()?;
    let registry = &lists.connections.registry;
    let (listed, good_for) =
        lists.of_servers_to_show(registry.allowed(allow), kind, requester).await;
    let merged = Merged::new(kind, registry.load().names, &listed, allow);
    let start = match &cursor {
        Some(cursor) => (merged.position(&cursor.server).ok_or_else(bad_cursor)?, cursor.index),
        None => (0, 0),
    };
    if kind.is_named() && cursor.is_none() {
        lists.odd_names.tell(
            kind,
            merged.entries((0, 0)).filter(Entry::is_odd).map(|entry| (entry.server, entry.name())),
        );
    }
    let (mut page, mut next) = (Vec::new(), None);
    for entry in merged.entries(start) {
        if page.len() == lists.settings.page_size {
            next = Some(Cursor { server: entry.server.clone(), index: entry.index });
            break;
        }
        page.push(entry.write(kind));
    }
    let array = list::array(page.iter());
    let next = next.map(|cursor| wire::quote(&cursor.write(kind)));
    let mut members = vec![(kind.member(), array.as_str())];
    members.extend(next.as_deref().map(|next| ("nextCursor", next)));
    let result = wire::object(&members);
    match era {
        Era::Legacy => Ok(Outcome::Result(result)),
        Era::Modern => {
            // What may be seen is decided for each person, so the scope is never wider than
            // `private`, which it is by default.
            let result = results::good_for(&result, good_for)?;
            Ok(Outcome::Result(results::to_modern(
                kind.method(),
                &result,
                &implementation::payload(),
            )?))
        }
    }
}

/// For `GET /tools`.
pub(crate) async fn tools(lists: &Arc<Lists>, caller: &Caller) -> Vec<ServerTool> {
    let (allow, registry) = (&*caller.allow, &lists.connections.registry);
    let (servers, names) = match &caller.view {
        View::All => (registry.allowed(allow), registry.load().names),
        View::One(server) => (vec![server.clone()], Names::Plain),
    };
    let (listed, _) =
        lists.of_servers_to_show(servers, Kind::Tools, &Requester::at_browser(caller)).await;
    let merged = Merged::new(Kind::Tools, names, &listed, allow);
    let entries = merged.entries((0, 0)).map(|entry| ServerTool {
        server: entry.server.clone(),
        name: entry.name(),
        tool: entry.write(Kind::Tools),
    });
    entries.collect()
}

fn bad_cursor() -> Problem {
    Problem::invalid_params("the cursor is not valid: begin again without one")
}

struct Merged<'a> {
    kind: Kind,
    names: Names,
    lists: &'a ServerLists,
    allow: &'a dyn Allow,
    /// With plain names: which servers offer each to this caller.
    offered: HashMap<&'a str, Vec<&'a ServerName>>,
}

/// One item of the merged list.
struct Entry<'a> {
    server: &'a ServerName,
    index: usize,
    item: &'a Item,
    form: Form<'a>,
}

enum Form<'a> {
    AsIs,
    Prefixed,
    /// Stands for all of this name, and says that none can be used.
    Clash(&'a [&'a ServerName]),
}

impl<'a> Merged<'a> {
    fn new(kind: Kind, names: Names, lists: &'a ServerLists, allow: &'a dyn Allow) -> Self {
        let mut offered: HashMap<&str, Vec<&ServerName>> = HashMap::new();
        if kind.is_named() && names == Names::Plain {
            for (server, list) in lists {
                // Held ones too: a name must not become another server's while its owner's tool
                // waits for approval.
                let items = list.iter().flat_map(|list| list.items().iter().chain(list.held()));
                for item in items.filter(|item| may_list(allow, server, kind, item)) {
                    offered.entry(&item.id).or_default().push(server);
                }
            }
        }
        Self { kind, names, lists, allow, offered }
    }

    fn position(&self, server: &ServerName) -> Option<usize> {
        self.lists.iter().position(|(name, _)| name == server)
    }

    /// From item `start.1` of server `start.0` on.
    fn entries(&self, start: (usize, usize)) -> impl Iterator<Item = Entry<'_>> {
        let servers = self.lists.iter().enumerate().skip(start.0);
        servers.filter_map(|(n, (server, list))| Some((n, server, list.as_ref().ok()?))).flat_map(
            move |(n, server, list)| {
                let skip = if n == start.0 { start.1 } else { 0 };
                let items = list.items().iter().enumerate().skip(skip);
                items.filter_map(move |(index, item)| {
                    let form = self.form(n, server, item)?;
                    Some(Entry { server, index, item, form })
                })
            },
        )
    }

    /// `None`: not for this caller, or not to be told from another.
    fn form(&self, n: usize, server: &ServerName, item: &Item) -> Option<Form<'_>> {
        if !may_list(self.allow, server, self.kind, item) {
            return None;
        }
        if !self.kind.is_named() {
            return (!self.is_listed_before(n, &item.id)).then_some(Form::AsIs);
        }
        match self.names {
            Names::Prefixed => (!self.is_claimed(server, &item.id)).then_some(Form::Prefixed),
            Names::Plain => match self.offered.get(&*item.id) {
                Some(servers) if servers.len() > 1 => {
                    (servers[0] == server).then_some(Form::Clash(servers))
                }
                _ => Some(Form::AsIs),
            },
        }
    }

    fn is_listed_before(&self, n: usize, id: &str) -> bool {
        let mut earlier = self.lists[..n].iter();
        earlier.any(|(server, list)| {
            let item = list.as_ref().ok().and_then(|list| list.item(id));
            item.is_some_and(|item| may_list(self.allow, server, self.kind, item))
        })
    }

    /// Would a call of this name go to a server of a longer name? One that is down has a claim to
    /// all its names.
    fn is_claimed(&self, server: &ServerName, id: &str) -> bool {
        let mut rivals =
            self.lists.iter().filter(|(rival, _)| names::strip(server, rival.as_str()).is_some());
        rivals.any(|(rival, list)| {
            let full = format!("{}{id}", names::prefix(server));
            names::strip(rival, &full)
                .is_some_and(|name| list.as_ref().map_or(true, |list: &Arc<List>| list.has(name)))
        })
    }
}

impl Entry<'_> {
    fn name(&self) -> String {
        match self.form {
            Form::Prefixed => format!("{}{}", names::prefix(self.server), self.item.id),
            Form::AsIs | Form::Clash(_) => self.item.id.to_string(),
        }
    }

    /// Would some clients refuse the name?
    fn is_odd(&self) -> bool {
        match self.form {
            Form::Prefixed => oddity(&[self.server.as_str(), "_", &self.item.id]).is_some(),
            Form::AsIs | Form::Clash(_) => oddity(&[&self.item.id]).is_some(),
        }
    }

    fn write(&self, kind: Kind) -> Bytes {
        match self.form {
            Form::AsIs => self.item.raw.as_bytes().clone(),
            Form::Prefixed => self.item.prefixed(&names::prefix(self.server)),
            Form::Clash(servers) => {
                let mut entry = json!({ "name": &*self.item.id, "description": names::clash(kind, &self.item.id, servers) });
                if kind == Kind::Tools {
                    entry["inputSchema"] = json!({ "type": "object" });
                }
                Bytes::from(entry.to_string())
            }
        }
    }
}
