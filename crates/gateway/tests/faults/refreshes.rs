//! F12: a hundred refreshes of one token at once, at one gateway and at three that share a Redis:
//! one rotation, and nothing is revoked.

use std::collections::BTreeSet;

use futures::future::join_all;
use portunus_core::{ids::UserId, store::GrantsOf};
use portunus_testkit::{
    agent::{Agent, OAuthClient, Request},
    figures::Figures,
    redis::Server,
};

use super::program::{Program, Records, Surroundings};

const AT_ONCE: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_a_hundred_refreshes_at_a_gateway_on_sqlite_are_one_rotation() {
    let surroundings = Surroundings::prepare(Records::Sqlite, 1).await;
    at_all_of(&surroundings, 1, "sqlite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_a_hundred_refreshes_at_three_gateways_on_redis_are_one_rotation() {
    let server = Server::start(&[]);
    let surroundings =
        Surroundings::prepare(Records::Redis { address: server.address(), replicas: 0 }, 3).await;
    at_all_of(&surroundings, 3, "redis").await;
}

async fn at_all_of(surroundings: &Surroundings, gateways: usize, store: &str) {
    let mut programs = Vec::new();
    for n in 0..gateways {
        programs.push(Program::start(surroundings, n).await.0);
    }
    let browser = Agent::new();
    let client = OAuthClient::register(&browser, &surroundings.at("/guarded/")).await;
    let first = client.connect(&browser).await;
    // A client that was told of another address: each gateway's own.
    let at = |n: usize| {
        let mut client = client.clone();
        client.discovery.server["token_endpoint"] =
            format!("http://{}/auth/token", programs[n % gateways].address).into();
        client
    };
    let asked = (0..AT_ONCE).map(|n| {
        let (client, token) = (at(n), first.refresh().to_owned());
        tokio::spawn(async move { client.refresh(&token).await })
    });
    let answers: Vec<_> =
        join_all(asked).await.into_iter().map(|answer| client.tokens(answer.unwrap())).collect();
    let successors: BTreeSet<_> =
        answers.iter().map(|tokens| tokens.refresh().to_owned()).collect();
    let access: BTreeSet<_> = answers.iter().map(|tokens| tokens.access.clone()).collect();
    assert_eq!((successors.len(), access.len()), (1, 1), "one rotation, and one pair for all");
    for program in &programs {
        let call = Request::get(&format!("http://{}/guarded/", program.address));
        browser.send(call.without_cookies().bearer(access.first().unwrap())).await.expect(204);
    }
    let user = UserId::of(&surroundings.okta.custom_issuer("default"), "00u1alice");
    let grants =
        surroundings.stores().await.grants.list_grants(&GrantsOf::User(user), 10).await.unwrap();
    assert_eq!(grants.len(), 1, "nothing was revoked");
    let next = at(1).refresh(successors.first().unwrap()).await;
    client.tokens(next);
    Figures::of("F12", store, "refreshes of one token at once")
        .and("gateways", gateways)
        .exactly("refreshes", answers.len(), AT_ONCE)
        .exactly("rotations", successors.len(), 1)
        .exactly("families revoked", 1 - grants.len(), 0)
        .report();
}
