//! A minimal streaming reverse proxy on hyper: what any proxy costs at least. It passes on method,
//! path, headers and body, and neither parses the body nor decides anything. What it is compared
//! with is in `tests/load/targets.py`; next door are `loadgen` and `mcp-backend`.
//!
//! `hyperproxy [--port 3100] [--upstream 127.0.0.1:9000] [--threads 0]`, where 0 threads are a
//! runtime on the current one.

use std::time::Duration;

use hyper::{
    Request, Response, Uri,
    body::Incoming,
    header::{CONNECTION, HOST},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{net::TcpListener, runtime};

type Upstream = Client<HttpConnector, Incoming>;

async fn forward(
    mut request: Request<Incoming>,
    client: Upstream,
    upstream: &'static str,
) -> Result<Response<Incoming>, Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() =
        format!("http://{upstream}{path}").parse::<Uri>().expect("a path that hyper parsed");
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
    client.request(request).await
}

async fn serve(port: u16, upstream: &'static str) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(256)
        .build(connector);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    // bounded: the reading that started it ends it
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(request, client.clone(), upstream));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str, default: &str| {
        let found = arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|at| arguments.get(at + 1));
        found.cloned().unwrap_or_else(|| default.to_owned())
    };
    let threads: usize = value("--threads", "0").parse().expect("--threads is a number");
    let port = value("--port", "3100").parse().expect("--port is a number");
    let upstream: &'static str = Box::leak(value("--upstream", "127.0.0.1:9000").into_boxed_str());
    let mut builder = if threads > 0 {
        runtime::Builder::new_multi_thread()
    } else {
        runtime::Builder::new_current_thread()
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().expect("a runtime").block_on(serve(port, upstream));
}
