//! The four lists of MCP, and what tells them apart.

use portunus_core::pins::PinKind;

use crate::wire::protocol::{method, notification};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Tools => method::TOOLS_LIST,
            Self::Prompts => method::PROMPTS_LIST,
            Self::Resources => method::RESOURCES_LIST,
            Self::Templates => method::RESOURCES_TEMPLATES_LIST,
        }
    }

    pub(crate) fn of_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The member of a list's result that is the list.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that identifies it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// The capability of servers that have this list.
    pub(crate) const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    pub(crate) const fn changed(self) -> &'static str {
        match self {
            Self::Tools => notification::TOOLS_LIST_CHANGED,
            Self::Prompts => notification::PROMPTS_LIST_CHANGED,
            Self::Resources | Self::Templates => notification::RESOURCES_LIST_CHANGED,
        }
    }

    /// The lists that a notification says have changed.
    pub(crate) fn changed_by(method: &str) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |kind| kind.changed() == method)
    }

    /// Is the name prefixed on the endpoint that shows all servers? URIs keep their spelling.
    pub(crate) const fn is_named(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts)
    }

    /// As what its items are pinned; `None`: they are data, which comes and goes.
    pub(crate) const fn pinned(self) -> Option<PinKind> {
        match self {
            Self::Tools => Some(PinKind::Tool),
            Self::Prompts => Some(PinKind::Prompt),
            Self::Templates => Some(PinKind::Template),
            Self::Resources => None,
        }
    }

    /// As it stands in a cursor.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Tools => 't',
            Self::Prompts => 'p',
            Self::Resources => 'r',
            Self::Templates => 'm',
        }
    }

    /// One of them, in words for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Prompts => "prompt",
            Self::Resources => "resource",
            Self::Templates => "resource template",
        }
    }
}
