//! What the gateway's process does to itself before anything else (threat 52).

use std::io;

use rustix::{
    process::{DumpableBehavior, geteuid, getpid, set_child_subreaper, set_dumpable_behavior},
    thread::set_no_new_privs,
};

/// Makes the process unreadable for others of its user, and unable to gain rights by executing a
/// program; what its children leave behind becomes its own. Must be called before there is a second
/// thread: what no_new_privs is set for is a thread, and those it starts.
///
/// Not dumpable means: `/proc/PID/environ`, `mem`, `fd` and the like belong to root, no debugger of
/// the same user attaches, and a crash writes no core.
pub fn harden() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_no_new_privs(true)?;
    set_child_subreaper(Some(getpid()))?;
    Ok(())
}

/// The first of the three alone, for a command that holds secrets and starts no servers: a browser
/// that it opens may be one that has to gain rights, as packages that confine it do.
pub fn hide() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from)
}

/// Is this process root's?
pub fn is_root() -> bool {
    geteuid().is_root()
}
