//! Lives of clients, codes, grants and tokens: a thousand random sequences of what clients, people,
//! thieves and time can do, at the running gateway with its real store, checked after every step
//! against the small model in [`model`].
//!
//! Chance is another one in each run. A failure says which, and shows the shortest sequence that
//! fails; `PORTUNUS_SEED` has it again.

mod model;

use std::{cell::RefCell, time::Duration};

use futures::future::join_all;
use portunus::{
    config::{ClientsConfig, Limits},
    os::OsEntropy,
};
use portunus_core::{
    Entropy as _,
    secret::{TokenKind, TokenSecret},
};
use portunus_testkit::{
    agent::{Agent, OAuthClient, Page, Request},
    okta::Person,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::model::{
    ACCESS, Access, CODE, Code, LOGIN, Model, PATHS, REFRESH, Refresh, Registered, SCOPES,
    answers_at,
};
use crate::fixture::{GatewayFixture, Setup};

const SEQUENCES: u32 = 1_000;
/// Sequences that are tried to find a shorter one that fails.
const SHORTENINGS: u32 = 400;

#[derive(Clone, Debug)]
enum Step {
    Register,
    /// For one of the resources and some of its scopes.
    Authorize {
        client: Index,
        path: usize,
        scope: usize,
        allow: bool,
    },
    Redeem {
        code: Index,
        how: How,
    },
    Refresh {
        token: Index,
        times: usize,
        narrower: bool,
        by_another: bool,
    },
    /// A client ends a token (RFC 7009).
    Revoke {
        token: Index,
        kind: Kind,
        by_another: bool,
    },
    /// The person ends what they allowed, on the front page.
    Disconnect {
        grant: Index,
    },
    Wait(i64),
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Soundly,
    WithAnotherVerifier,
    ByAnotherClient,
    ForAnotherResource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Access,
    Refresh,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let how = select(vec![
        How::Soundly,
        How::Soundly,
        How::Soundly,
        How::Soundly,
        How::WithAnotherVerifier,
        How::ByAnotherClient,
        How::ForAnotherResource,
    ]);
    prop_oneof![
        4 => Just(Step::Register),
        14 => (index(), 0..PATHS.len(), 0..SCOPES[0].len(), prop::bool::weighted(0.9))
            .prop_map(|(client, path, scope, allow)| Step::Authorize { client, path, scope, allow }),
        16 => (index(), how).prop_map(|(code, how)| Step::Redeem { code, how }),
        16 => (index(), select(vec![1, 1, 1, 1, 4]), prop::bool::weighted(0.3), prop::bool::weighted(0.1))
            .prop_map(|(token, times, narrower, by_another)| Step::Refresh { token, times, narrower, by_another }),
        6 => (index(), select(vec![Kind::Access, Kind::Refresh]), prop::bool::weighted(0.3))
            .prop_map(|(token, kind, by_another)| Step::Revoke { token, kind, by_another }),
        3 => index().prop_map(|grant| Step::Disconnect { grant }),
        8 => select(vec![1, 20, 31, CODE + 1, ACCESS + 1, LOGIN + 1, REFRESH + 1]).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

struct Life<'a> {
    fixture: &'a mut GatewayFixture,
    browser: Agent,
    model: Model,
}

impl Life<'_> {
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Register => self.register().await,
            Step::Authorize { client, path, scope, allow } => {
                self.authorize(
                    client.index(self.model.clients.len()),
                    *path,
                    SCOPES[*path][*scope],
                    *allow,
                )
                .await;
            }
            Step::Redeem { code, how } if !self.model.codes.is_empty() => {
                self.redeem(code.index(self.model.codes.len()), *how).await;
            }
            Step::Refresh { token, times, narrower, by_another }
                if !self.model.refresh.is_empty() =>
            {
                self.refresh(token.index(self.model.refresh.len()), *times, *narrower, *by_another)
                    .await;
            }
            Step::Revoke { token, kind, by_another } if !self.model.refresh.is_empty() => {
                match kind {
                    Kind::Access => {
                        self.revoke_access(token.index(self.model.access.len()), *by_another).await;
                    }
                    Kind::Refresh => {
                        self.revoke_refresh(token.index(self.model.refresh.len()), *by_another)
                            .await;
                    }
                }
            }
            Step::Disconnect { grant } if !self.model.grants.is_empty() => {
                self.disconnect(grant.index(self.model.grants.len())).await;
            }
            Step::Redeem { .. }
            | Step::Refresh { .. }
            | Step::Revoke { .. }
            | Step::Disconnect { .. } => {}
            Step::Wait(seconds) => {
                self.fixture.clock.advance(Duration::from_secs(u64::try_from(*seconds).unwrap()));
                self.model.now += seconds;
            }
            Step::Restart => {
                self.fixture.stop().await;
                self.fixture.restart().await;
            }
        }
    }

    async fn register(&mut self) {
        let client = OAuthClient::register(&self.browser, &self.fixture.at("/mcp")).await;
        self.model.clients.push(Registered { client, allowed: Default::default() });
    }

    /// The client proves nothing and is on the person's computer, so a person answers each time
    /// (threat 58): the whole question exactly when no person is signed in, or this one never
    /// allowed the client so much of this resource; else the short one.
    async fn authorize(&mut self, client: usize, path: usize, scope: &'static str, allow: bool) {
        let must_ask =
            !self.model.is_signed_in() || !self.model.clients[client].is_allowed(path, scope);
        let oauth = self.model.clients[client].client.clone();
        let authorization = oauth.authorization().with("resource", &self.fixture.at(PATHS[path]));
        let authorization =
            if scope.is_empty() { authorization } else { authorization.with("scope", scope) };
        let page = oauth.begin(&self.browser, &authorization).await.page();
        assert_eq!(page.text().contains("Continue with"), !must_ask, "{page:?}");
        let decision = if allow { "allow" } else { "deny" };
        let returned = page.form("/auth/consent").submit([("decision", decision)]).await.returned();
        if !allow {
            assert_eq!(returned.find("error").as_deref(), Some("access_denied"));
            return;
        }
        authorization.check(&returned, &oauth.discovery);
        self.model.allowed(client, path, scope);
        let expires = self.model.now + CODE;
        let text = returned.code();
        self.model.codes.push(Code {
            client,
            authorization,
            path,
            scope,
            text,
            expires,
            grant: None,
        });
    }

    /// A sound second use ends the grant; an unsound use changes nothing (threats 15, 16, 30).
    async fn redeem(&mut self, code: usize, how: How) {
        let Code { client, authorization, path, scope, text, expires, grant } =
            &self.model.codes[code];
        let other = (0..self.model.clients.len()).find(|other| other != client);
        let oauth = &self.model.clients[*client].client;
        let answer = match (how, other) {
            (How::Soundly, _) => oauth.redeem(authorization, text).await,
            (How::ByAnotherClient, Some(other)) => {
                self.model.clients[other].client.redeem(authorization, text).await
            }
            (How::ForAnotherResource, _) => {
                let elsewhere = self.fixture.at(PATHS[(path + 1) % PATHS.len()]);
                let answer =
                    oauth.redeem(&authorization.clone().with("resource", &elsewhere), text).await;
                assert_eq!(answer.status, 400, "{answer:?}");
                assert!(
                    ["invalid_grant", "invalid_target"].contains(&answer.error().as_str()),
                    "{answer:?}"
                );
                return;
            }
            _ => {
                oauth
                    .redeem(
                        &oauth.authorization().with("resource", &self.fixture.at(PATHS[*path])),
                        text,
                    )
                    .await
            }
        };
        if how != How::Soundly {
            return refused(&answer);
        }
        // However late (threat 70).
        if let Some(grant) = *grant {
            refused(&answer);
            self.model.grants[grant].is_revoked = true;
            return;
        }
        if self.model.now >= *expires {
            return refused(&answer);
        }
        let (client, path, scope) = (*client, *path, *scope);
        let access = self.model.clients[client].client.tokens(answer.clone()).access;
        let hash = TokenSecret::parse(TokenKind::Access, &access).unwrap().hash();
        let found = self
            .fixture
            .stores()
            .grants
            .find_access(&hash, portunus_core::Clock::now(&*self.fixture.clock))
            .await
            .unwrap();
        let id = found.expect("the token is in the store").grant.id;
        let grant = self.model.begin_grant(id, client, path, scope);
        self.model.codes[code].grant = Some(grant);
        self.keep(grant, scope, answer);
    }

    fn keep(&mut self, grant: usize, scope: &'static str, answer: Page) {
        let client = self.model.grants[grant].client;
        let tokens = self.model.clients[client].client.tokens(answer);
        let now = self.model.now;
        if self.model.access.iter().all(|access| access.text != tokens.access) {
            let text = tokens.access.clone();
            let expires = now + i64::try_from(tokens.expires_in).unwrap();
            self.model.access.push(Access { text, grant, scope, expires, is_revoked: false });
        }
        let text = tokens.refresh().to_owned();
        if self.model.refresh.iter().all(|refresh| refresh.text != text) {
            self.model.refresh.push(Refresh { text, grant, expires: now + REFRESH, used: None });
        }
    }

    /// One successor, however many ask; a used token gets the current pair for a day, and ends the
    /// grant after it (threat 17, F12, FB16). Scopes may become fewer.
    async fn refresh(&mut self, token: usize, times: usize, narrower: bool, by_another: bool) {
        let Refresh { text, grant, .. } = &self.model.refresh[token];
        let (text, grant) = (text.clone(), *grant);
        let client = self.model.grants[grant].client;
        let thief = (0..self.model.clients.len()).find(|other| by_another && *other != client);
        if let Some(thief) = thief {
            return refused(&self.model.clients[thief].client.refresh(&text).await);
        }
        let oauth = self.model.clients[client].client.clone();
        let whole = self.model.grants[grant].scope;
        let asked = whole.split(' ').next().filter(|first| narrower && !first.is_empty());
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &text)].into_iter();
        let fields: Vec<_> = fields.chain(asked.map(|scope| ("scope", scope))).collect();
        let answers =
            join_all((0..times).map(|_| oauth.token_request(fields.iter().copied()))).await;
        if !self.model.may_refresh(token) {
            answers.iter().for_each(refused);
            return;
        }
        for answer in answers {
            self.keep(grant, asked.unwrap_or(whole), answer.clone());
            let current = self.model.current(grant);
            assert_eq!(
                oauth.tokens(answer).refresh(),
                self.model.refresh[current].text,
                "the current one for all"
            );
            assert_ne!(current, token, "never the one that was used");
        }
        self.model.refresh[token].used.get_or_insert(self.model.now);
    }

    /// An access token ends alone; another client ends nothing (threat 16).
    async fn revoke_access(&mut self, token: usize, by_another: bool) {
        let Access { text, grant, .. } = &self.model.access[token];
        let (text, client) = (text.clone(), self.model.grants[*grant].client);
        if self.revoke(client, &text, by_another, self.model.is_live(token)).await {
            self.model.access[token].is_revoked = true;
        }
    }

    /// A refresh token ends its whole grant, used or not.
    async fn revoke_refresh(&mut self, token: usize, by_another: bool) {
        let Refresh { text, grant, .. } = &self.model.refresh[token];
        let (text, grant, is_known) = (text.clone(), *grant, self.model.is_known(token));
        let is_live = is_known && !self.model.grants[grant].is_revoked;
        let ended = self.revoke(self.model.grants[grant].client, &text, by_another, is_live).await;
        self.model.grants[grant].is_revoked |= ended && is_known;
    }

    /// Was it its own client?
    async fn revoke(&self, client: usize, text: &str, by_another: bool, is_live: bool) -> bool {
        let thief = (0..self.model.clients.len()).find(|other| by_another && *other != client);
        let asking = &self.model.clients[thief.unwrap_or(client)].client;
        let answer = asking.send("revocation_endpoint", [("token", text)]).await;
        match thief {
            None => assert_eq!(answer.status, 200, "{answer:?}"),
            Some(_) if is_live => refused(&answer),
            // What is not known (any more) is gone already.
            Some(_) => assert!([200, 400].contains(&answer.status.as_u16()), "{answer:?}"),
        }
        thief.is_none()
    }

    /// The grant ends, and its client has to ask again, for whatever it was allowed.
    async fn disconnect(&mut self, grant: usize) {
        if !self.model.is_signed_in() || self.model.grants[grant].is_revoked {
            return;
        }
        let home = self.browser.open(&self.fixture.at("/")).await.page().expect(200);
        // Grants that have ended are not shown, and may be all there are.
        if home.has_form("/auth/disconnect") {
            let id = self.model.grants[grant].id.to_string();
            home.form("/auth/disconnect").submit([("grant", id.as_str())]).await.page().expect(200);
            self.model.disconnected(grant);
        }
    }

    /// Do exactly those access tokens work that should, where they should? `places` of them are
    /// looked at, from one on that differs.
    async fn check(&self, tokens: impl Iterator<Item = usize>, places: usize) {
        for token in tokens {
            let Access { text, grant, scope, .. } = &self.model.access[token];
            let own = self.model.grants[*grant].path;
            let answers = answers_at(PATHS[own], scope, self.model.is_live(token));
            let first = text.bytes().map(usize::from).sum::<usize>() + self.model.codes.len();
            for (place, expected) in answers
                .iter()
                .copied()
                .cycle()
                .skip(first % answers.len())
                .take(places.min(answers.len()))
            {
                let request = Request::post(&self.fixture.at(place))
                    .header("content-type", "application/json")
                    .bearer(text);
                let answer = self.browser.send(request.without_cookies().body("{}")).await;
                // It is no message: 400 is what comes behind the door.
                assert_eq!(
                    answer.status, expected,
                    "a token for {scope:?} on {} at {place}: {answer:?}",
                    PATHS[own]
                );
            }
        }
    }
}

#[track_caller]
fn refused(answer: &Page) {
    assert_eq!(
        (answer.status.as_u16(), answer.error().as_str()),
        (400, "invalid_grant"),
        "{answer:?}"
    );
}

/// A life of a person who was not here before.
async fn live(fixture: &mut GatewayFixture, n: usize, steps: &[Step]) {
    let person = format!("life-{n}");
    fixture.okta.put_person(Person::new(&person, &["engineering"]));
    fixture.okta.sign_in_as(&person);
    let mut life = Life { browser: Agent::new(), model: Model::default(), fixture };
    life.register().await;
    for step in steps {
        life.take(step).await;
        let count = life.model.access.len();
        life.check((0..count).rev().take(2), 1).await;
    }
    life.check(0..life.model.access.len(), usize::MAX).await;
}

/// The number that `PORTUNUS_SEED` names, or another one each time.
fn seed() -> u64 {
    let any = || {
        let mut bytes = [0; 8];
        OsEntropy.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    };
    std::env::var("PORTUNUS_SEED").ok().map_or_else(any, |text| text.parse().unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "whoever wants to see the same again needs it")]
fn a_thousand_lives_agree_with_the_model() {
    let seed = seed();
    eprintln!("PORTUNUS_SEED={seed}");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // All of them come from one address.
    let clients = ClientsConfig { max_unused: u64::MAX, ..ClientsConfig::default() };
    let setup = Setup { limits: Limits::unlimited(), clients, ..Setup::default() };
    let fixture = RefCell::new(runtime.block_on(GatewayFixture::of(setup)));
    let bytes: Vec<u8> = seed.to_be_bytes().into_iter().cycle().take(32).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: SEQUENCES,
        max_shrink_iters: SHORTENINGS,
        failure_persistence: None,
        ..Config::default()
    };
    let lives = RefCell::new(0);
    let outcome = TestRunner::new_with_rng(config, rng).run(&vec(step(), 1..16), |steps| {
        *lives.borrow_mut() += 1;
        let n = *lives.borrow();
        // What it panics with is a failure like any other: a shorter sequence is looked for.
        runtime.block_on(live(&mut fixture.borrow_mut(), n, &steps));
        Ok::<_, TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("PORTUNUS_SEED={seed}: {failure}");
    }
    runtime.block_on(fixture.into_inner().close());
}
