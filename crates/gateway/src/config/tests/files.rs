//! Files that others could change (threat 67). How that is found out is tested beside
//! `config::access`.

use std::path::Path;

use portunus_core::file_access::{FileKind, Writer};

use super::{Given, Writable, okta};

const EVERY_FILE: [(&str, &str, &str); 6] = [
    (".env", "LOG_LEVEL=debug\n", ".env:1"),
    ("config.yaml", "log: {level: debug}\n", "config.yaml:1"),
    ("mcp.json", r#"{"mcpServers": {"evil": {"command": "evil"}}}"#, "mcp.json:1"),
    ("secret", "pmZEZV1qfWuzDLgsx+OyvQ3UXD/ko3t0nY7mUgsCuCJl", "environment: AUTH_SECRET_FILE"),
    ("okta", "okta-secret", "environment: AUTH_OKTA_SECRET_FILE"),
    ("server.pem", "", "environment: TLS_CERTIFICATE_FILE"),
];

fn given() -> Given {
    let variables = [("AUTH_SECRET_FILE", "secret"), ("AUTH_OKTA_SECRET_FILE", "okta")];
    let given = okta().without(&["AUTH_SECRET", "AUTH_OKTA_SECRET"]).env(&variables);
    EVERY_FILE
        .iter()
        .filter(|(name, ..)| *name != "server.pem")
        .fold(given, |given, (name, text, _)| given.file(name, text))
}

fn at(name: &str) -> std::path::PathBuf {
    Path::new("/srv/portunus").join(name)
}

impl Given {
    fn writable(mut self, file: &str, path: &str, kind: FileKind, mode: u32, by: Writer) -> Self {
        self.writable.insert(at(file), Writable { path: path.into(), kind, mode, by });
        self
    }
}

#[test]
fn t67_every_file_is_refused() {
    assert_eq!(given().mistakes(), [""; 0]);
    for (file, text, place) in EVERY_FILE {
        let path = at(file);
        let given = match file {
            "server.pem" => given()
                .env(&[("TLS_CERTIFICATE_FILE", file), ("TLS_KEY_FILE", "key")])
                .file("server.pem", "")
                .file("key", ""),
            _ => given().file(file, text),
        };
        let given =
            given.writable(file, path.to_str().unwrap(), FileKind::File, 0o666, Writer::Everyone);
        let mistakes = given.mistakes();
        let found = format!(
            "{place} | {} can be changed by every user of this machine (mode 0666) | ",
            path.display()
        );
        let mistake = mistakes.iter().find(|mistake| mistake.starts_with(&found));
        let mistake = mistake.unwrap_or_else(|| panic!("{found} is not in {mistakes:#?}"));
        assert!(mistake.contains(&format!("chmod go-w {}", path.display())), "{mistake}");
        assert!(mistake.contains("ALLOW_WRITABLE_FILES=1"), "{mistake}");
        assert!(
            given.inspect().draft.servers.is_empty() || file != "mcp.json",
            "nothing of it is used"
        );
    }
}

#[test]
fn t67_what_is_said_of_each_kind() {
    let cases = [
        (
            FileKind::Folder,
            0o777,
            Writer::Everyone,
            "the folder /srv on the way to it can be changed by every user of this machine (mode 0777)",
            "chmod go-w /srv",
        ),
        (
            FileKind::Folder,
            0o775,
            Writer::Group(50),
            "the folder /srv on the way to it can be changed by its group, 50 (mode 0775)",
            "chmod g-w /srv",
        ),
        (
            FileKind::Link,
            0o777,
            Writer::Owner(1001),
            "the link /srv on the way to it can be changed by its owner, user 1001",
            "chown root /srv",
        ),
    ];
    for (kind, mode, by, found, remedy) in cases {
        given().writable("mcp.json", "/srv", kind, mode, by).one_mistake(&[
            "mcp.json:1 | ",
            found,
            remedy,
        ]);
    }
    // All of them lie in it: it is said once.
    let all =
        EVERY_FILE.iter().filter(|(name, ..)| !["server.pem", "secret", "okta"].contains(name));
    let all = all.fold(given(), |given, (name, ..)| {
        given.writable(name, "/srv", FileKind::Folder, 0o777, Writer::Everyone)
    });
    all.one_mistake(&["the folder /srv"]);
}

#[test]
fn t67_unless_the_environment_says_so() {
    let given = || {
        given().writable(
            "mcp.json",
            "/srv/portunus/mcp.json",
            FileKind::File,
            0o666,
            Writer::Everyone,
        )
    };
    for yes in ["1", "true"] {
        let allowed = given().env(&[("ALLOW_WRITABLE_FILES", yes)]);
        assert_eq!(allowed.load().servers.len(), 1);
        assert!(
            allowed
                .warnings()
                .iter()
                .any(|warning| warning.contains("can be changed by every user")),
            "{:?}",
            allowed.warnings()
        );
    }
    for no in ["0", "false", "", "  "] {
        given().env(&[("ALLOW_WRITABLE_FILES", no)]).one_mistake(&["mcp.json:1"]);
    }
    let odd = given().env(&[("ALLOW_WRITABLE_FILES", "mcp.json")]).mistakes();
    assert!(
        odd.len() == 2
            && odd.iter().any(
                |mistake| mistake.starts_with("environment: ALLOW_WRITABLE_FILES | `mcp.json`")
            ),
        "{odd:?}"
    );
    // A file cannot vouch for itself, nor for others.
    let in_file = given().file(".env", "ALLOW_WRITABLE_FILES=1\n");
    in_file.one_mistake(&["mcp.json:1"]);
    assert!(
        in_file
            .warnings()
            .iter()
            .any(|warning| warning.starts_with(".env:1: ALLOW_WRITABLE_FILES")),
        "{:?}",
        in_file.warnings()
    );
}

#[test]
fn t67_secrets_that_everybody_can_read_are_pointed_out() {
    let mut given = given();
    given.public.extend(["secret", ".env", "config.yaml", "mcp.json"].map(at));
    let warnings = given.warnings();
    let readable: Vec<_> =
        warnings.iter().filter(|warning| warning.contains("can be read by every user")).collect();
    assert_eq!(readable.len(), 2, "{warnings:?}");
    assert!(readable.iter().any(|warning| warning.starts_with(".env:1 | .env holds secrets")
        && warning.contains("chmod o-r .env")));
    assert!(readable.iter().any(|warning| {
        warning.starts_with("environment: AUTH_SECRET_FILE | secret holds secrets")
    }));
}
