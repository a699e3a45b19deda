//! How the set follows the store, over one that can be asked in the middle of a change.

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    disabled::{DisabledRecord, Disabling},
    ids::{ClientId, ServerName, UserId},
};

use super::*;

fn person(n: u32) -> Disableable {
    Disableable::Person(UserId::from_text(format!("person {n}")))
}

fn server() -> Disableable {
    Disableable::Server(ServerName::parse("dice").unwrap())
}

fn client() -> Disableable {
    Disableable::Client(ClientId::from_text("client"))
}

/// Has what it is told to have. The first answer is given only after `meanwhile` was heard.
#[derive(Default)]
struct Kept {
    all: Mutex<Vec<Disableable>>,
    is_down: AtomicBool,
    meanwhile: Mutex<Vec<(Disabled, Invalidation)>>,
    asked: Mutex<u32>,
}

#[async_trait]
impl DisabledStore for Kept {
    async fn list_disabled(&self, most: u32) -> Result<Vec<DisabledRecord>, StoreError> {
        assert_eq!(most, MOST_PERSONS);
        *self.asked.lock().unwrap() += 1;
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("down".to_owned()));
        }
        let all = self.all.lock().unwrap().clone();
        for (disabled, invalidation) in self.meanwhile.lock().unwrap().drain(..) {
            if let Invalidation::Disabled(what) = &invalidation {
                self.all.lock().unwrap().push(what.clone());
            }
            disabled.hear(&invalidation);
        }
        let record = |what| DisabledRecord {
            what,
            name: None,
            reason: None,
            by: String::new(),
            at: Timestamp::from_millis(0),
        };
        Ok(all.into_iter().map(record).collect())
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

fn known(disabled: &Disabled) -> BTreeSet<Disableable> {
    disabled.now().iter().collect()
}

#[test]
fn what_is_heard_counts_at_once_and_is_followed_once() {
    let disabled = Disabled::default();
    let changes = disabled.changes();
    disabled.hear(&Invalidation::Disabled(person(1)));
    disabled.hear(&Invalidation::Disabled(client()));
    assert_eq!(known(&disabled), [person(1), client()].into());
    assert_eq!(*changes.borrow(), 2);
    assert_eq!(disabled.take_pending(), ([person(1), client()].into(), false));
    disabled.hear(&Invalidation::Enabled(client()));
    assert_eq!(known(&disabled), [person(1)].into());
    assert_eq!(disabled.take_pending(), (BTreeSet::new(), false), "no list shows a client");
    // Disabled and enabled before anybody followed: what it had has ended in the store.
    disabled.hear(&Invalidation::Disabled(server()));
    disabled.hear(&Invalidation::Enabled(server()));
    assert_eq!(disabled.take_pending(), ([server()].into(), true));
}

#[tokio::test]
async fn the_store_is_asked_when_something_was_missed_and_only_then() {
    let (disabled, store) = (Disabled::default(), Kept::default());
    *store.all.lock().unwrap() = vec![person(1), server()];
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(*store.asked.lock().unwrap(), 0);
    disabled.hear(&Invalidation::Everything);
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(known(&disabled), [person(1), server()].into());
    assert_eq!(disabled.take_pending(), ([person(1), server()].into(), false));
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(*store.asked.lock().unwrap(), 1);
    store.all.lock().unwrap().pop();
    disabled.miss();
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(known(&disabled), [person(1)].into());
    assert_eq!(disabled.take_pending(), (BTreeSet::new(), true));
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_makes_nothing_forgotten() {
    let (disabled, store) = (Disabled::default(), Kept::default());
    disabled.hear(&Invalidation::Disabled(person(1)));
    store.is_down.store(true, Ordering::SeqCst);
    disabled.miss();
    for _ in 0..2 {
        disabled.catch_up(&store).await.unwrap_err();
        assert_eq!(known(&disabled), [person(1)].into());
    }
    store.is_down.store(false, Ordering::SeqCst);
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(known(&disabled), BTreeSet::new(), "it is asked again");
}

#[tokio::test]
async fn what_comes_in_while_the_store_answers_is_not_lost() {
    let (disabled, store) = (Disabled::default(), Kept::default());
    let told = (disabled.clone(), Invalidation::Disabled(client()));
    store.meanwhile.lock().unwrap().push(told);
    disabled.miss();
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(known(&disabled), [client()].into());
    assert_eq!(*store.asked.lock().unwrap(), 2);
}

#[tokio::test]
async fn persons_in_memory_have_a_bound() {
    let (disabled, store) = (Disabled::default(), Kept::default());
    let most = MOST_PERSONS + u32::try_from(SLACK).unwrap();
    for n in 0..=most {
        disabled.catch_up(&store).await.unwrap();
        assert_eq!(*store.asked.lock().unwrap(), 0, "{n}");
        disabled.hear(&Invalidation::Disabled(person(n)));
    }
    disabled.catch_up(&store).await.unwrap();
    assert_eq!(*store.asked.lock().unwrap(), 1, "which says who was disabled last");
}

#[tokio::test]
async fn who_waits_is_woken_when_it_concerns_them() {
    let disabled = Disabled::default();
    let waiting = tokio::spawn({
        let disabled = disabled.clone();
        async move { disabled.until(|set| set.contains(&client())).await }
    });
    disabled.hear(&Invalidation::Disabled(person(1)));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    disabled.hear(&Invalidation::Disabled(client()));
    waiting.await.unwrap();
}
