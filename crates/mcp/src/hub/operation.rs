//! What a request asks for, kept beside an answer that somebody may come back for, and beside a question in the middle of it: whoever does
//! is judged by the token they come with, not by the one that began it (threat 71).

use std::sync::Arc;

use http::HeaderMap;
use portunus_core::{ids::ServerName, scope::ScopeSet};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Asker, Caller, Inner, View,
    ask::Ask,
    reply::Problem,
    single::{self, check_server},
};
use crate::{
    aggregate::{self, kind::Kind},
    era::Era,
    wire::{self, Payload},
};

/// The members of a request's parameters that say what it is about.
const SALIENT: [&str; 4] = ["name", "uri", "ref", "taskId"];
/// What is longer cannot be come back for by another token.
const LONGEST: usize = 8 * 1024;

/// One request of a legacy client, as far as a judgement needs it.
#[derive(Debug)]
pub(crate) struct Operation {
    method: String,
    /// `None`: too long to be kept.
    params: Option<Payload>,
    scopes: ScopeSet,
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

impl Inner {
    /// May this caller have what the operation gives? Lists are made for the scopes that they were asked for with.
    pub(crate) async fn judge(self: &Arc<Self>, caller: &Caller, asker: Asker, operation: &Operation) -> Result<(), Problem> {
        let is_list = Kind::of_method(&operation.method).is_some() || operation.method == "tasks/list";
        let beyond = || Problem::invalid_params("this belongs to a request that was made with another token");
        if is_list {
            return if caller.principal.scopes == operation.scopes { Ok(()) } else { Err(beyond()) };
        }
        let params = operation.params.clone().ok_or_else(beyond)?;
        self.guard(&probe(caller, asker, Era::Legacy, &operation.method, Some(params))).await
    }

    /// May this caller retry a request of a modern client that waits for input?
    pub(crate) async fn judge_retry(
        self: &Arc<Self>,
        caller: &Caller,
        asker: Asker,
        request: &wire::Request,
    ) -> Result<(), Problem> {
        self.guard(&probe(caller, asker, Era::Modern, &request.method, request.params.clone())).await
    }

    /// May this caller answer what a server asks outside of any call?
    pub(crate) fn judge_answer(caller: &Caller, server: &ServerName) -> Result<(), Problem> {
        check_server(&*caller.allow, server)
    }

    /// Everything that is checked before a request goes to its server.
    async fn guard(self: &Arc<Self>, ask: &Ask) -> Result<(), Problem> {
        match &ask.view {
            View::One(server) => {
                single::guard(server, ask)?;
                if ask.method.starts_with("tasks/") { aggregate::tasks::guard(self, ask).await } else { Ok(()) }
            }
            View::All => aggregate::call::guard(self, ask).await,
        }
    }
}

/// The request as the caller would make it. It is not sent.
fn probe(caller: &Caller, asker: Asker, era: Era, method: &str, params: Option<Payload>) -> Ask {
    Ask {
        asker,
        view: caller.view.clone(),
        allow: Arc::clone(&caller.allow),
        era,
        speaker: None,
        method: method.to_owned(),
        params,
        mirrors: HeaderMap::new(),
        level: None,
        request_id: caller.request_id.clone(),
        call_events: mpsc::channel(1).0,
        cancel: CancellationToken::new(),
    }
}
