//! A TCP proxy in front of one server or several ([`FaultProxy`]): it forwards connections, and
//! cuts, delays, stalls or refuses them when a test says so. It does not read what is sent on them.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What the proxy does with connections, those that are open and new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Open,
    /// Everything that is sent arrives so much later.
    Slow(Duration),
    /// Nothing arrives any more, and neither side is told. What was sent meanwhile arrives once the
    /// mode is [`Mode::Open`] again.
    Stalled,
    /// New connections are closed at once. Those that are open go on: [`FaultProxy::cut`] ends
    /// them.
    Refused,
}

/// Runs until dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    targets: Vec<SocketAddr>,
    /// How many connections there were: each begins with the next target.
    turn: AtomicUsize,
    mode: watch::Sender<Mode>,
    /// Each connection ends when this counts on.
    cuts: watch::Sender<u64>,
    /// After so many bytes the next answer is cut short.
    cut_reply_after: Mutex<Option<usize>>,
    replies_cut: AtomicUsize,
}

impl Shared {
    fn cut_reply_after(&self) -> MutexGuard<'_, Option<usize>> {
        self.cut_reply_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultProxy {
    /// On a free port of loopback, in front of `target`.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    pub async fn start(target: SocketAddr) -> Self {
        Self::before(vec![target]).await
    }

    /// The same in front of several: a connection goes to the next one that takes it.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    pub async fn before(targets: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            targets,
            turn: AtomicUsize::new(0),
            mode: watch::channel(Mode::Open).0,
            cuts: watch::channel(0).0,
            cut_reply_after: Mutex::new(None),
            replies_cut: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Ends every connection now, whatever is in flight on it.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends the connection that the next answer comes on, after so many bytes of it. With 0 the
    /// server has done what it was asked, and the client does not learn of it.
    pub fn cut_next_reply_after(&self, bytes: usize) {
        *self.shared.cut_reply_after() = Some(bytes);
    }

    /// How many answers were cut short so far.
    pub fn replies_cut(&self) -> usize {
        self.shared.replies_cut.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if *shared.mode.borrow() == Mode::Refused {
            continue;
        }
        tokio::spawn(carry(client, Arc::clone(&shared)));
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Some(server) = connect(&shared).await else { return };
    // A client that waits for a short answer must not wait for the next one too.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    // Whichever ends first takes both connections with it: a cut is a cut.
    tokio::select! {
        () = pump(from_client, to_server, &shared, false) => {}
        () = pump(from_server, to_client, &shared, true) => {}
        _ = cuts.changed() => {}
    }
}

async fn connect(shared: &Shared) -> Option<TcpStream> {
    let turn = shared.turn.fetch_add(1, Ordering::SeqCst);
    for n in 0..shared.targets.len() {
        if let Ok(server) =
            TcpStream::connect(shared.targets[(turn + n) % shared.targets.len()]).await
        {
            return Some(server);
        }
    }
    None
}

/// One direction, until it ends or is cut.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, replies: bool) {
    let mut mode = shared.mode.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let slow = match *mode.borrow() {
            Mode::Slow(by) => Some(by),
            _ => None,
        };
        if let Some(by) = slow {
            tokio::time::sleep(by).await;
        }
        if mode.wait_for(|mode| *mode != Mode::Stalled).await.is_err() {
            return;
        }
        let cut = if replies { shared.cut_reply_after().take() } else { None };
        let kept = cut.map_or(read, |after| after.min(read));
        if to.write_all(&buffer[..kept]).await.is_err() {
            return;
        }
        if cut.is_some() {
            shared.replies_cut.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}
