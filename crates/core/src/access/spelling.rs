//! The one spelling of a URI among those that a server may read alike (RFC 3986 section 6.2), for
//! rules that deny: what they name must not be reached by another spelling. What may lead somewhere
//! else altogether is refused by them anyway ([`super::schema`], `plain`).

use percent_encoding::percent_decode_str;

/// Scheme and authority in small letters, without escapes, without empty segments; a file of this
/// machine without its name.
pub(super) fn canonical(uri: &str) -> String {
    let decoded = percent_decode_str(uri).decode_utf8_lossy();
    let Some((scheme, rest)) = decoded.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
    else {
        return decoded.into_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let is_file = scheme == "file";
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            (Some(rest[..end].to_ascii_lowercase()), &rest[end..])
        }
        None => ((is_file && rest.starts_with('/')).then(String::new), rest),
    };
    let mut text = format!("{scheme}:");
    if let Some(authority) = authority {
        text.push_str("//");
        text.push_str(if is_file && authority == "localhost" { "" } else { &authority });
    }
    let mut is_slash = false;
    for char in path.chars() {
        if char != '/' || !is_slash {
            text.push(char);
        }
        is_slash = char == '/';
    }
    text
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t39_a_uri_has_one_spelling() {
        for (uri, expected) in [
            ("file:///secret/key", "file:///secret/key"),
            ("FILE:///secret/key", "file:///secret/key"),
            ("file://localhost/secret/key", "file:///secret/key"),
            ("file://LocalHost/secret/key", "file:///secret/key"),
            ("file:/secret/key", "file:///secret/key"),
            ("file:////secret//key", "file:///secret/key"),
            ("file:///%73ecret/ke%79", "file:///secret/key"),
            ("file:///My%20Secret", "file:///My Secret"),
            ("jira://ACME/Tickets/1", "jira://acme/Tickets/1"),
            ("jira://acme?q=A//B", "jira://acme?q=A/B"),
            ("memo:%zz%4", "memo:%zz%4"),
            ("greeting", "greeting"),
            ("%67reeting", "greeting"),
            ("caf%C3%A9", "café"),
            ("", ""),
        ] {
            assert_eq!(canonical(uri), expected, "{uri}");
        }
    }
}
