//! `authorization_code` (RFC 6749 section 4.1.3): a code becomes a grant with its tokens, once.

use portunus_core::{
    ids::GrantId,
    oauth::{
        ErrorCode, OAuthError,
        params::Params,
        token::{self, CheckedCode, Issuing},
    },
    secret::{TokenHash, TokenKind, TokenSecret},
    store::Redeemed,
};

use super::pipeline::{Admitted, GrantType, Issued, Subject, TokenRequest};
use crate::edge::oauth::support::answers::Failure;

pub(super) struct AuthorizationCode {
    /// `None`: it is no code of ours.
    hash: Option<TokenHash>,
}

impl GrantType for AuthorizationCode {
    type Checked = CheckedCode;

    fn read(form: &Params) -> Result<Self, Failure> {
        let code = form.require("code")?;
        Ok(Self { hash: TokenSecret::parse(TokenKind::Code, code).map(|secret| secret.hash()) })
    }

    async fn check(
        &self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
    ) -> Result<CheckedCode, Failure> {
        let found = match &self.hash {
            Some(hash) => request.state.grants.find_code(hash, issuing.now).await?,
            None => None,
        };
        let checked =
            token::check_code(request.client, request.form, found, &request.state.resources)?;
        match &checked.found.redeemed {
            Some(grant) => Err(replayed(request, grant).await),
            None => Ok(checked),
        }
    }

    fn subject(checked: &CheckedCode) -> Subject<'_> {
        Subject::Person(&checked.found.code.user)
    }

    async fn issue(
        &mut self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
        checked: CheckedCode,
        _admitted: Admitted,
    ) -> Result<Issued, Failure> {
        let (state, now) = (request.state, issuing.now);
        let redemption = token::redeem(request.client, &checked, Some(request.peer), issuing);
        let written = state
            .grants
            .redeem_code(
                &checked.found.code.hash,
                &redemption.grant,
                &redemption.access,
                redemption.refresh.as_ref(),
                now,
            )
            .await?;
        match written {
            Redeemed::Fresh => {
                state.clients.touch_client(&request.client.client().id, now).await?;
                tracing::info!(user = %redemption.grant.user, client_id = %redemption.grant.client, grant = %redemption.grant.id,
                    resources = %redemption.grant.resources, "grant made");
                request.audit.code_redeemed(&redemption.grant);
                Ok(Issued::Answer(redemption.answer))
            }
            Redeemed::Already(grant) => Err(replayed(request, &grant).await),
            Redeemed::Unknown => {
                Err(OAuthError::new(ErrorCode::InvalidGrant, "the code is unknown or expired")
                    .into())
            }
        }
    }
}

/// A sound second use of a code: a second party has it, so everything made of it ends (threat 15).
async fn replayed(request: &TokenRequest<'_>, grant: &GrantId) -> Failure {
    if let Err(error) = request.state.grants.revoke_grant(grant, request.state.clock.now()).await {
        return error.into();
    }
    tracing::warn!(client_id = %request.client.client().id, %grant, "a code was used twice: its grant is revoked");
    request.audit.code_reused(&request.client.client().id, grant);
    token::code_replayed().into()
}
