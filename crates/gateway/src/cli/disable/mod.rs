//! `portunus disable`, `enable` and `disabled`: a person, a client, a server, a proxied path or a
//! tool is ended and refused, until that is lifted. Works on the records of a gateway, whether it
//! runs or not; one that runs follows within a second. What was named is found by [`named`]; what
//! it comes to is [`crate::disabled::change`]'s.

mod named;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;
use portunus_core::{
    Clock as _, Timestamp,
    audit::{Event, shortened},
    clock::SystemClock,
    disabled::{Disableable, DisabledRecord, Disabling},
    store::Stores,
    text::{escaped_json, visible},
};
use serde_json::json;

use self::named::{Found, Named, Purpose};
use super::{ConfigFiles, audit::time, grants::counted, run_async, serve};
use crate::{
    audit::command::{account, record},
    config::{Config, Loaded},
    disabled::change,
    edge::pages::when::day,
};

const DISABLE_EXAMPLES: &str = "\
Examples:
  portunus disable person alice@acme.com --reason \"left the company\"
  portunus disable person 00u1abcd --provider okta     by the provider's id of the account (its `sub`)
  portunus disable person --issuer https://acme.okta.com --subject 00u1abcd
                                                       one who never signed in here
  portunus disable client https://app.example/client.json
  portunus disable server github
  portunus disable server /grafana                     a pattern of `proxies`
  portunus disable tool github/delete_repository       or github_delete_repository, as on /mcp

What is disabled stays so, over restarts and on every gateway of the store, until `portunus enable`.
`portunus disabled` lists it. See docs/leaving.md.";

#[derive(Args, Debug)]
#[command(after_help = DISABLE_EXAMPLES)]
pub struct DisableArgs {
    #[command(subcommand)]
    named: Named,
    /// Why, for other administrators: in one line. Nobody else is shown it
    #[arg(long, value_name = "TEXT", global = true)]
    reason: Option<String>,
}

#[derive(Args, Debug)]
pub struct EnableArgs {
    #[command(subcommand)]
    named: Named,
}

#[derive(Args, Debug)]
pub struct DisabledArgs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: ConfigFiles,
}

pub fn disable(args: &DisableArgs) -> anyhow::Result<ExitCode> {
    with_records(args.named.files(), async |config, stores| {
        let now = SystemClock.now();
        let (mut text, mut events, mut outcome) = (String::new(), Vec::new(), Ok(()));
        for found in args.named.find(&config, &stores, Purpose::Disable).await? {
            match disable_one(&stores, found, args.reason.clone(), now).await {
                Ok((told, event)) => {
                    text.push_str(&told);
                    events.push(event);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // What was done is told and recorded, also if the rest was not.
        io::stdout().write_all(text.as_bytes())?;
        record(&config, &stores, events).await?;
        outcome
    })
}

pub fn enable(args: &EnableArgs) -> anyhow::Result<ExitCode> {
    with_records(args.named.files(), async |config, stores| {
        let (mut text, mut events) = (String::new(), Vec::new());
        for Found { what, name, .. } in args.named.find(&config, &stores, Purpose::Enable).await? {
            let event = change::enable(&*stores.disabled, &what).await?;
            let outcome = if event.is_some() {
                "enabled: what was ended does not come back"
            } else {
                "it was not disabled"
            };
            writeln!(text, "{}\n  {outcome}", title(&what, name.as_deref()))?;
            events.extend(event);
        }
        io::stdout().write_all(text.as_bytes())?;
        record(&config, &stores, events).await
    })
}

pub fn disabled(args: &DisabledArgs) -> anyhow::Result<ExitCode> {
    with_records(&args.files, async |_, stores| {
        let records = stores.disabled.list_disabled(u32::MAX).await?;
        let text = if args.json { as_json(&records) } else { listed(&records, SystemClock.now()) };
        Ok(io::stdout().write_all(text.as_bytes())?)
    })
}

fn with_records(
    files: &ConfigFiles,
    work: impl AsyncFnOnce(Config, Stores) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let config = match files.load() {
        Ok(Loaded { config, .. }) => config,
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            return Ok(ExitCode::from(2));
        }
    };
    run_async(async move {
        let stores = serve::open_records(&config).await?;
        work(config, stores).await
    })
}

async fn disable_one(
    stores: &Stores,
    Found { what, name, note }: Found,
    reason: Option<String>,
    now: Timestamp,
) -> anyhow::Result<(String, Event)> {
    let mut text = format!("{}\n", title(&what, name.as_deref()));
    // What a provider says of a person may be of any length.
    let name = name.as_deref().map(shortened);
    let record = DisabledRecord { what: what.clone(), name, reason, by: account(), at: now };
    let (disabling, event) = change::disable(&*stores.disabled, record, now).await?;
    for line in outcome(&what, disabling).into_iter().chain(note) {
        writeln!(text, "  {line}")?;
    }
    Ok((text, event))
}

fn outcome(what: &Disableable, Disabling { was_disabled, ended }: Disabling) -> Vec<String> {
    let grants = format!("{} revoked", counted(ended.grants, "grant"));
    let logins = format!("{} ended", counted(ended.logins, "login"));
    let sessions = format!("{} forgotten", counted(ended.sessions, "stored session"));
    let tasks = format!("{} forgotten", counted(ended.tasks, "task"));
    let ended = match what {
        Disableable::Person(_) => vec![
            [grants, logins, sessions, tasks].join(", "),
            "what they allowed clients is remembered: `portunus grants revoke --user` forgets that"
                .to_owned(),
        ],
        Disableable::Client(_) => {
            vec![format!("{grants}, {tasks}"), "that people allowed it is forgotten".to_owned()]
        }
        Disableable::Server(_) | Disableable::Proxy(_) => {
            vec!["hidden from everybody, and refused".to_owned()]
        }
        Disableable::Tool { .. } => {
            vec!["hidden from everybody, and refused; calls under way go to their end".to_owned()]
        }
    };
    let again = was_disabled.then(|| "it was disabled before".to_owned());
    again.into_iter().chain(ended).collect()
}

fn title(what: &Disableable, name: Option<&str>) -> String {
    let name = name.map(|name| format!("  {name}")).unwrap_or_default();
    visible(&format!("{what}{name}"))
}

fn listed(records: &[DisabledRecord], now: Timestamp) -> String {
    let mut text = String::new();
    for DisabledRecord { what, name, reason, by, at } in records {
        let _ = writeln!(text, "{}", title(what, name.as_deref()));
        let _ = writeln!(text, "  since   {}", day(*at, now));
        let _ = writeln!(text, "  by      {}", visible(by));
        if let Some(reason) = reason {
            let _ = writeln!(text, "  reason  {}", visible(reason));
        }
    }
    let _ = writeln!(text, "{} disabled", records.len());
    text
}

fn as_json(records: &[DisabledRecord]) -> String {
    let each = |record: &DisabledRecord| {
        json!({"kind": record.what.kind(), "id": record.what.id(), "name": record.name,
            "reason": record.reason, "by": record.by, "at": time::written(record.at)})
    };
    let all: Vec<_> = records.iter().map(each).collect();
    format!("{}\n", escaped_json(json!(all).to_string()))
}

#[cfg(test)]
mod tests {
    use portunus_core::ids::UserId;

    use super::*;

    #[test]
    fn what_is_disabled_is_listed_for_people_and_for_programs() {
        let record = DisabledRecord {
            what: Disableable::Person(UserId::from_text("ptn_user_x")),
            name: Some("alice@acme.example\u{202e}".to_owned()),
            reason: Some("left".to_owned()),
            by: "uid 1000".to_owned(),
            at: Timestamp::from_secs(0),
        };
        let text = listed(std::slice::from_ref(&record), Timestamp::from_secs(60));
        assert!(text.starts_with("person ptn_user_x  alice@acme.example\u{fffd}\n"), "{text}");
        assert!(text.ends_with("  by      uid 1000\n  reason  left\n1 disabled\n"), "{text}");
        let printed = as_json(&[record]);
        assert!(printed.contains("alice@acme.example\\u202e"), "{printed}");
        let read: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let expected = json!([{"kind": "person", "id": "ptn_user_x", "name": "alice@acme.example\u{202e}",
            "reason": "left", "by": "uid 1000", "at": "1970-01-01T00:00:00Z"}]);
        assert_eq!(read, expected);
        assert_eq!(listed(&[], Timestamp::from_secs(0)), "0 disabled\n");
    }
}
