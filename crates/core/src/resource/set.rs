//! Several resources at once: what one grant may be for (RFC 8707 section 2.1). A token is for one
//! of them.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::identifier::Resource;

/// At least one resource, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ResourceSet(BTreeSet<Resource>);

/// One resource is kept as it was when there could be no more.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    One(Resource),
    Several(BTreeSet<Resource>),
}

impl TryFrom<Stored> for ResourceSet {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        match stored {
            Stored::One(resource) => Ok(resource.into()),
            Stored::Several(resources) if resources.is_empty() => {
                Err("a grant is for one resource at least")
            }
            Stored::Several(resources) => Ok(Self(resources)),
        }
    }
}

impl From<ResourceSet> for Stored {
    fn from(set: ResourceSet) -> Self {
        match set.only() {
            Some(resource) => Self::One(resource.clone()),
            None => Self::Several(set.0),
        }
    }
}

impl From<Resource> for ResourceSet {
    fn from(resource: Resource) -> Self {
        Self(BTreeSet::from([resource]))
    }
}

impl ResourceSet {
    pub fn insert(&mut self, resource: Resource) {
        self.0.insert(resource);
    }

    pub fn contains(&self, resource: &Resource) -> bool {
        self.0.contains(resource)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// The resource, if it is a single one.
    pub fn only(&self) -> Option<&Resource> {
        self.0.first().filter(|_| self.0.len() == 1)
    }
}

/// Separated by spaces, which no resource has in it: equal sets print the same.
impl fmt::Display for ResourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, resource) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(resource.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_survive_serde_and_single_resources_read_as_they_were_written() {
        let one = ResourceSet::from(Resource::from_stored("https://gw.example/mcp"));
        assert_eq!(serde_json::to_string(&one).unwrap(), r#""https://gw.example/mcp""#);
        let mut two = ResourceSet::from(Resource::from_stored("https://gw.example/mcp/uuid"));
        two.insert(Resource::from_stored("https://gw.example/mcp/dice"));
        assert_eq!((two.only(), one.only().is_some()), (None, true));
        assert_eq!(two.to_string(), "https://gw.example/mcp/dice https://gw.example/mcp/uuid");
        for set in [one, two] {
            let text = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<ResourceSet>(&text).unwrap(), set);
        }
        assert!(serde_json::from_str::<ResourceSet>("[]").is_err());
    }
}
