//! Which files others may write to: rows of threat 67.

use super::*;

const ME: u32 = 1000;
const MY_GROUP: u32 = 1000;
const STAFF: u32 = 50;

fn entry(kind: FileKind, (owner, group): (u32, u32), mode: u32) -> FileEntry {
    FileEntry { kind, owner, group, mode }
}

#[test]
fn t67_who_else_could_change_a_file() {
    use FileKind::{File, Folder, Link};
    use Writer::{Everyone, Group, Owner};
    let (mine, roots, bobs) = ((ME, MY_GROUP), (0, 0), (1001, 1001));
    let cases = [
        (File, mine, 0o600, None),
        (File, mine, 0o644, None),
        (File, roots, 0o644, None),
        (File, roots, 0o440, None),
        // One's own group, and root's.
        (File, mine, 0o664, None),
        (File, roots, 0o664, None),
        (Folder, mine, 0o775, None),
        (Folder, (0, 0), 0o2775, None),
        // Writable by every user.
        (File, mine, 0o666, Some(Everyone)),
        (File, mine, 0o602, Some(Everyone)),
        (File, roots, 0o646, Some(Everyone)),
        (File, mine, 0o1666, Some(Everyone)),
        (File, (ME, STAFF), 0o664, Some(Group(STAFF))),
        (File, (0, STAFF), 0o620, Some(Group(STAFF))),
        (File, (ME, STAFF), 0o644, None),
        (File, bobs, 0o400, Some(Owner(1001))),
        (File, bobs, 0o644, Some(Owner(1001))),
        (File, (1001, MY_GROUP), 0o640, Some(Owner(1001))),
        (Folder, mine, 0o777, Some(Everyone)),
        (Folder, mine, 0o2777, Some(Everyone)),
        (Folder, mine, 0o703, Some(Everyone)),
        (Folder, (0, STAFF), 0o775, Some(Group(STAFF))),
        (Folder, bobs, 0o755, Some(Owner(1001))),
        // Sticky folders belong to all, what is in them does not.
        (Folder, roots, 0o1777, None),
        (Folder, (0, STAFF), 0o1775, None),
        (Folder, bobs, 0o1777, Some(Owner(1001))),
        (Link, bobs, 0o777, None),
        (Link, mine, 0o777, None),
    ];
    for (kind, owner, mode, expected) in cases {
        let found =
            entry(kind, owner, mode).stranger(ME, false, |group| [0, MY_GROUP].contains(&group));
        assert_eq!(found, expected, "{kind:?} {owner:?} {mode:o}");
    }
}

#[test]
fn t67_in_a_shared_folder_what_is_a_strangers_is_a_strangers() {
    let shared = [
        (0o1777, true),
        (0o1775, true),
        (0o1757, true),
        (0o1755, false),
        (0o777, false),
        (0o755, false),
    ];
    for (mode, expected) in shared {
        assert_eq!(entry(FileKind::Folder, (0, 0), mode).is_shared(), expected, "{mode:o}");
    }
    assert!(!entry(FileKind::File, (0, 0), 0o1777).is_shared());
    let link = |owner| entry(FileKind::Link, (owner, owner), 0o777).stranger(ME, true, |_| true);
    assert_eq!((link(ME), link(0), link(1001)), (None, None, Some(Writer::Owner(1001))));
}

#[test]
fn t67_root_believes_root_alone() {
    assert_eq!(
        entry(FileKind::File, (ME, ME), 0o600).stranger(0, false, |_| true),
        Some(Writer::Owner(ME))
    );
    assert_eq!(entry(FileKind::File, (0, 0), 0o600).stranger(0, false, |_| true), None);
}

#[test]
fn t67_what_is_mounted_from_outside_has_owners_of_elsewhere() {
    use FileKind::{File, Folder};
    let outside = |is_root| Mount::FromOutside { is_root };
    let cases = [
        (Mount::Local, Writer::Owner(1), File, false),
        (Mount::Local, Writer::Everyone, Folder, false),
        (Mount::ReadOnly, Writer::Everyone, File, true),
        (Mount::ReadOnly, Writer::Owner(1), Folder, true),
        (outside(false), Writer::Owner(1), File, true),
        (outside(false), Writer::Group(1), Folder, true),
        (outside(false), Writer::Everyone, File, false),
        (outside(false), Writer::Everyone, Folder, false),
        (outside(true), Writer::Everyone, Folder, true),
        (outside(true), Writer::Everyone, File, false),
    ];
    for (mount, writer, kind, expected) in cases {
        assert_eq!(mount.excuses(writer, kind), expected, "{mount:?} {writer} {kind:?}");
    }
}
