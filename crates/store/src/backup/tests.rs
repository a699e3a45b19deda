//! What a backup gives away (nothing), and what becomes of one that is not as it was written.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portunus_core::{
    entropy::SeededEntropy,
    secret::SecretText,
    store::{RecordKind, Stores},
};

use super::*;
use crate::{
    conformance::{
        archive::{assert_furnished, furnish},
        secrets::{self, NOW},
    },
    seal::Sealer,
    sqlite,
};

const SECRET: &str = "the AUTH_SECRET of these tests";

fn sealer(secrets: &[&str]) -> Sealer {
    let secrets: Vec<_> = secrets.iter().map(|text| SecretText::new(*text)).collect();
    Sealer::new(&secrets, Arc::new(SeededEntropy::new(3))).unwrap()
}

fn store(directory: &tempfile::TempDir, name: &str) -> Stores {
    sqlite::open(&directory.path().join(name), sealer(&[SECRET])).unwrap()
}

async fn backup(stores: &Stores, number: u64) -> Vec<u8> {
    let entropy = SeededEntropy::new(number);
    let mut writer =
        Writer::begin(Vec::new(), sealer(&[SECRET]), &entropy, NOW, "sqlite", |_, _| {}).unwrap();
    stores.archive.export(&mut writer).await.unwrap();
    writer.finish().unwrap().0
}

fn verify(bytes: &[u8], secrets: &[&str]) -> Result<Summary, BackupError> {
    Reader::begin(bytes, &sealer(secrets), |_| {})?.verify()
}

#[tokio::test]
async fn what_was_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (store(&directory, "first"), store(&directory, "second"));
    furnish(&first).await;
    let bytes = backup(&first, 1).await;
    let summary = verify(&bytes, &[SECRET]).unwrap();
    assert_eq!((summary.records.of(RecordKind::Grant), summary.left_out), (5, 0));
    // After a rotation of the secret too.
    assert_eq!(verify(&bytes, &["another", SECRET]).unwrap(), summary);
    let (sealer, seen) = (sealer(&[SECRET]), Arc::new(Mutex::new(0)));
    let mut reader = Reader::begin(bytes.as_slice(), &sealer, {
        let seen = Arc::clone(&seen);
        move |so_far: &Summary| *seen.lock().unwrap() = so_far.records.total()
    })
    .unwrap();
    assert_eq!((reader.header().made_at, reader.header().store.as_str()), (NOW, "sqlite"));
    second.archive.import(&mut reader).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), summary.records.total());
    assert_furnished(&second).await;
}

#[tokio::test]
async fn it_gives_nothing_away() {
    let directory = tempfile::tempdir().unwrap();
    let stores = store(&directory, "store");
    secrets::fill(&stores).await;
    let bytes = backup(&stores, 1).await;
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("sqlite"), "what is in the clear is seen");
    let hash = secrets::login().id.to_string();
    for text in ["secret of the", "A client by name", "alice", "issuer.example", SECRET, &hash] {
        assert!(!holds(text), "{text}");
    }
    // Nor in base64.
    for line in bytes.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
        let text = String::from_utf8_lossy(line);
        let sealed = STANDARD.decode(text.split('"').nth(3).unwrap()).unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"alice"));
    }
}

#[tokio::test]
async fn every_changed_byte_and_every_cut_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let stores = store(&directory, "store");
    secrets::fill(&stores).await;
    let bytes = backup(&stores, 1).await;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, &[SECRET]).is_err(), "byte {at}");
    }
    for at in (0..bytes.len()).step_by(7).chain(bytes.len() - 1..bytes.len()) {
        let error = verify(&bytes[..at], &[SECRET]).unwrap_err();
        assert!(
            matches!(error, BackupError::NotABackup | BackupError::Cut { .. }),
            "cut at {at}: {error}"
        );
    }
}

#[tokio::test]
async fn lines_stay_where_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let stores = store(&directory, "store");
    stores.archive.import(&mut crate::conformance::archive::crowd(600)).await.unwrap();
    let (bytes, other) = (backup(&stores, 1).await, backup(&stores, 2).await);
    let split = |bytes: &[u8]| {
        bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let (lines, others) = (split(&bytes), split(&other));
    assert!(lines.len() > 4, "{} lines", lines.len());
    let last = lines.len() - 1;
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(1, 2);
        lines
    };
    let missing = {
        let mut lines = lines.clone();
        lines.remove(2);
        lines
    };
    let from_another = {
        let mut lines = lines.clone();
        lines[2] = others[2].clone();
        lines
    };
    let ends_early = {
        let mut lines = lines.clone();
        lines.drain(2..last);
        lines
    };
    for (what, lines) in [
        ("swapped", swapped),
        ("missing", missing),
        ("another's", from_another),
        ("early", ends_early),
    ] {
        let error = verify(&lines.concat(), &[SECRET]).unwrap_err();
        assert!(matches!(error, BackupError::Altered { .. }), "{what}: {error}");
    }
    let twice = [lines.concat(), lines[last].clone()].concat();
    assert!(matches!(verify(&twice, &[SECRET]), Err(BackupError::GoesOn)));
    let without_end = lines[..last].concat();
    assert!(matches!(verify(&without_end, &[SECRET]), Err(BackupError::Cut { .. })));
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let stores = store(&directory, "store");
    secrets::fill(&stores).await;
    let bytes = backup(&stores, 1).await;
    let told = |bytes: &[u8], secrets: &[&str]| verify(bytes, secrets).unwrap_err().to_string();
    assert!(told(&bytes, &["another"]).contains("AUTH_SECRET_PREVIOUS"));
    assert!(told(b"SQLite format 3\0", &[SECRET]).contains("not a backup of Portunus"));
    assert!(told(b"{\"portunus_backup\":99}\n", &[SECRET]).contains("a newer Portunus"));
    assert!(told(b"", &[SECRET]).contains("not a backup of Portunus"));
}

/// An import of a file that turns out to be cut undoes itself.
#[tokio::test]
async fn a_cut_file_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (store(&directory, "first"), store(&directory, "second"));
    first.archive.import(&mut crate::conformance::archive::crowd(600)).await.unwrap();
    furnish(&second).await;
    let bytes = backup(&first, 1).await;
    let sealer = sealer(&[SECRET]);
    let cut = &bytes[..bytes.len() * 2 / 3];
    let mut reader = Reader::begin(cut, &sealer, |_| {}).unwrap();
    let error = second.archive.import(&mut reader).await.unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    assert_furnished(&second).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let stores = store(&directory, "store");
    secrets::fill(&stores).await;
    let damaged = rusqlite::Connection::open(directory.path().join("store")).unwrap();
    damaged.execute("UPDATE logins SET record = x'0102'", []).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let watch = {
        let told = Arc::clone(&told);
        move |_: &Summary, record: Option<&portunus_core::store::Unreadable>| {
            told.lock().unwrap().extend(record.cloned());
        }
    };
    let mut writer =
        Writer::begin(Vec::new(), sealer(&[SECRET]), &SeededEntropy::new(1), NOW, "sqlite", watch)
            .unwrap();
    stores.archive.export(&mut writer).await.unwrap();
    let (bytes, summary) = writer.finish().unwrap();
    assert_eq!((summary.left_out, summary.records.of(RecordKind::Login)), (1, 0));
    assert_eq!(verify(&bytes, &[SECRET]).unwrap(), summary);
    let told = told.lock().unwrap();
    assert_eq!(
        (told[0].kind, told[0].id.as_str()),
        (RecordKind::Login, secrets::login().id.to_string().as_str())
    );
}
