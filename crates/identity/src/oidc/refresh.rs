//! Refresh tokens of the provider: whether one is asked for, and a person read anew with it (OpenID
//! Connect Core section 12). The sign-in that gives one is in [`super`].

use std::{sync::atomic::Ordering, time::Instant};

use portunus_core::{Timestamp, secret::SecretText};
use serde_json::Map;
use tokio::time::timeout;

use super::{OidcProvider, Source};
use crate::{
    discovery::Metadata,
    error_report::quote,
    exchange::Tokens,
    fetch::DEADLINE,
    okta,
    provider::{IdentityError, NO_REFRESH_TOKENS, RefreshError, Refreshed, SignedIn},
    settings::Preset,
};

impl OidcProvider {
    pub(super) fn asks_for_refresh_tokens(&self) -> bool {
        self.settings.wants_refresh_token() && !self.refuses_offline_access.load(Ordering::Relaxed)
    }

    /// The error at our redirect URI, if it is about the refresh token that was asked for: that is
    /// not asked for any more: a sign-in is worth more. Scopes of the settings are asked for as
    /// they are.
    pub(super) fn offline_access_refused(
        &self,
        error: &str,
        description: &str,
    ) -> Option<IdentityError> {
        let by_scopes = self.settings.scopes.is_some() && self.settings.offline_access.is_none();
        let is_about_it = matches!(error, "invalid_scope" | "unauthorized_client")
            && self.asks_for_refresh_tokens()
            && !by_scopes
            && !self.refuses_offline_access.swap(true, Ordering::Relaxed);
        if !is_about_it {
            return None;
        }
        let is_okta = self.settings.preset == Preset::Okta;
        tracing::warn!(
            provider = %self.settings.name, error, description = quote(description),
            "the provider does not let this application ask for a refresh token (offline_access), so groups are read at sign-ins alone: \
             {}, or set offline_access: false",
            if is_okta { okta::REFRESH_TOKEN_HINT } else { "allow it there" }
        );
        let hint = "It is asked again without";
        Some(self.error_report.refused(NO_REFRESH_TOKENS, description, hint))
    }

    /// Reads the person from what a refresh gave. An answer without an ID token says nothing of
    /// groups that userinfo does not have, so it would take them all away: it does not count.
    async fn read_anew(
        &self,
        tokens: &Tokens,
        subject: &str,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<SignedIn, RefreshError> {
        let access_token = tokens.access_token.as_ref();
        let (nobody, verified);
        let source = if let Some(id_token) = &tokens.id_token {
            verified = self.verify(id_token, None, metadata, now).await?;
            Source::of(&verified, id_token)
        } else {
            nobody = Map::new();
            Source { subject, claims: &nobody, id_token: None }
        };
        if source.subject != subject {
            return Err(self.error_report.unverified("the refresh is about somebody else").into());
        }
        let has_id_token = source.id_token.is_some();
        let mut person = self.person(source, access_token, metadata, now).await?;
        person.unread.groups |= !has_id_token && person.groups.is_empty();
        Ok(person)
    }

    /// The deadline is that of the whole, but a rotated token is given back even when it passes
    /// after the exchange: without it the person could not be read any more.
    pub(super) async fn refresh_person(
        &self,
        token: &SecretText,
        subject: &str,
        now: Timestamp,
    ) -> Refreshed {
        let begun = Instant::now();
        let exchanged = self
            .in_time(async {
                let metadata = self.metadata().await?;
                // Alone: an answer must not get lost because the keys are slow.
                let tokens = self.exchange(&metadata).refresh(token, now).await;
                Ok((tokens, metadata))
            })
            .await;
        let (tokens, metadata) = match exchanged {
            Ok((Ok(tokens), metadata)) => (tokens, metadata),
            Ok((Err(error), _)) => return Refreshed { rotated: None, person: Err(error) },
            Err(error) => return Refreshed { rotated: None, person: Err(error.into()) },
        };
        let left = DEADLINE.saturating_sub(begun.elapsed());
        let late = || self.error_report.unavailable("it took too long to say who was refreshed");
        let person = timeout(left, self.read_anew(&tokens, subject, &metadata, now))
            .await
            .unwrap_or_else(|_| Err(late().into()));
        Refreshed { rotated: tokens.refresh_token, person }
    }
}
