//! What a request asks for, kept beside an answer that its client may come back for, and beside a
//! question in the middle of it. Whether another token may have the same is judged in
//! `calls::judge` (threat 71).

use std::sync::Arc;

use portunus_core::{principal::Principal, scope::ScopeSet};

use crate::{
    caller::Caller,
    wire::{self, ParamsHead, Payload, Reference, WireError, protocol::member},
};

/// What is longer cannot be come back for by another token.
const LONGEST: usize = 8 * 1024;

/// One request of a legacy client, as far as a judgement needs it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: String,
    /// `None`: too long to be kept, or not to be read.
    about: Option<About>,
    principal: Arc<Principal>,
    /// Which rules its caller was judged by.
    rules: u64,
}

/// The members of a request's parameters that say what it is about.
#[derive(Debug, Default)]
struct About {
    name: Option<String>,
    uri: Option<String>,
    task_id: Option<String>,
    reference: Option<Reference>,
}

impl Operation {
    /// `head` is that of the parameters, `Ok(None)` for methods of which it is not read. One that
    /// cannot be read has only an error for an answer.
    pub(crate) fn of(
        caller: &Caller,
        method: &str,
        head: Result<Option<&ParamsHead>, &WireError>,
    ) -> Arc<Self> {
        let about = match head {
            Ok(Some(ParamsHead { name, uri, task_id, reference, .. })) => {
                let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                let of_reference = reference
                    .as_ref()
                    .map_or(0, |of| length(&of.kind) + length(&of.name) + length(&of.uri));
                let is_short =
                    length(name) + length(uri) + length(task_id) + of_reference <= LONGEST;
                is_short.then(|| About {
                    name: name.clone(),
                    uri: uri.clone(),
                    task_id: task_id.clone(),
                    reference: reference.clone(),
                })
            }
            Ok(None) => Some(About::default()),
            Err(_) => None,
        };
        Arc::new(Self {
            method: method.to_owned(),
            about,
            principal: Arc::clone(&caller.principal),
            rules: caller.allow.rules(),
        })
    }

    /// What its token allowed.
    pub(crate) fn scopes(&self) -> &ScopeSet {
        &self.principal.scopes
    }

    pub(crate) fn rules(&self) -> u64 {
        self.rules
    }

    /// Parameters that say the same as the request's; `None`: they were too long to be kept, or not
    /// to be read.
    pub(crate) fn params(&self) -> Option<Payload> {
        let About { name, uri, task_id, reference } = self.about.as_ref()?;
        let quoted = |name: &'static str, text: &Option<String>| {
            text.as_ref().map(|text| (name, wire::quote(text)))
        };
        let reference = reference.as_ref().map(|Reference { kind, name, uri }| {
            let members =
                [quoted(member::TYPE, kind), quoted(member::NAME, name), quoted(member::URI, uri)];
            (member::REF, object(members.into_iter().flatten()).as_str().to_owned())
        });
        let members = [
            quoted(member::NAME, name),
            quoted(member::URI, uri),
            quoted(member::TASK_ID, task_id),
            reference,
        ];
        Some(object(members.into_iter().flatten()))
    }
}

fn object(members: impl Iterator<Item = (&'static str, String)>) -> Payload {
    let members: Vec<_> = members.collect();
    let members: Vec<_> = members.iter().map(|(name, value)| (*name, value.as_str())).collect();
    wire::object(&members)
}

#[cfg(test)]
impl Operation {
    pub(crate) fn nothing() -> Arc<Self> {
        use portunus_core::{
            ids::{ClientId, GrantId, UserId},
            resource::Resource,
        };
        let principal = Principal {
            user: UserId::of("idp", "alice"),
            subject: "alice".to_owned(),
            provider: None,
            client: ClientId::from_text("client"),
            application: None,
            grant: GrantId::from_text("grant"),
            resource: Resource::from_stored("https://gateway.test/mcp".to_owned()),
            scopes: ScopeSet::default(),
            groups: Vec::new(),
            email: None,
            name: None,
            signed_in_at: None,
        };
        Arc::new(Self {
            method: String::new(),
            about: None,
            principal: Arc::new(principal),
            rules: 0,
        })
    }
}
