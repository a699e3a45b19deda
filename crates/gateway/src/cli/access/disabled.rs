//! What is disabled of what a question is about: the gateway refuses it, whatever rules say. It
//! stands in the gateway's records, not in the configuration; where there are none, only rules
//! answer.

use std::fmt::Write as _;

use portunus_core::{
    Clock as _, Timestamp,
    access::Thing,
    clock::SystemClock,
    disabled::{DisabledRecord, DisabledSet},
    ids::{ClientId, UserId},
    principal::User,
    text::visible,
};
use serde_json::{Value, json};

use super::{
    super::{audit::time, serve},
    question::Question,
};
use crate::{config::Config, edge::pages::when::day};

/// The records about the question's thing, its client, or anybody called as its person is; or why
/// that is not known.
pub(super) fn find(
    config: &Config,
    question: &Question,
    thing: &Thing<'_>,
) -> Result<Vec<DisabledRecord>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let found = runtime.block_on(async {
        let stores = serve::open_records(config).await?;
        let records = stores.disabled.list_disabled(u32::MAX).await?;
        let people = stores.logins.find_users(&question.user).await?;
        anyhow::Ok((records, people))
    });
    let (mut records, people) = found.map_err(|error| format!("{error:#}"))?;
    let is_meant = |user: &&User| {
        question.provider.as_ref().is_none_or(|name| *name == user.provider.to_string())
    };
    let people: Vec<_> = people.iter().filter(is_meant).map(|user| &user.id).collect();
    records.retain(|record| concerns(record, &people, &question.client, thing));
    Ok(records)
}

fn concerns(record: &DisabledRecord, people: &[&UserId], client: &str, thing: &Thing<'_>) -> bool {
    let set = DisabledSet::from_iter([record.what.clone()]);
    set.hides(thing)
        || people.iter().any(|person| set.is_person_disabled(person))
        || set.is_client_disabled(&ClientId::from_text(client))
}

/// Lines for people.
pub(super) fn told(records: &[DisabledRecord]) -> String {
    lines(records, SystemClock.now())
}

fn lines(records: &[DisabledRecord], now: Timestamp) -> String {
    let mut text = String::new();
    for DisabledRecord { what, name, reason, at, .. } in records {
        let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let since = day(*at, now);
        let told = visible(&format!("{what}{name} is disabled since {since}{reason}"));
        let _ = writeln!(text, "  {told}; `portunus enable` lifts it");
    }
    text
}

pub(super) fn json_of(records: &[DisabledRecord]) -> Value {
    let each = |record: &DisabledRecord| {
        json!({"kind": record.what.kind(), "id": record.what.id(), "name": record.name,
            "reason": record.reason, "at": time::written(record.at)})
    };
    records.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use portunus_core::{access::ToolHints, disabled::Disableable, ids::ServerName};

    use super::*;

    #[test]
    fn a_record_concerns_its_thing_its_client_and_its_person() {
        let server = ServerName::parse("github").unwrap();
        let other = ServerName::parse("jira").unwrap();
        let (alice, bob) = (UserId::of("https://idp", "alice"), UserId::of("https://idp", "bob"));
        let tool = |tool: &str| Disableable::Tool { server: server.clone(), tool: tool.to_owned() };
        let client = |id: &str| Disableable::Client(ClientId::from_text(id));
        for (what, expected) in [
            (Disableable::Server(server.clone()), true),
            (Disableable::Server(other), false),
            (tool("merge"), true),
            (tool("delete"), false),
            (Disableable::Person(alice.clone()), true),
            (Disableable::Person(bob), false),
            (client("cursor"), true),
            (client("other"), false),
            (Disableable::Proxy("/github".to_owned()), false),
        ] {
            let record = DisabledRecord {
                what,
                name: None,
                reason: Some("left\u{202e}".to_owned()),
                by: String::new(),
                at: Timestamp::from_secs(0),
            };
            let thing = Thing::Tool { server: &server, name: "merge", hints: ToolHints::default() };
            assert_eq!(concerns(&record, &[&alice], "cursor", &thing), expected, "{record:?}");
            let told = lines(&[record], Timestamp::from_secs(86_400));
            assert!(told.contains("is disabled since") && !told.contains('\u{202e}'), "{told}");
        }
    }
}
