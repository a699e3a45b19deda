//! Bulletins of the gateways on one store, as this one hears them: what was revoked elsewhere reaches the cache of tokens at once. Messages may
//! get lost, so marks are compared several times a second as well: [`chain`] knows whether something was missed, and then everything that is
//! remembered is forgotten. What is believed while nobody can tell is said in [`crate::edge::protect::news`].
//!
//! A new configuration is told in the same way: a node that has taken one up posts that, and the others are woken to read their own files again
//! (`gateway::reload`).

mod chain;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portunus_core::{
    bulletin::{Bulletin, Generation, Mark, Posted},
    ids::NodeId,
    store::{BulletinStore, Hearing},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use self::chain::{Chain, Step};
use crate::edge::protect::news::News;

/// How often marks are compared: twice within the time that one comparison vouches for.
const COMPARE_EVERY: Duration = Duration::from_millis(400);
/// How long the store may take to say its mark. Longer than it vouches for is no use.
const ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// For a message that is on its way while its mark is here already.
const GRACE: Duration = Duration::from_millis(100);
/// Between attempts to listen: doubled with each that fails.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The ear of this gateway. Its work ends when it is dropped.
pub struct Bulletins {
    _work: JoinSet<()>,
}

struct Ear {
    store: Arc<dyn BulletinStore>,
    news: Arc<News>,
    /// Who this is, among several.
    me: Option<NodeId>,
    chain: Mutex<Chain>,
    /// The chain has grown.
    grown: Notify,
    /// Something was missed though somebody listened: that connection is not to be trusted.
    is_deaf: Notify,
    is_listening: watch::Sender<bool>,
    configurations: watch::Sender<u64>,
}

impl Bulletins {
    /// `configurations` changes when another node has announced a new configuration, or may have: a message may be lost, so it also changes
    /// when anything was missed. Reading the same files once more must do no harm.
    pub fn begin(store: Arc<dyn BulletinStore>, news: Arc<News>, me: Option<NodeId>, configurations: watch::Sender<u64>) -> Self {
        let ear = Arc::new(Ear {
            store,
            news,
            me,
            chain: Mutex::default(),
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

impl Ear {
    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self: Arc<Self>) {
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            match self.store.listen().await {
                Ok(hearing) => {
                    tracing::debug!("listening for bulletins");
                    self.is_listening.send_replace(true);
                    self.hear_out(hearing).await;
                    self.is_listening.send_replace(false);
                }
                Err(error) if pause == PAUSE => {
                    tracing::warn!(%error, "bulletins are not heard: what is revoked elsewhere is noticed by comparing marks");
                }
                Err(error) => tracing::debug!(%error, "bulletins are still not heard"),
            }
            pause = if began.elapsed() > LONGEST_PAUSE { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            sleep(pause).await;
        }
    }

    /// Until touch is lost.
    async fn hear_out(&self, mut hearing: Box<dyn Hearing>) {
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

    fn hear(&self, Posted { before, bulletin, after }: Posted) {
        let step = self.chain().hear(&before, after);
        match step {
            Step::Next => self.take_in(bulletin),
            Step::Known => {}
            Step::Gap => {
                tracing::debug!("a bulletin was missed");
                self.miss();
            }
        }
        self.grown.notify_waiters();
    }

    fn take_in(&self, bulletin: Bulletin) {
        if let Bulletin::Configuration(Generation { node, fingerprint }) = &bulletin {
            if self.me.as_ref() != Some(node) {
                tracing::info!(%node, fingerprint, "another node runs with a new configuration");
                self.configurations.send_modify(|count| *count += 1);
            }
            return;
        }
        self.news.hear(bulletin);
    }

    /// It may have told anything.
    fn miss(&self) {
        self.news.hear(Bulletin::Everything);
        self.configurations.send_modify(|count| *count += 1);
    }

    async fn compare(self: Arc<Self>) {
        let mut tick = tokio::time::interval(COMPARE_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let asked_at = Instant::now();
            match timeout(ANSWER_WITHIN, self.store.mark()).await {
                Ok(Ok(mark)) => {
                    self.reach(mark).await;
                    self.news.compared(asked_at);
                }
                Ok(Err(error)) => tracing::debug!(%error, "the mark of bulletins is not known"),
                Err(_) => tracing::debug!("the store takes too long to tell the mark of bulletins"),
            }
        }
    }

    /// When it answers, everything before the store's mark was heard, or all that is remembered is forgotten.
    async fn reach(&self, mark: Mark) {
        let is_listening = *self.is_listening.borrow();
        if is_listening {
            // Whether it came, the chain tells.
            let _ = timeout(GRACE, self.comes_to(&mark)).await;
        }
        match self.chain().compare(mark) {
            Step::Known => {}
            // The first.
            Step::Next => self.news.hear(Bulletin::Everything),
            Step::Gap => {
                tracing::debug!(is_listening, "bulletins were missed");
                self.miss();
                if is_listening {
                    self.is_deaf.notify_one();
                }
            }
        }
    }

    async fn comes_to(&self, mark: &Mark) {
        loop {
            let grown = self.grown.notified();
            let mut grown = std::pin::pin!(grown);
            grown.as_mut().enable();
            if self.chain().is_known(mark) || self.chain().is_empty() {
                return;
            }
            grown.await;
        }
    }
}

#[cfg(test)]
mod tests;
