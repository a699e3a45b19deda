//! A node and a store that it can lose sight of.

use std::sync::atomic::AtomicBool;

use portunus_core::{clock::SystemClock, ids::NodeId, secret::SecretText};
use portunus_store::seal::Sealer;

use super::*;
use crate::os::OsEntropy;

/// A store that answers, or does not.
#[derive(Default)]
struct Flaky {
    is_gone: AtomicBool,
}

impl Flaky {
    fn answer<T>(&self, value: T) -> Result<T, StoreError> {
        if self.is_gone.load(Ordering::SeqCst) { Err(StoreError::Unavailable("gone".to_owned())) } else { Ok(value) }
    }
}

#[async_trait]
impl NodeStore for Flaky {
    async fn beat(&self, _: &Node, _: Duration) -> Result<(), StoreError> {
        self.answer(())
    }

    async fn leave(&self, _: &NodeId) -> Result<(), StoreError> {
        self.answer(())
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.answer(Vec::new())
    }

    async fn claim_home(&self, _: &UserId, me: &Node, _: Duration) -> Result<Node, StoreError> {
        self.answer(me.clone())
    }

    async fn release_home(&self, _: &UserId, _: &NodeId) -> Result<bool, StoreError> {
        self.answer(true)
    }
}

struct Nobody;

#[async_trait]
impl Household for Nobody {
    fn users(&self) -> Vec<UserId> {
        Vec::new()
    }

    fn is_busy(&self, _: &UserId) -> bool {
        false
    }

    async fn let_go(&self, _: &UserId) {}
}

#[tokio::test(start_paused = true)]
async fn a_node_out_of_touch_knows_it_before_the_others_and_comes_back() {
    let (clock, entropy, nodes) = (Arc::new(SystemClock), Arc::new(OsEntropy), Arc::new(Flaky::default()));
    let secret = SecretText::new("a-secret-of-thirty-two-bytes-at-least");
    let parts = MemberParts {
        me: Node { id: NodeId::generate(&*entropy), url: "http://10.0.0.5:7946".to_owned() },
        nodes: Arc::clone(&nodes) as _,
        household: Arc::new(Nobody),
        sealer: Sealer::new(&[secret], Arc::clone(&entropy) as _).unwrap(),
        clock,
        entropy,
    };
    let member = Member::join(parts).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(member.is_alive(), "it says so every second");
    nodes.is_gone.store(true, Ordering::SeqCst);
    tokio::time::sleep(ALIVE_FOR.saturating_sub(MARGIN)).await;
    assert!(!member.is_alive(), "the others may take it for dead soon");
    nodes.is_gone.store(false, Ordering::SeqCst);
    tokio::time::sleep(BEAT_EVERY + Duration::from_millis(1)).await;
    assert!(member.is_alive());
}
