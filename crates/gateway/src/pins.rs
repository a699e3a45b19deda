//! Between the hub, which asks about tools ([`portunus_mcp::pins`]), and the store, which remembers
//! them: [`PinBook`]. The rule is `portunus_core::pins`; what administrators do about it is
//! `cli::tools`.

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
    pins::{Judgement, Pin, Pinning, SeenTool, ToolFingerprint, UnreadableTool, judge},
    store::{PinStore, StoreError},
};
use portunus_mcp::{
    pins::{ToolPins, Trust},
    wire::Payload,
};
use tokio::{sync::Mutex, time::Instant};

#[cfg(test)]
mod tests;

/// How long what was read is trusted: an approval is noticed within this time.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Tools of one server that are remembered: as many as are taken from its list. Those beyond are
/// held.
const MOST_TOOLS: usize = 5_000;
/// Changes of one tool that wait for an administrator; newer ones push out older ones.
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
    pins: HashMap<String, Pin>,
    /// What the approved definitions mean, of the tools of which one was seen that is not among
    /// them to the letter.
    meanings: HashSet<(String, ToolFingerprint)>,
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
        seen: &[SeenTool],
    ) -> Result<(), StoreError> {
        if kept.read_at.is_none_or(|read_at| read_at.elapsed() >= TRUSTED_FOR) {
            self.read(server, kept).await?;
        }
        let new = kept.new_ones(seen);
        if !new.is_empty() {
            self.store.pin_tools(server, &new, self.clock.now()).await?;
            self.read(server, kept).await?;
        }
        if !kept.changed_ones(seen).is_empty() {
            self.read_meanings(server, kept).await?;
        }
        let changed = kept.changed_ones(seen);
        if !changed.is_empty() {
            let fresh =
                self.store.quarantine(server, &changed, MOST_CHANGES, self.clock.now()).await?;
            for tool in changed.iter().filter(|tool| fresh.contains(&tool.fingerprint)) {
                tell(server, page.pinning, tool);
            }
            self.read(server, kept).await?;
        }
        Ok(())
    }

    async fn read_meanings(&self, server: &ServerName, kept: &mut Kept) -> Result<(), StoreError> {
        let records = self.store.list_pins(Some(server)).await?;
        let approved = records.into_iter().filter(|record| record.approved_at.is_some());
        kept.meanings = approved
            .filter_map(|record| Some((record.tool, record.definition.meaning()?)))
            .collect();
        Ok(())
    }

    async fn read(&self, server: &ServerName, kept: &mut Kept) -> Result<(), StoreError> {
        let pins = self.store.find_pins(server).await?;
        kept.pins = pins.into_iter().map(|pin| (pin.tool.clone(), pin)).collect();
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
    fn judge(&self, tool: &SeenTool) -> Judgement {
        match judge(self.pins.get(&tool.name), &tool.fingerprint) {
            Judgement::Changed if self.meanings.contains(&(tool.name.clone(), tool.meaning)) => {
                Judgement::Same
            }
            judgement => judgement,
        }
    }

    /// Tools that were never seen, as far as there is room for them.
    fn new_ones(&self, seen: &[SeenTool]) -> Vec<SeenTool> {
        let mut names = HashSet::new();
        let new = seen
            .iter()
            .filter(|tool| self.judge(tool) == Judgement::New && names.insert(tool.name.as_str()));
        new.take(MOST_TOOLS.saturating_sub(self.pins.len())).cloned().collect()
    }

    /// Changes that no gateway has told of yet. Of each tool no more than are kept, or each look
    /// would push out the last one's.
    fn changed_ones(&self, seen: &[SeenTool]) -> Vec<SeenTool> {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        let changed =
            seen.iter().filter(|tool| self.judge(tool) == Judgement::Changed).filter(|tool| {
                let count = counts.entry(&tool.name).or_default();
                *count += 1;
                *count <= MOST_CHANGES
            });
        let is_known = |tool: &SeenTool| {
            self.pins.get(&tool.name).is_some_and(|pin| pin.quarantined.contains(&tool.fingerprint))
        };
        changed.filter(|tool| !is_known(tool)).cloned().collect()
    }
}

#[async_trait]
impl ToolPins for PinBook {
    fn holds(&self, server: &ServerName) -> bool {
        self.pages.load().get(server).is_none_or(|page| page.pinning == Pinning::Enforce)
    }

    async fn judge(&self, server: &ServerName, tools: &[Payload]) -> Vec<Trust> {
        let page = self.pages.load().get(server).cloned();
        let Some(page) = page else { return vec![Trust::Hold; tools.len()] };
        if page.pinning == Pinning::Off {
            return vec![Trust::Pass; tools.len()];
        }
        let read: Vec<_> = tools.iter().map(|tool| SeenTool::read(tool.as_bytes())).collect();
        let seen: Vec<SeenTool> = read.iter().flatten().cloned().collect();
        let mut kept = page.kept.lock().await;
        if let Err(error) = self.note(server, &page, &mut kept, &seen).await {
            tracing::error!(%server, %error, "the pins of its tools cannot be read or written: those not known yet are held back");
        }
        let trust = |tool: Result<SeenTool, UnreadableTool>| match tool {
            Ok(tool) if kept.judge(&tool) == Judgement::Same => Trust::Pass,
            Ok(tool) => {
                if kept.judge(&tool) == Judgement::New && kept.pins.len() >= MOST_TOOLS {
                    tracing::warn!(%server, tool = shown(&tool.name), "too many tools to remember: this one is not pinned");
                }
                Trust::Hold
            }
            Err(error) => {
                tracing::warn!(%server, %error, "a tool cannot be pinned");
                Trust::Hold
            }
        };
        let trust = read.into_iter().map(trust);
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
fn tell(server: &ServerName, pinning: Pinning, tool: &SeenTool) {
    let fingerprint = tool.fingerprint;
    let (tool, approve) =
        (shown(&tool.name), format!("portunus tools approve {server} {fingerprint}"));
    let look = format!("portunus tools diff {server}");
    match pinning {
        Pinning::Enforce => {
            tracing::warn!(%server, tool, %fingerprint, look, approve, "a tool changed: it is held back until it is approved");
        }
        Pinning::Warn | Pinning::Off => {
            tracing::warn!(%server, tool, %fingerprint, look, approve, "a tool changed, and is passed on all the same");
        }
    }
}

/// A server's word in a line of the log.
fn shown(name: &str) -> String {
    name.chars().take(128).flat_map(char::escape_debug).collect()
}
