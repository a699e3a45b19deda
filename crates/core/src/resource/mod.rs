//! Where tokens may be used: the gateway's public URL (`public_url`), and the resources (RFC 8707,
//! RFC 9728) below it: one (`identifier`), several at once (`set`), what stands behind one
//! (`target`), and all there are (`resources`). Redirect URIs, which are the clients' URLs, live in
//! [`crate::redirect`].

mod identifier;
mod public_url;
mod resources;
mod set;
pub(crate) mod target;

pub use self::{
    identifier::{Resource, ResourceAddress},
    public_url::{BadPublicUrl, PublicUrl},
    resources::{Resources, UnknownResource},
    set::ResourceSet,
    target::Target,
};
