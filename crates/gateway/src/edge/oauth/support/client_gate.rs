//! Who is the client of a request to the token, revocation or introspection endpoint: its form is
//! read and its proof checked here, for all three, so that none can forget it. The rule is
//! `portunus_core::oauth::token::authenticate`.

use std::net::IpAddr;

use http::{HeaderMap, header};
use portunus_core::{
    ids::ClientId,
    oauth::{
        ErrorCode, OAuthError,
        header::basic as basic_header,
        params::Params,
        token::{self, AuthenticatedClient, Proof},
    },
    secret::SecretText,
};

use super::{answers::Failure, assertions::Assertions, client_directory::ClientDirectory};
use crate::edge::{limits, throttle::limiter::Throttle};

/// Lets clients that prove themselves through.
#[derive(Clone)]
pub struct ClientGate {
    pub directory: ClientDirectory,
    pub assertions: Assertions,
    pub throttle: Throttle,
}

impl ClientGate {
    /// The form of the request, and the client that sent it.
    pub async fn admit(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Params, AuthenticatedClient), Failure> {
        if !limits::is_form(headers) {
            let problem = "send the parameters as application/x-www-form-urlencoded";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, problem).into());
        }
        let form = Params::parse(body).map_err(OAuthError::from)?;
        let mut presented = token::credentials(basic(headers)?, &form)?;
        self.throttle.check_client(peer, &presented.client_id)?;
        let client = self.directory.find(&ClientId::from_text(&presented.client_id), peer).await?;
        if let (Proof::UncheckedAssertion(jwt), Some(client)) = (&presented.proof, &client) {
            let origin = self.directory.origin(client, peer).await?;
            presented.proof = Proof::Assertion(self.assertions.verify(client, origin, jwt).await?);
        }
        Ok((form, token::authenticate(client, &presented)?))
    }
}

/// Client credentials of HTTP Basic; two headers are none that can be trusted.
fn basic(headers: &HeaderMap) -> Result<Option<(String, SecretText)>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => basic_header(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "the Authorization header was sent more than once",
        )),
    }
}
