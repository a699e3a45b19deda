//! Reads a backup, line by line. Nothing of a line is given before the line has opened, but only
//! the last one says that the file is whole: a caller that cannot undo what it does with the
//! records reads to the end first.

use std::io::{BufRead, Read as _};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portunus_core::store::{ArchiveError, Record, RecordSource};
use zeroize::Zeroizing;

use super::format::{
    BackupError, Binding, END, FORMAT, Header, LONGEST_LINE, Line, RECORDS, Summary,
};
use crate::seal::{SealError, Sealer};

/// The first line of anything else may be of any length.
const LONGEST_HEADER: usize = 4096;

/// Gives records.
pub struct Reader<'a, R> {
    input: R,
    sealer: &'a Sealer,
    header: Header,
    binding: Binding,
    /// The lines so far.
    lines: u64,
    /// What has been given so far; at the end, what the last line says.
    summary: Summary,
    has_ended: bool,
    watch: Box<dyn FnMut(&Summary) + Send + 'a>,
}

impl<'a, R: BufRead + Send> Reader<'a, R> {
    /// Reads the first line. `watch` is told how far it is.
    pub fn begin(
        mut input: R,
        sealer: &'a Sealer,
        watch: impl FnMut(&Summary) + Send + 'a,
    ) -> Result<Self, BackupError> {
        let first = line(&mut input, LONGEST_HEADER, 0)?.ok_or(BackupError::NotABackup)?;
        let header: serde_json::Value =
            serde_json::from_slice(&first).map_err(|_| BackupError::NotABackup)?;
        let format =
            header["portunus_backup"].as_u64().and_then(|format| u32::try_from(format).ok());
        match format.ok_or(BackupError::NotABackup)? {
            found if found > FORMAT => return Err(BackupError::Newer { found }),
            _ => {}
        }
        let header = serde_json::from_value(header).map_err(|_| BackupError::NotABackup)?;
        let (binding, summary) = (Binding::to(&first), Summary::default());
        Ok(Self {
            input,
            sealer,
            header,
            binding,
            lines: 1,
            summary,
            has_ended: false,
            watch: Box::new(watch),
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads to the end: is all of it there, and as it was written?
    pub fn verify(mut self) -> Result<Summary, BackupError> {
        while self.read_records()?.is_some() {}
        Ok(self.summary)
    }

    fn read_records(&mut self) -> Result<Option<Vec<Record>>, BackupError> {
        if self.has_ended {
            return Ok(None);
        }
        let number = self.lines + 1;
        let text = line(&mut self.input, LONGEST_LINE, self.lines)?
            .ok_or(BackupError::Cut { line: self.lines })?;
        self.lines = number;
        match serde_json::from_slice(&text).map_err(|_| BackupError::Altered { line: number })? {
            Line::Records(ciphertext) => {
                let plain = self.open(RECORDS, &ciphertext)?;
                let version = || self.header.version.clone();
                let records: Vec<Record> = serde_json::from_slice(&plain)
                    .map_err(|_| BackupError::Unknown { line: number, version: version() })?;
                for record in &records {
                    self.summary.records.count(record);
                }
                (self.watch)(&self.summary);
                Ok(Some(records))
            }
            Line::End(ciphertext) => {
                let plain = self.open(END, &ciphertext)?;
                let told: Summary = serde_json::from_slice(&plain)
                    .map_err(|_| BackupError::Altered { line: number })?;
                if told.records != self.summary.records {
                    return Err(BackupError::Miscounted);
                }
                if !self.input.fill_buf()?.is_empty() {
                    return Err(BackupError::GoesOn);
                }
                self.summary = told;
                self.has_ended = true;
                Ok(None)
            }
        }
    }

    fn open(&self, what: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let altered = BackupError::Altered { line: self.lines };
        let Ok(ciphertext) = STANDARD.decode(text) else { return Err(altered) };
        let number = self.lines.to_be_bytes();
        self.sealer.open(self.binding.place(what, &number), &ciphertext).map_err(
            |error| match error {
                // The first of them tells; if a later one is of another secret, it is of another
                // backup.
                SealError::UnknownKey if self.lines == 2 => BackupError::WrongSecret,
                _ => altered,
            },
        )
    }
}

/// A line without its end; `None` at the end of the input.
fn line(
    input: &mut impl BufRead,
    longest: usize,
    lines: u64,
) -> Result<Option<Vec<u8>>, BackupError> {
    let mut bytes = Vec::new();
    let read = input.take(longest as u64 + 1).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Some(bytes));
    }
    Err(match (lines, bytes.len() > longest) {
        (0, _) => BackupError::NotABackup,
        (_, true) => BackupError::Altered { line: lines + 1 },
        (_, false) => BackupError::Cut { line: lines },
    })
}

#[async_trait]
impl<R: BufRead + Send> RecordSource for Reader<'_, R> {
    async fn next(&mut self) -> Result<Option<Vec<Record>>, ArchiveError> {
        Ok(self.read_records()?)
    }
}
