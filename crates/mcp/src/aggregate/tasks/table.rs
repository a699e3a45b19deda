//! Which server made which task, as far as its making passed through here: kept for each user apart, so that nobody reaches a task of
//! somebody else by its id. Bounded for each user and in all; the oldest entry goes first. What is asked of the table when is
//! [`super`]'s business.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use portunus_core::ids::{ServerName, UserId};

use crate::{session::SessionId, sync::locked};

/// Longer ids are not remembered: their servers are asked each time.
const LONGEST_ID: usize = 1024;
/// So many servers of one user may have made the same id; two are too many already.
const MOST_MAKERS: usize = 4;

/// Where a task comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Maker {
    pub(crate) server: ServerName,
    /// As the server calls it. Not known of a task that was found by asking around.
    pub(crate) tool: Option<String>,
    /// The legacy session that dealt with the task last: it hears what the server says about it.
    pub(crate) session: Option<SessionId>,
}

pub(crate) struct TaskTable {
    most_per_user: usize,
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, OfUser>,
    /// Whose entry was made when; the first is the oldest.
    order: BTreeMap<u64, UserId>,
    turn: u64,
}

#[derive(Default)]
struct OfUser {
    tasks: HashMap<Box<str>, Entry>,
    order: BTreeMap<u64, Box<str>>,
}

struct Entry {
    turn: u64,
    makers: Vec<Maker>,
}

impl TaskTable {
    pub(crate) fn new(most_per_user: usize, most: usize) -> Self {
        Self { most_per_user, most, state: Mutex::default() }
    }

    /// The maker gave this user a task. What is known of its tool stays known.
    pub(crate) fn note(&self, user: &UserId, id: &str, maker: Maker) {
        if id.len() > LONGEST_ID || self.most_per_user == 0 || self.most == 0 {
            return;
        }
        let state = &mut *locked(&self.state);
        state.turn += 1;
        let (turn, id) = (state.turn, Box::<str>::from(id));
        let of_user = state.users.entry(user.clone()).or_default();
        let entry = of_user.tasks.entry(id.clone()).or_insert_with(|| Entry { turn, makers: Vec::new() });
        if entry.turn != turn {
            of_user.order.remove(&entry.turn);
            state.order.remove(&entry.turn);
            entry.turn = turn;
        }
        if let Some(known) = entry.makers.iter_mut().find(|known| known.server == maker.server) {
            known.tool = maker.tool.or(known.tool.take());
            known.session = maker.session.or(known.session.take());
        } else if entry.makers.len() < MOST_MAKERS {
            entry.makers.push(maker);
        }
        of_user.order.insert(turn, id);
        state.order.insert(turn, user.clone());
        if of_user.tasks.len() > self.most_per_user
            && let Some(oldest) = of_user.order.keys().next().copied()
        {
            state.forget(user, oldest);
        }
        if state.order.len() > self.most
            && let Some((oldest, user)) = state.order.first_key_value().map(|(turn, user)| (*turn, user.clone()))
        {
            state.forget(&user, oldest);
        }
    }

    /// The servers that made a task of this id for this user.
    pub(crate) fn makers(&self, user: &UserId, id: &str) -> Vec<Maker> {
        let state = locked(&self.state);
        let found = state.users.get(user).and_then(|of_user| of_user.tasks.get(id));
        found.map(|entry| entry.makers.clone()).unwrap_or_default()
    }

    /// Did the server make it for this user?
    pub(crate) fn holds(&self, user: &UserId, id: &str, server: &ServerName) -> bool {
        locked(&self.state).users.get(user).is_some_and(|of_user| of_user.has(id, server))
    }

    /// Did the server make it for somebody else, and not for this user?
    pub(crate) fn is_of_another(&self, user: &UserId, id: &str, server: &ServerName) -> bool {
        let state = locked(&self.state);
        !state.users.get(user).is_some_and(|of_user| of_user.has(id, server))
            && state.users.values().any(|of_user| of_user.has(id, server))
    }

    /// Did this session of the user deal with the task last?
    pub(crate) fn is_followed_by(&self, user: &UserId, id: &str, server: &ServerName, session: &SessionId) -> bool {
        let makers = self.makers(user, id);
        makers.iter().any(|maker| maker.server == *server && maker.session.as_ref() == Some(session))
    }
}

impl State {
    fn forget(&mut self, user: &UserId, turn: u64) {
        self.order.remove(&turn);
        let Some(of_user) = self.users.get_mut(user) else { return };
        if let Some(id) = of_user.order.remove(&turn) {
            of_user.tasks.remove(&id);
        }
        if of_user.tasks.is_empty() {
            self.users.remove(user);
        }
    }
}

impl OfUser {
    fn has(&self, id: &str, server: &ServerName) -> bool {
        self.tasks.get(id).is_some_and(|entry| entry.makers.iter().any(|maker| maker.server == *server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::from_text(name)
    }

    fn maker(server: &str, tool: Option<&str>) -> Maker {
        Maker { server: ServerName::parse(server).unwrap(), tool: tool.map(str::to_owned), session: None }
    }

    fn servers(table: &TaskTable, name: &str, id: &str) -> Vec<String> {
        table.makers(&user(name), id).into_iter().map(|maker| maker.server.to_string()).collect()
    }

    #[test]
    fn a_task_is_its_users_alone() {
        let table = TaskTable::new(10, 10);
        table.note(&user("alice"), "t", maker("dice", Some("roll")));
        assert_eq!(servers(&table, "alice", "t"), ["dice"]);
        assert!(servers(&table, "bob", "t").is_empty());
        let dice = ServerName::parse("dice").unwrap();
        assert!(table.holds(&user("alice"), "t", &dice) && !table.holds(&user("bob"), "t", &dice));
        assert!(table.is_of_another(&user("bob"), "t", &dice) && !table.is_of_another(&user("alice"), "t", &dice));
        assert!(!table.is_of_another(&user("bob"), "other", &dice));
    }

    #[test]
    fn what_is_known_stays_known() {
        let table = TaskTable::new(10, 10);
        table.note(&user("alice"), "t", maker("dice", Some("roll")));
        table.note(&user("alice"), "t", maker("dice", None));
        assert_eq!(table.makers(&user("alice"), "t"), [maker("dice", Some("roll"))]);
        table.note(&user("alice"), "t", maker("uuid", None));
        assert_eq!(servers(&table, "alice", "t"), ["dice", "uuid"], "two servers may have made the same id");
        for n in 0..10 {
            table.note(&user("alice"), "t", maker(&format!("s{n}"), None));
        }
        assert_eq!(servers(&table, "alice", "t").len(), MOST_MAKERS);
    }

    #[test]
    fn the_oldest_goes_first() {
        let table = TaskTable::new(2, 3);
        let note = |name: &str, id: &str| table.note(&user(name), id, maker("dice", None));
        note("alice", "1");
        note("alice", "2");
        note("alice", "1");
        note("alice", "3");
        assert!(servers(&table, "alice", "2").is_empty(), "it was used the longest ago");
        assert_eq!((servers(&table, "alice", "1").len(), servers(&table, "alice", "3").len()), (1, 1));
        note("bob", "4");
        note("carol", "5");
        assert!(servers(&table, "alice", "1").is_empty(), "the oldest of all");
        for (name, id) in [("alice", "3"), ("bob", "4"), ("carol", "5")] {
            assert_eq!(servers(&table, name, id).len(), 1, "{name} {id}");
        }
        note("carol", &"x".repeat(LONGEST_ID + 1));
        assert_eq!(servers(&table, "bob", "4").len(), 1, "nothing makes room for what is not remembered");
        let state = locked(&table.state);
        assert_eq!((state.order.len(), state.users.len()), (3, 3));
    }
}
