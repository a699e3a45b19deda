//! What stands between the gateway and the program of a stdio server (threats 44, 52, 68), on
//! Linux:
//!
//! ```text
//! gateway ── supervisor ── the server's program ── whatever it starts
//!            portunus      portunus child-exec …,
//!            child-supervisor …    which becomes the program
//! ```
//!
//! Both are the gateway's own program, executed anew. The [`supervisor`] stays: every process that
//! descends from the program stays its descendant, and none outlives it. [`exec`] closes, resets
//! and restricts, and becomes the program. [`adopted`] is what remains to the gateway when a
//! supervisor is killed. The [`launch`] travels through the pipe that becomes the program's
//! standard input, so that neither an argument nor a variable shows it. Where the configuration's
//! words for all this are is [`crate::sandbox`].

#[cfg(target_os = "linux")]
mod adopted;
#[cfg(target_os = "linux")]
mod exec;
#[cfg(target_os = "linux")]
mod hardening;
pub(crate) mod launch;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod ruleset;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod users;

#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod platform;

#[cfg(target_os = "linux")]
mod platform {
    pub use super::{
        adopted::{Children, Registration},
        hardening::{harden, hide, is_root},
        ruleset::{implicitly_readable, landlock},
        users::{MISSING_RIGHTS, may_change_user, user},
    };
}

use std::{ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc};

pub use self::platform::{
    Children, MISSING_RIGHTS, Registration, harden, hide, implicitly_readable, is_root, landlock,
    may_change_user, user,
};

/// The commands of the program that only [`Launcher`] types.
pub(crate) const SUPERVISOR: &str = "child-supervisor";
#[cfg(target_os = "linux")]
pub(crate) const EXEC: &str = "child-exec";

/// How children are started: by which program, and where they are known.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The gateway's own program.
    pub(crate) program: PathBuf,
    pub(crate) children: Arc<Children>,
}

impl Launcher {
    /// For the process that runs `portunus` itself and has been [hardened](harden): whatever the
    /// program's file is replaced by meanwhile, children are started by what runs. From now on
    /// adopted processes are looked after. `None` on other systems than Linux. Within a runtime.
    pub fn of_this_process() -> std::io::Result<Option<Self>> {
        #[cfg(target_os = "linux")]
        {
            let children = Arc::<Children>::default();
            drop(children.watch()?);
            Ok(Some(Self { program: PathBuf::from("/proc/self/exe"), children }))
        }
        #[cfg(not(target_os = "linux"))]
        Ok(None)
    }

    /// For another process: `program` is where `portunus` is, and adopted processes are left alone.
    pub fn of(program: PathBuf) -> Self {
        Self { program, children: Arc::default() }
    }
}

/// Runs the command, if it is one of those that a [`Launcher`] types.
pub fn run_if_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let command = arguments.nth(1)?;
    #[cfg(target_os = "linux")]
    match command.to_str()? {
        SUPERVISOR => return Some(supervisor::run(arguments)),
        EXEC => return Some(exec::run(arguments)),
        _ => {}
    }
    let _ = command;
    None
}
