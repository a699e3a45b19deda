//! The revocation endpoint (RFC 7009): what a token's end takes with it. A refresh token ends its
//! whole grant, for it is what keeps the grant alive; an access token ends alone, for others of the
//! grant may be in use. A client ends its own tokens only.

use super::{ErrorCode, OAuthError, token::AuthenticatedClient};
use crate::{
    grant::Grant,
    ids::GrantId,
    refresh::{FoundRefresh, PresentedRefresh, RefreshStatus},
    secret::TokenHash,
    token::FoundAccess,
};

/// Which grant a refresh token ends: one that was used already does too, for the client that sends
/// it wants to be gone. `None` for a token that is not known (any more), or that was made up, which
/// is as good as revoked (section 2.2).
pub fn of_refresh(
    client: &AuthenticatedClient,
    presented: &PresentedRefresh,
    found: Option<FoundRefresh>,
) -> Result<Option<GrantId>, OAuthError> {
    let found = found.filter(|found| found.status(presented) != RefreshStatus::Unknown);
    let Some(found) = found else { return Ok(None) };
    check_own(client, &found.grant)?;
    Ok(Some(found.grant.id))
}

/// The access token to end.
pub fn of_access(
    client: &AuthenticatedClient,
    found: Option<FoundAccess>,
) -> Result<Option<TokenHash>, OAuthError> {
    let Some(found) = found else { return Ok(None) };
    check_own(client, &found.grant)?;
    Ok(Some(found.token.hash))
}

/// Another client's token is refused and stays as it is (section 2.1, threat 16).
fn check_own(client: &AuthenticatedClient, grant: &Grant) -> Result<(), OAuthError> {
    if grant.client == client.client().id {
        return Ok(());
    }
    Err(OAuthError::new(ErrorCode::InvalidGrant, "the token was issued to another client"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::Client,
        ids::ClientId,
        oauth::{
            authorize::tests::client,
            token::samples::{current, forged, found_access, found_refresh, proven},
        },
    };

    #[test]
    fn t16_a_client_ends_its_own_tokens_only() {
        let own = proven(&client());
        let thief = proven(&Client { id: ClientId::from_text("thief"), ..client() });
        let (access, refresh) = (found_access(), found_refresh());
        let sent = current(&refresh);
        assert_eq!(of_access(&own, Some(access.clone())), Ok(Some(access.token.hash)));
        assert_eq!(
            of_refresh(&own, &sent, Some(refresh.clone())),
            Ok(Some(refresh.grant.id.clone()))
        );
        assert_eq!(
            of_refresh(&own, &forged(&refresh), Some(refresh.clone())),
            Ok(None),
            "one that was made up ends nothing"
        );
        assert_eq!(of_access(&thief, Some(access)).unwrap_err().code, ErrorCode::InvalidGrant);
        assert_eq!(
            of_refresh(&thief, &sent, Some(refresh)).unwrap_err().code,
            ErrorCode::InvalidGrant
        );
        for client in [&own, &thief] {
            assert_eq!(
                (of_access(client, None), of_refresh(client, &sent, None)),
                (Ok(None), Ok(None)),
                "unknown is as good as revoked"
            );
        }
    }
}
