//! What the Node system promises: rows A1 to A7.

use std::time::Duration;

use portunus_core::{ids::ServerName, pins::Pinning, secret::SecretText};
use portunus_identity::settings::Preset;
use portunus_mcp::{
    era::Era,
    spec::{EnvPart, Isolation, Transport},
};
use tracing_subscriber::filter::LevelFilter;

use super::{Given, SECRET, empty, okta};
use crate::config::{Config, StoreConfig};

fn provider(config: &Config) -> (&str, Preset, &str, &str, Option<&str>) {
    let settings = &config.providers[0].settings;
    let secret = settings.client_secret.as_ref().map(SecretText::expose);
    (settings.name.as_str(), settings.preset, &settings.client_id, &settings.issuer, secret)
}

#[test]
fn a1_okta_by_the_four_variables() {
    let config = okta().load();
    let issuer = "https://acme.okta.com/oauth2/default";
    assert_eq!(provider(&config), ("okta", Preset::Okta, "0oa1b2c3", issuer, Some("okta-secret")));
    for issuer in
        ["https://acme.okta.com", "https://login.acme.com/oauth2/aus123", "http://127.0.0.1:8080"]
    {
        let config = okta().env(&[("AUTH_OKTA_ISSUER", issuer)]).load();
        assert_eq!(config.providers[0].settings.issuer, issuer);
    }
}

#[test]
fn a1_okta_without_auth_provider() {
    assert_eq!(provider(&okta().without(&["AUTH_PROVIDER"]).load()).0, "okta");
    assert_eq!(
        provider(&okta().env(&[("AUTH_PROVIDER", "OKTA")]).load()).0,
        "okta",
        "the old system folds case"
    );
}

#[test]
fn a1_issuers_of_okta_that_need_mending() {
    let cases = [
        ("https://acme.okta.com/", "`https://acme.okta.com`"),
        ("https://acme.okta.com/oauth2/default/", "`https://acme.okta.com/oauth2/default`"),
        ("https://acme.okta.com/.well-known/openid-configuration", "`https://acme.okta.com`"),
        (
            "https://acme.okta.com/oauth2/default/.well-known/openid-configuration",
            "`https://acme.okta.com/oauth2/default`",
        ),
        ("https://acme.okta.com/oauth2", "`https://acme.okta.com/oauth2/default`"),
        ("https://acme.okta.com/oauth2/v1/authorize", "`https://acme.okta.com`"),
        ("https://acme.okta.com/oauth2/default/v1/token", "`https://acme.okta.com/oauth2/default`"),
        ("https://acme-admin.okta.com", "`https://acme.okta.com`"),
        (
            "https://acme-admin.oktapreview.com/oauth2/default",
            "`https://acme.oktapreview.com/oauth2/default`",
        ),
        ("http://acme.okta.com", "`https://acme.okta.com`"),
        ("acme.okta.com", "starts with https://"),
        ("https://acme.okta.com?x=1", "without user name, password, query"),
        ("https://your-okta-domain.okta.com/oauth2/default", "still the example value"),
    ];
    for (issuer, part) in cases {
        okta()
            .env(&[("AUTH_OKTA_ISSUER", issuer)])
            .one_mistake(&["environment: AUTH_OKTA_ISSUER", part]);
    }
}

#[test]
fn a1_what_is_missing_is_named() {
    for name in ["AUTH_OKTA_ID", "AUTH_OKTA_SECRET", "AUTH_OKTA_ISSUER"] {
        okta().without(&[name]).one_mistake(&[&format!("missing: {name}")]);
        okta().env(&[(name, "  ")]).one_mistake(&[&format!("missing: {name}")]);
    }
}

#[test]
fn a1_the_guides_own_values_are_no_values() {
    let guide = "AUTH_SECRET=your-super-secret-jwt-key-generate-with-openssl-rand-base64-33\nAUTH_PROVIDER=okta\n\
                 AUTH_OKTA_ID=your-okta-client-id\nAUTH_OKTA_SECRET=your-okta-client-secret\n\
                 AUTH_OKTA_ISSUER=https://your-okta-domain.okta.com/oauth2/default\n";
    let mistakes = empty().file(".env", guide).mistakes();
    let places: Vec<_> =
        mistakes.iter().map(|mistake| mistake.split(" | ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            ".env:1: AUTH_SECRET",
            ".env:3: AUTH_OKTA_ID",
            ".env:4: AUTH_OKTA_SECRET",
            ".env:5: AUTH_OKTA_ISSUER"
        ]
    );
    assert!(
        mistakes.iter().all(|mistake| mistake.contains("still the example value")),
        "{mistakes:#?}"
    );
}

fn only(variables: &[(&str, &str)]) -> Given {
    empty().env(&[("AUTH_SECRET", SECRET)]).env(variables)
}

#[test]
fn a2_other_providers_by_the_auth_js_naming() {
    let google =
        only(&[("AUTH_PROVIDER", "google"), ("AUTH_GOOGLE_ID", "id"), ("AUTH_GOOGLE_SECRET", "s")])
            .load();
    assert_eq!(
        provider(&google),
        ("google", Preset::Google, "id", "https://accounts.google.com", Some("s"))
    );

    let azure = [
        ("AUTH_AZURE_AD_ID", "id"),
        ("AUTH_AZURE_AD_SECRET", "s"),
        ("AUTH_AZURE_AD_TENANT_ID", "acme.onmicrosoft.com"),
    ];
    let azure = only(&azure).env(&[("AUTH_PROVIDER", "azure-ad")]).load();
    let issuer = "https://login.microsoftonline.com/acme.onmicrosoft.com/v2.0";
    assert_eq!(provider(&azure), ("azure-ad", Preset::MicrosoftEntraId, "id", issuer, Some("s")));

    let entra = only(&[
        ("AUTH_PROVIDER", "microsoft-entra-id"),
        ("AUTH_MICROSOFT_ENTRA_ID_ID", "id"),
        ("AUTH_MICROSOFT_ENTRA_ID_SECRET", "s"),
        ("AUTH_MICROSOFT_ENTRA_ID_ISSUER", issuer),
    ]);
    assert_eq!(
        provider(&entra.load()),
        ("microsoft-entra-id", Preset::MicrosoftEntraId, "id", issuer, Some("s"))
    );

    for (name, preset, issuer) in [
        ("auth0", Preset::Auth0, "https://acme.eu.auth0.com/"),
        ("keycloak", Preset::Keycloak, "https://kc.acme.com/realms/staff"),
        ("gitlab", Preset::Gitlab, "https://gitlab.acme.com"),
        ("github", Preset::Github, "https://github.acme.com"),
        ("acme-sso", Preset::Oidc, "https://sso.acme.com"),
    ] {
        let start = format!("AUTH_{}", name.to_uppercase().replace('-', "_"));
        let [id, secret, issuer_name] =
            ["ID", "SECRET", "ISSUER"].map(|end| format!("{start}_{end}"));
        let config =
            only(&[("AUTH_PROVIDER", name), (&id, "id"), (&secret, "s"), (&issuer_name, issuer)])
                .load();
        assert_eq!(provider(&config), (name, preset, "id", issuer, Some("s")));
    }
}

#[test]
fn a2_settings_beside_the_first_three() {
    let more = [
        ("AUTH_OKTA_LABEL", "Acme"),
        ("AUTH_OKTA_SCOPES", "openid, groups email"),
        ("AUTH_OKTA_GROUPS_CLAIM", "roles"),
    ];
    let config = okta().env(&more).load();
    let provider = &config.providers[0];
    assert_eq!(provider.label.as_deref(), Some("Acme"));
    assert_eq!(
        provider.settings.scopes.as_deref(),
        Some(&["openid", "groups", "email"].map(str::to_owned)[..])
    );
    assert_eq!(provider.settings.groups_claim.as_deref(), Some("roles"));
}

#[test]
fn fb63_scopes_without_openid_are_a_mistake() {
    for scopes in ["groups email", "profile", "OpenID email", "openid2"] {
        okta()
            .env(&[("AUTH_OKTA_SCOPES", scopes)])
            .one_mistake(&[scopes, "`openid` among the scopes"]);
    }
    for scopes in ["openid", "email openid", "groups,openid"] {
        okta().env(&[("AUTH_OKTA_SCOPES", scopes)]).load();
    }
}

#[test]
fn a2_an_unknown_provider_is_an_error_never_google() {
    let google = [("AUTH_GOOGLE_ID", "id"), ("AUTH_GOOGLE_SECRET", "s")];
    let given = only(&google).env(&[
        ("AUTH_PROVIDER", "gogle"),
        ("AUTH_GOGLE_ID", "id"),
        ("AUTH_GOGLE_SECRET", "s"),
    ]);
    given.one_mistake(&["missing: AUTH_GOGLE_ISSUER", "`gogle` is none of the known providers"]);
    assert!(given.inspect().draft.providers.is_empty());
}

#[test]
fn a2_which_provider_must_be_clear() {
    let google = [("AUTH_GOOGLE_ID", "id"), ("AUTH_GOOGLE_SECRET", "s")];
    assert_eq!(provider(&only(&google).load()).0, "google", "the only one whose variables are set");
    okta()
        .without(&["AUTH_PROVIDER"])
        .env(&google)
        .one_mistake(&["missing: AUTH_PROVIDER", "AUTH_PROVIDER=okta,google"]);
    let both = okta().env(&google).env(&[("AUTH_PROVIDER", "google, okta,google")]).load();
    let names: Vec<_> =
        both.providers.iter().map(|provider| provider.settings.name.as_str()).collect();
    assert_eq!(names, ["google", "okta"]);
    okta()
        .env(&[("AUTH_PROVIDER", "okta,no way")])
        .one_mistake(&["environment: AUTH_PROVIDER", "`no way`"]);
}

#[test]
fn a2_one_microsoft_tenant_not_all_of_them() {
    let azure = only(&[
        ("AUTH_PROVIDER", "azure-ad"),
        ("AUTH_AZURE_AD_ID", "id"),
        ("AUTH_AZURE_AD_SECRET", "s"),
    ]);
    azure.one_mistake(&["missing: AUTH_AZURE_AD_TENANT_ID"]);
    for tenant in ["common", "organizations", "consumers", "a/b"] {
        azure
            .clone()
            .env(&[("AUTH_AZURE_AD_TENANT_ID", tenant)])
            .one_mistake(&["AUTH_AZURE_AD_TENANT_ID", tenant]);
    }
    let issuer = "https://login.microsoftonline.com/common/v2.0";
    azure
        .env(&[("AUTH_AZURE_AD_ISSUER", issuer)])
        .one_mistake(&["AUTH_AZURE_AD_ISSUER", "one tenant"]);
}

#[test]
fn a3_auth_secret() {
    assert_eq!(okta().load().auth_secrets[0].expose(), SECRET);
    okta()
        .without(&["AUTH_SECRET"])
        .one_mistake(&["missing: AUTH_SECRET", "openssl rand -base64 33"]);
    okta().env(&[("AUTH_SECRET", "short")]).one_mistake(&[
        "environment: AUTH_SECRET",
        "[redacted], 5 bytes",
        "32 bytes",
    ]);
    okta()
        .env(&[("AUTH_SECRET", &"ab".repeat(20))])
        .one_mistake(&["environment: AUTH_SECRET", "2 different characters"]);
    let published = "E/MAdDq0B1aX+MGNyVlEUk0WzRpCdimlCrUOKST1CxKH";
    okta()
        .env(&[("AUTH_SECRET", published)])
        .one_mistake(&["environment: AUTH_SECRET", "still the example value"]);
}

#[test]
fn a3_rotation() {
    let config =
        okta().env(&[("AUTH_SECRET_PREVIOUS", "the secret of last year, long enough")]).load();
    let secrets: Vec<_> = config.auth_secrets.iter().map(SecretText::expose).collect();
    assert_eq!(secrets, [SECRET, "the secret of last year, long enough"]);
    okta()
        .env(&[("AUTH_SECRET_PREVIOUS", "short")])
        .one_mistake(&["AUTH_SECRET_PREVIOUS", "5 bytes"]);
}

#[test]
fn a4_defaults() {
    let config = okta().load();
    assert_eq!(config.listen.to_string(), "0.0.0.0:3000");
    assert_eq!(config.public_url.as_str(), "http://localhost:3000");
    assert_eq!(config.store, StoreConfig::Sqlite { path: "/srv/portunus/mcp.sqlite".into() });
    assert_eq!(config.log.level, LevelFilter::INFO);
    assert!(!config.production);
}

#[test]
fn a4_port_base_url_and_database() {
    let config = okta().env(&[("PORT", "3055")]).load();
    assert_eq!((config.listen.port(), config.public_url.as_str()), (3055, "http://localhost:3055"));
    let config = okta()
        .env(&[("PORT", "443"), ("BASE_URL", "https://mcp.acme.com/"), ("HOST", "127.0.0.1")])
        .load();
    assert_eq!(
        (config.listen.to_string().as_str(), config.public_url.as_str()),
        ("127.0.0.1:443", "https://mcp.acme.com")
    );
    let config = okta().env(&[("DB_PATH", "/var/lib/mcp-gateway/mcp.sqlite")]).load();
    assert_eq!(
        config.store,
        StoreConfig::Sqlite { path: "/var/lib/mcp-gateway/mcp.sqlite".into() }
    );
    for bad in ["0", "70000", "http", "-1"] {
        okta().env(&[("PORT", bad)]).one_mistake(&["environment: PORT", bad, "from 1 to 65535"]);
    }
    okta().env(&[("HOST", "everywhere")]).one_mistake(&["environment: HOST", "everywhere"]);
    for bad in ["mcp.acme.com", "ftp://x", "https://mcp.acme.com/gateway", "https://mcp.acme.com?"]
    {
        okta().env(&[("BASE_URL", bad)]).one_mistake(&["environment: BASE_URL", bad]);
    }
}

#[test]
fn a4_token_expiration_is_in_milliseconds() {
    let config = okta().env(&[("TOKEN_EXPIRATION_TIME", "86400000")]).load();
    assert_eq!(config.lifetimes.access_token, Duration::from_secs(86_400));
    assert_eq!(okta().load().lifetimes.access_token, Duration::from_secs(3600));
    for bad in ["1h", "-1", "0", "3600000.5"] {
        okta()
            .env(&[("TOKEN_EXPIRATION_TIME", bad)])
            .one_mistake(&["environment: TOKEN_EXPIRATION_TIME", bad]);
    }
    let seconds = okta().env(&[("TOKEN_EXPIRATION_TIME", "86400")]);
    assert_eq!(
        seconds.load().lifetimes.access_token,
        Duration::from_millis(86_400),
        "milliseconds, as documented"
    );
    assert!(
        seconds.warnings().iter().any(|warning| warning.contains("86400 milliseconds are 1m 26s")),
        "{:?}",
        seconds.warnings()
    );
}

#[test]
fn a4_log_level_and_debug() {
    let cases: [(&[(&str, &str)], LevelFilter); 8] = [
        (&[("LOG_LEVEL", "debug")], LevelFilter::DEBUG),
        (&[("LOG_LEVEL", "WARN")], LevelFilter::WARN),
        (&[("LOG_LEVEL", "off")], LevelFilter::OFF),
        (&[("DEBUG", "mcp-gateway:*")], LevelFilter::DEBUG),
        (&[("DEBUG", "express:*,mcp-gateway:db")], LevelFilter::DEBUG),
        (&[("DEBUG", "mcp-gateway:*"), ("LOG_LEVEL", "trace")], LevelFilter::TRACE),
        (&[("DEBUG", "mcp-gateway:*"), ("LOG_LEVEL", "error")], LevelFilter::DEBUG),
        (&[("DEBUG", "express:*")], LevelFilter::INFO),
    ];
    for (variables, expected) in cases {
        assert_eq!(okta().env(variables).load().log.level, expected, "{variables:?}");
    }
    okta().env(&[("LOG_LEVEL", "loud")]).one_mistake(&[
        "environment: LOG_LEVEL",
        "`loud`",
        "`debug`",
    ]);
}

#[test]
fn a4_production_needs_https() {
    let production = okta().env(&[("NODE_ENV", "production")]);
    production.one_mistake(&["missing: BASE_URL"]);
    production.clone().env(&[("BASE_URL", "http://mcp.acme.com")]).one_mistake(&[
        "BASE_URL",
        "NODE_ENV=production",
        "https://",
    ]);
    for good in ["https://mcp.acme.com", "http://localhost:3000", "http://127.0.0.1:3000"] {
        assert!(production.clone().env(&[("BASE_URL", good)]).load().production);
    }
    let development = okta().env(&[("BASE_URL", "http://mcp.acme.com")]);
    development.load();
    assert!(development.warnings()[0].contains("tokens travel in the clear"));
}

#[test]
fn a5_an_env_file_that_is_just_there_does_not_override() {
    let given =
        okta().env(&[("PORT", "1000")]).file(".env", "PORT=2000\nBASE_URL=https://mcp.acme.com\n");
    let config = given.load();
    assert_eq!((config.listen.port(), config.public_url.as_str()), (1000, "https://mcp.acme.com"));
}

#[test]
fn a5_an_env_file_that_was_asked_for_overrides() {
    let mut given =
        okta().env(&[("PORT", "1000")]).file(".env", "PORT=2000\n").file("prod.env", "PORT=3001\n");
    given.args.envfile = Some("prod.env".into());
    assert_eq!(given.load().listen.port(), 3001);
    given.args.envfile = Some("none.env".into());
    given.one_mistake(&["command line: --envfile", "none.env"]);
}

#[test]
fn a5_the_production_example_of_the_guide() {
    let text = "NODE_ENV=production\nBASE_URL=https://mcp.acme.com\nPORT=443\n\n# Enhanced Security\n\
                TOKEN_EXPIRATION_TIME=3600000  # 1 hour\nDB_PATH=/var/lib/mcp-gateway/mcp.sqlite\n";
    let config = okta().file(".env", text).load();
    assert_eq!(config.lifetimes.access_token, Duration::from_secs(3600));
    assert_eq!(config.listen.port(), 443);
}

#[test]
fn a6_the_mcp_json_of_the_guide() {
    let text = r#"{
      "mcpServers": {
        "filesystem": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/workspace"], "env": {}},
        "github": {"command": "npx", "args": ["-y", "x"], "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "your-github-token"}},
      }
    }"#;
    let given = okta().mcp(text);
    let config = given.load();
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["filesystem", "github"]);
    let Transport::Stdio { command, args, env, cwd, .. } = &config.servers[1].transport else {
        panic!("stdio")
    };
    assert_eq!(
        (command.as_str(), args.as_slice(), cwd),
        ("npx", &["-y".to_owned(), "x".to_owned()][..], &None)
    );
    let [EnvPart::Text(token)] = &env["GITHUB_PERSONAL_ACCESS_TOKEN"].0[..] else {
        panic!("one text")
    };
    assert_eq!(token.expose(), "your-github-token");
    assert!(given.warnings()[0].contains("mcp.json:4"), "{:?}", given.warnings());
}

#[test]
fn a6_servers_on_http_and_our_own_keys() {
    let text = r#"{ // comments
      "servers": {
        "a": {"url": "http://localhost:4000/mcp"},
        "b": {"url": "http://localhost:4000/sse", "type": "sse", "headers": {"Authorization": "Bearer ${TOKEN}"}},
        "c": {"type": "stdio", "command": "./c", "cwd": "tools", "isolation": "shared", "request_timeout": 2.5, "idle_timeout": 60},
        "d": {"type": "streamable-http", "url": "https://d.example/mcp", "isolation": "session", "connect_timeout": 5,
              "pinning": "off", "era": "legacy"},
        "e": {"command": "e", "disabled": true},
      },
    }"#;
    let config = okta().mcp(text).env(&[("TOKEN", "s3cret")]).load();
    let [a, b, c, d] = &config.servers[..] else { panic!("{:?}", config.servers) };
    assert!(
        matches!(&a.transport, Transport::Http { url, headers } if url.path() == "/mcp" && headers.is_empty())
    );
    assert!(
        matches!(&b.transport, Transport::Sse { headers, .. } if headers[0].1.expose() == "Bearer s3cret")
    );
    assert!(
        matches!(&c.transport, Transport::Stdio { cwd: Some(cwd), .. } if cwd == "/srv/portunus/tools".as_ref() as &std::path::Path)
    );
    assert!(matches!(&d.transport, Transport::Http { .. }));
    assert_eq!(
        [a, b, c, d].map(|server| server.isolation),
        [Isolation::User, Isolation::User, Isolation::Shared, Isolation::Session]
    );
    assert_eq!(
        (c.request_timeout, c.idle_timeout),
        (Duration::from_millis(2500), Duration::from_secs(60))
    );
    assert_eq!(d.connect_timeout, Duration::from_secs(5));
    assert_eq!((a.era, d.era), (None, Some(Era::Legacy)));
    assert_eq!(
        [&c, &d].map(|server| config.pinning.of(&server.name)),
        [Pinning::Enforce, Pinning::Off]
    );
    let config = okta().yaml("pinning: warn\n").mcp(text).env(&[("TOKEN", "s3cret")]).load();
    assert_eq!(
        ["c", "d"].map(|name| config.pinning.of(&ServerName::parse(name).unwrap())),
        [Pinning::Warn, Pinning::Off]
    );
    assert_eq!(config.disabled_servers, ["e"]);
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a6_entries_that_need_mending() {
    let cases = [
        (r#"{"x": {}}"#, "exactly one of `command` and `url`"),
        (r#"{"x": {"command": "c", "url": "http://h"}}"#, "exactly one of `command` and `url`"),
        (r#"{"x": {"comand": "c"}}"#, "did you mean `command`?"),
        (r#"{"x": {"command": "c", "args": "-y"}}"#, "text | a list"),
        (
            r#"{"x": {"command": "c", "args": ["-p", 3000]}}"#,
            "x.args[1] | a number | text: put it in quotes",
        ),
        (r#"{"x": {"command": "c", "disabled": "yes"}}"#, "true or false, without quotes"),
        (r#"{"x": {"command": "c", "headers": {"A": "b"}}}"#, "no meaning with `command`"),
        (r#"{"x": {"command": "c", "type": "http"}}"#, "`stdio`, or no `type` at all"),
        (r#"{"x": {"command": ""}}"#, "the program to start"),
        (r#"{"x": {"url": "localhost:3000"}}"#, "an http or https URL"),
        (r#"{"x": {"url": "http://u:hunter2@h/"}}"#, "`http://[redacted]@h/`"),
        (
            r#"{"x": {"url": "http://h/", "type": "websocket"}}"#,
            "one of `stdio`, `http`, `streamable-http`, `sse`",
        ),
        (r#"{"x": {"url": "http://h/", "type": "stdio"}}"#, "`http` or `sse`"),
        (r#"{"x": {"url": "http://h/", "args": ["a"]}}"#, "no meaning with `url`"),
        (
            r#"{"x": {"url": "http://h/", "headers": {"Host": "a"}}}"#,
            "the gateway sets this one itself",
        ),
        (r#"{"x": {"url": "http://h/", "headers": {"A B": "a"}}}"#, "the name of a header"),
        (r#"{"x": {"url": "http://h/", "headers": {"A": "a\nb"}}}"#, "without line breaks"),
        (r#"{"x": {"url": "http://h/", "era": "2025-11-25"}}"#, "one of `legacy`, `modern`"),
        (
            r#"{"x": {"url": "http://h/", "isolation": "none"}}"#,
            "one of `user`, `shared`, `session`",
        ),
        (r#"{"x": {"url": "http://h/", "pinning": "on"}}"#, "one of `off`, `warn`, `enforce`"),
        (r#"{"x": {"url": "http://h/", "idle_timeout": 0}}"#, "more than 0"),
        (r#"{"x": {"url": "http://h/", "idle_timeout": "60"}}"#, "without quotes"),
        (r#"{"x y": {"command": "c"}}"#, "1 to 64 letters"),
        (r#"{"mcp": {"command": "c"}}"#, "this one is a scope"),
        (r#"{"x": {"command": "c"}, "x": {"command": "d"}}"#, "a second time"),
        (r#"{"x": {"command": "${input:token}"}}"#, "`${input:token}`"),
        (r#"{"x": []}"#, "a list | a group of keys: `command`"),
        (r#"{"x": {"command": "c", "env": {"A=B": "c"}}}"#, "a name without `=`"),
        (
            r#"{"x": {"command": "c", "env": {"A": "${user.name}"}}}"#,
            "`${user.sub}` or `${user.email}`",
        ),
        (r#"{"x": {"command": "c", "args": ["${user.sub}"]}}"#, "in a value of a server's `env`"),
        (
            r#"{"x": {"url": "https://h/", "headers": {"X-User": "${user.sub}"}}}"#,
            "in a value of a server's `env`",
        ),
        (
            r#"{"x": {"command": "c", "isolation": "shared", "env": {"A": "${user.sub}"}}}"#,
            "`isolation` `user` or `session`",
        ),
    ];
    for (servers, part) in cases {
        okta().mcp(&format!("{{\n\"mcpServers\":\n{servers}}}")).one_mistake(&["mcp.json:3", part]);
    }
    okta()
        .mcp(r#"{"mcpServers": {}, "servers": {}}"#)
        .one_mistake(&["exactly one of `mcpServers` and `servers`"]);
    okta().mcp("{}").one_mistake(&["exactly one of `mcpServers` and `servers`"]);
    okta().mcp("[]").one_mistake(&["mcp.json:1 | a list"]);
    okta().mcp("{\n  \"mcpServers\": {\n").one_mistake(&["mcp.json:2", "well-formed JSON"]);
}

#[test]
fn a6_another_mcp_json_by_flag() {
    let mut given = okta().file("custom/mcp.json", r#"{"mcpServers": {"a": {"command": "a"}}}"#);
    assert!(given.load().servers.is_empty(), "only ./mcp.json is found by itself");
    given.args.mcp_config = Some("custom/mcp.json".into());
    assert_eq!(given.load().servers.len(), 1);
    given.args.mcp_config = Some("nowhere.json".into());
    given.one_mistake(&["command line: --mcp-config", "nowhere.json"]);
}

#[test]
fn a7_callbacks_to_register_are_shown() {
    let text =
        crate::cli::summary::summary(&okta().env(&[("BASE_URL", "https://mcp.acme.com")]).load());
    assert!(text.contains("https://mcp.acme.com/auth/callback/okta\n"), "{text}");
    assert!(text.contains("https://mcp.acme.com/auth/signout\n"), "{text}");
}

#[test]
fn variables_of_a_child_may_speak_of_the_person() {
    let servers = r#"{"mcpServers": {"x": {"command": "c", "env": {
        "WHO": "<${user.sub}> ${user.email} ${SEED}", "PLAIN": "${SEED}", "LITERAL": "$${user.sub}"}}}}"#;
    let config = okta().env(&[("SEED", "${user.sub}")]).mcp(servers).load();
    let Transport::Stdio { env, .. } = &config.servers[0].transport else { panic!() };
    let told = |name: &str| {
        let part = |part: &EnvPart| match part {
            EnvPart::Text(text) => text.expose().to_owned(),
            EnvPart::Subject => "SUBJECT".to_owned(),
            EnvPart::Email => "EMAIL".to_owned(),
        };
        env[name].0.iter().map(part).collect::<String>()
    };
    assert_eq!(
        told("WHO"),
        "<SUBJECT> EMAIL ${user.sub}",
        "what a variable holds is not expanded again"
    );
    assert_eq!(told("PLAIN"), "${user.sub}");
    assert_eq!(told("LITERAL"), "${user.sub}");
    assert!(
        env["WHO"].is_personal() && !env["PLAIN"].is_personal() && !env["LITERAL"].is_personal()
    );
}
