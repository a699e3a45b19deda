//! The tasks of one fake connection ([`super::fake`]): the tool `job` makes one of the id it is
//! told, which is then known there and nowhere else.

use std::sync::Mutex;

use portunus_mcp::{
    era::Era,
    wire::{Outcome, Payload},
};
use serde_json::Value;

use super::fake::{Script, echo, payload};

#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<String>>);

impl Tasks {
    /// A task in the words of the era, with bytes that no serializer would write again.
    pub(crate) fn make(&self, era: Era, params: &Payload) -> Outcome {
        let arguments: Value = serde_json::from_str(params.as_str()).unwrap();
        let id = arguments["arguments"]["id"].as_str().unwrap();
        self.0.lock().unwrap().push(id.to_owned());
        Outcome::Result(payload(&match era {
            Era::Modern => format!(
                r#"{{"resultType":"task", "taskId":"{id}","status":"working","ttlMs":1.0e5}}"#
            ),
            Era::Legacy => {
                format!(r#"{{"task":{{"taskId":"{id}", "status":"working","ttl":1.0e5}}}}"#)
            }
        }))
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap().iter().any(|known| known == id)
    }

    /// `tasks/list`, or something about one task.
    pub(crate) fn answer(&self, script: &Script, method: &str, params: &Payload) -> Outcome {
        let asked: Value = serde_json::from_str(params.as_str()).unwrap();
        if method == "tasks/list" {
            let start: usize = asked["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
            let known = self.0.lock().unwrap();
            let end = (start + script.page_size).min(known.len());
            let items: Vec<_> = known[start..end]
                .iter()
                .map(|id| format!(r#"{{"taskId":"{id}","n":1.0}}"#))
                .collect();
            let next =
                if end < known.len() { format!(r#","nextCursor":"{end}""#) } else { String::new() };
            return Outcome::Result(payload(&format!(
                r#"{{"tasks":[{}]{next}}}"#,
                items.join(" , ")
            )));
        }
        let Some(id) = asked["taskId"].as_str() else { return echo(script, method, Some(params)) };
        if !self.has(id) {
            return Outcome::Error(payload(r#"{"code":-32602,"message":"no such task here"}"#));
        }
        match method {
            "tasks/get" => Outcome::Result(payload(&format!(
                r#"{{"by":"{}", "taskId":"{id}","status":"working","n":1.0}}"#,
                script.name
            ))),
            _ => echo(script, method, Some(params)),
        }
    }
}
