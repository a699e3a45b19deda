//! Keeps sign-ins and registrations in files of this user (threat 93): one file each, in
//! `$XDG_DATA_HOME/portunus/connect`, replaced as a whole. A lock beside each file lets one process
//! at a time refresh or sign in, while the others wait and read. Which files will do is
//! `portunus_core::oauth_client::token_file`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::{
    Entropy,
    entropy::random_bytes,
    file_access::{FileEntry, FileKind},
    oauth_client::token_file,
    secret::SecretText,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{error::ConnectError, identity::ClientIdentity};
use crate::os::OsEntropy;

const MAX_FILE: u64 = 256 * 1024;
/// How often a lock that another process holds is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A person's sign-in at one server, as one client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignIn {
    /// What it is bound to, as the client was configured.
    pub key: String,
    pub issuer: String,
    pub resource: String,
    pub token_endpoint: String,
    pub client: ClientIdentity,
    pub access_token: SecretText,
    pub refresh_token: Option<SecretText>,
    /// Seconds since 1970.
    pub expires_at: Option<i64>,
    /// What was asked for, ever.
    pub requested: Option<String>,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct TokenStore {
    folder: PathBuf,
}

/// Held until it is dropped, or the process ends.
pub(super) struct Lock(
    #[expect(dead_code, reason = "the lock is in force while the file is open")] File,
);

impl TokenStore {
    /// `$XDG_DATA_HOME/portunus/connect`, or below `~/.local/share`.
    pub fn of_this_user(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConnectError> {
        let absolute = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        let data = variable("XDG_DATA_HOME")
            .and_then(absolute)
            .or_else(|| Some(variable("HOME").and_then(absolute)?.join(".local/share")));
        let data = data.ok_or_else(|| {
            ConnectError::Store(
                "there is no folder for tokens: set HOME or XDG_DATA_HOME".to_owned(),
            )
        })?;
        Ok(Self::at(data.join("portunus/connect")))
    }

    pub const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn sign_in(&self, key: &str) -> Result<Option<SignIn>, ConnectError> {
        let found: Option<SignIn> = self.read(&self.sign_in_file(key))?;
        Ok(found.filter(|found| found.key == key))
    }

    /// Is there one still? What is in it is not read.
    pub fn has_sign_in(&self, key: &str) -> Result<bool, ConnectError> {
        let path = self.sign_in_file(key);
        path.try_exists().map_err(|error| trouble(&path, &error))
    }

    pub fn keep_sign_in(&self, sign_in: &SignIn) -> Result<(), ConnectError> {
        self.write(&self.sign_in_file(&sign_in.key), sign_in)
    }

    /// Replaces a sign-in unless it was removed. `false`: it was, and stays so.
    pub fn replace_sign_in(&self, sign_in: &SignIn) -> Result<bool, ConnectError> {
        if !self.has_sign_in(&sign_in.key)? {
            return Ok(false);
        }
        let _no_other = self.exclusive()?;
        if !self.has_sign_in(&sign_in.key)? {
            return Ok(false);
        }
        self.keep_sign_in(sign_in).map(|()| true)
    }

    /// Removes a sign-in, and what its authorization server knows us as. `false`: there was none.
    pub fn forget(&self, key: &str) -> Result<bool, ConnectError> {
        if let Ok(Some(sign_in)) = self.sign_in(key) {
            self.remove_registration(&sign_in.issuer)?;
        }
        self.remove_sign_in(key)
    }

    pub fn remove_sign_in(&self, key: &str) -> Result<bool, ConnectError> {
        let path = self.sign_in_file(key);
        if !self.has_sign_in(key)? {
            return Ok(false);
        }
        let _no_other = self.exclusive()?;
        remove(&path)
    }

    /// What an authorization server knows us as.
    pub(super) fn registration(
        &self,
        issuer: &str,
    ) -> Result<Option<ClientIdentity>, ConnectError> {
        let found: Option<(String, ClientIdentity)> =
            self.read(&self.file("client", issuer, "json"))?;
        Ok(found.filter(|(of, _)| of == issuer).map(|(_, client)| client))
    }

    pub(super) fn keep_registration(
        &self,
        issuer: &str,
        client: &ClientIdentity,
    ) -> Result<(), ConnectError> {
        self.write(&self.file("client", issuer, "json"), &(issuer, client))
    }

    pub(super) fn remove_registration(&self, issuer: &str) -> Result<(), ConnectError> {
        remove(&self.file("client", issuer, "json")).map(|_| ())
    }

    /// Waits until no other process is about to change this sign-in.
    pub(super) async fn lock(&self, key: &str, until: Instant) -> Result<Lock, ConnectError> {
        self.create()?;
        let path = self.file("sign-in", key, "lock");
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|error| trouble(&path, &error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::Error(error)) => return Err(trouble(&path, &error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(ConnectError::SignIn(
                        "another portunus connect has been waiting for this sign-in for too long"
                            .to_owned(),
                    ));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            }
        }
    }

    /// Lets no other process remove or replace anything for the moment that this takes. What waits
    /// for a server or a person holds [`lock`](Self::lock) instead.
    fn exclusive(&self) -> Result<Lock, ConnectError> {
        let opened = File::open(&self.folder).and_then(|folder| folder.lock().map(|()| folder));
        opened.map(Lock).map_err(|error| trouble(&self.folder, &error))
    }

    fn sign_in_file(&self, key: &str) -> PathBuf {
        self.file("sign-in", key, "json")
    }

    fn file(&self, kind: &str, key: &str, extension: &str) -> PathBuf {
        let digest = Sha256::digest(key);
        let name = URL_SAFE_NO_PAD.encode(&digest[..12]);
        self.folder.join(format!("{kind}-{name}.{extension}"))
    }

    fn create(&self) -> Result<(), ConnectError> {
        let folder = &self.folder;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| trouble(folder, &error))?;
        check(folder, &fs::symlink_metadata(folder).map_err(|error| trouble(folder, &error))?)
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, ConnectError> {
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(trouble(path, &error)),
        };
        let metadata =
            fs::symlink_metadata(&self.folder).map_err(|error| trouble(&self.folder, &error))?;
        check(&self.folder, &metadata)?;
        check(path, &file.metadata().map_err(|error| trouble(path, &error))?)?;
        let mut text = Vec::new();
        let read = Read::by_ref(&mut file).take(MAX_FILE).read_to_end(&mut text);
        read.map_err(|error| trouble(path, &error))?;
        serde_json::from_slice(&text).map(Some).map_err(|_| {
            ConnectError::Store(format!(
                "{} is not as portunus connect writes it: remove it, and sign in again",
                path.display()
            ))
        })
    }

    /// Replaces the file as a whole, so that no reader and no power cut finds half of one.
    fn write<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), ConnectError> {
        self.create()?;
        let text =
            serde_json::to_vec(value).map_err(|error| ConnectError::Store(error.to_string()))?;
        let number = u64::from_be_bytes(
            *random_bytes(&OsEntropy as &dyn Entropy).first_chunk().unwrap_or(&[0; 8]),
        );
        let beside = path.with_extension(format!("{number:016x}"));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        written.map_err(|error| {
            let _ = fs::remove_file(&beside);
            trouble(path, &error)
        })
    }
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), ConnectError> {
    let kind = if metadata.is_dir() {
        FileKind::Folder
    } else if metadata.is_symlink() {
        FileKind::Link
    } else {
        FileKind::File
    };
    let entry =
        FileEntry { kind, owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() };
    token_file::check(&entry, rustix::process::geteuid().as_raw())
        .map_err(|bad| ConnectError::Store(format!("{} {bad}", path.display())))
}

fn remove(path: &Path) -> Result<bool, ConnectError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(trouble(path, &error)),
    }
}

fn trouble(path: &Path, error: &io::Error) -> ConnectError {
    ConnectError::Store(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
