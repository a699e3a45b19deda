//! The configuration: `mcp.json`, `config.yaml`, `.env` and the environment, read as written, then
//! resolved into one typed and checked [`Config`]. Every mistake of a reading is reported at once
//! ([`Mistakes`]). What the settings mean to a person is described in `docs/configuration.md`.

mod access;
mod access_rules;
mod allow;
mod audit;
mod audit_targets;
mod auth_secret;
mod call_limits;
mod check;
mod cidr;
mod client;
mod clients;
mod cluster;
mod dialects;
mod document;
mod dotenv;
mod environment;
mod expand;
mod inputs;
mod issuer;
mod json;
mod lifetimes;
mod limits;
mod load;
mod log;
mod machine;
mod members;
mod metrics;
mod mistake;
mod mounts;
mod names;
mod pinning;
mod placeholder;
mod provider;
mod provider_name;
mod providers;
mod proxies;
mod sandbox;
mod schema;
mod scopes;
mod server;
mod servers;
mod settings;
mod sources;
mod stopping;
mod store;
mod suggest;

#[cfg(test)]
mod tests;
mod tls;
mod unknown_keys;
mod watched_files;
mod yaml;

pub use self::{
    access::{ReadFile, Writable},
    audit::{AuditConfig, OnFull, SinkTarget},
    audit_targets::{OtlpConfig, SyslogConfig, SyslogTls},
    cidr::{BadCidr, Cidr},
    clients::ClientsConfig,
    cluster::ClusterConfig,
    limits::{Limits, Rate},
    load::{Inspected, Loaded},
    log::{LogFormat, LogSettings},
    machine::{Machine, ThisMachine},
    metrics::MetricsConfig,
    mistake::{Mistake, Mistakes, Warning, Where},
    names::Names,
    pinning::PinningRules,
    provider::ProviderConfig,
    proxies::{OWN_PATHS, ProxyRoute},
    schema::{config_schema, mcp_schema},
    settings::{Config, Difference},
    sources::{ConfigArgs, Disk, Files, Sources},
    store::StoreConfig,
    tls::{Authorities, TlsConfig},
    watched_files::WatchedFiles,
};
