//! What the doctor tries at an OpenID provider, with requests as a sign-in and a sign-out make
//! them. The requests go out in [`crate::probe`].

use portunus_core::secret::SecretText;

use super::OidcProvider;
use crate::{
    discovery::Metadata,
    exchange::Exchange,
    probe::{self, Authorization, Trial, Verdict},
    provider::IdentityError,
    settings::ProviderSettings,
};

/// What a provider says that would have to ask a person (OpenID Connect Core 1.0 section 3.1.2.6).
const NOBODY_THERE: [&str; 4] =
    ["login_required", "interaction_required", "consent_required", "account_selection_required"];

impl OidcProvider {
    /// Would a browser that we send there come back to our redirect URI?
    pub(crate) async fn try_authorization(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
    ) -> Result<Verdict, IdentityError> {
        let url = self.authorization_request(metadata, &Trial::new().outbound(redirect_uri));
        // A browser would go to the public address; it is the same provider at this one, and the
        // other need not be reached from here.
        let url = self.reach().inside(&url);
        match probe::authorize(&self.http, url, redirect_uri, &self.error_report, self.facts)
            .await?
        {
            // There are providers that leave it out of this answer alone, where no person has
            // signed in.
            Authorization::Back { iss: None, error: Some((error, _)) }
                if metadata.sends_iss && NOBODY_THERE.contains(&&*error) =>
            {
                Ok(Verdict::Unknown(format!(
                    "its answer ({error}) does not say which issuer it is from (`iss`), although its metadata promises that it does. If its answers to \
                     people do not either, nobody gets in: one of the two must be changed there (Keycloak: Client > Advanced > OpenID Connect \
                     Compatibility Modes)"
                )))
            }
            Authorization::Back { iss: None, .. } if metadata.sends_iss => {
                self.check_iss(None, metadata)?;
                Ok(Verdict::Fine)
            }
            Authorization::Back { error: Some((error, description)), .. } => {
                match self.redirect_error(&error, &description) {
                    // It came back to us, which is what we asked; whom it lets in it tells them.
                    IdentityError::Refused { .. } => Ok(Verdict::Fine),
                    error => Err(error),
                }
            }
            Authorization::Back { error: None, .. } => Ok(Verdict::Fine),
            Authorization::Unknown(why) => Ok(Verdict::Unknown(why)),
        }
    }

    /// Would a browser that signs out there come back to us?
    pub(crate) async fn try_sign_out(
        &self,
        metadata: &Metadata,
        return_to: &str,
    ) -> Result<Option<Verdict>, IdentityError> {
        let Some(mut url) = metadata.end_session_endpoint.clone() else { return Ok(None) };
        url.query_pairs_mut()
            .append_pair("post_logout_redirect_uri", return_to)
            .append_pair("client_id", &self.settings.client_id);
        let url = self.reach().inside(&url);
        probe::sign_out(&self.http, url, return_to, &self.error_report, self.facts).await.map(Some)
    }

    /// Does the token endpoint look at our secret at all? `None`: we have none to be looked at.
    pub(crate) async fn is_secret_checked(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
    ) -> Option<bool> {
        self.settings.client_secret.as_ref()?;
        let wrong = ProviderSettings {
            client_secret: Some(SecretText::new(probe::WRONG_SECRET)),
            ..self.settings.clone()
        };
        let exchange = Exchange {
            http: &self.http,
            settings: &wrong,
            error_report: &self.error_report,
            token_endpoint: &metadata.token_endpoint,
            auth: metadata.token_auth,
        };
        let probe = Trial::new();
        Some(
            Trial::is_client_known(
                exchange.redeem(probe.code(), &probe.provider_request(redirect_uri)).await,
            )
            .is_err(),
        )
    }

    /// Would the token endpoint know us?
    pub(crate) async fn try_secret(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
    ) -> Result<(), IdentityError> {
        let probe = Trial::new();
        Trial::is_client_known(
            self.redeem(probe.code(), &probe.provider_request(redirect_uri), metadata).await,
        )
    }
}
