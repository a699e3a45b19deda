//! Is a history one that a gateway may have which loses nothing and does nothing twice? [`check`]
//! says what speaks against it. An operation that was not answered may have happened or not, at any
//! moment from its beginning on; everything else follows from what clients were told. Where there
//! are several gateways, a revocation counts everywhere after a moment ([`Settled`]) and not at
//! once. What may have ended a grant is gathered in [`endings`]; histories that were made up, one
//! for each kind of violation, are in [`made_up`].
//!
//! All this holds within the grace window of refresh tokens: histories are made with the longest
//! there is, and no client presents a token that was used before it began.

mod endings;
mod made_up;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use self::endings::{Done, Endings};
use super::history::{Operation, Outcome, Record};

/// What no sequence of faults may bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A client, code or token that was handed out is refused, and nothing can have ended it.
    Lost { what: String, error: String },
    /// Two answers to one code.
    RedeemedTwice { code: String },
    /// Two successors of one refresh token.
    RotatedTwice { token: String },
    /// The same token was handed out for two things.
    HandedOutTwice { token: String },
    /// A token works after it was certainly revoked.
    RevocationUndone { token: String },
    /// A token works after it was refused.
    Risen { token: String },
    /// An answer that has no place here.
    Unexpected { operation: Operation, error: String },
}

/// How long an end may take to count at every gateway.
#[derive(Clone, Copy)]
pub(crate) struct Settled {
    /// One that was acknowledged.
    pub(crate) acknowledged: Duration,
    /// One that was not acknowledged, but which a client was refused for.
    pub(crate) noticed: Duration,
}

impl Settled {
    pub(crate) const AT_ONCE: Self = Self { acknowledged: Duration::ZERO, noticed: Duration::ZERO };
}

/// Everything that speaks against a history; nothing if nothing does.
pub(crate) fn check(records: &[Record], settled: Settled) -> Vec<Violation> {
    let mut ordered: Vec<&Record> = records.iter().collect();
    ordered.sort_by_key(|record| record.ended);
    let known = Known::of(&ordered);
    let endings = Endings::of(&ordered, &known, settled.acknowledged);
    let mut violations = known.twice.clone();
    violations.extend(rotated_twice(&ordered));
    violations.extend(
        ordered.iter().filter_map(|record| refused_without_reason(record, &known, &endings)),
    );
    violations
        .extend(ordered.iter().filter_map(|record| served_though_ended(record, &known, &endings)));
    violations.extend(risen(&ordered, settled.noticed));
    violations
}

/// The access tokens that nothing can have ended.
pub(crate) fn alive(records: &[Record]) -> Vec<String> {
    let mut ordered: Vec<&Record> = records.iter().collect();
    ordered.sort_by_key(|record| record.ended);
    let known = Known::of(&ordered);
    let endings = Endings::of(&ordered, &known, Duration::ZERO);
    let handed_out = ordered.iter().filter_map(|record| match &record.outcome {
        Outcome::Tokens { access, .. } => Some(access),
        _ => None,
    });
    handed_out.filter(|access| endings.leave_alone(access, &known)).cloned().collect()
}

/// What was handed out, when, and what belongs together: everything that came of a code is one
/// grant, named by that code.
#[derive(Default)]
pub(crate) struct Known {
    handed_out: HashMap<String, u64>,
    grants: HashMap<String, String>,
    /// The refresh token that an access token came with.
    pairs: HashMap<String, String>,
    twice: Vec<Violation>,
}

impl Known {
    fn of(ordered: &[&Record]) -> Self {
        let mut known = Self::default();
        let mut redeemed = HashSet::new();
        for record in ordered {
            match (&record.operation, &record.outcome) {
                (_, Outcome::Registered { client }) => known.note(client, record),
                (_, Outcome::Code(code)) => {
                    known.note(code, record);
                    known.grants.insert(code.clone(), code.clone());
                }
                (Operation::Redeem { code }, Outcome::Tokens { access, refresh }) => {
                    if !redeemed.insert(code) {
                        known.twice.push(Violation::RedeemedTwice { code: code.clone() });
                    }
                    known.note_tokens(code, [access, refresh], record);
                    known.pairs.insert(access.clone(), refresh.clone());
                }
                (Operation::Refresh { token }, Outcome::Tokens { access, refresh }) => {
                    let grant = known.grants.get(token).cloned().unwrap_or_default();
                    // The same pair comes again to all who ask again; that it is for the same token
                    // is checked elsewhere.
                    match (
                        known.pairs.get(access) == Some(refresh),
                        known.grants.get(refresh) == Some(&grant),
                    ) {
                        (true, _) => {}
                        (false, true) => known.note_tokens(&grant, [access], record),
                        (false, false) => known.note_tokens(&grant, [access, refresh], record),
                    }
                    known.pairs.entry(access.clone()).or_insert_with(|| refresh.clone());
                }
                _ => {}
            }
        }
        known
    }

    fn note(&mut self, what: &str, record: &Record) {
        if self.handed_out.insert(what.to_owned(), record.ended).is_some() {
            self.twice.push(Violation::HandedOutTwice { token: what.to_owned() });
        }
    }

    fn note_tokens<const N: usize>(&mut self, grant: &str, tokens: [&String; N], record: &Record) {
        for token in tokens {
            self.note(token, record);
            self.grants.insert(token.clone(), grant.to_owned());
        }
    }

    /// Was it handed out before the operation of this record began?
    fn is_known_before(&self, what: &str, record: &Record) -> bool {
        self.handed_out.get(what).is_some_and(|handed_out| *handed_out < record.began)
    }

    /// The grant that a token or code belongs to.
    pub(crate) fn grant(&self, of: &str) -> Option<&str> {
        self.grants.get(of).map(String::as_str)
    }
}

/// A refresh token has one successor, and a successor one token before it.
fn rotated_twice(ordered: &[&Record]) -> Vec<Violation> {
    let (mut successors, mut parents) = (HashMap::new(), HashMap::new());
    let mut violations = Vec::new();
    for record in ordered {
        let (Operation::Refresh { token }, Outcome::Tokens { refresh, .. }) =
            (&record.operation, &record.outcome)
        else {
            continue;
        };
        if *successors.entry(token).or_insert(refresh) != refresh {
            violations.push(Violation::RotatedTwice { token: token.clone() });
        }
        if *parents.entry(refresh).or_insert(token) != token {
            violations.push(Violation::HandedOutTwice { token: refresh.clone() });
        }
    }
    violations
}

/// Only what was ended, or may have been, may be refused.
fn refused_without_reason(record: &Record, known: &Known, endings: &Endings) -> Option<Violation> {
    let Outcome::Refused(error) = &record.outcome else { return None };
    let unexpected = || {
        Some(Violation::Unexpected { operation: record.operation.clone(), error: error.clone() })
    };
    let lost = |what: &str| {
        let may_have_ended = endings.may_have_ended(what, known, record);
        let lost = known.is_known_before(what, record) && !may_have_ended;
        lost.then(|| Violation::Lost { what: what.to_owned(), error: error.clone() })
    };
    match (&record.operation, error.as_str()) {
        (Operation::Authorize { client }, "invalid_client") => lost(client),
        (
            Operation::Redeem { code: what } | Operation::Refresh { token: what },
            "invalid_grant",
        )
        | (Operation::Use { token: what }, "invalid_token") => lost(what),
        (
            Operation::Redeem { code: what } | Operation::Refresh { token: what },
            "invalid_client",
        ) => Some(Violation::Lost { what: what.clone(), error: error.clone() }),
        _ => unexpected(),
    }
}

/// What has certainly ended may not be served.
fn served_though_ended(record: &Record, known: &Known, endings: &Endings) -> Option<Violation> {
    let (Operation::Use { token } | Operation::Refresh { token }) = &record.operation else {
        return None;
    };
    let undone = record.outcome.is_acknowledged() && endings.has_ended(token, known, record);
    undone.then(|| Violation::RevocationUndone { token: token.clone() })
}

/// What was refused once is refused for ever.
fn risen(ordered: &[&Record], settled: Duration) -> Vec<Violation> {
    let mut refused: HashMap<&String, Done> = HashMap::new();
    let mut violations = Vec::new();
    for record in ordered {
        let (Operation::Use { token } | Operation::Refresh { token }) = &record.operation else {
            continue;
        };
        if matches!(record.outcome, Outcome::Refused(_)) {
            refused.entry(token).or_insert(Done::with(record));
        } else if record.outcome.is_acknowledged()
            && refused.get(token).is_some_and(|done| done.counts_for(record, settled))
        {
            violations.push(Violation::Risen { token: token.clone() });
        }
    }
    violations
}
