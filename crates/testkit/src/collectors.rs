//! Collectors of audit records: a syslog receiver over TCP or TLS ([`SyslogReceiver`]) and one of
//! OTLP over HTTP ([`OtlpReceiver`]). They keep what arrives, and are cut, stalled or refuse when a
//! test says so.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs until dropped.
pub struct SyslogReceiver {
    address: SocketAddr,
    kept: Arc<Kept>,
    control: watch::Sender<Control>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    messages: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Control {
    is_stalled: bool,
    /// Each connection ends when this counts on.
    cuts: u64,
}

impl Drop for SyslogReceiver {
    fn drop(&mut self) {
        self.task.abort();
        // Connections end with it.
        self.cut();
    }
}

impl SyslogReceiver {
    /// On a free port of loopback, with plain TCP.
    pub async fn start() -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), None).await
    }

    /// The same with TLS, with a certificate and its key as PEM.
    pub async fn with_tls(certificate: &str, key: &str) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), Some((certificate, key))).await
    }

    /// At this address.
    ///
    /// # Panics
    /// If it cannot be listened on, or the certificate is none.
    pub async fn at(address: SocketAddr, tls: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (kept, control) = (Arc::<Kept>::default(), watch::Sender::<Control>::default());
        let tls = tls.map(|(certificate, key)| acceptor(certificate, key));
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&kept), control.subscribe()));
        Self { address, kept, control, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has arrived, each message without its length.
    pub fn messages(&self) -> Vec<String> {
        lock(&self.kept.messages).clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *lock(&self.kept.connections)
    }

    /// Ends all connections in the middle of whatever they do.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.cuts += 1);
    }

    /// Reads nothing any more, or goes on.
    pub fn stall(&self, is_stalled: bool) {
        self.control.send_modify(|control| control.is_stalled = is_stalled);
    }
}

fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    kept: Arc<Kept>,
    control: watch::Receiver<Control>,
) {
    // bounded: it ends with its receiver.
    while let Ok((stream, _)) = listener.accept().await {
        *lock(&kept.connections) += 1;
        let (tls, kept, control) = (tls.clone(), Arc::clone(&kept), control.clone());
        tokio::spawn(async move {
            match tls {
                None => read(stream, &kept, control).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        read(stream, &kept, control).await;
                    }
                }
            }
        });
    }
}

async fn read(
    mut stream: impl AsyncRead + Unpin,
    kept: &Kept,
    mut control: watch::Receiver<Control>,
) {
    let cuts = control.borrow_and_update().cuts;
    let (mut waiting, mut bytes) = (Vec::new(), vec![0; 16 * 1024]);
    // bounded: it ends with its connection, or its receiver.
    loop {
        let Control { is_stalled, cuts: now } = *control.borrow_and_update();
        if now != cuts {
            return;
        }
        tokio::select! {
            biased;
            changed = control.changed() => if changed.is_err() { return },
            read = stream.read(&mut bytes), if !is_stalled => match read {
                Ok(read) if read > 0 => {
                    waiting.extend_from_slice(&bytes[..read]);
                    while let Some(message) = take_message(&mut waiting) {
                        lock(&kept.messages).push(message);
                    }
                }
                _ => return,
            }
        }
    }
}

/// A whole message of octet counting (RFC 6587 section 3.4.1): `length SP message`.
fn take_message(waiting: &mut Vec<u8>) -> Option<String> {
    let space = waiting.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&waiting[..space])
        .ok()
        .and_then(|length| length.parse().ok())
        .expect("a length before each message");
    let end = space + 1 + length;
    if waiting.len() < end {
        return None;
    }
    let message = String::from_utf8(waiting[space + 1..end].to_vec()).expect("UTF-8");
    waiting.drain(..end);
    Some(message)
}

/// What a collector of OTLP answers.
#[derive(Clone, Debug)]
pub struct OtlpAnswer {
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u64>,
    pub body: Value,
}

impl OtlpAnswer {
    pub const fn status(status: u16) -> Self {
        Self { status, retry_after: None, body: Value::Null }
    }
}

/// Runs until dropped.
pub struct OtlpReceiver {
    address: SocketAddr,
    asked: Arc<Asked>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Asked {
    /// Requests that were answered with 2xx, and all.
    taken: Mutex<Vec<Value>>,
    headers: Mutex<Vec<HeaderMap>>,
    sizes: Mutex<Vec<usize>>,
    answers: Mutex<VecDeque<OtlpAnswer>>,
    refuses: Option<(u16, Refuses)>,
}

type Refuses = Box<dyn Fn(&Value) -> bool + Send + Sync>;

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl OtlpReceiver {
    /// On a free port of loopback. It gives these answers, and then takes everything.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    pub async fn start(answers: impl IntoIterator<Item = OtlpAnswer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect());
        Self::with(Asked { answers, ..Asked::default() }).await
    }

    /// One that answers with this status to requests that `refuses` is true of.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    pub async fn that_refuses(
        status: u16,
        refuses: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) -> Self {
        let refuses = Some((status, Box::new(refuses) as Refuses));
        Self::with(Asked { refuses, ..Asked::default() }).await
    }

    async fn with(asked: Asked) -> Self {
        let asked = Arc::new(asked);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let router =
            Router::new().route("/v1/logs", routing::post(take)).with_state(Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, asked, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Headers of all requests.
    pub fn headers(&self) -> Vec<HeaderMap> {
        lock(&self.asked.headers).clone()
    }

    /// How many bytes all requests had.
    pub fn sizes(&self) -> Vec<usize> {
        lock(&self.asked.sizes).clone()
    }

    /// Log records of requests that were taken, in order.
    pub fn log_records(&self) -> Vec<Value> {
        let taken = lock(&self.asked.taken);
        let records = |request: &Value| {
            let records = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
            records.as_array().cloned().unwrap_or_default()
        };
        taken.iter().flat_map(records).collect()
    }
}

async fn take(State(asked): State<Arc<Asked>>, headers: HeaderMap, body: Bytes) -> Response {
    lock(&asked.headers).push(headers);
    lock(&asked.sizes).push(body.len());
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    let refused = asked.refuses.as_ref().filter(|(_, refuses)| refuses(&request));
    let answer = match refused {
        Some((status, _)) => OtlpAnswer::status(*status),
        None => lock(&asked.answers).pop_front().unwrap_or(OtlpAnswer::status(200)),
    };
    let status = StatusCode::from_u16(answer.status).expect("a status");
    if status.is_success() {
        lock(&asked.taken).push(request);
    }
    let mut response = (status, Json(answer.body)).into_response();
    if let Some(seconds) = answer.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
