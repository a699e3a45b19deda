//! One application never hears another (threats 49, 50, 51, 71): what a careless server asks, logs
//! and keeps about one reaches no other, be it another person's, another one of the same person, or
//! the same one in another session.

mod client;
mod server;

use std::{sync::Arc, time::Duration};

use portunus_core::{
    ids::ServerName,
    oauth::scopes::{Pattern, ScopeRule},
    scope::Scope,
};
use portunus_mcp::spec::Isolation;
use portunus_testkit::{
    agent::{Agent, OAuthClient},
    wait::eventually,
};
use serde_json::{Value, json};

use self::{
    client::App,
    server::{KINDS, Kind, Server},
};
use crate::fixture::{GatewayFixture, Setup};

const SERVER: &str = "careless";
/// How long the server may take to answer. Longer than any test, but for those of calls that time
/// out.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway with such a server, and its people.
struct IsolationFixture {
    gateway: GatewayFixture,
    server: Arc<Server>,
    kind: Kind,
}

impl IsolationFixture {
    async fn of(kind: Kind, isolation: Isolation, setup: Setup) -> Self {
        Self::with_timeout(kind, isolation, setup, PATIENCE).await
    }

    async fn with_timeout(
        kind: Kind,
        isolation: Isolation,
        setup: Setup,
        timeout: Duration,
    ) -> Self {
        let (server, spec) = Server::start(kind, SERVER, isolation, timeout).await;
        let gateway = GatewayFixture::of(Setup { more_servers: vec![spec], ..setup }).await;
        Self { gateway, server, kind }
    }

    async fn start(kind: Kind, isolation: Isolation) -> Self {
        Self::of(kind, isolation, Setup::default()).await
    }

    /// A token of a new client that this person signs in with.
    async fn token(&self, person: &str, path: &str) -> String {
        self.gateway.okta.sign_in_as(person);
        self.gateway.connect(path).await.2.access
    }

    fn path() -> String {
        format!("/mcp/{SERVER}")
    }

    async fn legacy(&self, name: &str, token: &str, path: &str) -> App {
        let app =
            App::legacy(name, &self.gateway.at(path), token, json!({"elicitation": {}})).await;
        drop(app.listen().await);
        app
    }

    fn modern(&self, name: &str, token: &str, path: &str) -> App {
        App::modern(name, &self.gateway.at(path), token)
    }
}

/// Names as they appear in what is about them.
fn secret_of(name: &str) -> String {
    format!("the secret of {name}")
}

/// None of the applications has seen what is about another.
fn assert_apart(kind: Kind, apps: &[App]) {
    for app in apps {
        for other in apps.iter().filter(|other| other.name != app.name) {
            let seen = app.seen();
            assert!(
                !seen.contains(&secret_of(&other.name)),
                "{kind:?}: {} saw of {}: {seen}",
                app.name,
                other.name
            );
        }
    }
}

#[tokio::test]
async fn t49_a_question_reaches_the_application_whose_call_it_is_about() {
    for kind in KINDS {
        let fixture = IsolationFixture::start(kind, Isolation::User).await;
        let path = IsolationFixture::path();
        let (editor, agent, bobs) = (
            fixture.token("alice", &path).await,
            fixture.token("alice", &path).await,
            fixture.token("bob", &path).await,
        );
        let apps = [
            fixture.legacy("Ada", &editor, &path).await,
            // The same client in another session.
            fixture.legacy("Bea", &editor, &path).await,
            fixture.legacy("Cid", &agent, &path).await,
            fixture.modern("Dot", &agent, &path),
            fixture.modern("Eve", &editor, &path),
            fixture.modern("Fay", &editor, &path),
            fixture.legacy("Gus", &bobs, &path).await,
            fixture.modern("Hal", &bobs, &path),
        ];
        for _ in 0..2 {
            let answers =
                futures::future::join_all(apps.iter().map(|app| app.call("ask", &app.name))).await;
            let expected: Vec<_> = apps.iter().map(|app| app.name.clone()).collect();
            assert_eq!(answers, expected, "{kind:?}");
        }
        assert_apart(kind, &apps);
        // Both in parallel, by one client: each call is answered for.
        let answers = futures::future::join_all((0..6).map(|_| apps[3].call("ask", "Dot"))).await;
        assert_eq!(answers, vec!["Dot"; 6], "{kind:?}");
        let answers = futures::future::join_all((0..6).map(|_| apps[0].call("ask", "Ada"))).await;
        assert_eq!(answers, vec!["Ada"; 6], "{kind:?}");
        fixture.gateway.close().await;
    }
}

/// What the server asks later about calls that are over reaches the client whose they were, or
/// none.
async fn assert_late_questions_stay_apart(fixture: &IsolationFixture, apps: &[App]) {
    let kind = fixture.kind;
    for app in apps {
        let answer = app.call("late", "").await;
        // Its own client answers, or none can be asked; a new connection has no past.
        let own = answer == app.name || answer.contains("nobody can be asked") || answer.is_empty();
        assert!(own, "{kind:?}, {}: {answer}", app.name);
    }
    assert_apart(kind, apps);
    for app in apps {
        assert_eq!(
            app.call("ask", &app.name).await,
            app.name,
            "{kind:?}: and questions go on being answered"
        );
    }
}

impl IsolationFixture {
    /// Two sessions of one client, the same client without one, and another client of the person.
    async fn company(&self) -> [App; 4] {
        let path = Self::path();
        let (editor, agent) = (self.token("alice", &path).await, self.token("alice", &path).await);
        [
            self.legacy("Ada", &editor, &path).await,
            self.legacy("Bea", &editor, &path).await,
            self.modern("Cid", &editor, &path),
            self.modern("Dot", &agent, &path),
        ]
    }
}

#[tokio::test]
async fn t49_what_is_asked_about_a_call_that_was_given_up_reaches_no_other_application() {
    for kind in KINDS {
        let fixture = IsolationFixture::start(kind, Isolation::User).await;
        let apps = fixture.company().await;
        for app in &apps {
            app.call("say", "").await;
            app.give_up("hang", &app.name, async || {
                tokio::time::sleep(Duration::from_millis(300)).await;
            })
            .await;
        }
        assert_late_questions_stay_apart(&fixture, &apps).await;
        fixture.gateway.close().await;
    }
}

#[tokio::test]
async fn t49_what_is_asked_about_a_call_that_timed_out_reaches_no_other_application() {
    let all = KINDS.map(async |kind| {
        let fixture = IsolationFixture::with_timeout(
            kind,
            Isolation::User,
            Setup::default(),
            Duration::from_secs(4),
        )
        .await;
        let apps = fixture.company().await;
        let hanging = apps.iter().map(|app| app.call("hang", &app.name));
        for answer in futures::future::join_all(hanging).await {
            assert!(answer.contains("in time"), "{kind:?}: {answer}");
        }
        assert_late_questions_stay_apart(&fixture, &apps).await;
        fixture.gateway.close().await;
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn t49_a_log_message_reaches_the_application_whose_call_it_is_about() {
    for kind in KINDS {
        let fixture = IsolationFixture::start(kind, Isolation::User).await;
        let path = IsolationFixture::path();
        let (editor, agent) =
            (fixture.token("alice", &path).await, fixture.token("alice", &path).await);
        let plain = App::legacy("Eli", &fixture.gateway.at(&path), &editor, json!({})).await;
        let plain_too = App::legacy("Fay", &fixture.gateway.at(&path), &editor, json!({})).await;
        drop((plain.listen().await, plain_too.listen().await));
        let apps = [
            fixture.legacy("Ada", &editor, &path).await,
            fixture.legacy("Bea", &editor, &path).await,
            fixture.legacy("Cid", &agent, &path).await,
            fixture.modern("Dot", &agent, &path),
            plain,
            plain_too,
        ];
        for _ in 0..2 {
            futures::future::join_all(
                apps.iter().map(async |app| app.call("say", &secret_of(&app.name)).await),
            )
            .await;
        }
        let hear_of_their_own =
            async || apps[..3].iter().all(|app| app.seen().contains(&secret_of(&app.name)));
        eventually(&format!("{kind:?}: each hears of its own"), hear_of_their_own).await;
        // What is still on its way to another one takes no longer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_apart(kind, &apps);
        fixture.gateway.close().await;
    }
}

#[tokio::test]
async fn t50_nothing_unnamed_of_a_shared_server_is_delivered_to_anybody() {
    for kind in KINDS {
        let fixture = IsolationFixture::start(kind, Isolation::Shared).await;
        let path = IsolationFixture::path();
        let (alices, bobs) =
            (fixture.token("alice", &path).await, fixture.token("bob", &path).await);
        let apps = [
            fixture.legacy("Ada", &alices, &path).await,
            fixture.modern("Bea", &alices, &path),
            fixture.legacy("Cid", &bobs, &path).await,
            fixture.modern("Dot", &bobs, &path),
        ];
        for app in &apps {
            // Also the only call there is.
            let answer = app.call("ask", &app.name).await;
            assert!(
                answer.contains("nobody can be asked") && answer.contains("shared"),
                "{kind:?}: {answer}"
            );
            assert_eq!(
                app.call("say", &secret_of(&format!("{:?} {}", kind, app.name))).await,
                "said"
            );
        }
        apps[0]
            .give_up("hang", "Ada", async || tokio::time::sleep(Duration::from_millis(300)).await)
            .await;
        let answer = apps[2].call("late", "").await;
        assert!(answer.is_empty() || answer.contains("nobody can be asked"), "{kind:?}: {answer}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        for app in &apps {
            assert!(
                !app.seen().contains("the secret of"),
                "{kind:?}: {} saw {}",
                app.name,
                app.seen()
            );
        }
        let log = fixture.gateway.log.text();
        assert!(
            log.contains(&secret_of(&format!("{kind:?} Ada"))),
            "{kind:?}: the gateway's log has what was said"
        );
        assert!(log.contains("a request of a server was refused"));
        fixture.gateway.close().await;
    }
}

/// What this application gets to know of a task in every way that there is.
async fn spied(app: &App, task: &str) -> Vec<Value> {
    let mut answers = Vec::new();
    for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update"] {
        answers.push(app.request(method, json!({"taskId": task})).await);
    }
    answers.push(app.request("tasks/list", json!({})).await);
    answers
}

#[tokio::test]
async fn t51_a_task_is_its_owners_in_every_view_and_after_a_restart() {
    for isolation in [Isolation::Shared, Isolation::User] {
        for kind in KINDS {
            // A child of one's own has no tasks of others.
            if kind == Kind::Stdio && isolation == Isolation::User {
                continue;
            }
            let mut fixture = IsolationFixture::start(kind, isolation).await;
            let views =
                [IsolationFixture::path(), "/mcp".to_owned(), format!("/mcp?server_name={SERVER}")];
            let mut owners = Vec::new();
            for (n, view) in views.iter().enumerate() {
                let tool = if view == "/mcp" { format!("{SERVER}_job") } else { "job".to_owned() };
                let resource = if n == 1 { "/mcp" } else { view };
                let token = fixture.token("alice", resource).await;
                let app = fixture.legacy("Ada", &token, view).await;
                let task = format!("task-{n}");
                let made = app
                    .request(
                        "tools/call",
                        json!({"name": tool, "arguments": {"who": task}, "task": {}}),
                    )
                    .await;
                assert_eq!(made["result"]["task"]["taskId"], json!(task), "{made}");
                owners.push((app, task, view.clone()));
            }
            for round in 0..2 {
                for person in ["alice", "bob"] {
                    for view in &views {
                        let token = fixture.token(person, view).await;
                        for app in [
                            fixture.legacy("Spy", &token, view).await,
                            fixture.modern("Spy", &token, view),
                        ] {
                            for (_, task, _) in &owners {
                                for answer in spied(&app, task).await {
                                    let text = answer.to_string();
                                    assert!(
                                        !text.contains("the secret of"),
                                        "{kind:?} {person} {view} round {round}: {text}"
                                    );
                                }
                            }
                            let got =
                                app.request("tasks/get", json!({"taskId": owners[0].1})).await;
                            assert!(got["error"].is_object(), "{got}");
                        }
                    }
                }
                for (app, task, view) in &owners {
                    let got = app.request("tasks/get", json!({"taskId": task})).await;
                    assert_eq!(
                        got["result"]["secret"],
                        json!(secret_of(task)),
                        "{kind:?} {view} round {round}: {got}"
                    );
                    let listed = app.request("tasks/list", json!({})).await;
                    let ids: Vec<_> = listed["result"]["tasks"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|task| task["taskId"].clone())
                        .collect();
                    assert_eq!(ids, [json!(task)], "{kind:?} {view} round {round}");
                }
                if round == 0 {
                    fixture.gateway.stop().await;
                    fixture.gateway.restart().await;
                }
            }
            fixture.gateway.close().await;
        }
    }
}

#[tokio::test]
async fn t50_t51_people_are_as_far_apart_at_two_nodes_as_at_one() {
    for kind in [Kind::Stdio, Kind::Http] {
        let mut fixture =
            IsolationFixture::of(kind, Isolation::Shared, Setup { nodes: 2, ..Setup::default() })
                .await;
        let path = IsolationFixture::path();
        let (alices, bobs) =
            (fixture.token("alice", &path).await, fixture.token("bob", &path).await);
        let there = fixture.gateway.at_node(1, &path);
        let ada = App::legacy("Ada", &there, &alices, json!({"elicitation": {}})).await;
        let bob = fixture.legacy("Bob", &bobs, &path).await;
        for app in [&ada, &bob] {
            let answer = app.call("ask", &app.name).await;
            assert!(answer.contains("nobody can be asked"), "{kind:?}: {answer}");
        }
        let made = ada
            .request(
                "tools/call",
                json!({"name": "job", "arguments": {"who": "task-a"}, "task": {}}),
            )
            .await;
        assert_eq!(made["result"]["task"]["taskId"], "task-a", "{made}");
        for app in [bob.clone(), bob.at(&there)] {
            assert!(
                !format!("{:?}", spied(&app, "task-a").await).contains("the secret of"),
                "{kind:?}"
            );
        }
        // Her node is gone, and she goes on at the other one.
        fixture.gateway.stop_node(1).await;
        let ada = ada.at(&fixture.gateway.at(&path));
        let got = ada.request("tasks/get", json!({"taskId": "task-a"})).await;
        assert_eq!(got["result"]["secret"], json!(secret_of("task-a")), "{kind:?}: {got}");
        assert!(
            !format!("{:?}", spied(&bob, "task-a").await).contains("the secret of"),
            "{kind:?}"
        );
        fixture.gateway.close().await;
    }
}

fn rule(name: &str, tool: &str) -> ScopeRule {
    ScopeRule {
        name: Scope::parse(name).unwrap(),
        description: format!("Do what {name} says"),
        server: Some(ServerName::parse(SERVER).unwrap()),
        tools: vec![Pattern::parse(tool).unwrap()],
        prompts: Vec::new(),
        resources: Vec::new(),
        includes: Vec::new(),
        ask_first: false,
    }
}

async fn granted(client: &OAuthClient, browser: &Agent, scope: &str) -> String {
    let authorization = client.authorization().with("scope", scope);
    let page = client.begin(browser, &authorization).await.page().expect(200);
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    client.tokens(client.redeem(&authorization, &code).await).access
}

#[tokio::test]
async fn t71_each_request_on_a_session_is_judged_by_its_own_token() {
    let scopes = vec![rule("careless:ask", "ask"), rule("careless:say", "say")];
    let fixture =
        IsolationFixture::of(Kind::Stdio, Isolation::User, Setup { scopes, ..Setup::default() })
            .await;
    fixture.gateway.okta.sign_in_as("alice");
    let path = IsolationFixture::path();
    let (client, browser) = (fixture.gateway.client(&path).await, fixture.gateway.browser());
    let asks = granted(&client, &browser, "careless:ask").await;
    let says = granted(&client, &browser, "careless:say").await;
    let ask =
        App::legacy("Ask", &fixture.gateway.at(&path), &asks, json!({"elicitation": {}})).await;
    let say = ask.with_token(&says);
    // At once, and in turns: neither lends the other anything.
    let many = (0..20).map(async |n| {
        let (app, own, other) =
            if n % 2 == 0 { (&ask, "ask", "say") } else { (&say, "say", "ask") };
        let (own, other) = tokio::join!(app.call(own, "Ask"), app.call(other, "Ask"));
        assert!(["Ask", "said"].contains(&own.as_str()), "{own}");
        assert!(other.contains("Not granted"), "{other}");
        let listed = app.request("tools/list", json!({})).await;
        assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 1, "{listed}");
    });
    futures::future::join_all(many).await;
    // What waits for input is retried by a client that may make the call.
    let modern = App::modern("Ask", &fixture.gateway.at(&path), &asks);
    let params = json!({"name": "ask", "arguments": {"who": "Ask"}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}});
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "ask")];
    let asked = modern
        .send(
            &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}),
            &headers,
        )
        .await;
    let asked: Value = serde_json::from_str(&asked.text().await.unwrap()).unwrap();
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let key = asked["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let mut retry = params.clone();
    retry["requestState"] = asked["result"]["requestState"].clone();
    retry["inputResponses"] = json!({key: {"action": "accept", "content": {"name": "Ask"}}});
    let retry = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": retry});
    let refused =
        App::modern("Say", &fixture.gateway.at(&path), &says).send(&retry, &headers).await;
    assert_eq!(refused.status(), 403);
    let answered = modern.send(&retry, &headers).await;
    let answered: Value = serde_json::from_str(&answered.text().await.unwrap()).unwrap();
    assert_eq!(
        answered["result"]["content"][0]["text"], "Ask",
        "the refusal used nothing up: {answered}"
    );
    assert!(fixture.server.connections() >= 1);
    assert_eq!(fixture.kind, Kind::Stdio);
    fixture.gateway.close().await;
}

/// A stream is judged by the token it is opened with, and so is a client that comes back to one
/// that broke.
#[tokio::test]
async fn t71_a_stream_that_broke_is_taken_up_only_with_a_token_for_its_call() {
    let scopes = vec![rule("careless:ask", "ask"), rule("careless:say", "say")];
    for kind in KINDS {
        let fixture = IsolationFixture::of(
            kind,
            Isolation::User,
            Setup { scopes: scopes.clone(), ..Setup::default() },
        )
        .await;
        fixture.gateway.okta.sign_in_as("alice");
        let path = IsolationFixture::path();
        let (client, browser) = (fixture.gateway.client(&path).await, fixture.gateway.browser());
        let asks = granted(&client, &browser, "careless:ask").await;
        let says = granted(&client, &browser, "careless:say").await;
        let ask =
            App::legacy("Ask", &fixture.gateway.at(&path), &asks, json!({"elicitation": {}})).await;
        let say = ask.with_token(&says);
        let (event, question) = ask.begin_and_break_off("ask", "Ask").await;
        assert_eq!(
            say.come_back(&event).await.status(),
            403,
            "{kind:?}: the call's answer is not for this token"
        );
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Say"}}});
        assert_eq!(say.send(&answer, &[]).await.status(), 403, "{kind:?}: nor is its question");
        let stream = ask.come_back(&event).await;
        assert_eq!(stream.status(), 200, "{kind:?}");
        ask.hear(question).await;
        let answer = ask.read(stream, &json!(1)).await.unwrap();
        assert_eq!(answer["result"]["content"][0]["text"], "Ask", "{kind:?}: {answer}");
        fixture.gateway.close().await;
    }
}

#[tokio::test]
async fn t71_a_listening_stream_carries_what_its_own_token_allows() {
    let other =
        ScopeRule { server: Some(ServerName::parse("uuid").unwrap()), ..rule("uuid:all", "*") };
    let scopes = vec![rule("careless:all", "*"), other];
    for kind in KINDS {
        let fixture = IsolationFixture::of(
            kind,
            Isolation::User,
            Setup { scopes: scopes.clone(), ..Setup::default() },
        )
        .await;
        fixture.gateway.okta.sign_in_as("alice");
        let (client, browser) = (fixture.gateway.client("/mcp").await, fixture.gateway.browser());
        let careless = granted(&client, &browser, "careless:all").await;
        let uuid = granted(&client, &browser, "uuid:all").await;
        let app = App::legacy("Ada", &fixture.gateway.at("/mcp"), &careless, json!({})).await;
        let stranger = app.with_token(&uuid);
        // The only stream there is, and not one for this.
        let elsewhere = stranger.listen().await;
        assert_eq!(app.call("careless_change", "").await, "changed", "{kind:?}");
        let own = app.with_token(&careless);
        let here = own.listen().await;
        eventually("the change is told", async || own.seen().contains("list_changed")).await;
        assert_eq!(stranger.seen(), "[]", "{kind:?}");
        elsewhere.abort();
        here.abort();
        fixture.gateway.close().await;
    }
}
