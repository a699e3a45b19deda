//! `portunus child-supervisor`: starts the program of one server and stays until every process that
//! came of it has ended. Everything that loses its parent below it becomes its own child, whatever
//! sessions and groups it made for itself: so what is whose is never a guess, and a killed gateway
//! takes all of it along.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, kill_process_group,
    set_child_subreaper, set_parent_process_death_signal, wait,
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::{EXEC, processes};

/// The arguments are the gateway's process id, and the server's name for those who look at a list
/// of processes.
pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match supervise(arguments) {
        Ok(status) => end_like(status),
        Err(error) => {
            eprintln!("portunus: a child process cannot be supervised: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(mut arguments: impl Iterator<Item = OsString>) -> std::io::Result<Option<WaitStatus>> {
    let gateway =
        arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let name = arguments.next().unwrap_or_default();
    let mut signals = Signals::new([SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP])?;
    set_child_subreaper(Some(getpid()))?;
    // It comes at the end of a mere thread of the gateway's as well.
    set_parent_process_death_signal(Some(Signal::HUP))?;
    if getppid() != gateway {
        return Ok(None);
    }
    let _ = rustix::thread::set_name(c"child-superviso");
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("portunus")
        .arg(EXEC)
        .arg(getpid().as_raw_nonzero().to_string())
        .arg(name)
        .env_clear();
    let child = command.spawn()?;
    let Some(program) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let_go_of_streams()?;
    for signal in signals.forever() {
        match signal {
            SIGCHLD => {
                if let Some(status) = fetch(program) {
                    end_all();
                    return Ok(Some(status));
                }
            }
            // The program is not fetched yet, so both numbers are its own. It has no group until it
            // has begun its session.
            SIGTERM => {
                let _ = kill_process_group(program, Signal::TERM)
                    .or_else(|_| kill_process(program, Signal::TERM));
            }
            SIGHUP if getppid() == gateway => {}
            _ => {
                end_all();
                return Ok(None);
            }
        }
    }
    Ok(None)
}

/// The pipes are the program's alone: their ends tell the gateway that it has ended.
fn let_go_of_streams() -> std::io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Fetches everything that has ended; how the program did, if it was among them.
fn fetch(program: Pid) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            ended = Some(status);
        }
    }
    ended
}

/// Ends all that is left. What descends from a process that ends becomes a child of this one, so
/// its children are all that need be looked for, again and again until there are none. They are
/// fetched here alone, so no number means another process meanwhile.
fn end_all() {
    loop {
        for child in processes::children() {
            let _ = kill_process(child, Signal::KILL);
        }
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The gateway sees of the supervisor what it would have seen of the program.
fn end_like(status: Option<WaitStatus>) -> ExitCode {
    let Some(status) = status else { return ExitCode::FAILURE };
    if let Some(signal) = status.terminating_signal() {
        let _ = emulate_default_handler(signal);
    }
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
