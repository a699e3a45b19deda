//! The loopback redirect URI (RFC 8252 section 7.3): a listener on this machine for the time of one
//! sign-in. What an answer must be is `portunus_core::oauth_client::response`; an answer that is
//! none to this sign-in ends nothing (threat 92).

use std::{
    io,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use portunus_core::{
    oauth_client::response::{self, BadResponse, Expected},
    secret::SecretText,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use url::{Url, form_urlencoded};

use super::identity::CALLBACK;

const MAX_HEAD: usize = 16 * 1024;
/// Browsers open connections that they do not use.
const MAX_CONNECTIONS: usize = 32;
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// After a connection that could not be accepted, as without a free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the listener answers with for one sign-in.
pub(super) struct Callback {
    pub(super) expected: Expected,
    /// The one path that leads the browser on, once: what is typed to open a browser can be seen by
    /// other users of this machine, and the authorization request must not.
    pub(super) start: String,
    pub(super) authorization_url: Url,
    pub(super) started: AtomicBool,
}

pub(super) async fn bind(port: Option<u16>) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await
}

impl Callback {
    /// Waits for the answer to this sign-in.
    pub(super) async fn wait(
        self: std::sync::Arc<Self>,
        listener: TcpListener,
    ) -> Result<SecretText, BadResponse> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                    let Ok((stream, _)) = accepted else {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    };
                    let callback = std::sync::Arc::clone(&self);
                    connections.spawn(async move { callback.serve(stream).await });
                }
                Some(done) = connections.join_next() => {
                    if let Ok(Some(outcome)) = done {
                        return outcome;
                    }
                }
            }
        }
    }

    /// The outcome of the sign-in in a URL that a person has pasted; `None` when it is none.
    pub(super) fn of_pasted(&self, text: &str) -> Option<Result<SecretText, BadResponse>> {
        let url = Url::parse(text.trim()).ok()?;
        self.outcome(url.query().unwrap_or_default())
    }

    fn outcome(&self, query: &str) -> Option<Result<SecretText, BadResponse>> {
        let parameters: Vec<_> =
            form_urlencoded::parse(query.as_bytes()).into_owned().take(64).collect();
        match response::check(&parameters, &self.expected) {
            Err(BadResponse::NotOurs) => None,
            outcome => Some(outcome),
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<Result<SecretText, BadResponse>> {
        let target = timeout(HEAD_LIMIT, target(&mut stream)).await.ok().flatten()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let outcome = if path == CALLBACK { self.outcome(query) } else { None };
        let answer = match &outcome {
            Some(Ok(_)) => page(
                "200 OK",
                "Signed in",
                "You can close this window and go back to your application.",
            ),
            Some(Err(_)) => page(
                "200 OK",
                "Not signed in",
                "Your application says why. You can close this window.",
            ),
            None if path == self.start && !self.started.swap(true, Ordering::AcqRel) => {
                redirect(&self.authorization_url)
            }
            None => page(
                "404 Not Found",
                "Nothing to see here",
                "This address is for a sign-in, which is over, or another one.",
            ),
        };
        let _ = timeout(HEAD_LIMIT, async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        })
        .await;
        outcome
    }
}

/// The target of a GET request.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await.ok()?;
        if read == 0 || head.len() + read > MAX_HEAD {
            return None;
        }
        head.extend_from_slice(&piece[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "GET").then(|| words.next().map(str::to_owned)).flatten()
}

const HEADERS: &str = "cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
     content-security-policy: default-src 'none'; frame-ancestors 'none'\r\nconnection: close\r\n";

fn page(status: &str, title: &str, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1><p>{text}</p></html>"
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n{HEADERS}\r\n{body}",
        body.len()
    )
}

fn redirect(to: &Url) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n{HEADERS}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback() -> std::sync::Arc<Callback> {
        std::sync::Arc::new(Callback {
            expected: Expected {
                state: SecretText::new("right"),
                issuer: "https://as".into(),
                names_issuer: false,
            },
            start: "/start/1".into(),
            authorization_url: Url::parse("https://as/authorize?x=1").unwrap(),
            started: AtomicBool::new(false),
        })
    }

    async fn get(port: u16, target: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn t92_an_answer_with_another_state_ends_nothing() {
        let listener = bind(None).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let waiting = tokio::spawn(callback().wait(listener));
        // A connection that is not used holds nothing up.
        let _idle = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        for target in ["/callback?code=c&state=wrong", "/callback?error=x", "/?code=c&state=right"]
        {
            assert!(get(port, target).await.starts_with("HTTP/1.1 404"), "{target}");
        }
        assert!(!waiting.is_finished());
        assert!(get(port, "/start/1").await.contains("location: https://as/authorize?x=1\r\n"));
        assert!(get(port, "/start/1").await.starts_with("HTTP/1.1 404"), "it leads on once");
        assert!(get(port, "/callback?code=c&state=right").await.contains("Signed in"));
        assert_eq!(waiting.await.unwrap().unwrap().expose(), "c");
    }

    #[test]
    fn a_pasted_address_is_judged_like_the_browsers_own() {
        let callback = callback();
        let code = |text: &str| {
            callback.of_pasted(text).map(|found| found.map(|code| code.expose().to_owned()))
        };
        assert_eq!(
            code("http://127.0.0.1:1/callback?code=c&state=right\n"),
            Some(Ok("c".to_owned()))
        );
        assert_eq!(code("http://127.0.0.1:1/callback?code=c&state=wrong"), None);
        assert_eq!(code("c"), None);
    }
}
