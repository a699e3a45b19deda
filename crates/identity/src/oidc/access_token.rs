//! Groups in the access token: custom authorization servers of Okta, and others whose access tokens
//! are signed JWTs (RFC 9068), may have them there and nowhere else. What is in an access token
//! counts for groups alone, and only if the token is of this issuer, for this client and about the
//! person of the ID token.

use portunus_core::{Timestamp, secret::SecretText};

use super::{ALL_ALGORITHMS, OidcProvider, overage::Listed};
use crate::{
    claims,
    discovery::Metadata,
    id_token::{self, Expected},
    okta,
    settings::Preset,
};

impl OidcProvider {
    /// `None` if they are not there. Access tokens of Okta's org server and of Microsoft are for
    /// others than us: they are not looked into.
    pub(super) async fn groups_in_access_token(
        &self,
        claim: &str,
        subject: &str,
        token: Option<&SecretText>,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Option<Listed> {
        let token = token?.expose();
        let is_opaque = match self.settings.preset {
            Preset::MicrosoftEntraId | Preset::Google => true,
            Preset::Okta => okta::is_org_server(&self.issuer),
            _ => false,
        };
        if is_opaque || token.split('.').count() != 3 {
            return None;
        }
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: &self.settings.client_id,
            nonce: None,
            algorithms: &ALL_ALGORITHMS,
        };
        let keys = self.keys(metadata).await.ok()?;
        match id_token::verify_access_token(token, &expected, subject, &keys, now) {
            Ok(found) => {
                let groups = claims::find(&found, claim)?.clone();
                Some(Listed { groups, is_whole: true })
            }
            Err(flaw) => {
                tracing::debug!(provider = %self.settings.name, ?flaw, "the access token is not looked into for groups");
                None
            }
        }
    }
}
