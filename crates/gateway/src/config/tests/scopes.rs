//! The section `scopes`: what it comes to, and each way to get it wrong.

use portunus_core::{ids::ServerName, oauth::scopes::Pattern, scope::Scope};

use super::{Given, okta};

fn given(scopes: &str) -> Given {
    let servers = r#"{"mcpServers": {"github": {"command": "x"}, "old": {"command": "x", "disabled": true}}}"#;
    okta().mcp(servers).yaml(&format!("scopes:\n{scopes}"))
}

#[test]
fn every_key() {
    let text = r#"
  - name: github:write
    description: Write
    server: github
    tools: [create_*]
    includes: [github:read, old]
  - name: github:read
    description: Read issues and pull requests
    server: github
    tools: [get_*, "list_*"]
    prompts: ["about"]
    resources: ["repo://*"]
    ask_first: true
"#;
    let [write, read] = &given(text).load().scopes[..] else { panic!("two") };
    assert_eq!(
        write.includes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        ["github:read", "old"]
    );
    assert!(!write.ask_first);
    assert_eq!(
        (read.name.as_str(), read.description.as_str()),
        ("github:read", "Read issues and pull requests")
    );
    assert_eq!(read.server.as_ref().map(ServerName::as_str), Some("github"));
    let texts = |patterns: &[Pattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&read.tools), ["get_*", "list_*"]);
    assert_eq!(
        (texts(&read.prompts), texts(&read.resources)),
        (vec!["about".to_owned()], vec!["repo://*".to_owned()])
    );
    assert!(read.ask_first && read.includes.is_empty());
}

#[test]
fn each_mistake_is_named_with_its_line() {
    let scope = |keys: &str| format!("  - {{description: d, {keys}}}\n");
    let cases = [
        (scope("server: github, tools: [a]"), vec!["config.yaml:2: scopes[0]", "no `name`"]),
        (
            "  - {name: a, server: github, tools: [a]}\n".to_owned(),
            vec!["config.yaml:2: scopes[0]", "no `description`"],
        ),
        (
            scope("name: a b, server: github, tools: [a]"),
            vec!["config.yaml:2: scopes[0].name", "`a b`", "without spaces"],
        ),
        (
            scope("name: mcp, server: github, tools: [a]"),
            vec!["scopes[0].name", "`mcp`", "the gateway's own"],
        ),
        (
            scope("name: offline_access, server: github, tools: [a]"),
            vec!["scopes[0].name", "the gateway's own"],
        ),
        (
            scope("name: github, server: github, tools: [a]"),
            vec!["scopes[0].name", "the whole server"],
        ),
        (
            scope("name: old, server: github, tools: [a]"),
            vec!["scopes[0].name", "the whole server"],
        ),
        (
            scope("name: a, server: github, tools: [a]").repeat(2),
            vec!["config.yaml:3: scopes[1].name", "already at config.yaml:2: scopes[0].name"],
        ),
        (
            scope("name: a, server: githup, tools: [a]"),
            vec!["scopes[0].server", "`githup`", "did you mean `github`?"],
        ),
        (scope("name: a, tools: [a]"), vec!["scopes[0].tools", "no `server`"]),
        (scope("name: a, server: github"), vec!["config.yaml:2: scopes[0]", "a scope of nothing"]),
        (scope("name: a, server: github, tools: []"), vec!["scopes[0]", "a scope of nothing"]),
        (scope("name: a, server: github, tools: ['']"), vec!["scopes[0].tools[0]", "a pattern is"]),
        (scope("name: a, server: github, tools: \"a*\""), vec!["scopes[0].tools", "a list"]),
        (
            scope("name: a, server: github, tool: [a], prompts: [b]"),
            vec!["config.yaml:2: scopes[0]", "did you mean `tools`?"],
        ),
        (
            scope("name: abc, includes: [abd]"),
            vec!["scopes[0].includes[0]", "`abd`", "did you mean `abc`?"],
        ),
        (
            scope("name: a, includes: [mcp]"),
            vec!["scopes[0].includes[0]", "`mcp`", "another scope of this list"],
        ),
        (
            scope("name: a, includes: [a]"),
            vec!["config.yaml:2: scopes[0].includes", "a circle: `a` includes `a`"],
        ),
        (
            scope("name: z, includes: [a]")
                + &scope("name: a, includes: [b]")
                + &scope("name: b, includes: [a, github]"),
            vec!["config.yaml:3: scopes[1].includes", "a circle: `a` includes `b` includes `a`"],
        ),
    ];
    for (text, parts) in cases {
        given(&text).one_mistake(&parts);
    }
}
