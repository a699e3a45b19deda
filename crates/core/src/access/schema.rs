//! The words that policies are written in: Cedar's schema of this gateway, and the entities that
//! stand for a caller and for what it wants to use. Policies are made in [`super::compile`].

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use cedar_policy::{
    Context, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};

use super::{hints::ToolHints, spelling::canonical};
use crate::{
    admission::EmailAddress, ids::ServerName, oauth::scopes::may_lead_out, principal::Principal,
};

/// What policy files are checked against. `docs/access.md` shows it too.
pub const SCHEMA: &str = include_str!("portunus.cedarschema");

/// The schema. That it can be read is a test's to see; without it no policy holds.
pub(super) fn schema() -> Option<Schema> {
    Schema::from_cedarschema_str(SCHEMA).ok().map(|(schema, _)| schema)
}

/// What is known of a caller. Two callers of whom the same is known may use the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    pub user: String,
    pub subject: String,
    /// Only an address that the provider vouches for.
    pub email: Option<String>,
    pub groups: Vec<String>,
    pub provider: Option<String>,
    pub client: String,
}

impl Facts {
    pub fn of(principal: &Principal) -> Self {
        Self {
            user: principal.user.to_string(),
            subject: principal.subject.clone(),
            email: principal.email.clone(),
            groups: principal.groups.clone(),
            provider: principal.provider.as_ref().map(ToString::to_string),
            client: principal.client.named().to_owned(),
        }
    }

    /// The caller, for Cedar. An address is compared as rules write it.
    pub(super) fn entity(&self) -> Option<Entity> {
        let mut attributes = HashMap::from([("subject".to_owned(), text(&self.subject))]);
        if let Some(email) = self.email.as_deref().and_then(EmailAddress::parse) {
            attributes.insert("email".to_owned(), text(&email.to_string()));
        }
        if let Some(provider) = &self.provider {
            attributes.insert("provider".to_owned(), text(provider));
        }
        let groups = self.groups.iter().map(|group| uid("Group", group));
        Entity::new(uid("User", &self.user)?, attributes, groups.collect::<Option<_>>()?).ok()
    }

    pub(super) fn context(&self, given: &Given) -> Option<Context> {
        let client = RestrictedExpression::new_entity_uid(uid("Client", &self.client)?);
        let numbers = |rules: &[u32]| {
            let rules = rules.iter().map(|number| RestrictedExpression::new_long((*number).into()));
            RestrictedExpression::new_set(rules)
        };
        let mut pairs = vec![
            ("client".to_owned(), client),
            (RECENT.to_owned(), numbers(&given.recent)),
            (FITTING.to_owned(), numbers(&given.fitting)),
        ];
        if let Some(ago) = given.signed_in {
            let seconds = i64::try_from(ago.as_secs()).unwrap_or(i64::MAX);
            pairs.push((SIGNED_IN.to_owned(), RestrictedExpression::new_long(seconds)));
        }
        Context::from_pairs(pairs).ok()
    }
}

/// What rules of `config.yaml` find out beside Cedar: its types have no patterns of arguments that
/// may be missing, or of any type. Not in the schema, so that no policy file speaks of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// Numbers of the rules whose condition on the sign-in is met.
    pub(super) recent: Vec<u32>,
    /// Of those whose conditions on arguments are met.
    pub(super) fitting: Vec<u32>,
    pub(super) signed_in: Option<Duration>,
}

pub(super) const RECENT: &str = "recent";
pub(super) const FITTING: &str = "fitting";
/// What policy files may ask.
pub(super) const SIGNED_IN: &str = "signed_in_seconds";

/// What a caller wants to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing<'a> {
    /// Anything of a server at all.
    Server(&'a ServerName),
    /// By its server's own name for it, and what its server says of it.
    Tool {
        server: &'a ServerName,
        name: &'a str,
        hints: ToolHints,
    },
    Prompt(&'a ServerName, &'a str),
    /// By its URI, or a template by its text.
    Resource(&'a ServerName, &'a str),
    /// A method of a server that is about none of these.
    Method(&'a ServerName, &'a str),
    /// A proxied path, by its pattern: nothing in it can be told apart.
    Proxy(&'a str),
}

impl<'a> Thing<'a> {
    /// The name of the server, or the pattern of the proxied path.
    pub fn server(&self) -> &'a str {
        match self {
            Self::Server(server)
            | Self::Tool { server, .. }
            | Self::Prompt(server, _)
            | Self::Resource(server, _)
            | Self::Method(server, _) => server.as_str(),
            Self::Proxy(pattern) => pattern,
        }
    }

    /// The server that it is a part of; `None` of what is whole itself.
    pub const fn server_of(&self) -> Option<Self> {
        match self {
            Self::Server(_) | Self::Proxy(_) => None,
            Self::Tool { server, .. }
            | Self::Prompt(server, _)
            | Self::Resource(server, _)
            | Self::Method(server, _) => Some(Self::Server(server)),
        }
    }

    /// Its own name within the server; nothing for a whole one.
    pub const fn name(&self) -> &'a str {
        match self.named() {
            Some((_, name)) => name,
            None => "",
        }
    }

    /// What is done with it, in the words of policies.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Server(_) => "enter",
            Self::Tool { .. } => "callTool",
            Self::Prompt(..) => "getPrompt",
            Self::Resource(..) => "readResource",
            Self::Method(..) => "callMethod",
            Self::Proxy(_) => "proxy",
        }
    }

    /// The entity's type, and its own name within its server.
    const fn named(&self) -> Option<(&'static str, &'a str)> {
        match self {
            Self::Server(_) | Self::Proxy(_) => None,
            Self::Tool { name, .. } => Some(("Tool", name)),
            Self::Prompt(_, name) => Some(("Prompt", name)),
            Self::Resource(_, uri) => Some(("Resource", uri)),
            Self::Method(_, name) => Some(("Method", name)),
        }
    }

    pub(super) fn uid(&self) -> Option<EntityUid> {
        match self.named() {
            None => uid("Server", self.server()),
            // A server's name has no slash.
            Some((kind, name)) => uid(kind, &format!("{}/{name}", self.server())),
        }
    }

    /// The thing, and the server that it is in.
    pub(super) fn entities(&self) -> Option<Vec<Entity>> {
        let server = || ("server".to_owned(), text(self.server()));
        let whole = uid("Server", self.server())?;
        let mut entities =
            vec![Entity::new(whole.clone(), HashMap::from([server()]), HashSet::new()).ok()?];
        if let Some((kind, name)) = self.named() {
            let mut attributes = HashMap::from([server()]);
            if kind == "Resource" {
                attributes.insert("uri".to_owned(), text(name));
                let plain = RestrictedExpression::new_bool(!may_lead_out(name));
                attributes.insert("plain".to_owned(), plain);
                attributes.insert("canonical".to_owned(), text(&canonical(name)));
            } else {
                attributes.insert("name".to_owned(), text(name));
            }
            if let Self::Tool { hints, .. } = self {
                attributes.extend(
                    hints.named().map(|(hint, is_so)| {
                        (hint.to_owned(), RestrictedExpression::new_bool(is_so))
                    }),
                );
            }
            entities.push(Entity::new(self.uid()?, attributes, HashSet::from([whole])).ok()?);
        }
        Some(entities)
    }
}

pub(super) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}
