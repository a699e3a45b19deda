//! The https server of the hostile hosts: reads a request's head, notes the request, answers with
//! the behaviour of its URL. Written by hand, for no HTTP library would send what some behaviours
//! send.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{behaviour::Behaviour, state::SharedState};

const CHAIN: &[u8] = include_bytes!("../../fixtures/hostile-hosts-server.pem");
const KEY: &[u8] = include_bytes!("../../fixtures/hostile-hosts-server.key.pem");

pub(super) async fn start(shared: Arc<SharedState>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let acceptor = TlsAcceptor::from(Arc::new(tls()));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.state().connections += 1;
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            tokio::spawn(serve(acceptor, stream, shared));
        }
    });
    (address, server)
}

fn tls() -> ServerConfig {
    let chain =
        CertificateDer::pem_slice_iter(CHAIN).collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions");
    builder.with_no_client_auth().with_single_cert(chain, key).expect("a matching key")
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<SharedState>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) if head.len() < 16 * 1024 => head.push(byte),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let host = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("host:").map(|host| host.trim().to_owned())
    });
    let host = host.unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    let behaviour = {
        let mut state = shared.state();
        state.requests.push(format!("https://{host}{path}"));
        state.behaviours.get(&format!("{name}{path}")).cloned()
    };
    let not_found = Behaviour::Response {
        status: 404,
        content_type: "application/json",
        headers: Vec::new(),
        body: "{}".to_owned(),
    };
    let _ = behaviour.unwrap_or(not_found).answer(&mut stream).await;
    let _ = stream.shutdown().await;
}
