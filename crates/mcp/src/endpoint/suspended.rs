//! Calls of modern clients that wait for their client's input: a legacy server has asked something
//! in the middle of them, the client was answered `input_required`, and its retry goes on where the
//! call stands. The `requestState` that it brings is sealed, bound to who asked for what, and good
//! for once and for a while (MCP 2026-07-28, multi round-trip requests, server requirements 4 and
//! 5).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::{
    entropy::{Entropy, random_bytes},
    ids::UserId,
};
use serde_json::Value;
use tokio::time::Instant;

use super::answer_stream::UnderWay;
use crate::{
    caller::{Caller, View},
    client_capabilities::{ClientCapabilities, canonical},
    limits::RequestLimits,
    problem::Problem,
    seal::Seal,
    session::{
        asks,
        table::{CallPermit, Permit},
    },
    sync::locked,
    translate::input::InputRequest,
    upstream::ServerAsk,
    wire::{self, Payload, Request, code},
};

/// Begins every state of ours.
const PREFIX: &str = "ptn-rs1.";
const PATIENCE: Duration = asks::PATIENCE;

type Name = [u8; 16];

/// The call's permit, which it has while it is at work.
pub(crate) type HeldPermit = Arc<Mutex<Option<CallPermit>>>;

/// A call that goes on when its client comes back.
pub(crate) struct Exchange {
    pub(crate) under_way: UnderWay,
    pub(crate) permit: HeldPermit,
    /// What the call is counted by.
    pub(crate) limits: Option<Arc<dyn RequestLimits>>,
    pub(crate) client_capabilities: ClientCapabilities,
    /// How many questions it has asked so far: their number names the next one.
    pub(crate) asked: u32,
}

/// The calls that are suspended in this process.
pub(crate) struct SuspendedCalls {
    calls: Mutex<HashMap<Name, SuspendedCall>>,
    /// Of this process: a state that another one gave out says so.
    process: Name,
    entropy: Arc<dyn Entropy>,
    seal: Arc<dyn Seal>,
}

/// A suspended call, found by a state that is bound to who retries what.
pub(crate) struct Found(Name);

/// A call, and what its server wants to know.
pub(crate) struct SuspendedCall {
    pub(crate) exchange: Exchange,
    pub(crate) asked: Vec<(InputRequest, ServerAsk)>,
    user: UserId,
    until: Instant,
    _permit: Permit,
}

impl SuspendedCalls {
    pub(crate) fn new(entropy: Arc<dyn Entropy>, seal: Arc<dyn Seal>) -> Self {
        Self { calls: Mutex::default(), process: name(&*entropy), entropy, seal }
    }

    /// Suspends a call; gives the state for its client. `None`: it cannot be sealed.
    pub(crate) fn suspend(
        &self,
        caller: &Caller,
        request: &Request,
        exchange: Exchange,
        asked: Vec<(InputRequest, ServerAsk)>,
        permit: Permit,
    ) -> Option<String> {
        let name = name(&*self.entropy);
        let sealed = self.seal.seal(&bound_to(caller, request), &[name, self.process].concat())?;
        let (user, until) = (caller.principal.user.clone(), Instant::now() + PATIENCE);
        locked(&self.calls)
            .insert(name, SuspendedCall { exchange, asked, user, until, _permit: permit });
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Which call this state belongs to; nothing is taken yet. `Ok(None)` when it is no state of
    /// ours, but perhaps a server's.
    pub(crate) fn find(
        &self,
        caller: &Caller,
        request: &Request,
        state: &str,
    ) -> Result<Option<Found>, Problem> {
        let Some(encoded) = state.strip_prefix(PREFIX) else { return Ok(None) };
        let opened = URL_SAFE_NO_PAD
            .decode(encoded)
            .ok()
            .and_then(|sealed| self.seal.open(&bound_to(caller, request), &sealed));
        let named = opened.as_deref().and_then(|opened| opened.split_first_chunk::<16>());
        if named.is_some_and(|(_, process)| process != self.process) {
            return Err(lost());
        }
        let is_there = |name: &Name| {
            locked(&self.calls).get(name).is_some_and(|call| call.until > Instant::now())
        };
        let found = named.map(|(name, _)| *name).filter(is_there).map(Found);
        found.map(Some).ok_or_else(spent)
    }

    /// The call itself, once.
    pub(crate) fn take(&self, Found(name): Found) -> Result<SuspendedCall, Problem> {
        locked(&self.calls)
            .remove(&name)
            .filter(|call| call.until > Instant::now())
            .ok_or_else(spent)
    }

    /// Gives up on clients that did not come back: their calls are cancelled.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        locked(&self.calls).retain(|_, call| call.until > now);
    }

    /// No call of this user is suspended any more.
    pub(crate) fn evict_user(&self, user: &UserId) {
        locked(&self.calls).retain(|_, call| call.user != *user);
    }
}

fn spent() -> Problem {
    Problem::invalid_params(
        "the `requestState` is not valid for this request: altered, used already, or too old. Begin again without it",
    )
}

fn name(entropy: &dyn Entropy) -> Name {
    let random: [u8; 32] = random_bytes(entropy);
    let mut name = [0; 16];
    name.copy_from_slice(&random[..16]);
    name
}

/// The process that the request waited in is gone, or the user went on elsewhere.
fn lost() -> Problem {
    let message = "the node that worked on this request is gone: it may or may not have run; to make it again, leave out the `requestState`".to_owned();
    Problem::Refused {
        code: code::INTERNAL_ERROR,
        message,
        data: Some(wire::object(&[("retriable", "true")])),
    }
}

/// Who asks for what: user, client, resource, view, method, and the parameters without what differs
/// between a request and its retry.
fn bound_to(caller: &Caller, request: &Request) -> Vec<u8> {
    let principal = &caller.principal;
    let view = match &caller.view {
        View::All => "",
        View::One(server) => server.as_str(),
    };
    let params = request.params.as_ref().map_or(Value::Null, salient);
    let parts = [
        principal.user.as_str(),
        principal.client.as_str(),
        principal.resource.as_str(),
        view,
        &request.method,
    ];
    let parts: Vec<Value> = parts.into_iter().map(Value::from).chain([params]).collect();
    Value::Array(parts).to_string().into_bytes()
}

fn salient(params: &Payload) -> Value {
    // Left out unread: what the client found out may hold what no value of Rust's can, a number too
    // large or half a surrogate pair.
    let salient = wire::without_members(params, &["_meta", "inputResponses", "requestState"]);
    let salient = salient.as_ref().unwrap_or(params);
    // The same for what is left: then it must be spelt the same again.
    salient.read().map_or_else(|_| salient.as_str().into(), |value: Value| canonical(&value))
}
