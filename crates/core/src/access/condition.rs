//! Conditions on the arguments of a call: what a rule asks of one argument, and whether a value
//! fits it. Reading arguments is [`super::arguments`]'s.

use std::{borrow::Cow, fmt};

use crate::oauth::scopes::{Pattern, may_lead_out};

/// The most keys of a path.
const DEEPEST: usize = 8;
/// From here on, not every whole number is a number with a point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One argument, and the values that it may have.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentCondition {
    path: Vec<String>,
    values: Vec<ArgumentValue>,
}

/// A value of an argument that fits.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentValue {
    /// A text that fits this pattern.
    Text(Pattern),
    Number(Number),
    Flag(bool),
}

/// A number, compared by its value: `1` is `1.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Whole(i128),
    Point(f64),
}

/// Does a value fit? What cannot be told does not fit a rule that allows, and fits one that denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// It is missing, of another type, or may be read in more than one way.
    Unknown,
}

/// The value of an argument, as far as conditions can speak of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found<'a> {
    Text(Cow<'a, str>),
    Number(Number),
    Flag(bool),
    /// An object, a list, or a number that is too large.
    Other,
}

impl ArgumentCondition {
    /// `options.force` is the member `force` of the argument `options`. `None`: no such path, or no
    /// values.
    pub fn new(path: &str, values: Vec<ArgumentValue>) -> Option<Self> {
        let path: Vec<_> = path.split('.').map(ToOwned::to_owned).collect();
        let is_path = path.len() <= DEEPEST && path.iter().all(|key| !key.is_empty());
        (is_path && !values.is_empty()).then_some(Self { path, values })
    }

    pub fn path(&self) -> &[String] {
        &self.path
    }

    pub(super) fn values(&self) -> &[ArgumentValue] {
        &self.values
    }

    /// Can both hold of the same arguments? Not where one is about what is inside of the other.
    pub fn excludes(&self, other: &Self) -> bool {
        self.path.len() != other.path.len()
            && self.path.iter().zip(&other.path).all(|(one, other)| one == other)
    }

    /// Of an argument that is missing it cannot be told.
    pub(super) fn fit(&self, found: Option<&Found<'_>>) -> Fit {
        let Some(found) = found else { return Fit::Unknown };
        let mut fit = Fit::Unknown;
        for value in &self.values {
            match value.fit(found) {
                Some(Fit::Yes) => return Fit::Yes,
                Some(Fit::No) => fit = Fit::No,
                Some(Fit::Unknown) | None => {}
            }
        }
        // One value that cannot be told from it is enough.
        let is_unclear = |value: &ArgumentValue| value.fit(found) == Some(Fit::Unknown);
        if self.values.iter().any(is_unclear) { Fit::Unknown } else { fit }
    }
}

impl ArgumentValue {
    /// A number as JSON writes it.
    pub fn number(text: &str) -> Option<Self> {
        Number::parse(text).map(Self::Number)
    }

    /// `None`: it is of another type.
    fn fit(&self, found: &Found<'_>) -> Option<Fit> {
        let decided = |fits: bool| if fits { Fit::Yes } else { Fit::No };
        match (self, found) {
            (Self::Text(pattern), Found::Text(text)) => Some(text_fit(pattern, text)),
            (Self::Number(number), Found::Number(found)) => Some(number.fit(*found)),
            (Self::Flag(flag), Found::Flag(found)) => Some(decided(flag == found)),
            _ => None,
        }
    }
}

/// What may lead out of where it stands (`acme/../other`) is whatever its server makes of it, as
/// with URIs (threat 39): only a pattern without `*`, or one that fits everything, names it.
fn text_fit(pattern: &Pattern, text: &str) -> Fit {
    let is_clear = pattern.as_str() == "*" || !may_lead_out(text);
    match pattern.fits(text) {
        true if is_clear || pattern.is_exact() => Fit::Yes,
        false if is_clear => Fit::No,
        _ => Fit::Unknown,
    }
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        // Only what JSON calls a number: no `inf`, no `nan`.
        let is_json = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
        let point: f64 = text.parse().ok().filter(|_| is_json)?;
        point.is_finite().then_some(Self::Point(point))
    }

    #[expect(clippy::float_cmp, reason = "a number is asked for exactly")]
    fn fit(self, found: Self) -> Fit {
        let decided = |fits: bool| if fits { Fit::Yes } else { Fit::No };
        match (self, found) {
            (Self::Whole(one), Self::Whole(other)) => decided(one == other),
            (Self::Point(one), Self::Point(other)) => decided(one == other),
            (Self::Whole(whole), Self::Point(point)) | (Self::Point(point), Self::Whole(whole)) => {
                if point.fract() != 0.0 {
                    Fit::No
                } else if point.abs() < EXACT {
                    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
                    decided(point as i128 == whole)
                } else {
                    Fit::Unknown
                }
            }
        }
    }
}

impl fmt::Display for ArgumentCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(ToString::to_string).collect();
        write!(f, "{} {}", self.path.join("."), values.join(" or "))
    }
}

impl fmt::Display for ArgumentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(pattern) => write!(f, "{:?}", pattern.as_str()),
            Self::Number(Number::Whole(number)) => write!(f, "{number}"),
            Self::Number(Number::Point(number)) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}
