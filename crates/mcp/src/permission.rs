//! May the caller have this server, tool, prompt, resource or method? One decision for lists and
//! calls, on every route (threat 32).

use portunus_core::ids::ServerName;

use crate::{
    allow::{Allow, Verdict},
    answer::Wanted,
    problem::Problem,
    registry::{kind::Kind, list::Item},
};

/// May the caller use anything of this server?
pub(crate) fn check_server(allow: &dyn Allow, server: &ServerName) -> Result<(), Problem> {
    match allow.server(server) {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => Err(Problem::not_granted(server, Wanted::Server)),
        Verdict::Hidden => Err(Problem::invalid_params("there is no such server")),
    }
}

/// May this be called, or read? Of a tool, whether it only reads counts too.
pub(crate) fn check(
    allow: &dyn Allow,
    server: &ServerName,
    kind: Kind,
    id: &str,
    read_only: bool,
) -> Result<(), Problem> {
    match (verdict(allow, server, kind, id, read_only), kind) {
        (Verdict::Allowed, _) => Ok(()),
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
        Verdict::Hidden => Err(Problem::method_not_found(method)),
    }
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
    verdict(allow, server, kind, &item.id, item.read_only).is_allowed()
}

pub(crate) fn verdict(
    allow: &dyn Allow,
    server: &ServerName,
    kind: Kind,
    id: &str,
    read_only: bool,
) -> Verdict {
    match kind {
        Kind::Tools => allow.tool(server, id, read_only),
        Kind::Prompts => allow.prompt(server, id),
        // A template is judged by its text: a rule on a prefix of URIs holds for the templates with
        // that prefix.
        Kind::Resources | Kind::Templates => allow.resource(server, id),
    }
}
