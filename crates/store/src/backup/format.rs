//! The lines of a backup, what binds them to their place, and what can be wrong with them.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portunus_core::{
    Timestamp,
    store::{ArchiveError, Census},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::seal::{Place, SealError};

/// The format this build writes, and the latest it reads.
pub const FORMAT: u32 = 2;

/// The longest line, which bounds the memory that a reader needs for one.
pub(super) const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the program that wrote it.
    pub portunus_backup: u32,
    /// In milliseconds since 1970.
    pub made_at: Timestamp,
    /// `sqlite` or `redis`.
    pub store: String,
    /// The version of the Portunus that wrote it.
    pub version: String,
    /// Of 128 random bits, so that no two backups have the same first line.
    pub id: String,
}

/// One of the lines after it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Records(String),
    End(String),
}

/// What the whole comes to: the last line says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub records: Census,
    /// Records that could not be read where they were kept, and so are not in it.
    pub left_out: u64,
}

/// Why a backup cannot be written or read, and what to do.
#[derive(Debug, Error)]
pub enum BackupError {
    #[error("it is not a backup of Portunus: its first line does not say so")]
    NotABackup,
    #[error(
        "it was made by a newer Portunus (its format is {found}, this one knows up to {FORMAT}); use that one or a newer one"
    )]
    Newer { found: u32 },
    #[error(
        "it was made with another AUTH_SECRET; put that one into AUTH_SECRET_PREVIOUS and try again"
    )]
    WrongSecret,
    #[error(
        "line {line} is not as it was written: the file is damaged or was changed; use another backup"
    )]
    Altered { line: u64 },
    #[error(
        "line {line} holds what this Portunus does not know; use the version that made it ({version}) or a newer one"
    )]
    Unknown { line: u64, version: String },
    #[error(
        "it ends after line {line}, before its end: it was cut off, or is still being written; use another backup"
    )]
    Cut { line: u64 },
    #[error("something follows its end: it is not as it was written; use another backup")]
    GoesOn,
    #[error(
        "its last line counts other records than there are: it is not as it was written; use another backup"
    )]
    Miscounted,
    #[error("a record is too long for a line")]
    TooLong,
    #[error("{0}")]
    Seal(SealError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<BackupError> for ArchiveError {
    fn from(error: BackupError) -> Self {
        Self::Elsewhere(Box::new(error))
    }
}

/// What binds each line to its backup and its place in it.
pub(super) struct Binding(String);

impl Binding {
    pub(super) fn to(first_line: &[u8]) -> Self {
        Self(STANDARD.encode(Sha256::digest(first_line)))
    }

    pub(super) fn place<'a>(&'a self, what: &'a str, number: &'a [u8; 8]) -> Place<'a> {
        Place { table: what, column: &self.0, key: number }
    }
}

pub(super) const RECORDS: &str = "backup.records";
pub(super) const END: &str = "backup.end";
