//! OAuth clients: which may register or use a metadata document, and those of the configuration.

use portunus_core::{
    client::{ClientAuthMethod, ClientKeys, ClientSource, GrantType},
    oauth::registration_policy::{RegistrationMethod, RegistrationPolicy},
    redirect::Schemes,
    secret::TokenHash,
};

use super::okta;
use crate::{cli::summary, config::ClientsConfig};

const SECRET: &str = "a secret of thirty-two bytes or more";
const JWKS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AQ"}]}"#;

#[test]
fn nothing_said_means_every_way_is_open() {
    assert_eq!(okta().load().clients, ClientsConfig::default());
    assert_eq!(okta().yaml("clients: {}").load().clients, ClientsConfig::default());
}

#[test]
fn switches() {
    let text = "
clients:
  registration: {enabled: false, max_unused: 7}
  metadata_documents: {enabled: true, domains: [claude.ai, '*.acme.com'], proxy: 'http://me:s3cret@proxy.acme.com:3128'}
  families:
    - {name: cursor, client_name: Cursor, redirect_schemes: [cursor], redirect_hosts: [www.cursor.com], registration: true}
";
    let clients = okta().yaml(text).load().clients;
    assert!(!format!("{clients:?}").contains("s3cret"));
    let ClientsConfig { registration_policy, max_unused, configured, proxy } = clients;
    assert_eq!(proxy.unwrap().expose(), "http://me:s3cret@proxy.acme.com:3128");
    let by_variable =
        okta().env(&[("METADATA_DOCUMENTS_PROXY", "http://proxy:3128")]).load().clients.proxy;
    assert_eq!(by_variable.unwrap().expose(), "http://proxy:3128");
    assert_eq!((max_unused, configured.len()), (7, 0));
    assert!(
        !registration_policy.registration
            && registration_policy.metadata_documents
            && registration_policy.is_open(RegistrationMethod::Registration)
    );
    assert_eq!(registration_policy.domains.len(), 2);
    assert_eq!(
        (
            registration_policy.families[0].name.as_str(),
            registration_policy.families[0].registration
        ),
        ("cursor", Some(true))
    );
    let off = okta()
        .yaml("clients: {registration: {enabled: false}, metadata_documents: {enabled: false}}")
        .load()
        .clients
        .registration_policy;
    assert_eq!(
        off,
        RegistrationPolicy {
            registration: false,
            metadata_documents: false,
            ..RegistrationPolicy::default()
        }
    );
}

#[test]
fn clients_of_the_configuration() {
    let text = format!(
        "
clients:
  configured:
    - client_id: wiki
      name: The wiki
      redirect_uris: [https://wiki.acme.com/cb]
      secret_file: wiki.secret
      scopes: [mcp]
      trusted: true
    - {{client_id: cli, redirect_uris: ['http://127.0.0.1/cb'], auth_method: none, grant_types: [authorization_code]}}
    - {{client_id: post, redirect_uris: ['https://a.acme.com/'], auth_method: client_secret_post, secret_sha256: '{}'}}
",
        "AB".repeat(32)
    );
    let configured =
        okta().yaml(&text).file("wiki.secret", &format!("{SECRET}\n")).load().clients.configured;
    let [wiki, cli, post] = &configured[..] else { panic!("{configured:?}") };
    assert_eq!(
        (wiki.id.as_str(), wiki.display_name(), wiki.source),
        ("wiki", "The wiki", ClientSource::Configured)
    );
    assert_eq!(
        (wiki.auth_method, wiki.secret),
        (ClientAuthMethod::ClientSecretBasic, Some(TokenHash::of(SECRET)))
    );
    assert_eq!(wiki.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
    assert!(wiki.trusted && wiki.scopes.as_ref().unwrap().contains("mcp"));
    assert_eq!((cli.auth_method, cli.secret, cli.trusted), (ClientAuthMethod::None, None, false));
    assert_eq!(cli.grant_types, [GrantType::AuthorizationCode]);
    assert_eq!(
        (post.auth_method, post.secret),
        (ClientAuthMethod::ClientSecretPost, Some(TokenHash::from_bytes([0xAB; 32])))
    );
}

#[test]
fn clients_that_need_mending() {
    let base = "redirect_uris: ['https://a.acme.com/']";
    let long = "x".repeat(129);
    let hash = "0".repeat(63);
    let cases = [
        (format!("{{{base}}}"), "no `client_id`"),
        (format!("{{client_id: 'https://a.acme.com/c.json', {base}}}"), "no URL"),
        (format!("{{client_id: 'a b', {base}}}"), "letters, digits"),
        (format!("{{client_id: {long}, {base}}}"), "1 to 128"),
        (format!("{{client_id: ptn_client_x, {base}}}"), "does not start with `ptn_client_`"),
        (format!("{{client_id: agent-key, {base}}}"), "this one stands for agent keys"),
        (format!("{{client_id: a, {base}, secret: hunter2}}"), "[redacted], 7 bytes"),
        (
            format!("{{client_id: a, {base}, secret: {SECRET}, secret_sha256: 'x'}}"),
            "one of the two",
        ),
        (format!("{{client_id: a, {base}, secret: {SECRET}, secret_file: x}}"), "one of the two"),
        (format!("{{client_id: a, {base}, secret_sha256: '{hash}'}}"), "64 hexadecimal digits"),
        (format!("{{client_id: a, {base}, secret_sha256: '{hash}g'}}"), "64 hexadecimal digits"),
        (format!("{{client_id: a, {base}, auth_method: tls}}"), "one of `none`"),
        (format!("{{client_id: a, {base}, auth_method: client_secret_post}}"), "`secret_sha256`"),
        (
            format!("{{client_id: a, {base}, auth_method: none, secret: {SECRET}}}"),
            "no secret and no keys",
        ),
        (
            format!("{{client_id: a, {base}, grant_types: [implicit]}}"),
            "one of `authorization_code`",
        ),
        (format!("{{client_id: a, {base}, scopes: ['a b']}}"), "visible ASCII"),
        (format!("{{client_id: a, {base}, trusted: true}}"), "a way for it to prove itself"),
        ("{client_id: a}".to_owned(), "no `redirect_uris`"),
        ("{client_id: a, redirect_uris: ['http://a.acme.com/']}".to_owned(), "use https"),
        ("{client_id: a, redirect_uris: ['javascript:x']}".to_owned(), "safe"),
        (format!("{{client_id: a, {base}, jwks: 'x'}}"), "no JSON at line 1"),
        (
            format!(
                "{{client_id: a, {base}, jwks: '{{\"keys\": [{{\"kty\": \"oct\", \"k\": \"x\"}}]}}'}}"
            ),
            "public keys only",
        ),
        (format!("{{client_id: a, {base}, jwks_uri: 'http://a.acme.com/'}}"), "https URL"),
    ];
    for (client, part) in cases {
        let given = okta().yaml(&format!("clients:\n  configured:\n    - {client}\n"));
        let mistakes = given.mistakes();
        assert!(
            mistakes
                .iter()
                .any(|mistake| mistake.starts_with("config.yaml:3") && mistake.contains(part)),
            "{client}: {mistakes:#?}"
        );
        assert!(
            !mistakes.iter().any(|mistake| mistake.contains("hunter2") || mistake.contains(SECRET)),
            "{mistakes:#?}"
        );
    }
    let twice = format!(
        "clients:\n  configured:\n    - {{client_id: a, {base}}}\n    - {{client_id: a, {base}}}\n"
    );
    okta()
        .yaml(&twice)
        .one_mistake(&["config.yaml:4: clients.configured[1].client_id", "a second time"]);
}

#[test]
fn switches_that_need_mending() {
    let cases = [
        ("registration: {enabled: maybe}", "true or false"),
        ("registration: {max_unused: 0}", "1 at least"),
        ("registration: {max_unused: 1.5}", "a whole number"),
        ("registration: {max_unused: many}", "a whole number, without quotes"),
        ("metadata_documents: {domains: ['https://claude.ai']}", "*.app.example"),
        ("metadata_documents: {proxy: 'proxy.acme.com:3128'}", "http://host:port"),
        ("metadata_documents: {proxy: 'socks5://proxy.acme.com:3128'}", "http://host:port"),
        ("families: [{client_name: A, registration: true}]", "no `name`"),
        ("families: [{name: a, registration: true}]", "`redirect_hosts`"),
        ("families: [{name: a, client_name: A}]", "without a switch"),
        (
            "families: [{name: a, redirect_schemes: ['cursor://'], registration: true}]",
            "without `://`",
        ),
        ("families: [{name: a, redirect_hosts: ['https://a/'], registration: true}]", "no URL"),
        (
            "families: [{name: a, redirect_hosts: [localhost], registration: false}]",
            "every program on a person's computer",
        ),
    ];
    for (text, part) in cases {
        okta().yaml(&format!("clients:\n  {text}\n")).one_mistake(&["config.yaml:2", part]);
    }
}

#[test]
fn keys_are_for_assertions_only() {
    let of = |more: &str| {
        let text = format!(
            "clients: {{configured: [{{client_id: a, redirect_uris: ['https://a.acme.com/'], {more}}}]}}"
        );
        okta().yaml(&text).file("keys.json", JWKS)
    };
    of(&format!("jwks_file: keys.json, secret: {SECRET}, auth_method: client_secret_post"))
        .one_mistake(&["no keys with"]);
    if ClientAuthMethod::parse("private_key_jwt").is_some() {
        let configured = of("jwks_file: keys.json").load().clients.configured;
        assert_eq!(configured[0].auth_method, ClientAuthMethod::PrivateKeyJwt);
        assert_eq!(
            configured[0].keys,
            Some(ClientKeys::Inline(serde_json::from_str(JWKS).unwrap()))
        );
        of(&format!("jwks_file: keys.json, jwks: '{JWKS}'")).one_mistake(&["one of the two"]);
        of("jwks_file: keys.json, jwks_uri: 'https://a.acme.com/k'")
            .one_mistake(&["exclude each other"]);
        of("auth_method: private_key_jwt").one_mistake(&["`jwks_uri`"]);
    }
}

#[test]
fn the_doctor_lists_them_without_their_secrets() {
    let text = format!(
        "clients: {{families: [{{name: Cursor, client_name: Cursor, registration: false}}], configured: [{{client_id: wiki, name: The \
         wiki, redirect_uris: ['https://wiki.acme.com/cb'], secret: {SECRET}}}]}}"
    );
    let shown = summary::summary(&okta().yaml(&text).load());
    for part in [
        "wiki",
        "The wiki; client_secret_basic; authorization_code, refresh_token",
        "https://wiki.acme.com/cb",
        "registration off",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert!(!shown.contains(SECRET));
}

#[test]
fn t66_in_the_configuration_too() {
    for uri in [
        "https:evil.example",
        "https:///",
        "https://@",
        "HTTPS://app.example/cb",
        "https://app.example:/cb",
        "com.example.app:cb",
    ] {
        let text = format!("clients: {{configured: [{{client_id: a, redirect_uris: ['{uri}']}}]}}");
        let mistakes = okta().yaml(&text).mistakes();
        assert!(
            mistakes
                .iter()
                .any(|mistake| mistake.contains("redirect_uris") && mistake.contains(uri)),
            "{uri}: {mistakes:#?}"
        );
    }
}

#[test]
fn fb13_schemes_of_redirect_uris() {
    let yaml =
        "clients: {redirect_schemes: {add: [acme-editor], remove: [windsurf, com.evil.app]}}\n";
    let schemes = okta().yaml(yaml).load().clients.registration_policy.redirect_schemes;
    let mut expected = Schemes::default();
    expected.add("acme-editor").unwrap();
    expected.remove("windsurf").unwrap();
    expected.remove("com.evil.app").unwrap();
    assert_eq!(schemes, expected);
    let mistake = |yaml: &str, parts: &[&str]| {
        okta().yaml(&format!("clients: {{redirect_schemes: {{{yaml}}}}}\n")).one_mistake(parts);
    };
    mistake(
        "add: [javascript]",
        &["clients.redirect_schemes.add[0]", "`javascript`", "browsers run or open something"],
    );
    mistake("add: ['acme://']", &["`acme://`", "without `://`"]);
    mistake(
        "remove: [https]",
        &["clients.redirect_schemes.remove[0]", "those of the web are always allowed"],
    );
    // What an administrator writes for one client is allowed for that client.
    let configured =
        "clients: {configured: [{client_id: acme, redirect_uris: ['acme-editor:/cb']}]}\n";
    assert_eq!(
        okta().yaml(configured).load().clients.configured[0].redirect_uris[0].as_str(),
        "acme-editor:/cb"
    );
    let harmful =
        "clients: {configured: [{client_id: acme, redirect_uris: ['javascript:alert(1)']}]}\n";
    okta().yaml(harmful).one_mistake(&["`javascript:alert(1)`"]);
}
