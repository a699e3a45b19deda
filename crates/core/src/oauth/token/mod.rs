//! The token endpoint (RFC 6749 section 3.2): [`authenticate`] proves the client; [`code`],
//! [`refresh`] and [`client_credentials`] are the grants, and what they share is in [`issuing`].
//! The atomic steps themselves are the store's ([`crate::store::GrantStore`]).

mod authenticate;
mod client_credentials;
mod code;
pub(crate) mod issuing;
mod refresh;
#[cfg(test)]
pub(crate) mod samples;

pub use self::{
    authenticate::{AuthenticatedClient, ClientCredentials, Proof, authenticate, credentials},
    client_credentials::{ServiceGrant, client_credentials, is_service, service_issuer},
    code::{CheckedCode, Redemption, check_code, code_replayed, redeem},
    issuing::{Audience, Issuing, TokenResponse},
    refresh::{
        Exchange, REFRESH_REFUSED, RefreshRefused, RefreshRequest, Reuse, Usage,
        described_too_long_ago, judge, not_admitted, refresh, refresh_refused,
    },
};
