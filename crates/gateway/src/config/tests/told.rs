//! How mistakes are told: all at once, each with its place, nothing secret in them.

use super::{SECRET, empty, okta};
use crate::{
    cli::check,
    config::{Inspected, Where},
};

#[test]
fn three_mistakes_in_a_file_are_all_named_with_their_lines() {
    let text = "public_url: mcp.acme.com\nproxys: []\nlifetimes:\n  access_token: soon\n";
    let mistakes = okta().yaml(text).mistakes();
    assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    for (mistake, start) in mistakes.iter().zip([
        "config.yaml:1: public_url | `mcp.acme.com` | ",
        "config.yaml:2 | unknown key `proxys` | did you mean `proxies`?",
        "config.yaml:4: lifetimes.access_token | `soon` | ",
    ]) {
        assert!(mistake.starts_with(start), "{mistake}");
    }
}

#[test]
fn mistakes_of_files_and_what_is_missing_can_be_told_apart() {
    let text = "public_url: mcp.acme.com\nproxys: []\nlifetimes:\n  access_token: soon\n";
    let Inspected { mistakes, .. } = empty().yaml(text).inspect();
    let in_file =
        mistakes.0.iter().filter(|mistake| matches!(mistake.at, Where::File { .. })).count();
    let missing = mistakes.0.iter().filter_map(|mistake| match &mistake.at {
        Where::Missing { setting } => Some(setting.as_str()),
        _ => None,
    });
    assert_eq!(in_file, 3);
    assert_eq!(missing.collect::<Vec<_>>(), ["AUTH_PROVIDER", "AUTH_SECRET"]);
}

#[test]
fn nothing_at_all_says_what_is_needed() {
    let mistakes = empty().mistakes();
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
    assert!(mistakes[0].contains("AUTH_OKTA_ISSUER") && mistakes[0].contains("portunus demo"));
    assert!(mistakes[1].contains("openssl rand -base64 33"));
}

#[test]
fn mistakes_of_all_files_come_together() {
    let given = empty()
        .yaml("colour: red\n")
        .mcp(r#"{"mcpServers": {"a": {}}}"#)
        .file(".env", "PORT=x\nnonsense\n");
    let places: Vec<_> = given
        .mistakes()
        .iter()
        .map(|mistake| mistake.split(" | ").next().unwrap().to_owned())
        .collect();
    let expected = [
        ".env:1: PORT",
        ".env:2",
        "config.yaml:1",
        "mcp.json:1: mcpServers.a",
        "missing: AUTH_PROVIDER",
        "missing: AUTH_SECRET",
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_file_that_is_not_yaml_is_one_mistake() {
    okta().yaml("a: 1\nb: [\n").one_mistake(&["config.yaml:", "well-formed YAML"]);
    okta().yaml("- a\n").one_mistake(&["config.yaml:1 | a list | a group of keys"]);
    okta().yaml("{a: 1}\n---\n{b: 2}\n").one_mistake(&["config.yaml"]);
    okta().yaml("").load();
    okta().yaml("\u{feff}names: plain\n").load();
}

#[test]
fn duplicate_keys_name_both_lines() {
    okta()
        .yaml("names: plain\nlog: {}\nnames: prefixed\n")
        .one_mistake(&["config.yaml:3: names", "it stands on line 1 too"]);
}

#[test]
fn references_to_variables_that_are_not_set() {
    okta().yaml("\npublic_url: ${NOWHERE}\n").one_mistake(&[
        "config.yaml:2: public_url",
        "`${NOWHERE}`",
        "set NOWHERE",
    ]);
    let config =
        okta().yaml("public_url: ${HERE}\n").file(".env", "HERE=https://mcp.acme.com\n").load();
    assert_eq!(config.public_url.as_str(), "https://mcp.acme.com", "variables of .env count");
}

#[test]
fn two_variables_for_one_setting() {
    let both = [("BASE_URL", "https://a.example"), ("PUBLIC_URL", "https://b.example")];
    okta().env(&both).one_mistake(&["environment: PUBLIC_URL", "BASE_URL or PUBLIC_URL, not both"]);
}

#[test]
fn variables_that_are_nearly_ours() {
    let given = okta().env(&[
        ("AUTH_OKTA_ISUER", "x"),
        ("AUTH_TRUST_HOST", "1"),
        ("AUTH_SOMETHING_ELSE", "x"),
    ]);
    let warnings: Vec<_> =
        given.warnings().into_iter().filter(|warning| warning.contains("not read")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("did you mean AUTH_OKTA_ISSUER?"));
}

/// Threat 48: whatever is wrong with a secret, it is not printed.
#[test]
fn t48_secrets_are_in_no_report() {
    let yaml = "auth_secret: [hunter2-a]\nstore: {redis: {url: 'http://u:hunter2-b@h', password: hunter2-c}}\n\
                public_url: https://u:hunter2-d@x\nproviders:\n  - {name: okta, client_id: a, client_secret: {hunter2-e: 1}, issuer: \
                'https://u:hunter2-f@x'}\n";
    let mcp = r#"{"mcpServers": {
        "a": {"command": "a", "args": ["--key", "hunter2-g"], "env": {"K": "hunter2-h"}},
        "b": {"url": "http://h/?key=hunter2-i", "headers": {"Host": "hunter2-j", "X": "hunter2-k"}},
        "c": {"url": "http://u:hunter2-l@h/", "env": {"K": "hunter2-m"}},
        "d": {"command": "a", "env": {"K": ["hunter2-n"]}}}}"#;
    let env = [
        ("AUTH_SECRET_PREVIOUS", "hunter2-o"),
        ("KVS_PASSWORD", "hunter2-p"),
        ("AUTH_OKTA_SECRET", "hunter2-q"),
    ];
    for given in
        [empty().yaml(yaml).mcp(mcp).env(&env), okta().mcp(mcp).env(&env[..1]), okta().yaml(yaml)]
    {
        let inspected = given.inspect();
        assert!(!inspected.mistakes.0.is_empty());
        let report = check::report(&inspected);
        let leak =
            report.lines().find(|line| line.contains("hunter2") && !line.contains("hunter2-e"));
        assert_eq!(leak, None, "{report}");
        assert!(!report.contains(SECRET), "{report}");
        // Arguments of commands and queries of URLs are in the configuration's Debug; secrets are
        // not.
        let debug = format!("{inspected:?}");
        for secret in
            [SECRET, "hunter2-h", "hunter2-k", "hunter2-m", "hunter2-o", "hunter2-p", "hunter2-q"]
        {
            assert!(!debug.contains(secret), "{secret}");
        }
    }
}

#[test]
fn fb53_values_and_names_that_are_nearly_right_are_named() {
    let told = |name: &str, value: &str| okta().env(&[(name, value)]).warnings().join("\n");
    for (name, value) in [("AUTH_OKTA_LABEL", "\"Acme\""), ("AUTH_OKTA_SCOPES", "'openid email'")] {
        assert!(
            told(name, value).contains(&format!("{name} has quotes around it")),
            "{}",
            told(name, value)
        );
    }
    for value in ["Acme", "\"", "the \"best\" one"] {
        assert!(!told("AUTH_OKTA_LABEL", value).contains("quotes"), "{value}");
    }
    let of_file = |text: &str| okta().file(".env", text).warnings().join("\n");
    assert!(
        of_file("AUTH_OKTA_LABEL=${LABEL}\n").contains("AUTH_OKTA_LABEL is taken as it is written"),
        "{}",
        of_file("AUTH_OKTA_LABEL=${LABEL}\n")
    );
    assert!(!of_file("AUTH_OKTA_LABEL=\"Acme\"\n").contains("quotes"), "there they are syntax");
    for (written, meant) in [
        ("AUTH_OKTA_CLIENT_ID", "AUTH_OKTA_ID"),
        ("AUTH_OKTA_CLIENT_SECRET", "AUTH_OKTA_SECRET"),
        ("AUTH_OKTA_ISSUER_URL", "AUTH_OKTA_ISSUER"),
        ("AUTH_OKTA_ISUER", "AUTH_OKTA_ISSUER"),
    ] {
        assert!(
            told(written, "x").contains(&format!("{written} is not read: did you mean {meant}?")),
            "{}",
            told(written, "x")
        );
    }
    let mistakes = empty()
        .env(&[("AUTH_SECRET", SECRET), ("AUTH_PROVIDER", "octa"), ("AUTH_OCTA_ID", "x")])
        .mistakes()
        .join("\n");
    assert!(mistakes.contains("did you mean `okta`?"), "{mistakes}");
}
