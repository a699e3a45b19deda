//! Which headers go on to a proxied service and back, as tables.

use super::*;

#[test]
fn t61_what_is_passed_on_every_route() {
    let passed = [
        "accept",
        "accept-encoding",
        "content-type",
        "content-encoding",
        "if-none-match",
        "range",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
        "last-event-id",
        "traceparent",
        "tracestate",
        "baggage",
        "user-agent",
        "idempotency-key",
    ];
    for name in passed {
        assert!(is_passed(name), "{name}");
    }
    let not = [
        "authorization",
        "cookie",
        "host",
        "origin",
        "referer",
        "from",
        "x-api-key",
        "x-custom",
        "x-acme-tenant",
        "x-whatever-user",
        "accept-",
        "mcp",
        "mcp_session_id",
        "mcp-session_id",
        "content-length",
        "connection",
        "content-location",
        "x-mcp-user",
        "",
    ];
    for name in not {
        assert!(!is_passed(name), "{name}");
    }
}

#[test]
fn t61_what_no_route_can_pass() {
    use Withheld::{Connection, Credential, Identity, Origin, Ours, Override, Underscore};
    let cases = [
        ("Authorization", Credential),
        ("Proxy-Authorization", Credential),
        ("Proxy-Anything", Credential),
        ("Cookie", Credential),
        ("DPoP", Credential),
        ("X-Serverless-Authorization", Credential),
        ("Connection", Connection),
        ("TE", Connection),
        ("Upgrade", Connection),
        ("Transfer-Encoding", Connection),
        ("Content-Length", Connection),
        ("Host", Origin),
        ("Forwarded", Origin),
        ("Via", Origin),
        ("X-Forwarded-For", Origin),
        ("X-Forwarded-User", Origin),
        ("X-Forwarded-Client-Cert", Origin),
        ("X-Real-IP", Origin),
        ("True-Client-IP", Origin),
        ("Origin", Origin),
        ("X-Original-URL", Override),
        ("X-Rewrite-URL", Override),
        ("X-HTTP-Method-Override", Override),
        ("X-Original-Method", Override),
        ("X-Portunus-User", Ours),
        ("X-Portunus-Anything", Ours),
        ("X-Request-ID", Ours),
        ("Portunus-Envelope", Ours),
        ("X-Remote-User", Identity),
        ("X-Remote-Group", Identity),
        ("X-Remote-Extra-Scopes", Identity),
        ("Remote-User", Identity),
        ("Remote-Groups", Identity),
        ("X-Auth-Request-Email", Identity),
        ("X-Goog-Authenticated-User-Email", Identity),
        ("X-Goog-IAP-JWT-Assertion", Identity),
        ("X-MS-CLIENT-PRINCIPAL", Identity),
        ("X-MS-CLIENT-PRINCIPAL-NAME", Identity),
        ("X-MS-TOKEN-AAD-ID-TOKEN", Identity),
        ("X-Amzn-Oidc-Data", Identity),
        ("X-Amzn-Mtls-Clientcert", Identity),
        ("Cf-Access-Jwt-Assertion", Identity),
        ("Cf-Access-Authenticated-User-Email", Identity),
        ("CF-Connecting-IP", Identity),
        ("X-WebAuth-User", Identity),
        ("Tailscale-User-Login", Identity),
        ("Ssl-Client-Cert", Identity),
        ("Ssl-Client-S-Dn", Identity),
        ("X-SSL-Client-DN", Identity),
        ("X-Authentik-Username", Identity),
        ("X-Pomerium-Jwt-Assertion", Identity),
        ("X-Vouch-User", Identity),
        ("Impersonate-User", Identity),
        ("X-Consumer-Username", Identity),
        ("X-Userinfo", Identity),
        ("Teleport-Jwt-Assertion", Identity),
        ("iv-user", Identity),
        ("OIDC-Claim-Email", Identity),
        ("Client-Cert", Identity),
        ("X-Auth-Username", Identity),
        ("X_Remote_User", Underscore),
        ("X-Acme_Tenant", Underscore),
        ("Remote_User", Underscore),
    ];
    for (name, why) in cases {
        let lower = name.to_ascii_lowercase();
        assert_eq!(withheld(&lower), Some(why), "{name}");
        assert!(!is_passed(&lower), "{name}");
        assert_eq!(
            HeaderPattern::parse(name),
            Err(BadHeaderPattern::Withheld(name.to_owned(), why)),
            "{name}"
        );
    }
}

#[test]
fn t61_what_a_route_may_pass() {
    let cases = [
        ("X-Acme-Tenant", "x-acme-tenant", true),
        ("x-acme-tenant", "x-acme-tenants", false),
        ("X-Acme-*", "x-acme-tenant", true),
        ("X-Acme-*", "x-acme-", true),
        ("X-Acme-*", "x-acme", false),
        ("X-Acme*", "x-acme", true),
        ("X-Api-Key", "x-api-key", true),
        ("Referer", "referer", true),
        ("X-Auth-Token", "x-auth-token", true),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(HeaderPattern::parse(pattern).unwrap().fits(name), expected, "{pattern} {name}");
    }
    for bad in ["", "X Acme", "X-Acme-*-Id", "*-Acme", "**", "X:", "X-Ac\u{e9}", "X-Acme\n", "(x)"]
    {
        assert_eq!(HeaderPattern::parse(bad), Err(BadHeaderPattern::Name), "{bad:?}");
    }
    for wide in
        ["*", "X-*", "x*", "A*", "Co*", "X-F*", "X-Auth-*", "X-Us*", "Prox*", "X-Goo*", "H*"]
    {
        assert!(matches!(HeaderPattern::parse(wide), Err(BadHeaderPattern::TooWide(..))), "{wide}");
    }
    for inside in [
        "X-Forwarded*",
        "X-User*",
        "X-Forwarded-*",
        "X-Forwarded-Acme-*",
        "X-Goog-A*",
        "Proxy-*",
        "x_acme_*",
    ] {
        assert!(
            matches!(HeaderPattern::parse(inside), Err(BadHeaderPattern::Withheld(..))),
            "{inside}"
        );
    }
}

#[test]
fn t61_the_lists_do_not_meet() {
    for pattern in PASSED {
        let name = pattern.trim_end_matches('*');
        assert_eq!(withheld(name), None, "{pattern}");
        for (_, names) in WITHHELD {
            assert!(
                !pattern.ends_with('*') || names.iter().all(|withheld| !withheld.starts_with(name)),
                "{pattern}"
            );
        }
    }
}
