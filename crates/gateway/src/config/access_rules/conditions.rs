//! What a rule asks of a call beside what is called: its arguments, and how long ago its person
//! signed in. The rest of a rule is read by [`super`].

use portunus_core::{
    access::{ArgumentCondition, ArgumentValue, Effect, What, When},
    settings::quantity,
};

use super::{
    super::{
        document::{Item, Value},
        inputs::{Written, written},
    },
    Reading, SIGN_IN_OLDER_THAN, SIGNED_IN_WITHIN,
};

impl Reading<'_, '_> {
    pub(super) fn when(&mut self, rule: &Item<'_>, effect: Effect, what: &What) -> When {
        let (own, other) = match effect {
            Effect::Allow => (SIGNED_IN_WITHIN, SIGN_IN_OLDER_THAN),
            Effect::Deny => (SIGN_IN_OLDER_THAN, SIGNED_IN_WITHIN),
        };
        if let Some(Written { at, .. }) = written(rule.find(other)) {
            let expected = format!("`{own}` in a rule with `effect: {effect}`");
            self.report.mistake(at, format!("`{other}`"), expected);
        }
        let signed_in = written(rule.find(own)).and_then(|Written { text, at, .. }| {
            let limit = quantity::parse_duration(&text);
            if limit.is_none() {
                self.report.mistake(at, format!("`{text}`"), quantity::DURATION);
            }
            limit
        });
        When { arguments: self.arguments(rule, what), signed_in }
    }

    fn arguments(&mut self, rule: &Item<'_>, what: &What) -> Vec<ArgumentCondition> {
        let Some(item) = rule.find("arguments") else { return Vec::new() };
        let mut conditions: Vec<ArgumentCondition> = Vec::new();
        let entries = item.entries();
        // Left out in silence, one without a value would make the rule wider.
        if let Value::Map(written) = item.value()
            && let Some(empty) = written.iter().find(|entry| entry.value.value == Value::Null)
            && self.report.mistakes.is_empty()
        {
            let found = format!("nothing at `{}`", empty.key);
            self.report.mistake(item.at(), found, "a value that the argument may have");
        } else if entries.is_empty() {
            let expected = "arguments with their values, or no such key: then they do not matter";
            self.report.mistake(item.at(), "no arguments", expected);
        }
        for (path, value) in entries {
            let Some(condition) = self.argument(path, &value) else { continue };
            if let Some(other) = conditions.iter().find(|other| other.excludes(&condition)) {
                let found = format!("`{path}` beside `{}`", other.path().join("."));
                let expected =
                    "one of them: an argument with members is no text, number, true or false";
                self.report.mistake(value.at(), found, expected);
            }
            conditions.push(condition);
        }
        if !what.resources.is_empty() {
            let expected = "a rule of its own: a resource has no arguments";
            self.report.mistake(item.at(), "`arguments` beside `resources`", expected);
        }
        conditions
    }

    fn argument(&mut self, path: &str, item: &Item<'_>) -> Option<ArgumentCondition> {
        let before = self.report.mistakes.len();
        let values: Vec<ArgumentValue> = match item.value() {
            Value::List(_) => {
                if item.is_empty_list() {
                    self.report.mistake(item.at(), "an empty list", "the values that are meant");
                }
                item.items().iter().filter_map(|item| self.argument_value(item)).collect()
            }
            _ => self.argument_value(item).into_iter().collect(),
        };
        if self.report.mistakes.len() > before {
            return None;
        }
        let condition = ArgumentCondition::new(path, values);
        if condition.is_none() {
            let expected =
                "the name of an argument, or names with dots between, eight at most: options.force";
            self.report.mistake(item.at(), format!("`{}`", path.escape_debug()), expected);
        }
        condition
    }

    fn argument_value(&mut self, item: &Item<'_>) -> Option<ArgumentValue> {
        match item.value() {
            Value::Flag(flag) => Some(ArgumentValue::Flag(*flag)),
            Value::Number(text) => {
                let number = ArgumentValue::number(text);
                if number.is_none() {
                    self.report.mistake(
                        item.at(),
                        format!("`{text}`"),
                        "a number as JSON writes it",
                    );
                }
                number
            }
            _ => {
                // Spaces at the ends count: arguments are compared as they are.
                let text = item.scalar()?;
                self.pattern(Written { text, at: item.at(), variable: None })
                    .map(ArgumentValue::Text)
            }
        }
    }
}
