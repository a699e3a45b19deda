//! What this Redis does with what it was given, as far as it tells: read at start, and warned about
//! where an acknowledged write could be lost, or a key thrown away in its time. What each setting
//! means is in `docs/configuration.md`.

use std::collections::HashMap;

use super::{connection::Connection, database::answer};

const SETTINGS: [&str; 4] = ["appendonly", "appendfsync", "save", "maxmemory-policy"];

/// Something to warn about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Danger {
    /// Neither a log nor snapshots: a restart forgets everything.
    NothingKept,
    /// Snapshots alone: a restart forgets what came after the last one.
    SnapshotsOnly,
    /// The operating system decides when the log is written.
    FlushedAnyTime,
    /// Keys are thrown away when memory runs out.
    Evicts,
}

impl Danger {
    fn told(self) -> &'static str {
        match self {
            Self::NothingKept => {
                "Redis keeps nothing on disk (appendonly no, save \"\"): a restart signs everybody out, and codes and refresh tokens \
                 that were used may work again where a copy of them comes back; set appendonly yes"
            }
            Self::SnapshotsOnly => {
                "Redis keeps snapshots only (appendonly no): a crash forgets what came after the last one, so that used codes and \
                 refresh tokens work again and revoked grants come back; set appendonly yes"
            }
            Self::FlushedAnyTime => {
                "Redis leaves it to the operating system when its log is on disk (appendfsync no): a crash of the machine may forget \
                 half a minute; set appendfsync everysec or always"
            }
            Self::Evicts => {
                "Redis throws keys away when its memory is full (maxmemory-policy): people are signed out, and used refresh tokens \
                 are no longer recognised; set maxmemory-policy noeviction"
            }
        }
    }
}

/// Reads the settings of every master and warns. Many hosted services do not show them: that is
/// said, and no mistake.
pub(super) async fn check(connection: &Connection) {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(&SETTINGS);
    match connection.ask_masters(command).await {
        Ok(masters) => {
            let masters = masters
                .into_iter()
                .filter_map(|settings| answer::<HashMap<String, String>>(settings).ok());
            let mut dangers: Vec<_> = masters.flat_map(|settings| dangers(&settings)).collect();
            dangers.sort();
            dangers.dedup();
            for danger in dangers {
                tracing::warn!("{}", danger.told());
            }
        }
        Err(error) => tracing::info!(
            %error,
            "Redis does not show its settings: make sure that appendonly is on and maxmemory-policy is noeviction"
        ),
    }
}

fn dangers(settings: &HashMap<String, String>) -> Vec<Danger> {
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|kept| kept == value);
    let mut dangers = Vec::new();
    if is("appendonly", "no") {
        dangers.push(if is("save", "") { Danger::NothingKept } else { Danger::SnapshotsOnly });
    } else if is("appendfsync", "no") {
        dangers.push(Danger::FlushedAnyTime);
    }
    if settings.get("maxmemory-policy").is_some_and(|policy| policy != "noeviction") {
        dangers.push(Danger::Evicts);
    }
    dangers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_warned_about() {
        let cases = [
            ("appendonly=yes appendfsync=everysec maxmemory-policy=noeviction", vec![]),
            ("appendonly=yes appendfsync=no", vec![Danger::FlushedAnyTime]),
            ("appendonly=no save=3600", vec![Danger::SnapshotsOnly]),
            ("appendonly=no save=", vec![Danger::NothingKept]),
            ("appendonly=yes maxmemory-policy=allkeys-lru", vec![Danger::Evicts]),
            ("", vec![]),
        ];
        for (settings, expected) in cases {
            let pairs = settings.split(' ').filter_map(|pair| pair.split_once('='));
            let kept = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(dangers(&kept), expected, "{settings}");
        }
    }
}
