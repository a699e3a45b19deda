//! Setting: how tools and prompts are named on `/mcp`.

use portunus_core::settings::{Choice, Reader as _, Setting, choice};

use super::{inputs::Inputs, mistake::Report};

/// How tools and prompts are named on `/mcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Names {
    /// `{server}_{name}`.
    #[default]
    Prefixed,
    /// As the servers name them; collisions are errors in the list.
    Plain,
}

const FORM: Choice<Names> = choice(&["prefixed", "plain"], &[Names::Prefixed, Names::Plain]);

pub(super) const NAMES: Setting = Setting::new(
    "names",
    FORM.value_type(),
    "How tools and prompts are named on /mcp: {server}_{name}, or as servers name them",
)
.details("See [Names](#names)");

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Names {
    inputs.section("", report).read(&NAMES, &FORM).unwrap_or_default()
}
