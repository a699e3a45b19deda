//! `portunus backup`, `portunus restore` and `portunus store check` as they are typed: what they
//! say, what they refuse, and that what was in one store is in the other. What is in such a file,
//! and which damage to it is seen, is tested next to `portunus_store::backup`; that signed-in
//! clients go on is tested next door, in [`super::store_moves`].

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use portunus::os::OsEntropy;
use portunus_core::{
    ids::NodeId,
    node::Node,
    secret::SecretText,
    store::{RecordKind, Stores},
};
use portunus_store::{
    conformance::archive::{Crate, assert_furnished, crowd, furnish},
    redis::{self, RedisAddress, RedisOptions},
    seal::Sealer,
    sqlite,
};
use portunus_testkit::{redis::Server, wait::eventually};
use tempfile::TempDir;

const SECRET: &str = "pmZEZV1qfWuzDLgsx+OyvQ3UXD/ko3t0nY7mUgsCuCJl";
const NEW_SECRET: &str = "iQw3bd0VbAhrjYh9U2m3gGm2xGqv5mYh5vVfV8g7V4Yb";

fn environment() -> Vec<(&'static str, String)> {
    let okta = [
        ("AUTH_SECRET", SECRET),
        ("AUTH_OKTA_ID", "0oa1b2c3"),
        ("AUTH_OKTA_SECRET", "not-to-be-seen"),
        ("AUTH_OKTA_ISSUER", "https://acme.okta.com/oauth2/default"),
    ];
    okta.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// Runs the program in a folder, with a configuration and these variables.
fn portunus(folder: &Path, args: &[&str], more: &[(&'static str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(environment())
        .envs(more.iter().copied());
    command.output().unwrap_or_else(|error| panic!("the program does not start: {error}"))
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn fine(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
    text(output)
}

/// Refused for this reason, with exit code 1.
fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", text(output));
    assert!(text(output).contains(why), "{why:?} is not in\n{}", text(output));
}

fn sealer(secret: &str) -> Sealer {
    Sealer::new(&[SecretText::new(secret)], Arc::new(OsEntropy)).unwrap()
}

/// The records of a gateway that runs in this folder, made if there are none.
fn records(folder: &Path) -> Stores {
    sqlite::open(&folder.join("mcp.sqlite"), sealer(SECRET)).unwrap()
}

/// The threads of a store that was dropped end a moment later.
async fn closed(folder: &Path) {
    eventually("the records are closed", async || {
        !sqlite::is_in_use(&folder.join("mcp.sqlite")).unwrap()
    })
    .await;
}

async fn in_redis(server: &Server) -> Stores {
    redis::open(RedisOptions::new(RedisAddress::parse(&server.address()).unwrap()), sealer(SECRET))
        .await
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn from_a_file_to_redis_and_back() {
    let (here, there, server) =
        (TempDir::new().unwrap(), TempDir::new().unwrap(), Server::start(&[]));
    let url = server.address();
    let file = here.path().join("a.backup");
    let file = file.to_str().unwrap();
    let stores = records(here.path());
    furnish(&stores).await;
    // While the gateway has it open.
    let told = fine(&portunus(here.path(), &["backup", file], &[]));
    assert!(
        told.contains(
            "4 clients, 5 users, 5 logins, 1 provider tokens, 3 consents, 5 grants, 7 access tokens, 4 refresh tokens"
        ),
        "{told}"
    );
    let told = fine(&portunus(here.path(), &["restore", "--verify", file], &[]));
    assert!(told.contains("is whole: 4 clients") && told.contains("from sqlite of "), "{told}");
    let told = fine(&portunus(here.path(), &["restore", file], &[("REDIS_URL", &url)]));
    assert!(
        told.contains("5 grants") && told.contains("restored into Redis at redis://127.0.0.1"),
        "{told}"
    );
    assert_eq!(
        Crate::of(&in_redis(&server).await).await.census(),
        Crate::of(&stores).await.census()
    );

    let back = there.path().join("b.backup");
    let back = back.to_str().unwrap();
    fine(&portunus(there.path(), &["backup", back], &[("REDIS_URL", &url)]));
    // Into a file that is not there yet.
    fine(&portunus(there.path(), &["restore", back], &[]));
    assert_furnished(&records(there.path())).await;
    assert_furnished(&in_redis(&server).await).await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone_and_appears_when_it_is_complete() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    furnish(&records(folder.path())).await;
    let file = out.path().join("x.backup");
    let run = || portunus(folder.path(), &["backup", file.to_str().unwrap()], &[]);
    fine(&run());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read(&file).unwrap();
    fine(&run());
    assert_ne!(fs::read(&file).unwrap(), first, "an earlier backup is replaced");
    assert_eq!(names(out.path()), ["x.backup"]);

    // The database is not, by a slip of the hand.
    refused(
        &portunus(folder.path(), &["backup", "mcp.sqlite"], &[]),
        "is not a backup of Portunus: it is left alone",
    );
    refused(&portunus(folder.path(), &["backup", "nowhere/x"], &[]), "is there such a directory");
    let streamed = portunus(folder.path(), &["backup", "-"], &[]);
    assert!(String::from_utf8_lossy(&streamed.stderr).contains("5 grants"));
    fs::write(&file, &streamed.stdout).unwrap();
    fine(&portunus(folder.path(), &["restore", "--verify", file.to_str().unwrap()], &[]));
}

#[tokio::test]
async fn a_store_that_is_not_empty_or_in_use_is_refused() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start(&[]));
    let url = server.address();
    let stores = records(folder.path());
    furnish(&stores).await;
    let run = |args: &[&str]| portunus(folder.path(), args, &[]);
    let on_redis = |args: &[&str]| portunus(folder.path(), args, &[("REDIS_URL", &url)]);
    fine(&run(&["backup", "x.backup"]));
    for args in [&["restore", "x.backup"][..], &["restore", "--replace", "x.backup"]] {
        refused(&run(args), "is in use: stop the gateway first");
    }
    drop(stores);
    closed(folder.path()).await;
    refused(&run(&["restore", "x.backup"]), "is not empty: nothing was changed");
    assert_eq!(Crate::of(&records(folder.path())).await.census().of(RecordKind::Grant), 5);
    closed(folder.path()).await;
    fine(&run(&["restore", "--replace", "x.backup"]));
    assert_furnished(&records(folder.path())).await;

    let redis = in_redis(&server).await;
    redis.archive.import(&mut crowd(3)).await.unwrap();
    refused(&on_redis(&["restore", "x.backup"]), "is not empty: nothing was changed");
    let node = Node { id: NodeId::from_text("ptn_node_x"), url: "http://10.0.0.5:7946".to_owned() };
    redis.nodes.beat(&node, std::time::Duration::from_secs(600)).await.unwrap();
    refused(
        &on_redis(&["restore", "--replace", "x.backup"]),
        "1 gateways use this store, one of them at http://10.0.0.5:7946",
    );
    assert_eq!(Crate::of(&redis).await.census().of(RecordKind::Grant), 3);
    redis.nodes.leave(&node.id).await.unwrap();
    fine(&on_redis(&["restore", "--replace", "x.backup"]));
    assert_furnished(&redis).await;
}

#[tokio::test]
async fn a_file_that_is_not_as_it_was_written_is_refused_before_anything_changes() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    records(folder.path()).archive.import(&mut crowd(600)).await.unwrap();
    fine(&portunus(folder.path(), &["backup", "whole"], &[]));
    let whole = fs::read(folder.path().join("whole")).unwrap();
    let cut = &whole[..whole.len() - 10];
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for (name, bytes, why) in [
        ("cut", cut, "it was cut off"),
        ("changed", &changed, "is damaged or was changed"),
        ("text", b"hello\n".as_slice(), "it is not a backup of Portunus"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        for args in [&["restore"][..], &["restore", "--replace"], &["restore", "--verify"]] {
            let args = [args, &[file.to_str().unwrap()]].concat();
            refused(&portunus(elsewhere.path(), &args, &[]), why);
        }
    }
    assert_eq!(names(elsewhere.path()), Vec::<String>::new(), "not even an empty database");
    refused(
        &portunus(elsewhere.path(), &["restore", "nothing"], &[]),
        "nothing cannot be restored",
    );
    refused(&portunus(elsewhere.path(), &["restore", "-"], &[]), "name a file");
}

#[tokio::test]
async fn another_secret_is_refused_until_it_is_named_as_the_one_before() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    furnish(&records(folder.path())).await;
    let file = elsewhere.path().join("x.backup");
    let file = file.to_str().unwrap();
    fine(&portunus(folder.path(), &["backup", file], &[]));
    let restore =
        |env: &[(&'static str, &str)]| portunus(elsewhere.path(), &["restore", file], env);
    refused(&restore(&[("AUTH_SECRET", NEW_SECRET)]), "put that one into AUTH_SECRET_PREVIOUS");
    fine(&restore(&[("AUTH_SECRET", NEW_SECRET), ("AUTH_SECRET_PREVIOUS", SECRET)]));
    // Sealed anew: the earlier one is not needed any more.
    assert_furnished(
        &sqlite::open(&elsewhere.path().join("mcp.sqlite"), sealer(NEW_SECRET)).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn no_gateway_opens_what_was_restored_in_half() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start(&[]));
    let url = server.address();
    furnish(&records(folder.path())).await;
    fine(&portunus(folder.path(), &["backup", "x.backup"], &[]));
    drop(in_redis(&server).await);
    // What a restore leaves behind that dies in between.
    let () = server.ask(&["SET", "portunus:{meta}:unfinished-import", "1"]);
    let run = |args: &[&str]| portunus(folder.path(), args, &[("REDIS_URL", &url)]);
    refused(&run(&["clients", "list"]), "a restore into Redis");
    refused(&run(&["backup", "y.backup"]), "a restore into Redis");
    fine(&run(&["restore", "--replace", "x.backup"]));
    assert_furnished(&in_redis(&server).await).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_exit_is_1() {
    let folder = TempDir::new().unwrap();
    furnish(&records(folder.path())).await;
    let database = rusqlite::Connection::open(folder.path().join("mcp.sqlite")).unwrap();
    database.execute("UPDATE clients SET record = '{}' WHERE id = 'client 2'", []).unwrap();
    drop(database);
    let output = portunus(folder.path(), &["backup", "x.backup"], &[]);
    refused(
        &output,
        "cannot be read and is left out: one of the clients, client 2: clients.record",
    );
    refused(&output, "1 records could not be read and are not in it");
    let told = fine(&portunus(folder.path(), &["restore", "--verify", "x.backup"], &[]));
    assert!(told.contains("is whole: 3 clients"), "{told}");
}

#[test]
fn help_teaches_and_a_missing_configuration_is_2() {
    let folder = TempDir::new().unwrap();
    for (args, part) in [
        (["backup", "--help"], "AUTH_SECRET"),
        (["restore", "--help"], "To move from SQLite to Redis"),
    ] {
        assert!(fine(&portunus(folder.path(), &args, &[])).contains(part));
    }
    for args in [["backup", "x"], ["restore", "x"]] {
        let output = portunus(folder.path(), &args, &[("AUTH_SECRET", "")]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
    refused(&portunus(folder.path(), &["backup", "x"], &[]), "there are no records");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_of_the_store_tells_what_there_is_and_what_is_wrong() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start(&[]));
    let url = server.address();
    let check = |more: &[(&'static str, &str)]| portunus(folder.path(), &["store", "check"], more);
    refused(&check(&[]), "there are no records");
    let stores = records(folder.path());
    furnish(&stores).await;
    in_redis(&server).await.archive.import(&mut Crate::of(&stores).await).await.unwrap();
    for more in [&[][..], &[("REDIS_URL", url.as_str())]] {
        let told = fine(&check(more));
        for part in [
            "access tokens                    7           -\n",
            "15 values are sealed under AUTH_SECRET\n",
            "Nothing is wrong.\n",
        ] {
            assert!(told.contains(part), "{part:?} is not in\n{told}");
        }
        let rotated =
            [more, &[("AUTH_SECRET", NEW_SECRET), ("AUTH_SECRET_PREVIOUS", SECRET)]].concat();
        assert!(fine(&check(&rotated)).contains(
            "0 values are sealed under AUTH_SECRET\n15 values are sealed under AUTH_SECRET_PREVIOUS"
        ));
        refused(&check(&[more, &[("AUTH_SECRET", NEW_SECRET)]].concat()), "AUTH_SECRET differs");
    }
    // Looking has sealed nothing anew and upgraded nothing: with the secret of before it is as
    // before.
    fine(&check(&[]));

    let database = rusqlite::Connection::open(folder.path().join("mcp.sqlite")).unwrap();
    database.execute("UPDATE clients SET record = '{}', id = id || char(27) || '[2K'", []).unwrap();
    let () = server.ask(&["SET", "portunus:{meta}:unfinished-import", "1"]);
    let output = check(&[]);
    refused(&output, "clients: cannot be read: clients.record");
    refused(&output, "  client 0\u{fffd}[2K\n");
    refused(&output, "  -> no gateway can use it");
    refused(&check(&[("REDIS_URL", &url)]), "the store: a restore is under way, or broke off (1)");
}
