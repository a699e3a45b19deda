//! A request on its last way: to one server, whose era may be another than the client's. Within an era the parameters go as they came;
//! across, `translate` says what changes. What a server wants to know of the client meanwhile goes through [`Ask::call_events`].

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName};
use portunus_core::{entropy::random_bytes, ids::ServerName};
use tokio::time::Instant;

use super::{
    Inner, Peer,
    ask::Ask,
    capabilities,
    connect::{tell_level, wanted_level},
    reply::{Problem, Reply},
};
use crate::{
    aggregate::{kind::Kind, tasks},
    era::Era,
    header_params,
    session::{asks, level::Level},
    spec::Transport,
    translate::{
        self, errors,
        input::{self, InputRequest},
        params::Speaker,
        results,
    },
    upstream::{Call, CallEvent, RpcError, ServerAsk, UpstreamError},
    wire::{self, Outcome, Payload, code},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How often a server may come back with further questions.
const MAX_ROUNDS: usize = 16;
/// How long a call waits for a server that is left alone for a while after it failed. One that goes on to fail is told of at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends the request; on a new connection, once, if the server had forgotten the old one and so did nothing.
pub(crate) async fn forward(hub: &Arc<Inner>, ask: &Ask, server: &ServerName, params: Option<Payload>) -> Reply {
    let params_of = params.clone();
    let attempts = async {
        match attempt(hub, ask, server, params.clone()).await {
            Err(Problem::Server { error: UpstreamError::SessionExpired, .. }) => attempt(hub, ask, server, params).await,
            other => other,
        }
    };
    let reply = tokio::select! {
        biased;
        reply = attempts => reply,
        () = ask.cancel.cancelled() => Err(Problem::server(server, UpstreamError::Cancelled)),
    };
    tasks::note_made(hub, ask, server, params_of.as_ref(), &reply).await;
    reply
}

async fn attempt(hub: &Arc<Inner>, ask: &Ask, server: &ServerName, params: Option<Payload>) -> Reply {
    let peer = connect(hub, ask, server).await.map_err(|error| Problem::server(server, error))?;
    let (peer, _alone) = hub.lane(ask, server, peer).await;
    let way = Way { hub, ask, server, peer: &*peer };
    if ask.era == Era::Modern && ask.method == "tools/call" {
        way.check_mirrors(params.as_ref()).await?;
    }
    match (ask.era, peer.info().era) {
        (Era::Legacy, Era::Legacy) => way.send(params, HeaderMap::new()).await,
        (Era::Modern, Era::Modern) => way.within_modern(params).await,
        (Era::Modern, Era::Legacy) => way.to_legacy(params, &peer).await,
        (Era::Legacy, Era::Modern) => way.to_modern(params).await,
    }
}

/// A server that failed a moment ago is waited for: the call has time, and its caller would only come again (FB83).
async fn connect(hub: &Arc<Inner>, ask: &Ask, server: &ServerName) -> Result<Arc<dyn Peer>, UpstreamError> {
    let began = Instant::now();
    loop {
        match hub.connect(server, &ask.asker).await {
            Err(UpstreamError::Backoff { retry_in, .. }) if began.elapsed() + retry_in <= PATIENCE => {
                tokio::time::sleep(retry_in).await;
            }
            other => return other,
        }
    }
}

/// What the ways of one request have in common.
struct Way<'a> {
    hub: &'a Arc<Inner>,
    ask: &'a Ask,
    server: &'a ServerName,
    peer: &'a dyn Peer,
}

impl Way<'_> {
    async fn send(&self, params: Option<Payload>, mut headers: HeaderMap) -> Reply {
        headers.extend(self.ask.request_id.clone().map(|id| (REQUEST_ID, id)));
        let call = Call {
            call_events: Some(self.ask.call_events.clone()),
            speaker: self.ask.asker.speaker(),
            cancel: self.ask.cancel.clone(),
            timeout: None,
            headers,
        };
        let outcome = self.peer.request(&self.ask.method, params, call).await;
        outcome.map_err(|error| Problem::server(self.server, error))
    }

    async fn within_modern(&self, params: Option<Payload>) -> Reply {
        let outcome = self.send_mirrored(params).await?;
        match outcome {
            Outcome::Result(result) if results::is_cacheable(&self.ask.method) => {
                Ok(Outcome::Result(results::made_private(&result)?))
            }
            other => Ok(other),
        }
    }

    /// Nothing of the modern era reaches the server; everything of it reaches the client.
    async fn to_legacy(&self, params: Option<Payload>, peer: &Arc<dyn Peer>) -> Reply {
        if params
            .as_ref()
            .map(|params| wire::head_of(&self.ask.method, params))
            .transpose()?
            .is_some_and(|head| head.request_state.is_some())
        {
            return Err(Problem::invalid_params("the `requestState` is none of ours"));
        }
        if let Some(level) = self.ask.level {
            let lowest = wanted_level(peer.key(), &self.hub.concerned(peer.key())).map_or(level, |other| other.min(level));
            tell_level(peer, lowest).await;
        }
        let params = translate::params::to_legacy(params.as_ref())?;
        for _ in 0..MAX_ROUNDS {
            let error = match self.send(params.clone(), HeaderMap::new()).await? {
                Outcome::Result(result) => {
                    let result = results::to_modern(&self.ask.method, &result, &self.peer.info().server_info)?;
                    let is_cacheable = results::is_cacheable(&self.ask.method);
                    return Ok(Outcome::Result(if is_cacheable { results::made_private(&result)? } else { result }));
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

    /// The client's handshake goes along with each request; what the server wants to know is asked of the client.
    async fn to_modern(&self, params: Option<Payload>) -> Reply {
        let session = self.ask.session()?;
        let speaker = Speaker {
            client_info: session.client_info(),
            capabilities: session.client_capabilities.capabilities(),
            level: session.level().or_else(|| self.default_level()).map(Level::as_str),
        };
        let mut more: Vec<(&str, Payload)> = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let added: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let sent = translate::params::to_modern(params.as_ref(), &speaker, &added)?;
            let result = match self.send_mirrored(Some(sent)).await? {
                Outcome::Result(result) => result,
                Outcome::Error(error) => return Ok(Outcome::Error(errors::to_legacy(&self.ask.method, &error)?)),
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

    /// Servers of the legacy era say something before a level is set; those of the modern one say nothing without one (FB84).
    fn default_level(&self) -> Option<Level> {
        capabilities::has(&self.peer.info().capabilities, "logging").then_some(Level::Info)
    }

    fn endless(&self) -> Problem {
        Problem::refused(code::INTERNAL_ERROR, format!("server {:?} asks for more input without end", self.server.as_str()))
    }

    /// All at once; the first thing that the client cannot do, or does not want to, ends the call.
    async fn ask_client(&self, requests: &[InputRequest]) -> Result<Vec<(String, Payload)>, Problem> {
        let client_capabilities = self.ask.asker.client_capabilities();
        for request in requests {
            if let Some(missing) = client_capabilities.lacks(&request.method, request.params.as_ref()) {
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
        let gone = || Problem::refused(code::INTERNAL_ERROR, "the client did not say what the server wants to know");
        let (ask, answer) = ServerAsk::new(self.server.clone(), request.method.clone(), params);
        self.ask.call_events.send(CallEvent::Ask(ask)).await.map_err(|_| gone())?;
        let patience = asks::PATIENCE + Duration::from_secs(5);
        let answer = tokio::time::timeout(patience, answer).await.map_err(|_| gone())?.map_err(|_| gone())?;
        answer.map(|answer| (request.key.clone(), answer)).map_err(Problem::from_client)
    }

    fn elicitation_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(random_bytes(&*self.hub.entropy))
    }

    /// To a modern server, with the parameters in headers that its tool wants there. A server that finds others than it wants has
    /// changed the tool since.
    async fn send_mirrored(&self, params: Option<Payload>) -> Reply {
        let is_http = self.hub.spec(self.server).is_some_and(|spec| matches!(spec.transport, Transport::Http { .. }));
        let Some(call) = params.as_ref().filter(|_| is_http && self.ask.method == "tools/call") else {
            return self.send(params, HeaderMap::new()).await;
        };
        let headers = self.mirrored(call).await?;
        match self.send(params.clone(), headers.clone()).await? {
            Outcome::Error(error) if errors::code_of(&error) == Some(code::HEADER_MISMATCH) => {
                self.hub.mark_changed(self.peer.key(), Kind::Tools);
                let anew = self.mirrored(call).await?;
                if anew == headers { Ok(Outcome::Error(error)) } else { self.send(params, anew).await }
            }
            other => Ok(other),
        }
    }

    async fn mirrored(&self, params: &Payload) -> Result<HeaderMap, Problem> {
        let name = wire::params_head(params)?.name.unwrap_or_default();
        let Ok(list) = self.hub.list(self.server, Kind::Tools, &self.ask.asker).await else { return Ok(HeaderMap::new()) };
        Ok(list.find(&name).map(|tool| header_params::headers(&tool.mirrored, params)).transpose()?.unwrap_or_default())
    }

    /// Headers and body of a modern client's call must agree (MCP 2026-07-28, Streamable HTTP, "Server Validation"). A server that does not
    /// say what its tools are has none that mirror a parameter.
    async fn check_mirrors(&self, params: Option<&Payload>) -> Result<(), Problem> {
        let Some(params) = params else { return Ok(()) };
        let name = wire::params_head(params)?.name.unwrap_or_default();
        let Ok(list) = self.hub.list(self.server, Kind::Tools, &self.ask.asker).await else { return Ok(()) };
        let Some(tool) = list.find(&name) else { return Ok(()) };
        header_params::check(&tool.mirrored, params, &self.ask.mirrors)
            .map_err(|what| Problem::refused(code::HEADER_MISMATCH, format!("Header mismatch: {what}")))
    }
}

impl Problem {
    /// The client has not declared what a server needs of it.
    pub(crate) fn missing_capability(missing: &crate::client_capabilities::Missing) -> Self {
        let data = Payload::from_value(&serde_json::json!({ "requiredCapabilities": missing.required }));
        let message = format!("the server needs the client capability `{}`, which this client has not declared", missing.name);
        Self::Refused { code: code::MISSING_CLIENT_CAPABILITY, message, data: Some(data) }
    }

    /// The client answered what a server asked with an error.
    fn from_client(error: RpcError) -> Self {
        Self::Refused {
            code: error.code,
            message: format!("the client answered the server with an error: {}", error.message),
            data: error.data,
        }
    }
}
