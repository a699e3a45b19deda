//! Who may sign in at all: accounts that no rule names, look-alikes of those that one names, and
//! people who are named no longer.

use std::time::Duration;

use portunus_core::{
    admission::{AccountName, Allow, Domain, DomainOf, Organisation, Rule},
    ids::UserId,
};
use portunus_identity::Preset;
use portunus_testkit::{
    agent::{Agent, Landing, McpClient, Page, Request},
    github::{Account, FakeGithub},
    okta::{GroupsClaim, Options, Person},
};
use serde_json::json;

use super::agent_keys::key_for;
use crate::fixture::{GatewayFixture, Setup};

/// Longer than it takes on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn domains(names: &[&str]) -> Allow {
    Allow::Only(Rule {
        domains: names.iter().map(|name| Domain::parse(name).unwrap()).collect(),
        ..Rule::default()
    })
}

fn groups(names: &[&str]) -> Allow {
    Allow::Only(Rule {
        groups: names.iter().map(|&name| name.to_owned()).collect(),
        ..Rule::default()
    })
}

fn people(names: &[&str]) -> Allow {
    Allow::Only(Rule {
        people: names.iter().map(|name| AccountName::parse(name).unwrap()).collect(),
        ..Rule::default()
    })
}

fn organisations(names: &[&str]) -> Allow {
    let organisations = names.iter().map(|name| Organisation::parse(name).unwrap()).collect();
    Allow::Only(Rule { organisations, ..Rule::default() })
}

/// Has a new client ask for access in a new browser, with the person's consent, and gives where
/// that ends.
async fn try_to_sign_in(fixture: &GatewayFixture) -> (Landing, Agent) {
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let consent = client.begin(&browser, &client.authorization()).await.page();
    (consent.form("/auth/consent").submit([("decision", "allow")]).await, browser)
}

/// The account gets a page, and nothing else of any kind.
async fn refused(fixture: &GatewayFixture, user: &UserId, status: u16) -> Page {
    let (landing, browser) = try_to_sign_in(fixture).await;
    let page = landing.page().expect(status);
    assert!(browser.cookie("_login").is_none(), "{page:?}");
    assert!(page.text().contains(page.header("x-request-id")), "{page:?}");
    assert_eq!(
        fixture.stores().logins.find_user(user).await.unwrap(),
        None,
        "no record of a stranger"
    );
    assert!(!browser.open(&fixture.at("/")).await.page().text().contains("Sign out"));
    page
}

async fn admitted(fixture: &GatewayFixture) {
    let (landing, _) = try_to_sign_in(fixture).await;
    landing.returned().code();
}

/// An account of the Okta, in whatever shape the preset gives it.
fn account(username: &str, email: &str) -> Person {
    Person { email: email.to_owned(), ..Person::new(username, &[]) }
}

#[tokio::test]
async fn t53_a_domain_is_that_of_a_verified_address_and_nothing_like_it() {
    let fixture = GatewayFixture::of(Setup {
        preset: Preset::Oidc,
        allow: domains(&["acme.example"]),
        ..Setup::default()
    })
    .await;
    let refused_addresses = [
        "eve@acme.example.evil.example",
        "eve@evilacme.example",
        "eve@acme.example.",
        "eve@sub.acme.example",
        "eve@.acme.example",
        "eve@acme.example@evil.example",
        "eve@evil.example@acme.example",
        "eve@аcme.example",
        "eve@acme。example",
        "eve@acme.exampl",
        "\"eve@evil.example\"@acme.example",
        "eve",
        "",
    ];
    fixture.okta.sign_in_as("eve");
    for email in refused_addresses {
        fixture.okta.put_person(account("eve", email));
        refused(&fixture, &fixture.user("eve"), 403).await;
    }
    fixture.okta.put_person(Person { email_verified: false, ..account("eve", "eve@acme.example") });
    refused(&fixture, &fixture.user("eve"), 403).await;
    let claimed = vec![("email_verified".to_owned(), json!("yes"))];
    fixture.okta.put_person(Person { more_claims: claimed, ..account("eve", "eve@acme.example") });
    refused(&fixture, &fixture.user("eve"), 403).await;
    // A hosted domain is Google's to tell.
    let hosted = vec![("hd".to_owned(), json!("acme.example"))];
    fixture.okta.put_person(Person { more_claims: hosted, ..account("eve", "eve@evil.example") });
    refused(&fixture, &fixture.user("eve"), 403).await;
    assert_eq!(fixture.grants("eve").await, 0);
    for email in ["eve@acme.example", "EVE@ACME.EXAMPLE"] {
        fixture.okta.put_person(account("eve", email));
        admitted(&fixture).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn t53_at_google_the_signed_hosted_domain_decides_and_no_address() {
    let Allow::Only(rule) = domains(&["acme.example"]) else { unreachable!() };
    let allow = Allow::Only(Rule { domain_of: DomainOf::HostedDomain, ..rule });
    let fixture =
        GatewayFixture::of(Setup { preset: Preset::Google, allow, ..Setup::default() }).await;
    let hosted = |hd: serde_json::Value| Person {
        more_claims: vec![("hd".to_owned(), hd)],
        ..account("eve", "eve@acme.example")
    };
    fixture.okta.sign_in_as("eve");
    fixture.okta.put_person(account("eve", "eve@acme.example"));
    refused(&fixture, &fixture.user("eve"), 403).await;
    for hd in [
        json!("evil.example"),
        json!("sub.acme.example"),
        json!("acme.example.evil.example"),
        json!(["acme.example"]),
        json!(true),
    ] {
        fixture.okta.put_person(hosted(hd));
        refused(&fixture, &fixture.user("eve"), 403).await;
    }
    fixture.okta.put_person(hosted(json!("ACME.example")));
    admitted(&fixture).await;
    let user = fixture.stores().logins.find_user(&fixture.user("eve")).await.unwrap().unwrap();
    assert_eq!(user.hosted_domain.as_deref(), Some("ACME.example"));
    fixture.close().await;
}

#[tokio::test]
async fn t53_groups_of_gitlab_are_whole_paths() {
    let okta = Options { custom_groups: GroupsClaim::Userinfo, ..Options::default() };
    let fixture = GatewayFixture::of(Setup {
        preset: Preset::Gitlab,
        allow: groups(&["acme/platform"]),
        okta,
        ..Setup::default()
    })
    .await;
    fixture.okta.sign_in_as("eve");
    for has in [
        &[][..],
        &["acme"],
        &["platform"],
        &["acme/platform-guests"],
        &["evil/acme/platform"],
        &["acme/platform/sub"],
    ] {
        fixture.okta.put_person(Person::new("eve", has));
        refused(&fixture, &fixture.user("eve"), 403).await;
    }
    fixture.okta.put_person(Person::new("eve", &["acme", "acme/platform"]));
    admitted(&fixture).await;
    fixture.close().await;
}

#[tokio::test]
async fn t53_people_are_named_one_by_one() {
    let fixture = GatewayFixture::of(Setup {
        allow: people(&["bob@acme.example", "00u1judy"]),
        ..Setup::default()
    })
    .await;
    fixture.okta.put_person(account("judy", "someone@else.example"));
    for (username, is_named) in [("alice", false), ("bob", true), ("judy", true)] {
        fixture.okta.sign_in_as(username);
        if is_named {
            admitted(&fixture).await;
        } else {
            refused(&fixture, &fixture.user(username), 403).await;
        }
    }
    // Bob's address, in another profile.
    fixture.okta.put_person(Person { email_verified: false, ..account("eve", "bob@acme.example") });
    fixture.okta.sign_in_as("eve");
    refused(&fixture, &fixture.user("eve"), 403).await;
    fixture.close().await;
}

fn octocat() -> Account {
    Account {
        id: 583_231,
        login: "octocat".to_owned(),
        emails: vec![
            ("cat@home.example".to_owned(), true, true),
            ("cat@acme.example".to_owned(), false, true),
        ],
        ..Account::default()
    }
}

async fn github(account: Account, allow: Allow) -> (GatewayFixture, UserId) {
    let github = FakeGithub::start(account).await;
    let user = UserId::of(github.issuer(), "583231");
    let setup = Setup {
        github: Some(github),
        callback: "/auth/callback/github",
        allow,
        ..Setup::default()
    };
    (GatewayFixture::of(setup).await, user)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("org-{n}")).collect()
}

#[tokio::test]
async fn t53_organisations_and_teams_of_github() {
    let (mut fixture, user) = github(octocat(), organisations(&["acme"])).await;
    let many = [names(150), vec!["Acme".to_owned()]].concat();
    let strangers = [
        octocat(),
        Account { organisations: vec!["acme-labs".to_owned(), "evil".to_owned()], ..octocat() },
        // An invitation is no membership.
        Account { invited: vec!["acme".to_owned()], ..octocat() },
        Account { login: "acme".to_owned(), ..octocat() },
    ];
    for account in strangers {
        fixture.github.as_ref().unwrap().sign_in_as(account);
        refused(&fixture, &user, 403).await;
    }
    fixture.github.as_ref().unwrap().sign_in_as(Account { organisations: many, ..octocat() });
    admitted(&fixture).await;
    assert!(
        fixture.github.as_ref().unwrap().asked().contains(&"orgs 2".to_owned()),
        "it is on the second page"
    );

    fixture.allow = organisations(&["acme/platform"]);
    fixture.reload().await.unwrap();
    let team = |org: &str, slug: &str| Account {
        organisations: vec!["acme".to_owned()],
        teams: vec![(org.to_owned(), slug.to_owned())],
        ..octocat()
    };
    for (account, is_member) in [
        (team("acme", "guests"), false),
        (team("evil", "platform"), false),
        (team("evil", "acme/platform"), false),
        (team("Acme", "platform"), true),
    ] {
        fixture.github.as_ref().unwrap().sign_in_as(account.clone());
        let (landing, _) = try_to_sign_in(&fixture).await;
        match landing {
            Landing::Client(returned) if is_member => drop(returned.code()),
            Landing::Page(page) if !is_member => drop(page.expect(403)),
            other => panic!("{account:?}: {other:?}"),
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn t53_what_github_does_not_tell_is_not_made_up() {
    let member = Account { organisations: vec!["acme".to_owned()], ..octocat() };
    for status in [401, 403, 404, 429, 500, 503] {
        let (fixture, user) = github(member.clone(), organisations(&["acme"])).await;
        fixture.github.as_ref().unwrap().fail("orgs", status);
        let page = refused(&fixture, &user, 503).await;
        if status < 429 {
            assert!(page.text().contains("could not be checked"), "{status}: {page:?}");
            fixture.github.as_ref().unwrap().fail("orgs", 200);
            page.click("Try again").await.returned().code();
        }
        fixture.close().await;
    }
    // A list that goes on behind the last page that is read says nothing of who is not on it.
    let (fixture, user) =
        github(Account { organisations: names(1200), ..octocat() }, organisations(&["acme"])).await;
    refused(&fixture, &user, 503).await;
    assert!(
        fixture.github.as_ref().unwrap().asked().len() < 30,
        "{:?}",
        fixture.github.as_ref().unwrap().asked()
    );
    fixture.close().await;
    // Where the rule does not ask for it, it does not matter.
    let (fixture, _) = github(octocat(), people(&["583231"])).await;
    fixture.github.as_ref().unwrap().fail("orgs", 403);
    fixture.github.as_ref().unwrap().fail("emails", 404);
    admitted(&fixture).await;
    fixture.close().await;
}

#[tokio::test]
async fn t53_an_address_at_github_is_the_primary_one_if_it_is_verified() {
    let (fixture, user) = github(octocat(), domains(&["acme.example"])).await;
    refused(&fixture, &user, 403).await;
    for (primary, verified) in [(false, true), (true, false)] {
        let emails = vec![("cat@acme.example".to_owned(), primary, verified)];
        fixture.github.as_ref().unwrap().sign_in_as(Account { emails, ..octocat() });
        refused(&fixture, &user, 403).await;
    }
    fixture.github.as_ref().unwrap().fail("emails", 403);
    refused(&fixture, &user, 503).await;
    fixture.github.as_ref().unwrap().fail("emails", 200);
    let emails = vec![("cat@acme.example".to_owned(), true, true)];
    fixture.github.as_ref().unwrap().sign_in_as(Account { emails, ..octocat() });
    admitted(&fixture).await;
    fixture.close().await;
}

#[tokio::test]
async fn t53_the_page_says_which_account_it_was_and_offers_another() {
    let (fixture, user) = github(octocat(), organisations(&["acme"])).await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization().with("login_hint", "octocat");
    let consent = client.begin(&browser, &authorization).await.page();
    let page =
        consent.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(403);
    let text = page.text();
    for shown in [
        "cat@home.example",
        "Acme github",
        "583231",
        "the administrator of this gateway",
        "another account",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let line = "not among the organisations of the rule; the account has a verified address at home.example, no groups, sub 583231";
    assert!(fixture.log.text().contains(line), "the log says what was tried");
    assert!(!fixture.log.text().contains("cat@home.example"), "and no address");

    // The client is told only by the person.
    let told = page.click("Tell the application").await.returned();
    authorization.check(&told, &client.discovery);
    assert_eq!(told.find("error").as_deref(), Some("access_denied"));
    assert_eq!(told.find("code"), None);

    // The other account finishes the same request.
    fixture.github.as_ref().unwrap().sign_in_as(Account {
        organisations: vec!["acme".to_owned()],
        id: 7,
        ..octocat()
    });
    let returned = page.click("another account").await.returned();
    let asked = fixture.github.as_ref().unwrap().last_authorization();
    assert_eq!(asked.get("prompt").map(String::as_str), Some("select_account"));
    assert_eq!(asked.get("login"), None, "whom the client expected was refused just now");
    client.tokens(client.redeem(&authorization, &returned.code()).await);
    assert_eq!(fixture.stores().logins.find_user(&user).await.unwrap(), None);
    fixture.close().await;
}

/// A call with the token.
async fn status(fixture: &GatewayFixture, browser: &Agent, access: &str) -> u16 {
    let request = Request::post(&fixture.at("/mcp"))
        .header("content-type", "application/json")
        .bearer(access);
    browser.send(request.without_cookies().body("{}")).await.status.as_u16()
}

#[tokio::test]
async fn t53_a_rule_that_becomes_stricter_counts_for_those_who_are_in() {
    let mut fixture = GatewayFixture::of(Setup { preset: Preset::Oidc, ..Setup::default() }).await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let listen = Request::get(&mcp.url).without_cookies().bearer(&tokens.access);
    let listen =
        listen.header("accept", "text/event-stream").header("mcp-session-id", &mcp.session);
    let listening = tokio::spawn({
        let browser = browser.clone();
        async move { browser.send(listen).await }
    });
    // Nothing that the agent shows says that the stream is open.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!listening.is_finished());
    // One code is on its way to its client.
    let (late, authorization) = (fixture.client("/mcp").await, client.authorization());
    let late_authorization = late.authorization();
    let code = late.authorize(&browser, &late_authorization).await.code();

    fixture.allow = domains(&["other.example"]);
    fixture.reload().await.unwrap();
    assert_eq!(status(&fixture, &browser, &tokens.access).await, 401);
    tokio::time::timeout(PATIENCE, listening).await.expect("the stream ends").unwrap().expect(200);
    let answer = client.refresh(tokens.refresh()).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    let answer = late.redeem(&late_authorization, &code).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    // The login counts as none: the provider is asked, and the answer judged.
    let page = client.begin(&browser, &authorization).await.page();
    let page = page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(403);
    assert!(page.text().contains("alice@acme.example"), "{page:?}");
    let silent = client.authorization().with("prompt", "none");
    let answer = client.begin(&browser, &silent).await;
    match answer {
        Landing::Client(returned) => assert!(
            returned.find("code").is_none() && returned.find("error").is_some(),
            "{returned:?}"
        ),
        Landing::Page(page) => assert!(page.status.is_client_error(), "{page:?}"),
    }
    let home = browser.open(&fixture.at("/")).await.page().text();
    assert!(!home.contains("Sign out") && !home.contains("Alice"), "{home}");
    let tools = browser.send(Request::get(&fixture.at("/tools"))).await;
    assert_eq!(tools.status, 401);
    assert_eq!(fixture.grants("alice").await, 1, "nothing was made, and nothing is lost");

    // It was a slip: with the rule mended all goes on.
    fixture.allow = domains(&["other.example", "acme.example"]);
    fixture.reload().await.unwrap();
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    assert_ne!(status(&fixture, &browser, &tokens.access).await, 401);
    client.connect(&browser).await;
    fixture.close().await;
}

#[tokio::test]
async fn t53_who_leaves_a_group_loses_what_they_had_at_the_next_sign_in() {
    let fixture = GatewayFixture::of(Setup {
        preset: Preset::Oidc,
        allow: groups(&["engineering"]),
        ..Setup::default()
    })
    .await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    fixture.okta.put_person(Person::new("alice", &["sales"]));
    // The gateway has not heard of it yet.
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    let elsewhere = fixture.browser();
    let page = elsewhere.open(&fixture.at("/auth/signin")).await.page().expect(403);
    assert!(
        page.links().iter().all(|(text, _)| !text.contains("Tell the application")),
        "no client waits: {page:?}"
    );
    let user = fixture.stores().logins.find_user(&fixture.user("alice")).await.unwrap().unwrap();
    assert_eq!(user.groups, ["sales"], "the record says what the provider says");
    let answer = client.refresh(tokens.refresh()).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    assert!(
        !browser.open(&fixture.at("/")).await.page().text().contains("Sign out"),
        "the first browser's login counts no more"
    );

    fixture.okta.put_person(Person::new("alice", &["engineering"]));
    page.click("another account").await.page().expect(200);
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t53_people_of_a_provider_that_is_gone_or_another_one_are_admitted_no_more() {
    let mut fixture = GatewayFixture::of(Setup { preset: Preset::Oidc, ..Setup::default() }).await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let key = key_for(&fixture, "alice", &[], Duration::from_secs(3600)).await;
    let opens = async |fixture: &GatewayFixture| {
        let request = Request::get(&fixture.at("/tools")).without_cookies();
        let request = request.bearer(key.secret.expose());
        fixture.browser().send(request).await.status.as_u16()
    };
    assert_eq!(opens(&fixture).await, 200);
    // First another provider under the same name, then one under another. Access tokens live out
    // their hour, keys do not.
    fixture.org = true;
    fixture.reload().await.unwrap();
    assert_eq!(opens(&fixture).await, 401);
    assert_eq!(client.refresh(tokens.refresh()).await.error(), "invalid_grant");
    assert!(!browser.open(&fixture.at("/")).await.page().text().contains("Sign out"));
    fixture.org = false;
    fixture.github = Some(FakeGithub::start(octocat()).await);
    fixture.reload().await.unwrap();
    assert_eq!(client.refresh(tokens.refresh()).await.error(), "invalid_grant");
    assert_eq!(opens(&fixture).await, 401);
    fixture.github = None;
    fixture.reload().await.unwrap();
    assert_eq!(opens(&fixture).await, 200);
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}
