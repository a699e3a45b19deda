//! The edge: everything that speaks HTTP to browsers and clients.

pub mod pages;
pub(crate) mod percent;
pub mod proxy;
