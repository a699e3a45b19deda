//! Redis servers of the tests' own: started on free ports of the loopback, with their files in a
//! temporary folder and everything on disk, and ended with the process that started them, however
//! it ends.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use redis::{Connection, FromRedisValue, RedisResult, ToRedisArgs};
use tempfile::TempDir;

use crate::port::ReservedPort;

/// Long enough for a busy machine; nothing waits this long on a quiet one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the server when it is told to, or when its input is closed, which the end of this process
/// does whatever the reason; in the second case it removes the files too. A file that may not grow
/// is an error to the server, as a full disk is, not its end.
const SUPERVISOR: &str = r#"
trap '' XFSZ
"$@" >/dev/null 2>&1 &
echo $!
read -r told
kill -9 $! 2>/dev/null
wait
[ -n "$told" ] || rm -rf "$FOLDER"
"#;

/// One server. Ends when it is dropped.
pub struct Server {
    pub port: u16,
    _reserved: [ReservedPort; 2],
    bus: u16,
    options: Vec<String>,
    running: Option<Running>,
    folder: TempDir,
}

struct Running {
    supervisor: Child,
    input: ChildStdin,
    pid: u32,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        for _ in 0..10 {
            let (port, bus) = (ReservedPort::any(), ReservedPort::any());
            let mut server = Self {
                port: port.port(),
                bus: bus.port(),
                _reserved: [port, bus],
                options: options.iter().map(|option| (*option).to_owned()).collect(),
                running: None,
                folder: tempfile::tempdir().unwrap(),
            };
            // Once more on other ports, should it not be able to use these.
            if server.run() {
                return server;
            }
        }
        panic!("redis-server does not start")
    }

    /// A sentinel that watches a master, and decides alone.
    pub fn start_sentinel(name: &str, master: u16) -> Self {
        let server = Self::start(&["--sentinel"]);
        let () = server.ask(&["SENTINEL", "MONITOR", name, "127.0.0.1", &master.to_string(), "1"]);
        let () = server.ask(&["SENTINEL", "SET", name, "down-after-milliseconds", "1000"]);
        server
    }

    /// Starts it again on the same port with the same files. `false` if it ended at once.
    pub fn run(&mut self) -> bool {
        let mut supervisor = Command::new("sh");
        supervisor
            .env("FOLDER", self.folder.path())
            .arg("-c")
            .arg(SUPERVISOR)
            .arg("sh")
            .arg(program());
        // A sentinel insists on a file to write to.
        let file = self.folder.path().join("redis.conf");
        std::fs::write(
            &file,
            format!("port {}\nbind 127.0.0.1\ndir {}\n", self.port, self.folder.path().display()),
        )
        .unwrap();
        supervisor.arg(file);
        if !self.options.iter().any(|option| option == "--sentinel") {
            supervisor.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        }
        if self.options.iter().any(|option| option == "--cluster-enabled") {
            supervisor.args(["--cluster-port", &self.bus.to_string()]);
        }
        supervisor.args(&self.options);
        let mut supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let input = supervisor.stdin.take().unwrap();
        self.running = Some(Running { supervisor, input, pid: line.trim().parse().unwrap() });
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.answers() {
                return true;
            }
            if !self.signal("-0") {
                return false;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }

    fn answers(&self) -> bool {
        let pong = self
            .connect()
            .map(|mut connection| redis::cmd("PING").query::<String>(&mut connection));
        // One that wants a password is there too.
        pong.is_some_and(|pong| pong.is_ok_and(|pong| pong == "PONG"))
            || self.options.iter().any(|option| option == "--requirepass")
    }

    fn connect(&self) -> Option<Connection> {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port))
            .unwrap()
            .get_connection_with_timeout(PATIENCE)
            .ok()
    }

    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Asks it something directly.
    pub fn ask<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> T {
        self.try_ask(words).unwrap()
    }

    /// The same of one that may not be able to answer.
    ///
    /// # Errors
    /// It took no connection, or answered with an error.
    pub fn try_ask<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> RedisResult<T> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        // One that is paused, or is becoming another's replica, takes no connection.
        let mut connection =
            self.connect().ok_or_else(|| std::io::Error::other("no connection"))?;
        command.query(&mut connection)
    }

    /// Makes it and another one nodes of one Cluster.
    pub fn meet(&self, other: &Self) {
        self.ask::<()>(&[
            "CLUSTER",
            "MEET",
            "127.0.0.1",
            &other.port.to_string(),
            &other.bus.to_string(),
        ]);
    }

    /// Asks until the answer holds a text. A server that becomes a replica leaves those who are
    /// asking without one.
    pub fn until(&self, words: &[&str], text: &str) {
        let begun = Instant::now();
        while !self
            .try_ask::<redis::Value>(words)
            .is_ok_and(|answer| format!("{answer:?}").contains(text))
        {
            assert!(begun.elapsed() < PATIENCE, "{words:?} does not come to {text}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Everything in its files.
    pub fn files(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(std::fs::read(path).unwrap());
                }
            }
        }
        bytes
    }

    /// Sends a signal to the server: `-STOP`, `-CONT`, `-KILL`.
    pub fn signal(&self, signal: &str) -> bool {
        let Some(running) = &self.running else { return false };
        let sent = Command::new("kill")
            .arg(signal)
            .arg(running.pid.to_string())
            .stderr(Stdio::null())
            .status();
        sent.unwrap().success()
    }

    /// Lets none of its files grow beyond so many bytes, as if the disk were full; `None` makes
    /// room again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let running = self.running.as_ref().unwrap();
        let soft = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let limit = [format!("--fsize={soft}:"), format!("--pid={}", running.pid)];
        assert!(
            Command::new("prlimit").args(limit).status().unwrap().success(),
            "the limit of its files stays"
        );
    }

    /// Ends it as a crash would.
    pub fn crash(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.input.write_all(b"end\n").unwrap();
            running.supervisor.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

fn program() -> &'static str {
    let found = ["redis-server", "valkey-server"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    found.unwrap_or_else(|| {
        panic!(
            "these tests need redis-server 7 or valkey-server on the PATH: `./test store` and `./test unit` get it by themselves, \
             or install it with `apt-get install redis-server` or the like"
        )
    })
}

/// A Cluster of three masters. Ends when it is dropped.
pub struct Cluster(pub Vec<Server>);

impl Cluster {
    pub fn start() -> Self {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "5000",
            "--cluster-require-full-coverage",
            "no",
        ];
        let nodes: Vec<_> = (0..3).map(|_| Server::start(&options)).collect();
        let parts = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (node, part) in nodes.iter().zip(parts) {
            let () = node.ask(&["CLUSTER", "ADDSLOTSRANGE", part.0, part.1]);
        }
        for node in &nodes[1..] {
            nodes[0].meet(node);
        }
        let cluster = Self(nodes);
        let begun = Instant::now();
        while !cluster.is_formed() {
            assert!(begun.elapsed() < PATIENCE, "the cluster does not form");
            sleep(Duration::from_millis(50));
        }
        cluster
    }

    pub fn is_formed(&self) -> bool {
        self.0.iter().all(|node| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
    }

    pub fn address(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }
}
