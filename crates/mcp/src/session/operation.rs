//! What a request asks for, kept beside an answer that its client may come back for, and beside a question in the middle of it. Whether another
//! token may have the same is judged in `calls::judge` (threat 71).

use std::sync::Arc;

use portunus_core::scope::ScopeSet;

use crate::{
    caller::Caller,
    wire::{self, Payload, protocol::member},
};

/// The members of a request's parameters that say what it is about.
const SALIENT: [&str; 4] = ["name", "uri", "ref", member::TASK_ID];
/// What is longer cannot be come back for by another token.
const LONGEST: usize = 8 * 1024;

/// One request of a legacy client, as far as a judgement needs it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: String,
    /// `None`: too long to be kept.
    pub(crate) params: Option<Payload>,
    pub(crate) scopes: ScopeSet,
}

impl Operation {
    pub(crate) fn of(caller: &Caller, method: &str, params: Option<&Payload>) -> Arc<Self> {
        let members = params.and_then(|params| wire::members(params).ok()).unwrap_or_default();
        let salient: Vec<_> = members.iter().filter(|(name, _)| SALIENT.contains(&&**name)).collect();
        let salient: Vec<_> = salient.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        let length: usize = salient.iter().map(|(_, value)| value.len()).sum();
        let params = (length <= LONGEST).then(|| wire::object(&salient));
        Arc::new(Self { method: method.to_owned(), params, scopes: caller.principal.scopes.clone() })
    }
}

#[cfg(test)]
impl Operation {
    pub(crate) fn nothing() -> Arc<Self> {
        Arc::new(Self { method: String::new(), params: None, scopes: ScopeSet::default() })
    }
}
