//! What must be known of a call to decide by the rules: found out once, when they are compiled.

use super::{
    arguments::Paths, compile::PolicyFile, hints::ToolHints, rule::AccessRule, schema::SIGNED_IN,
};

/// What rules and policies ask, all together.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) paths: Paths,
    /// For each rule, the numbers of its conditions' paths.
    pub(super) of_rule: Vec<Box<[u32]>>,
    /// A policy file goes by the time.
    pub(super) by_time: bool,
    /// Anything goes by the time since a sign-in.
    pub(super) by_sign_in: bool,
    /// It matters what servers say of their tools.
    pub(super) by_hints: bool,
}

impl Needs {
    pub(super) fn of(rules: &[AccessRule], files: &[PolicyFile]) -> Self {
        let mut paths = Paths::default();
        let of_rule = rules
            .iter()
            .map(|rule| rule.when.arguments.iter().map(|condition| paths.add(condition)).collect());
        let of_rule = of_rule.collect();
        let in_files = |word: &str| files.iter().any(|file| file.text.contains(word));
        let hints = ToolHints::default().named();
        let by_hints = rules.iter().any(|rule| rule.what.asks_hints())
            || hints.iter().any(|(hint, _)| in_files(hint));
        let by_time = in_files(SIGNED_IN);
        let by_sign_in = by_time || rules.iter().any(|rule| rule.when.signed_in.is_some());
        Self { paths, of_rule, by_time, by_sign_in, by_hints }
    }

    pub(super) const fn ask_arguments(&self) -> bool {
        !self.paths.is_empty()
    }
}
