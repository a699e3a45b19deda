//! Marks as they were heard, one after the other: is the next one next, and is the store's among them?

use std::collections::VecDeque;

use portunus_core::bulletin::Mark;

/// More than are posted while the store says its mark.
const MOST: usize = 256;

/// The marks that were come by without missing anything, the last one last.
#[derive(Debug, Default)]
pub(super) struct Chain {
    marks: VecDeque<Mark>,
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

impl Chain {
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(super) fn is_known(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }

    /// A bulletin was heard that stands between these.
    pub(super) fn hear(&mut self, before: &Mark, after: Mark) -> Step {
        if self.marks.back() == Some(before) {
            self.marks.push_back(after);
            if self.marks.len() > MOST {
                self.marks.pop_front();
            }
            return Step::Next;
        }
        if self.is_known(&after) {
            return Step::Known;
        }
        self.begin_at(after);
        Step::Gap
    }

    /// The store is at this mark.
    pub(super) fn compare(&mut self, mark: Mark) -> Step {
        if self.is_known(&mark) {
            return Step::Known;
        }
        let step = if self.is_empty() { Step::Next } else { Step::Gap };
        self.begin_at(mark);
        step
    }

    fn begin_at(&mut self, mark: Mark) {
        self.marks.clear();
        self.marks.push_back(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Mark {
        Mark::from_text(text)
    }

    #[test]
    fn one_after_the_other() {
        let mut chain = Chain::default();
        assert_eq!(chain.compare(mark("a")), Step::Next);
        assert_eq!(chain.hear(&mark("a"), mark("b")), Step::Next);
        assert_eq!(chain.hear(&mark("b"), mark("c")), Step::Next);
        for told in ["c", "b", "a"] {
            assert_eq!(chain.compare(mark(told)), Step::Known, "the store said so a moment ago: {told}");
        }
        assert_eq!(chain.hear(&mark("c"), mark("d")), Step::Next, "a mark of before leads nowhere back");
    }

    #[test]
    fn what_comes_twice_or_late_is_known() {
        let mut chain = Chain::default();
        chain.compare(mark("a"));
        chain.hear(&mark("a"), mark("b"));
        assert_eq!(chain.hear(&mark("a"), mark("b")), Step::Known);
        assert_eq!(chain.compare(mark("c")), Step::Gap, "its message is not here");
        assert_eq!(chain.hear(&mark("b"), mark("c")), Step::Known, "here it comes");
    }

    #[test]
    fn a_gap_is_seen_from_either_side() {
        let mut chain = Chain::default();
        chain.compare(mark("a"));
        assert_eq!(chain.hear(&mark("b"), mark("c")), Step::Gap);
        assert_eq!(chain.hear(&mark("c"), mark("d")), Step::Next);
        assert_eq!(chain.compare(mark("e")), Step::Gap);
        assert_eq!(chain.compare(mark("e")), Step::Known);
        // A store that lost its last second counts on from an earlier one.
        assert_eq!(chain.hear(&mark("b"), mark("c, once more")), Step::Gap);
    }

    #[test]
    fn nothing_is_known_of_what_was_before_the_beginning() {
        let mut chain = Chain::default();
        assert_eq!(chain.hear(&mark("a"), mark("b")), Step::Gap);
        assert_eq!(chain.compare(mark("b")), Step::Known);
    }

    #[test]
    fn old_marks_are_not_kept_for_ever() {
        let mut chain = Chain::default();
        chain.compare(mark("0"));
        for n in 0..2 * MOST {
            assert_eq!(chain.hear(&mark(&n.to_string()), mark(&(n + 1).to_string())), Step::Next);
        }
        assert_eq!(chain.marks.len(), MOST);
        assert!(!chain.is_known(&mark("0")));
    }
}
