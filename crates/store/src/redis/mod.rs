//! The store that several gateways share: Redis or Valkey, a single server, behind Sentinel, or a
//! Cluster. [`address`] reads where it is, [`connection`] reaches it, [`keys`] names everything in
//! it, [`script`] and `scripts/` are its atomic steps, [`epochs`] revoke across slots, and one file
//! for each port says what is written and read. Why it is laid out like this is told in
//! `docs/decisions/0035-the-redis-store.md`.

mod address;
mod archive;
mod assertions;
mod audit;
mod clients;
mod connection;
mod consents;
mod database;
mod dial;
mod disabled;
mod durability;
mod epochs;
mod failure;
mod families;
mod grants;
mod grants_of;
mod inspection;
mod invalidations;
mod key_check;
mod keys;
mod logins;
mod nodes;
mod open;
mod open_error;
mod pins;
mod provider_tokens;
mod scan;
mod script;
mod sessions;
mod tasks;
mod tokens;
mod transactions;
mod upkeep;

pub use self::{
    address::{AddressError, RedisAddress, Topology},
    inspection::{inspect, look},
    open::{RedisOptions, open, open_to_import},
    open_error::OpenError,
};
