//! May the caller have this server, tool, prompt, resource or method? One decision for lists and
//! calls, on every route (threat 32).

use portunus_core::{access::ToolHints, ids::ServerName};

use crate::{
    allow::{Allow, CalledWith, Unmet, Verdict},
    answer::Wanted,
    problem::Problem,
    registry::{kind::Kind, list::Item},
};

/// May the caller use anything of this server?
pub(crate) fn check_server(allow: &dyn Allow, server: &ServerName) -> Result<(), Problem> {
    match allow.server(server) {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => Err(Problem::not_granted(server, Wanted::Server)),
        Verdict::Unmet(what) => Err(unmet(what)),
        Verdict::Hidden => Err(Problem::invalid_params("there is no such server")),
    }
}

/// Of the codes that MCP leaves to implementations.
const NOT_IN_THIS_WAY: i64 = -32012;

/// May this be called, or read? Of a tool, what its server says of it counts too.
pub(crate) fn check(
    allow: &dyn Allow,
    server: &ServerName,
    kind: Kind,
    id: &str,
    hints: ToolHints,
    with: CalledWith<'_>,
) -> Result<(), Problem> {
    match (verdict(allow, server, kind, id, hints, with), kind) {
        (Verdict::Allowed, _) => Ok(()),
        (Verdict::Unmet(what), _) => Err(unmet(what)),
        (Verdict::NotGranted, _) => Err(Problem::not_granted(server, wanted(kind, id))),
        (Verdict::Hidden, Kind::Tools | Kind::Prompts) => Err(unknown(kind, id)),
        (Verdict::Hidden, Kind::Resources | Kind::Templates) => {
            Err(Problem::resource_not_found(id, "Resource not found"))
        }
    }
}

/// May a method be used that is about no tool, prompt or resource that we could see?
pub(crate) fn check_method(
    allow: &dyn Allow,
    server: &ServerName,
    method: &str,
) -> Result<(), Problem> {
    match allow.method(server, method) {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => Err(Problem::not_granted(server, Wanted::Server)),
        Verdict::Unmet(what) => Err(unmet(what)),
        Verdict::Hidden => Err(Problem::method_not_found(method)),
    }
}

/// What is allowed in another way may be spoken of.
pub(crate) fn unmet(what: Unmet) -> Problem {
    let text = match what {
        Unmet::Arguments => {
            "access rules do not allow this with these arguments: ask your administrator which are allowed"
        }
        Unmet::SignIn => {
            "access rules ask for a newer sign-in: sign out at the gateway's front page, sign in again, and repeat this"
        }
    };
    Problem::refused(NOT_IN_THIS_WAY, text)
}

fn wanted(kind: Kind, id: &str) -> Wanted {
    match kind {
        Kind::Tools => Wanted::Tool(id.to_owned()),
        Kind::Prompts => Wanted::Prompt(id.to_owned()),
        Kind::Resources | Kind::Templates => Wanted::Resource(id.to_owned()),
    }
}

/// What is not allowed is not there.
pub(crate) fn unknown(kind: Kind, name: &str) -> Problem {
    Problem::invalid_params(format!("Unknown {}: {name}", kind.word()))
}

pub(crate) fn may_list(allow: &dyn Allow, server: &ServerName, kind: Kind, item: &Item) -> bool {
    verdict(allow, server, kind, &item.id, item.hints, CalledWith::Any).is_allowed()
}

pub(crate) fn verdict(
    allow: &dyn Allow,
    server: &ServerName,
    kind: Kind,
    id: &str,
    hints: ToolHints,
    with: CalledWith<'_>,
) -> Verdict {
    match kind {
        Kind::Tools => allow.tool(server, id, hints, with),
        Kind::Prompts => allow.prompt(server, id, with),
        // A template is judged by its text: a rule on a prefix of URIs holds for the templates with
        // that prefix.
        Kind::Resources | Kind::Templates => allow.resource(server, id),
    }
}
