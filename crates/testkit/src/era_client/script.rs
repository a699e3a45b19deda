//! The names of the exercises, and what one of them is done with. What they do is in
//! [`super::exercises`].

use std::{fmt, str::FromStr};

use rmcp::model::JsonObject;

/// What a client can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Lists tools, prompts, resources and templates.
    List,
    /// Calls a tool.
    Call,
    /// Calls a tool that shows the user a form.
    Elicit,
    /// Calls a tool that sends the user to a page.
    Visit,
    /// The same, and waits to be told that the visit is over, which a legacy server may tell.
    VisitToTheEnd,
    /// Gets a prompt that shows the user a form.
    Prompt,
    /// Says that it can be asked for nothing, and calls tools that ask: each has to fail, and the
    /// next call to work.
    AskInVain,
    /// Calls a tool that asks the model.
    Sample,
    /// Calls a tool that asks for the roots.
    Roots,
    /// Calls a tool that tells of its progress.
    Progress,
    /// Starts a slow tool and cancels it.
    Cancel,
    /// Subscribes to a resource and calls a tool that touches it.
    Subscribe,
    /// Calls a tool that changes the list of tools, twice, and lists them before, between and
    /// after.
    ListChange,
    /// Asks for log messages from a level on and calls a tool that logs.
    Log,
}

impl Script {
    const NAMES: [(&str, Self); 14] = [
        ("list", Self::List),
        ("call", Self::Call),
        ("elicit", Self::Elicit),
        ("visit", Self::Visit),
        ("visit-to-the-end", Self::VisitToTheEnd),
        ("prompt", Self::Prompt),
        ("ask-in-vain", Self::AskInVain),
        ("sample", Self::Sample),
        ("roots", Self::Roots),
        ("progress", Self::Progress),
        ("cancel", Self::Cancel),
        ("subscribe", Self::Subscribe),
        ("list-change", Self::ListChange),
        ("log", Self::Log),
    ];

    /// The tool of the conformance server that fits, or its prompt.
    pub(super) fn tool(self) -> &'static str {
        match self {
            Self::List | Self::Call => "test_simple_text",
            Self::Elicit | Self::AskInVain => "test_elicitation",
            Self::Visit | Self::VisitToTheEnd => "test_elicitation_url",
            Self::Prompt => "test_input_required_result_prompt",
            Self::Sample => "test_sampling",
            Self::Roots => "test_input_required_result_list_roots",
            Self::Progress => "test_tool_with_progress",
            Self::Cancel => "test_slow",
            Self::Subscribe => "test_touch_resource",
            Self::ListChange => "test_trigger_tool_change",
            Self::Log => "test_logging_tool",
        }
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        let known = || Self::NAMES.map(|(known, _)| known).join(", ");
        found
            .map(|(_, script)| script)
            .ok_or_else(|| format!("{name:?} is no exercise: expected one of {}", known()))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.into_iter().find(|(_, script)| script == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// What to do, and with what. Where a tool, its arguments or a URI are missing, the exercise takes
/// those of the conformance server.
#[derive(Clone, Debug)]
pub struct Exercise {
    pub script: Script,
    pub tool: Option<String>,
    pub arguments: Option<JsonObject>,
    /// The resource to subscribe to.
    pub uri: Option<String>,
    /// The level from which on log messages are wanted.
    pub level: Option<String>,
    /// The arguments of a call that logs below that level.
    pub unheard: Option<JsonObject>,
    /// The tool to call after one has failed.
    pub next: Option<String>,
}

impl Exercise {
    pub fn new(script: Script) -> Self {
        Self {
            script,
            tool: None,
            arguments: None,
            uri: None,
            level: None,
            unheard: None,
            next: None,
        }
    }
}
