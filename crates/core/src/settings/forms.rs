//! Forms of values: how the text of a setting becomes a value, what to write when it does not, and
//! which type it has in a file. What is special to one section stands there, as a [`Custom`] form.

use std::{fmt::Display, marker::PhantomData, str::FromStr, time::Duration};

use super::{
    declare::{Form, ValueType},
    quantity::{DURATION, DURATION_OR_OFF, SIZE as SIZE_TEXT, parse_duration, parse_size},
};

/// A duration within bounds, which are written as in a file.
#[derive(Clone, Copy, Debug)]
pub struct DurationForm {
    shortest: &'static str,
    longest: &'static str,
}

pub const fn duration(shortest: &'static str, longest: &'static str) -> DurationForm {
    DurationForm { shortest, longest }
}

impl DurationForm {
    pub const fn value_type(self) -> ValueType {
        ValueType::Duration
    }

    /// The same, or `off`.
    pub const fn or_off(self) -> DurationOrOff {
        DurationOrOff(self)
    }

    /// The same; what is not written is `None`, and the default just words.
    pub const fn optional(self) -> OptionalDuration {
        OptionalDuration(self)
    }

    /// The value, if it is within the bounds; or what they are.
    pub fn check(self, value: Duration) -> Result<Duration, String> {
        let Self { shortest, longest } = self;
        let fits = parse_duration(shortest).is_some_and(|shortest| value >= shortest)
            && parse_duration(longest).is_some_and(|longest| value <= longest);
        if fits { Ok(value) } else { Err(format!("from {shortest} to {longest}")) }
    }

    fn parse_or(self, text: &str, expected: &str) -> Result<Duration, String> {
        parse_duration(text).ok_or_else(|| expected.to_owned()).and_then(|value| self.check(value))
    }
}

impl Form for DurationForm {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        self.parse_or(text, DURATION)
    }
}

/// A duration, or `off`.
#[derive(Clone, Copy, Debug)]
pub struct DurationOrOff(DurationForm);

impl DurationOrOff {
    pub const fn value_type(self) -> ValueType {
        ValueType::DurationOrOff
    }
}

impl Form for DurationOrOff {
    type Value = Option<Duration>;

    fn parse(&self, text: &str) -> Result<Option<Duration>, String> {
        if text == "off" { Ok(None) } else { self.0.parse_or(text, DURATION_OR_OFF).map(Some) }
    }
}

/// A duration, if any is written.
#[derive(Clone, Copy, Debug)]
pub struct OptionalDuration(DurationForm);

impl OptionalDuration {
    pub const fn value_type(self) -> ValueType {
        self.0.value_type()
    }
}

impl Form for OptionalDuration {
    type Value = Option<Duration>;

    fn parse(&self, text: &str) -> Result<Option<Duration>, String> {
        self.0.parse(text).map(Some)
    }

    fn default_value(&self, _: &str) -> Option<Duration> {
        None
    }
}

/// A number of seconds, with a fraction perhaps: more than none.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    most: u64,
}

pub const fn seconds(most: u64) -> Seconds {
    Seconds { most }
}

impl Seconds {
    pub const fn value_type(self) -> ValueType {
        ValueType::Seconds
    }
}

impl Form for Seconds {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let Self { most } = *self;
        let parsed =
            text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        parsed
            .filter(|parsed| !parsed.is_zero() && *parsed <= Duration::from_secs(most))
            .ok_or_else(|| format!("a number of seconds, more than 0 and at most {most}"))
    }
}

/// A whole number, 1 at least.
#[derive(Clone, Copy, Debug)]
pub struct Count<T> {
    most: Option<u32>,
    expected: &'static str,
    number: PhantomData<T>,
}

pub const fn count<T>() -> Count<T> {
    Count { most: None, expected: "a whole number, 1 at least", number: PhantomData }
}

impl<T: Copy> Count<T> {
    pub const fn value_type(self) -> ValueType {
        ValueType::Count
    }

    #[must_use]
    pub const fn at_most(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }

    /// What to write instead, in other words than usual.
    #[must_use]
    pub const fn expected(mut self, text: &'static str) -> Self {
        self.expected = text;
        self
    }
}

impl<T: FromStr + Display + PartialOrd + From<u8> + TryFrom<u32>> Form for Count<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let most = self.most.and_then(|most| T::try_from(most).ok());
        let fits =
            |number: &T| *number >= T::from(1) && most.as_ref().is_none_or(|most| number <= most);
        text.parse().ok().filter(fits).ok_or_else(|| match self.most {
            Some(most) => format!("a whole number from 1 to {most}"),
            None => self.expected.to_owned(),
        })
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// As it is written, and why it is not less.
    least: Option<(&'static str, &'static str)>,
}

pub const SIZE: Size = Size { least: None };

impl Size {
    pub const fn value_type(self) -> ValueType {
        ValueType::Size
    }

    #[must_use]
    pub const fn at_least(self, least: &'static str, why: &'static str) -> Self {
        Self { least: Some((least, why)) }
    }
}

impl Form for Size {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, String> {
        let size = parse_size(text).ok_or_else(|| SIZE_TEXT.to_owned())?;
        match self.least {
            Some((least, why)) if parse_size(least).is_none_or(|least| size < least) => {
                Err(format!("{least} at least: {why}"))
            }
            _ => Ok(size),
        }
    }
}

/// `true` or `false`.
#[derive(Clone, Copy, Debug)]
pub struct Flag;

pub const FLAG: Flag = Flag;

impl Flag {
    pub const fn value_type(self) -> ValueType {
        ValueType::Flag
    }
}

impl Form for Flag {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "true or false".to_owned())
    }
}

/// One of several words.
#[derive(Clone, Copy, Debug)]
pub struct Choice<T: 'static> {
    words: &'static [&'static str],
    values: &'static [T],
    in_any_case: bool,
}

/// Each word, and in the same order what it stands for.
pub const fn choice<T>(words: &'static [&'static str], values: &'static [T]) -> Choice<T> {
    Choice { words, values, in_any_case: false }
}

impl<T: Copy> Choice<T> {
    pub const fn value_type(self) -> ValueType {
        ValueType::Choice(self.words)
    }

    /// Capitals do not count.
    #[must_use]
    pub const fn in_any_case(mut self) -> Self {
        self.in_any_case = true;
        self
    }
}

impl<T: Copy> Choice<T> {
    /// The same; what is not written is `None`, and the default just words.
    pub const fn optional(self) -> OptionalChoice<T> {
        OptionalChoice(self)
    }
}

/// One of several words, if any is written.
#[derive(Clone, Copy, Debug)]
pub struct OptionalChoice<T: 'static>(Choice<T>);

impl<T: Copy> OptionalChoice<T> {
    pub const fn value_type(self) -> ValueType {
        self.0.value_type()
    }
}

impl<T: Copy> Form for OptionalChoice<T> {
    type Value = Option<T>;

    fn parse(&self, text: &str) -> Result<Option<T>, String> {
        self.0.parse(text).map(Some)
    }

    fn default_value(&self, _: &str) -> Option<T> {
        None
    }
}

impl<T: Copy> Form for Choice<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let is_meant = |word: &&str| {
            if self.in_any_case { word.eq_ignore_ascii_case(text) } else { **word == *text }
        };
        let position = self.words.iter().position(is_meant);
        position.and_then(|position| self.values.get(position)).copied().ok_or_else(|| {
            let words: Vec<String> = self.words.iter().map(|word| format!("`{word}`")).collect();
            format!("one of {}", words.join(", "))
        })
    }
}

/// What a function of the section reads.
#[derive(Clone, Copy, Debug)]
pub struct Custom<T> {
    value_type: ValueType,
    parse: fn(&str) -> Result<T, String>,
}

/// The function gives the value, or what to write instead.
pub const fn custom<T>(value_type: ValueType, parse: fn(&str) -> Result<T, String>) -> Custom<T> {
    Custom { value_type, parse }
}

impl<T> Custom<T> {
    pub const fn value_type(&self) -> ValueType {
        self.value_type
    }
}

impl<T> Form for Custom<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        (self.parse)(text)
    }
}
