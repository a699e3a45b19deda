//! What a modern client wants to hear of (MCP 2026-07-28, subscriptions, "Notification Filter").

use crate::wire::{self, Payload, WireError};

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
        let flag = |value: &Payload, name| value.read().map_err(|_| WireError::WrongType(name, "true or false"));
        for (key, value) in wire::members(notifications)?.into_iter().filter(|(_, value)| value.as_str() != "null") {
            match &*key {
                "toolsListChanged" => filter.tools = flag(&value, "toolsListChanged")?,
                "promptsListChanged" => filter.prompts = flag(&value, "promptsListChanged")?,
                "resourcesListChanged" => filter.resources = flag(&value, "resourcesListChanged")?,
                "resourceSubscriptions" => {
                    uris = value.read().map_err(|_| WireError::WrongType("resourceSubscriptions", "a list of URIs"))?;
                }
                _ => {}
            }
        }
        Ok((filter, uris))
    }

    /// The members that are wanted here and not there.
    pub(crate) fn beyond(self, other: Self) -> Vec<&'static str> {
        let members = [
            ("toolsListChanged", self.tools && !other.tools),
            ("promptsListChanged", self.prompts && !other.prompts),
            ("resourcesListChanged", self.resources && !other.resources),
        ];
        members.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(member, _)| member).collect()
    }

    /// Is this one of the changes that are wanted?
    pub(crate) fn wants(self, method: &str) -> bool {
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            // Subscribed to one by one.
            "notifications/resources/updated" => true,
            _ => false,
        }
    }

    /// As the acknowledgement has it: what is not agreed to is left out.
    pub(crate) fn write(self, uris: &[String]) -> Payload {
        let mut agreed = serde_json::Map::new();
        for (name, is_wanted) in
            [("toolsListChanged", self.tools), ("promptsListChanged", self.prompts), ("resourcesListChanged", self.resources)]
        {
            if is_wanted {
                agreed.insert(name.to_owned(), true.into());
            }
        }
        if !uris.is_empty() {
            agreed.insert("resourceSubscriptions".to_owned(), uris.into());
        }
        Payload::from_value(&agreed.into())
    }
}
