//! `mcp.json` as other programs write it.

use std::time::Duration;

use portunus_mcp::spec::Transport;

use super::okta;

#[test]
fn fb52_an_mcp_json_of_another_program_starts_everything_in_it() {
    let text = r#"{"inputs": [{"id": "key", "type": "promptString"}], "mcpServers": {
        "cline": {"command": "a", "alwaysAllow": ["t"], "autoApprove": ["u"], "timeout": 60, "description": "d"},
        "windsurf": {"serverUrl": "http://127.0.0.1:9/mcp"},
        "gemini": {"httpUrl": "http://127.0.0.1:9/mcp", "trust": true, "includeTools": ["x"], "timeout": 600000},
        "roo": {"type": "streamableHttp", "url": "http://127.0.0.1:9/mcp"},
        "older": {"transport": "streamable-http", "url": "http://127.0.0.1:9/mcp", "headers": {"X-Key": "${env:TOKEN}"}},
        "nested": {"transport": {"type": "stdio", "command": "a"}},
        "cursor": {"transportType": "SSE", "url": "http://127.0.0.1:9/sse"},
        "vscode": {"command": "a", "env": {"KEY": "${env:TOKEN}"}, "envFile": ".env", "gallery": true, "version": "1"},
        "off": {"command": "a", "enabled": false}
    }}"#;
    let given = okta().mcp(text).env(&[("TOKEN", "s3cret")]);
    let config = given.load();
    let find = |name: &str| {
        config
            .servers
            .iter()
            .find(|server| server.name.as_str() == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    for name in ["cline", "nested", "vscode"] {
        assert!(matches!(find(name).transport, Transport::Stdio { .. }), "{name}");
    }
    for name in ["windsurf", "gemini", "roo", "older"] {
        assert!(matches!(find(name).transport, Transport::Http { .. }), "{name}");
    }
    assert!(matches!(find("cursor").transport, Transport::Sse { .. }));
    assert_eq!(config.disabled_servers, ["off"]);
    assert_eq!(
        find("cline").request_timeout,
        Duration::from_secs(60),
        "in seconds, as Cline and Roo write it"
    );
    assert_eq!(
        find("gemini").request_timeout,
        Duration::from_secs(600),
        "in milliseconds, as Gemini writes it"
    );
    let warnings = given.warnings();
    for noted in [
        "inputs",
        "alwaysAllow",
        "autoApprove",
        "description",
        "trust",
        "includeTools",
        "envFile",
        "gallery",
        "version",
    ] {
        assert!(warnings.iter().any(|warning| warning.contains(noted)), "{noted} in {warnings:#?}");
    }
}

#[test]
fn fb52_what_is_nearly_ours_is_still_a_mistake() {
    for (key, meant) in
        [("comand", "command"), ("isolaton", "isolation"), ("Url", "url"), ("header", "headers")]
    {
        let given =
            okta().mcp(&format!(r#"{{"mcpServers": {{"a": {{"command": "a", "{key}": "x"}}}}}}"#));
        let mistakes = given.mistakes();
        assert!(
            mistakes.iter().any(|mistake| mistake.contains(&format!("did you mean `{meant}`"))),
            "{key}: {mistakes:#?}"
        );
    }
    okta()
        .mcp(r#"{"mcpServers": {"a": {"command": "a", "type": "streamed"}}}"#)
        .one_mistake(&["`streamed`"]);
    okta()
        .mcp(r#"{"mcpServers": {"a": {"command": "a", "args": ["${input:key}"]}}}"#)
        .one_mistake(&["`${input:key}`"]);
}
