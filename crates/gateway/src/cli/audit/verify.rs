//! Reads the whole trail again, out of the store or out of a file, and says what is wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
};

use portunus_core::{
    audit::{AuditKeys, ChainHead, ChainId, ChainedRecord, Finding, Position, Verifier},
    store::{StoreError, StoredChain, Stores},
    text::{escaped_json, visible},
};
use serde_json::json;

use super::PORTION;

/// Half lines of a file that wait for the records they begin, and how long one may be: a record is
/// shorter.
const MOST_WAITING: usize = 1_000;
const LONGEST_HALF: usize = 64 * 1024;

/// What was read, and what was found.
pub(super) struct Verified {
    records: u64,
    /// Of them, those of a file that no checkpoint vouches for.
    unvouched: u64,
    chains: usize,
    /// Lines of a file that are no records.
    no_records: Vec<usize>,
    /// Lines that a write left that was broken off; what they begin is whole behind them.
    half_lines: usize,
    findings: Vec<Finding>,
}

/// Gateways may append meanwhile, and delete what is old: what came after a chain's head was read
/// is not looked at, and what went is not missed.
pub(super) async fn store(stores: &Stores, keys: &AuditKeys) -> Result<Verified, StoreError> {
    let mut verifier = Verifier::new(keys);
    let mut listed = BTreeSet::new();
    loop {
        // Once more at the end: a chain that is begun meanwhile may be named by one that was read.
        let mut chains = stores.audit.list_chains().await?;
        chains.retain(|chain| listed.insert(chain.id.clone()));
        if chains.is_empty() {
            break;
        }
        for chain in chains {
            read_chain(stores, &mut verifier, chain).await?;
        }
    }
    let named: Vec<Position> = verifier.named().cloned().collect();
    for position in named {
        match stores.audit.read_records(&position.chain, position.seq, 1).await {
            Ok(found) => {
                if let Some(record) = found.first().filter(|record| record.seq == position.seq) {
                    verifier.found(&position, record.hash);
                }
            }
            // Its chain was told of when it was read.
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // What was not there may have been deleted in its time meanwhile.
    for head in stores.audit.list_chains().await?.into_iter().filter_map(|chain| chain.head) {
        verifier.deleted(&head);
    }
    Ok(verified(verifier, NoRecords::default()))
}

async fn read_chain(
    stores: &Stores,
    verifier: &mut Verifier<'_>,
    StoredChain { id, head }: StoredChain,
) -> Result<(), StoreError> {
    let last = head.as_ref().map_or(u64::MAX, |head| head.last);
    let mut reading = verifier.chain(&id, head.as_ref(), false);
    // Deleted in its time since its head was read.
    let mut gone = 0;
    let mut next = Some(0);
    'chain: while let Some(from) = next {
        let records = match stores.audit.read_records(&id, from, PORTION).await {
            Err(StoreError::Corrupt(_)) => {
                reading.unreadable();
                break;
            }
            records => records?,
        };
        let Some(newest) = records.last() else { break };
        next = newest.seq.checked_add(1);
        for record in &records {
            let is_behind = record.seq > last;
            if is_behind || record.seq > reading.next() {
                let head = head_of(stores, &id).await?;
                if is_behind && head.as_ref().is_some_and(|head| head.last >= record.seq) {
                    break 'chain;
                }
                if let Some(head) = head
                    && reading.go_on_from(&head)
                {
                    gone = head.deleted;
                }
            }
            if record.seq > gone {
                reading.take(record);
            }
        }
    }
    if head.is_some()
        && reading.next() <= last
        && let Some(head) = head_of(stores, &id).await?
    {
        reading.go_on_from(&head);
    }
    reading.finish();
    Ok(())
}

/// The chain's head by now: more was appended meanwhile, or deleted in its time.
async fn head_of(stores: &Stores, id: &ChainId) -> Result<Option<ChainHead>, StoreError> {
    let chains = stores.audit.list_chains().await?;
    Ok(chains.into_iter().find(|chain| chain.id == *id).and_then(|chain| chain.head))
}

/// The lines of one file. What was put aside before, and what is in the store alone, is not missed.
pub(super) fn file(path: &Path, keys: &AuditKeys) -> io::Result<Verified> {
    let mut chains = BTreeMap::<_, Vec<ChainedRecord>>::new();
    let (mut no_records, mut number) = (NoRecords::default(), 0);
    let (mut file, mut line) = (BufReader::new(File::open(path)?), Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        let is_ended = line.pop_if(|byte| *byte == b'\n').is_some();
        match str::from_utf8(&line).ok().and_then(ChainedRecord::from_line) {
            Some(record) => {
                no_records.whole(&line);
                chains.entry(record.chain.clone()).or_default().push(record);
            }
            None => no_records.take(number, &line, is_ended),
        }
        line.clear();
    }
    let mut verifier = Verifier::new(keys);
    for (id, records) in &chains {
        let mut reading = verifier.chain(id, None, true);
        for record in records {
            reading.take(record);
        }
        reading.finish();
    }
    // What they name of others may be in another file.
    let named: Vec<Position> = verifier.named().cloned().collect();
    for position in named {
        let found = chains.get(&position.chain).and_then(|records| {
            records.iter().find(|record| record.seq == position.seq).map(|record| record.hash)
        });
        match found {
            Some(hash) => verifier.found(&position, hash),
            None => verifier.is_elsewhere(&position),
        }
    }
    Ok(verified(verifier, no_records))
}

/// Lines that are no records, as they come.
#[derive(Default)]
struct NoRecords {
    numbers: Vec<usize>,
    /// What may be the beginning of a record that follows.
    waiting: Vec<(usize, Vec<u8>)>,
    half_lines: usize,
}

impl NoRecords {
    fn take(&mut self, number: usize, line: &[u8], is_ended: bool) {
        match line {
            // It says nothing: what was broken off was at its end.
            [] => {}
            // Nothing was written behind it: a file may end anywhere.
            [b'{', ..] if !is_ended => self.half_lines += 1,
            [b'{', ..] if self.waiting.len() < MOST_WAITING && line.len() < LONGEST_HALF => {
                self.waiting.push((number, line.to_vec()));
            }
            _ => self.numbers.push(number),
        }
    }

    /// A record: lines that are its beginning are half of it, and say no more than it does.
    fn whole(&mut self, line: &[u8]) {
        let before = self.waiting.len();
        self.waiting.retain(|(_, half)| !line.starts_with(half));
        self.half_lines += before - self.waiting.len();
    }

    fn finish(mut self) -> (Vec<usize>, usize) {
        self.numbers.extend(self.waiting.iter().map(|(number, _)| *number));
        self.numbers.sort_unstable();
        (self.numbers, self.half_lines)
    }
}

fn verified(verifier: Verifier<'_>, no_records: NoRecords) -> Verified {
    let (records, chains) = (verifier.records(), verifier.chains());
    let unvouched = verifier.unvouched();
    let (no_records, half_lines) = no_records.finish();
    Verified { records, unvouched, chains, no_records, half_lines, findings: verifier.finish() }
}

impl Verified {
    pub(super) fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.no_records.is_empty()
    }

    pub(super) fn told(&self, as_json: bool) -> String {
        let Self { records, unvouched, chains, no_records, half_lines, findings } = self;
        if as_json {
            let findings = findings.iter().map(|finding| {
                json!({"chain": finding.chain, "seq": finding.seq, "found": finding.to_string()})
            });
            let told = json!({
                "sound": self.is_sound(), "records": records, "chains": chains,
                "no_checkpoint_vouches_for": unvouched, "findings": findings.collect::<Vec<_>>(),
                "lines_that_are_no_records": no_records, "half_lines": half_lines,
            });
            return escaped_json(format!("{told}\n"));
        }
        let mut text = String::new();
        for finding in findings {
            // A damaged record may say anything.
            text.push_str(&visible(&finding.to_string()));
            text.push('\n');
        }
        for line in no_records {
            let _ = writeln!(text, "line {line}: no record");
        }
        let wrong = findings.len() + no_records.len();
        let end = if wrong == 0 {
            "as they were written".to_owned()
        } else {
            format!("{wrong} things are wrong: the trail was tampered with, or is damaged")
        };
        if *half_lines > 0 {
            let _ = writeln!(
                text,
                "{half_lines} lines: half a record each, as a crash or a full disk leaves them; no fault"
            );
        }
        if *unvouched > 0 {
            let _ = writeln!(text, "{unvouched} records: no checkpoint vouches for them");
        }
        let _ = writeln!(text, "{records} records in {chains} chains: {end}");
        text
    }
}

#[cfg(test)]
mod tests;
