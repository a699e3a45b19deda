//! Which questions of a server are answered, refused, or passed on.

use std::sync::Mutex;

use bytes::Bytes;
use portunus_core::ids::{ClientId, ServerName, UserId};

use super::*;
use crate::{
    client_capabilities::ClientCapabilities,
    sync::locked,
    upstream::{
        error::UpstreamError,
        owner::{CallOrigin, Owner},
    },
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

/// A question of a server that names no call, while these sessions have a call each and the caller
/// of the last one is gone: is the first asked in its place?
async fn is_asked_in_place(sessions: [&str; 2]) -> bool {
    let key = ConnectionKey {
        server: ServerName::parse("dice").unwrap(),
        owner: Owner::Client(UserId::from_text("alice"), ClientId::from_text("editor")),
        client_capabilities: ClientCapabilities::default(),
        lane: 0,
        era: crate::era::Era::Legacy,
    };
    let (inbox, mut asked) = Inbox::new(key, false);
    let mut hears = Vec::new();
    let mut call = |session: &str| {
        let (call_events, events) = mpsc::channel(4);
        hears.push(events);
        inbox.register(Some(call_events), CallOrigin::Session(session.into()), None).unwrap()
    };
    let _over = call(sessions[1]);
    inbox.deliver(
        &Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create"}"#),
        None,
    );
    let _goes_on = call(sessions[0]);
    let Some(Ask::Request(request, Respondent::Caller(asking))) = asked.recv().await else {
        panic!("it is about the only call there is")
    };
    let mut goes_on = hears.pop().unwrap();
    // The call ends, and its caller has not heard the question.
    drop(hears);
    let answering = tokio::spawn(async move {
        if let Some(CallEvent::Ask(ask)) = goes_on.recv().await {
            ask.answer(Ok(wire::object(&[])));
        }
    });
    let outcome = ask_client(asking, &inbox, &request.method, request.params).await;
    answering.abort();
    outcome.is_ok()
}

#[tokio::test]
async fn a_question_whose_call_ended_unheard_goes_to_another_call_of_the_session_alone() {
    assert!(is_asked_in_place(["s", "s"]).await);
    assert!(!is_asked_in_place(["t", "s"]).await, "nothing of one session is told to another");
}
