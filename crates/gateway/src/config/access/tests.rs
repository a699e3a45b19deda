//! What is said of files and folders that others could change, by file system and owner.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Who could change the file, and what of it.
fn strangers(path: &Path, root: &Path) -> Option<(String, Writer)> {
    let writable = read(path).unwrap().writable?;
    let shown =
        writable.path.strip_prefix(root).map_or_else(|_| writable.path.clone(), Path::to_owned);
    Some((shown.display().to_string(), writable.by))
}

#[test]
fn t67_file_and_folders_and_links_on_the_way() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(root.join("real/inner")).unwrap();
    let (file, target) = (root.join("a/b/mcp.json"), root.join("real/inner/mcp.json"));
    fs::write(&file, "{}").unwrap();
    fs::write(&target, "{}").unwrap();
    symlink("../../real/inner/mcp.json", root.join("a/b/link.json")).unwrap();
    symlink(root.join("real"), root.join("a/to-real")).unwrap();
    let (link, through) = (root.join("a/b/link.json"), root.join("a/to-real/inner/mcp.json"));
    for folder in ["a", "a/b", "real", "real/inner"] {
        chmod(&root.join(folder), 0o755);
    }
    for path in [&file, &target] {
        chmod(path, 0o644);
    }
    for path in [&file, &link, &through] {
        assert_eq!(strangers(path, &root), None, "{}", path.display());
    }
    assert_eq!(read(&file).unwrap().bytes, b"{}");

    let everyone = |what: &str| Some((what.to_owned(), Writer::Everyone));
    // What is changed, and who notices: the file, the link to the other one, the way through a
    // link.
    let cases: [(&str, u32, [bool; 3]); 7] = [
        ("a/b/mcp.json", 0o666, [true, false, false]),
        ("a/b", 0o777, [true, true, false]),
        ("a", 0o777, [true, true, true]),
        ("real", 0o777, [false, true, true]),
        ("real/inner", 0o757, [false, true, true]),
        ("real/inner/mcp.json", 0o646, [false, true, true]),
        // Sticky: others can make files there, and not touch ours.
        ("a", 0o1777, [false, false, false]),
    ];
    for (what, mode, expected) in cases {
        let path = root.join(what);
        let before = fs::metadata(&path).unwrap().permissions();
        chmod(&path, mode);
        for (read, is_noticed) in [&file, &link, &through].into_iter().zip(expected) {
            assert_eq!(
                strangers(read, &root),
                is_noticed.then(|| everyone(what)).flatten(),
                "{what} {}",
                read.display()
            );
        }
        fs::set_permissions(&path, before).unwrap();
    }
}

#[test]
fn t67_what_everybody_can_read() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let file = root.join("secret");
    fs::write(&file, "x").unwrap();
    for (folder_mode, mode, expected) in
        [(0o755, 0o644, true), (0o755, 0o640, false), (0o755, 0o604, true), (0o700, 0o644, false)]
    {
        chmod(&root, folder_mode);
        chmod(&file, mode);
        assert_eq!(read(&file).unwrap().is_public, expected, "{folder_mode:o} {mode:o}");
    }
}

#[test]
fn odd_files() {
    assert_eq!(read(Path::new("/dev/null")).unwrap(), ReadFile::plain(Vec::new()));
    assert_eq!(read(Path::new("/no/such/file")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let folder = TempDir::new().unwrap();
    symlink("round", folder.path().join("round")).unwrap();
    assert!(read(&folder.path().join("round")).is_err());
    assert!(read(folder.path()).is_err());
}

#[test]
fn folders_that_change_are_seen() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let before = folders(&file);
    assert_eq!(folders(&file), before);
    chmod(folder.path(), 0o777);
    assert_ne!(folders(&file), before);
}
