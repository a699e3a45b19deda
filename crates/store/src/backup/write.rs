//! Writes a backup. What it has read of the store it seals line by line, so that no more than one
//! line of secrets is in memory.

use std::io::Write;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portunus_core::{
    Entropy, Timestamp,
    store::{ArchiveError, Record, RecordSink, Unreadable},
};
use zeroize::Zeroizing;

use super::format::{
    BackupError, Binding, END, FORMAT, Header, LONGEST_LINE, Line, RECORDS, Summary,
};
use crate::seal::{SealError, Sealer};

/// A line is begun anew after this much.
const FULL: usize = 256 * 1024;

type Watch = dyn FnMut(&Summary, Option<&Unreadable>) + Send;

/// Takes records, and tells of each that is left out.
pub struct Writer<W> {
    out: W,
    sealer: Sealer,
    binding: Binding,
    /// The lines so far.
    lines: u64,
    /// Records of the line to come, as a JSON array without its end.
    pending: Zeroizing<Vec<u8>>,
    summary: Summary,
    watch: Box<Watch>,
}

impl<W: Write + Send> Writer<W> {
    /// Writes the first line. `watch` is told how far it is, and of each record that cannot be
    /// read.
    pub fn begin(
        mut out: W,
        sealer: Sealer,
        entropy: &dyn Entropy,
        made_at: Timestamp,
        store: &str,
        watch: impl FnMut(&Summary, Option<&Unreadable>) + Send + 'static,
    ) -> Result<Self, BackupError> {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let header = Header {
            portunus_backup: FORMAT,
            made_at,
            store: store.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            id: STANDARD.encode(id),
        };
        let first = json(&header)?;
        out.write_all(&first)?;
        out.write_all(b"\n")?;
        let (binding, pending) = (Binding::to(&first), Zeroizing::default());
        Ok(Self {
            out,
            sealer,
            binding,
            lines: 1,
            pending,
            summary: Summary::default(),
            watch: Box::new(watch),
        })
    }

    /// Writes the last line. The caller sees to it that what was written is on disk.
    pub fn finish(mut self) -> Result<(W, Summary), BackupError> {
        self.write_pending()?;
        let end = json(&self.summary)?;
        let ciphertext = self.seal(END, &end)?;
        self.write_line(&Line::End(ciphertext))?;
        self.out.flush()?;
        Ok((self.out, self.summary))
    }

    fn add(&mut self, record: &Record) -> Result<(), BackupError> {
        let text = Zeroizing::new(json(record)?);
        if self.pending.len() + text.len() > FULL {
            self.write_pending()?;
        }
        let before = if self.pending.is_empty() { b'[' } else { b',' };
        self.pending.push(before);
        self.pending.extend_from_slice(&text);
        self.summary.records.count(record);
        Ok(())
    }

    fn write_pending(&mut self) -> Result<(), BackupError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut records = std::mem::take(&mut self.pending);
        records.push(b']');
        let ciphertext = self.seal(RECORDS, &records)?;
        self.write_line(&Line::Records(ciphertext))
    }

    fn seal(&self, what: &str, plain: &[u8]) -> Result<String, BackupError> {
        let number = (self.lines + 1).to_be_bytes();
        let ciphertext = self
            .sealer
            .seal(self.binding.place(what, &number), plain)
            .map_err(BackupError::Seal)?;
        Ok(STANDARD.encode(ciphertext))
    }

    fn write_line(&mut self, line: &Line) -> Result<(), BackupError> {
        let text = json(line)?;
        if text.len() >= LONGEST_LINE {
            return Err(BackupError::TooLong);
        }
        self.out.write_all(&text)?;
        self.out.write_all(b"\n")?;
        self.lines += 1;
        Ok(())
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(value).map_err(|_| BackupError::Seal(SealError::Malformed))
}

#[async_trait]
impl<W: Write + Send> RecordSink for Writer<W> {
    async fn put(&mut self, records: Vec<Record>) -> Result<(), ArchiveError> {
        for record in &records {
            self.add(record)?;
        }
        (self.watch)(&self.summary, None);
        Ok(())
    }

    async fn leave_out(&mut self, record: Unreadable) -> Result<(), ArchiveError> {
        self.summary.left_out += 1;
        (self.watch)(&self.summary, Some(&record));
        Ok(())
    }
}
