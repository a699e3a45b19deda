//! Reads `WWW-Authenticate` (RFC 9110 section 11.6.1) for its Bearer challenge (RFC 6750 section 3,
//! RFC 9728 section 5.1).

/// What a Bearer challenge says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    pub resource_metadata: Option<String>,
    pub scope: Option<String>,
    pub error: Option<String>,
}

impl Challenge {
    /// More scopes are needed (RFC 6750 section 3.1).
    pub fn is_insufficient_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    fn take(&mut self, name: &str, value: String) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => &mut self.resource_metadata,
            "scope" => &mut self.scope,
            "error" => &mut self.error,
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(value);
        }
    }
}

/// The Bearer challenge among the values of the header: the first that names metadata, else the
/// first. `None` when there is none.
pub fn bearer<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut found = Vec::new();
    for value in values {
        read(value, &mut found);
    }
    let named = found.iter().position(|challenge| challenge.resource_metadata.is_some());
    (!found.is_empty()).then(|| found.swap_remove(named.unwrap_or(0)))
}

fn read(value: &str, found: &mut Vec<Challenge>) {
    let mut rest = value;
    let mut is_bearer = false;
    let mut has_scheme = false;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some(first) = rest.chars().next() else { return };
        let (word, after) = token(rest);
        if word.is_empty() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let parameter = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        if let Some(text) = parameter.filter(|_| has_scheme) {
            let (text, end) = parameter_value(text.trim_start_matches([' ', '\t']));
            rest = end;
            if let Some(challenge) = found.last_mut().filter(|_| is_bearer) {
                challenge.take(word, text);
            }
        } else {
            has_scheme = true;
            is_bearer = word.eq_ignore_ascii_case("bearer");
            if is_bearer {
                found.push(Challenge::default());
            }
            rest = after;
        }
    }
}

/// RFC 9110 section 5.6.2.
fn token(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

/// A token or a quoted string. What servers leave unquoted, such as a URL, ends at a comma.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(metadata: &str, scope: &str, error: &str) -> Challenge {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Challenge { resource_metadata: some(metadata), scope: some(scope), error: some(error) }
    }

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let cases = [
            ("Bearer", Some(challenge("", "", ""))),
            ("bearer realm=\"x\"", Some(challenge("", "", ""))),
            (
                "Bearer resource_metadata=\"https://h/m\", scope=\"a b\"",
                Some(challenge("https://h/m", "a b", "")),
            ),
            (
                "Bearer resource_metadata=https://h/m?x=1,scope=a",
                Some(challenge("https://h/m?x=1", "a", "")),
            ),
            ("Basic realm=\"a, Bearer scope=b\"", None),
            (
                "Negotiate abc==, Bearer error=\"insufficient_scope\"",
                Some(challenge("", "", "insufficient_scope")),
            ),
            (
                "Bearer scope=a, DPoP scope=b, Bearer resource_metadata=\"m\"",
                Some(challenge("m", "", "")),
            ),
            (
                "Bearer error=\"a \\\"quoted\\\" word\", error=two",
                Some(challenge("", "", "a \"quoted\" word")),
            ),
            ("Bearer scope=\"never closed", Some(challenge("", "never closed", ""))),
            ("é, =, \"", None),
        ];
        for (value, expected) in cases {
            assert_eq!(bearer([value]), expected, "{value}");
        }
        assert_eq!(bearer(["Basic x", "Bearer scope=s"]), Some(challenge("", "s", "")));
        assert_eq!(bearer([]), None);
    }
}
