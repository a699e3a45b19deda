//! What a server at another node asks about a call of a client here, until it is answered.

use std::future::pending;

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::oneshot;

use crate::{
    upstream::{RpcError, ServerAsk},
    wire::Payload,
};

/// A question's number and its answer; `None` if there will be none.
pub(super) type Settled = (u64, Option<Result<Payload, RpcError>>);

/// The questions of a call that are not answered yet: each is a future of its answer.
#[derive(Default)]
pub(super) struct Questions {
    open: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// Dropping one withdraws the question.
    withdrawals: Vec<(u64, oneshot::Sender<()>)>,
}

impl Questions {
    /// The question, and whether it is still wanted is ours to say.
    pub(super) fn pose(&mut self, number: u64, method: String, params: Option<Payload>) -> ServerAsk {
        let (ask, answer) = ServerAsk::new(method, params);
        let (wanted, withdrawn) = oneshot::channel::<()>();
        self.withdrawals.push((number, wanted));
        self.open.push(Box::pin(async move {
            tokio::select! {
                answer = answer => (number, answer.ok()),
                _ = withdrawn => (number, None),
            }
        }));
        ask
    }

    /// Nobody wants the answer any more. Did anybody?
    pub(super) fn withdraw(&mut self, number: u64) -> bool {
        let before = self.withdrawals.len();
        self.withdrawals.retain(|(open, _)| *open != number);
        self.withdrawals.len() < before
    }

    /// The next that is answered, or given up: then the server hears that nobody answers.
    pub(super) async fn next(&mut self) -> Settled {
        match self.open.next().await {
            Some(answered) => answered,
            None => pending().await,
        }
    }
}
