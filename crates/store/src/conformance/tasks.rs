//! The port for whose tasks are whose (threat 51).

use portunus_core::{ids::ServerName, task::TaskOwnership};

use super::{
    Backend,
    records::{HOUR, MINUTE, NOW, TICK, client_id, hash, user_id},
};

pub fn task(n: u32) -> TaskOwnership {
    let tool = (n % 2 == 1).then(|| format!("tool \u{e9} {n}"));
    TaskOwnership {
        user: user_id(n),
        client: client_id(n),
        server: ServerName::parse("dice").unwrap(),
        tool,
    }
}

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (one, two, absent) = (hash("task", 1), hash("task", 2), hash("task", 3));
    assert_eq!(stores.tasks.find_tasks(&[one], NOW).await.unwrap(), [None]);
    assert_eq!(stores.tasks.find_tasks(&[], NOW).await.unwrap(), []);
    stores.tasks.keep_task(&one, &task(1), NOW + MINUTE).await.unwrap();
    stores.tasks.keep_task(&two, &task(2), NOW + MINUTE).await.unwrap();
    let found = stores.tasks.find_tasks(&[two, absent, one, two], NOW).await.unwrap();
    assert_eq!(
        found,
        [Some(task(2)), None, Some(task(1)), Some(task(2))],
        "in the order they were asked for"
    );
    let changed = TaskOwnership { tool: None, ..task(1) };
    stores.tasks.keep_task(&one, &changed, NOW + HOUR).await.unwrap();
    assert_eq!(stores.tasks.find_tasks(&[one], NOW + MINUTE).await.unwrap(), [Some(changed)]);
}

pub async fn gone_when_expired_or_deleted<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let id = hash("task", 1);
    stores.tasks.keep_task(&id, &task(1), NOW + MINUTE).await.unwrap();
    assert_eq!(stores.tasks.find_tasks(&[id], NOW + MINUTE - TICK).await.unwrap(), [Some(task(1))]);
    assert_eq!(stores.tasks.find_tasks(&[id], NOW + MINUTE).await.unwrap(), [None]);
    assert!(stores.tasks.delete_task(&id).await.unwrap());
    assert!(!stores.tasks.delete_task(&id).await.unwrap());
    assert_eq!(stores.tasks.find_tasks(&[id], NOW).await.unwrap(), [None]);
}

pub async fn found_after_a_restart_and_purged<B: Backend>() {
    let backend = B::fresh().await;
    let id = hash("task", 1);
    backend.open().await.tasks.keep_task(&id, &task(1), NOW + MINUTE).await.unwrap();
    let stores = backend.open().await;
    assert_eq!(stores.tasks.find_tasks(&[id], NOW).await.unwrap(), [Some(task(1))]);
    assert_eq!(stores.upkeep.purge(NOW + MINUTE - TICK, NOW).await.unwrap(), 0);
    assert_eq!(stores.upkeep.purge(NOW + MINUTE, NOW).await.unwrap(), 1);
}
