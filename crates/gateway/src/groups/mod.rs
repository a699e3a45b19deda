//! Groups stay true: people are read anew at their provider while they are away, with the refresh
//! token of their sign-in. [`reader`] does it; [`places`] says how much each provider may be asked.
//! The rule of when is `portunus_core::provider_token`, the request itself `portunus-identity`'s.
//! What people may do with their groups is decided where it always is: a person who is described
//! otherwise than before is told to all gateways by the store.

mod places;
mod reader;
#[cfg(test)]
mod tests;
mod told;

pub use self::{
    places::ProviderPlaces,
    reader::{GroupReader, Parts as ReaderParts},
    told::told,
};
