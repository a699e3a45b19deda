//! A request on its last way: to one server, whose era may be another than the client's. Within an
//! era the parameters go as they came; across, `translate` says what changes. What a server wants
//! to know of the client meanwhile goes through [`Ask::call_events`].

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName};
use portunus_core::{entropy::random_bytes, ids::ServerName};
use tokio::time::Instant;

use super::{ask::Ask, context::CallContext, lanes::Lane, tasks::ownership::note_made};
use crate::{
    connections::levels::{tell_level, wanted_level},
    era::Era,
    header_params,
    problem::{Problem, Reply},
    registry::kind::Kind,
    session::{asks, level::Level},
    spec::Transport,
    translate::{
        self, errors,
        input::{self, InputRequest},
        params::ClientMeta,
        results,
    },
    upstream::{Call, CallEvent, KnownParams, Owner, ServerAsk, UpstreamError, servers::Peer},
    wire::{
        self, Outcome, Payload, capabilities, code,
        protocol::{extension, method},
    },
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How often a server may come back with further questions.
const MAX_ROUNDS: usize = 16;
/// How long a call waits for a server that is left alone for a while after it failed. One that goes
/// on to fail is told of at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends the request; on a new connection, once, if the server had forgotten the old one and so did
/// nothing.
pub(crate) async fn forward(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    params: Option<Payload>,
) -> Reply {
    forward_named(context, ask, server, None, params).await
}

/// The same for a call of a tool, by the server's own name of it.
pub(crate) async fn forward_named(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    tool: Option<&str>,
    params: Option<Payload>,
) -> Reply {
    let params_of = params.clone();
    let attempts = async {
        match attempt(context, ask, server, tool, params.clone()).await {
            Err(Problem::Server { error: UpstreamError::SessionExpired, .. }) => {
                Box::pin(attempt(context, ask, server, tool, params)).await
            }
            other => other,
        }
    };
    let reply = tokio::select! {
        biased;
        reply = attempts => reply,
        () = ask.cancel.cancelled() => Err(Problem::server(server, UpstreamError::Cancelled)),
    };
    note_made(context, ask, server, params_of.as_ref(), &reply).await;
    reply
}

async fn attempt(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    tool: Option<&str>,
    params: Option<Payload>,
) -> Reply {
    let peer =
        connect(context, ask, server).await.map_err(|error| Problem::server(server, error))?;
    let (peer, _alone) = own_connection(context, ask, server, peer).await;
    let route = Route { context, ask, server, tool, peer: &*peer };
    if ask.era == Era::Modern && ask.method == method::TOOLS_CALL {
        route.check_header_params(params.as_ref()).await?;
    }
    match (ask.era, peer.info().era) {
        (Era::Legacy, Era::Legacy) => route.send(params, HeaderMap::new()).await,
        (Era::Modern, Era::Modern) => route.within_modern(params).await,
        // Boxed: they ask the client meanwhile, and are far larger than what passes.
        (Era::Modern, Era::Legacy) => Box::pin(route.to_legacy(params, &peer)).await,
        (Era::Legacy, Era::Modern) => Box::pin(route.to_modern(params)).await,
    }
}

/// A server that failed a moment ago is waited for: the call has time, and its caller would only
/// come again (FB83).
async fn connect(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
) -> Result<Arc<dyn Peer>, UpstreamError> {
    let began = Instant::now();
    loop {
        match context.connections.connect(server, &ask.requester).await {
            Err(UpstreamError::Backoff { retry_in, .. })
                if began.elapsed() + retry_in <= PATIENCE =>
            {
                tokio::time::sleep(retry_in).await;
            }
            other => return other,
        }
    }
}

/// The connection for this call: `first`, or another where the call has to be alone, with the right
/// to be so.
async fn own_connection(
    context: &CallContext,
    ask: &Ask,
    server: &ServerName,
    first: Arc<dyn Peer>,
) -> (Arc<dyn Peer>, Option<Lane>) {
    if !must_be_alone(ask, &*first) {
        return (first, None);
    }
    let Some(lane) = context.lanes.take(first.key()).await else {
        tracing::debug!(%server, "a call has no connection of its own: its client's are all taken");
        return (first, None);
    };
    if lane.number() == 0 {
        return (first, Some(lane));
    }
    match context.connections.connect(server, &ask.requester.on_lane(lane.number())).await {
        Ok(peer) => (peer, Some(lane)),
        // No room: the call works, but what the server asks meanwhile may be refused.
        Err(error) => {
            tracing::debug!(%server, %error, "a call has no connection of its own");
            (first, None)
        }
    }
}

/// A server of the modern era asks in its answers. One that has tasks is asked about them where it
/// made them.
fn must_be_alone(ask: &Ask, peer: &dyn Peer) -> bool {
    let is_call = matches!(
        ask.method.as_str(),
        method::TOOLS_CALL
            | method::PROMPTS_GET
            | method::RESOURCES_READ
            | method::COMPLETION_COMPLETE
    );
    let info = peer.info();
    is_call
        && ask.era == Era::Modern
        && info.era == Era::Legacy
        && peer.key().owner != Owner::AllUsers
        && (ask.requester.client_capabilities().can_be_asked() || ask.level.is_some())
        && capabilities::extension(&info.capabilities, extension::TASKS).is_none()
}

/// What the ways of forwarding one request have in common.
struct Route<'a> {
    context: &'a Arc<CallContext>,
    ask: &'a Ask,
    server: &'a ServerName,
    /// Of a call of a tool: its name at the server.
    tool: Option<&'a str>,
    peer: &'a dyn Peer,
}

impl Route<'_> {
    async fn send(&self, params: Option<Payload>, mut headers: HeaderMap) -> Reply {
        headers.extend(self.ask.request_id.clone().map(|id| (REQUEST_ID, id)));
        let call = Call {
            call_events: Some(self.ask.call_events.clone()),
            origin: self.ask.requester.call_origin(),
            cancel: self.ask.cancel.clone(),
            timeout: None,
            headers,
            known: self.known(),
        };
        let outcome = self.peer.request(&self.ask.method, params, call).await;
        outcome.map_err(|error| Problem::server(self.server, error))
    }

    /// What goes to the server has been read on its way here.
    fn known(&self) -> Option<KnownParams> {
        let (tool, head) = (self.tool?, self.ask.head().ok()?);
        let (name, progress_token) = (Some(tool.to_owned()), head.meta.progress_token.clone());
        // A modern client's request says it, a legacy client's is made to.
        Some(KnownParams {
            name,
            progress_token,
            says_revision: self.peer.info().era == Era::Modern,
        })
    }

    async fn within_modern(&self, params: Option<Payload>) -> Reply {
        let outcome = self.send_with_header_params(params).await?;
        match outcome {
            Outcome::Result(result) if results::is_cacheable(&self.ask.method) => {
                Ok(Outcome::Result(results::made_private(&result)?))
            }
            other => Ok(other),
        }
    }

    /// Nothing of the modern era reaches the server; everything of it reaches the client.
    async fn to_legacy(&self, params: Option<Payload>, peer: &Arc<dyn Peer>) -> Reply {
        let says_state = if self.tool.is_some() {
            self.ask.head()?.request_state.is_some()
        } else {
            let head = params
                .as_ref()
                .map(|params| wire::head_of(&self.ask.method, params))
                .transpose()?;
            head.is_some_and(|head| head.request_state.is_some())
        };
        if says_state {
            return Err(Problem::invalid_params("the `requestState` is none of ours"));
        }
        if let Some(level) = self.ask.level {
            let lowest =
                wanted_level(peer.key(), &self.context.connections.delivery.concerned(peer.key()))
                    .map_or(level, |other| other.min(level));
            tell_level(peer, lowest).await;
        }
        let params = translate::params::to_legacy(params.as_ref())?;
        for _ in 0..MAX_ROUNDS {
            let error = match self.send(params.clone(), HeaderMap::new()).await? {
                Outcome::Result(result) => {
                    let result = results::to_modern(
                        &self.ask.method,
                        &result,
                        &self.peer.info().server_info,
                    )?;
                    let is_cacheable = results::is_cacheable(&self.ask.method);
                    return Ok(Outcome::Result(if is_cacheable {
                        results::made_private(&result)?
                    } else {
                        result
                    }));
                }
                Outcome::Error(error) => error,
            };
            // The person has been there when the client comes back: the call is made again.
            match errors::url_elicitations(&error) {
                Some(pages) => drop(self.ask_client(&pages).await?),
                None => return Ok(Outcome::Error(errors::to_modern(&error)?)),
            }
        }
        Err(self.endless())
    }

    /// The client's handshake goes along with each request; what the server wants to know is asked
    /// of the client.
    async fn to_modern(&self, params: Option<Payload>) -> Reply {
        let session = self.ask.session()?;
        let client = ClientMeta {
            client_info: session.client_info(),
            capabilities: session.client_capabilities.capabilities(),
            level: session.level().or_else(|| self.default_level()).map(Level::as_str),
        };
        let mut more: Vec<(&str, Payload)> = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let added: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let sent = translate::params::to_modern(params.as_ref(), &client, &added)?;
            let result = match self.send_with_header_params(Some(sent)).await? {
                Outcome::Result(result) => result,
                Outcome::Error(error) => {
                    return Ok(Outcome::Error(errors::to_legacy(&self.ask.method, &error)?));
                }
            };
            if results::result_type(&result)?.as_deref() != Some("input_required") {
                return Ok(Outcome::Result(results::to_legacy(&self.ask.method, &result)?));
            }
            let wanted = input::read(&result)?;
            let answers = self.ask_client(&wanted.requests).await?;
            more = input::retry(&answers, wanted.state.as_ref());
        }
        Err(self.endless())
    }

    /// Servers of the legacy era say something before a level is set; those of the modern one say
    /// nothing without one (FB84).
    fn default_level(&self) -> Option<Level> {
        capabilities::has(&self.peer.info().capabilities, "logging").then_some(Level::Info)
    }

    fn endless(&self) -> Problem {
        Problem::refused(
            code::INTERNAL_ERROR,
            format!("server {:?} asks for more input without end", self.server.as_str()),
        )
    }

    /// All at once; the first thing that the client cannot do, or does not want to, ends the call.
    async fn ask_client(
        &self,
        requests: &[InputRequest],
    ) -> Result<Vec<(String, Payload)>, Problem> {
        let client_capabilities = self.ask.requester.client_capabilities();
        for request in requests {
            if let Some(missing) =
                client_capabilities.lacks(&request.method, request.params.as_ref())
            {
                return Err(Problem::missing_capability(&missing));
            }
        }
        futures::future::try_join_all(requests.iter().map(|request| self.ask_one(request))).await
    }

    async fn ask_one(&self, request: &InputRequest) -> Result<(String, Payload), Problem> {
        let params = match self.ask.era {
            Era::Legacy => input::params_to_legacy(request, &self.elicitation_id())?,
            Era::Modern => request.params.clone(),
        };
        let gone = || {
            Problem::refused(
                code::INTERNAL_ERROR,
                "the client did not say what the server wants to know",
            )
        };
        let (ask, answer) = ServerAsk::new(self.server.clone(), request.method.clone(), params);
        self.ask.call_events.send(CallEvent::Ask(ask)).await.map_err(|_| gone())?;
        let patience = asks::PATIENCE + Duration::from_secs(5);
        let answer = tokio::time::timeout(patience, answer)
            .await
            .map_err(|_| gone())?
            .map_err(|_| gone())?;
        answer.map(|answer| (request.key.clone(), answer)).map_err(Problem::from_client)
    }

    fn elicitation_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(random_bytes(&*self.context.entropy))
    }

    /// To a modern server, with the parameters in headers that its tool wants there. A server that
    /// finds others than it wants has changed the tool since.
    async fn send_with_header_params(&self, params: Option<Payload>) -> Reply {
        let is_http = self
            .context
            .registry
            .spec(self.server)
            .is_some_and(|spec| matches!(spec.transport, Transport::Http { .. }));
        let Some(call) =
            params.as_ref().filter(|_| is_http && self.ask.method == method::TOOLS_CALL)
        else {
            return self.send(params, HeaderMap::new()).await;
        };
        let headers = self.header_params(call).await?;
        match self.send(params.clone(), headers.clone()).await? {
            Outcome::Error(error) if wire::code_of(&error) == Some(code::HEADER_MISMATCH) => {
                self.context.registry.mark_changed(self.peer.key(), Kind::Tools);
                let anew = self.header_params(call).await?;
                if anew == headers {
                    Ok(Outcome::Error(error))
                } else {
                    self.send(params, anew).await
                }
            }
            other => Ok(other),
        }
    }

    async fn header_params(&self, params: &Payload) -> Result<HeaderMap, Problem> {
        let Some(name) = self.tool else { return Ok(HeaderMap::new()) };
        let Ok(list) =
            self.context.lists.of_server(self.server, Kind::Tools, &self.ask.requester).await
        else {
            return Ok(HeaderMap::new());
        };
        Ok(list
            .find(name)
            .map(|tool| header_params::headers(&tool.mirrored, params))
            .transpose()?
            .unwrap_or_default())
    }

    /// Headers and body of a modern client's call must agree (MCP 2026-07-28, Streamable HTTP,
    /// "Server Validation"). A server that does not say what its tools are has none that mirror a
    /// parameter.
    async fn check_header_params(&self, params: Option<&Payload>) -> Result<(), Problem> {
        let (Some(params), Some(name)) = (params, self.tool) else { return Ok(()) };
        let Ok(list) =
            self.context.lists.of_server(self.server, Kind::Tools, &self.ask.requester).await
        else {
            return Ok(());
        };
        let Some(tool) = list.find(name) else { return Ok(()) };
        header_params::check(&tool.mirrored, params, &self.ask.header_params).map_err(|what| {
            Problem::refused(code::HEADER_MISMATCH, format!("Header mismatch: {what}"))
        })
    }
}
