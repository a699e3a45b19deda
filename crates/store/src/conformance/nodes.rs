//! The port for nodes and homes. The store's own clock decides here, so what ends is waited for,
//! and what goes on has an hour.

use std::{collections::BTreeSet, time::Duration};

use portunus_core::{
    ids::NodeId,
    node::Node,
    store::{NodeStore, Stores},
};

use super::{
    Backend, race,
    records::{HOUR, user_id},
};

/// Over before the test looks a second time.
const SOON: Duration = Duration::from_millis(1);

fn node(n: u32) -> Node {
    Node { id: NodeId::from_text(format!("node {n}")), url: format!("http://10.0.0.{n}:7946") }
}

async fn with_nodes(stores: &Stores, count: u32) {
    for n in 1..=count {
        stores.nodes.beat(&node(n), HOUR).await.unwrap();
    }
}

/// Until the store takes the node for dead.
async fn dies(nodes: &dyn NodeStore, n: u32) {
    nodes.beat(&node(n), SOON).await.unwrap();
    while nodes.list_nodes().await.unwrap().contains(&node(n)) {
        tokio::time::sleep(SOON).await;
    }
}

pub async fn living_nodes_are_listed<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(stores.nodes.list_nodes().await.unwrap(), []);
    with_nodes(&stores, 2).await;
    assert_eq!(stores.nodes.list_nodes().await.unwrap(), [node(1), node(2)]);
    let moved = Node { url: "http://10.0.0.9:7946".to_owned(), ..node(1) };
    stores.nodes.beat(&moved, HOUR).await.unwrap();
    assert_eq!(stores.nodes.list_nodes().await.unwrap(), [moved, node(2)]);
    stores.nodes.leave(&node(1).id).await.unwrap();
    assert_eq!(stores.nodes.list_nodes().await.unwrap(), [node(2)]);
    stores.nodes.leave(&node(7).id).await.unwrap();
    dies(&*stores.nodes, 2).await;
    stores.nodes.beat(&node(2), HOUR).await.unwrap();
    assert_eq!(stores.nodes.list_nodes().await.unwrap(), [node(2)], "it was only thought dead");
}

pub async fn the_first_is_home_while_it_lives<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    with_nodes(&stores, 3).await;
    let claim = async |user, me| {
        stores.nodes.claim_ownership(&user_id(user), &node(me), HOUR).await.unwrap()
    };
    assert_eq!(claim(1, 1).await, node(1));
    assert_eq!(claim(1, 2).await, node(1));
    assert_eq!(claim(1, 1).await, node(1));
    assert_eq!(claim(2, 2).await, node(2), "another user's");
    dies(&*stores.nodes, 1).await;
    assert_eq!(claim(1, 3).await, node(3));
    assert_eq!(claim(1, 2).await, node(3));
    stores.nodes.beat(&node(1), HOUR).await.unwrap();
    assert_eq!(claim(1, 1).await, node(3), "what was lost stays lost");
}

pub async fn homes_end<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    with_nodes(&stores, 2).await;
    let user = user_id(1);
    assert_eq!(stores.nodes.claim_ownership(&user, &node(1), HOUR).await.unwrap(), node(1));
    assert!(!stores.nodes.release_ownership(&user, &node(2).id).await.unwrap(), "it is not there");
    assert!(stores.nodes.release_ownership(&user, &node(1).id).await.unwrap());
    assert!(!stores.nodes.release_ownership(&user, &node(1).id).await.unwrap());
    assert_eq!(stores.nodes.claim_ownership(&user, &node(2), SOON).await.unwrap(), node(2));
    while stores.nodes.claim_ownership(&user, &node(1), HOUR).await.unwrap() != node(1) {
        tokio::time::sleep(SOON).await;
    }
    stores.nodes.leave(&node(1).id).await.unwrap();
    assert_eq!(
        stores.nodes.claim_ownership(&user, &node(2), HOUR).await.unwrap(),
        node(2),
        "a node that leaves is nobody's home"
    );
}

pub async fn one_of_many_becomes_home<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    with_nodes(&gateways[0], 50).await;
    for taken_over in [false, true] {
        if taken_over {
            let home =
                gateways[0].nodes.claim_ownership(&user_id(1), &node(1), HOUR).await.unwrap();
            gateways[0].nodes.leave(&home.id).await.unwrap();
            gateways[0].nodes.beat(&home, HOUR).await.unwrap();
        }
        let homes = race(|number| {
            let nodes = gateways[number % 2].nodes.clone();
            let me = node(u32::try_from(number).unwrap() + 1);
            async move { nodes.claim_ownership(&user_id(1), &me, HOUR).await.unwrap() }
        })
        .await;
        let homes: BTreeSet<_> = homes.into_iter().map(|home| home.id).collect();
        assert_eq!(homes.len(), 1, "{homes:?}");
    }
}
