//! The Okta provider against the fake Okta, over real sockets on loopback.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod sign_in;
