//! A child is not the gateway (52, 44): what a server that an intruder has got into can read of the
//! gateway and of other servers, as the same user, as another, and in a sandbox. What it leaves
//! behind is next door, in `child_cleanup`.

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt as _,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
    process::Command,
};

use portunus_mcp::child;
use portunus_testkit::{
    agent::{Agent, McpClient},
    mcp_servers::{fixture_binary, without_landlock_binary},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::program::{By, Program, copy_program};

/// Of the configuration in `crate::fixture::program`.
const AUTH_SECRET: &str = "a-secret-of-the-program-that-is-long-enough-0";
const REFUSED: [&str; 3] = ["ermission denied", "not permitted", "cannot open directory"];

/// A gateway with probing servers, and a client of it.
pub(super) struct Probed {
    pub(super) program: Program,
    browser: Agent,
    pub(super) mcp: McpClient,
}

impl Probed {
    /// Each server has a secret of its own in its environment, beside what is given of it.
    pub(super) async fn start(by: &By, servers: &[(&str, Value)]) -> Self {
        Self::start_in(folder(), by, servers, &[]).await
    }

    async fn start_in(
        folder: TempDir,
        by: &By,
        servers: &[(&str, Value)],
        files: &[(&str, &str)],
    ) -> Self {
        let files: Vec<_> = files
            .iter()
            .copied()
            .chain([("mcp.json", &*mcp_json(folder.path(), servers))])
            .map(owned)
            .collect();
        let files: Vec<_> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut variables = vec![("LOG_LEVEL", "debug")];
        if by.way.iter().any(|word| word == "-Ur") {
            // In a namespace of users even `/` is another's.
            variables.push(("ALLOW_WRITABLE_FILES", "1"));
        }
        let program = Program::start_in(folder, by, &variables, &files).await;
        let (browser, mcp) = program.connect().await;
        Self { program, browser, mcp }
    }

    /// What a script in the server says.
    pub(super) async fn run(&self, server: &str, script: &str) -> String {
        self.mcp.call_text(&format!("{server}_run"), json!({"script": script})).await
    }

    /// The server's process.
    pub(super) async fn pid(&self, server: &str) -> u32 {
        self.run(server, "echo $PPID").await.trim().parse().unwrap()
    }

    /// Nothing of the gateway, of the other servers, or of their supervisors can be read through
    /// `/proc`, and none of them be signalled.
    async fn is_kept_from_processes(&self, server: &str, others: &[&str]) {
        let mut processes = vec![("the gateway", self.program.pid())];
        processes.push(("its own supervisor", parent(self.pid(server).await)));
        let knows_scopes = child::landlock().scopes;
        for other in others {
            let pid = self.pid(other).await;
            processes.push(("another's supervisor", parent(pid)));
            if knows_scopes {
                processes.push(("another server", pid));
            }
        }
        let own = self.run(server, "cat /proc/$PPID/environ").await;
        assert!(
            own.contains(&format!("secret-of-{server}")),
            "reading an environment is understood: {own:?}"
        );
        for (whose, pid) in processes {
            for look in [
                "cat /proc/PID/environ",
                "head -c 1 /proc/PID/mem",
                "cat /proc/PID/maps",
                "ls -l /proc/PID/fd/",
                "cat /proc/PID/fd/0",
                "readlink /proc/PID/exe",
                "ls /proc/PID/cwd/",
                "stat -L /proc/PID/root",
                "cat /proc/PID/auxv",
                "cat /proc/PID/task/PID/environ",
            ] {
                let said = self.run(server, &look.replace("PID", &pid.to_string())).await;
                // readlink(1) says nothing at all.
                let is_refused =
                    REFUSED.iter().any(|refusal| said.contains(refusal)) || said.is_empty();
                assert!(is_refused, "{look} of {whose}: {said:?}");
                holds_no_secret(&said, others);
            }
            if knows_scopes {
                let said = self.run(server, &format!("kill -STOP {pid}; kill -KILL {pid}")).await;
                assert!(
                    said.to_lowercase().contains("not permitted"),
                    "{whose} is signalled: {said:?}"
                );
            }
        }
    }

    /// None of the gateway's files can be read or changed.
    async fn is_kept_from_files(&self, server: &str) {
        let folder = self.program.folder.path().display().to_string();
        for attack in [
            "cat FOLDER/mcp.json",
            "cat FOLDER/mcp.sqlite",
            "cat FOLDER/secret.txt",
            "cat FOLDER/log",
            "ls FOLDER",
            "echo x >> FOLDER/mcp.json",
            "echo x > FOLDER/new",
            "rm FOLDER/secret.txt",
            "mv FOLDER/secret.txt /tmp/portunus-t52",
            "ln FOLDER/secret.txt /tmp/portunus-t52",
            "cp FOLDER/mcp.sqlite /tmp/portunus-t52",
            "find FOLDER -type f | xargs cat",
        ] {
            let said = self.run(server, &attack.replace("FOLDER", &folder)).await;
            assert!(
                REFUSED.iter().any(|refusal| said.to_lowercase().contains(refusal)),
                "{attack}: {said:?}"
            );
            assert!(
                !said.contains("SQLite format") && !said.contains("kept-by-the-gateway"),
                "{attack}: {said:?}"
            );
        }
        assert_eq!(
            fs::read_to_string(self.program.folder.path().join("secret.txt")).unwrap(),
            "kept-by-the-gateway"
        );
    }

    /// It still serves, its store is sound, and no secret reached the log.
    pub(super) async fn end(self, servers: &[&str]) {
        assert!(self.mcp.request("ping", json!({})).await["result"].is_object());
        let log = self.program.log();
        holds_no_secret(&log, servers);
        drop((self.browser, self.mcp));
        {
            let store =
                rusqlite::Connection::open(self.program.folder.path().join("mcp.sqlite")).unwrap();
            assert_eq!(
                store
                    .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
                    .unwrap(),
                "ok"
            );
        }
        self.program.signal("TERM");
        assert!(self.program.end().await.success());
    }
}

fn owned((name, text): (&str, &str)) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn holds_no_secret(said: &str, others: &[&str]) {
    let secrets =
        others.iter().map(|other| format!("secret-of-{other}")).chain([AUTH_SECRET.to_owned()]);
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} in {said:?}");
    }
}

/// With the probing server in it, where any user gets at it.
pub(super) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    copy_program(fixture_binary().as_ref(), &folder.path().join("fixture-server"));
    fs::write(folder.path().join("secret.txt"), "kept-by-the-gateway").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

fn mcp_json(folder: &Path, servers: &[(&str, Value)]) -> String {
    let entry = |(name, more): &(&str, Value)| {
        let mut entry = json!({
            "command": folder.join("fixture-server"),
            "args": ["probing"],
            "env": {"OWN": format!("secret-of-{name}")},
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ((*name).to_owned(), entry)
    };
    json!({"mcpServers": servers.iter().map(entry).collect::<serde_json::Map<_, _>>()}).to_string()
}

/// The number at a place of `/proc/PID/stat`, counted from the state.
fn stat(pid: u32, at: usize) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(at)?.parse().ok()
}

pub(super) fn parent(pid: u32) -> u32 {
    stat(pid, 1).unwrap()
}

#[tokio::test]
async fn t52_a_child_of_the_same_user_reads_no_process_but_its_own() {
    let probed = Probed::start(&By::nobody(), &[("a", json!({})), ("b", json!({}))]).await;
    probed.is_kept_from_processes("a", &["b"]).await;
    // What one user without a sandbox means, as docs/security.md says: files are the user's.
    let database = probed.program.folder.path().join("mcp.sqlite");
    let said = probed.run("a", &format!("head -c 13 {}", database.display())).await;
    assert_eq!(said, "SQLite format");
    assert_eq!(fs::metadata(database).unwrap().mode() & 0o777, 0o600, "and the user's alone");
    probed.end(&["a", "b"]).await;
}

#[tokio::test]
async fn t52_a_confined_child_reads_what_it_was_given() {
    let folder = folder();
    let given = |name: &str| folder.path().join(name).display().to_string();
    for name in ["data", "out"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("file"), "given").unwrap();
    }
    let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (open_port, closed_port) =
        (open.local_addr().unwrap().port(), closed.local_addr().unwrap().port());
    let lists = json!({"read": [given("data")], "write": [given("out")]});
    let mut with_ports = lists.clone();
    with_ports["connect"] = json!([open_port]);
    let servers =
        [("a", json!({"confine": with_ports})), ("b", json!({})), ("c", json!({"confine": lists}))];
    let (data, out) = (given("data"), given("out"));
    let probed = Probed::start_in(folder, &By::nobody(), &servers, &[]).await;
    for server in ["a", "c"] {
        let said = probed
            .run(
                server,
                &format!("cat {data}/file; ls {data}; echo changed > {out}/{server}; cat {out}/{server}; rm {out}/{server}"),
            )
            .await;
        assert_eq!(said, "givenfile\nchanged\n");
        let said = probed
            .run(
                server,
                &format!(
                    "echo x > {data}/file; echo x > {data}/new; rm {data}/file; cat {data}/file"
                ),
            )
            .await;
        assert!(
            said.starts_with("given") && said.matches("ermission denied").count() == 3,
            "{said:?}"
        );
        probed.is_kept_from_files(server).await;
        probed.is_kept_from_processes(server, &["b"]).await;
        for look in [
            "cat /proc/1/cmdline",
            "ls /proc",
            "ls /",
            "ls /etc",
            "cat /etc/shadow",
            "ls /tmp",
            "echo x > /tmp/portunus-t52",
            "ls /root",
            "ls /run",
            "cat /proc/PID/cmdline",
        ] {
            let said =
                probed.run(server, &look.replace("PID", &probed.program.pid().to_string())).await;
            assert!(said.contains("ermission denied"), "{look}: {said:?}");
        }
        // What programs need is there.
        let said = probed.run(server, "cat /etc/hosts > /dev/null && head -c 4 /dev/urandom > /dev/null && cat /proc/meminfo > /dev/null && ls /usr > /dev/null && id -u > /dev/null && echo fine").await;
        assert_eq!(said, "fine\n");
    }
    let connect = |port: u16| format!("connect 127.0.0.1:{port}");
    assert_eq!(probed.run("a", &connect(open_port)).await, "done");
    assert_eq!(
        probed.run("c", &connect(closed_port)).await,
        "done",
        "without `connect` the network is not restricted"
    );
    for port in [closed_port, probed.program.url.rsplit(':').next().unwrap().parse().unwrap()] {
        assert!(probed.run("a", &connect(port)).await.contains("ermission denied"));
    }
    assert!(probed.run("a", "listen 127.0.0.1:0").await.contains("ermission denied"));
    assert_eq!(probed.run("c", "listen 127.0.0.1:0").await, "done");
    let name = format!("portunus-t52-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    assert_eq!(probed.run("b", &format!("abstract {name}")).await, "done");
    if child::landlock().scopes {
        assert!(probed.run("a", &format!("abstract {name}")).await.contains("not permitted"));
    }
    probed.end(&["a", "b", "c"]).await;
}

/// For root: two other users and one server of root's. Without the right to it: an error that says
/// so.
#[tokio::test]
async fn t52_a_child_that_runs_as_another_user_reads_nothing_of_the_gateways() {
    if !child::is_root() {
        let folder = folder();
        let checked = check(&By::default(), folder.path(), &[("a", json!({"run_as": "daemon"}))]);
        assert!(
            checked.0 == Some(2)
                && checked.1.contains("CAP_SETUID")
                && checked.1.contains("a.run_as"),
            "{checked:?}"
        );
        return;
    }
    let program = TempDir::new().unwrap();
    let shared = program.path().join("fixture-server");
    copy_program(fixture_binary().as_ref(), &shared);
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let servers = [
        ("a", json!({"run_as": "daemon", "command": shared})),
        ("b", json!({"run_as": "65534:65534", "command": shared})),
        ("c", json!({})),
        ("d", json!({"run_as": "daemon:65534", "command": shared, "cwd": "/usr", "confine": {}})),
    ];
    let probed = Probed::start(&By::default(), &servers).await;
    for (server, id) in [
        ("a", "1 1 1 /usr/sbin daemon /usr/sbin"),
        ("b", "65534 65534 65534 / nobody /nonexistent"),
        ("d", "1 65534 65534 /usr daemon /usr/sbin"),
    ] {
        let said =
            probed.run(server, "echo $(id -u) $(id -g) $(id -G) $(pwd) $LOGNAME $HOME").await;
        assert_eq!(said.trim(), id, "{server}");
        probed.is_kept_from_files(server).await;
        probed.is_kept_from_processes(server, &["c"]).await;
        let said = probed.run(server, "su root -c id; id").await;
        assert!(!said.contains("uid=0"), "{said:?}");
    }
    probed.is_kept_from_processes("a", &["b", "c"]).await;
    // One of root's own has no capability, and reads no process either; files are root's, and it is
    // told so.
    for server in ["a", "b", "c", "d"] {
        let status =
            fs::read_to_string(format!("/proc/{}/status", probed.pid(server).await)).unwrap();
        for line in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert!(status.contains(&format!("{line}\t0000000000000000")), "{server}: {status}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{server}");
    }
    probed.is_kept_from_processes("c", &["a", "b"]).await;
    assert!(
        probed.program.log().contains("runs as root, as the gateway does"),
        "{}",
        probed.program.log()
    );
    probed.end(&["a", "b", "c", "d"]).await;
}

fn check(by: &By, folder: &Path, servers: &[(&str, Value)]) -> (Option<i32>, String) {
    fs::write(folder.join("mcp.json"), mcp_json(folder, servers)).unwrap();
    let env = [
        ("AUTH_SECRET", AUTH_SECRET),
        ("BASE_URL", "http://localhost:3000"),
        ("AUTH_PROVIDER", "okta"),
        ("AUTH_OKTA_ID", "x"),
        ("AUTH_OKTA_SECRET", "x"),
        ("AUTH_OKTA_ISSUER", "https://acme.okta.com"),
    ];
    let env: Vec<_> = env.into_iter().map(owned).collect();
    let output = by.program(folder, &env).args(["check", "--files-only"]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn t52_a_kernel_that_cannot_confine_is_told_of() {
    let without = By::way(&[without_landlock_binary().to_str().unwrap()]);
    let folder = folder();
    for confine in [json!({}), json!({"connect": [443]})] {
        let (code, said) =
            check(&without, folder.path(), &[("a", json!({"confine": confine})), ("b", json!({}))]);
        assert!(
            code == Some(2) && said.contains("no Landlock") && said.contains("a.confine"),
            "{said}"
        );
        let (code, said) = check(
            &By::default(),
            folder.path(),
            &[("a", json!({"confine": confine})), ("b", json!({}))],
        );
        assert!(code == Some(0) && said.contains("confined: reads nothing"), "{said}");
    }
    // If that is all right, it starts all the same: unconfined, and told of.
    let servers =
        [("a", json!({"confine": {"connect": []}, "confine_if_possible": true})), ("b", json!({}))];
    let probed = Probed::start_in(folder, &without, &servers, &[]).await;
    assert_eq!(probed.run("a", "echo started").await, "started\n");
    assert!(probed.program.log().contains("only as far as possible"), "{}", probed.program.log());
    // The gateway and the supervisors are closed without Landlock too, except to root.
    if !child::is_root() {
        let said = probed.run("b", &format!("cat /proc/{}/environ", probed.program.pid())).await;
        assert!(said.contains("ermission denied"), "{said}");
    }
    probed.end(&["a", "b"]).await;
}

/// What the gateway was started with stops at it: an open file, ignored signals, a mask, a session.
#[tokio::test]
async fn t44_what_a_child_starts_with() {
    let start = "trap '' HUP INT USR1; umask 000; exec 7</etc/passwd 9</; exec \"$0\"";
    let probed = Probed::start(&By::way(&["sh", "-c", start]), &[("a", json!({}))]).await;
    let gateway = probed.program.pid();
    let line = |pid: u32, name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    assert!(
        u64::from_str_radix(&line(gateway, "SigIgn:"), 16).unwrap() & 1 << 9 != 0,
        "the gateway was started with SIGUSR1 ignored"
    );
    let pid = probed.pid("a").await;
    let mut open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|fd| fd.unwrap().file_name())
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    let supervisors: Vec<_> =
        fs::read_dir(format!("/proc/{}/fd", parent(pid))).into_iter().flatten().flatten().collect();
    let lead: Vec<_> = supervisors.iter().filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    assert!(lead.iter().all(|path| !path.starts_with(probed.program.folder.path())), "{lead:?}");
    // SIGPIPE is what Rust's own programs ignore, this server too. Real-time signals below 34 are
    // the C library's own affair.
    let ignored = u64::from_str_radix(&line(pid, "SigIgn:"), 16).unwrap();
    assert_eq!(ignored & 0x7fff_ffff & !(1 << 12), 0, "{ignored:x}");
    assert_eq!((line(pid, "SigBlk:"), line(pid, "Umask:")), ("0".repeat(16), "0077".to_owned()));
    // Process group, session: its own.
    assert_eq!((stat(pid, 2), stat(pid, 3)), (Some(pid), Some(pid)));
    let environment = probed.run("a", "env").await;
    for name in ["AUTH_SECRET", "LOG_LEVEL", "PORT="] {
        assert!(!environment.contains(name), "{environment}");
    }
    // Who looks at a list of processes sees whose they are, and nothing else.
    let shown =
        |pid: u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().replace('\0', " ");
    assert_eq!(shown(parent(pid)), format!("portunus child-supervisor {gateway} a "));
    assert!(
        shown(pid).contains("fixture-server") && !shown(pid).contains("secret"),
        "{}",
        shown(pid)
    );
    probed.end(&["a"]).await;
}

/// The gateway's commands close themselves as well: `demo-server` stands for all, it waits for
/// input.
#[tokio::test]
async fn t52_every_command_is_closed_from_its_start() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    let mut child =
        command.args(["demo-server", "dice"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let is_closed = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        // What is not dumpable is root's in /proc.
        status.contains("NoNewPrivs:\t1")
            && (child::is_root()
                || fs::metadata(format!("/proc/{pid}/environ")).is_ok_and(|file| file.uid() == 0))
    };
    crate::fixture::program::until(is_closed).await;
    drop(child.stdin.take());
    child.wait().unwrap();
}
