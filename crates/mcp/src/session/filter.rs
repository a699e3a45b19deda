//! What a modern client wants to hear of (MCP 2026-07-28, subscriptions, "Notification Filter").

use crate::wire::{
    self, Payload, WireError,
    protocol::{filter, notification},
};

/// The lists whose changes are wanted. Which resources are, the session's subscriptions say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
}

impl Filter {
    /// Reads `params.notifications`: the lists, and the URIs of resources.
    pub(crate) fn read(notifications: &Payload) -> Result<(Self, Vec<String>), WireError> {
        let (mut filter, mut uris) = (Self::default(), Vec::new());
        let flag = |value: &Payload, name| {
            value.read().map_err(|_| WireError::WrongType(name, "true or false"))
        };
        for (key, value) in
            wire::members(notifications)?.into_iter().filter(|(_, value)| value.as_str() != "null")
        {
            match &*key {
                filter::TOOLS_LIST_CHANGED => {
                    filter.tools = flag(&value, filter::TOOLS_LIST_CHANGED)?;
                }
                filter::PROMPTS_LIST_CHANGED => {
                    filter.prompts = flag(&value, filter::PROMPTS_LIST_CHANGED)?;
                }
                filter::RESOURCES_LIST_CHANGED => {
                    filter.resources = flag(&value, filter::RESOURCES_LIST_CHANGED)?;
                }
                filter::RESOURCE_SUBSCRIPTIONS => {
                    uris = value.read().map_err(|_| {
                        WireError::WrongType(filter::RESOURCE_SUBSCRIPTIONS, "a list of URIs")
                    })?;
                }
                _ => {}
            }
        }
        Ok((filter, uris))
    }

    /// The members that are wanted here and not there.
    pub(crate) fn beyond(self, other: Self) -> Vec<&'static str> {
        let members = [
            (filter::TOOLS_LIST_CHANGED, self.tools && !other.tools),
            (filter::PROMPTS_LIST_CHANGED, self.prompts && !other.prompts),
            (filter::RESOURCES_LIST_CHANGED, self.resources && !other.resources),
        ];
        members.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(member, _)| member).collect()
    }

    /// Is this one of the changes that are wanted?
    pub(crate) fn wants(self, method: &str) -> bool {
        match method {
            notification::TOOLS_LIST_CHANGED => self.tools,
            notification::PROMPTS_LIST_CHANGED => self.prompts,
            notification::RESOURCES_LIST_CHANGED => self.resources,
            // Subscribed to one by one.
            notification::RESOURCES_UPDATED => true,
            _ => false,
        }
    }

    /// As the acknowledgement has it: what is not agreed to is left out.
    pub(crate) fn write(self, uris: &[String]) -> Payload {
        let mut agreed = serde_json::Map::new();
        for (name, is_wanted) in [
            (filter::TOOLS_LIST_CHANGED, self.tools),
            (filter::PROMPTS_LIST_CHANGED, self.prompts),
            (filter::RESOURCES_LIST_CHANGED, self.resources),
        ] {
            if is_wanted {
                agreed.insert(name.to_owned(), true.into());
            }
        }
        if !uris.is_empty() {
            agreed.insert(filter::RESOURCE_SUBSCRIPTIONS.to_owned(), uris.into());
        }
        Payload::from_value(&agreed.into())
    }
}
