//! Tables of cases for [`super`]: accounts and rules, and what becomes of each pair.

use super::*;
use crate::{
    clock::Timestamp,
    ids::{ProviderName, UserId},
};

fn person(email: &str, email_verified: bool, groups: &[&str]) -> User {
    User {
        id: UserId::of("https://idp.example", "583231"),
        provider: ProviderName::from_text("idp"),
        issuer: "https://idp.example".to_owned(),
        subject: "583231".to_owned(),
        name: None,
        email: (!email.is_empty()).then(|| email.to_owned()),
        email_verified,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        hosted_domain: None,
        no_groups: None,
        signed_in_at: Timestamp::from_secs(0),
        read_at: None,
    }
}

fn hosted(email: &str, hosted_domain: &str) -> User {
    User { hosted_domain: Some(hosted_domain.to_owned()), ..person(email, true, &[]) }
}

fn domains(names: &[&str]) -> Rule {
    Rule {
        domains: names.iter().map(|name| Domain::parse(name).unwrap()).collect(),
        ..Rule::default()
    }
}

fn organisations(names: &[&str]) -> Rule {
    Rule {
        organisations: names.iter().map(|name| Organisation::parse(name).unwrap()).collect(),
        ..Rule::default()
    }
}

fn people(names: &[&str]) -> Rule {
    Rule {
        people: names.iter().map(|name| AccountName::parse(name).unwrap()).collect(),
        ..Rule::default()
    }
}

fn groups(names: &[&str]) -> Rule {
    Rule { groups: names.iter().map(|&name| name.to_owned()).collect(), ..Rule::default() }
}

fn admits(rule: &Rule, user: &User) -> bool {
    Allow::Only(rule.clone()).decide(user).is_ok()
}

#[test]
fn t53_a_domain_is_that_of_a_verified_address_and_no_other() {
    let rule = domains(&["acme.com", "zürich.example"]);
    let admitted = [
        "alice@acme.com",
        "ALICE@ACME.COM",
        "alice@Acme.Com",
        "a@zürich.example",
        "a@xn--zrich-kva.example",
        "a@ZÜRICH.example",
    ];
    for email in admitted {
        assert!(admits(&rule, &person(email, true, &[])), "{email}");
        assert!(!admits(&rule, &person(email, false, &[])), "{email}, not verified");
    }
    let refused = [
        "",
        "alice",
        "alice@",
        "@acme.com",
        "alice@acme.com.evil.com",
        "alice@evilacme.com",
        "alice@acme.com.",
        "alice@.acme.com",
        "alice@sub.acme.com",
        "alice@acme.co",
        "alice@acme.com@evil.com",
        "alice@evil.com@acme.com",
        "\"a@b\"@acme.com",
        "alice@acme..com",
        "alice@acme,com",
        "alice@acme.com ",
        "alice@acme.com\0.evil.com",
        "alice@acme%2Ecom",
        "alice@acme。com",
        "alice@ａｃｍｅ.com",
        "alice@ac\u{ad}me.com",
        "alice@ac\u{200b}me.com",
        "alice@аcme.com",
        "alice@acme.com/",
        "alice@[acme.com]",
        "alice@acme.com:25",
        "alice@zurich.example",
        "alice@zürich.example.evil.com",
        "a b@acme.com",
    ];
    for email in refused {
        assert!(!admits(&rule, &person(email, true, &[])), "{email:?}");
    }
    assert!(
        !admits(&domains(&["ack.com"]), &person("a@ac\u{212a}.com", true, &[])),
        "a Kelvin sign is no k"
    );
}

#[test]
fn t53_at_google_the_hosted_domain_decides_alone() {
    let rule = Rule { domain_of: DomainOf::HostedDomain, ..domains(&["acme.com"]) };
    for (user, expected) in [
        (hosted("alice@acme.com", "acme.com"), true),
        (hosted("alice@acme-alias.com", "ACME.com"), true),
        (person("alice@acme.com", true, &[]), false),
        (hosted("alice@acme.com", "evil.com"), false),
        (hosted("alice@acme.com", "acme.com.evil.com"), false),
        (hosted("alice@acme.com", "sub.acme.com"), false),
        (hosted("alice@acme.com", "acme.com."), false),
        (hosted("alice@acme.com", ""), false),
    ] {
        assert_eq!(admits(&rule, &user), expected, "{user:?}");
    }
    assert!(
        !admits(&domains(&["acme.com"]), &hosted("alice@evil.com", "acme.com")),
        "and nowhere else"
    );
}

#[test]
fn t53_a_record_from_before_hosted_domains_were_kept_has_none() {
    let mut record = serde_json::to_value(hosted("alice@acme.com", "acme.com")).unwrap();
    assert_eq!(record["hosted_domain"], "acme.com");
    record.as_object_mut().unwrap().remove("hosted_domain");
    let user: User = serde_json::from_value(record).unwrap();
    let rule = Rule { domain_of: DomainOf::HostedDomain, ..domains(&["acme.com"]) };
    assert!(!admits(&rule, &user), "its person signs in once more");
}

#[test]
fn t53_groups_are_whole_and_organisations_do_not_tell_capitals() {
    let cases = [
        (groups(&["eng"]), &["eng"][..], true),
        (groups(&["eng"]), &["ENG"], false),
        (groups(&["eng"]), &["engineering", "eng-contractors", "not eng", "a/eng", "eng/a"], false),
        (groups(&["acme"]), &["acme/platform"], false),
        (groups(&["acme/platform"]), &["acme"], false),
        (groups(&["acme/platform"]), &["acme", "acme/platform"], true),
        (groups(&["acme/platform"]), &["evil/acme/platform"], false),
        (organisations(&["acme"]), &["Acme"], true),
        (organisations(&["ACME/Platform"]), &["acme", "acme/platform"], true),
        (
            organisations(&["acme/platform"]),
            &["acme", "acme/platform-guests", "evil/platform"],
            false,
        ),
        (organisations(&["acme"]), &["acme-labs", "acm", "evil/acme"], false),
        (organisations(&["acme"]), &[], false),
    ];
    for (rule, has, expected) in cases {
        assert_eq!(admits(&rule, &person("", false, has)), expected, "{rule:?} {has:?}");
    }
}

#[test]
fn t53_people_are_named_by_a_verified_address_or_by_their_subject() {
    let rule = people(&["alice@acme.com", "583231"]);
    assert!(admits(&people(&["alice@acme.com"]), &person("Alice@ACME.com", true, &[])));
    assert!(!admits(&people(&["alice@acme.com"]), &person("alice@acme.com", false, &[])));
    assert!(!admits(&people(&["alice@acme.com"]), &person("malice@acme.com", true, &[])));
    assert!(!admits(&people(&["alice@acme.com"]), &person("alice@acme.com.evil.com", true, &[])));
    assert!(!admits(&people(&["alice@acme.com"]), &person("alice+x@acme.com", true, &[])));
    assert!(admits(&rule, &person("", false, &[])), "by the subject");
    assert!(!admits(&people(&["58323", "5832310", "583231 "]), &person("", false, &[])));
    let subject_like_an_address =
        User { subject: "alice@acme.com".to_owned(), ..person("", false, &[]) };
    assert!(
        !admits(&people(&["alice@acme.com"]), &subject_like_an_address),
        "a subject is no address"
    );
    assert!(admits(&people(&["sub:alice@acme.com"]), &subject_like_an_address));
    for bad in ["", "@acme.com", "alice@", "a@b@acme.com", "alice@acme", "sub:", "a\nb"] {
        assert_eq!(AccountName::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn t53_any_way_will_do_and_an_empty_rule_admits_none() {
    let rule = Rule { groups: vec!["eng".to_owned()], ..domains(&["acme.com"]) };
    assert_eq!(
        Allow::Only(rule.clone()).decide(&person("a@acme.com", true, &[])),
        Ok(Some(Kind::Domains))
    );
    assert_eq!(
        Allow::Only(rule.clone()).decide(&person("a@evil.com", true, &["eng"])),
        Ok(Some(Kind::Groups))
    );
    assert_eq!(Allow::Anyone.decide(&person("", false, &[])), Ok(None));
    assert!(!admits(&Rule::default(), &person("a@acme.com", true, &["eng"])));
    let refused =
        Allow::Only(rule).decide(&person("a@evil.com", false, &["sales"])).unwrap_err().to_string();
    let expected = "not among the domains, groups of the rule; the account has an address at evil.com that the provider does not call \
                    verified, 1 groups (sales), sub 583231";
    assert_eq!(refused, expected);
}

#[test]
fn t53_what_was_not_read_matters_where_the_rule_asks_for_it() {
    let (email, groups_) =
        (Unread { email: true, groups: false }, Unread { email: false, groups: true });
    let hosted_domains = Rule { domain_of: DomainOf::HostedDomain, ..domains(&["acme.com"]) };
    for (rule, by_email, by_groups) in [
        (domains(&["acme.com"]), true, false),
        (hosted_domains, false, false),
        (people(&["alice@acme.com"]), true, false),
        (people(&["583231"]), false, false),
        (groups(&["eng"]), false, true),
        (organisations(&["acme"]), false, true),
    ] {
        let allow = Allow::Only(rule);
        assert_eq!(
            (allow.depends_on(email), allow.depends_on(groups_)),
            (by_email, by_groups),
            "{allow:?}"
        );
        assert!(!allow.depends_on(Unread::default()));
    }
    assert!(!Allow::Anyone.depends_on(Unread { email: true, groups: true }));
}

#[test]
fn t53_names_of_organisations_and_domains_are_names() {
    for good in ["acme", "Acme-Inc", "acme/platform", "acme_corp/team.a"] {
        assert!(Organisation::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "/",
        "acme/",
        "/team",
        "acme/a/b",
        "https://github.com/acme",
        "@acme",
        "acme corp",
        "*",
    ] {
        assert!(Organisation::parse(bad).is_none(), "{bad:?}");
    }
    for bad in [
        "",
        "com",
        "localhost",
        "*.acme.com",
        "@acme.com",
        "https://acme.com",
        "acme.com/x",
        "10.0.0.1",
        "[::1]",
        "-a.com",
        "a-.com",
    ] {
        assert_eq!(Domain::parse(bad), None, "{bad:?}");
    }
    assert_eq!(Domain::parse("ACME.com").unwrap().as_str(), "acme.com");
}

#[test]
fn fb24_t53_providers_where_anyone_can_have_an_account_are_known_by_their_issuer() {
    let open = [
        ("https://accounts.google.com", "Google"),
        ("https://accounts.google.com/", "Google"),
        ("https://ACCOUNTS.Google.com:443", "Google"),
        ("https://accounts.google.com.", "Google"),
        ("https://github.com", "GitHub"),
        ("https://www.github.com/", "GitHub"),
        ("https://api.github.com", "GitHub"),
        ("https://gitlab.com", "GitLab.com"),
        ("https://login.microsoftonline.com/consumers/v2.0", "Microsoft"),
        ("https://login.microsoftonline.com/common/v2.0", "Microsoft"),
        ("https://login.microsoftonline.com/organizations/v2.0", "Microsoft"),
        (
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "Microsoft",
        ),
        (
            "https://login.microsoftonline.com/9188040D-6C67-4C5B-B112-36A304B66DAD/v2.0/",
            "Microsoft",
        ),
        ("https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/", "Microsoft"),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "Microsoft"),
        ("https://login.microsoftonline.com", "Microsoft"),
        ("https://login.live.com", "Microsoft"),
        ("https://appleid.apple.com", "Apple"),
        ("https://www.linkedin.com/oauth", "LinkedIn"),
    ];
    for (issuer, name) in open {
        assert_eq!(open_to_anyone(issuer), Some(name), "{issuer}");
    }
    let closed = [
        "https://acme.okta.com",
        "https://github.acme.com",
        "https://acme.ghe.com",
        "https://gitlab.acme.com",
        "https://notgithub.com",
        "https://github.com.acme.com",
        "https://acme.com/github.com",
        "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
        "https://login.microsoftonline.com/acme.onmicrosoft.com/v2.0",
        "https://accounts.google.com.acme.com",
        "http://127.0.0.1:8080",
        "not a url",
    ];
    for issuer in closed {
        assert_eq!(open_to_anyone(issuer), None, "{issuer}");
    }
    for (domain, expected) in
        [("gmail.com", true), ("GMAIL.com", true), ("acme.com", false), ("mail.acme.com", false)]
    {
        assert_eq!(
            takes_addresses_of_anyone(&Domain::parse(domain).unwrap()),
            expected,
            "{domain}"
        );
    }
}
