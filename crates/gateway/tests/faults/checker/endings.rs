//! What ended a grant or a token, or may have: revocations, and codes that were used again.

use std::{collections::HashMap, time::Duration};

use super::{
    super::history::{Operation, Outcome, Record},
    Known,
};

/// When something was certainly done.
#[derive(Clone, Copy)]
pub(super) struct Done {
    tick: u64,
    at: Duration,
}

impl Done {
    pub(super) fn with(record: &Record) -> Self {
        Self { tick: record.ended, at: record.ended_at }
    }

    /// Did the operation of the record begin after it, by at least this much?
    pub(super) fn counts_for(self, record: &Record, settled: Duration) -> bool {
        self.tick < record.began && self.at + settled <= record.began_at
    }
}

/// One of them.
struct Ending {
    began: u64,
    /// If that is known.
    done: Option<Done>,
}

#[derive(Default)]
pub(crate) struct Endings {
    grants: HashMap<String, Vec<Ending>>,
    /// Access tokens that were revoked alone.
    tokens: HashMap<String, Vec<Ending>>,
    /// Each redemption of a code may be the reason why another one is refused.
    redemptions: HashMap<String, Vec<Record>>,
    settled: Duration,
}

impl Endings {
    pub(super) fn of(ordered: &[&Record], known: &Known, settled: Duration) -> Self {
        let mut endings = Self { settled, ..Self::default() };
        for record in ordered {
            let ending = Ending {
                began: record.began,
                done: record.outcome.is_acknowledged().then(|| Done::with(record)),
            };
            match &record.operation {
                _ if matches!(record.outcome, Outcome::Refused(_))
                    && !matches!(record.operation, Operation::Redeem { .. }) => {}
                Operation::RevokeRefresh { token } => {
                    let grant = known.grant(token).unwrap_or_default().to_owned();
                    endings.grants.entry(grant).or_default().push(ending);
                }
                Operation::RevokeAccess { token } => {
                    endings.tokens.entry(token.clone()).or_default().push(ending);
                }
                Operation::Redeem { code } => {
                    endings
                        .redemptions
                        .entry(code.clone())
                        .or_default()
                        .push(Record::clone(record));
                }
                _ => {}
            }
        }
        for (code, redemptions) in &endings.redemptions {
            endings.grants.entry(code.clone()).or_default().extend(replays(redemptions));
        }
        endings
    }

    /// May something have refused this to the operation of the record, or ended it before that was
    /// over?
    pub(super) fn may_have_ended(&self, what: &str, known: &Known, record: &Record) -> bool {
        if let Operation::Redeem { code } = &record.operation {
            let others = self.redemptions.get(code).into_iter().flatten();
            return others
                .filter(|other| other.began != record.began)
                .any(|other| other.began < record.ended);
        }
        self.of_token(what, known).any(|ending| ending.began < record.ended)
    }

    /// Had something certainly ended this before the operation of the record began?
    pub(super) fn has_ended(&self, what: &str, known: &Known, record: &Record) -> bool {
        self.of_token(what, known)
            .any(|ending| ending.done.is_some_and(|done| done.counts_for(record, self.settled)))
    }

    /// Can nothing at all have ended this token?
    pub(super) fn leave_alone(&self, token: &str, known: &Known) -> bool {
        self.of_token(token, known).next().is_none()
    }

    fn of_token<'a>(&'a self, what: &str, known: &Known) -> impl Iterator<Item = &'a Ending> {
        let of_grant = known.grant(what).and_then(|grant| self.grants.get(grant));
        of_grant.into_iter().chain(self.tokens.get(what)).flatten()
    }
}

/// A second redemption of a code ends its grant: certainly if it is refused after another was
/// served, perhaps if it is not clear which was first.
fn replays(redemptions: &[Record]) -> Vec<Ending> {
    let mut endings = Vec::new();
    for (n, replay) in redemptions.iter().enumerate() {
        if replay.outcome.is_acknowledged() {
            continue;
        }
        let mut firsts = redemptions
            .iter()
            .enumerate()
            .filter(|(m, first)| n != *m && first.began < replay.ended);
        if firsts.clone().next().is_none() {
            continue;
        }
        let refused = matches!(replay.outcome, Outcome::Refused(_));
        let served =
            firsts.any(|(_, first)| first.outcome.is_acknowledged() && first.ended < replay.began);
        endings.push(Ending {
            began: replay.began,
            done: (refused && served).then(|| Done::with(replay)),
        });
    }
    endings
}
