//! `portunus child-exec`: puts everything down that is the gateway's, and becomes the program of a
//! server. Nothing runs beside it.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{Arc, atomic::AtomicBool},
};

use rustix::{
    fs::Mode,
    io::Errno,
    process::{
        Pid, Signal, getppid, set_child_subreaper, set_parent_process_death_signal, setsid, umask,
    },
    stdio::stdin,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    },
};

use super::{
    launch::{Launch, failure},
    ruleset,
};
use crate::sandbox::RunAs;

/// What a shell says when there is no such program.
const NOT_STARTED: u8 = 127;
const FIRST_BEYOND_STANDARD: i32 = 3;
/// Not to be caught, so what they do cannot have been changed in a way that matters here.
const FORBIDDEN: [i32; 5] = [4, 8, 9, 11, 19];
const HIGHEST_SIGNAL: i32 = 64;

/// The arguments are the supervisor's process id, and the server's name for those who look at a
/// list of processes.
pub(super) fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let supervisor =
        arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let failed = Launch::read(fill).and_then(|launch| become_program(&launch, supervisor));
    let why = failed.err().unwrap_or_default();
    let _ = std::io::stdout().write_all(failure(&why).as_bytes());
    ExitCode::from(NOT_STARTED)
}

/// Unbuffered, so that nothing is taken that is the program's.
fn fill(mut buffer: &mut [u8]) -> std::io::Result<()> {
    while !buffer.is_empty() {
        match rustix::io::read(stdin(), &mut *buffer) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = &mut buffer[read..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Returns only if it failed. The order matters: paths are opened before the user changes, the user
/// changes before what a change of user undoes (the signal at the supervisor's death), and Landlock
/// comes last.
fn become_program(launch: &Launch, supervisor: Option<Pid>) -> Result<Infallible, String> {
    // A session, and with it a process group, of its own: no terminal's signal reaches it.
    setsid().map_err(|error| format!("setsid: {error}"))?;
    reset_signals();
    // This one outlives execve(2): orphans are to fall to the supervisor, not to a program that
    // does not expect them.
    set_child_subreaper(None).map_err(|error| format!("prctl: {error}"))?;
    umask(Mode::RWXG | Mode::RWXO);
    close_descriptors()?;
    let program = find_program(launch);
    let ruleset = ruleset::prepare(launch.sandbox.confine.as_ref(), program.as_deref())?;
    drop_privileges(launch.sandbox.run_as.as_ref())?;
    enter_folder(launch)?;
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("prctl: {error}"))?;
    if getppid() != supervisor {
        return Err("the gateway is gone".to_owned());
    }
    if let Some(ruleset) = ruleset {
        ruleset.restrict_self().map_err(|error| format!("Landlock: {error}"))?;
    }
    let mut command = Command::new(&launch.command);
    command
        .args(&launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)));
    // Unblocks all signals, too.
    let error = command.exec();
    let is_confined =
        launch.sandbox.confine.is_some() && error.kind() == std::io::ErrorKind::PermissionDenied;
    let hint = if is_confined {
        " (`confine.read` must name the program's interpreter and libraries outside of /usr)"
    } else {
        ""
    };
    Err(format!("{}: {error}{hint}", launch.command))
}

/// Ignored signals stay ignored when a program is executed, caught ones do not.
fn reset_signals() {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in (1..=HIGHEST_SIGNAL).filter(|signal| !FORBIDDEN.contains(signal)) {
        // The C library keeps some for itself.
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
    }
}

/// All but the three. The gateway opens everything so that it is closed at this process's start;
/// what the gateway itself was started with may not be.
fn close_descriptors() -> Result<(), String> {
    let listed =
        fs::read_dir("/proc/self/fd").map_err(|error| format!("/proc/self/fd: {error}"))?;
    let open: Vec<i32> =
        listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= FIRST_BEYOND_STANDARD) {
        // One of them was the list's own.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// Another user, if there is one, and no capability: the program of a gateway that root runs is no
/// more than a user who owns root's files.
fn drop_privileges(run_as: Option<&RunAs>) -> Result<(), String> {
    use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid};
    if let Some(run_as) = run_as {
        let failed = |error: nix::Error| format!("`run_as: {}`: {error}", run_as.name);
        let (uid, gid) = (Uid::from_raw(run_as.uid), Gid::from_raw(run_as.gid));
        let groups: Vec<Gid> = run_as.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(failed)?;
        setresgid(gid, gid, gid).map_err(failed)?;
        setresuid(uid, uid, uid).map_err(failed)?;
        let (users, own_groups) = (getresuid().map_err(failed)?, getresgid().map_err(failed)?);
        let is_so = [users.real, users.effective, users.saved] == [uid; 3]
            && [own_groups.real, own_groups.effective, own_groups.saved] == [gid; 3];
        if !is_so {
            return Err(failed(nix::Error::EPERM));
        }
    }
    let failed = |error| format!("capabilities: {error}");
    let CapabilitySets { effective, permitted, inheritable } =
        capabilities(None).map_err(failed)?;
    if (effective | permitted | inheritable).is_empty() {
        // Where none is left, even asking to have none may be forbidden (systemd:
        // SystemCallFilter=~@privileged).
        return Ok(());
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // With no_new_privs, executing a program does not bring back what root has lost.
    clear_ambient_capability_set().and_then(|()| set_capabilities(None, none)).map_err(failed)
}

/// The configured one. Without one another user begins at home, where it may, and else at the root:
/// the gateway's own folder need not be open to it.
fn enter_folder(launch: &Launch) -> Result<(), String> {
    let enter = |folder: &str| {
        std::env::set_current_dir(folder).map_err(|error| format!("{folder}: {error}"))
    };
    match (&launch.cwd, &launch.sandbox.run_as) {
        (Some(folder), _) => enter(folder),
        (None, Some(run_as)) => enter(&run_as.home).or_else(|_| enter("/")),
        (None, None) => Ok(()),
    }
}

/// Where the program is, by the rules of execvp(3) with the variables that it will have.
fn find_program(launch: &Launch) -> Option<PathBuf> {
    let command = Path::new(&launch.command);
    let folder = launch.cwd.as_deref().map_or_else(PathBuf::new, PathBuf::from);
    if command.components().count() > 1 || launch.command.contains('/') {
        return Some(folder.join(command));
    }
    let path =
        launch.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    std::env::split_paths(path)
        .map(|entry| folder.join(entry).join(command))
        .find(|candidate| candidate.is_file())
}
