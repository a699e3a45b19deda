//! Names on the endpoint that shows all servers: `{server}_{name}`, and back. Server names may have
//! `_` themselves, so a name can begin with several of them: the longest server name wins, unless
//! that server has no such thing.

use portunus_core::ids::ServerName;

use crate::registry::kind::Kind;

/// What stands before a server's names.
pub(crate) fn prefix(server: &ServerName) -> String {
    format!("{server}_")
}

/// What is left of `full` when it is one of `server`'s.
pub(crate) fn strip<'a>(server: &ServerName, full: &'a str) -> Option<&'a str> {
    full.strip_prefix(server.as_str())?.strip_prefix('_')
}

/// The servers that `full` may belong to with what it is called there, longest server name first.
pub(crate) fn candidates<'a>(
    servers: &'a [ServerName],
    full: &'a str,
) -> Vec<(&'a ServerName, &'a str)> {
    let mut found: Vec<_> = servers
        .iter()
        .filter_map(|server| strip(server, full).map(|name| (server, name)))
        .collect();
    found.sort_by_key(|(server, _)| std::cmp::Reverse(server.as_str().len()));
    found
}

/// What is said of a name that several servers offer.
pub(crate) fn clash(kind: Kind, name: &str, servers: &[&ServerName]) -> String {
    let servers = servers.iter().map(|server| server.as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "The {} `{name}` is offered by several servers ({servers}) and cannot be used here: use `/mcp/{{server}}`, or let the \
         gateway prefix names (`names: prefixed`)",
        kind.word()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Vec<ServerName> {
        names.iter().map(|name| ServerName::parse(name).unwrap()).collect()
    }

    #[test]
    fn the_longest_server_name_comes_first() {
        let servers = servers(&["a", "a_b", "b"]);
        let found: Vec<_> = candidates(&servers, "a_b_c")
            .into_iter()
            .map(|(server, name)| (server.as_str(), name))
            .collect();
        assert_eq!(found, [("a_b", "c"), ("a", "b_c")]);
        assert!(candidates(&servers, "a").is_empty());
        assert!(candidates(&servers, "ab_c").is_empty());
        assert_eq!(candidates(&servers, "a_").len(), 1);
    }
}
