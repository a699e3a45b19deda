//! `refresh_token` (RFC 6749 section 6): a refresh token becomes an access token, and the next
//! refresh token of its family.

use portunus_core::{
    ids::{GrantId, UserId},
    oauth::{
        params::Params,
        token::{self, Exchange, Issuing, RefreshRefused, RefreshRequest, Reuse, Usage},
    },
    refresh::PresentedRefresh,
    secret::TokenHash,
};

use super::pipeline::{Admitted, GrantType, Issued, Subject, TokenRequest};
use crate::edge::oauth::support::answers::Failure;

pub(super) struct RefreshToken {
    presented: PresentedRefresh,
    /// Access tokens that were revoked alone (RFC 7009): they are not handed out again.
    dead: Vec<TokenHash>,
}

pub(super) struct Checked {
    exchange: Exchange,
    user: UserId,
}

impl GrantType for RefreshToken {
    type Checked = Checked;

    fn read(form: &Params) -> Result<Self, Failure> {
        match PresentedRefresh::parse(form.require("refresh_token")?) {
            Some(presented) => Ok(Self { presented, dead: Vec::new() }),
            None => Err(token::refresh_refused().into()),
        }
    }

    async fn check(
        &self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
    ) -> Result<Checked, Failure> {
        let found = request.state.grants.find_refresh(&self.presented.key(), issuing.now).await?;
        // Before it is judged: a grant that has ended would be told like one that never was.
        if let Some(found) = &found
            && found.grant.client == request.client.client().id
            && request.state.disabled.now().refuses(&found.grant.user, &found.grant.client)
        {
            return Err(Failure::disabled_grant(&found.grant.user, &found.grant.client));
        }
        let refresh = RefreshRequest {
            client: request.client,
            form: request.form,
            presented: &self.presented,
            found: found.as_ref(),
            address: Some(request.peer),
            dead: &self.dead,
        };
        let exchange = match token::refresh(refresh, &request.state.resources, issuing) {
            Ok(exchange) => exchange,
            Err(RefreshRefused::Error(problem)) => return Err(problem.into()),
            Err(RefreshRefused::Reuse(grant, reuse)) => {
                return Err(reused(request, &grant, reuse).await);
            }
        };
        let Some(found) = found else { return Err(token::refresh_refused().into()) };
        Ok(Checked { exchange, user: found.grant.user })
    }

    fn subject(checked: &Checked) -> Subject<'_> {
        Subject::Person(&checked.user)
    }

    async fn issue(
        &mut self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
        checked: Checked,
        _admitted: Admitted,
    ) -> Result<Issued, Failure> {
        let (grants, exchange) = (&request.state.grants, checked.exchange);
        let is_done = match &exchange.change {
            Some(change) => grants.change_family(change).await?,
            // It may have been revoked alone since.
            None => grants.find_access(&exchange.access.hash, issuing.now).await?.is_some(),
        };
        if is_done {
            log_usage(&exchange);
            let is_again = !matches!(exchange.usage, Usage::First);
            let client = &request.client.client().id;
            request.audit.token_refreshed(&checked.user, client, &exchange.grant, is_again);
            return Ok(Issued::Answer(exchange.answer));
        }
        if exchange.change.is_none() {
            self.dead.push(exchange.access.hash);
        }
        Ok(Issued::Outdated)
    }
}

fn log_usage(exchange: &Exchange) {
    let grant = &exchange.grant;
    match exchange.usage {
        Usage::First => tracing::info!(%grant, "refresh token used: exchanged"),
        Usage::Grace { generations } => {
            tracing::info!(%grant, generations, "refresh token used again within the grace window: the current pair is given");
        }
        Usage::SameAddress { generations } => {
            tracing::info!(%grant, generations, "refresh token used again from the same address: the current pair is given");
        }
    }
}

/// A used refresh token came back from where it should not be, or long after it was exchanged: one
/// of the two holders stole it, so the family ends (threat 17).
async fn reused(request: &TokenRequest<'_>, grant: &GrantId, reuse: Reuse) -> Failure {
    if let Err(error) = request.state.grants.revoke_grant(grant, request.state.clock.now()).await {
        return error.into();
    }
    request.audit.refresh_reused(&request.client.client().id, grant);
    match reuse {
        Reuse::Elsewhere { generations } => {
            tracing::warn!(%grant, generations, "refresh token used again from another address: its grant is revoked");
        }
        Reuse::TooLate { generations } => {
            tracing::warn!(%grant, generations, "refresh token used again after refresh_reuse: its grant is revoked");
        }
    }
    token::refresh_refused().into()
}
