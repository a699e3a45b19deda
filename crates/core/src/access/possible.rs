//! Could any arguments be allowed? A list shows what some call could have, and nothing that every
//! call would be refused. What arguments of one call come to is [`super::judge`]'s.

use std::borrow::Cow;

use super::condition::{ArgumentCondition, ArgumentValue, Fit, Found, Number};

/// Attempts, before it counts as possible: calls are judged by their arguments anyway.
const ATTEMPTS: u32 = 10_000;

/// Are there arguments that fit all of `allowed`, and of each of `denied` not all?
///
/// It is enough to try, for each pattern, the one text that has something unwritten in place of
/// each `*`: a pattern that fits it has its own `*` there, and fits whatever else stands there.
pub(super) fn is_possible(allowed: &[ArgumentCondition], denied: &[&[ArgumentCondition]]) -> bool {
    let mut search = Search {
        denied,
        unwritten: unwritten(allowed, denied),
        chosen: Vec::new(),
        left: ATTEMPTS,
    };
    search.fit(allowed)
}

struct Search<'a> {
    denied: &'a [&'a [ArgumentCondition]],
    unwritten: Unwritten,
    chosen: Vec<(&'a ArgumentCondition, Found<'static>)>,
    left: u32,
}

/// A character and a number that no condition has.
struct Unwritten {
    text: char,
    number: i128,
}

impl<'a> Search<'a> {
    fn fit(&mut self, allowed: &'a [ArgumentCondition]) -> bool {
        let Some((first, rest)) = allowed.split_first() else { return self.avoid(0) };
        if self.chosen.iter().any(|(other, _)| other.excludes(first)) {
            return false;
        }
        let values: Vec<_> =
            first.values().iter().map(|value| self.unwritten.instance(value)).collect();
        values
            .into_iter()
            .filter(|value| first.fit(Some(value)) == Fit::Yes)
            .any(|value| self.with(first, value, |search| search.fit(rest)))
    }

    /// From the rule of this number on, something must not fit.
    fn avoid(&mut self, number: usize) -> bool {
        let Some(rule) = self.denied.get(number) else { return true };
        if self.left == 0 {
            return true;
        }
        self.left -= 1;
        let is_avoided = rule.iter().any(|condition| {
            let of_it = self.chosen.iter().find(|(other, _)| other.path() == condition.path());
            of_it.is_some_and(|(_, value)| condition.fit(Some(value)) == Fit::No)
        });
        if is_avoided {
            return self.avoid(number + 1);
        }
        let is_free = |condition: &&ArgumentCondition| {
            self.chosen
                .iter()
                .all(|(other, _)| other.path() != condition.path() && !other.excludes(condition))
        };
        let free: Vec<&'a ArgumentCondition> = rule.iter().filter(is_free).collect();
        free.into_iter().any(|condition| {
            let values = self.unwritten.any();
            values
                .into_iter()
                .filter(|value| condition.fit(Some(value)) == Fit::No)
                .any(|value| self.with(condition, value, |search| search.avoid(number + 1)))
        })
    }

    fn with(
        &mut self,
        condition: &'a ArgumentCondition,
        value: Found<'static>,
        then: impl FnOnce(&mut Self) -> bool,
    ) -> bool {
        self.chosen.push((condition, value));
        let is_found = then(self);
        self.chosen.pop();
        is_found
    }
}

impl Unwritten {
    fn instance(&self, value: &ArgumentValue) -> Found<'static> {
        match value {
            ArgumentValue::Text(pattern) => Found::Text(Cow::Owned(
                pattern.as_str().replace('*', self.text.encode_utf8(&mut [0; 4])),
            )),
            ArgumentValue::Number(number) => Found::Number(*number),
            ArgumentValue::Flag(flag) => Found::Flag(*flag),
        }
    }

    fn any(&self) -> [Found<'static>; 4] {
        [
            Found::Text(Cow::Owned(self.text.to_string())),
            Found::Number(Number::Whole(self.number)),
            Found::Flag(true),
            Found::Flag(false),
        ]
    }
}

fn unwritten(allowed: &[ArgumentCondition], denied: &[&[ArgumentCondition]]) -> Unwritten {
    let conditions = || denied.iter().copied().flatten().chain(allowed);
    let values = || conditions().flat_map(ArgumentCondition::values);
    let is_written = |char: &char| {
        values().any(|value| match value {
            ArgumentValue::Text(pattern) => pattern.as_str().contains(*char),
            _ => false,
        })
    };
    // There are more of these than patterns have characters.
    let text = ('\u{e000}'..'\u{10fffd}').find(|char| !is_written(char)).unwrap_or('\u{10fffd}');
    // One more than there are numbers is enough.
    let most = i128::try_from(values().count()).unwrap_or(i128::MAX);
    let number = (0..=most).find(|number| {
        values().all(|value| match value {
            ArgumentValue::Number(Number::Whole(written)) => written != number,
            #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "small and whole")]
            ArgumentValue::Number(Number::Point(written)) => *written != *number as f64,
            _ => true,
        })
    });
    Unwritten { text, number: number.unwrap_or_default() }
}
