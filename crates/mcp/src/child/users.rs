//! Users and groups of this machine, and the right to become one of them.

use nix::unistd::{Group, User, getgrouplist};
use rustix::{
    process::geteuid,
    thread::{CapabilitySet, capabilities, capability_is_in_ambient_set},
};

use crate::sandbox::RunAs;

/// What is missing when [`may_change_user`] says no.
pub const MISSING_RIGHTS: &str = "a gateway that is started by root, or has the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL (systemd: AmbientCapabilities)";

/// May this process start children as other users, and end them? The capabilities of one that is
/// not root reach its children only as ambient ones.
pub fn may_change_user() -> bool {
    let needed = [CapabilitySet::SETUID, CapabilitySet::SETGID, CapabilitySet::KILL];
    let has_them = capabilities(None)
        .is_ok_and(|sets| needed.iter().all(|capability| sets.effective.contains(*capability)));
    let passes_on =
        |capability: &CapabilitySet| capability_is_in_ambient_set(*capability).unwrap_or(false);
    has_them && (geteuid().is_root() || needed.iter().all(passes_on))
}

/// The user of `user[:group]`, by names or numbers. Without a group, the user's own groups; with
/// one, that group alone. The error says what was found, to stand before what is expected.
pub fn user(text: &str) -> Result<RunAs, String> {
    let (name, group) =
        text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    if name.is_empty() || group == Some("") || group.is_some_and(|group| group.contains(':')) {
        return Err(format!("`{text}`, which is not of the form user or user:group"));
    }
    let asked = |error: nix::Error| format!("`{name}`, which the system cannot look up: {error}");
    let found = match name.parse::<u32>() {
        Ok(uid) => User::from_uid(uid.into()).map_err(asked)?,
        Err(_) => User::from_name(name).map_err(asked)?,
    };
    let group = group.map(group_id).transpose()?;
    let login = found.as_ref().map_or(name, |user| &user.name).to_owned();
    let home = found
        .as_ref()
        .map_or_else(|| "/".to_owned(), |user| user.dir.to_string_lossy().into_owned());
    let (uid, gid, groups) = match (found, group) {
        (Some(user), Some(gid)) => (user.uid.as_raw(), gid, Vec::new()),
        (Some(user), None) => (user.uid.as_raw(), user.gid.as_raw(), groups_of(&user)?),
        (None, group) => {
            let uid =
                name.parse().map_err(|_| format!("`{name}`, which is no user of this machine"))?;
            let gid = group.ok_or_else(|| {
                format!("`{name}`, a number that is no user of this machine, without a group")
            })?;
            (uid, gid, Vec::new())
        }
    };
    if uid == 0 || gid == 0 || groups.contains(&0) {
        return Err(format!("`{text}`, which is root or in root's group"));
    }
    // All bits set means "leave as it is" to setresuid(2).
    if uid == u32::MAX || gid == u32::MAX {
        return Err(format!("`{text}`, a number that no user has"));
    }
    Ok(RunAs { name: text.to_owned(), login, uid, gid, groups, home })
}

fn group_id(group: &str) -> Result<u32, String> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let found = Group::from_name(group)
        .map_err(|error| format!("`{group}`, which the system cannot look up: {error}"))?;
    found
        .map(|group| group.gid.as_raw())
        .ok_or_else(|| format!("`{group}`, which is no group of this machine"))
}

/// Beside the user's own group.
fn groups_of(user: &User) -> Result<Vec<u32>, String> {
    let failed = |_| format!("`{}`, whose groups the system cannot look up", user.name);
    let name = std::ffi::CString::new(user.name.clone()).map_err(|_| failed(nix::Error::EINVAL))?;
    let groups = getgrouplist(&name, user.gid).map_err(failed)?;
    Ok(groups
        .into_iter()
        .map(nix::unistd::Gid::as_raw)
        .filter(|gid| *gid != user.gid.as_raw())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t52_users_are_found_by_name_and_number() {
        let daemon = user("daemon").unwrap();
        assert_eq!((daemon.uid, daemon.name.as_str()), (1, "daemon"));
        let by_number = user("1").unwrap();
        assert_eq!((by_number.uid, by_number.login.as_str()), (1, "daemon"));
        let with_group = user("daemon:65534").unwrap();
        assert_eq!((with_group.uid, with_group.gid, with_group.groups), (1, 65534, vec![]));
        let unknown = user("54321:54322").unwrap();
        assert_eq!((unknown.uid, unknown.gid, unknown.home.as_str()), (54321, 54322, "/"));
    }

    #[test]
    fn t52_root_and_unknown_users_are_refused() {
        for text in [
            "no-such-user",
            "",
            ":",
            ":daemon",
            "daemon:",
            "daemon:no-such-group",
            "daemon:1:1",
            "54321",
            "root",
            "0",
            "0:1",
            "daemon:root",
            "daemon:0",
            "4294967295:1",
            "1:4294967295",
            "-1",
            " daemon",
        ] {
            assert!(user(text).is_err(), "{text}");
        }
    }
}
