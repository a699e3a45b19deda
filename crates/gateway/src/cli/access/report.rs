//! `portunus access report`: who would lose what by the rules in shadow, counted from the audit
//! trail. What is recorded of a call is `portunus_core::audit`'s.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use portunus_core::{
    Clock as _, Timestamp,
    audit::{AuditFilter, AuditRecord, Call, ChainedRecord, Event},
    clock::SystemClock,
    store::{StoredChain, Stores},
    text::visible,
};
use serde_json::json;

use super::super::{ConfigFiles, audit::time, serve};
use crate::config::Config;

/// Records read at once.
const PORTION: usize = 500;
/// Bytes of what is counted apart.
const MOST: usize = 64 * 1024 * 1024;
/// So often it is told how far it has come.
const EVERY: u64 = 200_000;

#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    /// From then on: 2026-11-30, 2026-11-30T18:00:00Z, or 12h, 7d before now
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of one person: a user's id, subject or e-mail address
    #[arg(long, value_name = "WHO")]
    person: Option<String>,
    /// Of one server, or one pattern of `proxies`
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Of one tool or prompt as its server calls it, or one URI
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Count together what is of one person, server or tool
    #[arg(long, value_enum)]
    by: Option<By>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) files: ConfigFiles,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Person,
    Server,
    Tool,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub filter: AuditFilter,
    pub by: Option<By>,
}

/// What would be lost: so often, by these rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    pub person: Option<String>,
    pub server: Option<String>,
    /// The kind, and the name.
    pub thing: Option<(&'static str, String)>,
    pub rule: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    calls: u64,
    last: Timestamp,
}

/// All that would be lost.
#[derive(Debug, Default)]
pub struct Losses {
    found: HashMap<Loss, Count>,
    people: BTreeSet<String>,
    /// Calls that passed, whether they would be refused or not.
    passed: u64,
    refused: u64,
    bytes: usize,
}

pub(super) fn run(config: &Config, args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let now = SystemClock.now();
    let time = |text: &str| {
        time::parse(text, now).with_context(|| {
            format!("{text:?} is no time: 2026-11-30, 2026-11-30T18:00:00Z, or 12h, 7d before now")
        })
    };
    let filter = AuditFilter {
        person: args.person.clone(),
        server: args.server.clone(),
        tool: args.tool.clone(),
        event: Some("call".to_owned()),
        since: Some(time(&args.since)?),
        until: args.until.as_deref().map(time).transpose()?,
        ..AuditFilter::default()
    };
    let query = Query { filter, by: args.by };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        losses(&serve::open_records(config).await?, &query, |records| {
            // So that an administrator who waits sees that it goes on.
            let _ = writeln!(io::stderr(), "{records} records read");
        })
        .await
    })?;
    let text = if args.json { found.json() } else { found.told(config.access.has_shadow()) };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Counts, chain by chain, from the first record that is new enough. An error if it would take too
/// much of the memory.
pub async fn losses(
    stores: &Stores,
    query: &Query,
    progress: impl Fn(u64),
) -> anyhow::Result<Losses> {
    let (mut losses, mut read) = (Losses::default(), 0_u64);
    for chain in stores.audit.list_chains().await? {
        let mut next = Some(first(stores, &chain, query.filter.since).await?);
        while let Some(from) = next {
            let records = stores.audit.read_records(&chain.id, from, PORTION).await?;
            let Some(last) = records.last() else { break };
            next = last.seq.checked_add(1);
            for record in &records {
                losses.take(record, query)?;
                read += 1;
                if read.is_multiple_of(EVERY) {
                    progress(read);
                }
            }
        }
    }
    Ok(losses)
}

/// The number of the first record that may be new enough: their times go up, but for a clock that
/// went back a little.
async fn first(
    stores: &Stores,
    chain: &StoredChain,
    since: Option<Timestamp>,
) -> anyhow::Result<u64> {
    let (Some(head), Some(_)) = (&chain.head, since) else { return Ok(0) };
    let filter = AuditFilter { since, ..AuditFilter::default() };
    let (mut low, mut high) = (head.deleted, head.last);
    while low < high {
        let middle = low + (high - low) / 2;
        match stores.audit.read_records(&chain.id, middle, 1).await?.first() {
            Some(record) if filter.is_over(record.at) => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

impl Losses {
    fn take(&mut self, record: &ChainedRecord, query: &Query) -> anyhow::Result<()> {
        let Some(read) = record.read().filter(|read| query.filter.matches(read)) else {
            return Ok(());
        };
        let AuditRecord { at, person, event: Event::Call(call), .. } = read else { return Ok(()) };
        if !call.outcome.has_passed() {
            return Ok(());
        }
        self.passed += 1;
        let Call { kind, server, name, would_refuse: Some(rule), .. } = call else { return Ok(()) };
        self.refused += 1;
        let person = person.email.or(person.subject).or(person.user).or(person.client);
        let by = |wanted| query.by.is_none_or(|by| by == wanted);
        if let Some(person) = &person
            && !self.people.contains(person)
        {
            self.people.insert(person.clone());
            self.grow(person.len())?;
        }
        let loss = Loss {
            person: person.filter(|_| by(By::Person)),
            server: server.filter(|_| by(By::Server) || by(By::Tool)),
            thing: by(By::Tool).then(|| (kind.word(), name)),
            rule: query.by.is_none().then_some(rule),
        };
        if !self.found.contains_key(&loss) {
            let texts = [&loss.person, &loss.server, &loss.rule].into_iter().flatten();
            let texts = texts.chain(loss.thing.as_ref().map(|(_, name)| name));
            self.grow(texts.map(String::len).sum())?;
        }
        let count = self.found.entry(loss).or_insert(Count { calls: 0, last: at });
        count.calls += 1;
        count.last = count.last.max(at);
        Ok(())
    }

    fn grow(&mut self, texts: usize) -> anyhow::Result<()> {
        self.bytes += texts + size_of::<(Loss, Count)>();
        if self.bytes > MOST {
            bail!(
                "too many different things to count: ask for a shorter time, for one --person, --server or --tool, or for --by server"
            );
        }
        Ok(())
    }

    /// The most frequent first.
    fn sorted(&self) -> Vec<(&Loss, Count)> {
        let mut sorted: Vec<_> = self.found.iter().map(|(loss, count)| (loss, *count)).collect();
        sorted.sort_by(|(a, one), (b, other)| other.calls.cmp(&one.calls).then(a.cmp(b)));
        sorted
    }

    pub fn told(&self, has_shadow: bool) -> String {
        let mut text = String::new();
        for (Loss { person, server, thing, rule }, Count { calls, last }) in self.sorted() {
            let _ = write!(text, "{calls:>7}");
            let thing = thing.as_ref().map(|(kind, name)| format!("{kind} {name}"));
            for part in [person, server, &thing].into_iter().flatten() {
                let _ = write!(text, "  {}", visible(part));
            }
            let _ = write!(text, "  last {}", time::written(last));
            if let Some(rule) = rule {
                let _ = write!(text, "  {}", visible(rule));
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "{} of {} calls would be refused, of {} people",
            self.refused,
            self.passed,
            self.people.len()
        );
        if !has_shadow {
            text.push_str(
                "no access rule is in shadow now: `access_mode: shadow`, or `mode: shadow` in a rule\n",
            );
        }
        text
    }

    pub fn json(&self) -> String {
        let losses = self.sorted().into_iter().map(|(loss, count)| {
            json!({
                "person": loss.person, "server": loss.server,
                "kind": loss.thing.as_ref().map(|(kind, _)| kind),
                "name": loss.thing.as_ref().map(|(_, name)| name),
                "rule": loss.rule, "calls": count.calls, "last": time::written(count.last),
            })
        });
        let told = json!({
            "calls": self.passed, "would_refuse": self.refused, "people": self.people.len(),
            "losses": losses.collect::<Vec<_>>(),
        });
        format!("{told}\n")
    }
}
