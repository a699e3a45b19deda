//! Mistakes in the configuration: where each stands, what was found there, what was expected. All
//! are reported together.

use std::{fmt, path::PathBuf};

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// A line of a file; `key` is the path within it, such as `proxies[0].pattern`, if there is
    /// one.
    File { path: PathBuf, line: u32, key: String },
    /// A variable of the process's environment.
    Variable { name: String },
    /// On the command line.
    Flag { name: &'static str },
    /// Nowhere: a setting that is needed and not given.
    Missing { setting: String },
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, key } if key.is_empty() => {
                write!(f, "{}:{line}", path.display())
            }
            Self::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
            Self::Variable { name } => write!(f, "environment: {name}"),
            Self::Flag { name } => write!(f, "command line: {name}"),
            Self::Missing { setting } => write!(f, "missing: {setting}"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub at: Where,
    /// What stands there. Never a secret.
    pub found: String,
    /// What should stand there, or what to do.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.at)?;
        writeln!(f, "    found     {}", self.found)?;
        writeln!(f, "    expected  {}", self.expected)
    }
}

/// Every mistake of one reading, files first, in the order of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "{count} mistake{} in the configuration:\n",
            if count == 1 { "" } else { "s" }
        )?;
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// What a reading turned up so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Warning>,
}

impl Report {
    pub(super) fn mistake(
        &mut self,
        at: Where,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.mistakes.push(Mistake { at, found: found.into(), expected: expected.into() });
    }

    /// A setting that is needed and not given.
    pub(super) fn missing(&mut self, setting: impl Into<String>, expected: impl Into<String>) {
        self.mistake(Where::Missing { setting: setting.into() }, "nothing", expected);
    }

    /// A variable that is not read, and the one that is nearly called so. Where that one is
    /// missing, this is why.
    pub(super) fn not_read(&mut self, at: Where, name: &str, meant: &str) {
        let is_why = |mistake: &&mut Mistake| matches!(&mistake.at, Where::Missing { setting } if setting == meant);
        match self.mistakes.iter_mut().find(is_why) {
            Some(mistake) => mistake.found = format!("{name}, which is not read"),
            None => self.warning(at, format!("{name} is not read: did you mean {meant}?")),
        }
    }

    pub(super) fn warning(&mut self, at: Where, text: impl Into<String>) {
        self.warnings.push(Warning { at, text: text.into() });
    }
}

/// Something that works but is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub at: Where,
    pub text: String,
}
