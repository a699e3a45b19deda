//! What the Go system promises: rows B4 and B6 to B10.

use std::time::Duration;

use portunus_core::{lifetimes::Lifetimes, request::HeaderPattern, secret::SecretText};
use portunus_store::redis::RedisOptions;

use super::{Given, SECRET, empty, okta};
use crate::config::{LogFormat, StoreConfig};

#[test]
fn b4_the_config_yaml_of_the_readme() {
    let text = "proxies:\n  - pattern: \"/mcp/dice/\"\n    target_url: \"http://localhost:3000\"\n  - pattern: \"/mcp/uuid/\"\n    \
                target_url: \"http://localhost:4000\"\n";
    let config = okta().yaml(text).load();
    let routes: Vec<_> = config
        .proxies
        .iter()
        .map(|route| (route.pattern.as_str(), route.target.as_str()))
        .collect();
    assert_eq!(
        routes,
        [("/mcp/dice/", "http://localhost:3000/"), ("/mcp/uuid/", "http://localhost:4000/")]
    );
}

#[test]
fn b4_patterns_that_need_mending() {
    let cases = [
        ("mcp/dice/", "a slash at its start: `/mcp/dice/`"),
        ("/mcp/dice", "a slash at its end: `/mcp/dice/`"),
        ("/", "below the root"),
        ("/mcp/", "`/mcp` is the gateway's own"),
        ("/mcp/taken/", "is the server `taken` of mcp.json"),
        ("/mcp/off/", "is the server `off` of mcp.json"),
        ("/auth/", "`/auth` is the gateway's own"),
        ("/auth/more/", "`/auth` is the gateway's own"),
        ("/.well-known/x/", "`/.well-known` is the gateway's own"),
        ("/health/", "`/health` is the gateway's own"),
        ("/tools/", "`/tools` is the gateway's own"),
        ("/a/../b/", "a plain path"),
        ("/a//b/", "a plain path"),
        ("/a/{id}/", "a plain path"),
        ("/a%2fb/", "a plain path"),
        ("/a b/", "a plain path"),
    ];
    let servers =
        r#"{"mcpServers": {"taken": {"command": "t"}, "off": {"command": "o", "disabled": true}}}"#;
    for (pattern, part) in cases {
        let text =
            format!("proxies:\n  - target_url: http://localhost:3000\n    pattern: {pattern:?}\n");
        okta().mcp(servers).yaml(&text).one_mistake(&["config.yaml:3: proxies[0].pattern", part]);
    }
}

#[test]
fn b4_targets_that_need_mending() {
    let cases = [
        ("http://localhost:3000/", "`http://localhost:3000`"),
        ("http://localhost:3000/mcp/", "`http://localhost:3000/mcp`"),
        ("localhost:3000", "an http or https URL"),
        ("ftp://localhost", "an http or https URL"),
        ("http://u:hunter2@localhost", "`http://[redacted]@localhost`"),
        ("http://localhost?x=1", "without query"),
    ];
    for (target, part) in cases {
        let text = format!("proxies:\n  - pattern: /mcp/dice/\n    target_url: {target}\n");
        okta().yaml(&text).one_mistake(&["config.yaml:3: proxies[0].target_url", part]);
    }
    okta()
        .yaml("proxies:\n  - pattern: /mcp/dice/\n")
        .one_mistake(&["config.yaml:2: proxies[0] | no `target_url`"]);
}

#[test]
fn t61_headers_that_a_route_passes() {
    let route = |names: &str| {
        format!("proxies:\n  - pattern: /a/\n    target_url: http://h\n    pass_headers: {names}\n")
    };
    let config = okta().yaml(&route("[X-Acme-Tenant, 'X-Acme-*', Referer]")).load();
    let names: Vec<_> = config.proxies[0].pass_headers.iter().map(HeaderPattern::as_str).collect();
    assert_eq!(names, ["x-acme-tenant", "x-acme-*", "referer"]);
    assert!(okta().yaml(&route("[]")).load().proxies[0].pass_headers.is_empty());
    let cases = [
        ("Authorization", "what callers prove themselves to the gateway with"),
        ("cookie", "what callers prove themselves to the gateway with"),
        ("Proxy-Authorization", "what callers prove themselves to the gateway with"),
        ("Connection", "it is about the client's connection"),
        ("Transfer-Encoding", "it is about the client's connection"),
        ("Host", "it says where a request came from"),
        ("Forwarded", "it says where a request came from"),
        ("X-Forwarded-For", "it says where a request came from"),
        ("X-Portunus-User", "the gateway sets it"),
        ("X-Request-Id", "the gateway sets it"),
        ("X-Remote-User", "it says who is calling"),
        ("X-Amzn-Oidc-Data", "it says who is calling"),
        ("X-Original-URL", "another path or method"),
        ("X_Acme_Tenant", "an underscore for a dash"),
        ("*", "a longer start"),
        ("X-*", "a longer start"),
        ("X Acme", "the name of a header, such as X-Acme-Tenant"),
        ("X-*-Tenant", "the name of a header, such as X-Acme-Tenant"),
    ];
    for (name, part) in cases {
        let text = route(&format!("\n      - X-Fine\n      - {name:?}"));
        okta().yaml(&text).one_mistake(&[
            "config.yaml:6: proxies[0].pass_headers[1]",
            &format!("`{name}`"),
            part,
        ]);
    }
    okta()
        .yaml(&route("X-Acme-Tenant"))
        .one_mistake(&["config.yaml:4: proxies[0].pass_headers", "a list"]);
}

#[test]
fn b4_the_same_pattern_twice() {
    let text = "proxies:\n  - {pattern: /a/, target_url: 'http://h'}\n  - {pattern: /a/, target_url: 'http://i'}\n";
    okta().yaml(text).one_mistake(&[
        "config.yaml:3: proxies[1].pattern",
        "already at config.yaml:2: proxies[0].pattern",
    ]);
    okta().yaml(&text.replacen("/a/", "/a/b/", 1)).load();
}

fn redis(given: &Given) -> (String, String) {
    match given.load().store {
        StoreConfig::Redis(RedisOptions { address, .. }) => (
            address.to_string(),
            address.password.map(|password| password.expose().to_owned()).unwrap_or_default(),
        ),
        other @ StoreConfig::Sqlite { .. } => panic!("{other:?}"),
    }
}

#[test]
fn b6_kvs_selects_redis() {
    let given = okta().env(&[("KVS_ADDR", "localhost:6379"), ("KVS_PASSWORD", "")]);
    assert_eq!(redis(&given), ("redis://localhost:6379/0".to_owned(), String::new()));
    let given = okta().env(&[("KVS_ADDR", "kvs:6379"), ("KVS_PASSWORD", "p@ss/word")]);
    assert_eq!(redis(&given), ("redis://kvs:6379/0".to_owned(), "p@ss/word".to_owned()));
    assert!(!format!("{:?}", given.load()).contains("ss/word"));
    for bad in ["", "redis://h:6379", "h:x", "h:6379/1", "u:hunter2@h"] {
        if bad.is_empty() {
            assert!(matches!(
                okta().env(&[("KVS_ADDR", bad)]).load().store,
                StoreConfig::Sqlite { .. }
            ));
        } else {
            okta()
                .env(&[("KVS_ADDR", bad)])
                .one_mistake(&["environment: KVS_ADDR", "such as localhost:6379"]);
            assert!(!okta().env(&[("KVS_ADDR", bad)]).mistakes()[0].contains("hunter2"));
        }
    }
}

#[test]
fn b6_redis_url() {
    let urls = [
        ("redis://h:6379/1", "redis://h:6379/1", ""),
        ("rediss://user:hunter2@h:6380", "rediss://h:6380/0", "hunter2"),
        ("redis+sentinel://a:1,b:2/mymaster", "redis+sentinel://a:1,b:2/mymaster/0", ""),
        ("rediss+cluster://h:7000", "rediss+cluster://h:7000", ""),
    ];
    for (url, shown, password) in urls {
        assert_eq!(
            redis(&okta().env(&[("REDIS_URL", url)])),
            (shown.to_owned(), password.to_owned()),
            "{url}"
        );
    }
    okta()
        .env(&[("REDIS_URL", "http://u:hunter2@h")])
        .one_mistake(&["environment: REDIS_URL", "`http://[redacted]@h`"]);
    let both = [("REDIS_URL", "redis://h"), ("KVS_ADDR", "h:6379")];
    okta().env(&both).one_mistake(&["environment: KVS_ADDR", "not both"]);
    okta()
        .env(&[("KVS_PASSWORD", "x")])
        .one_mistake(&["environment: KVS_PASSWORD", "without an address"]);
    let two = [("REDIS_URL", "redis://:a@h"), ("KVS_PASSWORD", "b")];
    okta().env(&two).one_mistake(&["environment: KVS_PASSWORD", "one of the two"]);
    let unused = okta().env(&[("KVS_ADDR", "h:6379"), ("DB_PATH", "./x.sqlite")]);
    assert!(unused.warnings().iter().any(|warning| warning.contains("DB_PATH is not used")));
}

const GO_NAMES: [(&str, &str); 4] = [
    ("OKTA_URL", "https://acme.okta.com"),
    ("OKTA_CLIENT_ID", "0oa1"),
    ("OKTA_CLIENT_SECRET", "s"),
    ("OKTA_REDIRECT_URI", "http://localhost:3000/auth/callback"),
];

#[test]
fn b7_the_readmes_names_and_the_sources() {
    for start in ["", "OAUTH_"] {
        let given = GO_NAMES
            .iter()
            .fold(empty().env(&[("AUTH_SECRET", SECRET)]), |given, (name, value)| {
                given.env(&[(&format!("{start}{name}"), value)])
            });
        let config = given.load();
        let okta = &config.providers[0].settings;
        assert_eq!(
            (okta.name.as_str(), okta.client_id.as_str(), okta.issuer.as_str()),
            ("okta", "0oa1", "https://acme.okta.com")
        );
        assert_eq!(okta.client_secret.as_ref().map(SecretText::expose), Some("s"));
        assert_eq!(okta.redirect_uri.as_deref(), Some("http://localhost:3000/auth/callback"));
    }
}

#[test]
fn b7_a_bare_host_gets_https() {
    let go = empty().env(&[("AUTH_SECRET", SECRET)]).env(&GO_NAMES);
    assert_eq!(
        go.clone().env(&[("OKTA_URL", "acme.okta.com")]).load().providers[0].settings.issuer,
        "https://acme.okta.com"
    );
    go.clone()
        .env(&[("OKTA_URL", "acme-admin.okta.com")])
        .one_mistake(&["environment: OKTA_URL", "`https://acme.okta.com`"]);
    go.clone()
        .env(&[("OKTA_URL", "your-okta-domain.okta.com")])
        .one_mistake(&["OKTA_URL", "still the example value"]);
    go.env(&[("OKTA_URL", "https://acme.okta.com/")])
        .one_mistake(&["environment: OKTA_URL", "no slash at its end"]);
}

#[test]
fn b7_the_sample_file_is_no_configuration() {
    let sample = "KVS_ADDR=localhost:6379\nKVS_PASSWORD=\nOAUTH_OKTA_URL=https://dev-00000000.okta.com\n\
                  OAUTH_OKTA_CLIENT_ID=0xxxxxxxxxxxxxxxx\nOAUTH_OKTA_CLIENT_SECRET=XXXXXXXXXXXXXXXXXXXX\n\
                  OAUTH_OKTA_REDIRECT_URI=http://localhost:8080/auth/callback\n";
    let mistakes =
        empty().env(&[("AUTH_SECRET", SECRET), ("PORT", "8080")]).file(".env", sample).mistakes();
    let lines: Vec<_> = mistakes.iter().map(|mistake| &mistake[..6]).collect();
    assert_eq!(lines, [".env:3", ".env:4", ".env:5"], "{mistakes:#?}");
}

#[test]
fn b7_names_that_disagree() {
    let go = empty().env(&[("AUTH_SECRET", SECRET)]).env(&GO_NAMES);
    go.clone()
        .env(&[("AUTH_OKTA_ID", "0oa2")])
        .one_mistake(&["OKTA_CLIENT_ID", "AUTH_OKTA_ID or OKTA_CLIENT_ID, not both"]);
    go.clone()
        .env(&[("OAUTH_OKTA_CLIENT_ID", "0oa2")])
        .one_mistake(&["OAUTH_OKTA_CLIENT_ID", "not both"]);
    go.env(&[("AUTH_OKTA_ID", "0oa1"), ("OAUTH_OKTA_CLIENT_ID", "0oa1")]).load();
}

#[test]
fn b8_port_8080_must_be_asked_for() {
    let go = empty().env(&[("AUTH_SECRET", SECRET)]).env(&GO_NAMES);
    let moved = go.env(&[("OKTA_REDIRECT_URI", "http://localhost:8080/auth/callback")]);
    moved.one_mistake(&[
        "environment: OKTA_REDIRECT_URI",
        "`http://localhost:3000/auth/callback`",
        "BASE_URL and PORT",
    ]);
    assert_eq!(moved.env(&[("PORT", "8080")]).load().public_url.as_str(), "http://localhost:8080");
}

#[test]
fn b9_lifetimes() {
    assert_eq!(okta().load().lifetimes, Lifetimes::default());
    let text = "lifetimes:\n  access_token: 15m\n  refresh_token: 7d\n  refresh_grace: 10s\n  refresh_reuse: 12h\n  authorization_code: 2m\n  grant: 10d\n  \
                sign_in: 5m\n  login: 12h\n  login_idle: 1h\n  unused_client: 4 weeks\n  \
                groups: 3d\n  groups_interval: 5m\n";
    let lifetimes = okta().yaml(text).load().lifetimes;
    let seconds = |seconds| Duration::from_secs(seconds);
    let expected = Lifetimes {
        access_token: seconds(900),
        refresh_token: seconds(604_800),
        refresh_grace: seconds(10),
        refresh_reuse: Some(seconds(43_200)),
        agent_key: Lifetimes::default().agent_key,
        grant: seconds(864_000),
        authorization_code: seconds(120),
        sign_in: seconds(300),
        login: seconds(43_200),
        login_idle: Some(seconds(3600)),
        unused_client: seconds(2_419_200),
        groups: Some(seconds(259_200)),
        groups_interval: seconds(300),
    };
    assert_eq!(lifetimes, expected);
    let wins = okta().yaml(text).env(&[("TOKEN_EXPIRATION_TIME", "3600000")]).load();
    assert_eq!(wins.lifetimes.access_token, seconds(3600), "the environment wins");
    for (bad, part) in [
        ("60", "with its unit"),
        ("soon", "with its unit"),
        ("'0s'", "from 1s to"),
        ("9999d", "from 1s to"),
    ] {
        let text = format!("lifetimes:\n  access_token: {bad}\n");
        okta().yaml(&text).one_mistake(&["config.yaml:2: lifetimes.access_token", part]);
    }
    okta().yaml("lifetimes:\n  authorization_code: 1h\n").one_mistake(&["from 1s to 10m"]);
}

#[test]
fn fb15_fb16_codes_live_five_minutes_and_used_refresh_tokens_are_answered_for_a_day() {
    let of = |text: &str| okta().yaml(&format!("lifetimes:\n  refresh_reuse: {text}\n"));
    let lifetimes = okta().load().lifetimes;
    assert_eq!(lifetimes.authorization_code, Duration::from_secs(300));
    assert_eq!(lifetimes.refresh_reuse, Some(Duration::from_secs(86_400)));
    for (text, expected) in [
        ("off", None),
        ("'off'", None),
        ("7d", Some(604_800)),
        ("1s", Some(1)),
        ("90m", Some(5400)),
    ] {
        assert_eq!(
            of(text).load().lifetimes.refresh_reuse,
            expected.map(Duration::from_secs),
            "{text}"
        );
    }
    for (text, part) in [
        ("8d", "from 1s to 7d"),
        ("0s", "from 1s to 7d"),
        ("'24'", "`off`, or a number"),
        ("never", "`off`, or a number"),
    ] {
        of(text).one_mistake(&["config.yaml:2: lifetimes.refresh_reuse", part]);
    }
}

#[test]
fn b10_json_lines_unless_asked_otherwise() {
    assert_eq!(okta().load().log.format, LogFormat::Json);
    assert_eq!(okta().env(&[("LOG_ENV", "development")]).load().log.format, LogFormat::Text);
    assert_eq!(okta().env(&[("LOG_ENV", "production")]).load().log.format, LogFormat::Json);
    assert_eq!(
        okta().env(&[("LOG_ENV", "development"), ("LOG_FORMAT", "json")]).load().log.format,
        LogFormat::Json
    );
    assert_eq!(okta().yaml("log: {format: text}\n").load().log.format, LogFormat::Text);
}
