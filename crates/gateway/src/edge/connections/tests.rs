//! Whose connections are closed for whom.

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn connections(per_address: usize, per_user: usize) -> Connections {
    Connections::new(Rules {
        per_address,
        per_user,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
    })
}

#[test]
fn t62_one_holder_gets_a_quarter_of_the_descriptors() {
    let rules = |descriptors| {
        let rules = Rules::new(&Limits::default(), &[], descriptors);
        (rules.per_address, rules.per_user)
    };
    assert_eq!(rules(None), (1024, 512));
    assert_eq!(rules(Some(65_536)), (1024, 512));
    assert_eq!(rules(Some(1024)), (256, 256));
    assert_eq!(rules(Some(1)), (1, 1));
}

const FIRST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(120);

/// Was it told to end?
async fn ends(connection: &Connection) -> bool {
    tokio::time::timeout(Duration::from_millis(10), connection.over(FIRST, IDLE)).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn t62_one_more_of_an_address_closes_its_longest_idle_one() {
    let connections = connections(2, 1);
    let good = connections.open(address("192.0.2.9")).unwrap();
    let first = connections.open(address("192.0.2.1")).unwrap();
    let second = connections.open(address("192.0.2.1")).unwrap();
    tokio::time::advance(Duration::from_millis(10)).await;
    // The first one was used since.
    drop(first.begin());
    let third = connections.open(address("192.0.2.1")).unwrap();
    assert!(
        ends(&second).await && !ends(&first).await && !ends(&third).await && !ends(&good).await
    );
    let busy = [first.begin(), third.begin()];
    assert!(connections.open(address("192.0.2.1")).is_none(), "none of them is idle");
    assert!(connections.open(address("192.0.2.2")).is_some(), "another address");
    drop(busy);
    assert!(
        connections.open(address("::ffff:192.0.2.1")).is_some(),
        "the same address, spelt otherwise"
    );
    drop((good, first, second, third));
    assert!(connections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn t62_whoever_has_proven_themselves_is_counted_by_themselves() {
    let connections = connections(1, 1);
    let (alice, bob) = (UserId::of("idp", "alice"), UserId::of("idp", "bob"));
    let mut office = Vec::new();
    for user in [&alice, &bob] {
        let connection = connections.open(address("192.0.2.1")).unwrap();
        connection.proven(user);
        office.push((connection.begin(), connection));
    }
    let stranger = connections.open(address("192.0.2.1")).unwrap();
    assert!(
        !ends(&office[0].1).await && !ends(&office[1].1).await,
        "the address's one place is for those it does not know"
    );
    // A second one of Alice's, whose first is in use, stays the address's.
    stranger.proven(&alice);
    assert_eq!(connections.len(), 3);
    let other = connections.open(address("192.0.2.1")).unwrap();
    assert!(ends(&stranger).await);
    drop((office, stranger, other));
    assert!(connections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn t62_proxies_and_nodes_are_not_counted() {
    let connections = connections(1, 1);
    let proxied: Vec<_> = (0..10).map(|_| connections.open(address("10.1.2.3")).unwrap()).collect();
    assert!(connections.is_empty());
    proxied[0].proven(&UserId::of("idp", "alice"));
    assert!(connections.is_empty());
    let node = connections.open(address("192.0.2.1")).unwrap();
    node.trusted();
    let next = connections.open(address("192.0.2.1")).unwrap();
    assert!(!ends(&node).await);
    drop((node, next));
    assert!(connections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn t62_idle_ones_end_and_busy_ones_do_not() {
    let connections = connections(9, 9);
    let silent = connections.open(address("192.0.2.1")).unwrap();
    let asked = connections.open(address("192.0.2.1")).unwrap();
    let stream = connections.open(address("192.0.2.1")).unwrap();
    drop(asked.begin());
    let busy = stream.begin();
    let after = async |connection: &Connection| {
        let began = Instant::now();
        connection.over(FIRST, IDLE).await;
        began.elapsed().as_secs()
    };
    let (silent, asked) = tokio::join!(after(&silent), after(&asked));
    assert_eq!((silent, asked), (10, 120));
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(!ends(&stream).await, "a stream of an hour");
    drop(busy);
    assert!((119..=240).contains(&after(&stream).await), "idle since its stream ended");
}

#[tokio::test(start_paused = true)]
async fn t62_without_descriptors_the_largest_holder_loses_one() {
    let connections = connections(100, 100);
    assert!(!connections.shed());
    let good = connections.open(address("192.0.2.9")).unwrap();
    let flood: Vec<_> = (0..5).map(|_| connections.open(address("2001:db8::1")).unwrap()).collect();
    assert!(connections.shed());
    assert!(ends(&flood[0]).await && !ends(&good).await);
    let _busy: Vec<_> = flood.iter().map(Connection::begin).collect();
    assert!(!connections.shed(), "those of the flood are all in use");
}
