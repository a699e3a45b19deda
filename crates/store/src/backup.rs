//! A backup: everything of a store in one file that is of no store in particular. [`Writer`] takes
//! what a store gives, [`Reader`] gives it to another; files, their names and their rights are the
//! program's business.
//!
//! Each line is a JSON object. The first says what the file is, in the clear. Each of the others
//! holds records, and the last one what the whole comes to; both are sealed under `AUTH_SECRET`,
//! bound to the first line and to their place. So the file tells no more than its first line and
//! its size, and a line that was changed, cut, moved or taken from another backup does not open. A
//! file without its last line is not whole.

mod format;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use self::{
    format::{BackupError, FORMAT, Header, Summary},
    read::Reader,
    write::Writer,
};
