//! This node as one of several: it says that it is alive, and knows or finds out which node owns
//! each user's sessions.
//!
//! A node that could not say so for a while may have lost its users to others without noticing. It
//! serves no user then; when it is back, it asks for each user again before it serves them, and
//! evicts those whose owner is another node now.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use moka::sync::Cache;
use portunus_core::{
    ids::{NodeId, UserId},
    node::Node,
    store::{NodeStore, StoreError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{envelope::Envelopes, live_nodes::LiveNodes};

/// How long a node counts as alive after it said so, and how often it says so.
const ALIVE_FOR: Duration = Duration::from_secs(3);
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// After a try that failed, which took its time already.
const BEAT_AGAIN: Duration = Duration::from_millis(100);
/// It stops serving before the others may take it for dead.
const MARGIN: Duration = Duration::from_millis(500);
/// How long a node stays a user's owner without being asked for.
const KEEP_FOR: Duration = Duration::from_secs(3600);
const RENEW_EVERY: Duration = Duration::from_secs(900);
/// How long another node is taken for a user's owner without asking; it says itself when it is not.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
const MOST_USERS: u64 = 1_000_000;

/// What a node has of users; and of servers that all users share, which have an owner node like
/// users, under a user id of their own.
#[async_trait]
pub trait Ownership: Send + Sync {
    /// Those with a session here.
    fn users(&self) -> Vec<UserId>;

    /// Is a call of theirs under way here?
    fn is_busy(&self, user: &UserId) -> bool;

    /// Another node is their owner: sessions, streams and processes of theirs end here. Their
    /// records stay.
    async fn evict_user(&self, user: &UserId);
}

/// The owner node of a user.
pub(super) enum Owner {
    ThisNode,
    Other(Node),
}

/// What a member is made of.
pub struct MemberParts {
    pub me: Node,
    pub nodes: Arc<dyn NodeStore>,
    pub ownership: Arc<dyn Ownership>,
    pub sealer: portunus_store::seal::Sealer,
    pub clock: Arc<dyn portunus_core::Clock>,
    pub entropy: Arc<dyn portunus_core::Entropy>,
}

pub struct Member {
    pub(super) me: Node,
    pub(super) envelopes: Envelopes,
    nodes: Arc<dyn NodeStore>,
    ownership: Arc<dyn Ownership>,
    here: Cache<UserId, Claim>,
    elsewhere: Cache<UserId, Node>,
    /// Claims of an earlier epoch have to be made again.
    epoch: AtomicU64,
    /// When the last beat that reached the store began.
    beaten: Mutex<Option<Instant>>,
    /// Which nodes are alive.
    pub(super) live_nodes: LiveNodes,
    /// Cancelled when this node is going to stop.
    pub(super) leaving: CancellationToken,
    /// Which of the others gets the next user while this one leaves.
    turn: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Claim {
    epoch: u64,
    made: Instant,
}

impl Member {
    /// Joins: the store knows of this node when it answers.
    pub async fn join(parts: MemberParts) -> Result<Arc<Self>, StoreError> {
        let MemberParts { me, nodes, ownership, sealer, clock, entropy } = parts;
        let member = Arc::new(Self {
            me,
            envelopes: Envelopes::new(sealer, clock, entropy),
            nodes,
            ownership,
            here: Cache::builder().max_capacity(MOST_USERS).time_to_idle(KEEP_FOR).build(),
            elsewhere: Cache::builder().max_capacity(MOST_USERS).time_to_live(TRUSTED_FOR).build(),
            epoch: AtomicU64::new(0),
            beaten: Mutex::default(),
            live_nodes: LiveNodes::default(),
            leaving: CancellationToken::new(),
            turn: AtomicUsize::new(0),
        });
        member.beat().await?;
        tracing::info!(node = %member.me.id, url = member.me.url, "one node among those of this store");
        tokio::spawn(live(Arc::downgrade(&member)));
        Ok(member)
    }

    pub const fn id(&self) -> &NodeId {
        &self.me.id
    }

    /// The node where the user's requests are served.
    pub(super) async fn owner(&self, user: &UserId) -> Result<Owner, StoreError> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let held = self.here.get(user);
        if self.leaving.is_cancelled() {
            return self.owner_while_leaving(user, held.is_some()).await;
        }
        if !self.is_alive() {
            return Err(StoreError::Unavailable(
                "this node could not say for a while that it is alive".to_owned(),
            ));
        }
        if held.is_some_and(|claim| claim.epoch == epoch && claim.made.elapsed() < RENEW_EVERY) {
            return Ok(Owner::ThisNode);
        }
        if held.is_none()
            && let Some(node) = self.elsewhere.get(user)
        {
            return Ok(Owner::Other(node));
        }
        let made = Instant::now();
        let owner = self.nodes.claim_ownership(user, &self.me, KEEP_FOR).await?;
        if owner.id == self.me.id {
            self.elsewhere.invalidate(user);
            self.here.insert(user.clone(), Claim { epoch, made });
            return Ok(Owner::ThisNode);
        }
        if held.is_some() {
            tracing::warn!(%user, node = %owner.id, "another node is a user's owner now");
            self.here.invalidate(user);
            self.ownership.evict_user(user).await;
        }
        self.elsewhere.insert(user.clone(), owner.clone());
        Ok(Owner::Other(owner))
    }

    /// A node that leaves takes no new users. It stays the owner of those with calls under way
    /// until these have ended, and evicts all others. Where there is no other node, it serves every
    /// user to the end.
    async fn owner_while_leaving(&self, user: &UserId, is_held: bool) -> Result<Owner, StoreError> {
        if is_held && self.ownership.is_busy(user) {
            return Ok(Owner::ThisNode);
        }
        let mut others = self.nodes.list_nodes().await?;
        others.retain(|node| node.id != self.me.id);
        if others.is_empty() {
            return Ok(Owner::ThisNode);
        }
        if is_held {
            self.here.invalidate(user);
            self.ownership.evict_user(user).await;
        }
        // Only the store knows whether they have an owner already, and it answers by making this
        // node the owner: given back at once.
        let owner = self.nodes.claim_ownership(user, &self.me, KEEP_FOR).await?;
        if owner.id != self.me.id {
            return Ok(Owner::Other(owner));
        }
        self.nodes.release_ownership(user, &self.me.id).await?;
        // Another one each time: the first may be about to stop too.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % others.len();
        Ok(Owner::Other(others.swap_remove(turn)))
    }

    /// What was known of the user's owner was wrong.
    pub(super) fn ask_again(&self, user: &UserId) {
        self.elsewhere.invalidate(user);
    }

    /// Is a call under way of a user whose owner is this node?
    pub fn has_work(&self) -> bool {
        self.ownership.users().iter().any(|user| self.ownership.is_busy(user))
    }

    /// This node is going to stop: its users go elsewhere, as soon as nothing of theirs is under
    /// way.
    pub fn begin_leaving(&self) {
        self.leaving.cancel();
    }

    /// This node stops. Without it the others would notice a little later.
    pub async fn leave(&self) {
        self.begin_leaving();
        if let Err(error) = self.nodes.leave(&self.me.id).await {
            tracing::warn!(%error, "the other nodes could not be told that this one stops");
        }
    }

    /// Has it said lately enough that it is alive?
    pub(super) fn is_alive(&self) -> bool {
        let beaten = *self.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        beaten.is_some_and(|at| at.elapsed() + MARGIN < ALIVE_FOR)
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        self.nodes.beat(&self.me, ALIVE_FOR).await?;
        if !self.is_alive() && self.epoch.fetch_add(1, Ordering::SeqCst) > 0 {
            tracing::warn!("this node was out of touch: users are asked for again");
        }
        *self.beaten.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
        self.live_nodes.call(self.nodes.list_nodes().await?);
        Ok(())
    }

    /// Users whose streams are open need not ask for anything for hours.
    async fn renew(&self) {
        for user in self.ownership.users() {
            if let Err(error) = self.owner(&user).await {
                tracing::warn!(%error, "that this node is a user's owner could not be renewed");
                return;
            }
        }
    }
}

async fn live(member: Weak<Member>) {
    let mut renewed = Instant::now();
    let mut was_well = true;
    let mut tick = tokio::time::interval(BEAT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(member) = member.upgrade() else { return };
        let beaten = tokio::time::timeout(ALIVE_FOR, member.beat()).await;
        let is_well = matches!(beaten, Ok(Ok(())));
        if !is_well {
            tick.reset_after(BEAT_AGAIN);
        }
        if is_well != was_well {
            match beaten {
                Ok(Ok(())) => tracing::info!("this node reaches the store again"),
                Ok(Err(error)) => tracing::warn!(%error, "this node cannot say that it is alive"),
                Err(_) => tracing::warn!(
                    "this node cannot say that it is alive: the store does not answer"
                ),
            }
            was_well = is_well;
        }
        if renewed.elapsed() > RENEW_EVERY {
            renewed = Instant::now();
            tokio::spawn(async move { member.renew().await });
        }
    }
}

#[cfg(test)]
mod tests;
