//! The port for pinned tools (threat 45).

use portunus_core::{
    ids::ServerName,
    pins::{Pin, SeenTool},
    store::{PinRecord, Stores},
};

use super::{
    Backend, race,
    records::{NOW, TICK},
};

fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

fn tool(name: &str, description: &str) -> SeenTool {
    SeenTool::read(format!(r#"{{"name":"{name}","description":"{description}"}}"#).as_bytes())
        .unwrap()
}

fn pin(name: &str, approved: &[&str], quarantined: &[&str]) -> Pin {
    let prints = |descriptions: &[&str]| {
        descriptions.iter().map(|text| tool(name, text).fingerprint).collect()
    };
    Pin { tool: name.to_owned(), approved: prints(approved), quarantined: prints(quarantined) }
}

async fn pins(stores: &Stores, name: &str) -> Vec<Pin> {
    stores.pins.find_pins(&server(name)).await.unwrap()
}

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(pins(&stores, "dice").await, []);
    let (roll, flip) = (tool("roll", "v1 ü"), tool("flip", "v1"));
    stores.pins.pin_tools(&server("dice"), &[roll.clone(), flip.clone()], NOW).await.unwrap();
    let changed = tool("roll", "v2");
    stores
        .pins
        .quarantine(&server("dice"), std::slice::from_ref(&changed), 4, NOW + TICK)
        .await
        .unwrap();
    stores.pins.pin_tools(&server("uuid"), &[tool("roll", "another server's")], NOW).await.unwrap();
    assert_eq!(
        pins(&stores, "dice").await,
        [pin("flip", &["v1"], &[]), pin("roll", &["v1 ü"], &["v2"])]
    );

    let record = |tool: SeenTool, seen_at, approved_at| PinRecord {
        server: server("dice"),
        tool: tool.name,
        fingerprint: tool.fingerprint,
        definition: tool.definition,
        seen_at,
        approved_at,
    };
    let expected = [
        record(flip, NOW, Some(NOW)),
        record(roll, NOW, Some(NOW)),
        record(changed, NOW + TICK, None),
    ];
    assert_eq!(stores.pins.list_pins(Some(&server("dice"))).await.unwrap(), expected);
    let all = stores.pins.list_pins(None).await.unwrap();
    assert_eq!(all[..3], expected);
    assert_eq!((all.len(), all[3].server.as_str()), (4, "uuid"));
}

pub async fn the_first_stays_pinned<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for description in ["v1", "v2", "v1"] {
        stores.pins.pin_tools(&server("dice"), &[tool("roll", description)], NOW).await.unwrap();
    }
    // Twice in one list: the first one counts.
    stores
        .pins
        .pin_tools(&server("dice"), &[tool("flip", "v1"), tool("flip", "v2")], NOW)
        .await
        .unwrap();
    assert_eq!(pins(&stores, "dice").await, [pin("flip", &["v1"], &[]), pin("roll", &["v1"], &[])]);
}

pub async fn changes_are_noted_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (one, two) = (tool("roll", "v1"), tool("roll", "v2"));
    stores.pins.pin_tools(&server("dice"), std::slice::from_ref(&one), NOW).await.unwrap();
    let note = async |tools: &[SeenTool]| {
        stores.pins.quarantine(&server("dice"), tools, 4, NOW).await.unwrap()
    };
    assert_eq!(note(std::slice::from_ref(&two)).await, [two.fingerprint]);
    assert_eq!(note(&[two, one]).await, [], "known, and approved");
    assert_eq!(pins(&stores, "dice").await, [pin("roll", &["v1"], &["v2"])]);
}

pub async fn the_newest_changes_are_kept<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let pinned = [tool("roll", "v1"), tool("flip", "v1")];
    stores.pins.pin_tools(&server("dice"), &pinned, NOW).await.unwrap();
    for description in ["v2", "v3", "v4", "v5"] {
        stores
            .pins
            .quarantine(&server("dice"), &[tool("roll", description)], 2, NOW)
            .await
            .unwrap();
    }
    stores.pins.quarantine(&server("dice"), &[tool("flip", "v2")], 2, NOW).await.unwrap();
    assert_eq!(
        pins(&stores, "dice").await,
        [pin("flip", &["v1"], &["v2"]), pin("roll", &["v1"], &["v4", "v5"])]
    );
}

pub async fn approved_beside_what_was_pinned<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let changed = [tool("roll", "v2"), tool("roll", "v3")];
    stores.pins.pin_tools(&server("dice"), &[tool("roll", "v1")], NOW).await.unwrap();
    stores.pins.quarantine(&server("dice"), &changed, 4, NOW).await.unwrap();
    let approve = async |name: &str, tool: &SeenTool| {
        stores.pins.approve(&server(name), &tool.fingerprint, NOW + TICK).await.unwrap()
    };
    assert!(!approve("uuid", &changed[0]).await, "another server");
    assert!(!approve("dice", &tool("roll", "never seen")).await);
    assert!(approve("dice", &changed[0]).await);
    assert!(!approve("dice", &changed[0]).await, "approved already");
    assert!(!approve("dice", &tool("roll", "v1")).await, "pinned from the beginning");
    assert_eq!(pins(&stores, "dice").await, [pin("roll", &["v1", "v2"], &["v3"])]);
    let records = stores.pins.list_pins(None).await.unwrap();
    assert_eq!(
        records.iter().map(|record| record.approved_at).collect::<Vec<_>>(),
        [Some(NOW), Some(NOW + TICK), None]
    );
}

pub async fn forgotten<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let tools = [tool("roll", "v1"), tool("flip", "v1"), tool("deal", "v1")];
    for name in ["dice", "uuid"] {
        stores.pins.pin_tools(&server(name), &tools, NOW).await.unwrap();
        stores.pins.quarantine(&server(name), &[tool("roll", "v2")], 4, NOW).await.unwrap();
    }
    assert_eq!(stores.pins.forget(&server("dice"), Some("nothing")).await.unwrap(), 0);
    assert_eq!(stores.pins.forget(&server("dice"), Some("roll")).await.unwrap(), 1);
    assert_eq!(pins(&stores, "dice").await, [pin("deal", &["v1"], &[]), pin("flip", &["v1"], &[])]);
    stores.pins.pin_tools(&server("dice"), &[tool("roll", "v2")], NOW).await.unwrap();
    assert_eq!(pins(&stores, "dice").await[2], pin("roll", &["v2"], &[]), "pinned anew");
    assert_eq!(stores.pins.forget(&server("dice"), None).await.unwrap(), 3);
    assert_eq!(pins(&stores, "dice").await, []);
    assert_eq!(pins(&stores, "uuid").await.len(), 3);
}

pub async fn pinned_stays_pinned_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    {
        let stores = backend.open().await;
        stores.pins.pin_tools(&server("dice"), &[tool("roll", "v1")], NOW).await.unwrap();
        stores.pins.quarantine(&server("dice"), &[tool("roll", "v2")], 4, NOW).await.unwrap();
    }
    let stores = backend.open().await;
    stores.pins.pin_tools(&server("dice"), &[tool("roll", "v2")], NOW).await.unwrap();
    assert_eq!(pins(&stores, "dice").await, [pin("roll", &["v1"], &["v2"])]);
}

pub async fn one_of_many_at_two_gateways_pins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let found = race(|number| {
        let stores = gateways[number % 2].clone();
        async move {
            let own = tool("roll", &format!("seen by {number}"));
            stores.pins.pin_tools(&server("dice"), std::slice::from_ref(&own), NOW).await.unwrap();
            let pins = stores.pins.find_pins(&server("dice")).await.unwrap();
            (pins[0].approved.contains(&own.fingerprint), pins)
        }
    })
    .await;
    assert_eq!(found.iter().filter(|(won, _)| *won).count(), 1, "one is pinned");
    assert!(found.iter().all(|(_, pins)| *pins == found[0].1), "and all see the same");
}

pub async fn a_change_that_many_see_is_new_to_one<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    gateways[0].pins.pin_tools(&server("dice"), &[tool("roll", "v1")], NOW).await.unwrap();
    let fresh = race(|number| {
        let stores = gateways[number % 2].clone();
        async move {
            stores.pins.quarantine(&server("dice"), &[tool("roll", "v2")], 4, NOW).await.unwrap()
        }
    })
    .await;
    assert_eq!(fresh.into_iter().flatten().collect::<Vec<_>>(), [tool("roll", "v2").fingerprint]);
}
