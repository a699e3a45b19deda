//! Tells the observer of a request what became of its call. The call itself is
//! [`super::pipeline`]'s.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use portunus_core::ids::ServerName;
use serde::Deserialize;

use super::ask::Ask;
use crate::{
    caller::Caller,
    limits::Limited,
    observer::{CallEnd, CallObserver, Called, EndedCall},
    problem::{Problem, Reply},
    upstream::UpstreamError,
    wire::{self, Outcome, Payload, Request, protocol::method},
};

/// A call that is told of when it has ended; as cancelled, if it is dropped before.
pub(super) struct Observed<'a> {
    observer: &'a dyn CallObserver,
    ask: &'a Ask,
    called: Called,
    target: OnceLock<(ServerName, String)>,
    began: Instant,
    is_told: bool,
}

impl<'a> Observed<'a> {
    /// `None` for what is no call, or has no observer.
    pub(super) fn begin(ask: &'a Ask) -> Option<Self> {
        let called = called(&ask.method)?;
        let observer = ask.observer.as_deref()?;
        let (target, began) = (OnceLock::new(), Instant::now());
        Some(Self { observer, ask, called, target, began, is_told: false })
    }

    /// Where it goes. A resource is called by its URI everywhere.
    pub(super) fn found(&self, server: &ServerName, name: Option<&str>) {
        let name = name.unwrap_or_else(|| self.name_of_the_client());
        self.observer.found(server, name);
        // It is found once.
        let _ = self.target.set((server.clone(), name.to_owned()));
    }

    pub(super) fn ended(mut self, reply: &Reply) {
        let (end, answer_bytes) = end_of(self.called, reply);
        let refused = match reply {
            Err(Problem::NotGranted(refused)) => Some(&refused.server),
            _ => None,
        };
        self.tell(end, answer_bytes, refused);
    }

    fn tell(&mut self, end: CallEnd, answer_bytes: usize, refused: Option<&ServerName>) {
        self.is_told = true;
        let target = self.target.get();
        self.observer.ended(&EndedCall {
            called: self.called,
            server: target.map(|(server, _)| server).or(refused),
            name: target.map_or_else(|| self.name_of_the_client(), |(_, name)| name),
            end,
            took: self.began.elapsed(),
            request_bytes: self.ask.params.as_ref().map_or(0, |params| params.as_bytes().len()),
            answer_bytes,
        });
    }

    fn name_of_the_client(&self) -> &'a str {
        let Ok(head) = self.ask.head() else { return "" };
        let name = if self.called == Called::Resource { &head.uri } else { &head.name };
        name.as_deref().unwrap_or_default()
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(CallEnd::Cancelled, 0, None);
        }
    }
}

/// Tells of a call that met a limit when it had just come. What is no call is not told of.
pub(crate) fn tell_limited(caller: &Caller, request: &Request, limited: &Limited) {
    let (Some(observer), Some(kind)) = (caller.observer.as_deref(), called(&request.method)) else {
        return;
    };
    let head = request.params.as_ref().and_then(|params| wire::params_head(params).ok());
    let head = head.unwrap_or_default();
    let name = if kind == Called::Resource { head.uri } else { head.name };
    observer.ended(&EndedCall {
        called: kind,
        server: caller.server(),
        name: name.as_deref().unwrap_or_default(),
        end: CallEnd::Limited { told: limited.told },
        took: Duration::ZERO,
        request_bytes: request.params.as_ref().map_or(0, |params| params.as_bytes().len()),
        answer_bytes: 0,
    });
}

/// What is called; `None` for what is no call.
fn called(method: &str) -> Option<Called> {
    match method {
        method::TOOLS_CALL => Some(Called::Tool),
        method::PROMPTS_GET => Some(Called::Prompt),
        method::RESOURCES_READ => Some(Called::Resource),
        _ => None,
    }
}

fn end_of(called: Called, reply: &Reply) -> (CallEnd, usize) {
    match reply {
        Ok(Outcome::Result(result)) => {
            let is_error = called == Called::Tool && is_error(result);
            let end = if is_error { CallEnd::ToolError } else { CallEnd::Result };
            (end, result.as_bytes().len())
        }
        Ok(Outcome::Error(error)) => {
            (CallEnd::Error { code: wire::code_of(error) }, error.as_bytes().len())
        }
        Err(Problem::Refused { code, .. }) => (CallEnd::Refused { code: *code }, 0),
        Err(Problem::NotGranted(_)) => (CallEnd::NotGranted, 0),
        Err(Problem::Limited(limited)) => (CallEnd::Limited { told: limited.told }, 0),
        Err(Problem::Server { error: UpstreamError::Cancelled, .. }) => (CallEnd::Cancelled, 0),
        Err(Problem::Server { .. }) => (CallEnd::Unavailable, 0),
    }
}

/// Tells of a completion or a subscription that was refused. What is about tasks is told of where
/// the tool is known.
pub(super) fn tell_refused(ask: &Ask, reply: &Reply) {
    let (Err(Problem::Refused { .. }), Some(observer)) = (reply, ask.observer.as_deref()) else {
        return;
    };
    let is_completion = ask.method == method::COMPLETION_COMPLETE;
    if !is_completion && ask.method != method::RESOURCES_SUBSCRIBE {
        return;
    }
    let Ok(head) = ask.head() else { return };
    let (prompt, uri) = match &head.reference {
        Some(reference) if is_completion => (reference.name.as_deref(), reference.uri.as_deref()),
        _ => (None, head.uri.as_deref()),
    };
    if let Some(prompt) = prompt {
        observer.refused(Called::Prompt, None, prompt);
    }
    if let Some(uri) = uri {
        observer.refused(Called::Resource, None, uri);
    }
}

/// Only a result that has the word somewhere is read for it.
fn is_error(result: &Payload) -> bool {
    #[derive(Deserialize)]
    struct Result {
        #[serde(rename = "isError", default)]
        is_error: bool,
    }
    memchr::memmem::find(result.as_bytes(), b"\"isError\"").is_some()
        && result.read::<Result>().is_ok_and(|result| result.is_error)
}
