//! Between the hub, which asks about what servers describe ([`portunus_mcp::pins`]), and the store,
//! which remembers it: [`PinBook`]. The rule is `portunus_core::pins`; what administrators do about
//! it is `cli::tools`.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use portunus_core::{
    Clock,
    ids::ServerName,
    pins::{
        Fingerprint, Judgement, Pin, PinKind, PinSubject, Pinning, SeenItem, UnreadableItem, judge,
    },
    store::{PinStore, StoreError},
};
use portunus_mcp::{
    pins::{ItemPins, Trust},
    wire::Payload,
};
use tokio::{sync::Mutex, time::Instant};

#[cfg(test)]
mod tests;

/// How long what was read is trusted: an approval is noticed within this time.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Things of one kind and server that are remembered: as many as are taken from its list. Those
/// beyond are held.
const MOST_OF_A_KIND: usize = 5_000;
/// Changes of one thing that wait for an administrator; newer ones push out older ones.
const MOST_CHANGES: u32 = 4;

/// The pins of every server, read from the store when they are needed and kept for a moment.
pub struct PinBook {
    store: Arc<dyn PinStore>,
    clock: Arc<dyn Clock>,
    pages: ArcSwap<Pages>,
}

type Pages = HashMap<ServerName, Arc<Page>>;

/// One server's.
struct Page {
    pinning: Pinning,
    /// Held while the store is asked: who comes meanwhile reads what it answered.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pins: HashMap<PinSubject, Pin>,
    /// What the approved definitions mean, where something was seen that is not among them to the
    /// letter.
    meanings: HashSet<(PinSubject, Fingerprint)>,
    read_at: Option<Instant>,
}

impl PinBook {
    pub fn new(
        servers: impl IntoIterator<Item = (ServerName, Pinning)>,
        store: Arc<dyn PinStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, clock, pages: ArcSwap::from_pointee(pages(servers, &Pages::default())) }
    }

    /// These are the servers from now on. What was read of those that stay is kept.
    pub fn reconfigure(&self, servers: impl IntoIterator<Item = (ServerName, Pinning)>) {
        let pages = pages(servers, &self.pages.load());
        self.pages.store(Arc::new(pages));
    }

    /// Brings the page up to date with what was seen. An error leaves what was read before: what
    /// passed then still does.
    async fn note(
        &self,
        server: &ServerName,
        page: &Page,
        kept: &mut Kept,
        kind: PinKind,
        seen: &[SeenItem],
    ) -> Result<(), StoreError> {
        if kept.read_at.is_none_or(|read_at| read_at.elapsed() >= TRUSTED_FOR) {
            self.read(server, kept).await?;
        }
        let new = kept.new_ones(kind, seen);
        if !new.is_empty() {
            self.store.pin_items(server, &new, self.clock.now()).await?;
            self.read(server, kept).await?;
        }
        if !kept.changed_ones(seen).is_empty() {
            self.read_meanings(server, kept).await?;
        }
        let changed = kept.changed_ones(seen);
        if !changed.is_empty() {
            let fresh =
                self.store.quarantine(server, &changed, MOST_CHANGES, self.clock.now()).await?;
            for item in changed.iter().filter(|item| fresh.contains(&item.fingerprint)) {
                tell(server, page.pinning, item);
            }
            self.read(server, kept).await?;
        }
        Ok(())
    }

    async fn read_meanings(&self, server: &ServerName, kept: &mut Kept) -> Result<(), StoreError> {
        let records = self.store.list_pins(Some(server)).await?;
        let approved = records.into_iter().filter(|record| record.approved_at.is_some());
        kept.meanings = approved
            .filter_map(|record| {
                let meaning = record.definition.meaning(record.subject.kind)?;
                Some((record.subject, meaning))
            })
            .collect();
        Ok(())
    }

    async fn read(&self, server: &ServerName, kept: &mut Kept) -> Result<(), StoreError> {
        let pins = self.store.find_pins(server).await?;
        kept.pins = pins.into_iter().map(|pin| (pin.subject.clone(), pin)).collect();
        kept.read_at = Some(Instant::now());
        if kept.meanings.is_empty() { Ok(()) } else { self.read_meanings(server, kept).await }
    }
}

fn pages(servers: impl IntoIterator<Item = (ServerName, Pinning)>, known: &Pages) -> Pages {
    let page = |(server, pinning)| {
        let kept = known.get(&server).filter(|page| page.pinning == pinning);
        let page =
            kept.map_or_else(|| Arc::new(Page { pinning, kept: Mutex::default() }), Arc::clone);
        (server, page)
    };
    servers.into_iter().map(page).collect()
}

impl Kept {
    fn judge(&self, item: &SeenItem) -> Judgement {
        match judge(self.pins.get(&item.subject), &item.fingerprint) {
            Judgement::Changed if self.meanings.contains(&(item.subject.clone(), item.meaning)) => {
                Judgement::Same
            }
            judgement => judgement,
        }
    }

    /// How many more of this kind can be remembered.
    fn room(&self, kind: PinKind) -> usize {
        let taken = self.pins.keys().filter(|subject| subject.kind == kind).count();
        MOST_OF_A_KIND.saturating_sub(taken)
    }

    /// What was never seen, as far as there is room for it. All of it is of this kind.
    fn new_ones(&self, kind: PinKind, seen: &[SeenItem]) -> Vec<SeenItem> {
        let mut subjects = HashSet::new();
        let new: Vec<_> = seen
            .iter()
            .filter(|item| self.judge(item) == Judgement::New && subjects.insert(&item.subject))
            .collect();
        if new.is_empty() {
            return Vec::new();
        }
        new.into_iter().take(self.room(kind)).cloned().collect()
    }

    /// Changes that no gateway has told of yet. Of each thing no more than are kept, or each look
    /// would push out the last one's.
    fn changed_ones(&self, seen: &[SeenItem]) -> Vec<SeenItem> {
        let mut counts: HashMap<&PinSubject, u32> = HashMap::new();
        let changed =
            seen.iter().filter(|item| self.judge(item) == Judgement::Changed).filter(|item| {
                let count = counts.entry(&item.subject).or_default();
                *count += 1;
                *count <= MOST_CHANGES
            });
        let is_known = |item: &SeenItem| {
            let pin = self.pins.get(&item.subject);
            pin.is_some_and(|pin| pin.quarantined.contains(&item.fingerprint))
        };
        changed.filter(|item| !is_known(item)).cloned().collect()
    }

    fn trusts(
        &self,
        server: &ServerName,
        kind: PinKind,
        item: Result<SeenItem, UnreadableItem>,
    ) -> Trust {
        let kind_of_it = kind.word();
        match item {
            Ok(item) => match self.judge(&item) {
                Judgement::Same => Trust::Pass,
                Judgement::New if self.room(kind) == 0 => {
                    let name = shown(&item.subject.name);
                    tracing::warn!(%server, kind = kind_of_it, name, "too many of them to remember: this one is not pinned");
                    Trust::Hold
                }
                Judgement::New | Judgement::Changed => Trust::Hold,
            },
            Err(error) => {
                tracing::warn!(%server, kind = kind_of_it, %error, "what a server describes cannot be pinned");
                Trust::Hold
            }
        }
    }
}

#[async_trait]
impl ItemPins for PinBook {
    fn holds(&self, server: &ServerName) -> bool {
        self.pages.load().get(server).is_none_or(|page| page.pinning == Pinning::Enforce)
    }

    async fn judge(&self, server: &ServerName, kind: PinKind, items: &[Payload]) -> Vec<Trust> {
        let page = self.pages.load().get(server).cloned();
        let Some(page) = page else { return vec![Trust::Hold; items.len()] };
        if page.pinning == Pinning::Off {
            return vec![Trust::Pass; items.len()];
        }
        let read: Vec<_> = items.iter().map(|item| SeenItem::read(kind, item.as_bytes())).collect();
        let seen: Vec<SeenItem> = read.iter().flatten().cloned().collect();
        let mut kept = page.kept.lock().await;
        if let Err(error) = self.note(server, &page, &mut kept, kind, &seen).await {
            tracing::error!(%server, %error, "the pins of this server cannot be read or written: what is not known yet is held back");
        }
        let trust = read.into_iter().map(|item| kept.trusts(server, kind, item));
        if page.pinning == Pinning::Warn {
            trust.map(|_| Trust::Pass).collect()
        } else {
            trust.collect()
        }
    }
}

impl fmt::Debug for PinBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinBook").field("servers", &self.pages.load().len()).finish_non_exhaustive()
    }
}

/// Told once of each change. The command has no word of the server's own choosing in it.
fn tell(server: &ServerName, pinning: Pinning, item: &SeenItem) {
    let fingerprint = item.fingerprint;
    let (kind, name) = (item.subject.kind.word(), shown(&item.subject.name));
    let approve = format!("portunus tools approve {server} {fingerprint}");
    let look = format!("portunus tools diff {server}");
    match pinning {
        Pinning::Enforce => {
            tracing::warn!(%server, kind, name, %fingerprint, look, approve, "what a server describes has changed: it is held back until it is approved");
        }
        Pinning::Warn | Pinning::Off => {
            tracing::warn!(%server, kind, name, %fingerprint, look, approve, "what a server describes has changed, and is passed on all the same");
        }
    }
}

/// A server's word in a line of the log.
fn shown(name: &str) -> String {
    name.chars().take(128).flat_map(char::escape_debug).collect()
}
