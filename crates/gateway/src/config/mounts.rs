//! What the machine says of mounts and groups, for [`super::access`]: read only when others seem
//! to be able to write.

use std::{
    env, fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use portunus_core::file_access::Mount;

/// The root's group: its members were put there by root.
const ROOTS_GROUP: u32 = 0;

/// Where the file system at this absolute path comes from. `Local` where the machine does not say.
pub(super) fn of(path: &Path) -> Mount {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_container =
        ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
    let is_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    judge(&mounts, &path, is_container || is_pod, is_pod)
}

/// By the lines of `/proc/self/mountinfo` (proc(5)). In a container a part of a file system that is
/// mounted was mounted from the host; in a pod, every mount but the root is a volume.
fn judge(mounts: &str, path: &Path, is_container: bool, is_pod: bool) -> Mount {
    let found = mounts.lines().filter_map(parse).filter(|mount| path.starts_with(&mount.point));
    // Of those at one point the last hides the others.
    let Some(mount) = found.max_by_key(|mount| mount.point.components().count()) else {
        return Mount::Local;
    };
    if mount.is_read_only && mount.point != Path::new("/") {
        return Mount::ReadOnly;
    }
    let is_volume =
        mount.point != Path::new("/") && (is_pod || (is_container && mount.root != Path::new("/")));
    if is_volume { Mount::FromOutside { is_root: path == mount.point } } else { Mount::Local }
}

struct MountLine {
    /// What part of the file system is mounted.
    root: PathBuf,
    point: PathBuf,
    is_read_only: bool,
}

fn parse(line: &str) -> Option<MountLine> {
    let mut fields = line.split(' ').skip(3);
    let (root, point, options) = (fields.next()?, fields.next()?, fields.next()?);
    Some(MountLine {
        root: unescaped(root),
        point: unescaped(point),
        is_read_only: options.split(',').any(|option| option == "ro"),
    })
}

/// Spaces and the like stand as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'\\').then(|| after.get(..3)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Is the group root's, or that of the user `me` alone? A group that this machine has no name for
/// is `me`'s if it has the same number, as groups of single users do.
pub(super) fn is_private_group(group: u32, me: u32) -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    group == ROOTS_GROUP || is_private(group, me, &read("/etc/passwd"), &read("/etc/group"))
}

fn is_private(group: u32, me: u32, users: &str, groups: &str) -> bool {
    let of_user = |line: &str| -> Option<(String, u32, u32)> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((name, fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let users: Vec<_> = users.lines().filter_map(of_user).collect();
    let is_trusted = |user: u32| user == me || user == 0;
    if users.iter().any(|(_, user, primary)| *primary == group && !is_trusted(*user)) {
        return false;
    }
    let line = groups
        .lines()
        .find(|line| line.split(':').nth(2).is_some_and(|id| id.parse() == Ok(group)));
    let is_member_of_ours =
        |name: &str| users.iter().any(|(known, user, _)| known == name && is_trusted(*user));
    let is_mine =
        group == me || users.iter().any(|(_, user, primary)| *user == me && *primary == group);
    let members = line.and_then(|line| line.split(':').nth(3)).unwrap_or_default();
    is_mine && members.split(',').filter(|name| !name.trim().is_empty()).all(is_member_of_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = "\
1 0 0:50 / / rw,relatime - overlay overlay rw
2 1 0:51 / /proc rw - proc proc rw
3 1 0:52 / /tmp rw - tmpfs tmpfs rw
4 1 8:1 /srv/alice/portunus /etc/portunus rw,relatime - ext4 /dev/sda1 rw
5 1 8:1 /srv/alice/.env /srv/my\\040files/.env ro,relatime - ext4 /dev/sda1 rw
6 1 0:53 / /run/secrets rw,relatime - tmpfs tmpfs rw
7 4 0:54 / /etc/portunus/secrets ro,relatime - tmpfs tmpfs rw
";

    #[test]
    fn t67_mounts() {
        let outside = |is_root| Mount::FromOutside { is_root };
        let cases = [
            ("/etc/portunus/mcp.json", true, false, outside(false)),
            ("/etc/portunus", true, false, outside(true)),
            ("/etc/portunus/mcp.json", false, false, Mount::Local),
            ("/etc/portunusx/mcp.json", true, false, Mount::Local),
            ("/etc/portunus/secrets/auth", true, false, Mount::ReadOnly),
            ("/etc/portunus/secrets/auth", false, false, Mount::ReadOnly),
            ("/srv/my files/.env", true, false, Mount::ReadOnly),
            ("/srv/my files/other", true, false, Mount::Local),
            // A file system of its own is the container's own, but in a pod.
            ("/tmp/mcp.json", true, false, Mount::Local),
            ("/tmp/mcp.json", true, true, outside(false)),
            ("/run/secrets/x", true, false, Mount::Local),
            ("/usr/bin", true, true, Mount::Local),
        ];
        for (path, is_container, is_pod, expected) in cases {
            assert_eq!(
                judge(DOCKER, Path::new(path), is_container, is_pod),
                expected,
                "{path} {is_container} {is_pod}"
            );
        }
        assert_eq!(judge("", Path::new("/x"), true, true), Mount::Local);
    }

    #[test]
    fn t67_groups_of_one() {
        let users = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/var/alice:/bin/sh\nbob:x:1001:1001:,,,:/var/bob:/bin/sh\ncarol:x:1002:100::/:\n";
        let groups = "root:x:0:\nalice:x:1000:\nbob:x:1001:alice\nstaff:x:50:alice,bob\nusers:x:100:\nwheel:x:10:root,alice\nown:x:60:alice,root\n";
        let cases = [
            (1000, 1000, true),
            (1001, 1000, false),
            (50, 1000, false),
            (100, 1000, false),
            (100, 1002, true),
            (10, 1000, false),
            // No name on this machine.
            (65532, 65532, true),
            (2000, 65532, false),
        ];
        for (group, me, expected) in cases {
            assert_eq!(is_private(group, me, users, groups), expected, "{group} {me}");
        }
        let joined = groups.replace("alice:x:1000:\n", "alice:x:1000:bob\n");
        assert!(!is_private(1000, 1000, users, &joined), "somebody joined it");
        assert!(is_private_group(0, 1000));
    }
}
