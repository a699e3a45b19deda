//! A node that loses touch with the store, and one that leaves, over a store that is told what to
//! say.

use std::sync::atomic::AtomicBool;

use portunus_core::{clock::SystemClock, entropy::SeededEntropy, ids::NodeId, secret::SecretText};
use portunus_store::seal::Sealer;

use super::*;

fn node(name: &str) -> Node {
    Node { id: NodeId::from_text(name), url: format!("http://{name}") }
}

/// A store with one owner for every user.
#[derive(Default)]
struct OneOwner {
    is_down: AtomicBool,
    owner: Mutex<Option<Node>>,
    nodes: Mutex<Vec<Node>>,
    claims: AtomicUsize,
}

impl OneOwner {
    fn up(&self) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("down".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl NodeStore for OneOwner {
    async fn beat(&self, _: &Node, _: Duration) -> Result<(), StoreError> {
        self.up()
    }

    async fn leave(&self, _: &NodeId) -> Result<(), StoreError> {
        self.up()
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.up()?;
        Ok(self.nodes.lock().unwrap().clone())
    }

    async fn claim_ownership(
        &self,
        _: &UserId,
        me: &Node,
        _: Duration,
    ) -> Result<Node, StoreError> {
        self.up()?;
        self.claims.fetch_add(1, Ordering::SeqCst);
        Ok(self.owner.lock().unwrap().get_or_insert_with(|| me.clone()).clone())
    }

    async fn release_ownership(&self, _: &UserId, node: &NodeId) -> Result<bool, StoreError> {
        self.up()?;
        Ok(self.owner.lock().unwrap().take_if(|owner| owner.id == *node).is_some())
    }
}

#[derive(Default)]
struct FakeOwnership {
    is_busy: AtomicBool,
    evict_user: AtomicUsize,
}

#[async_trait]
impl Ownership for FakeOwnership {
    fn users(&self) -> Vec<UserId> {
        Vec::new()
    }

    fn is_busy(&self, _: &UserId) -> bool {
        self.is_busy.load(Ordering::SeqCst)
    }

    async fn evict_user(&self, _: &UserId) {
        self.evict_user.fetch_add(1, Ordering::SeqCst);
    }
}

async fn member() -> (Arc<OneOwner>, Arc<FakeOwnership>, Arc<Member>) {
    let (store, ownership, entropy) = (
        Arc::new(OneOwner::default()),
        Arc::new(FakeOwnership::default()),
        Arc::new(SeededEntropy::new(1)),
    );
    let parts = MemberParts {
        me: node("me"),
        nodes: Arc::clone(&store) as _,
        ownership: Arc::clone(&ownership) as _,
        sealer: Sealer::new(&[SecretText::new("a secret of the tests")], entropy.clone()).unwrap(),
        clock: Arc::new(SystemClock),
        entropy,
    };
    let member = Member::join(parts).await.unwrap();
    (store, ownership, member)
}

/// `me`, another node's name, or `nowhere`.
async fn owner(member: &Member) -> String {
    match member.owner(&UserId::from_text("alice")).await {
        Ok(Owner::ThisNode) => "me".to_owned(),
        Ok(Owner::Other(node)) => node.id.as_str().to_owned(),
        Err(_) => "nowhere".to_owned(),
    }
}

async fn until_owner_is(member: &Member, wanted: &str) {
    for _ in 0..3_000 {
        if owner(member).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {wanted}");
}

#[tokio::test(start_paused = true)]
async fn a_node_out_of_touch_knows_it_before_the_others_and_comes_back() {
    let (store, _, member) = member().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(member.is_alive(), "it says so every second");
    store.is_down.store(true, Ordering::SeqCst);
    tokio::time::sleep(ALIVE_FOR.saturating_sub(MARGIN)).await;
    assert!(!member.is_alive(), "the others may take it for dead soon");
    store.is_down.store(false, Ordering::SeqCst);
    tokio::time::sleep(BEAT_EVERY + Duration::from_millis(1)).await;
    assert!(member.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_could_not_say_that_it_is_alive_says_so_soon() {
    let (store, _, member) = member().await;
    store.is_down.store(true, Ordering::SeqCst);
    // Between two whole seconds, which the first try began at.
    tokio::time::sleep(Duration::from_millis(10_250)).await;
    assert!(!member.is_alive());
    store.is_down.store(false, Ordering::SeqCst);
    tokio::time::sleep(BEAT_AGAIN + Duration::from_millis(1)).await;
    assert!(member.is_alive(), "a try that failed has taken its time already");
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_once_for_an_owner() {
    let (store, _, member) = member().await;
    assert_eq!([owner(&member).await, owner(&member).await], ["me", "me"]);
    assert_eq!(store.claims.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_out_of_touch_serves_nobody_and_lets_go_of_whom_it_lost() {
    let (store, ownership, member) = member().await;
    assert_eq!(owner(&member).await, "me");
    store.is_down.store(true, Ordering::SeqCst);
    until_owner_is(&member, "nowhere").await;
    // Meanwhile it was taken for dead.
    *store.owner.lock().unwrap() = Some(node("other"));
    assert_eq!(ownership.evict_user.load(Ordering::SeqCst), 0);
    store.is_down.store(false, Ordering::SeqCst);
    until_owner_is(&member, "other").await;
    assert_eq!(ownership.evict_user.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_out_of_touch_asks_again_and_may_have_lost_nobody() {
    let (store, ownership, member) = member().await;
    assert_eq!(owner(&member).await, "me");
    store.is_down.store(true, Ordering::SeqCst);
    until_owner_is(&member, "nowhere").await;
    store.is_down.store(false, Ordering::SeqCst);
    until_owner_is(&member, "me").await;
    assert_eq!(store.claims.load(Ordering::SeqCst), 2, "it did not take it for granted");
    assert_eq!(ownership.evict_user.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_keeps_whom_it_works_for_and_no_longer() {
    let (store, ownership, member) = member().await;
    *store.nodes.lock().unwrap() = vec![node("me"), node("other")];
    assert_eq!(owner(&member).await, "me");
    ownership.is_busy.store(true, Ordering::SeqCst);
    member.begin_leaving();
    assert_eq!(owner(&member).await, "me");
    ownership.is_busy.store(false, Ordering::SeqCst);
    // This node is still noted as the owner until it gives that up.
    assert_eq!(owner(&member).await, "other");
    assert_eq!(ownership.evict_user.load(Ordering::SeqCst), 1);
    assert!(store.owner.lock().unwrap().is_none(), "somebody else may take it");
}
