//! The pool: who gets which connection, how many there are, and when they end.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{sync::Arc, time::Duration};

use portunus_mcp::{
    spec::{Isolation, ServerSpec},
    upstream::{Options, UpstreamError, Upstreams},
};
use serde_json::json;
use support::{
    call, client, connect, connection_user, eventually, fixture, is_running, name, pool, pool_with,
    quick, try_call,
};

async fn pid_for(pool: &Upstreams, user: &str, session: &str) -> String {
    let connection =
        pool.connection(&name("fixture"), &connection_user(user, session)).await.unwrap();
    call(&connection, "process", json!({})).await
}

#[tokio::test]
async fn isolation_decides_who_shares() {
    for (isolation, same_user, other_user) in [
        (Isolation::Shared, true, true),
        (Isolation::User, true, false),
        (Isolation::Session, false, false),
    ] {
        let mut fixture = fixture();
        fixture.isolation = isolation;
        let pool = pool(fixture);
        let first = pid_for(&pool, "ada", "1").await;
        assert_eq!(pid_for(&pool, "ada", "1").await, first, "{isolation:?}");
        assert_eq!(pid_for(&pool, "ada", "2").await == first, same_user, "{isolation:?}");
        assert_eq!(pid_for(&pool, "bob", "1").await == first, other_user, "{isolation:?}");
    }
}

#[tokio::test]
async fn one_start_serves_all_who_wait() {
    let pool = pool(fixture());
    let pids = futures::future::join_all((0..20).map(|_| pid_for(&pool, "ada", "1"))).await;
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_undo_the_start() {
    let pool = pool(fixture());
    assert!(tokio::time::timeout(Duration::from_millis(1), connect(&pool)).await.is_err());
    assert!(connect(&pool).await.is_ok());
}

#[tokio::test]
async fn unknown_servers_are_not_found() {
    let pool = pool(fixture());
    let outcome = pool.connection(&name("other"), &connection_user("ada", "1")).await;
    assert!(matches!(outcome, Err(UpstreamError::NotFound)));
}

#[tokio::test]
async fn idle_connections_end_and_busy_ones_do_not() {
    let mut fixture = fixture();
    fixture.idle_timeout = Duration::from_millis(300);
    let pool = pool(fixture);
    let connection = connect(&pool).await.unwrap();
    let pid = call(&connection, "process", json!({})).await;
    assert_eq!(call(&connection, "slow", json!({"steps": 4, "step_ms": 300})).await, "4 steps");
    let held = connection.hold();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(!connection.is_closed());
    drop(held);
    eventually("it is closed", || async { connection.is_closed() }).await;
    eventually("its child is gone", || async { !is_running(&pid) }).await;
    let again = connect(&pool).await.unwrap();
    assert_ne!(
        call(&again, "process", json!({})).await,
        pid,
        "an idle end is no failure: no pause"
    );
}

#[tokio::test]
async fn when_full_the_longest_idle_makes_room() {
    let mut fixture = fixture();
    fixture.isolation = Isolation::User;
    let pool = pool_with(fixture, Options { max_children: 2, ..quick() });
    let ada = pid_for(&pool, "ada", "1").await;
    let bob = pool.connection(&name("fixture"), &connection_user("bob", "1")).await.unwrap();
    let busy = try_call(&bob, "slow", json!({"steps": 1, "step_ms": 3000}));
    let (done, ()) = tokio::join!(busy, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let eve = pool.connection(&name("fixture"), &connection_user("eve", "1")).await.unwrap();
        assert!(!is_running(&ada));
        let _held = eve.hold();
        assert!(matches!(
            pool.connection(&name("fixture"), &connection_user("ada", "1")).await,
            Err(UpstreamError::TooMany)
        ));
    });
    assert!(done.is_ok());
    assert_ne!(pid_for(&pool, "ada", "1").await, ada, "being full is no failure: no pause");
}

#[tokio::test]
async fn t47_one_person_cannot_take_all_the_children() {
    let mut fixture = fixture();
    fixture.isolation = Isolation::Session;
    let pool = pool_with(fixture, Options { max_children: 4, max_children_per_user: 2, ..quick() });
    let connection = async |user: &str, session: &str| {
        pool.connection(&name("fixture"), &connection_user(user, session)).await
    };
    let (one, two) = (connection("ada", "1").await.unwrap(), connection("ada", "2").await.unwrap());
    let (hold_one, _hold_two) = (one.hold(), two.hold());
    let bob = connection("bob", "1").await.unwrap();
    let refused = connection("ada", "3").await.err();
    assert_eq!(
        refused,
        Some(UpstreamError::ShareUsedUp { limit: 2 }),
        "and bob's idle child does not end for it"
    );
    assert!(!bob.is_closed());
    connection("bob", "2").await.unwrap();
    drop(hold_one);
    let three = connection("ada", "3").await.unwrap();
    assert!(one.is_closed() && !two.is_closed(), "the idle one of her own made room");
    pool.close_session(&connection_user("ada", "3")).await;
    assert!(three.is_closed());
    eventually("its place is given back", || async { connection("ada", "4").await.is_ok() }).await;
    assert!(!two.is_closed() && !bob.is_closed());
}

#[tokio::test]
async fn closing_a_session_ends_its_own_connections() {
    let mut fixture = fixture();
    fixture.isolation = Isolation::Session;
    let pool = pool(fixture);
    let (one, two) = (pid_for(&pool, "ada", "1").await, pid_for(&pool, "ada", "2").await);
    pool.close_session(&connection_user("ada", "1")).await;
    assert!(!is_running(&one));
    assert!(is_running(&two));
    assert_eq!(pid_for(&pool, "ada", "2").await, two);
    assert_ne!(pid_for(&pool, "ada", "1").await, one);
}

#[tokio::test]
async fn dropping_the_pool_ends_the_children() {
    let pool = pool(fixture());
    let pid = pid_for(&pool, "ada", "1").await;
    drop(pool);
    eventually("it is gone", || async { !is_running(&pid) }).await;
}

#[tokio::test]
async fn a_new_configuration_leaves_what_it_does_not_change() {
    let (same, mut other) = (fixture(), ServerSpec { name: name("other"), ..fixture() });
    let pool = Arc::new(Upstreams::new(vec![same.clone(), other.clone()], client(), quick()));
    let of =
        async |server: &str| pool.connection(&name(server), &connection_user("ada", "1")).await;
    let (kept, old) = (of("fixture").await.unwrap(), of("other").await.unwrap());
    let kept_pid = call(&kept, "process", json!({})).await;
    let old_pid = call(&old, "process", json!({})).await;
    let held = old.hold();
    let slow = try_call(&old, "slow", json!({"steps": 4, "step_ms": 500}));
    let (slow, ()) = tokio::join!(slow, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        other.idle_timeout += Duration::from_secs(1);
        pool.reconfigure(vec![same.clone(), other.clone()]);
        let new = of("other").await.unwrap();
        assert_ne!(
            call(&new, "process", json!({})).await,
            old_pid,
            "whoever comes gets a new child"
        );
        assert!(is_running(&old_pid), "while the old one finishes");
    });
    assert!(slow.is_ok(), "{slow:?}");
    eventually("the old child is gone", || async { !is_running(&old_pid) }).await;
    drop(held);
    assert_eq!(call(&of("fixture").await.unwrap(), "process", json!({})).await, kept_pid);
    pool.reconfigure(vec![same]);
    assert!(matches!(of("other").await, Err(UpstreamError::NotFound)));
    assert_eq!(call(&kept, "process", json!({})).await, kept_pid, "still the same");
}

#[tokio::test]
async fn a_start_under_way_is_not_kept_when_its_server_changes_meanwhile() {
    let mut fixture = fixture();
    let pool = pool(fixture.clone());
    let starting = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            pool.connection(&name("fixture"), &connection_user("ada", "1")).await
        })
    };
    tokio::task::yield_now().await;
    fixture.request_timeout += Duration::from_secs(1);
    pool.reconfigure(vec![fixture]);
    let old = starting.await.unwrap().unwrap();
    eventually("it ends", || async { old.is_closed() }).await;
    assert!(!connect(&pool).await.unwrap().is_closed());
}

#[tokio::test]
async fn a_new_configuration_takes_no_room_from_what_it_does_not_change() {
    let same = ServerSpec { isolation: Isolation::User, ..fixture() };
    let mut other = ServerSpec { name: name("other"), ..same.clone() };
    let options = Options { max_children_per_user: 2, ..quick() };
    let pool = Arc::new(Upstreams::new(vec![same.clone(), other.clone()], client(), options));
    let of =
        async |server: &str| pool.connection(&name(server), &connection_user("ada", "1")).await;
    let (kept, old) = (of("fixture").await.unwrap(), of("other").await.unwrap());
    other.idle_timeout += Duration::from_secs(1);
    pool.reconfigure(vec![same, other]);
    let new = of("other").await.unwrap();
    assert!(
        old.is_closed() && !new.is_closed() && !kept.is_closed(),
        "it waited for the room of the old one"
    );
}
