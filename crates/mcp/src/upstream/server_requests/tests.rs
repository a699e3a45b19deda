//! Which questions of a server are answered, refused, or passed on.

use std::sync::Mutex;

use bytes::Bytes;
use portunus_core::ids::{ClientId, UserId};

use super::*;
use crate::{
    client_capabilities::ClientCapabilities,
    sync::locked,
    upstream::{error::UpstreamError, owner::Owner},
};

/// Records what it was to send.
#[derive(Default)]
struct Sent(Mutex<Vec<String>>);

#[async_trait]
impl Link for Sent {
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError> {
        locked(&self.0).push(String::from_utf8(outgoing.message.to_vec()).unwrap());
        Ok(())
    }

    fn answers_inline(&self) -> bool {
        false
    }

    fn complete_handshake(&self, _: &str) {}

    async fn close(&self) {}
}

/// A person who never answers.
struct Thinking;

#[async_trait]
impl ServerRequests for Thinking {
    async fn handle(
        &self,
        _: &ConnectionKey,
        _: &str,
        _: Option<Payload>,
    ) -> Result<Payload, RpcError> {
        std::future::pending().await
    }
}

async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn fb75_pings_and_withdrawals_pass_though_every_question_is_open() {
    let owner =
        Owner::Session(UserId::from_text("alice"), ClientId::from_text("editor"), "s".to_owned());
    let key = ConnectionKey {
        server: ServerName::parse("dice").unwrap(),
        owner,
        client_capabilities: ClientCapabilities::default(),
        lane: 0,
        era: crate::era::Era::Modern,
    };
    let (inbox, asked) = Inbox::new(key, false);
    let sent = Arc::new(Sent::default());
    let serving =
        tokio::spawn(serve(asked, Arc::clone(&inbox), Arc::clone(&sent) as _, Arc::new(Thinking)));
    let deliver = async |text: String| {
        inbox.deliver(&Bytes::from(text), None);
        settle().await;
    };
    let question = |id: usize| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{}}}}"#)
    };
    for id in 0..MAX_OPEN {
        deliver(question(id)).await;
    }
    assert!(locked(&sent.0).is_empty(), "all of them are thought about");
    deliver(question(MAX_OPEN)).await;
    let refused = locked(&sent.0).pop().unwrap();
    assert!(refused.contains(TOO_MANY), "at once: {refused}");
    deliver(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#.to_owned()).await;
    assert_eq!(locked(&sent.0).pop().unwrap(), r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);
    deliver(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#
            .to_owned(),
    )
    .await;
    deliver(question(MAX_OPEN + 1)).await;
    assert!(locked(&sent.0).is_empty(), "there is room for one again");
    serving.abort();
}
