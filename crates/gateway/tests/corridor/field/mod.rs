//! What the field really does: browsers, clients, providers, servers and proxies as they are out there, each test named after its row in
//! docs/field.md.

mod browsers;
mod documents;
mod providers;
mod registered_anew;
mod streams;
