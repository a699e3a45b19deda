//! What goes wrong while running: a full disk, another process that writes, a crash, a job that
//! fails or panics among others.

use std::fs;

use portunus_core::store::StoreError;
use rusqlite::Connection;

use super::*;
use crate::sqlite::{bundle, database::Database, failure::Failure};

fn database() -> (TempDir, Arc<Database>) {
    let (dir, path) = place();
    (dir, Arc::new(Database::open(&path, sealer(&[SECRET])).unwrap()))
}

async fn limit_pages(database: &Database, pages: i64) {
    database.write(move |db| Ok(db.pragma_update(None, "max_page_count", pages)?)).await.unwrap();
}

/// F6: a disk that is full is played by a limit to the size of the file.
#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_heals() {
    let (_dir, database) = database();
    let stores = bundle(&database);
    fill(&stores).await;
    limit_pages(&database, 1).await;
    let mut written = Vec::new();
    // bounded: by the assertion.
    let refused = loop {
        assert!(written.len() < 2000, "the disk never filled");
        let id = format!("client {}", written.len());
        match stores.clients.insert_client(&client(&id)).await {
            Ok(()) => written.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    for id in &written {
        assert!(
            stores.clients.find_client(&ClientId::from_text(id)).await.unwrap().is_some(),
            "{id} was acknowledged"
        );
    }
    assert_eq!(stores.logins.find_login(&login().id, NOW).await.unwrap(), Some((login(), user())));

    limit_pages(&database, 1 << 30).await;
    stores.clients.insert_client(&client(&format!("client {}", written.len()))).await.unwrap();
    let verdict: String = database
        .read(|db| Ok(db.pragma_query_value(None, "integrity_check", |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_ping_writes() {
    let (_dir, database) = database();
    let stores = bundle(&database);
    let written = || async {
        let value = "SELECT value FROM meta WHERE key = 'ping'";
        database
            .read(move |db| Ok(db.query_row(value, [], |row| row.get::<_, Vec<u8>>(0))?))
            .await
            .unwrap()
    };
    stores.upkeep.ping().await.unwrap();
    let first = written().await;
    stores.upkeep.ping().await.unwrap();
    assert_ne!(written().await, first);

    database.write(|db| Ok(db.pragma_update(None, "query_only", true)?)).await.unwrap();
    let refused = stores.upkeep.ping().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

/// A power cut cannot be played here; that every commit waits for the disk can be asked for.
#[tokio::test]
async fn commits_wait_for_the_disk() {
    let (_dir, database) = database();
    let (mode, synchronous) = database
        .write(|db| {
            let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            let synchronous: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            Ok((mode, synchronous))
        })
        .await
        .unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
}

/// What was acknowledged is in the files already: a copy of them, taken while the store is open,
/// has it all.
#[tokio::test]
async fn acknowledged_writes_survive_a_crash() {
    let (dir, path) = place();
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    fill(&stores).await;
    let (_other, copy) = place();
    for (from, to) in
        [("mcp.sqlite", copy.clone()), ("mcp.sqlite-wal", copy.with_extension("sqlite-wal"))]
    {
        fs::copy(dir.path().join(from), to).unwrap();
    }
    assert_all_opens(&open(&copy, sealer(&[SECRET])).unwrap()).await;
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for() {
    let (dir, database) = database();
    let stores = bundle(&database);
    let other = Connection::open(dir.path().join("mcp.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = value;").unwrap();
    let clients = Arc::clone(&stores.clients);
    let waiting = tokio::spawn(async move { clients.insert_client(&client("client")).await });
    // Reads go on meanwhile.
    assert_eq!(stores.clients.find_client(&ClientId::from_text("client")).await.unwrap(), None);
    other.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap().unwrap();
    assert!(stores.clients.find_client(&ClientId::from_text("client")).await.unwrap().is_some());
}

/// Jobs that queue up behind one another are committed together; each is still kept or undone on
/// its own.
#[tokio::test]
async fn a_failing_job_undoes_itself_alone() {
    let (_dir, database) = database();
    let stores = bundle(&database);
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    // While this one holds the writer, all others queue up.
    let holder = {
        let database = Arc::clone(&database);
        tokio::spawn(async move { database.write(move |_| Ok(gate.recv().is_ok())).await })
    };
    tokio::task::yield_now().await;
    let jobs: Vec<_> = (0..20_u32)
        .map(|n| {
            let database = Arc::clone(&database);
            tokio::spawn(async move {
                let work = move |db: &Connection| {
                    db.execute(
                        "INSERT INTO meta (key, value) VALUES (?1, x'00')",
                        [format!("job {n}")],
                    )?;
                    assert!(n % 5 != 1, "job {n} panics");
                    if n % 5 == 2 { Err(Failure(StoreError::Conflict)) } else { Ok(()) }
                };
                (n, database.write(work).await)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    open_gate.send(()).unwrap();
    assert!(holder.await.unwrap().unwrap());
    for job in jobs {
        let (n, outcome) = job.await.unwrap();
        match n % 5 {
            1 => {
                assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "job {n}: {outcome:?}");
            }
            2 => assert!(matches!(outcome, Err(StoreError::Conflict)), "job {n}: {outcome:?}"),
            _ => assert!(outcome.is_ok(), "job {n}: {outcome:?}"),
        }
        let kept: i64 = database
            .read(move |db| {
                Ok(db.query_row(
                    "SELECT count(*) FROM meta WHERE key = ?1",
                    [format!("job {n}")],
                    |row| row.get(0),
                )?)
            })
            .await
            .unwrap();
        assert_eq!(kept, i64::from(outcome.is_ok()), "job {n}");
    }
    stores.upkeep.ping().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_write() {
    let (_dir, database) = database();
    let stores = bundle(&database);
    fill(&stores).await;
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let holder = {
        let database = Arc::clone(&database);
        tokio::spawn(async move { database.write(move |_| Ok(gate.recv().is_ok())).await })
    };
    tokio::task::yield_now().await;
    let grants = Arc::clone(&stores.grants);
    let impatient = tokio::spawn(async move { grants.revoke_grant(&grant().id, NOW).await });
    tokio::task::yield_now().await;
    impatient.abort();
    open_gate.send(()).unwrap();
    assert!(holder.await.unwrap().unwrap());
    stores.upkeep.ping().await.unwrap();
    let found = stores.grants.find_grant(&grant().id).await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(NOW));
}

#[tokio::test]
async fn many_expired_records_are_deleted_in_portions() {
    let (_dir, database) = database();
    let stores = bundle(&database);
    database
        .write(|db| {
            db.execute_batch(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)
                 INSERT INTO transactions (id, expires_at, record) SELECT 'transaction ' || i, i, '{}' FROM n",
            )?;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(stores.upkeep.purge(Timestamp::from_millis(1200), NOW).await.unwrap(), 1200);
    assert_eq!(stores.upkeep.purge(Timestamp::from_millis(1234), NOW).await.unwrap(), 34);
}

#[tokio::test]
async fn a_store_whose_threads_are_gone_is_unavailable() {
    let (_dir, mut database) = database();
    Arc::get_mut(&mut database).unwrap().lose_threads();
    let stores = bundle(&database);
    for outcome in
        [stores.upkeep.ping().await, stores.clients.count_unused_clients().await.map(|_| ())]
    {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
}
