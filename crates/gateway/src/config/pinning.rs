//! Section: how closely the tools of servers are watched (threat 45): `pinning` of `config.yaml`
//! for all, of `mcp.json` for one.

use std::collections::BTreeMap;

use portunus_core::{
    ids::ServerName,
    pins::{PINNING as FORM, Pinning},
    settings::{Reader as _, Setting, Settings as _},
};
use portunus_mcp::spec::ServerSpec;

use super::{document::Item, inputs::Inputs, mistake::Report};

/// For all servers.
pub(super) const PINNING: Setting = Setting::new(
    "pinning",
    FORM.value_type(),
    "What happens to tools that change: held until approved (enforce, the default), told of in the log (warn), nothing (off)",
).details("See [Tools that change](#tools-that-change)");

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
    let general = inputs.section("", report).read(&PINNING, &FORM);
    PinningRules { general: general.unwrap_or_default(), own }
}

/// Of one server, by its entry in `mcp.json`.
pub(super) fn of_server<'a>(
    inputs: &'a Inputs<'_>,
    item: &Item<'a>,
    report: &mut Report,
) -> Option<Pinning> {
    let setting = ServerSpec::SECTION.find("pinning")?;
    inputs.item(item, report).read(setting, &FORM)
}
