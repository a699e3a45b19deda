//! Accepts connections and serves them until told to stop; then no new ones, those under way to
//! their end, within a bound.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use http::Version;
use http_body::Body as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt as _};

use super::{
    body_drain,
    connections::{Busy, Connection, Connections, Rules},
    extensions::ConnectedFrom,
    held_body::until_sent,
    secure::Secure,
};

/// How long the head of a request may take to arrive (threat 46).
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be without a request, whatever else comes on it (threat 62).
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest head of a request, and what is read ahead of a connection or written ahead to it.
const BUFFER: usize = 64 * 1024;
/// Bytes of bodies that may be on their way in on one connection of HTTP/2, and on one stream of
/// it, before anything reads them.
const H2_CONNECTION_WINDOW: u32 = 256 * 1024;
const H2_STREAM_WINDOW: u32 = 64 * 1024;
/// Requests that may be under way on one connection of HTTP/2.
const H2_STREAMS: u32 = 256;
/// Answers of which so much is known to be all are sent and done with; larger ones keep their
/// connection from being idle until they are sent.
const SENT_AT_ONCE: u64 = 64 * 1024;
/// How long requests under way may take to end once we are told to stop (F11).
pub const DRAIN: Duration = Duration::from_secs(25);

/// What answers requests.
pub trait Answering:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
> Answering for S
{
}

/// Serves what is not for clients, on an address of its own, until `stop` resolves: without TLS,
/// and with so many connections of each address.
pub async fn run_apart(
    listener: TcpListener,
    per_address: usize,
    endpoints: Router,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let rules = Rules { per_address, per_user: per_address, trusted_proxies: Vec::new() };
    let connections = Connections::new(rules);
    run(listener, Secure::default(), connections, endpoints, stop, std::future::ready(())).await
}

/// Serves until `stop` resolves. `ending` then ends what would never end by itself: open streams.
pub async fn run(
    listener: TcpListener,
    secure: Secure,
    connections: Connections,
    endpoints: impl Answering,
    stop: impl Future<Output = ()>,
    ending: impl Future<Output = ()>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX))
        .max_send_buf_size(BUFFER)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .initial_stream_window_size(H2_STREAM_WINDOW);
    let mut stop = std::pin::pin!(stop);
    let builder = Arc::new(builder);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    if let Some(connection) = connections.open(address.ip().to_canonical()) {
                        let visitor = Visitor { address, connection, builder: Arc::clone(&builder), watcher: graceful.watcher() };
                        visitor.receive(stream, secure.now(), endpoints.clone());
                    } else {
                        tracing::debug!(peer = %address, "a connection is refused: its address has as many as it may, all in use");
                    }
                }
                Err(error) => {
                    // Out of descriptors, or a peer that left already: neither is a reason to stop,
                    // both pass.
                    let made_room = connections.shed();
                    tracing::warn!(%error, made_room, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    let (drained, ()) = tokio::join!(tokio::time::timeout(DRAIN, graceful.shutdown()), ending);
    if drained.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    Ok(())
}

/// A peer that has just connected.
struct Visitor {
    address: SocketAddr,
    connection: Arc<Connection>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    watcher: Watcher,
}

impl Visitor {
    fn receive(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>, endpoints: impl Answering) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        match tls {
            None => tokio::spawn(self.serve(stream, endpoints)),
            Some(tls) => tokio::spawn(self.secure(stream, tls, endpoints)),
        };
    }

    async fn secure(self, stream: TcpStream, tls: Arc<ServerConfig>, endpoints: impl Answering) {
        match tokio::time::timeout(HEADER_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, endpoints).await,
            Ok(Err(error)) => {
                tracing::debug!(%error, peer = %self.address, "a connection could not be secured");
            }
            Err(_) => tracing::debug!(peer = %self.address, "a connection was not secured in time"),
        }
    }

    /// No `async fn`: what is only needed to make the connection would take memory as long as it
    /// lives.
    fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        endpoints: impl Answering,
    ) -> impl Future<Output = ()> + Send {
        let Self { address, connection, builder, watcher } = self;
        let counted = Arc::clone(&connection);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            call(endpoints.clone(), request, address, counted.begin())
        });
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let watched = watcher.watch(serving.into_owned());
        async move {
            tokio::select! {
                ended = watched => if let Err(error) = ended {
                    tracing::debug!(%error, peer = %address, "a connection ended early");
                },
                // hyper's own timer starts with the first line of a request, and HTTP/2's with its
                // handshake: a connection that says nothing at all has neither (threat 46).
                why = connection.over(HEADER_TIMEOUT, IDLE_TIMEOUT) => tracing::debug!(peer = %address, "{why}"),
            }
        }
    }
}

async fn call(
    endpoints: impl Answering,
    request: hyper::Request<Incoming>,
    address: SocketAddr,
    busy: Busy,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let (body, drain) = body_drain::drained(body, &head.headers);
    let closes_silently = head.version < Version::HTTP_2;
    let mut request = Request::from_parts(head, Body::new(body));
    request.extensions_mut().insert(ConnectedFrom(address.ip().to_canonical()));
    request.extensions_mut().insert(Arc::clone(busy.connection()));
    let mut response = endpoints.oneshot(request).await?;
    if closes_silently {
        drain.finish(response.headers_mut()).await;
    }
    if response.body().size_hint().exact().is_some_and(|length| length <= SENT_AT_ONCE) {
        return Ok(response);
    }
    // Its connection is not idle until the last byte is sent.
    Ok(until_sent(response, busy))
}
