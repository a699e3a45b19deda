//! The two ways in which servers speak of tasks, and the little that is read of them: the extension
//! `io.modelcontextprotocol/tasks` of the modern era, and the experimental `tasks` capability of
//! revision 2025-11-25. Which server is asked is decided next door, in [`super`].

use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    wire::{
        self, Payload, capabilities,
        protocol::{extension, member, method},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Update,
    Cancel,
    /// Of revision 2025-11-25 alone, as is the next one.
    Result,
    List,
}

impl Method {
    /// `None` for what a client of this era may not ask at all.
    pub(crate) fn of(method: &str, era: Era) -> Option<Self> {
        match method {
            method::TASKS_GET => Some(Self::Get),
            method::TASKS_UPDATE => Some(Self::Update),
            method::TASKS_CANCEL => Some(Self::Cancel),
            method::TASKS_RESULT if era == Era::Legacy => Some(Self::Result),
            method::TASKS_LIST if era == Era::Legacy => Some(Self::List),
            _ => None,
        }
    }

    /// Can a server that declared these capabilities be asked so by a client of this era? A modern
    /// client knows the extension alone.
    pub(crate) fn is_served_by(self, declared: &Payload, client: Era) -> bool {
        let extension = capabilities::extension(declared, extension::TASKS).is_some();
        let core = || client == Era::Legacy && capabilities::has(declared, "tasks");
        let core_may =
            |what| client == Era::Legacy && capabilities::has_at(declared, &["tasks", what]);
        match self {
            Self::Get => extension || core(),
            Self::Update => extension,
            Self::Cancel => extension || core_may("cancel"),
            Self::Result => core(),
            Self::List => core_may("list"),
        }
    }
}

/// Has the client said that it can follow tasks of the extension?
pub(crate) fn is_declared_by(client: &ClientCapabilities) -> bool {
    capabilities::extension(&client.capabilities(), extension::TASKS).is_some()
}

/// The id of the task that a result carries in place of what was asked for: `CreateTaskResult`, of
/// either kind.
pub(crate) fn made(result: &Payload) -> Option<String> {
    // Results are long, and hardly any is a task.
    if !result.as_str().contains(member::TASK_ID) {
        return None;
    }
    let kind = wire::find_member(result, &["resultType"]);
    if kind.is_some_and(|kind| kind.as_str() == "\"task\"") {
        id(result)
    } else {
        id(&wire::find_member(result, &["task"])?)
    }
}

/// `taskId` of an object.
pub(crate) fn id(object: &Payload) -> Option<String> {
    wire::find_member(object, &[member::TASK_ID])?.read().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::from_json(text).unwrap()
    }

    #[test]
    fn tasks_are_recognised_in_results() {
        for (result, expected) in [
            (r#"{"resultType":"task","taskId":"a \u00e9","status":"working"}"#, Some("a é")),
            (r#"{"task":{"taskId":"b","status":"working","ttl":null}}"#, Some("b")),
            (r#"{"content":[{"type":"text","text":"taskId"}]}"#, None),
            (r#"{"resultType":"complete","taskId":"of tasks/get"}"#, None),
            (r#"{"resultType":"task","taskId":7}"#, None),
            (r#"{"resultType":"task","task":{"taskId":"x"}}"#, None),
            (r#"{"task":"taskId"}"#, None),
            (r#"{"resultType":"task","taskId":"a","taskId":"b"}"#, None),
            (r#"["taskId"]"#, None),
        ] {
            assert_eq!(made(&payload(result)).as_deref(), expected, "{result}");
        }
    }

    #[test]
    fn who_serves_what() {
        let extension = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
        let core = r#"{"tasks":{"list":{},"cancel":{}}}"#;
        let little = r#"{"tasks":{"requests":{}}}"#;
        for (declared, client, served) in [
            (extension, Era::Modern, "get update cancel"),
            (extension, Era::Legacy, "get update cancel"),
            (core, Era::Modern, ""),
            (core, Era::Legacy, "get cancel result list"),
            (little, Era::Legacy, "get result"),
            (
                r#"{"tools":{},"extensions":{"io.modelcontextprotocol/ui":{}},"tasks":null}"#,
                Era::Legacy,
                "",
            ),
        ] {
            let served_by = |name: &&str| {
                let method = Method::of(&format!("tasks/{name}"), client);
                method.is_some_and(|method| method.is_served_by(&payload(declared), client))
            };
            let found: Vec<_> = ["get", "update", "cancel", "result", "list"]
                .into_iter()
                .filter(served_by)
                .collect();
            assert_eq!(found.join(" "), served, "{declared} {client:?}");
        }
        assert_eq!(Method::of("tasks/other", Era::Legacy), None);
    }
}
