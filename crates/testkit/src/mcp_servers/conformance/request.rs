//! What a request says of its client: the era it belongs to, and what the client can do.

use rmcp::{RoleServer, model::ProtocolVersion, service::RequestContext};

use super::questions::Declared;

/// Whether a request belongs to the modern era.
pub(super) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// What the client said it can be asked for.
pub(super) fn declared_capabilities(context: &RequestContext<RoleServer>) -> Declared {
    let capabilities = context.client_capabilities().unwrap_or_default();
    let declared = [
        ("elicitation", capabilities.elicitation.is_some()),
        ("roots", capabilities.roots.is_some()),
        ("sampling", capabilities.sampling.is_some()),
    ];
    declared.into_iter().filter_map(|(name, is_declared)| is_declared.then_some(name)).collect()
}
