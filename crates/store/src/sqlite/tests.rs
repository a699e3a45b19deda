//! Tests of what is particular to SQLite; what every store has to do is in [`crate::conformance`].
//! One file each for damage ([`damage`]), for the database file and the secret ([`file`]), for
//! faults while running ([`faults`]), and for files of earlier versions ([`upgrade`]).

mod damage;
mod faults;
mod file;
mod upgrade;

use std::{path::PathBuf, sync::Arc};

use portunus_core::{
    Timestamp,
    entropy::SeededEntropy,
    ids::ClientId,
    secret::{SecretText, TokenHash},
    signin::ProviderRequest,
};
use tempfile::TempDir;

use super::{OpenError, open};
use crate::{
    conformance::secrets::{
        NOW, assert_all_opens, client, fill, grant, login, provider_request, user,
    },
    seal::Sealer,
};

const SECRET: &str = "the AUTH_SECRET of these tests";

fn sealer(secrets: &[&str]) -> Sealer {
    let secrets: Vec<_> = secrets.iter().map(|text| SecretText::new(*text)).collect();
    Sealer::new(&secrets, Arc::new(SeededEntropy::new(3))).unwrap()
}

/// A directory of the test's own, and the database in it.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mcp.sqlite");
    (dir, path)
}

fn opening(path: &std::path::Path, secrets: &[&str]) -> OpenError {
    match open(path, sealer(secrets)) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => error,
    }
}
