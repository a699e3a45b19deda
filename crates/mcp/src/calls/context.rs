//! What the calls of all clients share.

use std::sync::Arc;

use portunus_core::entropy::Entropy;

use super::lanes::Lanes;
use crate::{
    connections::Connections, lists::Lists, registry::ServerRegistry,
    session::task_table::TaskTable, settings::HubSettings,
};

/// The owners that a call goes through on its way.
pub(crate) struct CallContext {
    pub(crate) registry: Arc<ServerRegistry>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) lists: Arc<Lists>,
    /// Whose each task is.
    pub(crate) tasks: Arc<TaskTable>,
    pub(crate) lanes: Lanes,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Arc<HubSettings>,
}
