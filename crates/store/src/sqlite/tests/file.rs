//! The database file: whose it is, who may read it, what stands in it, and with which secret.

use std::fs;

use rusqlite::Connection;

use super::*;

#[tokio::test]
async fn no_secret_stands_in_the_files() {
    let (dir, path) = place();
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    fill(&stores).await;
    // All files of the directory, while the write-ahead log holds what was just written.
    let mut bytes = Vec::new();
    for file in fs::read_dir(dir.path()).unwrap() {
        bytes.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("A client by name"), "what is no secret is seen, so a secret would be");
    assert!(!holds("secret of the"));
    assert!(!holds(SECRET));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, path) = place();
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    fill(&stores).await;
    let mut names = Vec::new();
    for file in fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            file.file_name()
        );
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["mcp.sqlite", "mcp.sqlite-shm", "mcp.sqlite-wal"]);
}

#[tokio::test]
async fn another_secret_is_refused_at_start() {
    let (_dir, path) = place();
    fill(&open(&path, sealer(&[SECRET])).unwrap()).await;
    let error = opening(&path, &["another"]);
    assert!(matches!(error, OpenError::WrongSecret { .. }), "{error}");
    assert!(
        error.to_string().starts_with("AUTH_SECRET differs from the one that created the database"),
        "{error}"
    );
    assert_all_opens(&open(&path, sealer(&[SECRET])).unwrap()).await;
}

#[tokio::test]
async fn after_a_rotation_the_earlier_secret_can_be_dropped() {
    let (_dir, path) = place();
    fill(&open(&path, sealer(&[SECRET])).unwrap()).await;
    drop(open(&path, sealer(&["new", SECRET])).unwrap());
    let error = opening(&path, &[SECRET]);
    assert!(matches!(error, OpenError::WrongSecret { .. }), "{error}");
    assert_all_opens(&open(&path, sealer(&["new"])).unwrap()).await;
}

#[tokio::test]
async fn a_rotation_while_it_is_open_is_one_too() {
    let (_dir, path) = place();
    let sealer_in_use = sealer(&[SECRET]);
    let stores = open(&path, sealer_in_use.clone()).unwrap();
    fill(&stores).await;
    sealer_in_use.change_secrets(&["new", SECRET].map(SecretText::new)).unwrap();
    stores.upkeep.reseal().await.unwrap();
    sealer_in_use.change_secrets(&["new"].map(SecretText::new)).unwrap();
    stores.upkeep.reseal().await.unwrap();
    assert_all_opens(&stores).await;
    drop(stores);
    let error = opening(&path, &[SECRET]);
    assert!(matches!(error, OpenError::WrongSecret { .. }), "{error}");
}

#[tokio::test]
async fn what_was_sealed_with_the_earlier_secret_after_the_rotation_is_found_at_the_next_start() {
    let (_dir, path) = place();
    let late = open(&path, sealer(&[SECRET, "new"])).unwrap();
    drop(open(&path, sealer(&["new", SECRET])).unwrap());
    fill(&late).await;
    drop(late);
    drop(open(&path, sealer(&["new", SECRET])).unwrap());
    assert_all_opens(&open(&path, sealer(&["new"])).unwrap()).await;
}

#[tokio::test]
async fn sealed_records_cannot_change_places() {
    let (_dir, path) = place();
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    fill(&stores).await;
    let other =
        ProviderRequest { state: TokenHash::of("secret of another state"), ..provider_request() };
    stores.transactions.insert_provider_request(&other).await.unwrap();
    let sql =
        "UPDATE legs SET record = (SELECT record FROM legs WHERE state = ?1) WHERE state = ?2";
    Connection::open(&path)
        .unwrap()
        .execute(sql, [other.state.as_bytes().as_slice(), provider_request().state.as_bytes()])
        .unwrap();
    let moved = stores.transactions.take_provider_request(&provider_request().state, NOW).await;
    assert!(matches!(moved, Err(portunus_core::store::StoreError::Corrupt(_))), "{moved:?}");
}

#[tokio::test]
async fn unreadable_records_are_told_without_their_content() {
    let (_dir, path) = place();
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    stores.clients.insert_client(&client("client")).await.unwrap();
    let sql = r#"UPDATE clients SET record = '{"id": {"hunter2": 1}}'"#;
    Connection::open(&path).unwrap().execute(sql, []).unwrap();
    let error = stores.clients.find_client(&ClientId::from_text("client")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a stored record cannot be read: clients.record: Data error at column 7"
    );
}

#[test]
fn the_schema_is_laid_once() {
    let (_dir, path) = place();
    let schema = || -> Vec<String> {
        let connection = Connection::open(&path).unwrap();
        let mut statement = connection
            .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    drop(open(&path, sealer(&[SECRET])).unwrap());
    let first = schema();
    assert!(first.len() > 10, "{first:?}");
    drop(open(&path, sealer(&[SECRET])).unwrap());
    assert_eq!(schema(), first);
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_was() {
    let (_dir, path) = place();
    drop(open(&path, sealer(&[SECRET])).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = opening(&path, &[SECRET]);
    assert!(
        matches!(
            error,
            OpenError::Newer { found: 99, known: crate::sqlite::migrations::KNOWN, .. }
        ),
        "{error}"
    );
    let found: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(found, 99);
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_was() {
    let (_dir, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE clients (id TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = opening(&path, &[SECRET]);
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let (_dir, path) = place();
    let text = "not a database, but long enough to hold the header of one: ".repeat(20);
    fs::write(&path, &text).unwrap();
    let error = opening(&path, &[SECRET]);
    assert!(matches!(error, OpenError::NotSqlite { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn places_where_no_database_can_be_are_named() {
    let (dir, path) = place();
    let missing = dir.path().join("missing");
    let error = opening(&missing.join("mcp.sqlite"), &[SECRET]);
    assert!(
        matches!(&error, OpenError::MissingDirectory { dir, .. } if *dir == missing),
        "{error}"
    );
    assert!(!missing.exists(), "no directory is made");

    let error = opening(dir.path(), &[SECRET]);
    assert!(matches!(error, OpenError::IsDirectory { .. }), "{error}");

    fs::write(&path, "").unwrap();
    let error = opening(&path.join("mcp.sqlite"), &[SECRET]);
    assert!(matches!(error, OpenError::MissingDirectory { .. }), "a file is no directory: {error}");
    drop(open(&path, sealer(&[SECRET])).unwrap());
}

#[test]
fn grants_of_the_first_schema_are_found_by_their_client() {
    let (_dir, path) = place();
    let mut connection = Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../migrations/0001_initial.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute("INSERT INTO users VALUES ('alice', '{}')", []).unwrap();
    let sql = "INSERT INTO grants (id, user_id, created_at, tokens_until, record) VALUES ('grant', 'alice', 0, 0, ?1)";
    connection.execute(sql, [serde_json::to_string(&grant()).unwrap()]).unwrap();
    crate::sqlite::migrations::apply(&mut connection, &path).unwrap();
    let client: String =
        connection.query_row("SELECT client_id FROM grants", [], |row| row.get(0)).unwrap();
    assert_eq!(client, "client");
}

#[tokio::test]
async fn who_else_has_it_open_is_seen() {
    let (_dir, path) = place();
    assert!(!super::super::is_in_use(&path).unwrap(), "there is none");
    let stores = open(&path, sealer(&[SECRET])).unwrap();
    fill(&stores).await;
    assert!(super::super::is_in_use(&path).unwrap());
    assert!(super::super::is_in_use(&path).unwrap(), "looking changes nothing");
    drop(stores);
    // Its threads end a moment later.
    portunus_testkit::wait::eventually("the records are closed", async || {
        !super::super::is_in_use(&path).unwrap()
    })
    .await;
    assert_all_opens(&open(&path, sealer(&[SECRET])).unwrap()).await;
}
