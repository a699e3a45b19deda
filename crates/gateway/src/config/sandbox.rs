//! Section: what the program of a server may do (`run_as`, `confine` and `confine_if_possible` of
//! `mcp.json`), and whether this machine can see to it.

use std::path::{Path, PathBuf};

use portunus_mcp::{
    child,
    sandbox::{Confine, RunAs, Sandbox},
};

use super::{
    document::Item,
    inputs::{Inputs, Written, written},
    mistake::Report,
};

/// Keys of a server that has a `command`.
pub(super) const KEYS: [&str; 3] = ["run_as", "confine", "confine_if_possible"];

/// Of one entry with a `command`.
pub(super) fn resolve(inputs: &Inputs<'_>, item: &Item<'_>, report: &mut Report) -> Sandbox {
    let run_as = written(item.find("run_as"));
    if run_as.is_none() && inputs.machine().is_root() {
        let text = "runs as root, as the gateway does, and can read the gateway's files: set `run_as`, or start the gateway as another user";
        report.warning(item.at(), text);
    }
    Sandbox {
        run_as: run_as.and_then(|written| user(inputs, &written, report)),
        confine: confine(inputs, item, report),
    }
}

fn user(
    inputs: &Inputs<'_>,
    Written { text, at, .. }: &Written,
    report: &mut Report,
) -> Option<RunAs> {
    match inputs.machine().user(text) {
        Err(found) => {
            report.mistake(
                at.clone(),
                found,
                "another user of this machine than root: user or user:group, by names or numbers",
            );
            None
        }
        Ok(_) if !inputs.machine().may_change_user() => {
            report.mistake(
                at.clone(),
                format!("`{text}`, and this process has no right to start another user's"),
                child::MISSING_RIGHTS,
            );
            None
        }
        Ok(user) => Some(user),
    }
}

fn confine(inputs: &Inputs<'_>, item: &Item<'_>, report: &mut Report) -> Option<Confine> {
    let if_possible = written(item.find("confine_if_possible"));
    let Some(confine) = item.find("confine") else {
        if let Some(Written { at, .. }) = if_possible {
            report.warning(at, "not used without `confine`");
        }
        return None;
    };
    let at = confine.at();
    let confine = Confine {
        read: paths(inputs, &confine, "read", report),
        write: paths(inputs, &confine, "write", report),
        connect: confine.find("connect").map(|list| ports(&list, report)),
        if_possible: if_possible.is_some_and(|written| written.text == "true"),
    };
    match inputs.machine().landlock().supports(&confine) {
        Err(missing) if confine.if_possible => report.warning(at, format!("in force only as far as possible: {missing}")),
        Err(missing) => report.mistake(
            at,
            missing.to_string(),
            "a kernel that can do it; or `confine_if_possible: true`, to start the server all the same",
        ),
        Ok(()) => {}
    }
    Some(confine)
}

fn paths(inputs: &Inputs<'_>, confine: &Item<'_>, key: &str, report: &mut Report) -> Vec<String> {
    let items = confine.find(key).map(|list| list.items()).unwrap_or_default();
    let path = |item: &Item<'_>| {
        let text = item.scalar()?;
        if text.is_empty() || text.contains('\0') || text.starts_with('~') {
            report.mistake(
                item.at(),
                format!("`{}`", text.escape_debug()),
                "the path of a file or folder, with no `~` in front",
            );
            return None;
        }
        Some(inputs.cwd.join(text).to_string_lossy().into_owned())
    };
    items.iter().filter_map(path).collect()
}

fn ports(list: &Item<'_>, report: &mut Report) -> Vec<u16> {
    let port = |item: &Item<'_>| {
        let text = item.scalar()?;
        let port = text.parse().ok().filter(|port: &u16| *port != 0);
        if port.is_none() {
            report.mistake(
                item.at(),
                format!("`{text}`"),
                "a TCP port: a whole number from 1 to 65535",
            );
        }
        port
    };
    list.items().iter().filter_map(port).collect()
}

/// A sandbox that the gateway's own files are inside of protects nothing that is in them. `own` are
/// the files that the configuration was read from, and the database.
pub(super) fn warn_of_own_files(inputs: &Inputs<'_>, own: &[PathBuf], report: &mut Report) {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let own: Vec<(&PathBuf, PathBuf)> = own.iter().map(|path| (path, resolved(path))).collect();
    let root = inputs.mcp.root();
    let servers = ["mcpServers", "servers"]
        .into_iter()
        .filter_map(|key| root.find(key))
        .flat_map(|item| item.entries());
    for (_, server) in servers {
        let Some(confine) = server.find("confine") else { continue };
        let lists = ["read", "write"].into_iter().filter_map(|key| confine.find(key));
        for item in lists.flat_map(|list| list.items()) {
            let Some(listed) = item.scalar().map(|text| inputs.cwd.join(text)) else { continue };
            let inside = resolved(&listed);
            let covered = own.iter().find(|(path, resolved)| {
                path.starts_with(&listed) || resolved.starts_with(&inside)
            });
            if let Some((path, _)) = covered {
                report.warning(
                    item.at(),
                    format!(
                        "the gateway's own {} is in there, so the server may read it",
                        path.display()
                    ),
                );
            }
        }
    }
}
