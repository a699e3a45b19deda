//! Variables: the process's environment and `.env`, merged. The lines of the file are read in
//! [`super::dotenv`].

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{dotenv, mistake::Report, mistake::Where};

/// All variables, each with where it comes from.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, Variable>,
    /// What files refer to.
    referred_to: RefCell<BTreeSet<String>>,
}

#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) text: String,
    pub(super) at: Where,
}

impl Environment {
    pub(super) fn of_process(variables: &BTreeMap<String, String>) -> Self {
        let variables = variables.iter().map(|(name, text)| {
            let at = Where::Variable { name: name.clone() };
            (name.clone(), Variable { text: text.clone(), at })
        });
        Self { variables: variables.collect(), referred_to: RefCell::default() }
    }

    /// Adds a file's variables. `overrides`: those of a file that was asked for by name win over
    /// the environment; those of the `.env` that happens to be there do not.
    pub(super) fn add_file(
        &mut self,
        path: &Path,
        text: &str,
        overrides: bool,
        report: &mut Report,
    ) {
        let (lines, bad) = dotenv::parse(text);
        let place =
            |line: u32, key: &str| Where::File { path: path.to_owned(), line, key: key.to_owned() };
        for line in bad {
            report.mistake(place(line.number, ""), "a line that is no variable", line.expected);
        }
        let mut of_file: BTreeMap<String, Variable> = BTreeMap::new();
        for line in lines {
            let at = place(line.number, &line.name);
            if line.ambiguous {
                report.warning(
                    at.clone(),
                    "the unquoted value holds a `#`, which is taken as part of it: put it in quotes to be sure",
                );
            }
            if let Some(earlier) =
                of_file.insert(line.name, Variable { text: line.value, at: at.clone() })
            {
                report.warning(
                    at,
                    format!("set before, at {}: this line, the later one, counts", earlier.at),
                );
            }
        }
        for (name, variable) in of_file {
            if overrides || !self.variables.contains_key(&name) {
                self.variables.insert(name, variable);
            }
        }
    }

    /// A variable that is set, and not to nothing.
    pub(super) fn find(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name).filter(|variable| !variable.text.trim().is_empty())
    }

    /// The text of a variable that a file refers to and that is set, to nothing perhaps.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.referred_to.borrow_mut().insert(name.to_owned());
        self.variables.get(name).map(|variable| variable.text.as_str())
    }

    pub(super) fn was_referred_to(&self, name: &str) -> bool {
        self.referred_to.borrow().contains(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }
}
