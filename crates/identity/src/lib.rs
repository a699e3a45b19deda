//! Where people sign in. [`provider`] is the port; the providers behind it are made from [`settings`].

pub mod provider;
pub mod settings;
