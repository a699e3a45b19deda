//! The port for pins (threat 45).

use portunus_core::{
    ids::ServerName,
    pins::{Pin, PinKind, PinSubject, SeenItem},
    store::{PinRecord, Stores},
};

use super::{
    Backend, race,
    records::{NOW, TICK},
};

fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

fn tool(name: &str, description: &str) -> SeenItem {
    of_kind(PinKind::Tool, name, description)
}

fn of_kind(kind: PinKind, name: &str, description: &str) -> SeenItem {
    let json =
        format!(r#"{{"name":"{name}","uriTemplate":"{name}","description":"{description}"}}"#);
    SeenItem::read(kind, json.as_bytes()).unwrap()
}

fn pin(name: &str, approved: &[&str], quarantined: &[&str]) -> Pin {
    let prints = |descriptions: &[&str]| {
        descriptions.iter().map(|text| tool(name, text).fingerprint).collect()
    };
    Pin {
        subject: PinSubject::tool(name),
        approved: prints(approved),
        quarantined: prints(quarantined),
    }
}

async fn pins(stores: &Stores, name: &str) -> Vec<Pin> {
    stores.pins.find_pins(&server(name)).await.unwrap()
}

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(pins(&stores, "dice").await, []);
    let (roll, flip) = (tool("roll", "v1 ü"), tool("flip", "v1"));
    stores.pins.pin_items(&server("dice"), &[roll.clone(), flip.clone()], NOW).await.unwrap();
    let changed = tool("roll", "v2");
    stores
        .pins
        .quarantine(&server("dice"), std::slice::from_ref(&changed), 4, NOW + TICK)
        .await
        .unwrap();
    stores.pins.pin_items(&server("uuid"), &[tool("roll", "another server's")], NOW).await.unwrap();
    assert_eq!(
        pins(&stores, "dice").await,
        [pin("flip", &["v1"], &[]), pin("roll", &["v1 ü"], &["v2"])]
    );

    let record = |tool: SeenItem, seen_at, approved_at| PinRecord {
        server: server("dice"),
        subject: tool.subject,
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
        stores.pins.pin_items(&server("dice"), &[tool("roll", description)], NOW).await.unwrap();
    }
    // Twice in one list: the first one counts.
    stores
        .pins
        .pin_items(&server("dice"), &[tool("flip", "v1"), tool("flip", "v2")], NOW)
        .await
        .unwrap();
    assert_eq!(pins(&stores, "dice").await, [pin("flip", &["v1"], &[]), pin("roll", &["v1"], &[])]);
}

pub async fn changes_are_noted_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (one, two) = (tool("roll", "v1"), tool("roll", "v2"));
    stores.pins.pin_items(&server("dice"), std::slice::from_ref(&one), NOW).await.unwrap();
    let note = async |tools: &[SeenItem]| {
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
    stores.pins.pin_items(&server("dice"), &pinned, NOW).await.unwrap();
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
    stores.pins.pin_items(&server("dice"), &[tool("roll", "v1")], NOW).await.unwrap();
    stores.pins.quarantine(&server("dice"), &changed, 4, NOW).await.unwrap();
    let approve = async |name: &str, tool: &SeenItem| {
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
        stores.pins.pin_items(&server(name), &tools, NOW).await.unwrap();
        stores.pins.quarantine(&server(name), &[tool("roll", "v2")], 4, NOW).await.unwrap();
    }
    assert_eq!(
        stores.pins.forget(&server("dice"), Some(&PinSubject::tool("nothing"))).await.unwrap(),
        0
    );
    assert_eq!(
        stores.pins.forget(&server("dice"), Some(&PinSubject::tool("roll"))).await.unwrap(),
        1
    );
    assert_eq!(pins(&stores, "dice").await, [pin("deal", &["v1"], &[]), pin("flip", &["v1"], &[])]);
    stores.pins.pin_items(&server("dice"), &[tool("roll", "v2")], NOW).await.unwrap();
    assert_eq!(pins(&stores, "dice").await[2], pin("roll", &["v2"], &[]), "pinned anew");
    assert_eq!(stores.pins.forget(&server("dice"), None).await.unwrap(), 3);
    assert_eq!(pins(&stores, "dice").await, []);
    assert_eq!(pins(&stores, "uuid").await.len(), 3);
}

pub async fn pinned_stays_pinned_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    {
        let stores = backend.open().await;
        stores.pins.pin_items(&server("dice"), &[tool("roll", "v1")], NOW).await.unwrap();
        stores.pins.quarantine(&server("dice"), &[tool("roll", "v2")], 4, NOW).await.unwrap();
    }
    let stores = backend.open().await;
    stores.pins.pin_items(&server("dice"), &[tool("roll", "v2")], NOW).await.unwrap();
    assert_eq!(pins(&stores, "dice").await, [pin("roll", &["v1"], &["v2"])]);
}

pub async fn one_of_many_at_two_gateways_pins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let found = race(|number| {
        let stores = gateways[number % 2].clone();
        async move {
            let own = tool("roll", &format!("seen by {number}"));
            stores.pins.pin_items(&server("dice"), std::slice::from_ref(&own), NOW).await.unwrap();
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
    gateways[0].pins.pin_items(&server("dice"), &[tool("roll", "v1")], NOW).await.unwrap();
    let fresh = race(|number| {
        let stores = gateways[number % 2].clone();
        async move {
            stores.pins.quarantine(&server("dice"), &[tool("roll", "v2")], 4, NOW).await.unwrap()
        }
    })
    .await;
    assert_eq!(fresh.into_iter().flatten().collect::<Vec<_>>(), [tool("roll", "v2").fingerprint]);
}

/// A prompt, a template and instructions beside a tool of the same name: each has a pin of its own.
pub async fn kinds_are_apart<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let seen = PinKind::ALL.map(|kind| of_kind(kind, "roll", "v1"));
    let changed = PinKind::ALL.map(|kind| of_kind(kind, "roll", "v2"));
    // Its name looks like a prompt's that is written down.
    let odd = tool(r"\u001fprompt\u001froll", "v1");
    stores.pins.pin_items(&server("dice"), &seen, NOW).await.unwrap();
    stores.pins.pin_items(&server("dice"), std::slice::from_ref(&odd), NOW).await.unwrap();
    let fresh = stores.pins.quarantine(&server("dice"), &changed, 1, NOW).await.unwrap();
    assert_eq!(fresh.len(), 4, "each is new, and none makes room for another");
    assert!(stores.pins.approve(&server("dice"), &changed[1].fingerprint, NOW).await.unwrap());

    let found = pins(&stores, "dice").await;
    assert_eq!(found.len(), 5);
    for (n, kind) in PinKind::ALL.into_iter().enumerate() {
        let pin = found.iter().find(|pin| pin.subject == seen[n].subject).unwrap();
        let (old, new) = (seen[n].fingerprint, changed[n].fingerprint);
        let is_approved = kind == PinKind::Prompt;
        let approved = if is_approved { vec![old, new] } else { vec![old] };
        assert_eq!(pin.approved, approved, "{kind:?}");
        assert_eq!(pin.quarantined, if is_approved { vec![] } else { vec![new] }, "{kind:?}");
    }
    let records = stores.pins.list_pins(Some(&server("dice"))).await.unwrap();
    assert_eq!(records.iter().filter(|record| record.subject == seen[1].subject).count(), 2);
    assert!(records.iter().any(|record| record.subject == odd.subject));

    let prompt = PinSubject::new(PinKind::Prompt, "roll");
    assert_eq!(stores.pins.forget(&server("dice"), Some(&prompt)).await.unwrap(), 1);
    assert_eq!(pins(&stores, "dice").await.len(), 4, "the tool of the name stays");
    assert_eq!(stores.pins.forget(&server("dice"), None).await.unwrap(), 4);
}
