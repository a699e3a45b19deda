//! Revocations at another gateway, over a store that loses messages, forgets, hangs and fails when
//! it is told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    disabled::{Disableable, DisabledRecord, Disabling},
    ids::{ClientId, GrantId},
};
use tokio::{sync::mpsc, time::advance};

use super::*;
use crate::edge::resource_server::cache::{
    TokenCache,
    tests::{knows, look_up},
};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Board {
    number: Mutex<usize>,
    listeners: Mutex<Vec<mpsc::Sender<Posted>>>,
    loses_messages: AtomicBool,
    is_down: AtomicBool,
    hangs: AtomicBool,
    listened: AtomicUsize,
    /// What is disabled, and whether it can be told.
    disabled: Mutex<Vec<Disableable>>,
    tells_nothing_disabled: AtomicBool,
}

fn revision(number: usize) -> Revision {
    Revision::from_text(number.to_string())
}

impl Board {
    async fn up(&self) -> Result<(), StoreError> {
        // bounded: by the test, which lets it go on before it ends.
        while self.hangs.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10)).await;
        }
        if self.is_down.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("down".to_owned()))
        } else {
            Ok(())
        }
    }

    /// Another gateway posts it.
    async fn revoked_elsewhere(&self, invalidation: Invalidation) {
        let posted = {
            let mut number = self.number.lock().unwrap();
            *number += 1;
            Posted { before: revision(*number - 1), invalidation, after: revision(*number) }
        };
        if !self.loses_messages.load(Ordering::SeqCst) {
            let listeners = self.listeners.lock().unwrap().clone();
            for listener in listeners {
                let _gone = listener.send(posted.clone()).await;
            }
        }
    }

    fn cut_listeners_off(&self) {
        self.listeners.lock().unwrap().clear();
    }
}

#[async_trait]
impl InvalidationStore for Board {
    async fn post(&self, invalidation: &Invalidation) -> Result<(), StoreError> {
        self.up().await?;
        self.revoked_elsewhere(invalidation.clone()).await;
        Ok(())
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.up().await?;
        Ok(revision(*self.number.lock().unwrap()))
    }

    async fn listen(&self) -> Result<Box<dyn InvalidationSubscription>, StoreError> {
        self.up().await?;
        self.listened.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = mpsc::channel(16);
        self.listeners.lock().unwrap().push(sender);
        Ok(Box::new(FakeSubscription(receiver)))
    }
}

#[async_trait]
impl DisabledStore for Board {
    async fn list_disabled(&self, _: u32) -> Result<Vec<DisabledRecord>, StoreError> {
        self.up().await?;
        if self.tells_nothing_disabled.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("half of it is down".to_owned()));
        }
        let record = |what: &Disableable| DisabledRecord {
            what: what.clone(),
            name: None,
            reason: None,
            by: String::new(),
            at: Timestamp::from_millis(0),
        };
        Ok(self.disabled.lock().unwrap().iter().map(record).collect())
    }

    async fn disable(&self, _: &DisabledRecord, _: Timestamp) -> Result<Disabling, StoreError> {
        unreachable!("commands do that")
    }

    async fn enable(&self, _: &Disableable) -> Result<bool, StoreError> {
        unreachable!("commands do that")
    }

    async fn find_disabled(&self, _: &Disableable) -> Result<Option<DisabledRecord>, StoreError> {
        unreachable!("commands do that")
    }
}

struct FakeSubscription(mpsc::Receiver<Posted>);

#[async_trait]
impl InvalidationSubscription for FakeSubscription {
    async fn next(&mut self) -> Option<Posted> {
        self.0.recv().await
    }
}

struct World {
    board: Arc<Board>,
    cache: TokenCache,
    disabled: Disabled,
    told: watch::Receiver<u64>,
    _invalidations: Invalidations,
}

impl World {
    async fn start() -> Self {
        let (board, cache) = (Arc::new(Board::default()), TokenCache::that_trusts_for(HOUR));
        let store: Arc<dyn InvalidationStore> = Arc::clone(&board) as _;
        let (tell, told) = watch::channel(0);
        let disabled = Disabled::default();
        let invalidations = Invalidations::begin(
            store,
            Remembered {
                invalidation_log: Arc::clone(cache.invalidation_log()),
                disabled: disabled.clone(),
                disabled_store: Arc::clone(&board) as _,
            },
            Some(NodeId::from_text("me")),
            tell,
        );
        let world = Self { board, cache, disabled, told, _invalidations: invalidations };
        world.passes(1000).await;
        for name in ["one", "other"] {
            look_up(&world.cache, name).await;
        }
        world
    }

    /// Time passes, a little at a time, as it does.
    async fn passes(&self, millis: u64) {
        for _ in 0..millis / 10 {
            advance(Duration::from_millis(10)).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn knows(&self) -> [bool; 2] {
        [knows(&self.cache, "one").await, knows(&self.cache, "other").await]
    }
}

fn one() -> Invalidation {
    Invalidation::Grant(GrantId::from_text("one"))
}

#[tokio::test(start_paused = true)]
async fn t19_what_is_revoked_elsewhere_is_heard_at_once_and_nothing_else_is_forgotten() {
    let world = World::start().await;
    world.passes(60_000).await;
    assert_eq!(world.knows().await, [true, true], "nothing was revoked");
    world.board.revoked_elsewhere(one()).await;
    world.passes(10).await;
    assert_eq!(world.knows().await, [false, true]);
    world.passes(60_000).await;
    assert_eq!(world.knows().await, [false, true], "the revision it led to is known");
    assert_eq!(world.board.listened.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn t19_a_lost_message_is_noticed_within_a_second() {
    let world = World::start().await;
    world.board.loses_messages.store(true, Ordering::SeqCst);
    world.board.revoked_elsewhere(one()).await;
    world.passes(900).await;
    assert_eq!(world.knows().await, [false, false], "nobody knows what it was");
    // A node that missed something listens anew, and hears again.
    world.board.loses_messages.store(false, Ordering::SeqCst);
    world.passes(1000).await;
    assert_eq!(world.board.listened.load(Ordering::SeqCst), 2);
    look_up(&world.cache, "other").await;
    world.board.revoked_elsewhere(one()).await;
    world.passes(10).await;
    assert_eq!(world.knows().await, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn t19_a_message_after_a_lost_one_tells_of_it() {
    let world = World::start().await;
    world.board.loses_messages.store(true, Ordering::SeqCst);
    world.board.revoked_elsewhere(one()).await;
    world.board.loses_messages.store(false, Ordering::SeqCst);
    world.board.revoked_elsewhere(Invalidation::Grant(GrantId::from_text("a third"))).await;
    world.passes(10).await;
    assert_eq!(world.knows().await, [false, false]);
}

#[tokio::test(start_paused = true)]
async fn t19_a_listener_that_is_cut_off_misses_nothing() {
    let world = World::start().await;
    world.board.cut_listeners_off();
    world.board.revoked_elsewhere(one()).await;
    world.passes(900).await;
    assert!(!knows(&world.cache, "one").await);
    world.passes(10_000).await;
    assert!(world.board.listened.load(Ordering::SeqCst) >= 2, "it listens again");
}

#[tokio::test(start_paused = true)]
async fn t19_a_store_that_goes_back_is_not_taken_for_one_where_nothing_happened() {
    let world = World::start().await;
    world.board.revoked_elsewhere(Invalidation::Grant(GrantId::from_text("a third"))).await;
    world.passes(1000).await;
    assert_eq!(world.knows().await, [true, true]);
    // It lost its count, and a message.
    *world.board.number.lock().unwrap() = 100;
    world.passes(900).await;
    assert_eq!(world.knows().await, [false, false]);
}

#[tokio::test(start_paused = true)]
async fn f2_a_store_that_fails_or_hangs_vouches_for_nothing() {
    for hangs in [false, true] {
        let world = World::start().await;
        let trouble = if hangs { &world.board.hangs } else { &world.board.is_down };
        trouble.store(true, Ordering::SeqCst);
        world.passes(1000).await;
        assert_eq!(world.knows().await, [false, false], "hangs: {hangs}");
        trouble.store(false, Ordering::SeqCst);
        world.passes(1000).await;
        assert_eq!(
            world.knows().await,
            [false, false],
            "what was revoked meanwhile may have been lost, hangs: {hangs}"
        );
        look_up(&world.cache, "one").await;
        world.passes(60_000).await;
        assert!(knows(&world.cache, "one").await, "it is vouched for again, hangs: {hangs}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_configurations_of_others_are_told() {
    let world = World::start().await;
    let count = || *world.told.borrow();
    let of =
        |node: &str| Generation { node: NodeId::from_text(node), fingerprint: "abc".to_owned() };
    let begun = count();
    world.board.post(&Invalidation::Configuration(of("me"))).await.unwrap();
    world.passes(1000).await;
    assert_eq!(count(), begun, "its own");
    world.board.revoked_elsewhere(Invalidation::Configuration(of("another"))).await;
    world.passes(10).await;
    assert_eq!(count(), begun + 1);
    world.board.loses_messages.store(true, Ordering::SeqCst);
    world.board.revoked_elsewhere(Invalidation::Configuration(of("another"))).await;
    world.passes(1000).await;
    assert!(count() > begun + 1, "it may have been one");
}

fn client(id: &str) -> Disableable {
    Disableable::Client(ClientId::from_text(id))
}

impl World {
    fn knows_disabled(&self, id: &str) -> bool {
        self.disabled.now().contains(&client(id))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_disabled_elsewhere_is_known_at_once_when_it_is_told() {
    let world = World::start().await;
    world.board.revoked_elsewhere(Invalidation::Disabled(client("app"))).await;
    world.passes(10).await;
    assert!(world.knows_disabled("app"));
    world.board.revoked_elsewhere(Invalidation::Enabled(client("app"))).await;
    world.passes(10).await;
    assert!(!world.knows_disabled("app"));
}

/// As from a command beside the gateway, whose messages do not come here.
#[tokio::test(start_paused = true)]
async fn what_is_disabled_elsewhere_is_known_within_a_second_though_no_message_comes() {
    let world = World::start().await;
    world.board.loses_messages.store(true, Ordering::SeqCst);
    world.board.disabled.lock().unwrap().push(client("app"));
    world.board.revoked_elsewhere(Invalidation::Disabled(client("app"))).await;
    world.passes(1000).await;
    assert!(world.knows_disabled("app"));
    world.board.disabled.lock().unwrap().clear();
    world.board.revoked_elsewhere(Invalidation::Enabled(client("app"))).await;
    world.passes(1000).await;
    assert!(!world.knows_disabled("app"));
}

/// Tokens are not trusted for longer than a second by a gateway that cannot say what is disabled;
/// what it knew of that it still knows.
#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_and_nothing_vouched_for_while_the_store_cannot_be_asked() {
    let world = World::start().await;
    world.board.revoked_elsewhere(Invalidation::Disabled(client("app"))).await;
    world.passes(10).await;
    world.board.tells_nothing_disabled.store(true, Ordering::SeqCst);
    world.board.loses_messages.store(true, Ordering::SeqCst);
    world.board.revoked_elsewhere(Invalidation::Enabled(client("app"))).await;
    world.passes(3000).await;
    assert!(world.knows_disabled("app"));
    assert!(!world.cache.invalidation_log().is_vouched_for(Instant::now()));
    world.board.tells_nothing_disabled.store(false, Ordering::SeqCst);
    world.passes(1000).await;
    assert!(!world.knows_disabled("app"));
    assert!(world.cache.invalidation_log().is_vouched_for(Instant::now()));
}
