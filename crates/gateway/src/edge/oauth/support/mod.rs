//! What endpoints of `edge::oauth` share, and no endpoint itself: their clients
//! ([`client_directory`], [`client_gate`], [`assertions`]), their answers ([`answers`]), and the
//! steps of a sign-in that more than one of them takes ([`transactions`], [`provider_requests`],
//! [`consent_page`], [`admission`]).

pub mod admission;
pub mod answers;
pub mod assertions;
pub mod client_directory;
pub mod client_gate;
pub mod consent_page;
pub mod provider_requests;
pub mod transactions;
