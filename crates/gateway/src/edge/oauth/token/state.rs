//! What the token endpoint uses.

use std::sync::Arc;

use portunus_core::{
    Clock, Entropy,
    lifetimes::Lifetimes,
    oauth::token::Issuing,
    resource::Resources,
    store::{ClientStore, GrantStore, LoginStore},
};

use crate::{
    disabled::Disabled,
    edge::{oauth::support::client_gate::ClientGate, providers::Providers},
    groups::GroupReader,
};

#[derive(Clone)]
pub struct TokenState {
    pub gate: ClientGate,
    pub clients: Arc<dyn ClientStore>,
    pub logins: Arc<dyn LoginStore>,
    pub grants: Arc<dyn GrantStore>,
    pub resources: Arc<Resources>,
    pub providers: Providers,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub lifetimes: Lifetimes,
    pub disabled: Disabled,
    /// Reads people anew before they get tokens.
    pub reader: GroupReader,
}

impl TokenState {
    pub(super) fn issuing(&self) -> Issuing<'_> {
        Issuing { now: self.clock.now(), lifetimes: &self.lifetimes, entropy: &*self.entropy }
    }
}
