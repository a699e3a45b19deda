//! Who may sign in (threat 53): where it must be said, how it is said, and what must not be taken
//! for having said it.

use portunus_core::admission::{Allow, DomainOf, Kind, Organisation};

use super::{Given, SECRET, empty, okta};

/// A gateway that others reach, with this provider by its variables.
fn provider(name: &str, more: &[(&str, &str)]) -> Given {
    let start = format!("AUTH_{}", name.to_uppercase().replace('-', "_"));
    let [id, secret] = ["ID", "SECRET"].map(|end| format!("{start}_{end}"));
    let given = empty().env(&[
        ("AUTH_SECRET", SECRET),
        ("BASE_URL", "https://mcp.acme.com"),
        ("AUTH_PROVIDER", name),
    ]);
    given.env(&[(&id, "id"), (&secret, "s")]).env(more)
}

fn allow(given: &Given) -> Allow {
    given.load().providers[0].allow.clone()
}

/// The kinds of the rule, and how many there are of each.
fn kinds(given: &Given) -> Vec<Kind> {
    let Allow::Only(rule) = allow(given) else { panic!("no rule") };
    rule.kinds()
}

#[test]
fn fb24_t53_where_anyone_can_have_an_account_it_must_be_said_who_may_sign_in() {
    provider("github", &[]).one_mistake(&[
        "missing: AUTH_GITHUB_ALLOWED_ORGANISATIONS",
        "anyone in the world can have an account at GitHub",
        "AUTH_GITHUB_ALLOWED_ORGANISATIONS=acme",
        "AUTH_GITHUB_ALLOWED_DOMAINS=acme.com",
        "AUTH_GITHUB_ALLOWED_PEOPLE=alice@acme.com",
        "AUTH_GITHUB_ALLOW=anyone",
    ]);
    provider("google", &[]).one_mistake(&[
        "missing: AUTH_GOOGLE_ALLOWED_DOMAINS",
        "internal to your Workspace",
        "AUTH_GOOGLE_ALLOW=anyone",
    ]);
    provider("gitlab", &[]).one_mistake(&["missing: AUTH_GITLAB_ALLOWED_GROUPS", "GitLab.com"]);
    for tenant in ["9188040d-6c67-4c5b-b112-36a304b66dad", "9188040D-6C67-4C5B-B112-36A304B66DAD"] {
        let microsoft =
            provider("microsoft-entra-id", &[("AUTH_MICROSOFT_ENTRA_ID_TENANT_ID", tenant)]);
        microsoft.one_mistake(&["missing: AUTH_MICROSOFT_ENTRA_ID_ALLOWED_PEOPLE", "Microsoft"]);
        provider("azure-ad", &[("AUTH_AZURE_AD_TENANT_ID", tenant)])
            .one_mistake(&["missing: AUTH_AZURE_AD_ALLOWED_PEOPLE"]);
    }
    // The same providers by another name, or as a generic one.
    for issuer in [
        "https://accounts.google.com",
        "https://accounts.google.com/",
        "https://gitlab.com",
        "https://github.com",
        "https://login.microsoftonline.com/consumers/v2.0",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.live.com",
        "https://appleid.apple.com",
    ] {
        provider("oidc", &[("AUTH_OIDC_ISSUER", issuer)])
            .one_mistake(&["missing: AUTH_OIDC_ALLOWED_", "anyone in the world"]);
        provider("my-sso", &[("AUTH_MY_SSO_ISSUER", issuer)])
            .one_mistake(&["missing: AUTH_MY_SSO_ALLOWED_"]);
        provider("auth0", &[("AUTH_AUTH0_ISSUER", issuer)])
            .one_mistake(&["missing: AUTH_AUTH0_ALLOWED_"]);
    }
}

#[test]
fn t53_a_companys_own_provider_needs_no_rule() {
    for (name, issuer) in [
        ("github", "https://github.acme.com"),
        ("github", "https://acme.ghe.com"),
        ("gitlab", "https://gitlab.acme.com"),
        ("oidc", "https://sso.acme.com"),
        ("auth0", "https://acme.eu.auth0.com/"),
        ("azure-ad", "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"),
        ("okta", "https://acme.okta.com"),
    ] {
        let issuer_name = format!("AUTH_{}_ISSUER", name.to_uppercase().replace('-', "_"));
        assert_eq!(allow(&provider(name, &[(&issuer_name, issuer)])), Allow::Anyone, "{issuer}");
    }
}

#[test]
fn fb24_t53_a_first_try_on_ones_own_machine_is_warned_about() {
    for url in ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"] {
        let given = provider("google", &[("BASE_URL", url)]);
        assert_eq!(allow(&given), Allow::Anyone);
        let warnings = given.warnings();
        assert!(
            warnings.iter().any(|warning| warning.contains("AUTH_GOOGLE_ALLOWED_DOMAINS=acme.com")),
            "{warnings:?}"
        );
    }
    assert_eq!(allow(&provider("google", &[]).without(&["BASE_URL"])), Allow::Anyone);
    for url in ["http://gateway.local:3000", "https://10.0.0.5", "https://localhost.acme.com"] {
        provider("google", &[("BASE_URL", url)]).one_mistake(&["AUTH_GOOGLE_ALLOWED_DOMAINS"]);
    }
}

#[test]
fn t53_anyone_is_said_in_as_many_words() {
    for word in ["anyone", "Anyone", " ANYONE "] {
        let given = provider("google", &[("AUTH_GOOGLE_ALLOW", word)]);
        assert_eq!(allow(&given), Allow::Anyone);
        assert!(
            given.warnings().iter().all(|warning| !warning.contains("ALLOW")),
            "{:?}",
            given.warnings()
        );
    }
    for word in ["all", "everyone", "true", "*", "yes", "acme.com"] {
        provider("google", &[("AUTH_GOOGLE_ALLOW", word)]).one_mistake(&[
            "AUTH_GOOGLE_ALLOW",
            word,
            "`anyone`",
        ]);
    }
    let both = [("AUTH_GOOGLE_ALLOW", "anyone"), ("AUTH_GOOGLE_ALLOWED_DOMAINS", "acme.com")];
    provider("google", &both).one_mistake(&["AUTH_GOOGLE_ALLOW", "one of the two"]);
}

#[test]
fn t53_rules_by_variables() {
    let github = [
        ("AUTH_GITHUB_ALLOWED_ORGANISATIONS", "acme, Acme/Platform"),
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "acme.com ACME.example"),
        ("AUTH_GITHUB_ALLOWED_GROUPS", "Domain Users, eng"),
        ("AUTH_GITHUB_ALLOWED_PEOPLE", "alice@acme.com,583231 sub:7"),
    ];
    let Allow::Only(rule) = allow(&provider("github", &github)) else { panic!() };
    assert_eq!(rule.kinds(), [Kind::Domains, Kind::Groups, Kind::Organisations, Kind::People]);
    assert_eq!(
        rule.organisations.iter().map(Organisation::as_str).collect::<Vec<_>>(),
        ["acme", "acme/platform"]
    );
    assert_eq!(rule.groups, ["Domain Users", "eng"]);
    assert_eq!(
        rule.people.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["alice@acme.com", "sub:583231", "sub:7"]
    );
    assert_eq!(rule.domain_of, DomainOf::VerifiedEmail);
    assert_eq!(
        kinds(&provider("github", &[("AUTH_GITHUB_ALLOWED_ORGANIZATIONS", "acme")])),
        [Kind::Organisations]
    );
    for (name, more) in
        [("google", &[][..]), ("oidc", &[("AUTH_OIDC_ISSUER", "https://accounts.google.com")])]
    {
        let key = format!("AUTH_{}_ALLOWED_DOMAINS", name.to_uppercase());
        let Allow::Only(rule) = allow(&provider(name, more).env(&[(&key, "acme.com")])) else {
            panic!()
        };
        assert_eq!(rule.domain_of, DomainOf::HostedDomain, "{name}");
    }
    assert_eq!(
        kinds(&okta().env(&[("AUTH_OKTA_ALLOWED_GROUPS", "eng")])),
        [Kind::Groups],
        "any provider may have a rule"
    );
}

#[test]
fn t53_rules_in_the_file() {
    let github = |allow: &str| {
        let text = format!(
            "public_url: https://mcp.acme.com\nproviders:\n  - name: github\n    client_id: id\n    client_secret: s\n{allow}"
        );
        empty().env(&[("AUTH_SECRET", SECRET)]).yaml(&text)
    };
    github("").one_mistake(&[
        "config.yaml:3: providers[0]",
        "no `allow`",
        "`allow: { organisations: [acme]",
        "`allow: anyone`",
    ]);
    assert_eq!(allow(&github("    allow: anyone\n")), Allow::Anyone);
    let lists = "    allow:\n      domains: [acme.com]\n      groups: [eng]\n      organizations: [acme]\n      people: [alice@acme.com]\n";
    assert_eq!(
        kinds(&github(lists)),
        [Kind::Domains, Kind::Groups, Kind::Organisations, Kind::People]
    );
    for (text, place, part) in [
        ("    allow:\n", "providers[0].allow", "nothing"),
        ("    allow: {}\n", "config.yaml:6: providers[0].allow", "a rule that names nothing"),
        ("    allow: { domains: [] }\n", "providers[0].allow.domains", "an empty list"),
        (
            "    allow: { domains: [], people: [alice@acme.com] }\n",
            "providers[0].allow.domains",
            "an empty list",
        ),
        ("    allow: everyone\n", "config.yaml:6: providers[0].allow", "`anyone`"),
        ("    allow: true\n", "providers[0].allow", "`anyone`"),
        ("    allow: [acme.com]\n", "providers[0].allow", "`anyone`"),
        ("    allow: { domain: [acme.com] }\n", "providers[0].allow", "did you mean `domains`"),
        ("    allow: { domains: acme.com }\n", "providers[0].allow.domains", "a list"),
        ("    allow: { people: [583231] }\n", "providers[0].allow.people[0]", "put it in quotes"),
        (
            "    allow: { organisations: [a], organizations: [b] }\n",
            "providers[0].allow.organi",
            "one of the two",
        ),
    ] {
        let mistakes = github(text).mistakes();
        assert!(mistakes[0].contains(place) && mistakes[0].contains(part), "{text}: {mistakes:#?}");
    }
    github("    allow: { domains: [acme.com] }\n")
        .env(&[("AUTH_GITHUB_ALLOWED_PEOPLE", "")])
        .one_mistake(&["AUTH_GITHUB_ALLOWED_PEOPLE"]);
    let both =
        github("    allow: anyone\n").env(&[("AUTH_GITHUB_ALLOWED_PEOPLE", "alice@acme.com")]);
    assert_eq!(kinds(&both), [Kind::People], "the variables count alone");
    assert!(
        both.warnings().iter().any(|warning| warning.contains("providers[0].allow | not used")),
        "{:?}",
        both.warnings()
    );
}

#[test]
fn t53_what_was_meant_as_a_rule_never_lets_everyone_in() {
    // Set to nothing, or nearly the right name: a company's own provider would let in everyone it
    // knows.
    for (name, text) in [
        ("AUTH_OKTA_ALLOWED_DOMAINS", ""),
        ("AUTH_OKTA_ALLOWED_GROUPS", "  "),
        ("AUTH_OKTA_ALLOW", ""),
        ("AUTH_OKTA_ALLOWED_PEOPLE", ","),
    ] {
        okta().env(&[(name, text)]).one_mistake(&[&format!("environment: {name}")]);
    }
    for name in [
        "AUTH_OKTA_ALLOWED_DOMAIN",
        "AUTH_OKTA_ALLOW_GROUPS",
        "AUTH_OKTA_ALLOWED_ORGS",
        "AUTH_OKTA_ALLOWLIST",
    ] {
        okta().env(&[(name, "x")]).one_mistake(&[
            name,
            "which is not read",
            "`AUTH_OKTA_ALLOWED_DOMAINS`",
        ]);
    }
    let items = [
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "*.acme.com", "without `*`"),
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "com", "a domain, such as acme.com"),
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "@acme.com", "a domain, such as acme.com"),
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "acme.com.", "a domain, such as acme.com"),
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "https://acme.com", "a domain, such as acme.com"),
        ("AUTH_GITHUB_ALLOWED_DOMAINS", "gmail.com", "anyone can have an address at gmail.com"),
        ("AUTH_GITHUB_ALLOWED_PEOPLE", "octocat", "https://api.github.com/users/octocat"),
        ("AUTH_GITHUB_ALLOWED_PEOPLE", "a@b@acme.com", "an e-mail address"),
        ("AUTH_GITHUB_ALLOWED_ORGANISATIONS", "https://github.com/acme", "acme/platform"),
    ];
    for (name, text, part) in items {
        provider("github", &[(name, text)]).one_mistake(&[name, part]);
    }
    okta()
        .env(&[("AUTH_OKTA_ALLOWED_ORGANISATIONS", "acme")])
        .one_mistake(&["organisations at GitHub alone"]);
    let scopes =
        [("AUTH_GITHUB_SCOPES", "read:user"), ("AUTH_GITHUB_ALLOWED_ORGANISATIONS", "acme")];
    provider("github", &scopes).one_mistake(&["scopes without `read:org`"]);
    let scopes = [("AUTH_GITHUB_SCOPES", "read:org"), ("AUTH_GITHUB_ALLOWED_DOMAINS", "acme.com")];
    provider("github", &scopes).one_mistake(&["scopes without `user:email`"]);
}
