//! Where a request runs: on this node, or on the one that owns its user's sessions. Which one that
//! is, [`super::membership`] finds out; [`super::relay`] sends it there.

use std::{future::Future, sync::Arc};

use axum::response::Response;
use tokio::time::Instant;

use super::{
    forwarded::ForwardedRequest,
    membership::{Member, Owner},
    relay::relay,
    retry::{PATIENCE, PAUSE, lost, unavailable},
    sender::{Sender, Undelivered},
};

/// The way of a request to its user's owner node.
#[derive(Clone)]
pub enum Cluster {
    /// There is no other node.
    Alone,
    Among(Arc<Others>),
}

/// This node among the others.
pub struct Others {
    sender: Sender,
}

impl Cluster {
    pub fn among(member: Arc<Member>, http: reqwest::Client) -> Self {
        Self::Among(Arc::new(Others { sender: Sender { member, http } }))
    }

    /// Can the others tell that this node is alive? `None` if there are none.
    pub fn is_alive(&self) -> Option<bool> {
        match self {
            Self::Alone => None,
            Self::Among(others) => Some(others.sender.member.is_alive()),
        }
    }

    /// Has the request run at the user's owner node: by `here`, if that is this one.
    pub async fn run<F: Future<Output = Response>>(
        &self,
        forwarded: ForwardedRequest,
        here: impl Fn(ForwardedRequest) -> F,
    ) -> Response {
        match self {
            Self::Alone => here(forwarded).await,
            // Boxed: a request of a gateway that is alone would carry its size.
            Self::Among(others) => Box::pin(others.run(forwarded, here)).await,
        }
    }
}

impl Others {
    async fn run<F: Future<Output = Response>>(
        &self,
        forwarded: ForwardedRequest,
        here: impl Fn(ForwardedRequest) -> F,
    ) -> Response {
        let (user, member) = (&forwarded.principal.user, &self.sender.member);
        let until = Instant::now() + PATIENCE;
        loop {
            let node = match member.owner(user).await {
                Ok(Owner::ThisNode) => return here(forwarded).await,
                Ok(Owner::Other(node)) => node,
                Err(error) => return unavailable(&forwarded, &error),
            };
            match relay(&self.sender, &node, &forwarded).await {
                Ok(response) => return response,
                Err(Undelivered::NotOwner | Undelivered::Unreached) => {
                    tokio::time::sleep(PAUSE).await;
                }
                // It may have been done.
                Err(Undelivered::Broken) => return lost(&forwarded),
            }
            member.ask_again(user);
            if Instant::now() > until {
                tracing::warn!(%user, node = %node.id, url = node.url, "the node that serves this user does not answer");
                return lost(&forwarded);
            }
        }
    }
}
