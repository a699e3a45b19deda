//! Makes one event of each call that the hub tells of, and notes who calls what for the line of the
//! request log.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use portunus_core::{
    access::Thing,
    audit::{Call, CallKind, CallOutcome, shortened},
    ids::ServerName,
    principal::Principal,
    resource::Resources,
};
use portunus_mcp::{
    hub::{Names, View},
    observer::{CallEnd, CallObserver, Called, EndedCall},
};

use super::request::RequestAudit;
use crate::edge::resource_server::access::{RefusedCall, RequestAllow};

/// Hears of the call of one request.
pub struct CallWatch {
    audit: RequestAudit,
    principal: Arc<Principal>,
    allow: Arc<RequestAllow>,
    resources: Arc<Resources>,
    /// Of an endpoint of one server.
    server: Option<ServerName>,
    names: Names,
    has_told: AtomicBool,
}

impl CallWatch {
    pub fn new(
        audit: RequestAudit,
        principal: Arc<Principal>,
        allow: Arc<RequestAllow>,
        resources: Arc<Resources>,
        (view, names): (&View, Names),
    ) -> Self {
        let server = match view {
            View::All => None,
            View::One(server) => Some(server.clone()),
        };
        let has_told = AtomicBool::new(false);
        Self { audit, principal, allow, resources, server, names, has_told }
    }

    /// By what rules in shadow would refuse it. Of a tool or prompt that was noted when it was
    /// judged, with its arguments.
    fn would_refuse(&self, ended: &EndedCall<'_>) -> Option<String> {
        match (ended.called, ended.server) {
            (Called::Resource, Some(server)) => {
                self.allow.access.would_refuse(&Thing::Resource(server, ended.name))
            }
            (Called::Resource, None) => None,
            (Called::Tool | Called::Prompt, _) => self.allow.access.noted_shadow(),
        }
    }

    /// Was there a call, and has it ended?
    pub fn has_told(&self) -> bool {
        self.has_told.load(Ordering::Relaxed)
    }
}

impl CallObserver for CallWatch {
    fn found(&self, server: &ServerName, name: &str) {
        // One request makes one call. A name may be as long as a message: it is cut, then copied.
        let name = shortened(without_query(name));
        let _ = self.audit.names().target.set((server.as_str().to_owned(), name));
    }

    fn ended(&self, ended: &EndedCall<'_>) {
        self.has_told.store(true, Ordering::Relaxed);
        let (outcome, code) = outcome(ended.end);
        let times = match ended.end {
            // A flood of refusals does not flood the trail.
            CallEnd::Limited { told: None } => return,
            CallEnd::Limited { told: Some(times) } => Some(times.get()),
            _ => None,
        };
        let by_rules = || self.by_rules(ended.called, ended.server, ended.name);
        let refused = (outcome == CallOutcome::Refused).then(by_rules).flatten();
        let outcome = match &refused {
            Some(RefusedCall { is_disabled: true, .. }) => CallOutcome::Disabled,
            Some(_) => CallOutcome::PolicyRefused,
            None => outcome,
        };
        let would_refuse = outcome.has_passed().then(|| self.would_refuse(ended)).flatten();
        let (server, name) = refused.map(|refused| (refused.server, refused.name)).unzip();
        let name = name.as_deref().unwrap_or(ended.name);
        let server = server.flatten();
        let server = server.as_ref().or(ended.server);
        self.audit.called(
            &self.principal,
            Call {
                kind: match ended.called {
                    Called::Tool => CallKind::Tool,
                    Called::Prompt => CallKind::Prompt,
                    Called::Resource => CallKind::Resource,
                },
                server: server.map(|server| server.as_str().to_owned()),
                name: match ended.called {
                    Called::Resource => shortened(without_query(name)),
                    Called::Tool | Called::Prompt => shortened(name),
                },
                outcome,
                code,
                ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
                request_bytes: ended.request_bytes as u64,
                answer_bytes: ended.answer_bytes as u64,
                times,
                would_refuse,
            },
        );
    }

    fn refused(&self, about: Called, server: Option<&ServerName>, name: &str) {
        let Some(refused) = self.by_rules(about, server, name) else { return };
        let own = match about {
            Called::Resource => without_query(&refused.name),
            Called::Tool | Called::Prompt => refused.name.as_str(),
        };
        let about = match &refused.server {
            Some(server) => format!("{server} {}", shortened(own)),
            None => shortened(own),
        };
        self.audit.refused((&*self.principal).into(), refused.reason(), about);
    }
}

impl CallWatch {
    /// What is disabled, or what rules do not allow, of what was refused.
    fn by_rules(
        &self,
        called: Called,
        server: Option<&ServerName>,
        name: &str,
    ) -> Option<RefusedCall> {
        let server = server.or(self.server.as_ref());
        let (servers, access) = (self.resources.servers(), &self.allow.access);
        match server {
            Some(server) => access.refused_at(server, called, name),
            None => access.refused(servers, self.names, called, name),
        }
    }
}

/// What follows in a URI may be an argument.
fn without_query(uri: &str) -> &str {
    uri.find(['?', '#']).map_or(uri, |at| &uri[..at])
}

const fn outcome(end: CallEnd) -> (CallOutcome, Option<i64>) {
    match end {
        CallEnd::Result => (CallOutcome::Ok, None),
        CallEnd::ToolError => (CallOutcome::ToolError, None),
        CallEnd::Error { code } => (CallOutcome::ServerError, code),
        CallEnd::Unavailable => (CallOutcome::Unavailable, None),
        CallEnd::NotGranted => (CallOutcome::InsufficientScope, None),
        CallEnd::Refused { code } => (CallOutcome::Refused, Some(code)),
        CallEnd::Limited { .. } => (CallOutcome::Limited, None),
        CallEnd::Cancelled => (CallOutcome::Cancelled, None),
    }
}
