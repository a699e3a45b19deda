//! Section: how closely the tools of servers are watched (threat 45): `pinning` of `config.yaml`
//! for all, of `mcp.json` for one.

use std::collections::BTreeMap;

use portunus_core::{ids::ServerName, pins::Pinning};

use super::{
    inputs::{Inputs, Written},
    log::not_one_of,
    mistake::Report,
    tables,
};

/// One setting for all servers, and those of servers that have one of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinningRules {
    pub general: Pinning,
    pub own: BTreeMap<ServerName, Pinning>,
}

impl PinningRules {
    pub fn of(&self, server: &ServerName) -> Pinning {
        self.own.get(server).copied().unwrap_or(self.general)
    }
}

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    own: BTreeMap<ServerName, Pinning>,
    report: &mut Report,
) -> PinningRules {
    let general = inputs.setting("pinning", report).and_then(|written| parse(written, report));
    PinningRules { general: general.unwrap_or_default(), own }
}

pub(super) fn parse(written: Written, report: &mut Report) -> Option<Pinning> {
    match written.text.as_str() {
        "off" => Some(Pinning::Off),
        "warn" => Some(Pinning::Warn),
        "enforce" => Some(Pinning::Enforce),
        _ => {
            not_one_of(tables::PINNINGS, written, report);
            None
        }
    }
}
