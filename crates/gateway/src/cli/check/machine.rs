//! What of the configuration does not work on the machine that `check` runs on (FB55): programs
//! that are not there, a database that cannot be kept, an address that cannot be listened on.
//! Starts nothing, makes nothing, sends nothing. Next door: [`super::online`] asks others.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use portunus_core::ids::ServerName;
use portunus_identity::{Finding, State};
use portunus_mcp::spec::{EnvPart, EnvValue, Transport};
use portunus_store::sqlite::{self, OpenError, Place};

use crate::{
    cli::serve,
    config::{Config, StoreConfig},
    gateway,
};

/// Where programs are looked for when nothing says where.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Everything that could be looked at: the programs, the database, the address.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut findings = programs(config);
    let (database, place) = database(&config.store);
    findings.extend(database);
    findings.push(address(config, place));
    findings
}

fn programs(config: &Config) -> Vec<Finding> {
    let checked = config.servers.iter().filter_map(|server| match &server.transport {
        Transport::Stdio { command, env, cwd, .. } => {
            Some(program(&server.name, command, env.get("PATH"), cwd.as_deref()))
        }
        Transport::Http { .. } | Transport::Sse { .. } => None,
    });
    checked.collect()
}

/// The PATH that a program is looked for in: its own, or the gateway's. `None`: it is another for
/// each person.
fn path_of(own: Option<&EnvValue>) -> Option<OsString> {
    let Some(EnvValue(parts)) = own else {
        return Some(env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()));
    };
    let texts = parts.iter().map(|part| match part {
        EnvPart::Text(text) => Some(text.expose()),
        EnvPart::Subject | EnvPart::Email => None,
    });
    texts.collect::<Option<String>>().map(Into::into)
}

fn program(
    server: &ServerName,
    command: &str,
    path: Option<&EnvValue>,
    cwd: Option<&Path>,
) -> Finding {
    let setting = |key| format!("mcp.json, {server}, {key}");
    let found = match (cwd, path_of(path)) {
        (Some(cwd), _) if !cwd.is_dir() => {
            let advice =
                "Make the folder, or take `cwd` out: the server cannot be started".to_owned();
            return wrong(setting("cwd"), format!("there is no folder {}", cwd.display()), advice);
        }
        (_, Some(path)) => find(command, &path, cwd.unwrap_or(Path::new("."))),
        (_, None) => {
            let setting = setting("command");
            return Finding {
                state: State::Unknown,
                setting,
                found: "its PATH is another for each person".to_owned(),
                advice: None,
            };
        }
    };
    match found {
        Ok(program) => fine(setting("command"), program.display().to_string()),
        Err(found) => {
            let advice = "Install it here, or write where it is as `command`. A service has a shorter PATH than your shell: `env` of the server may set one";
            wrong(setting("command"), found, advice.to_owned())
        }
    }
}

/// The file that the system would run; or why it would not.
fn find(command: &str, path: &OsStr, cwd: &Path) -> Result<PathBuf, String> {
    if command.contains('/') {
        let file = cwd.join(command);
        return match fs::metadata(&file) {
            Ok(metadata) if is_program(&metadata) => Ok(file),
            Ok(_) => Err(format!(
                "{} is not a program: it is no file that may be executed",
                file.display()
            )),
            Err(error) => Err(format!("{}: {error}", file.display())),
        };
    }
    let files = env::split_paths(path).map(|folder| cwd.join(folder).join(command));
    let mut found = files.filter_map(|file| Some((fs::metadata(&file).ok()?, file)));
    found
        .find_map(|(metadata, file)| is_program(&metadata).then_some(file))
        .ok_or_else(|| format!("`{command}` is in no folder of PATH ({})", path.to_string_lossy()))
}

fn is_program(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

fn database(store: &StoreConfig) -> (Option<Finding>, Option<Place>) {
    let StoreConfig::Sqlite { path } = store else { return (None, None) };
    let place = match sqlite::place(path) {
        Err(OpenError::Foreign { .. }) => sqlite::place(&gateway::beside(path)),
        place => place,
    };
    let setting = "DB_PATH".to_owned();
    match place {
        Ok(place) => {
            let what = match place {
                Place::Empty => "will be made",
                Place::Free => "is there",
                Place::InUse => "is there, and in use",
            };
            (Some(fine(setting, format!("{} {what}", path.display()))), Some(place))
        }
        // What to do is said with it.
        Err(error) => (
            Some(Finding { state: State::Wrong, setting, found: error.to_string(), advice: None }),
            None,
        ),
    }
}

/// `database` is what was found of SQLite's file, which tells whose the address is when it is
/// taken.
fn address(config: &Config, database: Option<Place>) -> Finding {
    let (setting, listen) = ("HOST, PORT".to_owned(), config.listen);
    let error = match serve::bound(listen) {
        Ok(_) if database == Some(Place::InUse) => {
            let found = format!(
                "nothing listens on {listen}, and yet another process has the database open"
            );
            let advice = "One gateway at a time can use a database of SQLite: give each its own DB_PATH, or keep the records of all in Redis";
            return wrong(setting, found, advice.to_owned());
        }
        Ok(_) => return fine(setting, format!("{listen} is free")),
        Err(error) => error,
    };
    let refused = serve::NotListening { listen, error };
    let is_taken = refused.error.kind() == io::ErrorKind::AddrInUse;
    match database {
        Some(Place::InUse) if is_taken => Finding {
            state: State::Unknown,
            setting,
            found: format!("{listen} is in use, and so is the database: a gateway runs here already"),
            advice: Some(
                "A second one needs an address and a database of its own; several share what they know in Redis alone".to_owned(),
            ),
        },
        None if is_taken && matches!(config.store, StoreConfig::Redis(_)) => Finding {
            state: State::Unknown,
            setting,
            found: format!("{listen} is in use"),
            advice: Some("Fine, if it is this gateway that runs there. Else PORT or listen changes it".to_owned()),
        },
        _ => wrong(setting, refused.to_string(), refused.advice().to_owned()),
    }
}

const fn fine(setting: String, found: String) -> Finding {
    Finding { state: State::Fine, setting, found, advice: None }
}

const fn wrong(setting: String, found: String, advice: String) -> Finding {
    Finding { state: State::Wrong, setting, found, advice: Some(advice) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_as_the_system_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        fs::create_dir(at("bin/folder")).unwrap();
        fs::write(at("bin/script"), "").unwrap();
        fs::copy("/bin/sh", at("bin/program")).unwrap();
        let path = OsString::from(format!("/nowhere:{}", at("bin").display()));
        let cases = [
            ("program", Ok(at("bin/program"))),
            ("./bin/program", Ok(at("./bin/program"))),
            ("script", Err("in no folder of PATH")),
            ("folder", Err("in no folder of PATH")),
            ("absent", Err("in no folder of PATH")),
            ("bin/script", Err("not a program")),
            ("bin/absent", Err("No such file")),
            ("bin", Err("in no folder of PATH")),
        ];
        for (command, expected) in cases {
            match (find(command, &path, folder.path()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => {
                    assert!(found.contains(expected), "{command}: {found}");
                }
                (found, expected) => panic!("{command}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn the_servers_own_path_counts() {
        let text = |text: &str| EnvPart::Text(portunus_core::secret::SecretText::new(text));
        assert_eq!(
            path_of(Some(&EnvValue(vec![text("/opt/"), text("bin")]))),
            Some("/opt/bin".into())
        );
        assert_eq!(path_of(Some(&EnvValue(vec![text("/home/"), EnvPart::Subject]))), None);
        assert_eq!(path_of(None), env::var_os("PATH"));
    }
}
