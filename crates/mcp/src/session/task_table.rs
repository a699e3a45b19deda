//! Which server made which task for whom, as far as it passed through this process: kept for each
//! user and client apart. Bounded for each user and in all; the oldest entry goes first. What it
//! does not know, the records may ([`super::ownership`]).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use portunus_core::ids::{ClientId, ServerName, UserId};

use super::id::SessionId;
use crate::{records::TaskOwner, sync::locked};

/// Longer ids are not remembered: their servers are asked each time.
const LONGEST_ID: usize = 1024;
/// So many servers of one user may have made the same id; two are too many already.
const MOST_ORIGINS: usize = 4;

/// Where a task comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskOrigin {
    pub(crate) server: ServerName,
    /// As the server calls it. Not known of a task whose making was not seen.
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
    tasks: HashMap<Key, Entry>,
    order: BTreeMap<u64, Key>,
}

/// The client, and the task's id.
type Key = (ClientId, Box<str>);

/// What had to go: of which client, its id, the servers.
pub(crate) type Forgotten = Vec<(ClientId, Box<str>, Vec<TaskOrigin>)>;

struct Entry {
    turn: u64,
    origins: Vec<TaskOrigin>,
}

impl TaskTable {
    pub(crate) fn new(most_per_user: usize, most: usize) -> Self {
        Self { most_per_user, most, state: Mutex::default() }
    }

    /// The server of `origin` gave this owner a task. What is known of its tool stays known.
    /// Returns what the same user has too many of; an entry of another user that makes room is only
    /// forgotten here.
    pub(crate) fn note(&self, owner: &TaskOwner, id: &str, origin: TaskOrigin) -> Forgotten {
        if id.len() > LONGEST_ID || self.most_per_user == 0 || self.most == 0 {
            return Vec::new();
        }
        let state = &mut *locked(&self.state);
        state.turn += 1;
        let (turn, key) = (state.turn, (owner.client.clone(), Box::<str>::from(id)));
        let of_user = state.users.entry(owner.user.clone()).or_default();
        let entry =
            of_user.tasks.entry(key.clone()).or_insert_with(|| Entry { turn, origins: Vec::new() });
        if entry.turn != turn {
            of_user.order.remove(&entry.turn);
            state.order.remove(&entry.turn);
            entry.turn = turn;
        }
        if let Some(known) = entry.origins.iter_mut().find(|known| known.server == origin.server) {
            known.tool = origin.tool.or(known.tool.take());
            known.session = origin.session.or(known.session.take());
        } else if entry.origins.len() < MOST_ORIGINS {
            entry.origins.push(origin);
        }
        of_user.order.insert(turn, key);
        state.order.insert(turn, owner.user.clone());
        let mut forgotten = Vec::new();
        if of_user.tasks.len() > self.most_per_user
            && let Some(oldest) = of_user.order.keys().next().copied()
        {
            forgotten.extend(state.forget(&owner.user, oldest));
        }
        if state.order.len() > self.most
            && let Some((oldest, user)) =
                state.order.first_key_value().map(|(turn, user)| (*turn, user.clone()))
        {
            state.forget(&user, oldest);
        }
        forgotten
    }

    /// The server's task of this id, if it is this owner's.
    pub(crate) fn find(
        &self,
        owner: &TaskOwner,
        id: &str,
        server: &ServerName,
    ) -> Option<TaskOrigin> {
        self.find_of(&owner.user, &owner.client, id, server)
    }

    pub(crate) fn find_of(
        &self,
        user: &UserId,
        client: &ClientId,
        id: &str,
        server: &ServerName,
    ) -> Option<TaskOrigin> {
        let state = locked(&self.state);
        let entry = state.users.get(user)?.tasks.get(&(client.clone(), Box::from(id)))?;
        entry.origins.iter().find(|origin| origin.server == *server).cloned()
    }

    /// None of this user's tasks is known any more.
    pub(crate) fn forget_user(&self, user: &UserId) {
        let state = &mut *locked(&self.state);
        let of_user = state.users.remove(user);
        for turn in of_user.iter().flat_map(|of_user| of_user.order.keys()) {
            state.order.remove(turn);
        }
    }

    /// Is any task of this owner known that the server made?
    pub(crate) fn has_of(&self, user: &UserId, client: &ClientId, server: &ServerName) -> bool {
        let state = locked(&self.state);
        let Some(of_user) = state.users.get(user) else { return false };
        let mut of_client = of_user.tasks.iter().filter(|((of, _), _)| of == client);
        of_client.any(|(_, entry)| entry.origins.iter().any(|origin| origin.server == *server))
    }

    /// Did this session of the owner deal with the task last?
    pub(crate) fn is_followed_by(
        &self,
        user: &UserId,
        client: &ClientId,
        id: &str,
        server: &ServerName,
        session: &SessionId,
    ) -> bool {
        self.find_of(user, client, id, server)
            .is_some_and(|origin| origin.session.as_ref() == Some(session))
    }
}

impl State {
    fn forget(
        &mut self,
        user: &UserId,
        turn: u64,
    ) -> Option<(ClientId, Box<str>, Vec<TaskOrigin>)> {
        self.order.remove(&turn);
        let of_user = self.users.get_mut(user)?;
        let key = of_user.order.remove(&turn)?;
        let entry = of_user.tasks.remove(&key);
        if of_user.tasks.is_empty() {
            self.users.remove(user);
        }
        entry.map(|entry| (key.0, key.1, entry.origins))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, client: &str) -> TaskOwner {
        TaskOwner { user: UserId::from_text(user), client: ClientId::from_text(client) }
    }

    fn origin(server: &str, tool: Option<&str>) -> TaskOrigin {
        TaskOrigin { server: name(server), tool: tool.map(str::to_owned), session: None }
    }

    fn name(server: &str) -> ServerName {
        ServerName::parse(server).unwrap()
    }

    #[test]
    fn t51_a_task_is_its_users_and_its_clients_alone() {
        let table = TaskTable::new(10, 10);
        table.note(&of("alice", "editor"), "t", origin("dice", Some("roll")));
        assert_eq!(
            table.find(&of("alice", "editor"), "t", &name("dice")),
            Some(origin("dice", Some("roll")))
        );
        for (owner, id, server) in [
            (of("alice", "agent"), "t", "dice"),
            (of("bob", "editor"), "t", "dice"),
            (of("alice", "editor"), "T", "dice"),
            (of("alice", "editor"), "t", "uuid"),
        ] {
            assert_eq!(table.find(&owner, id, &name(server)), None, "{owner:?} {id} {server}");
        }
    }

    #[test]
    fn what_is_known_stays_known() {
        let (table, alice) = (TaskTable::new(10, 10), of("alice", "editor"));
        table.note(&alice, "t", origin("dice", Some("roll")));
        table.note(&alice, "t", origin("dice", None));
        assert_eq!(table.find(&alice, "t", &name("dice")), Some(origin("dice", Some("roll"))));
        table.note(&alice, "t", origin("uuid", None));
        assert!(
            table.find(&alice, "t", &name("uuid")).is_some(),
            "two servers may have made the same id"
        );
        for n in 0..10 {
            table.note(&alice, "t", origin(&format!("s{n}"), None));
        }
        let found =
            (0..10).filter(|n| table.find(&alice, "t", &name(&format!("s{n}"))).is_some()).count();
        assert_eq!(found + 2, MOST_ORIGINS);
    }

    #[test]
    fn the_oldest_goes_first() {
        let table = TaskTable::new(2, 3);
        let note = |user: &str, client: &str, id: &str| {
            table.note(&of(user, client), id, origin("dice", None))
        };
        let has = |user: &str, client: &str, id: &str| {
            table.find(&of(user, client), id, &name("dice")).is_some()
        };
        assert!(note("alice", "a", "1").is_empty());
        assert!(note("alice", "b", "2").is_empty());
        assert!(note("alice", "a", "1").is_empty());
        let forgotten = note("alice", "a", "3");
        assert_eq!(
            forgotten,
            [(ClientId::from_text("b"), "2".into(), vec![origin("dice", None)])],
            "used the longest ago"
        );
        assert!(has("alice", "a", "1") && !has("alice", "b", "2") && has("alice", "a", "3"));
        assert!(note("bob", "a", "4").is_empty());
        assert!(note("carol", "a", "5").is_empty(), "nobody's record goes for another's");
        assert!(!has("alice", "a", "1"), "the oldest of all");
        assert!(has("alice", "a", "3") && has("bob", "a", "4") && has("carol", "a", "5"));
        note("carol", "a", &"x".repeat(LONGEST_ID + 1));
        assert!(has("bob", "a", "4"), "nothing makes room for what is not remembered");
        let sizes = || {
            let state = locked(&table.state);
            (state.order.len(), state.users.len())
        };
        assert_eq!(sizes(), (3, 3));
        table.forget_user(&UserId::from_text("bob"));
        assert!(!has("bob", "a", "4") && has("carol", "a", "5"));
        assert_eq!(sizes(), (2, 2));
    }
}
