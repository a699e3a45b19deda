//! Changes a file of another program: shows the lines that change, keeps a copy, replaces the file
//! as a whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use portunus_core::text::visible_lines;

const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Lines shown around those that change.
const AROUND: usize = 3;

/// A file, and what it holds; nothing if there is none. A link is followed to the file itself.
pub fn read(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let at = match fs::canonicalize(path) {
        Ok(at) => at,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((path.to_owned(), String::new()));
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let length = fs::metadata(&at).with_context(|| at.display().to_string())?.len();
    ensure!(length <= MAX_FILE, "{} is too long for a configuration", at.display());
    let text = fs::read_to_string(&at).with_context(|| at.display().to_string())?;
    Ok((at, text))
}

/// Replaces what the file holds, if it still holds `old`. Answers with the copy of the old one.
pub fn replace(path: &Path, old: &str, new: &str) -> anyhow::Result<Option<PathBuf>> {
    fs::create_dir_all(folder_of(path)).with_context(|| path.display().to_string())?;
    let (at, now) = read(path)?;
    ensure!(now == old, "{} was changed meanwhile: nothing was written", path.display());
    let permissions = fs::metadata(&at).ok().map(|metadata| metadata.permissions());
    let mode = permissions.map_or(0o600, |permissions| permissions.mode() & 0o777);
    let copy = at.exists().then(|| beside(&at, "before-portunus"));
    if let Some(copy) = &copy {
        write(copy, old, mode)?;
    }
    let next = beside(&at, "portunus-new");
    write(&next, new, mode)?;
    fs::rename(&next, &at).with_context(|| at.display().to_string())?;
    File::open(folder_of(&at))?.sync_all()?;
    Ok(copy)
}

/// A bare name is in the folder where the program was started.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(named);
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(named)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(named)
}

/// The lines that go (`-`) and come (`+`), with those around them, for a terminal.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = old.len().min(new.len()) - before;
    let after = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(one, other)| one == other)
        .count();
    let mut shown = String::new();
    let mut show = |sign: char, lines: &[&str]| {
        for line in lines {
            shown.push(sign);
            shown.push(' ');
            shown.push_str(line);
            shown.push('\n');
        }
    };
    show(' ', &old[before.saturating_sub(AROUND)..before]);
    show('-', &old[before..old.len() - after]);
    show('+', &new[before..new.len() - after]);
    show(' ', &new[new.len() - after..(new.len() - after + AROUND).min(new.len())]);
    visible_lines(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_shown() {
        assert_eq!(difference("", "a\n"), "+ a\n");
        assert_eq!(
            difference("1\n2\n3\n4\nx\n5\n", "1\n2\n3\n4\ny\nz\n5\n"),
            "  2\n  3\n  4\n- x\n+ y\n+ z\n  5\n"
        );
        assert_eq!(difference("a\n", "a\n"), "  a\n");
    }

    #[test]
    fn a_file_is_replaced_with_its_permissions_through_its_link_and_a_copy_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let copy = replace(&link, "old", "new").unwrap().unwrap();
        assert_eq!(
            (fs::read_to_string(&copy).unwrap(), fs::read_to_string(&real).unwrap()),
            ("old".into(), "new".into())
        );
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(replace(&link, "old", "newer").is_err(), "it was changed meanwhile");
        let new = folder.path().join("a/b.json");
        assert_eq!(replace(&new, "", "x").unwrap(), None);
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
