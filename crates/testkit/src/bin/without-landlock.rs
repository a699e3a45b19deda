//! Becomes the program that its arguments name, for which Landlock's system calls do not exist: a
//! kernel without it, as far as the program can tell.

use std::{collections::BTreeMap, os::unix::process::CommandExt, process::Command};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// landlock_create_ruleset, landlock_add_rule and landlock_restrict_self, on every architecture.
const LANDLOCK: [i64; 3] = [444, 445, 446];
const ENOSYS: u32 = 38;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("a program, and its arguments")?;
    let rules: BTreeMap<_, _> = LANDLOCK.into_iter().map(|call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(ENOSYS),
        std::env::consts::ARCH.try_into()?,
    )?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Err(Command::new(program).args(arguments).exec().into())
}
