//! Histories that were made up: the checker sees what is wrong in each, and nothing in those that
//! are right.

use std::time::Duration;

use super::{
    super::history::{Operation, Outcome, Record},
    Settled, Violation, check,
};

/// A history in which one thing happens after another, unless [`MadeUp::at_once_with_the_last`]
/// says otherwise.
#[derive(Default)]
struct MadeUp(Vec<Record>);

impl MadeUp {
    /// With a client, a code, and the tokens `a1` and `r1` for it.
    fn connected() -> Self {
        Self::default()
            .then(Operation::Register, Outcome::Registered { client: "client".to_owned() })
            .then(authorize(), Outcome::Code("code".to_owned()))
            .then(redeem(), tokens("a1", "r1"))
    }

    fn then(mut self, operation: Operation, outcome: Outcome) -> Self {
        let began = self.0.len() as u64 * 2;
        let (began_at, ended_at) = (Duration::from_millis(began), Duration::from_millis(began + 1));
        self.0.push(Record { operation, outcome, began, ended: began + 1, began_at, ended_at });
        self
    }

    /// The last operation was under way when the one before it was.
    fn at_once_with_the_last(mut self) -> Self {
        let n = self.0.len();
        self.0[n - 1].began = self.0[n - 2].began;
        self.0[n - 2].ended = self.0[n - 1].ended - 1;
        // No two begin in the same tick.
        self.0[n - 2].began += 1;
        self
    }

    #[track_caller]
    fn passes(self) {
        assert_eq!(check(&self.0, Settled::AT_ONCE), [], "{:#?}", self.0);
    }

    #[track_caller]
    fn fails_with(self, violation: Violation) {
        assert_eq!(check(&self.0, Settled::AT_ONCE), [violation], "{:#?}", self.0);
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn authorize() -> Operation {
    Operation::Authorize { client: text("client") }
}

fn redeem() -> Operation {
    Operation::Redeem { code: text("code") }
}

fn refresh(token: &str) -> Operation {
    Operation::Refresh { token: text(token) }
}

fn revoke(token: &str) -> Operation {
    Operation::RevokeRefresh { token: text(token) }
}

fn revoke_access(token: &str) -> Operation {
    Operation::RevokeAccess { token: text(token) }
}

fn using(token: &str) -> Operation {
    Operation::Use { token: text(token) }
}

fn tokens(access: &str, refresh: &str) -> Outcome {
    Outcome::Tokens { access: text(access), refresh: text(refresh) }
}

fn invalid(what: &str) -> Outcome {
    Outcome::Refused(format!("invalid_{what}"))
}

fn lost(what: &str, error: &str) -> Violation {
    Violation::Lost { what: text(what), error: format!("invalid_{error}") }
}

#[test]
fn a_quiet_day_is_fine() {
    MadeUp::connected()
        .then(using("a1"), Outcome::Done)
        .then(refresh("r1"), tokens("a2", "r2"))
        .then(refresh("r1"), tokens("a2", "r2"))
        .then(refresh("r1"), tokens("a3", "r2"))
        .then(using("a1"), Outcome::Done)
        .then(refresh("r2"), tokens("a4", "r4"))
        .then(revoke_access("a3"), Outcome::Done)
        .then(using("a3"), invalid("token"))
        .then(using("a4"), Outcome::Done)
        .then(revoke("r4"), Outcome::Done)
        .then(using("a4"), invalid("token"))
        .then(refresh("r4"), invalid("grant"))
        .passes();
}

#[test]
fn what_nobody_answered_may_have_happened_or_not() {
    for unclear in [Outcome::Unknown, Outcome::Unavailable] {
        for after in [Outcome::Done, invalid("token")] {
            MadeUp::connected()
                .then(revoke("r1"), unclear.clone())
                .then(using("a1"), after.clone())
                .passes();
            MadeUp::connected()
                .then(revoke_access("a1"), unclear.clone())
                .then(using("a1"), after)
                .passes();
        }
        let code = || MadeUp::default().then(authorize(), Outcome::Code(text("code")));
        code()
            .then(redeem(), unclear.clone())
            .then(redeem(), tokens("a1", "r1"))
            .then(using("a1"), Outcome::Done)
            .passes();
        code().then(redeem(), unclear.clone()).then(redeem(), invalid("grant")).passes();
        MadeUp::connected()
            .then(refresh("r1"), unclear.clone())
            .then(refresh("r1"), tokens("a2", "r2"))
            .passes();
        MadeUp::connected().then(using("a1"), unclear).then(using("a1"), Outcome::Done).passes();
    }
    // But it is decided once.
    MadeUp::connected()
        .then(revoke("r1"), Outcome::Unknown)
        .then(using("a1"), invalid("token"))
        .then(using("a1"), Outcome::Done)
        .fails_with(Violation::Risen { token: text("a1") });
}

#[test]
fn what_was_handed_out_is_lost() {
    MadeUp::connected().then(using("a1"), invalid("token")).fails_with(lost("a1", "token"));
    MadeUp::connected().then(refresh("r1"), invalid("grant")).fails_with(lost("r1", "grant"));
    MadeUp::connected().then(refresh("r1"), invalid("client")).fails_with(lost("r1", "client"));
    MadeUp::connected().then(authorize(), invalid("client")).fails_with(lost("client", "client"));
    let code = MadeUp::default().then(authorize(), Outcome::Code(text("code")));
    code.then(redeem(), invalid("grant")).fails_with(lost("code", "grant"));
    // A token beside it was revoked, not this one; and what comes later ends nothing earlier.
    let two = MadeUp::connected()
        .then(refresh("r1"), tokens("a2", "r2"))
        .then(revoke_access("a2"), Outcome::Done);
    two.then(using("a1"), invalid("token")).fails_with(lost("a1", "token"));
    MadeUp::connected()
        .then(using("a1"), invalid("token"))
        .then(revoke("r1"), Outcome::Done)
        .fails_with(lost("a1", "token"));
    // A revocation that was refused revoked nothing.
    let refused = MadeUp::connected()
        .then(revoke("r1"), invalid("grant"))
        .then(using("a1"), invalid("token"));
    assert!(check(&refused.0, Settled::AT_ONCE).contains(&lost("a1", "token")));
}

#[test]
fn a_code_is_redeemed_twice() {
    MadeUp::connected()
        .then(redeem(), tokens("a2", "r2"))
        .fails_with(Violation::RedeemedTwice { code: text("code") });
}

#[test]
fn a_refresh_token_has_two_successors() {
    let once = MadeUp::connected().then(refresh("r1"), tokens("a2", "r2"));
    once.then(refresh("r1"), tokens("a3", "r3"))
        .fails_with(Violation::RotatedTwice { token: text("r1") });
}

#[test]
fn a_token_is_handed_out_twice() {
    let again = || Violation::HandedOutTwice { token: text("a1") };
    MadeUp::connected().then(refresh("r1"), tokens("a1", "r2")).fails_with(again());
    let two = MadeUp::connected()
        .then(refresh("r1"), tokens("a2", "r2"))
        .then(refresh("r2"), tokens("a3", "r3"));
    let loops = two.then(refresh("r3"), tokens("a4", "r2"));
    assert!(
        check(&loops.0, Settled::AT_ONCE)
            .contains(&Violation::HandedOutTwice { token: text("r2") })
    );
}

#[test]
fn a_revocation_is_undone() {
    let undone = |token: &str| Violation::RevocationUndone { token: text(token) };
    MadeUp::connected()
        .then(revoke("r1"), Outcome::Done)
        .then(using("a1"), Outcome::Done)
        .fails_with(undone("a1"));
    MadeUp::connected()
        .then(revoke("r1"), Outcome::Done)
        .then(refresh("r1"), tokens("a2", "r2"))
        .fails_with(undone("r1"));
    MadeUp::connected()
        .then(revoke_access("a1"), Outcome::Done)
        .then(using("a1"), Outcome::Done)
        .fails_with(undone("a1"));
    // What was under way at the same time may have been first.
    MadeUp::connected()
        .then(revoke("r1"), Outcome::Done)
        .then(using("a1"), Outcome::Done)
        .at_once_with_the_last()
        .passes();
    // Of the whole grant, whichever token it was by.
    let rotated = MadeUp::connected().then(refresh("r1"), tokens("a2", "r2"));
    rotated
        .then(revoke("r1"), Outcome::Done)
        .then(using("a2"), Outcome::Done)
        .fails_with(undone("a2"));
}

#[test]
fn a_revocation_may_take_a_moment_to_count_everywhere() {
    let within = |acknowledged, noticed| {
        let [acknowledged, noticed] = [acknowledged, noticed].map(Duration::from_millis);
        Settled { acknowledged, noticed }
    };
    let late =
        MadeUp::connected().then(revoke("r1"), Outcome::Done).then(using("a1"), Outcome::Done);
    assert_eq!(check(&late.0, within(2, 0)), []);
    assert_eq!(check(&late.0, within(1, 9)), [Violation::RevocationUndone { token: text("a1") }]);
    let risen = MadeUp::connected()
        .then(revoke("r1"), Outcome::Unknown)
        .then(using("a1"), invalid("token"));
    let risen = risen.then(using("a1"), Outcome::Done);
    assert_eq!(check(&risen.0, within(0, 2)), []);
    assert_eq!(check(&risen.0, within(9, 1)), [Violation::Risen { token: text("a1") }]);
}

#[test]
fn a_code_that_was_used_again_ends_its_grant() {
    let again = || MadeUp::connected().then(redeem(), invalid("grant"));
    again().then(using("a1"), invalid("token")).passes();
    again()
        .then(using("a1"), Outcome::Done)
        .fails_with(Violation::RevocationUndone { token: text("a1") });
    // Of two at once, the refused one may have come before the other was served, and whether
    // anything was ended is unknown.
    for after in [Outcome::Done, invalid("token")] {
        let both = MadeUp::connected().then(redeem(), invalid("grant")).at_once_with_the_last();
        both.then(using("a1"), after).passes();
    }
}

#[test]
fn what_was_refused_rises() {
    MadeUp::connected()
        .then(revoke("r1"), Outcome::Unavailable)
        .then(refresh("r1"), invalid("grant"))
        .then(refresh("r1"), tokens("a2", "r2"))
        .fails_with(Violation::Risen { token: text("r1") });
}

#[test]
fn an_answer_has_no_place_here() {
    let error = || Outcome::Refused(text("500"));
    let operation = using("a1");
    MadeUp::connected()
        .then(operation.clone(), error())
        .fails_with(Violation::Unexpected { operation, error: text("500") });
}
