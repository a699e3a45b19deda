//! A gateway under load: several clients use it at once while something is done to it; in the end
//! their history is judged, and what they should have is looked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use portunus_core::{
    Clock as _,
    clock::SystemClock,
    ids::UserId,
    secret::{TokenKind, TokenSecret},
    store::GrantsOf,
};
use portunus_testkit::figures::{Figures, Limit, control};
use tokio::task::JoinHandle;

use super::{
    chance::{Chance, seed},
    checker::{self, Settled},
    client::Client,
    history::{Counts, History},
    program::{PATIENCE, Program, Records, Surroundings, until_ready},
};

const CLIENTS: usize = 4;
/// How long it may take until a gateway is ready again (F1), on an idle machine.
const READY: Duration = Duration::from_secs(2);
/// A revocation at one gateway counts at every other within a second once it was acknowledged, and
/// otherwise when the last look-up before it is no longer trusted
/// (`docs/decisions/0038-invalidations.md`). A little more, for a busy machine.
const SETTLED: Settled =
    Settled { acknowledged: Duration::from_secs(2), noticed: Duration::from_secs(32) };

/// A gateway under load.
pub(crate) struct LoadFixture {
    pub(crate) surroundings: Surroundings,
    /// One of several, if there are several.
    pub(crate) programs: Vec<Program>,
    pub(crate) chance: Chance,
    history: Arc<History>,
    load: Load,
    ready: Vec<Duration>,
    /// How busy the machine was each time.
    controls: Vec<Duration>,
}

/// The clients, each in a task of its own.
struct Load {
    tasks: Vec<JoinHandle<Client>>,
    enough: Arc<AtomicBool>,
    /// Counts the harms done; each client has seen as many as it says.
    harms: Arc<AtomicU64>,
    seen: Vec<Arc<AtomicU64>>,
}

impl LoadFixture {
    pub(crate) async fn of(records: Records) -> Self {
        Self::of_several(records, 1).await
    }

    pub(crate) async fn of_several(records: Records, gateways: usize) -> Self {
        let chance = Chance::new(seed());
        let surroundings = Surroundings::prepare(records, gateways).await;
        let mut programs = Vec::new();
        for n in 0..gateways {
            programs.push(Program::start(&surroundings, n).await.0);
        }
        let history = Arc::new(History::new());
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients
                .push(Client::meet(&surroundings.at("/guarded/"), &history, chance.seed()).await);
        }
        Self {
            surroundings,
            programs,
            chance,
            history,
            load: Load::begin(clients),
            ready: Vec::new(),
            controls: Vec::new(),
        }
    }

    /// Lets them work for a while, no shorter than it takes each of them to see what the last harm
    /// has left.
    pub(crate) async fn work(&self) {
        let began = Instant::now();
        let harms = self.load.harms.load(Ordering::SeqCst);
        while self.load.seen.iter().any(|seen| seen.load(Ordering::SeqCst) < harms) {
            assert!(began.elapsed() < PATIENCE, "a client is stuck");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50 + self.chance.below(300))).await;
    }

    /// Something was done to it, and it was ready again after this time.
    pub(crate) fn harmed(&mut self, ready: Duration) {
        self.ready.push(ready);
        self.load.harms.fetch_add(1, Ordering::SeqCst);
        self.controls.push(control());
    }

    /// The only gateway, or the first.
    pub(crate) fn program(&mut self) -> &mut Program {
        &mut self.programs[0]
    }

    /// How long it takes from now on until it says that it can work.
    pub(crate) async fn until_ready(&self) -> Duration {
        until_ready(self.programs[0].address).await
    }

    /// The same, counted from the end of `possible` on, before which it cannot be ready.
    pub(crate) async fn until_ready_since(&self, possible: impl Future<Output = ()>) -> Duration {
        let possible = async {
            possible.await;
            Instant::now()
        };
        let ready = async {
            self.until_ready().await;
            Instant::now()
        };
        let (possible, ready) = tokio::join!(possible, ready);
        ready.saturating_duration_since(possible)
    }

    pub(crate) async fn start_again(&mut self) {
        self.start_one_again(0).await;
    }

    pub(crate) async fn start_one_again(&mut self, n: usize) {
        let (program, ready) = Program::start(&self.surroundings, n).await;
        self.programs[n] = program;
        self.harmed(ready);
    }

    /// How often a harm was done is a figure of this name. Ends the load, looks at all that should
    /// be there, through the gateway and at the records themselves, and judges the history.
    pub(crate) async fn judge(self, row: &'static str, store: &str, done: &str, harm: &str) {
        let Self { surroundings, mut programs, history, load, ready, controls, .. } = self;
        for program in &programs {
            until_ready(program.address).await;
        }
        for mut client in load.end().await {
            client.take_stock().await;
        }
        assert!(programs.iter_mut().all(Program::is_running));
        let records = history.records();
        let settled = if programs.len() > 1 { SETTLED } else { Settled::AT_ONCE };
        let violations = checker::check(&records, settled);
        let first: Vec<_> = violations.iter().take(5).collect();
        assert!(
            first.is_empty(),
            "{} violations in {} operations, among them {first:#?}",
            violations.len(),
            records.len()
        );
        let alive = checker::alive(&records);
        let found = count_in_records(&surroundings, &alive).await;
        let counts = Counts::of(&records);
        Figures::of(row, store, done)
            .at_least(harm, ready.len(), 1)
            .at_least("acknowledged", counts.acknowledged, ready.len() * CLIENTS + 1)
            .and("refused", counts.refused)
            .and("503", counts.unavailable)
            .and("unanswered", counts.unknown)
            .exactly("tokens found in the records", found, alive.len())
            .exactly("violations", violations.len(), 0)
            .within("ready again", &ready, Limit::of(READY, &controls))
            .report();
    }
}

impl Load {
    fn begin(clients: Vec<Client>) -> Self {
        let (enough, harms) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut load = Self { tasks: Vec::new(), enough, harms, seen: Vec::new() };
        for mut client in clients {
            let (enough, harms, seen) =
                (Arc::clone(&load.enough), Arc::clone(&load.harms), Arc::new(AtomicU64::new(0)));
            load.seen.push(Arc::clone(&seen));
            load.tasks.push(tokio::spawn(async move {
                // bounded: by `end`, which waits for it no longer than it may take.
                while !enough.load(Ordering::SeqCst) {
                    let now = harms.load(Ordering::SeqCst);
                    if seen.load(Ordering::SeqCst) < now {
                        client.use_everything().await;
                        seen.store(now, Ordering::SeqCst);
                    }
                    client.step().await;
                }
                client
            }));
        }
        load
    }

    async fn end(self) -> Vec<Client> {
        self.enough.store(true, Ordering::SeqCst);
        let ended =
            tokio::time::timeout(PATIENCE, join_all(self.tasks)).await.expect("the clients end");
        ended.into_iter().map(Result::unwrap).collect()
    }
}

/// Each of these access tokens is in the records, and its grant is listed as its person's. Gives
/// how many they are.
async fn count_in_records(surroundings: &Surroundings, alive: &[String]) -> usize {
    let stores = surroundings.stores().await;
    let user = UserId::of(&surroundings.okta.custom_issuer("default"), "00u1alice");
    let listed = stores.grants.list_grants(&GrantsOf::User(user), u32::MAX).await.unwrap();
    for token in alive {
        let hash = TokenSecret::parse(TokenKind::Access, token).unwrap().hash();
        let found = stores
            .grants
            .find_access(&hash, SystemClock.now())
            .await
            .unwrap()
            .expect("a token is in the records");
        assert!(listed.contains(&found.grant), "its grant is listed");
        assert_eq!(
            stores.grants.find_grant(&found.grant.id).await.unwrap().as_ref(),
            Some(&found.grant)
        );
    }
    alive.len()
}
