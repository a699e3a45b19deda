//! Records as syslog messages (RFC 5424) over TCP with octet counting (RFC 6587 section 3.4.1), or
//! over TLS (RFC 5425). Neither has an acknowledgement: what was written may be lost with its
//! connection, so what was written last is written again after one broke.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io,
    net::SocketAddr,
    process,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use futures::FutureExt as _;
use portunus_core::{
    Timestamp,
    audit::{AuditRecord, ChainedRecord, Event},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpSocket,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::target::{NotTaken, Taken, Target};
use crate::config::SyslogConfig;

/// How long a connection to one address may take to stand, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of the receiver's name that are tried.
const ADDRESSES: usize = 8;
/// How long a receiver may take nothing.
const STALL: Duration = Duration::from_secs(30);
/// How long the end of a connection is waited for.
const CLOSE: Duration = Duration::from_secs(1);
/// What the system keeps of what was written. It is what a broken connection may lose.
const SEND_BUFFER: u32 = 64 * 1024;
/// Bytes that are written again after a connection broke: more than the system keeps, doubled as
/// Linux does.
const AGAIN_BYTES: usize = 256 * 1024;
/// Not what was written longer ago. A checkpoint, which meets the broken connection, comes sooner.
const AGAIN_FOR: Duration = Duration::from_secs(5 * 60);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

pub(super) struct Syslog {
    address: String,
    tls: Option<Arc<ClientConfig>>,
    format: Format,
    stream: Option<Box<dyn Stream>>,
    /// What was written last, as it was written.
    recent: VecDeque<(Instant, Vec<u8>)>,
    /// [`CONNECT`].
    patience: Duration,
}

/// What is in a message beside the record.
struct Format {
    /// Of `log audit`, unless it is configured otherwise.
    facility: u8,
    host: String,
    structured_data_id: String,
}

impl Syslog {
    /// `host`: the name of this gateway.
    pub(super) fn new(config: &SyslogConfig, host: &str) -> Self {
        let tls = config.secured.as_ref().map(|tls| Arc::clone(&tls.client));
        let SyslogConfig { address, facility, structured_data_id, .. } = config;
        let format = Format {
            facility: *facility,
            host: host.to_owned(),
            structured_data_id: structured_data_id.clone(),
        };
        let recent = VecDeque::new();
        let address = address.clone();
        Self { address, tls, format, stream: None, recent, patience: CONNECT }
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let found = timeout(self.patience, tokio::net::lookup_host(&self.address)).await;
        let found = found.map_err(|_| late("its name is not found within 10 s"))??;
        self.connect_to_one_of(found.take(ADDRESSES)).await
    }

    /// To the first address that can be reached. Each has its own time, and what is wrong with each
    /// is told: one that is away keeps no other from being tried, or from being named.
    async fn connect_to_one_of(
        &self,
        addresses: impl Iterator<Item = SocketAddr> + Send,
    ) -> io::Result<Box<dyn Stream>> {
        let mut failed = Vec::new();
        for address in addresses {
            let connected = timeout(self.patience, self.connect_to(address)).await;
            match connected.unwrap_or_else(|_| Err(late("no connection within 10 s"))) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed.push(format!("{address}: {error}")),
            }
        }
        if failed.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address of that name"));
        }
        Err(io::Error::other(failed.join("; ")))
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_keepalive(true)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        self.secured(stream).await
    }

    async fn secured(&self, stream: tokio::net::TcpStream) -> io::Result<Box<dyn Stream>> {
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
    }

    async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let is_new = self.stream.as_mut().is_none_or(is_over);
        if is_new {
            self.stream = None;
            let mut stream = self.connect().await?;
            self.recent.retain(|(at, _)| at.elapsed() < AGAIN_FOR);
            for (_, again) in &self.recent {
                write_all(&mut stream, again).await?;
            }
            self.stream = Some(stream);
        }
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        write_all(stream, frames).await
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// Has the other end closed the connection? What it says otherwise is of no meaning here.
fn is_over(stream: &mut Box<dyn Stream>) -> bool {
    let mut said = [0; 256];
    // bounded: each turn takes what has come; a receiver says nothing.
    while let Some(read) = stream.read(&mut said).now_or_never() {
        if !matches!(read, Ok(read) if read > 0) {
            return true;
        }
    }
    false
}

/// As slowly as the other end takes it, if it takes anything.
async fn write_all(stream: &mut Box<dyn Stream>, mut bytes: &[u8]) -> io::Result<()> {
    let stalled = || io::Error::new(io::ErrorKind::TimedOut, "the receiver takes nothing");
    while !bytes.is_empty() {
        let written = timeout(STALL, stream.write(bytes)).await.map_err(|_| stalled())??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    timeout(STALL, stream.flush()).await.map_err(|_| stalled())?
}

#[async_trait]
impl Target for Syslog {
    async fn send(&mut self, records: &[ChainedRecord]) -> Result<Taken, NotTaken> {
        let frames = self.format.frames(records);
        if let Err(error) = self.write(&frames).await {
            self.stream = None;
            return Err(NotTaken::because(&error.to_string()));
        }
        self.recent.push_back((Instant::now(), frames));
        let mut kept: usize = self.recent.iter().map(|(_, frames)| frames.len()).sum();
        while let Some((_, oldest)) = self.recent.front()
            && kept - oldest.len() >= AGAIN_BYTES
        {
            kept -= oldest.len();
            self.recent.pop_front();
        }
        Ok(Taken::all(records))
    }

    /// Says that nothing follows, and waits for the other end to have read all: the one thing about
    /// what it has that TCP can tell.
    async fn finish(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        let ending = async {
            stream.shutdown().await?;
            let mut said = [0; 256];
            while stream.read(&mut said).await? > 0 {}
            io::Result::Ok(())
        };
        if !matches!(timeout(CLOSE, ending).await, Ok(Ok(()))) {
            tracing::warn!("whether the syslog receiver has the last audit records is not known");
        }
    }
}

impl Format {
    /// Each as `length SP message`.
    fn frames(&self, records: &[ChainedRecord]) -> Vec<u8> {
        let mut frames = Vec::new();
        for record in records {
            let message = self.message(record);
            frames.extend_from_slice(message.len().to_string().as_bytes());
            frames.push(b' ');
            frames.extend_from_slice(message.as_bytes());
        }
        frames
    }

    /// The line of the record is the message. It is JSON without a byte order mark, and so formally
    /// of no declared encoding (MSG-ANY): parsers of JSON refuse the mark.
    fn message(&self, record: &ChainedRecord) -> String {
        let read = record.read();
        let (event, severity) = read
            .as_ref()
            .map_or(("unreadable", 4), |AuditRecord { event, .. }| (event.word(), severity(event)));
        let mut message = format!(
            "<{}>1 {} {} portunus {} {event} [{} chain=\"{}\" seq=\"{}\" hash=\"{}\"",
            u16::from(self.facility) * 8 + u16::from(severity),
            timestamp(record.at),
            printable(&self.host, 255),
            process::id(),
            self.structured_data_id,
            parameter(record.chain.as_str()),
            record.seq,
            record.hash,
        );
        for (name, value) in read.as_ref().map(parameters).unwrap_or_default() {
            // Writing to a string cannot fail.
            let _ = write!(message, " {name}=\"{}\"", parameter(&value));
        }
        message.push_str("] ");
        message.push_str(&record.line());
        message
    }
}

/// RFC 3339, with milliseconds. There is no year 10000 in it.
fn timestamp(at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).min(253_402_300_799_999);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis)).to_string()
}

/// What collectors look for without reading the message.
fn parameters(
    AuditRecord { person, origin, event, .. }: &AuditRecord,
) -> Vec<(&'static str, String)> {
    let address = origin.address.map(|address| address.to_string());
    let outcome = event.outcome().map(str::to_owned);
    [
        ("user", person.user.clone()),
        ("email", person.email.clone()),
        ("client", person.client.clone()),
        ("address", address),
        ("outcome", outcome),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// RFC 5424, table 2: 4 is a warning, 6 is information.
pub(super) const fn severity(event: &Event) -> u8 {
    match event {
        Event::Refused { .. }
        | Event::CodeReused { .. }
        | Event::RefreshReused { .. }
        | Event::Dropped { .. }
        | Event::NotSent { .. }
        | Event::ClockChanged { .. }
        | Event::ConfigurationRefused { .. } => 4,
        _ => 6,
    }
}

/// A value of structured data (RFC 5424 section 6.3.3).
fn parameter(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(if c.is_control() { '\u{fffd}' } else { c });
    }
    escaped
}

/// A field of the header: printable ASCII, and `-` for nothing.
fn printable(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
pub(super) fn message_of(record: &ChainedRecord) -> String {
    let format = Format {
        facility: 13,
        host: "gateway.example".to_owned(),
        structured_data_id: "portunus@32473".to_owned(),
    };
    format.message(record)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use portunus_testkit::{collectors::SyslogReceiver, port::ReservedPort};
    use rustls::{RootCertStore, crypto::aws_lc_rs};
    use tokio::net::TcpListener;

    use super::*;

    /// The first takes connections and never says a word, the second refuses them.
    #[tokio::test]
    async fn each_address_has_its_own_time_and_its_own_fault() -> Result<(), Box<dyn Error>> {
        let config = SyslogConfig::with_defaults("syslog.invalid:6514".to_owned(), None);
        let mut syslog = Syslog::new(&config, "gateway.example");
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        syslog.tls = Some(Arc::new(tls));
        syslog.patience = Duration::from_millis(200);
        let (silent, refusing) = (TcpListener::bind("127.0.0.1:0").await?, ReservedPort::any());
        let (silent, refusing) = (silent.local_addr()?, refusing.address());
        let failed = syslog.connect_to_one_of([silent, refusing].into_iter()).await.err();
        let why = failed.ok_or("no address is there")?.to_string();
        assert!(why.starts_with(&format!("{silent}: no connection")), "{why}");
        assert!(why.contains(&format!("; {refusing}: ")), "{why}");
        syslog.tls = None;
        let receiver = SyslogReceiver::start().await;
        syslog.connect_to_one_of([refusing, receiver.address()].into_iter()).await?;
        Ok(())
    }
}
