//! Where Portunus keeps things, behind the ports of [`portunus_core::store`]. [`sqlite`] is the
//! store of one machine, [`seal`] encrypts what must be readable again, [`backup`] is everything in
//! a file, and [`inspection`] is what is found when a store is looked through, and [`conformance`]
//! is the one suite every store has to pass.

pub mod backup;
pub mod conformance;
pub mod inspection;
mod record;
pub mod redis;
pub mod seal;
pub mod sqlite;
