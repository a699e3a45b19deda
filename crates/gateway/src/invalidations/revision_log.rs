//! Marks as they were heard, one after the other: is the next one next, and is the store's among
//! them?

use std::collections::VecDeque;

use portunus_core::invalidation::Revision;

/// More than are posted while the store says its revision.
const MOST: usize = 256;

/// The revisions that were come by without missing anything, the last one last.
#[derive(Debug, Default)]
pub(super) struct RevisionLog {
    revisions: VecDeque<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It follows upon what is known; or it is the first that the store told.
    Next,
    /// It was known.
    Known,
    /// Something in between is not known.
    Gap,
}

impl RevisionLog {
    pub(super) fn is_empty(&self) -> bool {
        self.revisions.is_empty()
    }

    pub(super) fn is_known(&self, revision: &Revision) -> bool {
        self.revisions.contains(revision)
    }

    /// An invalidation was heard that stands between these.
    pub(super) fn hear(&mut self, before: &Revision, after: Revision) -> Step {
        if self.revisions.back() == Some(before) {
            self.revisions.push_back(after);
            if self.revisions.len() > MOST {
                self.revisions.pop_front();
            }
            return Step::Next;
        }
        if self.is_known(&after) {
            return Step::Known;
        }
        self.begin_at(after);
        Step::Gap
    }

    /// The store is at this revision.
    pub(super) fn compare(&mut self, revision: Revision) -> Step {
        if self.is_known(&revision) {
            return Step::Known;
        }
        let step = if self.is_empty() { Step::Next } else { Step::Gap };
        self.begin_at(revision);
        step
    }

    fn begin_at(&mut self, revision: Revision) {
        self.revisions.clear();
        self.revisions.push_back(revision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(text: &str) -> Revision {
        Revision::from_text(text)
    }

    #[test]
    fn one_after_the_other() {
        let mut revision_log = RevisionLog::default();
        assert_eq!(revision_log.compare(revision("a")), Step::Next);
        assert_eq!(revision_log.hear(&revision("a"), revision("b")), Step::Next);
        assert_eq!(revision_log.hear(&revision("b"), revision("c")), Step::Next);
        for told in ["c", "b", "a"] {
            assert_eq!(
                revision_log.compare(revision(told)),
                Step::Known,
                "the store said so a moment ago: {told}"
            );
        }
        assert_eq!(
            revision_log.hear(&revision("c"), revision("d")),
            Step::Next,
            "a revision of before leads nowhere back"
        );
    }

    #[test]
    fn what_comes_twice_or_late_is_known() {
        let mut revision_log = RevisionLog::default();
        revision_log.compare(revision("a"));
        revision_log.hear(&revision("a"), revision("b"));
        assert_eq!(revision_log.hear(&revision("a"), revision("b")), Step::Known);
        assert_eq!(revision_log.compare(revision("c")), Step::Gap, "its message is not here");
        assert_eq!(revision_log.hear(&revision("b"), revision("c")), Step::Known, "here it comes");
    }

    #[test]
    fn a_gap_is_seen_from_either_side() {
        let mut revision_log = RevisionLog::default();
        revision_log.compare(revision("a"));
        assert_eq!(revision_log.hear(&revision("b"), revision("c")), Step::Gap);
        assert_eq!(revision_log.hear(&revision("c"), revision("d")), Step::Next);
        assert_eq!(revision_log.compare(revision("e")), Step::Gap);
        assert_eq!(revision_log.compare(revision("e")), Step::Known);
        // A store that lost its last second counts on from an earlier one.
        assert_eq!(revision_log.hear(&revision("b"), revision("c, once more")), Step::Gap);
    }

    #[test]
    fn nothing_is_known_of_what_was_before_the_beginning() {
        let mut revision_log = RevisionLog::default();
        assert_eq!(revision_log.hear(&revision("a"), revision("b")), Step::Gap);
        assert_eq!(revision_log.compare(revision("b")), Step::Known);
    }

    #[test]
    fn old_marks_are_not_kept_for_ever() {
        let mut revision_log = RevisionLog::default();
        revision_log.compare(revision("0"));
        for n in 0..2 * MOST {
            assert_eq!(
                revision_log.hear(&revision(&n.to_string()), revision(&(n + 1).to_string())),
                Step::Next
            );
        }
        assert_eq!(revision_log.revisions.len(), MOST);
        assert!(!revision_log.is_known(&revision("0")));
    }
}
