//! `run_as` and `confine`: what is read, what is refused, and what depends on the machine.

use portunus_mcp::{
    sandbox::{Confine, Landlock, RunAs, Sandbox},
    spec::Transport,
};

use super::{super::Machine, Given, okta};

/// A machine with one user, where everything can be done unless a test says otherwise.
#[derive(Clone, Copy)]
pub(super) struct FakeMachine {
    may_change_user: bool,
    is_root: bool,
    landlock: Landlock,
}

impl Default for FakeMachine {
    fn default() -> Self {
        Self {
            may_change_user: true,
            is_root: false,
            landlock: Landlock { files: true, ports: true, scopes: true },
        }
    }
}

impl Machine for FakeMachine {
    fn user(&self, text: &str) -> Result<RunAs, String> {
        if text.split(':').next() != Some("tools") {
            return Err(format!("`{text}`, which is no user of this machine"));
        }
        Ok(RunAs {
            name: text.to_owned(),
            login: "tools".to_owned(),
            uid: 1001,
            gid: 1002,
            groups: vec![7],
            home: "/srv/tools".to_owned(),
        })
    }

    fn may_change_user(&self) -> bool {
        self.may_change_user
    }

    fn is_root(&self) -> bool {
        self.is_root
    }

    fn landlock(&self) -> Landlock {
        self.landlock
    }
}

fn with(entry: &str) -> Given {
    okta().mcp(&format!(r#"{{"mcpServers": {{"files": {{"command": "files-server", {entry}}}}}}}"#))
}

fn on(machine: FakeMachine, entry: &str) -> Given {
    Given { machine, ..with(entry) }
}

fn sandbox(given: &Given) -> Sandbox {
    let config = given.load();
    let Transport::Stdio { sandbox, .. } = &config.servers[0].transport else { panic!("stdio") };
    sandbox.clone()
}

#[test]
fn t52_what_is_read() {
    assert_eq!(sandbox(&with(r#""args": []"#)), Sandbox::default());
    let all = r#""run_as": "tools:staff", "confine": {"read": ["/data", "own"], "write": ["${D}"], "connect": [443, 53]}"#;
    let all = sandbox(&with(all).env(&[("D", "/out")]));
    assert_eq!(all.run_as.unwrap().name, "tools:staff");
    let expected = Confine {
        read: vec!["/data".to_owned(), "/srv/portunus/own".to_owned()],
        write: vec!["/out".to_owned()],
        connect: Some(vec![443, 53]),
        if_possible: false,
    };
    assert_eq!(all.confine, Some(expected));
    let nothing = sandbox(&with(r#""confine": {}, "confine_if_possible": true"#)).confine;
    assert_eq!(nothing, Some(Confine { if_possible: true, ..Confine::default() }));
    let offline = sandbox(&with(r#""confine": {"connect": []}"#)).confine.unwrap();
    assert_eq!(offline.connect, Some(Vec::new()));
}

#[test]
fn t52_what_is_refused_says_where_and_what_to_write() {
    for (entry, parts) in [
        (r#""run_as": "nobody-here""#, ["files.run_as", "no user of this machine", "another user"]),
        (r#""run_as": 1000"#, ["files.run_as", "a number", "put it in quotes"]),
        (r#""confine": true"#, ["files.confine", "true or false", "`read`, `write`, `connect`"]),
        (
            r#""confine": {"reed": []}"#,
            ["files.confine", "unknown key `reed`", "did you mean `read`?"],
        ),
        (r#""confine": {"read": "/data"}"#, ["files.confine.read", "text", "a list"]),
        (r#""confine": {"read": ["~/data"]}"#, ["files.confine.read[0]", "`~/data`", "no `~`"]),
        (r#""confine": {"write": [""]}"#, ["files.confine.write[0]", "``", "the path"]),
        (r#""confine": {"connect": [0]}"#, ["files.confine.connect[0]", "`0`", "from 1 to 65535"]),
        (
            r#""confine": {"connect": [65536]}"#,
            ["files.confine.connect[0]", "`65536`", "from 1 to 65535"],
        ),
        (
            r#""confine": {"connect": [44.3]}"#,
            ["files.confine.connect[0]", "`44.3`", "from 1 to 65535"],
        ),
        (
            r#""confine": {"connect": ["https"]}"#,
            ["files.confine.connect[0]", "`https`", "whole number"],
        ),
        (r#""confine_if_possible": "yes""#, ["files.confine_if_possible", "yes", "true or false"]),
    ] {
        with(entry).one_mistake(&parts);
    }
    let url = r#"{"mcpServers": {"x": {"url": "https://x.example/mcp", "run_as": "tools"}}}"#;
    okta().mcp(url).one_mistake(&["x.run_as", "a value beside `url`"]);
    let url = r#"{"mcpServers": {"x": {"url": "https://x.example/mcp", "confine": {}}}}"#;
    okta().mcp(url).one_mistake(&["x.confine", "a value beside `url`"]);
}

#[test]
fn t52_what_this_machine_cannot_do_is_a_mistake_that_says_so() {
    let no_right = FakeMachine { may_change_user: false, ..FakeMachine::default() };
    on(no_right, r#""run_as": "tools""#).one_mistake(&["files.run_as", "no right", "CAP_SETUID"]);
    on(no_right, r#""disabled": true, "run_as": "tools""#).one_mistake(&["files.run_as"]);
    let old = FakeMachine { landlock: Landlock::default(), ..FakeMachine::default() };
    on(old, r#""confine": {}"#).one_mistake(&[
        "files.confine",
        "no Landlock",
        "`confine_if_possible: true`",
    ]);
    let no_ports = FakeMachine {
        landlock: Landlock { files: true, ..Landlock::default() },
        ..FakeMachine::default()
    };
    on(no_ports, r#""confine": {"connect": [443]}"#)
        .one_mistake(&["files.confine", "knows no ports"]);
    assert!(sandbox(&on(no_ports, r#""confine": {}"#)).confine.is_some());
    let all_the_same = on(old, r#""confine": {}, "confine_if_possible": true"#);
    assert!(sandbox(&all_the_same).confine.unwrap().if_possible);
    let warnings = all_the_same.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("only as far as possible"), "{warnings:?}");
}

#[test]
fn t52_what_protects_nothing_is_warned_of() {
    let root = FakeMachine { is_root: true, ..FakeMachine::default() };
    let warnings = on(root, r#""args": []"#).warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("`run_as`") && warnings[0].contains("files"),
        "{warnings:?}"
    );
    assert_eq!(on(root, r#""run_as": "tools""#).warnings(), [""; 0]);
    for list in [
        "/",
        "/srv",
        "/srv/portunus",
        ".",
        "/srv/portunus/.env",
        "/srv/portunus/mcp.json",
        "mcp.sqlite",
        "config.yaml",
    ] {
        for key in ["read", "write"] {
            let warnings = with(&format!(r#""confine": {{"{key}": ["{list}"]}}"#)).warnings();
            assert!(
                warnings.len() == 1 && warnings[0].contains("the gateway's own"),
                "{list}: {warnings:?}"
            );
        }
    }
    let secret = with(r#""confine": {"read": ["/run"]}"#).without(&["AUTH_SECRET"]);
    let secret = secret
        .env(&[("AUTH_SECRET_FILE", "/run/secrets/auth")])
        .file("/run/secrets/auth", super::SECRET);
    assert!(
        secret.warnings().iter().any(|warning| warning.contains("/run/secrets/auth")),
        "{:?}",
        secret.warnings()
    );
    for fine in ["/data", "/srv/portunus/tools", "/srv/portunus-data", "tools"] {
        assert_eq!(
            with(&format!(r#""confine": {{"read": ["{fine}"]}}"#)).warnings(),
            [""; 0],
            "{fine}"
        );
    }
    let unused = with(r#""confine_if_possible": true"#).warnings();
    assert!(unused.len() == 1 && unused[0].contains("not used"), "{unused:?}");
}
