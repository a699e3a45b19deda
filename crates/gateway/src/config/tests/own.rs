//! Our own names: `config.yaml` beyond `proxies`, references to variables, secrets in files.

use std::time::Duration;

use portunus_core::{pins::Pinning, secret::SecretText};
use portunus_identity::settings::Preset;

use super::{SECRET, empty, okta};
use crate::config::{Limits, Names, StoreConfig};

const EVERYTHING: &str = r#"
$schema: ../docs/schema/config.schema.json
public_url: https://mcp.acme.com
listen: 127.0.0.1:9000
auth_secret_file: secrets/auth
auth_secret_previous: "the secret of last year, long enough"
providers:
  - preset: okta
    issuer: https://acme.okta.com
    client_id: 0oa1
    client_secret: ${OKTA}
    scopes: [openid, groups]
  - name: partners
    preset: keycloak
    issuer: https://kc.acme.com/realms/partners
    client_id: portunus
    client_secret_file: /run/secrets/keycloak
    groups_claim: roles
    label: Partners
    redirect_uri: https://mcp.acme.com/auth/callback
proxies:
  - pattern: /mcp/dice/
    target_url: http://localhost:${DICE:-4000}
store:
  sqlite:
    path: /var/lib/portunus/db.sqlite
names: plain
pinning: off
allowed_origins: ["https://app.acme.com", "http://localhost:6274"]
allowed_hosts: [gateway.internal, "10.1.2.3:9000"]
trusted_proxies: [10.0.0.0/8, "::1"]
log:
  level: debug
  format: text
limits:
  body: 1MiB
  children_per_user: 7
"#;

#[test]
fn every_key_of_config_yaml() {
    let given = empty()
        .yaml(EVERYTHING)
        .env(&[("OKTA", "s1")])
        .file("secrets/auth", &format!("{SECRET}\n"));
    let config = given.file("/run/secrets/keycloak", "s2\r\n").load();
    assert_eq!(config.public_url.as_str(), "https://mcp.acme.com");
    assert_eq!(config.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.auth_secrets.len(), 2);
    assert_eq!(config.limits.children_per_user, 7);
    assert_eq!(config.auth_secrets[0].expose(), SECRET);
    let [okta, partners] = &config.providers[..] else { panic!("{:?}", config.providers) };
    assert_eq!((okta.settings.name.as_str(), okta.settings.preset), ("okta", Preset::Okta));
    assert_eq!(okta.settings.client_secret.as_ref().map(SecretText::expose), Some("s1"));
    assert_eq!(
        (partners.settings.name.as_str(), partners.settings.preset),
        ("partners", Preset::Keycloak)
    );
    assert_eq!(partners.settings.client_secret.as_ref().map(SecretText::expose), Some("s2"));
    assert_eq!(partners.label.as_deref(), Some("Partners"));
    assert_eq!(config.proxies[0].target.as_str(), "http://localhost:4000/");
    assert_eq!(config.store, StoreConfig::Sqlite { path: "/var/lib/portunus/db.sqlite".into() });
    assert_eq!(config.names, Names::Plain);
    assert_eq!(config.pinning.general, Pinning::Off);
    assert_eq!(config.allowed_origins, ["https://app.acme.com", "http://localhost:6274"]);
    assert_eq!(config.allowed_hosts, ["gateway.internal", "10.1.2.3:9000"]);
    assert!(config.trusted_proxies[0].contains([10, 1, 1, 1].into()));
    assert_eq!(config.limits.body, 1 << 20);
}

#[test]
fn the_environment_wins_over_the_file() {
    let given = empty().yaml(EVERYTHING).env(&[("OKTA", "s1")]).file("secrets/auth", SECRET);
    let given = given.file("/run/secrets/keycloak", "s2").env(&[
        ("PUBLIC_URL", "https://other.acme.com"),
        ("PORT", "9001"),
        ("AUTH_SECRET", "another secret that is long enough, too"),
        ("AUTH_PROVIDER", "okta"),
        ("AUTH_OKTA_ID", "0oa2"),
        ("AUTH_OKTA_SECRET", "s3"),
        ("DB_PATH", "other.sqlite"),
        ("LOG_LEVEL", "error"),
        ("LOG_FORMAT", "json"),
    ]);
    let config = given.load();
    assert_eq!(config.public_url.as_str(), "https://other.acme.com");
    assert_eq!(config.listen.to_string(), "127.0.0.1:9001");
    assert_eq!(config.auth_secrets[0].expose(), "another secret that is long enough, too");
    assert_eq!(config.providers.len(), 1, "AUTH_PROVIDER chooses");
    let okta = &config.providers[0].settings;
    assert_eq!((okta.client_id.as_str(), okta.issuer.as_str()), ("0oa2", "https://acme.okta.com"));
    assert_eq!(okta.client_secret.as_ref().map(SecretText::expose), Some("s3"));
    assert_eq!(config.store, StoreConfig::Sqlite { path: "/srv/portunus/other.sqlite".into() });
    assert_eq!(config.log.level, tracing_subscriber::filter::LevelFilter::ERROR);
}

#[test]
fn secrets_in_files() {
    let file =
        [("AUTH_SECRET_FILE", "/run/secrets/auth"), ("AUTH_OKTA_SECRET_FILE", "okta.secret")];
    let given = okta().without(&["AUTH_SECRET", "AUTH_OKTA_SECRET"]).env(&file);
    let mistakes = given.mistakes();
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
    assert!(
        mistakes[0].contains("environment: AUTH_OKTA_SECRET_FILE | okta.secret: "),
        "{mistakes:#?}"
    );
    assert!(
        mistakes[1].contains("environment: AUTH_SECRET_FILE | /run/secrets/auth: "),
        "{mistakes:#?}"
    );
    let given = given
        .file("/run/secrets/auth", &format!("{SECRET}\n"))
        .file("okta.secret", "from a file\n");
    let config = given.load();
    assert_eq!(config.auth_secrets[0].expose(), SECRET);
    assert_eq!(
        config.providers[0].settings.client_secret.as_ref().map(SecretText::expose),
        Some("from a file")
    );
    given
        .env(&[("AUTH_SECRET", SECRET)])
        .one_mistake(&["environment: AUTH_SECRET_FILE", "one of the two"]);
}

#[test]
fn redis_in_the_file() {
    let text = "store:\n  redis:\n    url: redis://h:6379\n    password_file: pw\n";
    let given = okta().yaml(text).file("pw", "hunter2\n");
    let StoreConfig::Redis(redis) = given.load().store else { panic!("not Redis") };
    assert_eq!(redis.address.password, Some(SecretText::new("hunter2")));
    assert_eq!(
        (redis.address.to_string().as_str(), redis.prefix.as_str(), redis.replicas),
        ("redis://h:6379/0", "portunus", 0)
    );
    let text = "store: {redis: {url: 'redis://h', prefix: 'a:b', replicas: 2}}\n";
    assert!(
        matches!(okta().yaml(text).load().store, StoreConfig::Redis(redis) if redis.prefix == "a:b" && redis.replicas == 2)
    );
    let text = "store:\n  redis:\n    url: redis://h\n    prefix: '{a}'\n";
    okta().yaml(text).one_mistake(&[
        "config.yaml:4: store.redis.prefix",
        "`{a}`",
        "letters, digits",
    ]);
    let text = "store:\n  redis:\n    url: redis://h\n    replicas: 0\n";
    okta().yaml(text).one_mistake(&["config.yaml:4: store.redis.replicas", "`0`", "from 1 to 9"]);
    let text = "store:\n  redis:\n    url: redis+sentinel://u:hunter2@h\n";
    okta().yaml(text).one_mistake(&[
        "config.yaml:3: store.redis.url",
        "`redis+sentinel://[redacted]@h`",
        "the master's name",
    ]);
    okta().yaml("store:\n  redis: {}\n").one_mistake(&["config.yaml:2: store.redis", "no `url`"]);
    okta()
        .yaml("store:\n  redis: {url: 'redis://h'}\n  sqlite: {}\n")
        .one_mistake(&["exactly one of `sqlite` and `redis`"]);
}

#[test]
fn values_of_config_yaml_that_need_mending() {
    let cases = [
        ("listen: everywhere", "`everywhere`"),
        ("listen: 3000", "text: put it in quotes"),
        ("names: short", "one of `prefixed`, `plain`"),
        ("allowed_origins: ['*']", "no `*`"),
        ("allowed_origins: ['https://app.acme.com/path']", "no path"),
        ("allowed_hosts: ['https://app.acme.com']", "a host"),
        ("allowed_hosts: ['a b']", "a host"),
        ("trusted_proxies: ['10.0.0.1/8']", "10.0.0.0/8"),
        ("trusted_proxies: [proxy]", "an address range"),
        ("log: {level: loud}", "`trace`, `debug`"),
        ("log: {format: xml}", "`json`, `text`"),
        ("limits: {body: lots}", "512KiB"),
        ("limits: {body: 1}", "1KiB at least"),
        ("public_url: https://user:hunter2@x", "`https://[redacted]@x`"),
    ];
    for (text, part) in cases {
        okta().yaml(&format!("\n{text}\n")).one_mistake(&["config.yaml:2", part]);
    }
    let short = okta().without(&["AUTH_SECRET"]).yaml("auth_secret: hunter2");
    let mistakes = short.mistakes();
    assert!(
        mistakes[0].starts_with("config.yaml:1: auth_secret | [redacted], 7 bytes"),
        "{mistakes:#?}"
    );
    assert_eq!(mistakes.len(), 1);
}

#[test]
fn providers_of_the_file_that_need_mending() {
    let bare = empty().env(&[("AUTH_SECRET", SECRET)]);
    bare.clone()
        .yaml("providers: [{issuer: 'https://x'}]")
        .one_mistake(&["config.yaml:1", "without `name` and `preset`"]);
    bare.clone()
        .yaml("providers: [{name: Acme Corp}]")
        .one_mistake(&["config.yaml:1: providers[0].name", "small letters"]);
    bare.clone().yaml("providers: []").one_mistake(&["missing: AUTH_PROVIDER"]);
    let text = "providers:\n  - name: acme\n    client_id: x\n    client_secret: y\n";
    bare.clone().yaml(text).one_mistake(&[
        "config.yaml:2: providers[0] | no `issuer`",
        "AUTH_ACME_ISSUER",
        "none of the known",
    ]);
    let twice = "providers:\n  - {name: github, client_id: x, client_secret: y}\n  - {name: github, client_id: x, client_secret: y}\n";
    bare.clone().yaml(twice).one_mistake(&["config.yaml:3: providers[1].name", "already"]);
    let preset = "providers:\n  - {name: acme, preset: octa, issuer: 'https://x', client_id: x, client_secret: y}\n";
    bare.yaml(preset).one_mistake(&["config.yaml:2: providers[0].preset", "one of `okta`"]);
}

#[test]
fn a_public_client_is_possible_and_told() {
    let text = "providers:\n  - {name: acme, issuer: 'https://sso.acme.com', client_id: x}\n";
    let given = empty().env(&[("AUTH_SECRET", SECRET)]).yaml(text);
    assert!(given.load().providers[0].settings.client_secret.is_none());
    assert!(given.warnings().iter().any(|warning| warning.contains("public client")));
}

#[test]
fn limits_by_address() {
    assert_eq!(okta().load().limits, Limits::default());
    assert_eq!(
        okta().load().lifetimes.unused_client,
        Duration::from_secs(24 * 60 * 60),
        "strangers make them"
    );
    let text = "limits:\n  registration: 10/h\n  authorize: 5/s\n  token: unlimited\n  failures: 1000 / 10m\n";
    let limits = okta().yaml(text).load().limits;
    let shown =
        [limits.registration, limits.authorize, limits.token, limits.token_client, limits.failures];
    let shown = shown.map(|rate| rate.map(|rate| rate.to_string()));
    assert_eq!(
        shown.each_ref().map(Option::as_deref),
        [Some("10/1h"), Some("5/1s"), None, Some("300/1m"), Some("1000/10m")]
    );
    for bad in ["60", "0/m", "many", "60/fortnight", "60/2d"] {
        let given = okta().yaml(&format!("limits:\n  token: \"{bad}\"\n"));
        given.one_mistake(&["config.yaml:2: limits.token", bad, "such as 60/m"]);
    }
}

#[test]
fn t62_what_one_address_and_one_person_may_have_at_once() {
    let text = "limits:\n  body: 1MiB\n  connections_per_address: 1\n  connections_per_user: 2\n  requests_per_address: 3\n  requests_per_user: 4\n  \
                sign_ins_per_address: 5\n  bytes_per_user: 6MiB\n";
    let limits = okta().yaml(text).load().limits;
    let counts =
        (limits.connections_per_address, limits.connections_per_user, limits.requests_per_address);
    assert_eq!((counts, limits.requests_per_user, limits.sign_ins_per_address), ((1, 2, 3), 4, 5));
    assert_eq!(limits.bytes_per_user, 6 * 1024 * 1024);
    for name in [
        "connections_per_address",
        "connections_per_user",
        "requests_per_address",
        "requests_per_user",
        "sign_ins_per_address",
    ] {
        for bad in ["0", "-1", "1.5", "unlimited"] {
            let given = okta().yaml(&format!("limits:\n  {name}: {bad}\n"));
            given.one_mistake(&[&format!("config.yaml:2: limits.{name}"), bad]);
        }
    }
    // A message has to fit: what is set must be as large as one, and what is not set is.
    okta()
        .yaml("limits:\n  bytes_per_user: 1MiB\n")
        .one_mistake(&["config.yaml:2: limits.bytes_per_user", "limits.body is 4194304 bytes"]);
    assert_eq!(
        okta().yaml("limits:\n  body: 100MiB\n").load().limits.bytes_per_user,
        200 * 1024 * 1024
    );
}

#[test]
fn a_share_of_nothing_is_a_mistake() {
    for text in ["0", "-1", "1.5", "many"] {
        okta()
            .yaml(&format!("limits:\n  children_per_user: {text}\n"))
            .one_mistake(&["config.yaml:2", "a whole number"]);
    }
}

#[test]
fn how_long_connections_are_accepted_after_sigterm() {
    let redis = || okta().env(&[("KVS_ADDR", "localhost:6379")]);
    assert_eq!(okta().load().stop_delay, Duration::ZERO, "nobody else could take over");
    assert_eq!(redis().load().stop_delay, Duration::from_secs(5));
    assert_eq!(redis().yaml("stop_delay: 20s").load().stop_delay, Duration::from_secs(20));
    assert_eq!(
        redis().yaml("stop_delay: 20s").env(&[("STOP_DELAY", "0s")]).load().stop_delay,
        Duration::ZERO
    );
    okta().env(&[("STOP_DELAY", "5")]).one_mistake(&["STOP_DELAY", "a number with its unit"]);
    okta().env(&[("STOP_DELAY", "1h")]).one_mistake(&["STOP_DELAY", "from 0s to 5m"]);
}

#[test]
fn t54_a_callback_of_two_providers_is_a_mistake_if_answers_do_not_say_whose_they_are() {
    let of = |first: &str, second: &str| {
        let provider = |name: &str, preset: &str, callback: &str| {
            let realm = if preset == "keycloak" { "/realms/acme" } else { "" };
            format!(
                "  - {{name: {name}, preset: {preset}, issuer: 'https://{name}.example{realm}', client_id: c, client_secret: s, \
                 redirect_uri: 'https://gw.example{callback}'}}\n"
            )
        };
        let (one, two) =
            (provider("one", first, "/auth/callback"), provider("two", second, "/auth/callback"));
        let text = format!("public_url: https://gw.example\nproviders:\n{one}{two}");
        empty().env(&[("AUTH_SECRET", SECRET)]).yaml(&text)
    };
    for (first, second) in [("okta", "keycloak"), ("keycloak", "okta"), ("okta", "okta")] {
        let mistakes = of(first, second).mistakes();
        let told =
            mistakes.iter().any(|it| it.contains("/auth/callback/two") && it.contains("RFC 9207"));
        assert!(told, "{first} {second}: {mistakes:#?}");
    }
    let given = of("keycloak", "oidc");
    assert!(given.mistakes().is_empty(), "{:#?}", given.mistakes());
    assert!(
        given.warnings().iter().any(|warning| warning.contains("share the callback")),
        "{:#?}",
        given.warnings()
    );
}

#[test]
fn fb71_the_internal_address_of_a_provider() {
    let load = |value: &str| {
        okta().env(&[("AUTH_OKTA_INTERNAL_URL", value)]).load().providers[0]
            .settings
            .internal_url
            .clone()
    };
    assert_eq!(
        load("http://okta-proxy:8080").map(String::from).as_deref(),
        Some("http://okta-proxy:8080/")
    );
    assert_eq!(load("https://10.0.0.9").map(String::from).as_deref(), Some("https://10.0.0.9/"));
    assert!(okta().load().providers[0].settings.internal_url.is_none());
    for value in [
        "okta-proxy:8080",
        "http://okta-proxy/realms/x",
        "ftp://x",
        "http://u:p@x",
        "http://x?y",
        "x",
    ] {
        okta()
            .env(&[("AUTH_OKTA_INTERNAL_URL", value)])
            .one_mistake(&["environment: AUTH_OKTA_INTERNAL_URL", "http://keycloak:8080"]);
    }
    let yaml = "providers: [{name: github, client_id: x, client_secret: y, allow: anyone, internal_url: 'http://x'}]\n";
    let alone = empty().env(&[("AUTH_SECRET", SECRET)]).yaml(yaml);
    alone.one_mistake(&["providers[0].internal_url", "providers of OpenID Connect"]);
}
