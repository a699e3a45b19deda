//! Damage that is planted in the file, and what looking through it says. That nothing is said of a
//! file without damage is a part of the suite.

use portunus_core::store::RecordKind;
use rusqlite::Connection;

use super::{super::inspect, *};
use crate::{conformance::archive::furnish, inspection::Inspection};

async fn furnished() -> (TempDir, PathBuf) {
    let (dir, path) = place();
    furnish(&open(&path, sealer(&[SECRET])).unwrap()).await;
    // Its threads end a moment later.
    portunus_testkit::wait::eventually("the records are closed", async || {
        !super::super::is_in_use(&path).unwrap()
    })
    .await;
    (dir, path)
}

fn look(path: &std::path::Path) -> Inspection {
    inspect(path, &sealer(&[SECRET])).unwrap()
}

#[tokio::test]
async fn each_kind_of_damage_is_found_and_named() {
    use RecordKind as Kind;
    let moved = "UPDATE logins SET record = (SELECT record FROM logins ORDER BY hash DESC) WHERE hash = (SELECT min(hash) FROM logins)";
    let cases: [(&str, Option<Kind>, &str, u64); 24] = [
        (
            "UPDATE clients SET record = '{}' WHERE id = 'client 1'",
            Some(Kind::Client),
            "cannot be read: clients.record",
            1,
        ),
        (
            "UPDATE users SET record = '['",
            Some(Kind::User),
            "cannot be read: users.record: Eof error",
            5,
        ),
        (
            "UPDATE grants SET record = '{}' WHERE id = 'grant 1'",
            Some(Kind::Grant),
            "cannot be read: grants.record",
            1,
        ),
        ("UPDATE codes SET record = '{}'", Some(Kind::Code), "cannot be read: codes.record", 5),
        (
            "UPDATE consents SET record = '{}'",
            Some(Kind::Consent),
            "cannot be read: consents.record",
            3,
        ),
        (
            "UPDATE transactions SET record = '{}'",
            Some(Kind::Transaction),
            "cannot be read: transactions.record",
            4,
        ),
        (
            "UPDATE legs SET record = x'00'",
            Some(Kind::ProviderRequest),
            "cannot be read: not a sealed value",
            4,
        ),
        (moved, Some(Kind::Login), "cannot be read: altered, or moved from another place", 1),
        (
            "UPDATE sessions SET state = zeroblob(80)",
            Some(Kind::Session),
            "cannot be read: not a sealed value",
            1,
        ),
        (
            "UPDATE provider_tokens SET record = zeroblob(80)",
            Some(Kind::ProviderToken),
            "cannot be read: not a sealed value",
            1,
        ),
        ("UPDATE tasks SET record = '{}'", Some(Kind::Task), "cannot be read: tasks.record", 2),
        (
            "UPDATE access_tokens SET scopes = '\"'",
            Some(Kind::Grant),
            "cannot be read: access_tokens.scopes",
            5,
        ),
        (
            "UPDATE pins SET server = '/' WHERE server = 'uuid'",
            Some(Kind::Pin),
            "cannot be read: pins.server",
            1,
        ),
        (
            "DELETE FROM users WHERE id IN (SELECT user_id FROM logins)",
            Some(Kind::Login),
            "of a user who is not there",
            5,
        ),
        ("DELETE FROM users", Some(Kind::Grant), "of a user who is not there", 5),
        (
            "DELETE FROM grants WHERE id = 'grant 0'",
            Some(Kind::AccessToken),
            "of a grant that is not there",
            2,
        ),
        (
            "DELETE FROM grants WHERE id = 'grant 0'",
            Some(Kind::RefreshToken),
            "of a grant that is not there",
            1,
        ),
        (
            "UPDATE grants SET tokens_until = 0 WHERE id = 'grant 1'",
            Some(Kind::Grant),
            "ends before its last token",
            1,
        ),
        (
            "UPDATE grants SET client_id = 'client 9' WHERE id = 'grant 1'",
            Some(Kind::Grant),
            "its record names another id, user or",
            1,
        ),
        (
            "UPDATE grants SET client_id = 'ptn_client_x' WHERE id = 'grant 1'",
            Some(Kind::Grant),
            "live, of a registered client that",
            1,
        ),
        (
            "UPDATE refresh_families SET state = x'00'",
            Some(Kind::Grant),
            "cannot be read: refresh_families.state",
            4,
        ),
        (
            "UPDATE clients SET id = 'x' WHERE id = 'client 1'",
            Some(Kind::Client),
            "its record names another id",
            1,
        ),
        (
            "UPDATE consents SET user_id = 'x' WHERE client_id = 'client 1'",
            Some(Kind::Consent),
            "its record names another user",
            1,
        ),
        ("DELETE FROM users", None, "foreign_key_check", 2),
    ];
    for (sql, kind, what, count) in cases {
        let (_dir, path) = furnished().await;
        assert_eq!(look(&path).problems, [], "before");
        let raw = Connection::open(&path).unwrap();
        raw.pragma_update(None, "foreign_keys", false).unwrap();
        raw.execute(sql, []).unwrap();
        drop(raw);
        let problems = look(&path).problems;
        let found =
            problems.iter().find(|problem| problem.kind == kind && problem.what.contains(what));
        let found = found.unwrap_or_else(|| panic!("{sql}: {what:?} is not in {problems:#?}"));
        assert_eq!(found.count, count, "{sql}: {problems:#?}");
        assert!(!found.advice.is_empty() && !found.ids.is_empty());
        assert_eq!(look(&path).problems, problems, "looking changes nothing");
    }
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let (_dir, path) = furnished().await;
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).unwrap();
    // The root of an index: nothing reads it but SQLite's own check.
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'grants_by_user'";
    let page: u32 = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    let size: u32 = raw.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    drop(raw);
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from((page - 1) * size).unwrap();
    bytes[start + 100..start + usize::try_from(size).unwrap()].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let problems = look(&path).problems;
    let found = problems
        .iter()
        .any(|problem| problem.kind.is_none() && problem.what.contains("integrity_check"));
    assert!(found, "{problems:#?}");
}

#[tokio::test]
async fn seals_are_counted_by_secret_and_stay_as_they_are() {
    let (_dir, path) = furnished().await;
    assert_eq!(inspect(&path, &sealer(&["new", SECRET])).unwrap().seals, [0, 15]);
    let raw = Connection::open(&path).unwrap();
    let earlier = sealer(&["long ago"])
        .seal(super::super::logins::place(&TokenHash::of("login 0")), b"{}")
        .unwrap();
    raw.execute(
        "UPDATE logins SET record = ?1 WHERE hash = ?2",
        rusqlite::params![earlier, TokenHash::of("login 0").as_bytes()],
    )
    .unwrap();
    let inspection = inspect(&path, &sealer(&["new", SECRET])).unwrap();
    assert_eq!(inspection.seals, [0, 14]);
    assert_eq!(
        inspection.problems[0].what,
        "cannot be read: sealed with an AUTH_SECRET that is not configured here"
    );
    assert_eq!(inspection.problems[0].ids, [TokenHash::of("login 0").to_string()]);
    // Opening it seals it anew; looking did not.
    drop(open(&path, sealer(&["new", SECRET])).unwrap());
    assert_eq!(inspect(&path, &sealer(&["new"])).unwrap().seals, [14]);
}

#[tokio::test]
async fn what_is_not_ours_to_look_at_is_refused() {
    let (_dir, path) = furnished().await;
    let refused = |secret: &str| inspect(&path, &sealer(&[secret])).unwrap_err();
    assert!(matches!(refused("another"), OpenError::WrongSecret { .. }));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    let error = refused(SECRET);
    assert!(
        matches!(error, OpenError::Older { found: 1, .. })
            && error.to_string().contains("start the gateway once"),
        "{error}"
    );
}
