//! Systems other than Linux: children are started as they are, in a process group of their own.
//! Nothing here can be configured.

use std::io;

use crate::sandbox::{Landlock, RunAs};

pub const MISSING_RIGHTS: &str = "Linux: no other system can do this";

/// Never used: without a supervisor the gateway adopts no processes.
#[derive(Debug, Default)]
pub struct Children;

#[derive(Debug)]
pub struct Registration {
    pub(crate) has_ended_well: bool,
}

impl Children {
    pub(crate) async fn settle(&self, _patience: std::time::Duration) {}

    pub(crate) fn register<T>(
        self: &std::sync::Arc<Self>,
        spawn: impl FnOnce() -> io::Result<(T, u32)>,
    ) -> io::Result<(T, Registration)> {
        let registration = Registration { has_ended_well: false };
        spawn().map(|(child, _)| (child, registration))
    }
}

pub fn harden() -> io::Result<()> {
    Ok(())
}

pub fn hide() -> io::Result<()> {
    Ok(())
}

pub fn is_root() -> bool {
    false
}

pub fn landlock() -> Landlock {
    Landlock::default()
}

pub fn may_change_user() -> bool {
    false
}

pub fn user(_text: &str) -> Result<RunAs, String> {
    Err("a user, on a system other than Linux".to_owned())
}

pub fn implicitly_readable() -> &'static [&'static str] {
    &[]
}
