//! Files of tokens: what is written, what is read, what is refused, and the lock beside them.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::connect::identity::Method;

fn sign_in(key: &str) -> SignIn {
    SignIn {
        key: key.into(),
        issuer: "https://as".into(),
        resource: "https://h/mcp".into(),
        token_endpoint: "https://as/token".into(),
        client: client(),
        access_token: SecretText::new("at"),
        refresh_token: Some(SecretText::new("rt")),
        expires_at: Some(1),
        requested: None,
    }
}

fn client() -> ClientIdentity {
    ClientIdentity { id: "c".into(), secret: None, method: Method::Public, port: Some(1) }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn t93_what_is_kept_is_for_this_user_and_what_others_can_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("portunus/connect");
    let store = TokenStore::at(at.clone());
    assert!(store.sign_in("k").unwrap().is_none());
    store.keep_sign_in(&sign_in("k")).unwrap();
    let file = store.sign_in_file("k");
    assert_eq!((mode(&at), mode(&file)), (0o700, 0o600));
    assert_eq!(store.sign_in("k").unwrap().unwrap().access_token, SecretText::new("at"));
    assert_eq!(fs::read_dir(&at).unwrap().count(), 1, "nothing is left beside it");

    for bad in [0o640, 0o604, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(bad)).unwrap();
        let error = store.sign_in("k").unwrap_err().to_string();
        assert!(error.contains("can be read or changed by others"), "{error}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&at, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(store.sign_in("k").is_err(), "the folder");
    assert!(store.keep_sign_in(&sign_in("k")).is_err(), "the folder");
    fs::set_permissions(&at, fs::Permissions::from_mode(0o700)).unwrap();

    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(store.sign_in("k").is_err(), "a link");
}

#[test]
fn t91_a_sign_in_is_found_for_what_it_is_bound_to_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = TokenStore::at(folder.path().join("connect"));
    store.keep_sign_in(&sign_in("k")).unwrap();
    fs::copy(store.sign_in_file("k"), store.sign_in_file("other")).unwrap();
    assert!(store.sign_in("other").unwrap().is_none());
    store.keep_registration("https://as", &client()).unwrap();
    assert_eq!(store.registration("https://as").unwrap(), Some(client()));
    assert_eq!(store.registration("https://as/").unwrap(), None);
    assert!(store.forget("k").unwrap() && !store.forget("k").unwrap());
    assert_eq!(store.registration("https://as").unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = TokenStore::at(folder.path().join("connect"));
    let lock = store.lock("k", Instant::now()).await.unwrap();
    let other = store.lock("k", Instant::now() + Duration::from_secs(5)).await;
    assert!(other.is_err(), "it is held");
    store.lock("another", Instant::now()).await.unwrap();
    drop(lock);
    store.lock("k", Instant::now()).await.unwrap();
}
