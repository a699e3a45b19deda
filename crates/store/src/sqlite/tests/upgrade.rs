//! A file as an earlier version left it: everything in it goes on.

use std::time::Duration;

use portunus_core::{
    grant::Grant,
    lifetimes::Lifetimes,
    refresh::{EarlierRefresh, FoundRefresh, RefreshFamily, RefreshKey},
    store::{FamilyChange, Redeemed},
};
use rusqlite::{Connection, params};

use super::*;
use crate::{
    conformance::secrets::{LATER, access, code},
    record::to_json,
    sqlite::inspect,
};

/// Every step up to the schema 6.
const EARLIER: [&str; 6] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_grants_by_client.sql"),
    include_str!("../migrations/0003_grants_of.sql"),
    include_str!("../migrations/0004_assertions.sql"),
    include_str!("../migrations/0005_pins.sql"),
    include_str!("../migrations/0006_nodes.sql"),
];

/// One refresh token was exchanged for another a moment ago, and a code became their grant.
fn left_by_an_earlier_version(path: &std::path::Path) {
    let db = Connection::open(path).unwrap();
    for sql in EARLIER {
        db.execute_batch(sql).unwrap();
    }
    db.pragma_update(None, "application_id", 0x5054_4E53).unwrap();
    db.pragma_update(None, "user_version", 6).unwrap();
    let (user, grant) = (user(), grant());
    let until = LATER.as_millis();
    db.execute(
        "INSERT INTO users VALUES (?1, ?2)",
        params![user.id.as_str(), to_json(&user).unwrap()],
    )
    .unwrap();
    db.execute(
        "INSERT INTO grants (id, user_id, client_id, created_at, tokens_until, record) VALUES ('grant', ?1, 'client', ?2, ?3, ?4)",
        params![user.id.as_str(), NOW.as_millis(), until, to_json(&grant).unwrap()],
    )
    .unwrap();
    let insert = "INSERT INTO refresh_tokens (hash, grant_id, expires_at, used_at, successor_until, successor_secret)
                  VALUES (?1, 'grant', ?2, ?3, ?4, ?5)";
    let sealed: Option<&[u8]> = Some(b"what it was exchanged for, sealed");
    let exchanged = TokenHash::of("used");
    db.execute(
        insert,
        params![exchanged.as_bytes(), until, NOW.as_millis(), NOW.as_millis() + 30_000, sealed],
    )
    .unwrap();
    let current = TokenHash::of("current");
    db.execute(
        insert,
        params![current.as_bytes(), until, None::<i64>, None::<i64>, None::<Vec<u8>>],
    )
    .unwrap();
    let code = code("code");
    db.execute(
        "INSERT INTO codes (hash, grant_id, expires_at, record) VALUES (?1, 'grant', ?2, ?3)",
        params![code.hash.as_bytes(), until, to_json(&code).unwrap()],
    )
    .unwrap();
}

#[tokio::test]
async fn refresh_tokens_of_an_earlier_version_go_on() {
    let (_dir, path) = place();
    left_by_an_earlier_version(&path);
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    let find = async |text: &str| {
        let found =
            stores.grants.find_refresh(&RefreshKey::Earlier(TokenHash::of(text)), NOW).await;
        found.unwrap().unwrap()
    };
    let expected = |used_at, family: Option<&RefreshFamily>| FoundRefresh {
        grant: grant(),
        family: family.cloned(),
        earlier: Some(EarlierRefresh { expires_at: LATER, used_at }),
    };
    assert_eq!(find("used").await, expected(Some(NOW), None));
    assert_eq!(find("current").await, expected(None, None));
    let lifetimes = Lifetimes::default();
    let begun = RefreshFamily::begin(&grant(), None, NOW, &lifetimes, &SeededEntropy::new(1));
    let after = begun.rotated(&grant(), None, NOW, &lifetimes).unwrap();
    let change =
        FamilyChange { before: None, after: after.clone(), access: access("next"), now: NOW };
    assert!(stores.grants.change_family(&change).await.unwrap());
    assert_eq!(find("used").await, expected(Some(NOW), Some(&after)));
    assert_eq!(find("current").await, expected(None, Some(&after)));
    // And the code, though what an earlier version kept of it ends in its own time.
    let again = Grant { id: portunus_core::ids::GrantId::from_text("again"), ..grant() };
    let replayed = stores
        .grants
        .redeem_code(&TokenHash::of("code"), &again, &access("again"), None, NOW)
        .await
        .unwrap();
    assert_eq!(replayed, Redeemed::Already(grant().id));
    assert_eq!(inspect(&path, &sealer(&[SECRET])).unwrap().problems, []);
    stores.upkeep.purge(NOW + Duration::from_secs(90 * 86_400), NOW).await.unwrap();
    let left: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM refresh_tokens", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}
