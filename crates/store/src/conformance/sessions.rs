//! The port for MCP sessions.

use portunus_core::node::SessionRecord;

use super::{
    Backend,
    records::{HOUR, MINUTE, NOW, TICK, hash, user_id},
};

fn session(n: u32) -> SessionRecord {
    SessionRecord {
        user: user_id(n),
        state: format!("what session {n} knows: \u{e9}\0").into_bytes(),
    }
}

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (one, other) = (hash("session", 1), hash("session", 2));
    assert_eq!(stores.sessions.find_session(&one, NOW).await.unwrap(), None);
    stores.sessions.keep_session(&one, &session(1), NOW + MINUTE).await.unwrap();
    stores.sessions.keep_session(&other, &session(2), NOW + MINUTE).await.unwrap();
    assert_eq!(stores.sessions.find_session(&one, NOW).await.unwrap(), Some(session(1)));
    let changed = SessionRecord { state: vec![0, 255], ..session(1) };
    stores.sessions.keep_session(&one, &changed, NOW + HOUR).await.unwrap();
    assert_eq!(stores.sessions.find_session(&one, NOW + MINUTE).await.unwrap(), Some(changed));
    assert_eq!(stores.sessions.find_session(&other, NOW).await.unwrap(), Some(session(2)));
}

pub async fn expire_unless_touched<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let id = hash("session", 1);
    stores.sessions.keep_session(&id, &session(1), NOW + MINUTE).await.unwrap();
    assert!(stores.sessions.find_session(&id, NOW + MINUTE - TICK).await.unwrap().is_some());
    assert!(stores.sessions.find_session(&id, NOW + MINUTE).await.unwrap().is_none());
    assert!(stores.sessions.touch_session(&id, NOW + HOUR, NOW).await.unwrap());
    assert!(stores.sessions.find_session(&id, NOW + MINUTE).await.unwrap().is_some());
    assert!(stores.sessions.touch_session(&id, NOW + MINUTE, NOW).await.unwrap());
    assert!(
        stores.sessions.find_session(&id, NOW + MINUTE).await.unwrap().is_some(),
        "a late touch shortens nothing"
    );
    assert!(
        !stores.sessions.touch_session(&id, NOW + HOUR + HOUR, NOW + HOUR).await.unwrap(),
        "touching revives nothing"
    );
    assert!(!stores.sessions.touch_session(&hash("session", 2), NOW + HOUR, NOW).await.unwrap());
}

pub async fn deleted_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let id = hash("session", 1);
    stores.sessions.keep_session(&id, &session(1), NOW + MINUTE).await.unwrap();
    assert!(stores.sessions.delete_session(&id).await.unwrap());
    assert!(!stores.sessions.delete_session(&id).await.unwrap());
    assert!(stores.sessions.find_session(&id, NOW).await.unwrap().is_none());
}

pub async fn found_after_a_restart_and_purged<B: Backend>() {
    let backend = B::fresh().await;
    let id = hash("session", 1);
    backend.open().await.sessions.keep_session(&id, &session(1), NOW + MINUTE).await.unwrap();
    let stores = backend.open().await;
    assert_eq!(stores.sessions.find_session(&id, NOW).await.unwrap(), Some(session(1)));
    assert_eq!(stores.upkeep.purge(NOW + MINUTE - TICK, NOW).await.unwrap(), 0);
    assert_eq!(stores.upkeep.purge(NOW + MINUTE, NOW).await.unwrap(), 1);
}
