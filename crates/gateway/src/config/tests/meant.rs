//! What was probably meant (FB55): names that are nearly right, names of the naming that was used,
//! what leads nowhere.

use super::{SECRET, empty, okta};

#[test]
fn fb55_a_provider_that_is_misspelt_is_one_mistake() {
    for (written, meant) in [("octa", "okta"), ("gogle", "google"), ("keyclock", "keycloak")] {
        let given = empty().env(&[("AUTH_SECRET", SECRET), ("AUTH_PROVIDER", written)]);
        given.one_mistake(&[
            "environment: AUTH_PROVIDER",
            &format!("`{written}`"),
            &format!("`{meant}`; or"),
        ]);
    }
    let own = [
        ("AUTH_SECRET", SECRET),
        ("AUTH_PROVIDER", "octa"),
        ("AUTH_OCTA_ID", "x"),
        ("AUTH_OCTA_SECRET", "y"),
    ];
    empty().env(&own).one_mistake(&["missing: AUTH_OCTA_ISSUER", "did you mean `okta`?"]);
    let whole = [&own[..], &[("AUTH_OCTA_ISSUER", "https://login.acme.com")]].concat();
    assert_eq!(
        empty().env(&whole).load().providers[0].settings.name.as_str(),
        "octa",
        "a provider of one's own"
    );
}

#[test]
fn fb55_what_is_missing_is_named_as_the_rest_was() {
    for (set, missing) in [
        (["OKTA_URL", "OKTA_CLIENT_SECRET"], "OKTA_CLIENT_ID"),
        (["OKTA_URL", "OKTA_CLIENT_ID"], "OKTA_CLIENT_SECRET"),
        (["OKTA_CLIENT_ID", "OKTA_CLIENT_SECRET"], "OKTA_URL"),
        (["OAUTH_OKTA_CLIENT_ID", "OAUTH_OKTA_CLIENT_SECRET"], "OAUTH_OKTA_URL"),
        (["AUTH_OKTA_ISSUER", "AUTH_OKTA_SECRET"], "AUTH_OKTA_ID"),
        (["AUTH_OKTA_ISSUER", "OKTA_CLIENT_SECRET"], "AUTH_OKTA_ID"),
    ] {
        let value = |name: &str| {
            if name.ends_with("URL") || name.ends_with("ISSUER") {
                "https://acme.okta.com"
            } else {
                "x1y2z3"
            }
        };
        let set = set.map(|name| (name, value(name)));
        let given = empty().env(&[("AUTH_SECRET", SECRET), ("AUTH_PROVIDER", "okta")]).env(&set);
        given.one_mistake(&[&format!("missing: {missing} |")]);
    }
}

#[test]
fn fb55_a_near_name_is_why_one_is_missing() {
    let given = empty().env(&[
        ("AUTH_SECRET", SECRET),
        ("AUTH_PROVIDER", "okta"),
        ("AUTH_OKTA_CLIENT_ID", "x"),
        ("AUTH_OKTA_SECRET", "y"),
        ("AUTH_OKTA_ISSUER", "https://acme.okta.com"),
    ]);
    given.one_mistake(&["missing: AUTH_OKTA_ID | AUTH_OKTA_CLIENT_ID, which is not read |"]);
    assert!(
        !given.warnings().join("\n").contains("CLIENT_ID"),
        "said once: {:?}",
        given.warnings()
    );
}

#[test]
fn fb55_variables_of_the_file_that_nothing_reads() {
    let mcp = r#"{"mcpServers": {"a": {"command": "a", "env": {"KEY": "${A_KEY}", "ME": "${A_ME:-x} ${user.sub}"}}}}"#;
    let given = okta().mcp(mcp).yaml("names: ${NAMES:-plain}\n");
    let told = given
        .file(
            ".env",
            "A_KEY=1\nA_ME=2\nNAMES=plain\nFOO_BAR=3\nAUTH_URL=x\nDB_PTAH=x\nOTHER=4\nPORT=3001\n",
        )
        .warnings();
    let unread: Vec<_> = told.iter().filter(|told| told.contains("nothing reads")).collect();
    assert_eq!(unread.len(), 1, "{told:#?}");
    assert!(unread[0].contains("FOO_BAR, OTHER:") && unread[0].starts_with(".env:4"), "{unread:?}");
    assert!(
        told.iter().any(|told| told.contains("DB_PTAH is not read: did you mean DB_PATH?")),
        "{told:#?}"
    );
    let of_process = okta().env(&[("FOO_BAR", "3"), ("DB_PTAH", "x")]).warnings().join("\n");
    assert!(
        !of_process.contains("FOO_BAR") && !of_process.contains("DB_PTAH"),
        "a process has variables of all kinds: {of_process}"
    );
}

#[test]
fn fb55_a_url_that_is_the_gateway_itself() {
    let told = |public: &str, listen: &str, url: &str| {
        let yaml = format!(
            "public_url: {public}\nlisten: '{listen}'\nproxies: [{{pattern: /p/, target_url: '{url}'}}]\n"
        );
        let given =
            okta().yaml(&yaml).mcp(&format!(r#"{{"mcpServers": {{"a": {{"url": "{url}"}}}}}}"#));
        assert!(given.mistakes().is_empty(), "{:?}", given.mistakes());
        given
            .warnings()
            .iter()
            .filter(|told| told.contains("leads back to the gateway itself"))
            .count()
    };
    let acme = "https://mcp.acme.com";
    for (public, listen, url) in [
        (acme, "0.0.0.0:3000", "https://mcp.acme.com/mcp"),
        (acme, "0.0.0.0:3000", "https://MCP.acme.com:443/mcp/github"),
        (acme, "0.0.0.0:3000", "https://mcp.acme.com"),
        (acme, "0.0.0.0:3000", "http://localhost:3000/anything"),
        (acme, "127.0.0.1:3000", "http://127.0.0.1:3000"),
        (acme, "[::]:3000", "http://[::1]:3000/mcp"),
        (acme, "10.0.0.9:80", "http://10.0.0.9/mcp"),
        (acme, "0.0.0.0:80", "http://gateway.localhost/mcp"),
    ] {
        assert_eq!(told(public, listen, url), 2, "{public}, {listen}: {url}");
    }
    for (public, listen, url) in [
        (acme, "0.0.0.0:3000", "https://mcp.acme.com/billing"),
        (acme, "0.0.0.0:3000", "https://mcp.acme.com/mcpx"),
        (acme, "0.0.0.0:3000", "http://localhost:3001/mcp"),
        (acme, "0.0.0.0:3000", "http://billing.acme.com:3000/mcp"),
        (acme, "10.0.0.9:3000", "http://127.0.0.1:3000/mcp"),
        (acme, "127.0.0.1:3000", "http://10.0.0.9:3000/mcp"),
    ] {
        assert_eq!(told(public, listen, url), 0, "{public}, {listen}: {url}");
    }
}

#[test]
fn fb55_plain_http_on_the_port_of_https() {
    let told = |public: &str, port: &str| {
        okta().env(&[("BASE_URL", public), ("PORT", port)]).warnings().join("\n")
    };
    assert!(told("https://mcp.acme.com", "443").contains("plain HTTP on port 443"));
    assert!(!told("https://mcp.acme.com", "8443").contains("plain HTTP"));
    assert!(!told("http://localhost:443", "443").contains("plain HTTP"));
}
