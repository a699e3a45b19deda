//! The process itself, as Linux tells it under `/proc/self`, by the names that Prometheus's own
//! libraries use. What cannot be read is left out.

use std::{fs, path::Path};

/// The page size and clock ticks that Linux has on the machines this program is built for.
const PAGE: u64 = 4096;
const TICKS_PER_SECOND: f64 = 100.0;

/// What is known of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_descriptors: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    /// Reads it. The files are in memory; no disk is waited for.
    pub(super) fn read(root: &Path) -> Self {
        let sizes = fs::read_to_string(root.join("statm")).unwrap_or_default();
        let mut pages = sizes.split_whitespace().map(|size| size.parse::<u64>().ok());
        let mut bytes = || pages.next().flatten().map(|pages| pages * PAGE);
        let (virtual_bytes, resident_bytes) = (bytes(), bytes());
        let stat = fs::read_to_string(root.join("stat")).unwrap_or_default();
        // The name of the program stands in parentheses, and may have any character in it.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
        // Fields 14, 15 and 20 of proc(5); the first two are gone.
        let ticks = number(11).zip(number(12));
        let entries = fs::read_dir(root.join("fd")).ok();
        Self {
            resident_bytes,
            virtual_bytes,
            cpu_seconds: ticks
                .map(|(user, system)| (f64::from(user) + f64::from(system)) / TICKS_PER_SECOND),
            // One of them is the directory that is being read.
            open_descriptors: entries.map(|entries| (entries.count() as u64).saturating_sub(1)),
            threads: number(17).map(u64::from),
        }
    }
}
