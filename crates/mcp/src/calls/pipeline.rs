//! The way of one request of a client, from top to bottom: which server it is for and whether its
//! caller may have it ([`super::target`]), whether it is still what is trusted
//! ([`guard`]), and on to the server ([`super::forward`]), across the eras if need be. What the
//! gateway answers itself turns off before: lists, levels, tasks, and what it says of itself.

use std::sync::Arc;

use super::{
    ask::Ask,
    context::CallContext,
    discover,
    forward::forward_named,
    level, listing,
    observed::{Observed, tell_refused},
    subscribe::{Subscription, subscribe},
    target::{self, Target},
    tasks,
};
use crate::{
    era::Era,
    limits::RequestLimits,
    lists::guard,
    problem::{Problem, Reply},
    registry::kind::Kind,
    wire::{Outcome, protocol::method},
};

pub(crate) async fn run(context: &Arc<CallContext>, ask: &Ask) -> Reply {
    let observed = Observed::begin(ask);
    let at_work = ask.limits.as_deref().map(AtWork);
    let reply = answer(context, ask, observed.as_ref()).await;
    if let Some(at_work) = at_work {
        at_work.answered(&reply);
    }
    match observed {
        Some(observed) => observed.ended(&reply),
        None => tell_refused(ask, &reply),
    }
    reply
}

async fn answer(context: &Arc<CallContext>, ask: &Ask, observed: Option<&Observed<'_>>) -> Reply {
    // What is no call of a tool is boxed: a call would carry its size, from task to task.
    if let Some(kind) = Kind::of_method(&ask.method) {
        ask.enter_view()?;
        return Box::pin(listing::reply(context, ask, kind)).await;
    }
    match ask.method.as_str() {
        method::SERVER_DISCOVER if ask.era == Era::Modern => {
            ask.enter_view()?;
            return Box::pin(discover::reply(context, ask)).await;
        }
        // Of the modern era: a server would answer with what has not been looked at.
        method::SERVER_DISCOVER => return Err(Problem::method_not_found(&ask.method)),
        method::LOGGING_SET_LEVEL => {
            ask.enter_view()?;
            return Box::pin(level::set(context, ask)).await;
        }
        method if tasks::is_about_tasks(method) => {
            return Box::pin(tasks::reply(context, ask)).await;
        }
        _ => {}
    }
    let target = target::find(context, ask).await?;
    if let Some(observed) = observed {
        observed.found(&target.server, target.name.as_deref());
    }
    check_pins(context, ask, &target).await?;
    let Target { server, name, params } = target;
    let tool = name.filter(|_| ask.method == method::TOOLS_CALL);
    ask.enter(Some(&server), tool.as_deref())?;
    match Subscription::of_method(&ask.method) {
        Some(subscription) => {
            let uri = ask.head()?.uri.as_deref().ok_or_else(|| Problem::missing("uri"))?;
            Box::pin(subscribe(context, &server, ask, uri, subscription)).await
        }
        None => forward_named(context, ask, &server, tool.as_deref(), params).await,
    }
}

/// A request that is counted as at work until it has ended, or is dropped.
struct AtWork<'a>(&'a dyn RequestLimits);

impl AtWork<'_> {
    fn answered(self, reply: &Reply) {
        if let Ok(Outcome::Result(payload) | Outcome::Error(payload)) = reply {
            self.0.answered(payload.as_bytes().len());
        }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Is all that it names still what is trusted?
async fn check_pins(context: &Arc<CallContext>, ask: &Ask, target: &Target) -> Result<(), Problem> {
    let kind = match ask.method.as_str() {
        method::TOOLS_CALL => Kind::Tools,
        method::PROMPTS_GET | method::COMPLETION_COMPLETE => Kind::Prompts,
        _ => return Ok(()),
    };
    if let Some(name) = &target.name {
        guard::guard(&context.lists, &target.server, kind, &ask.requester, name).await?;
    }
    if ask.method == method::COMPLETION_COMPLETE
        && let Some(template) = ask.head()?.reference.as_ref().and_then(|of| of.uri.as_ref())
    {
        let kind = Kind::Templates;
        guard::guard(&context.lists, &target.server, kind, &ask.requester, template).await?;
    }
    Ok(())
}
