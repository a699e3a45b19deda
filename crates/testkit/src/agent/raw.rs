//! Requests that no HTTP library would send: bytes as they are, for what a front server and we
//! might read differently.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long an answer may take. Only a server that hangs makes a test wait this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that came back until the server closed the connection.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub text: String,
}

impl RawAnswer {
    /// The status of each answer on the connection.
    pub fn statuses(&self) -> Vec<u16> {
        let lines = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")));
        lines.filter_map(|line| line.get(..3)?.parse().ok()).collect()
    }

    /// The status of the only answer.
    ///
    /// # Panics
    /// If there is none, or another one behind it.
    pub fn status(&self) -> u16 {
        match self.statuses()[..] {
            [status] => status,
            _ => panic!("one answer was expected: {:?}", self.text),
        }
    }
}

/// Sends `bytes` and reads until the other side closes; ask for that with `Connection: close`.
///
/// # Panics
/// If nothing listens, or the connection stays open.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> RawAnswer {
    let mut stream = TcpStream::connect(address).await.expect("a server listens");
    // A server that refuses early may close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    let reading = async {
        // A reset after the answer is a close too.
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            answer.extend_from_slice(&piece[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server answers and closes");
    RawAnswer { text: String::from_utf8_lossy(&answer).into_owned() }
}
