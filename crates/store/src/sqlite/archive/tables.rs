//! Which tables an archive has.

/// Every table of records.
pub(super) const TABLES: [&str; 18] = [
    "access_tokens",
    "refresh_families",
    "refresh_tokens",
    "codes",
    "grants",
    "logins",
    "users",
    "clients",
    "consents",
    "transactions",
    "legs",
    "assertions",
    "sessions",
    "tasks",
    "disabled",
    "provider_tokens",
    "audit_chains",
    "audit_records",
];
/// Nodes and homes go too when everything is replaced; what is in them is about gateways that are
/// gone.
pub(super) const MORE_TABLES: [&str; 3] = ["pins", "nodes", "homes"];
