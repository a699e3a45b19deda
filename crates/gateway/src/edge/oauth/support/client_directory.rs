//! The clients there are: those of the configuration, those that live in a metadata document, those
//! that registered. Every endpoint finds its clients here. What a document must say is
//! `portunus_core::oauth::document`, whose documents are welcome
//! `portunus_core::oauth::registration_policy`; documents are fetched and kept by
//! [`crate::net::guarded`].

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use portunus_core::{
    Clock,
    address_block::AddressBlock,
    client::{Client, ClientSource},
    ids::ClientId,
    oauth::{
        ErrorCode, OAuthError,
        document::{self, BadDocument, DocumentUrl},
        registration_policy::{RegistrationMethod, RegistrationPolicy},
    },
    outside_url::OutsideUrl,
    store::{ClientStore, GrantStore, GrantsOf, StoreError},
};
use thiserror::Error;

use super::answers::Failure;
use crate::{
    disabled::Disabled,
    net::{
        fetch_budgets::FetchOrigin,
        guarded::{Content, FetchError, GuardedFetcher},
    },
};

/// Finds clients by their id. Clones are the same directory.
#[derive(Clone)]
pub struct ClientDirectory {
    inner: Arc<Inner>,
}

struct Inner {
    configured: HashMap<ClientId, Client>,
    registration_policy: Arc<RegistrationPolicy>,
    fetcher: Arc<GuardedFetcher>,
    store: Arc<dyn ClientStore>,
    grants: Arc<dyn GrantStore>,
    clock: Arc<dyn Clock>,
    disabled: Disabled,
}

/// Why it cannot be said which client that is.
#[derive(Debug, Error)]
pub enum NoClient {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text is for the client's developer.
    #[error("{0}")]
    Refused(String),
    /// Its document cannot be fetched just now. A copy that is too old is not used: what it says
    /// may have been taken back.
    #[error("the client metadata document cannot be fetched just now")]
    Unreachable { host: String },
    /// An administrator disabled it.
    #[error("the client was disabled by the administrator of this gateway")]
    Disabled(ClientId),
}

impl From<NoClient> for Failure {
    fn from(error: NoClient) -> Self {
        match error {
            NoClient::Store(error) => Self::Store(error),
            NoClient::Disabled(id) => Self::disabled_client(&id),
            NoClient::Refused(problem) => {
                Self::OAuth(OAuthError::new(ErrorCode::InvalidClient, problem))
            }
            NoClient::Unreachable { .. } => {
                let problem = "the client metadata document cannot be fetched just now; try again";
                Self::OAuth(OAuthError::new(ErrorCode::TemporarilyUnavailable, problem))
            }
        }
    }
}

impl ClientDirectory {
    pub fn new(
        configured: impl IntoIterator<Item = Client>,
        registration_policy: Arc<RegistrationPolicy>,
        fetcher: Arc<GuardedFetcher>,
        store: Arc<dyn ClientStore>,
        grants: Arc<dyn GrantStore>,
        clock: Arc<dyn Clock>,
        disabled: Disabled,
    ) -> Self {
        let configured = configured.into_iter().map(|client| (client.id.clone(), client)).collect();
        Self {
            inner: Arc::new(Inner {
                configured,
                registration_policy,
                fetcher,
                store,
                grants,
                clock,
                disabled,
            }),
        }
    }

    /// The client with this id: of the configuration, else of the document at this URL, else of the
    /// store. No client that is stored has an id like a URL (threat 29). One that is disabled is
    /// none, wherever it lives.
    pub async fn find(&self, id: &ClientId, peer: IpAddr) -> Result<Option<Client>, NoClient> {
        if self.inner.disabled.now().is_client_disabled(id) {
            return Err(NoClient::Disabled(id.clone()));
        }
        if let Some(client) = self.inner.configured.get(id) {
            return Ok(Some(client.clone()));
        }
        // A key is exchanged for nothing, and belongs to no client that asks here.
        if id.is_reserved() {
            return Ok(None);
        }
        if id.is_url() {
            return self.load_document(id, peer).await.map(Some);
        }
        let found = self.inner.store.find_client(id).await?;
        Ok(found.map(|client| self.inner.registration_policy.with_allowed_redirects(client)))
    }

    async fn load_document(&self, id: &ClientId, peer: IpAddr) -> Result<Client, NoClient> {
        let Inner { registration_policy, fetcher, clock, .. } = &*self.inner;
        let url =
            DocumentUrl::parse(id.as_str()).map_err(|bad| NoClient::Refused(bad.to_string()))?;
        registration_policy
            .admit_document(&url)
            .map_err(|problem| NoClient::Refused(problem.description))?;
        let outside = OutsideUrl::parse(url.as_str())
            .map_err(|bad| NoClient::Refused(format!("the client_id {bad}")))?;
        // Whether it is in use is asked only when something has to be fetched.
        let body = if let Some(body) = fetcher.peek(&outside, Content::ClientDocument).await {
            body
        } else {
            let origin =
                FetchOrigin { address: AddressBlock::of(peer), in_use: self.is_in_use(id).await? };
            let loaded = fetcher.load(&outside, Content::ClientDocument, origin).await;
            self.note_reach(&url, &outside, &loaded);
            loaded.map_err(|error| {
                if error.is_passing() {
                    return NoClient::Unreachable { host: outside.host().to_owned() };
                }
                let problem = "the client_id is a URL, but what stands there is no client metadata document that we accept";
                NoClient::Refused(problem.to_owned())
            })?
        };
        let client =
            document::client_of(&url, &body, clock.now(), &registration_policy.redirect_schemes)
                .map_err(|bad| {
                    tracing::warn!(client_id = %id, %bad, "a client metadata document was refused");
                    NoClient::Refused(match bad {
                        BadDocument::Json(_) => {
                            "the client metadata document is not the JSON object it must be"
                                .to_owned()
                        }
                        BadDocument::Metadata(problem) => {
                            format!("the client metadata document: {}", problem.description)
                        }
                        other => other.to_string(),
                    })
                })?;
        registration_policy
            .admit(RegistrationMethod::MetadataDocument, &client)
            .map_err(|problem| NoClient::Refused(problem.description))?;
        Ok(client)
    }

    /// Whether there is a way to documents is told by those of domains that the configuration
    /// names, and of well-known makers. A stranger's URL tells nothing, nor does that of a client
    /// in use: its host may be gone.
    fn note_reach(
        &self,
        url: &DocumentUrl,
        outside: &OutsideUrl,
        loaded: &Result<bytes::Bytes, FetchError>,
    ) {
        let Inner { registration_policy, fetcher, clock, .. } = &*self.inner;
        match loaded {
            Ok(_) => fetcher.reach.found(),
            Err(error)
                if error.is_of_the_way()
                    && (!registration_policy.domains.is_empty() || url.is_of_a_known_maker()) =>
            {
                if fetcher.reach.lost(outside, clock.now()) {
                    tracing::warn!(
                        url = %outside,
                        %error,
                        "client metadata documents cannot be fetched, and are not advertised until they can: if this gateway has no direct way to the \
                         Internet, set `clients.metadata_documents.proxy` (METADATA_DOCUMENTS_PROXY) to a proxy for these fetches, or \
                         `clients.metadata_documents.enabled: false` and let clients register"
                    );
                }
            }
            Err(_) => {}
        }
    }

    /// Can documents be had, so that it is of use to advertise them? Where they could not the last
    /// time, that is tried again behind this answer.
    pub fn has_reach(&self) -> bool {
        let Inner { fetcher, clock, .. } = &*self.inner;
        if let Some(url) = fetcher.reach.due(clock.now()) {
            let (fetcher, origin) = (
                Arc::clone(fetcher),
                FetchOrigin { address: AddressBlock::of(Ipv4Addr::LOCALHOST.into()), in_use: true },
            );
            tokio::spawn(async move {
                if fetcher.reload(&url, Content::ClientDocument, origin).await.is_ok() {
                    fetcher.reach.found();
                }
            });
        }
        fetcher.reach.is_there()
    }

    /// On whose behalf the client's keys are fetched, for an assertion that came from this address.
    pub async fn origin(&self, client: &Client, peer: IpAddr) -> Result<FetchOrigin, StoreError> {
        let in_use = match client.source {
            ClientSource::Configured => true,
            ClientSource::Registered => client.last_used_at.is_some(),
            ClientSource::MetadataDocument => self.is_in_use(&client.id).await?,
        };
        Ok(FetchOrigin { address: AddressBlock::of(peer), in_use })
    }

    /// Does the client have a live grant?
    async fn is_in_use(&self, id: &ClientId) -> Result<bool, StoreError> {
        Ok(!self.inner.grants.list_grants(&GrantsOf::Client(id.clone()), 1).await?.is_empty())
    }

    /// What to call the client in a list; nothing is fetched for it.
    pub async fn name(&self, id: &ClientId) -> Result<String, StoreError> {
        if let Some(client) = self.inner.configured.get(id) {
            return Ok(client.display_name().to_owned());
        }
        if let Ok(url) = DocumentUrl::parse(id.as_str()) {
            return Ok(url.host().to_owned());
        }
        let found = self.inner.store.find_client(id).await?;
        Ok(found.map_or_else(
            || "A removed application".to_owned(),
            |client| client.display_name().to_owned(),
        ))
    }
}
