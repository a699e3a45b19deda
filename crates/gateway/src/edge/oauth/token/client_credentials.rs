//! `client_credentials` (RFC 6749 section 4.4): a client of the configuration acts for itself.

use portunus_core::oauth::{
    params::Params,
    token::{self, Issuing, ServiceGrant},
};

use super::pipeline::{Admitted, GrantType, Issued, Subject, TokenRequest};
use crate::edge::oauth::support::answers::Failure;

pub(super) struct ClientCredentials;

impl GrantType for ClientCredentials {
    type Checked = ServiceGrant;

    fn read(_: &Params) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn check(
        &self,
        request: &TokenRequest<'_>,
        issuing: &Issuing<'_>,
    ) -> Result<ServiceGrant, Failure> {
        let Issuing { now, lifetimes, entropy } = *issuing;
        Ok(token::client_credentials(
            request.client,
            request.form,
            &request.state.resources,
            now,
            lifetimes,
            entropy,
        )?)
    }

    fn subject(made: &ServiceGrant) -> Subject<'_> {
        Subject::Client(&made.user)
    }

    /// The client's own user is written first: its groups are those of the configuration from now
    /// on, for older tokens too.
    async fn issue(
        &mut self,
        request: &TokenRequest<'_>,
        _: &Issuing<'_>,
        made: ServiceGrant,
        _admitted: Admitted,
    ) -> Result<Issued, Failure> {
        request.state.logins.insert_user(&made.user).await?;
        request.state.grants.insert_grant(&made.grant, &made.access).await?;
        tracing::info!(user = %made.grant.user, client_id = %made.grant.client, grant = %made.grant.id,
            resources = %made.grant.resources, "grant made for the client itself");
        request.audit.client_token_issued(&made.grant);
        Ok(Issued::Answer(made.answer))
    }
}
