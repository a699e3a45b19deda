//! One request from a client to a server and its answer back, compared byte by byte on both ends.

use portunus_mcp::era::Era;

use super::{
    expected,
    peer::{Heard, Peer, Script},
    text::{Object, Value, open_request},
    world::{self, Client, Messages, request},
};

/// The client's own id of every request, in a spelling that should come back.
pub(crate) const ID: &str = r#""i-\u0064""#;

/// What is sent in both directions.
pub(crate) struct RoundTrip<'a> {
    pub(crate) method: &'a str,
    /// What a modern client says in `Mcp-Name`.
    pub(crate) name: &'a str,
    pub(crate) params: &'a Object,
    pub(crate) answer: &'a Answer,
    /// Notifications that the server sends before its answer, with what the client should get of
    /// them.
    pub(crate) call_events: &'a [(String, String)],
}

pub(crate) enum Answer {
    Result(Object),
    Error(Object),
}

impl Answer {
    /// As a member of the message.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Result(result) => format!(r#""result":{}"#, result.text()),
            Self::Error(error) => format!(r#""error":{}"#, error.text()),
        }
    }

    fn expected(&self, method: &str, client: Era, server: Era) -> Self {
        match self {
            Self::Result(result) => Self::Result(expected::result(result, method, client, server)),
            Self::Error(error) => Self::Error(expected::error(error, method, client, server)),
        }
    }
}

impl RoundTrip<'_> {
    pub(crate) async fn run(
        &self,
        client: &Client,
        peer: &Peer,
        heard: &mut Heard,
        is_merged: bool,
    ) {
        let Self { method, name, params, answer, call_events } = self;
        let way = format!(
            "{method} from {:?} to {:?}, child {}, merged {is_merged}",
            client.era, peer.era, peer.is_child
        );
        let first = call_events.iter().map(|(sent, _)| peer.sendable(sent)).collect();
        let script = Script {
            method: (*method).to_owned(),
            first,
            waits: false,
            answer: peer.sendable(&answer.text()),
        };
        peer.play(script);
        let answered = client.post(method, name, &request(ID, method, &params.text())).await;

        let message = heard.try_recv().unwrap_or_else(|_| {
            panic!("{way}: nothing reached the server, which was answered with {answered:?}")
        });
        let plain = name.split_once('_').map(|(_, plain)| plain).filter(|_| is_merged);
        let (id, ..) = open_request(&message)
            .unwrap_or_else(|| panic!("{way}: no request of ours: {message}"));
        assert_eq!(
            message,
            request(id, method, &expected::params(params, client.era, peer, plain, id)),
            "{way}: the request"
        );

        let mut messages = Messages::of(answered);
        let is_stream = messages.is_stream();
        let as_sent =
            |text: &str| if is_stream { expected::in_events(text) } else { text.to_owned() };
        for (sent, expected) in *call_events {
            let got = messages.next().await.unwrap_or_default();
            assert_eq!(got, as_sent(&peer.sendable(expected)), "{way}: news, sent as {sent}");
        }
        let expected = answer.expected(method, client.era, peer.era).text();
        // What the gateway adds has no line breaks, so it makes no difference what comes first.
        let expected = format!(r#"{{"jsonrpc":"2.0","id":{ID},{}}}"#, peer.sendable(&expected));
        assert_eq!(
            messages.next().await.as_deref(),
            Some(&*as_sent(&expected)),
            "{way}: the answer"
        );
        assert_eq!(messages.next().await, None, "{way}: nothing follows the answer");
    }
}

/// Does for every server, from a client of each era, on both paths, what `test` does.
pub(crate) async fn everywhere(
    world: &mut world::World,
    mut test: impl AsyncFnMut(&Client, &str, &Peer, &mut Heard, bool),
) {
    for era in [Era::Legacy, Era::Modern] {
        let merged = world.client(era, None).await;
        for at in 0..world.servers.len() {
            let alone = world.client(era, Some(world.servers[at].0)).await;
            let (server, peer, heard) = &mut world.servers[at];
            while heard.try_recv().is_ok() {}
            for (client, is_merged) in [(&alone, false), (&merged, true)] {
                test(client, server, peer, heard, is_merged).await;
            }
        }
    }
}

/// The member `name`, plainly, or with an escape that means the same.
pub(crate) fn name(server: &str, is_merged: bool, is_escaped: bool) -> Value {
    let prefix = if is_merged { format!("{server}_") } else { String::new() };
    Value::Raw(format!("\"{prefix}{}\"", if is_escaped { r"\u0074" } else { "t" }))
}
