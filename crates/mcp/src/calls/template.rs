//! Does a URI come from a URI template (RFC 6570)? Only to find the server that offers it: the
//! server itself decides whether the URI is a resource.

/// How much an expression may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    /// A plain `{name}` stands for something without a slash.
    Strict,
    /// Any expression stands for anything.
    Loose,
}

#[derive(Debug)]
enum Part<'a> {
    Literal(&'a str),
    Expression { slashes: bool },
}

/// Longer templates and URIs, and templates of more parts, match nothing.
const LONGEST: usize = 4096;
const MOST_PARTS: usize = 64;

pub(crate) fn matches(template: &str, uri: &str, how: Matching) -> bool {
    let begins = template.split('{').next().unwrap_or_default();
    if template.len() > LONGEST || uri.len() > LONGEST || !uri.starts_with(begins) {
        return false;
    }
    parts(template).is_some_and(|parts| parts.len() <= MOST_PARTS && fits(&parts, uri, how))
}

fn parts(template: &str) -> Option<Vec<Part<'_>>> {
    let (mut parts, mut rest) = (Vec::new(), template);
    while let Some(open) = rest.find('{') {
        let close = open + rest[open..].find('}')?;
        if open > 0 {
            parts.push(Part::Literal(&rest[..open]));
        }
        let inside = &rest[open + 1..close];
        let slashes = inside.starts_with(['+', '#', '/', ';', '?', '&']) || inside.contains('*');
        parts.push(Part::Expression { slashes });
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    Some(parts)
}

/// Keeps, part by part, all the places where the parts so far can end: no going back, so no
/// template is slow.
fn fits(parts: &[Part<'_>], uri: &str, how: Matching) -> bool {
    let bytes = uri.as_bytes();
    // `reached[i]`: the parts so far can stand for the first i bytes.
    let mut reached = vec![false; bytes.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; bytes.len() + 1];
        match part {
            Part::Literal(text) => {
                for start in (0..bytes.len()).filter(|start| reached[*start]) {
                    if bytes[start..].starts_with(text.as_bytes()) {
                        next[start + text.len()] = true;
                    }
                }
            }
            Part::Expression { slashes } => {
                let any = *slashes || how == Matching::Loose;
                // An expression with an operator may stand for nothing at all.
                let mut open = false;
                for at in 0..=bytes.len() {
                    next[at] = open || (any && reached[at]);
                    open = (open || reached[at]) && at < bytes.len() && (any || bytes[at] != b'/');
                }
            }
        }
        reached = next;
    }
    reached[bytes.len()]
}

#[cfg(test)]
mod tests {
    use super::{Matching::*, *};

    #[test]
    fn templates_are_recognised() {
        for (template, uri, how, expected) in [
            ("demo://text/{id}", "demo://text/7", Strict, true),
            ("demo://text/{id}", "demo://text/7/8", Strict, false),
            ("demo://text/{id}", "demo://text/7/8", Loose, true),
            ("demo://text/{id}", "demo://text/", Strict, false),
            ("demo://text/{id}", "demo://blob/7", Loose, false),
            ("file:///{+path}", "file:///a/b/c.txt", Strict, true),
            ("file:///{path*}", "file:///a/b", Strict, true),
            ("x:{a}-{b}.txt", "x:1-2-3.txt", Strict, true),
            ("x:{a}-{b}.txt", "x:1-2-3.md", Loose, false),
            ("q:search{?text,page}", "q:search", Strict, true),
            ("q:search{?text,page}", "q:search?text=a/b", Strict, true),
            ("a:{broken", "a:{broken", Loose, false),
            ("a:é{x}", "a:éü", Strict, true),
        ] {
            assert_eq!(matches(template, uri, how), expected, "{template} {uri} {how:?}");
        }
    }

    #[test]
    fn hostile_templates_cost_little() {
        assert!(matches(&"{a}".repeat(60), &"x".repeat(4000), Strict));
        assert!(!matches(&"{a}b".repeat(30), &"a".repeat(4000), Loose));
        assert!(!matches(&"{a}".repeat(1000), "x", Loose), "too many parts");
    }
}
