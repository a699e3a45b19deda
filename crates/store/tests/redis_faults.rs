//! Redis hangs, dies, comes back, fails over, and has fewer replicas than it should (fault F2):
//! what was acknowledged stays, what cannot be done is said to be so in bounded time, and all goes
//! on afterwards.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use portunus_core::{
    invalidation::Invalidation,
    refresh::{PresentedRefresh, RefreshKey, RefreshStatus},
    secret::TokenHash,
    store::{Redeemed, StoreError, Stores},
};
use portunus_store::{
    conformance::secrets::{NOW, access, change, code, family, fill, grant},
    redis::{RedisAddress, RedisOptions, open},
};
use portunus_testkit::{
    fault_proxy::FaultProxy,
    figures::{Figures, Limit},
    redis::{Cluster, Server},
    wait::eventually,
};

use self::place::{Place, sealer};

mod place;

/// Far longer than any call may take, and far shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(60);

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| panic!("it hangs"))
}

type Call<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// Every kind of call there is says that the store is not there.
async fn assert_unavailable(stores: &Stores) {
    let (hash, id) = (TokenHash::of("secret of the refresh token"), grant().id);
    let calls: [Call<'_>; 7] = [
        Box::pin(async { stores.grants.find_access(&hash, NOW).await.map(drop) }),
        Box::pin(async { stores.grants.change_family(&change(&family(), 9)).await.map(drop) }),
        Box::pin(async { stores.grants.revoke_grant(&id, NOW).await.map(drop) }),
        Box::pin(async { stores.clients.count_unused_clients().await.map(drop) }),
        Box::pin(async { stores.assertions.use_once(&hash, NOW, NOW).await.map(drop) }),
        Box::pin(async { stores.upkeep.purge(NOW, NOW).await.map(drop) }),
        Box::pin(stores.upkeep.ping()),
    ];
    for outcome in in_time(futures::future::join_all(calls)).await {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
}

/// Calls are made until one succeeds: a connection that broke is made anew by a call. Gives how
/// long that took.
async fn until_it_answers(stores: &Stores) -> Duration {
    let began = Instant::now();
    eventually("it answers", async || stores.upkeep.ping().await.is_ok()).await;
    began.elapsed()
}

/// How long it may take until it answers again (F2), on an idle machine.
const AGAIN: Duration = Duration::from_secs(2);

/// What [`fill`] used stays used, and what it was given lives.
async fn assert_nothing_lost(stores: &Stores) {
    let code = TokenHash::of("secret of the code");
    let again = stores
        .grants
        .redeem_code(&code, &grant(), &access("secret of the access token, again"), None, NOW)
        .await;
    assert_eq!(again.unwrap(), Redeemed::Already(grant().id));
    assert_eq!(
        stores
            .grants
            .find_access(&TokenHash::of("secret of the access token, again"), NOW)
            .await
            .unwrap(),
        None
    );
    let found =
        stores.grants.find_refresh(&RefreshKey::Family(family().id), NOW).await.unwrap().unwrap();
    let used = PresentedRefresh::parse(family().token().expose()).unwrap();
    assert_eq!(found.status(&used), RefreshStatus::Used { generations: 1, at: Some(NOW) });
    assert!(
        stores
            .grants
            .find_access(&TokenHash::of("secret of the access token"), NOW)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_redis_that_hangs_is_unavailable_and_comes_back() {
    let server = Server::start(&[]);
    let stores = Place::fresh(server.address()).open().await;
    fill(&stores).await;
    server.signal("-STOP");
    assert_unavailable(&stores).await;
    // Once more: no connection stands by now, and none can be made.
    assert_unavailable(&stores).await;
    server.signal("-CONT");
    let back = until_it_answers(&stores).await;
    assert_nothing_lost(&stores).await;
    Figures::of("F2", "redis", "Redis hangs and goes on, at the store")
        .within("answers again", &[back], Limit::now(AGAIN))
        .report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_redis_that_dies_is_unavailable_and_comes_back_with_what_it_acknowledged() {
    let mut server = Server::start(&[]);
    let stores = Place::fresh(server.address()).open().await;
    fill(&stores).await;
    server.crash();
    assert_unavailable(&stores).await;
    assert!(server.run());
    let back = until_it_answers(&stores).await;
    assert_nothing_lost(&stores).await;
    Figures::of("F2", "redis", "Redis is killed and returns, at the store")
        .within("answers again", &[back], Limit::now(AGAIN))
        .report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_redis_that_dies_between_calls_costs_one_of_them() {
    let mut server = Server::start(&[]);
    let stores = Place::fresh(server.address()).open().await;
    for _ in 0..3 {
        server.crash();
        assert!(server.run());
        // It may be the one that finds out.
        let _found_out = in_time(stores.upkeep.ping()).await;
        in_time(stores.upkeep.ping()).await.unwrap();
    }
}

/// Reads and guarded writes have a connection each: what one of them finds out, the other need not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_connections_that_break_together_cost_one_call() {
    let server = Server::start(&[]);
    let _replica = Server::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]);
    server.until(&["INFO", "replication"], "state=online");
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port).into()).await;
    let place = Place::fresh(format!("redis://{}", proxy.address()));
    let stores =
        open(RedisOptions { replicas: 1, ..place.options() }, sealer("a secret of the tests"))
            .await
            .unwrap();
    fill(&stores).await;
    let (hash, write) = (TokenHash::of("an assertion"), AtomicU64::new(0));
    let use_once = async || {
        let key = TokenHash::of(&format!("assertion {}", write.fetch_add(1, Ordering::SeqCst)));
        stores.assertions.use_once(&key, NOW + Duration::from_secs(60), NOW).await
    };
    let read = async || stores.grants.find_access(&hash, NOW).await;
    for _ in 0..5 {
        in_time(read()).await.unwrap();
        in_time(use_once()).await.unwrap();
        proxy.cut();
        // It may be the one that finds out.
        let _found_out = in_time(read()).await;
        in_time(use_once()).await.unwrap();
        proxy.cut();
        let _found_out = in_time(use_once()).await;
        in_time(read()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_master_of_a_cluster_dies_and_comes_back() {
    let mut cluster = Cluster::start();
    let stores = Place::fresh(cluster.address()).open().await;
    fill(&stores).await;
    for node in &mut cluster.0 {
        node.crash();
    }
    assert_unavailable(&stores).await;
    for node in &mut cluster.0 {
        assert!(node.run());
    }
    until_it_answers(&stores).await;
    for node in &mut cluster.0 {
        node.crash();
        // Whatever stands on it is unavailable, and nothing hangs.
        let outcome = in_time(stores.upkeep.purge(NOW, NOW)).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert!(node.run());
        eventually("all masters answer", async || stores.upkeep.purge(NOW, NOW).await.is_ok())
            .await;
    }
    until_it_answers(&stores).await;
    assert_nothing_lost(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_master_of_a_cluster_that_hangs_holds_nothing_up() {
    let cluster = Cluster::start();
    let stores = Place::fresh(cluster.address()).open().await;
    fill(&stores).await;
    // Not the one that has the clients: they are what is asked for.
    let slot: usize = cluster.0[0].ask(&["CLUSTER", "KEYSLOT", "{clients}"]);
    let other = &cluster.0[usize::from(slot < 5461)];
    other.signal("-STOP");
    for _ in 0..3 {
        let outcome = in_time(stores.upkeep.purge(NOW, NOW)).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        in_time(stores.upkeep.ping()).await.unwrap();
    }
    other.signal("-CONT");
    eventually("all masters answer", async || stores.upkeep.purge(NOW, NOW).await.is_ok()).await;
    until_it_answers(&stores).await;
    assert_nothing_lost(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_nothing_but_an_error_comes_of_a_redis_that_is_not_there() {
    let mut server = Server::start(&[]);
    let place = Place::fresh(server.address());
    server.crash();
    let error =
        in_time(open(place.options(), sealer("one"))).await.map(drop).unwrap_err().to_string();
    assert!(error.contains(&format!("redis://127.0.0.1:{}/0", server.port)), "{error}");
    assert!(error.contains("REDIS_URL"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_its_replicas() {
    let master = Server::start(&[]);
    let place = Place::fresh(master.address());
    drop(place.open().await);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    master.until(&["INFO", "replication"], "state=online");
    writes_wait_for(&replica, &place).await;
}

/// A write needs this replica, and fails when it does not answer; reads wait for no replica.
async fn writes_wait_for(replica: &Server, place: &Place) {
    let options = RedisOptions { replicas: 1, ..place.options() };
    let stores = open(options, sealer("a secret of the tests")).await.unwrap();
    fill(&stores).await;
    replica.signal("-STOP");
    let refused = in_time(stores.assertions.use_once(&TokenHash::of("assertion"), NOW, NOW)).await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("0 of 1")),
        "{refused:?}"
    );
    assert!(stores.grants.find_grant(&grant().id).await.unwrap().is_some());
    replica.signal("-CONT");
    until_it_answers(&stores).await;
}

/// One master that has all slots, and its replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_its_replicas_in_a_cluster_too() {
    let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "60000"];
    let (master, replica) = (Server::start(&options), Server::start(&options));
    let () = master.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    replica.meet(&master);
    let id: String = master.ask(&["CLUSTER", "MYID"]);
    replica.until(&["CLUSTER", "NODES"], &id);
    replica.until(&["CLUSTER", "INFO"], "cluster_state:ok");
    let () = replica.ask(&["CLUSTER", "REPLICATE", &id]);
    master.until(&["INFO", "replication"], "state=online");

    writes_wait_for(&replica, &Place::fresh(format!("redis+cluster://127.0.0.1:{}", master.port)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_sentinel_names_the_new_master_and_what_it_confirmed_is_there() {
    let mut master = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    master.until(&["INFO", "replication"], "state=online");
    let sentinel = Server::start_sentinel("main", master.port);
    sentinel.until(&["SENTINEL", "replicas", "main"], &replica.port.to_string());

    let address =
        RedisAddress::parse(&format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port)).unwrap();
    let options = RedisOptions { replicas: 1, ..RedisOptions::new(address.clone()) };
    let stores = open(options, sealer("one")).await.unwrap();
    fill(&stores).await;
    let code = code("secret of the code that is left");
    stores.grants.insert_code(&code).await.unwrap();
    drop(stores);

    let stores = open(RedisOptions::new(address), sealer("one")).await.unwrap();
    let (begun, mut hearing) = (
        stores.invalidations.revision().await.unwrap(),
        stores.invalidations.listen().await.unwrap(),
    );
    master.crash();
    assert_eq!(in_time(hearing.next()).await, None);
    let outcome = in_time(stores.upkeep.ping()).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    // How long Sentinel takes to name another master is its own affair.
    sentinel.until(&["SENTINEL", "get-master-addr-by-name", "main"], &replica.port.to_string());
    let back = until_it_answers(&stores).await;
    Figures::of("F2", "redis", "a fail-over by Sentinel, at the store")
        .within("answers again", &[back], Limit::now(AGAIN))
        .report();
    assert_nothing_lost(&stores).await;
    assert_eq!(stores.grants.find_code(&code.hash, NOW).await.unwrap().unwrap().code, code);
    assert!(stores.grants.change_family(&change(&change(&family(), 1).after, 2)).await.unwrap());

    assert_ne!(
        stores.invalidations.revision().await.unwrap(),
        begun,
        "another server has other marks, though nothing was told"
    );
    let mut hearing = stores.invalidations.listen().await.unwrap();
    stores.invalidations.post(&Invalidation::Everything).await.unwrap();
    assert_eq!(
        in_time(hearing.next()).await.unwrap().invalidation,
        Invalidation::Everything,
        "at the new master"
    );
}
