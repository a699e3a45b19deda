//! The children of this process, its own and those it adopted, dead ones that were not fetched
//! included.

use std::fs;

use rustix::process::{Pid, getpid};

/// All children of this process. Empty when `/proc` cannot be read.
pub(super) fn children() -> Vec<Pid> {
    listed().unwrap_or_else(found)
}

/// As the kernel lists them, also those that a mount option of `/proc` hides; `None` when this
/// kernel does not.
fn listed() -> Option<Vec<Pid>> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(list) => children.extend(list.split_ascii_whitespace().filter_map(pid)),
            // A thread that ended meanwhile hands its children to another.
            Err(_) if !task.path().exists() => {}
            Err(_) => return None,
        }
    }
    Some(children)
}

/// By looking at every process.
fn found() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().to_string();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let is_own = |stat: &str| {
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&own))
    };
    let candidates = entries
        .flatten()
        .filter_map(|entry| Some((pid(entry.file_name().to_str()?)?, entry.path())));
    candidates
        .filter(|(_, path)| fs::read_to_string(path.join("stat")).is_ok_and(|stat| is_own(&stat)))
        .map(|(pid, _)| pid)
        .collect()
}

fn pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_see_a_child() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let wanted = pid(&child.id().to_string()).unwrap();
        assert!(found().contains(&wanted));
        assert!(listed().is_none_or(|list| list.contains(&wanted)));
        assert!(children().contains(&wanted));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&wanted) && !found().contains(&wanted));
    }
}
