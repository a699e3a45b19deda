//! A client that starts a `portunus connect`, and the person at its browser.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::HeaderMap;
use portunus::{
    connect::{
        self, ConnectError, Credentials, Options, SignInMeans, TokenStore,
        browser::{Opener, SignInAddress},
        options::ConfiguredClient,
    },
    net::{self, NetSettings},
    os::OsEntropy,
};
use portunus_core::{Timestamp, clock::FixedClock};
use portunus_testkit::wait::in_time;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use url::Url;

/// A client's side of one `portunus connect`.
pub(crate) struct Client {
    to: tokio::io::WriteHalf<DuplexStream>,
    from: Lines<BufReader<ReadHalf<DuplexStream>>>,
    sign_ins: Arc<AtomicUsize>,
    /// Cancelled when the program is told to end.
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ConnectError>>,
}

/// Walks along redirects, as a browser does.
fn browser(count: &Arc<AtomicUsize>) -> Opener {
    let count = Arc::clone(count);
    Arc::new(move |address: &SignInAddress<'_>| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut next = Url::parse(address.local).unwrap();
        tokio::spawn(async move {
            let client = net::client(NetSettings::identity()).unwrap();
            for _ in 0..5 {
                let answer = client.get(next.clone()).send().await.unwrap();
                let Some(location) = answer.headers().get("location") else { return };
                next = next.join(location.to_str().unwrap()).unwrap();
            }
        });
    })
}

pub(crate) fn options(url: &str) -> Options {
    Options {
        server: url.parse().unwrap(),
        headers: HeaderMap::new(),
        client: ConfiguredClient::default(),
        scope: None,
        callback_port: None,
        allow_http: false,
    }
}

impl Client {
    pub(crate) fn start(url: &str, folder: &Path, clock: &Arc<FixedClock>) -> Self {
        Self::start_with(options(url), folder, clock)
    }

    pub(crate) fn start_with(options: Options, folder: &Path, clock: &Arc<FixedClock>) -> Self {
        let sign_ins = Arc::default();
        let means = means(folder, clock, &sign_ins);
        let credentials = Arc::new(Credentials::open(options.clone(), means).unwrap());
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(theirs);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            connect::run(&options, Some(credentials), input, Box::new(output), stopped).await
        });
        let (from, to) = tokio::io::split(ours);
        Self { to, from: BufReader::new(from).lines(), sign_ins, stop, task }
    }

    pub(crate) async fn write(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn read(&mut self) -> String {
        in_time("a message", self.from.next_line()).await.unwrap().unwrap()
    }

    /// Sends a request, and gives its answer.
    pub(crate) async fn ask(&mut self, id: u64, method: &str) -> Value {
        self.write(
            &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}}).to_string(),
        )
        .await;
        let answer: Value = serde_json::from_str(&self.read().await).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub(crate) async fn initialize(&mut self) -> Value {
        let answer = self.ask(0, "initialize").await;
        self.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        answer
    }

    pub(crate) fn sign_ins(&self) -> usize {
        self.sign_ins.load(Ordering::SeqCst)
    }

    pub(crate) async fn end(mut self) {
        self.to.shutdown().await.unwrap();
        drop(self.to);
        in_time("the end", self.task).await.unwrap().unwrap();
    }
}

pub(crate) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)))
}

pub(crate) fn error_of(answer: &Value) -> String {
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_owned()
}

/// Where what is in this folder keeps its tokens.
pub(crate) fn store(folder: &Path) -> TokenStore {
    TokenStore::at(folder.join("connect"))
}

fn means(folder: &Path, clock: &Arc<FixedClock>, sign_ins: &Arc<AtomicUsize>) -> SignInMeans {
    SignInMeans {
        store: store(folder),
        opener: browser(sign_ins),
        may_paste: false,
        registers_anew: false,
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(OsEntropy),
    }
}

/// A sign-in by itself.
pub(crate) async fn sign_in(options: &Options, folder: &Path) -> Result<bool, ConnectError> {
    let means = means(folder, &clock(), &Arc::default());
    connect::sign_in(options, Credentials::open(options.clone(), means)?).await
}
