//! Accepts connections and serves them until told to stop; then no new ones, those under way to their end, within a bound.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use http::Version;
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
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt as _};

use super::{layers::Connection, leftover, secure::Secure};

/// How long the head of a request may take to arrive (threat 46).
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take to end once we are told to stop (F11).
pub const DRAIN: Duration = Duration::from_secs(25);

/// What answers requests.
pub trait Answering: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {}

impl<S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static> Answering for S {}

/// Serves until `stop` resolves. `ending` then ends what would never end by itself: open streams.
pub async fn run(
    listener: TcpListener,
    secure: Secure,
    endpoints: impl Answering,
    stop: impl Future<Output = ()>,
    ending: impl Future<Output = ()>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30)).max_concurrent_streams(256);
    let mut stop = std::pin::pin!(stop);
    let builder = Arc::new(builder);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let visitor = Visitor { address, builder: Arc::clone(&builder), watcher: graceful.watcher() };
                    visitor.receive(stream, secure.now(), endpoints.clone());
                }
                Err(error) => {
                    // Out of descriptors, or a peer that left already: neither is a reason to stop, both pass.
                    tracing::warn!(%error, "a connection could not be accepted");
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

/// Somebody who has just connected.
struct Visitor {
    address: SocketAddr,
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
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.address, "a connection could not be secured"),
            Err(_) => tracing::debug!(peer = %self.address, "a connection was not secured in time"),
        }
    }

    /// No `async fn`: what is only needed to make the connection would take memory as long as it lives.
    fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        endpoints: impl Answering,
    ) -> impl Future<Output = ()> + Send {
        let Self { address, builder, watcher } = self;
        let (asked, first_request) = watch::channel(false);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            asked.send_replace(true);
            call(endpoints.clone(), request, address)
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let watched = watcher.watch(connection.into_owned());
        async move {
            tokio::select! {
                ended = watched => if let Err(error) = ended {
                    tracing::debug!(%error, peer = %address, "a connection ended early");
                },
                () = silence(first_request) => tracing::debug!(peer = %address, "a connection asked for nothing"),
            }
        }
    }
}

/// Resolves when no request has come in time. hyper's own timer starts with the first line of a request, and HTTP/2's with its
/// handshake: a connection that says nothing at all has neither (threat 46).
async fn silence(mut first_request: watch::Receiver<bool>) {
    let came = tokio::time::timeout(HEADER_TIMEOUT, first_request.wait_for(|asked| *asked)).await.is_ok();
    if came {
        std::future::pending::<()>().await;
    }
}

async fn call(endpoints: impl Answering, request: hyper::Request<Incoming>, address: SocketAddr) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let (body, lender) = leftover::lend(body, &head.headers);
    let closes_silently = head.version < Version::HTTP_2;
    let mut request = Request::from_parts(head, Body::new(body));
    request.extensions_mut().insert(Connection(address.ip().to_canonical()));
    let mut response = endpoints.oneshot(request).await?;
    if closes_silently {
        lender.settle(response.headers_mut()).await;
    }
    Ok(response)
}
