//! Invalidations of the gateways on one store, as this one hears them: what was revoked elsewhere
//! reaches the cache of tokens at once. Messages may get lost, so revisions are compared several
//! times a second as well: [`revision_log`] knows whether something was missed, and then everything
//! that is remembered is forgotten. What is believed while that is not known is said in
//! [`crate::edge::resource_server::invalidation_log`].
//!
//! What this node revokes itself it forgets by itself ([`forgetting`]).
//!
//! A new configuration is told in the same way: a node that has taken one up posts that, and the
//! others are woken to read their own files again (`gateway::reload`).

mod local_revocations;
mod revision_log;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portunus_core::{
    ids::NodeId,
    invalidation::{Generation, Invalidation, Posted, Revision},
    store::{DisabledStore, InvalidationStore, InvalidationSubscription, StoreError},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

pub use self::local_revocations::forgetting;
use self::revision_log::{RevisionLog, Step};
use crate::{disabled::Disabled, edge::resource_server::invalidation_log::InvalidationLog};

/// How often revisions are compared: twice within the time that one comparison vouches for.
const COMPARE_EVERY: Duration = Duration::from_millis(400);
/// How long the store may take to say its revision. Longer than it vouches for is no use.
const ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// How long it may take to tell what is disabled.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
/// For a message that is on its way while its revision is here already.
const GRACE: Duration = Duration::from_millis(100);
/// Between attempts to listen: doubled with each that fails.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The ear of this gateway. Its work ends when it is dropped.
pub struct Invalidations {
    _work: JoinSet<()>,
}

/// What is kept up to date.
pub struct Remembered {
    pub invalidation_log: Arc<InvalidationLog>,
    pub disabled: Disabled,
    pub disabled_store: Arc<dyn DisabledStore>,
}

struct InvalidationListener {
    store: Arc<dyn InvalidationStore>,
    invalidation_log: Arc<InvalidationLog>,
    disabled: Disabled,
    disabled_store: Arc<dyn DisabledStore>,
    /// Who this is, among several.
    me: Option<NodeId>,
    revision_log: Mutex<RevisionLog>,
    /// The revision_log has grown.
    grown: Notify,
    /// Something was missed though the node listened: that connection is not to be trusted.
    is_deaf: Notify,
    is_listening: watch::Sender<bool>,
    configurations: watch::Sender<u64>,
}

impl Invalidations {
    /// `configurations` changes when another node has announced a new configuration, or may have: a
    /// message may be lost, so it also changes when anything was missed. Reading the same files
    /// once more must do no harm.
    pub fn begin(
        store: Arc<dyn InvalidationStore>,
        remembered: Remembered,
        me: Option<NodeId>,
        configurations: watch::Sender<u64>,
    ) -> Self {
        let Remembered { invalidation_log, disabled, disabled_store } = remembered;
        let ear = Arc::new(InvalidationListener {
            store,
            invalidation_log,
            disabled,
            disabled_store,
            me,
            revision_log: Mutex::default(),
            grown: Notify::new(),
            is_deaf: Notify::new(),
            is_listening: watch::Sender::new(false),
            configurations,
        });
        let mut work = JoinSet::new();
        work.spawn(Arc::clone(&ear).listen());
        work.spawn(ear.compare());
        Self { _work: work }
    }
}

impl InvalidationListener {
    fn revision_log(&self) -> MutexGuard<'_, RevisionLog> {
        self.revision_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self: Arc<Self>) {
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            match self.store.listen().await {
                Ok(hearing) => {
                    tracing::debug!("listening for invalidations");
                    self.is_listening.send_replace(true);
                    self.hear_out(hearing).await;
                    self.is_listening.send_replace(false);
                }
                Err(error) if pause == PAUSE => {
                    tracing::warn!(%error, "invalidations of other gateways are not received: what is revoked elsewhere is noticed by comparing revisions");
                }
                Err(error) => {
                    tracing::debug!(%error, "invalidations of other gateways are still not received");
                }
            }
            pause =
                if began.elapsed() > LONGEST_PAUSE { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            sleep(pause).await;
        }
    }

    /// Until touch is lost.
    async fn hear_out(&self, mut hearing: Box<dyn InvalidationSubscription>) {
        loop {
            tokio::select! {
                posted = hearing.next() => match posted {
                    Some(posted) => self.hear(posted),
                    None => return,
                },
                () = self.is_deaf.notified() => return,
            }
        }
    }

    fn hear(&self, Posted { before, invalidation, after }: Posted) {
        let step = self.revision_log().hear(&before, after);
        match step {
            Step::Next => self.take_in(invalidation),
            Step::Known => {}
            Step::Gap => {
                tracing::debug!("an invalidation was missed");
                self.miss();
            }
        }
        self.grown.notify_waiters();
    }

    fn take_in(&self, invalidation: Invalidation) {
        if let Invalidation::Configuration(Generation { node, fingerprint }) = &invalidation {
            if self.me.as_ref() != Some(node) {
                tracing::info!(%node, fingerprint, "another node runs with a new configuration");
                self.configurations.send_modify(|count| *count += 1);
            }
            return;
        }
        self.disabled.hear(&invalidation);
        self.invalidation_log.hear(invalidation);
    }

    /// It may have told anything.
    fn miss(&self) {
        self.disabled.miss();
        self.invalidation_log.hear(Invalidation::Everything);
        self.configurations.send_modify(|count| *count += 1);
    }

    async fn compare(self: Arc<Self>) {
        let mut tick = tokio::time::interval(COMPARE_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let asked_at = Instant::now();
            match timeout(ANSWER_WITHIN, self.store.revision()).await {
                Ok(Ok(revision)) => {
                    self.reach(revision).await;
                    // What is remembered is vouched for only if all of it is.
                    if self.catch_up().await {
                        self.invalidation_log.compared(asked_at);
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the revision of invalidations is not known");
                }
                Err(_) => tracing::debug!(
                    "the store takes too long to tell the revision of invalidations"
                ),
            }
        }
    }

    /// Is everything known that is disabled?
    async fn catch_up(&self) -> bool {
        match timeout(CATCH_UP_WITHIN, self.disabled.catch_up(&*self.disabled_store)).await {
            Ok(Ok(())) => true,
            Ok(Err(error @ StoreError::Corrupt(_))) => {
                tracing::error!(%error, "what is disabled cannot be read: see `portunus store check`");
                false
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "what is disabled is not known");
                false
            }
            Err(_) => {
                tracing::debug!("the store takes too long to tell what is disabled");
                self.disabled.miss();
                false
            }
        }
    }

    /// When it answers, everything before the store's revision was heard, or all that is remembered
    /// is forgotten.
    async fn reach(&self, revision: Revision) {
        let is_listening = *self.is_listening.borrow();
        if is_listening {
            // Whether it came, the revision_log tells.
            let _ = timeout(GRACE, self.comes_to(&revision)).await;
        }
        match self.revision_log().compare(revision) {
            Step::Known => {}
            // The first.
            Step::Next => {
                self.disabled.miss();
                self.invalidation_log.hear(Invalidation::Everything);
            }
            Step::Gap => {
                tracing::debug!(is_listening, "invalidations were missed");
                self.miss();
                if is_listening {
                    self.is_deaf.notify_one();
                }
            }
        }
    }

    async fn comes_to(&self, revision: &Revision) {
        loop {
            let grown = self.grown.notified();
            let mut grown = std::pin::pin!(grown);
            grown.as_mut().enable();
            if self.revision_log().is_known(revision) || self.revision_log().is_empty() {
                return;
            }
            grown.await;
        }
    }
}

#[cfg(test)]
mod tests;
