//! Which scopes a client asks for (MCP, authorization, "Scope Selection Strategy" and "Step-Up
//! Authorization Flow").

/// Names the refresh token in OpenID Connect Core 1.0 section 11.
const OFFLINE: &str = "offline_access";
const MAX: usize = 4096;

/// What is known when a person is about to be asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// By the person who configured the client.
    pub configured: Option<&'a str>,
    /// By the challenge.
    pub challenged: Option<&'a str>,
    /// By the metadata of the resource.
    pub of_resource: Option<&'a [String]>,
    /// By the metadata of the authorization server.
    pub of_server: Option<&'a [String]>,
    /// What was asked for before, at the same server for the same resource.
    pub before: Option<&'a str>,
}

/// The value of `scope`; `None`: the parameter is left out.
pub fn wanted(known: Known<'_>) -> Option<String> {
    let mut scopes = Vec::new();
    match known.configured.or(known.challenged) {
        Some(text) => add(&mut scopes, text.split(' ')),
        None => add(&mut scopes, known.of_resource.unwrap_or_default().iter().map(String::as_str)),
    }
    if let Some(challenged) = known.challenged {
        add(&mut scopes, challenged.split(' '));
    }
    if let Some(before) = known.before {
        add(&mut scopes, before.split(' '));
    }
    let offers_offline = known.of_server.is_some_and(|all| all.iter().any(|one| one == OFFLINE));
    if !scopes.is_empty() && offers_offline {
        add(&mut scopes, [OFFLINE].into_iter());
    }
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// Does `held` hold every scope of `needed`?
pub fn holds(held: &str, needed: &str) -> bool {
    needed.split(' ').filter(|one| !one.is_empty()).all(|one| held.split(' ').any(|is| is == one))
}

fn add<'a>(scopes: &mut Vec<&'a str>, more: impl Iterator<Item = &'a str>) {
    for scope in more {
        // RFC 6749 section 3.3.
        let is_token = scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        let length: usize = scopes.iter().map(|scope| scope.len() + 1).sum();
        if !scope.is_empty() && is_token && !scopes.contains(&scope) && length + scope.len() < MAX {
            scopes.push(scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_that_were_asked_for_and_no_more() {
        let resource = ["r1".to_owned(), "r2".to_owned()];
        let server = ["x".to_owned(), "offline_access".to_owned()];
        let base = Known { of_resource: Some(&resource), ..Known::default() };
        for (known, expected) in [
            (Known::default(), None),
            (Known { of_server: Some(&server), ..Known::default() }, None),
            (base, Some("r1 r2")),
            (Known { of_server: Some(&server), ..base }, Some("r1 r2 offline_access")),
            (Known { challenged: Some("c1 c2"), ..base }, Some("c1 c2")),
            (Known { challenged: Some("c1"), before: Some("b c1"), ..base }, Some("c1 b")),
            (Known { configured: Some("own"), ..base }, Some("own")),
            (Known { configured: Some("own"), challenged: Some("c1"), ..base }, Some("own c1")),
            (Known { challenged: Some("a\u{7f} \"b a  a"), ..base }, Some("a")),
        ] {
            assert_eq!(wanted(known).as_deref(), expected, "{known:?}");
        }
        assert!(holds("a b", "b") && holds("a", "") && !holds("a b", "b c") && !holds("ab", "a"));
    }
}
