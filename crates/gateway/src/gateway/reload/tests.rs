//! Tables: which configurations a running gateway takes over from which, and what it says of them.
//! What then happens is in `tests/ops/reload.rs`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use portunus_core::{
    access::{AccessRule, Effect, Mode, Place, Policy, What, When, Who},
    resource::PublicUrl,
    secret::SecretText,
};
use portunus_mcp::{
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
};
use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::config::{LogFormat, StoreConfig};

fn server(name: &str, argument: &str) -> ServerSpec {
    ServerSpec {
        isolation: Isolation::User,
        request_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        ..ServerSpec::with_defaults(
            ServerName::parse(name).unwrap(),
            Transport::Stdio {
                command: "serve".to_owned(),
                args: vec![argument.to_owned()],
                env: BTreeMap::new(),
                cwd: None,
                sandbox: Sandbox::default(),
            },
        )
    }
}

fn config() -> Config {
    let url = PublicUrl::parse("http://localhost:3000").unwrap();
    let store = StoreConfig::Sqlite { path: PathBuf::from("mcp.sqlite") };
    let mut config =
        Config::bare(url, ([127, 0, 0, 1], 3000).into(), SecretText::new("one"), store);
    config.servers = vec![server("dice", "1"), server("uuid", "1")];
    config
}

/// What changes when this is done.
fn changes(change: impl FnOnce(&mut Config)) -> Result<String, Refused> {
    let mut new = config();
    change(&mut new);
    Changes::between(&config(), &new).map(|changes| changes.to_string())
}

#[test]
fn what_changed_is_named() {
    assert_eq!(changes(|_| {}), Ok("nothing".to_owned()));
    let servers = changes(|new| new.servers = vec![server("news", "1"), server("uuid", "2")]);
    assert_eq!(servers.unwrap(), "new: news; changed: uuid; removed: dice");
    assert_eq!(changes(|new| new.servers.reverse()), Ok("nothing".to_owned()));
    let settings = changes(|new| {
        new.public_url = PublicUrl::parse("https://mcp.example").unwrap();
        new.log.level = LevelFilter::DEBUG;
        new.limits.body = 1;
    });
    assert_eq!(settings.unwrap(), "settings: public_url, log.level, limits.body");
}

#[test]
fn what_only_a_restart_can_give_is_refused_by_name() {
    let refused = changes(|new| {
        new.listen.set_port(1);
        new.store = StoreConfig::Sqlite { path: PathBuf::from("other.sqlite") };
        new.log.format = LogFormat::Text;
        new.servers.clear();
    });
    assert_eq!(
        refused,
        Err(Refused::NeedsRestart(["listen", "store", "log.format"].map(str::to_owned).into()))
    );
}

#[test]
fn a_secret_is_replaced_by_naming_both() {
    let secrets = |names: &'static [&str]| {
        move |new: &mut Config| {
            new.auth_secrets = names.iter().copied().map(SecretText::new).collect();
        }
    };
    assert_eq!(changes(secrets(&["two"])), Err(Refused::SecretLost));
    assert_eq!(changes(secrets(&["two", "one"])), Ok("settings: auth_secret".to_owned()));
    assert_eq!(changes(secrets(&["one", "two"])), Ok("settings: auth_secret".to_owned()));
}

/// A file that is cut short for a moment must not open everything to everyone.
#[test]
fn t32_rules_change_and_do_not_all_go() {
    let rule = |name: &str| AccessRule {
        name: name.to_owned(),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect: Effect::Allow,
        mode: Mode::Enforce,
        who: Who::default(),
        what: What::default(),
        when: When::default(),
    };
    let with = |names: &[&str]| {
        let rules = names.iter().map(|name| rule(name)).collect();
        Config { access: Arc::new(Policy::new(rules, Vec::new()).unwrap()), ..config() }
    };
    let change =
        |old: &Config, new: &Config| Changes::between(old, new).map(|changes| changes.to_string());
    let changed = || Ok("settings: access".to_owned());
    assert_eq!(change(&with(&["one", "two"]), &with(&["one"])), changed());
    assert_eq!(change(&config(), &with(&["one"])), changed());
    assert_eq!(change(&with(&["one"]), &config()), Err(Refused::RulesGone));
    // A rule in shadow that is left decides nothing; all in shadow by the mode is meant.
    let shadow = || AccessRule { mode: Mode::Shadow, ..rule("one") };
    let policy = |policy: Policy| Config { access: Arc::new(policy), ..config() };
    let left = || Policy::new(vec![shadow()], Vec::new()).unwrap();
    assert_eq!(change(&with(&["one"]), &policy(left())), Err(Refused::RulesGone));
    assert_eq!(change(&with(&["one"]), &policy(left().in_shadow())), changed());
}
