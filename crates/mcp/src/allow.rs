//! What the caller may use, decided elsewhere: lists are filtered, and calls guarded, by the same predicate (threat 32).

use portunus_core::ids::ServerName;

/// A predicate over one caller's request. It must answer quickly: it is asked once for each listed item.
pub trait Allow: Send + Sync {
    /// May the caller know that this server exists?
    fn server(&self, server: &ServerName) -> bool;
    /// `name` is the server's own name of the tool, without our prefix.
    fn tool(&self, server: &ServerName, name: &str) -> bool;
    fn prompt(&self, server: &ServerName, name: &str) -> bool;
    fn resource(&self, server: &ServerName, uri: &str) -> bool;
}

/// Everything is allowed.
#[derive(Clone, Copy, Debug)]
pub struct AllowAll;

impl Allow for AllowAll {
    fn server(&self, _: &ServerName) -> bool {
        true
    }
    fn tool(&self, _: &ServerName, _: &str) -> bool {
        true
    }
    fn prompt(&self, _: &ServerName, _: &str) -> bool {
        true
    }
    fn resource(&self, _: &ServerName, _: &str) -> bool {
        true
    }
}
