//! What `portunus store check` finds: how much there is, under which secrets it is sealed, and what
//! is wrong with it. How each kind of store is looked through is beside that store; nothing is
//! changed by it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use portunus_core::store::{ArchiveError, Census, Record, RecordKind, RecordSink, Unreadable};

/// Ids that are named of each problem.
const NAMED: usize = 5;

/// What is known of a store that was looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    pub records: Census,
    /// How many sealed values there are under the `AUTH_SECRET` of now, under the one before, and
    /// so on.
    pub seals: Vec<u64>,
    pub problems: Vec<Problem>,
}

/// One kind of damage, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `None` for what is wrong with the store as such.
    pub kind: Option<RecordKind>,
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
    pub count: u64,
    /// The first of them.
    pub ids: Vec<String>,
}

type Told = (Option<RecordKind>, String, &'static str);

/// Collects what is found. Of many problems of one kind it keeps a few names.
#[derive(Default)]
pub(crate) struct Findings {
    records: Census,
    seals: Vec<u64>,
    problems: BTreeMap<Told, (u64, Vec<String>)>,
}

impl Findings {
    pub(crate) fn problem(
        &mut self,
        kind: RecordKind,
        id: impl Into<String>,
        what: impl Into<String>,
        advice: &'static str,
    ) {
        self.note(Some(kind), id.into(), what.into(), advice);
    }

    /// About the store as such.
    pub(crate) fn of_store(
        &mut self,
        detail: impl Into<String>,
        what: impl Into<String>,
        advice: &'static str,
    ) {
        self.note(None, detail.into(), what.into(), advice);
    }

    fn note(&mut self, kind: Option<RecordKind>, id: String, what: String, advice: &'static str) {
        let (count, ids) = self.problems.entry((kind, what, advice)).or_default();
        *count += 1;
        if ids.len() < NAMED {
            ids.push(id);
        }
    }

    pub(crate) fn count(&mut self, records: &[Record]) {
        for record in records {
            self.records.count(record);
        }
    }

    pub(crate) fn unreadable(&mut self, Unreadable { kind, id, why }: Unreadable) {
        self.problem(kind, id, format!("cannot be read: {why}"), UNREADABLE);
    }

    /// A sealed value of this generation; of an unknown one it is unreadable, and told as such.
    pub(crate) fn sealed(&mut self, generation: Option<usize>) {
        let Some(generation) = generation else { return };
        if self.seals.len() <= generation {
            self.seals.resize(generation + 1, 0);
        }
        if let Some(count) = self.seals.get_mut(generation) {
            *count += 1;
        }
    }

    pub(crate) fn finish(self) -> Inspection {
        let problems = self.problems.into_iter().map(|((kind, what, advice), (count, mut ids))| {
            ids.sort();
            Problem { kind, what, advice, count, ids }
        });
        Inspection { records: self.records, seals: self.seals, problems: problems.collect() }
    }
}

const UNREADABLE: &str = "no gateway can use it. If it says AUTH_SECRET: put the secret it was sealed with into AUTH_SECRET_PREVIOUS. Else \
                          it is damaged: restore a backup, or let people sign in again";

/// Whatever a backup could not hold either.
#[async_trait]
impl RecordSink for Findings {
    async fn put(&mut self, records: Vec<Record>) -> Result<(), ArchiveError> {
        self.count(&records);
        Ok(())
    }

    async fn leave_out(&mut self, record: Unreadable) -> Result<(), ArchiveError> {
        self.unreadable(record);
        Ok(())
    }
}
