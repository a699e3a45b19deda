//! The section `limits.calls`: every key, each way to get one wrong, and what a reload tells.

use std::time::Duration;

use portunus_core::call_limits::{Part, Quota, Target};

use super::{Config, Given, okta};

const SERVERS: &str = r#"{"mcpServers": {"github": {"command": "x"}, "jira": {"command": "x"}}}"#;

fn given(calls: &str) -> Given {
    let proxies = "proxies:\n  - {pattern: /mcp/dice/, target_url: http://localhost:9999}\n";
    okta().mcp(SERVERS).yaml(&format!("limits:\n  calls:\n{calls}\n{proxies}"))
}

#[test]
fn every_key() {
    let limits = given(
        r#"
    - {each: [person], requests: 600/min, concurrent: 20, bytes: 50 MiB/min}
    - name: contractors
      who: {groups: [contractors]}
      each: [client, person]
      requests: 1000/10m
    - {who: anyone, servers: [github, "ji*"], tools: ["search_*"], each: [tool], requests: 5/s}
    - {servers: [/mcp/dice/], each: [server], concurrent: 10}
"#,
    )
    .load()
    .call_limits;
    let [all, contractors, searches, dice] = limits.as_slice() else { panic!("{limits:#?}") };
    let quota = |count: u64, seconds| Quota {
        count: count.try_into().unwrap(),
        per: Duration::from_secs(seconds),
    };
    assert_eq!(all.name, "limits.calls[0]");
    assert_eq!((all.each.as_slice(), all.requests), (&[Part::Person][..], Some(quota(600, 60))));
    assert_eq!(all.concurrent.map(u32::from), Some(20));
    assert_eq!(all.bytes, Some(quota(50 << 20, 60)));
    assert!(all.who.is_anyone() && all.is_about(Target::default()));
    assert_eq!(contractors.name, "contractors");
    assert_eq!(contractors.who.to_string(), "groups contractors");
    assert_eq!(contractors.each, [Part::Person, Part::Client]);
    assert_eq!(contractors.requests, Some(quota(1000, 600)));
    let search = Target { server: Some("jira"), tool: Some("search_issues") };
    assert!(searches.is_about(search) && searches.who.is_anyone());
    assert!(dice.is_about(Target { server: Some("/mcp/dice/"), tool: None }));
    assert!(okta().load().call_limits.is_empty());
}

#[test]
fn each_mistake_is_named_with_its_line() {
    let each = |keys: &str| format!("    - {{each: [person], {keys}}}");
    let one = |keys: &str| format!("    - {{{keys}}}");
    let cases = [
        (one("requests: 1/s"), vec!["config.yaml:3: limits.calls[0]", "no `each`"]),
        (one("each: person, requests: 1/s"), vec!["limits.calls[0].each", "a list"]),
        (one("each: [], requests: 1/s"), vec!["limits.calls[0].each", "an empty list"]),
        (one("each: [user], requests: 1/s"), vec!["limits.calls[0].each[0]", "`person`"]),
        (one("each: [person]"), vec!["limits.calls[0]", "a limit of nothing"]),
        (each("request: 1/s"), vec!["limits.calls[0]", "did you mean `requests`?"]),
        (each("requests: 60"), vec!["limits.calls[0].requests", "600/min"]),
        (each("requests: unlimited"), vec!["limits.calls[0].requests", "600/min"]),
        (each("requests: 0/min"), vec!["limits.calls[0].requests", "600/min"]),
        (each("requests: ~"), vec!["limits.calls[0]", "nothing at `requests`"]),
        (each("concurrent: 0"), vec!["limits.calls[0].concurrent", "1 at least"]),
        (each("concurrent: many"), vec!["limits.calls[0].concurrent", "a whole number"]),
        (each("bytes: 50MiB"), vec!["limits.calls[0].bytes", "50MiB/min"]),
        (each("bytes: fast/min"), vec!["limits.calls[0].bytes", "50MiB/min"]),
        (each("requests: 1/s, servers: [githup]"), vec![".servers[0]", "did you mean `github`?"]),
        (each("requests: 1/s, tools: []"), vec!["limits.calls[0].tools", "an empty list"]),
        (each("requests: 1/s, who: everyone"), vec!["limits.calls[0].who", "`anyone`"]),
        (each("requests: 1/s, who: {group: [a]}"), vec!["limits.calls[0].who", "`groups`"]),
        (
            each("requests: 1/s, servers: [/mcp/dice/], tools: [x]"),
            vec!["limits.calls[0].servers[0]", "a proxied path"],
        ),
        (
            one("each: [tool], requests: 1/s, servers: [/mcp/dice/]"),
            vec!["limits.calls[0].servers[0]", "a proxied path"],
        ),
        (
            format!("{}\n{}", each("requests: 1/s"), each("name: again, requests: 1/s")),
            vec!["config.yaml:4: limits.calls[1]", "the same limit as `limits.calls[0]`"],
        ),
    ];
    for (yaml, parts) in cases {
        let mistakes = given(&yaml).mistakes();
        assert!(
            mistakes.iter().any(|one| parts.iter().all(|part| one.contains(part))),
            "{yaml}: {parts:?} in {mistakes:#?}"
        );
    }
    let warnings = given(&each("requests: 1/s, tools: [github_search_*]")).warnings();
    assert!(warnings.iter().any(|text| text.contains("without `github_`")), "{warnings:#?}");
}

#[test]
fn a_reload_tells_of_them_apart_from_other_limits() {
    let told = |old: &Config, new: &Config| -> Vec<String> {
        old.differing(new).into_iter().map(|difference| difference.name).collect()
    };
    let limit = |rate: &str| given(&format!("    - {{each: [person], requests: {rate}}}")).load();
    assert!(told(&limit("1/s"), &limit("1/s")).is_empty());
    assert_eq!(told(&limit("1/s"), &limit("2/s")), ["limits.calls"]);
}
