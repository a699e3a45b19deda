//! The one spelling of a URI among those that a server may read alike (RFC 3986 section 6.2), for
//! rules that deny: what they name must not be reached by another spelling. What may lead somewhere
//! else altogether is refused by them anyway ([`super::schema`], `plain`).

/// Scheme and authority in small letters, without escapes, without empty segments; a file of this
/// machine without its name.
pub(super) fn canonical(uri: &str) -> String {
    let decoded = decoded(uri);
    let Some((scheme, rest)) = decoded.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
    else {
        return decoded;
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

/// Without escapes: what is no UTF-8 then is no name of anything that a rule could mean.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.first_chunk::<2>().filter(|_| first == b'%');
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(digits) = digits {
            bytes.push(u8::from_str_radix(digits, 16).unwrap_or(b'%'));
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
