//! `${VAR}` and `${VAR:-default}` in the text values of `config.yaml` and `mcp.json`.

/// Why a text cannot be expanded. Says what to do; holds no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadReference {
    pub(super) found: String,
    pub(super) expected: String,
}

/// Replaces each reference by its variable. `$${` stands for a literal `${`; any other dollar sign for itself.
pub(super) fn expand<'a>(text: &str, variable: impl Fn(&str) -> Option<&'a str>) -> Result<String, BadReference> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &reference[2..];
            continue;
        }
        expanded.push_str(before);
        let (inside, after) = reference[2..].split_once('}').ok_or_else(|| BadReference {
            found: "a `${` that is never closed".to_owned(),
            expected: "`${NAME}`, or `$${` for a literal `${`".to_owned(),
        })?;
        let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            return Err(BadReference {
                found: format!("`${{{name}}}`"),
                expected:
                    "a reference to an environment variable: `${NAME}` or `${NAME:-default}`; nothing else is expanded here"
                        .to_owned(),
            });
        }
        let value = match (variable(name), default) {
            (Some(value), None) => value,
            (Some(value), Some(_)) if !value.is_empty() => value,
            (_, Some(default)) => default,
            (None, None) => {
                return Err(BadReference {
                    found: format!("`${{{name}}}`, and no variable of that name"),
                    expected: format!("set {name} in the environment or in .env, or give a default: `${{{name}:-…}}`"),
                });
            }
        };
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<&'static str> {
        match name {
            "A" => Some("one"),
            "EMPTY" => Some(""),
            "TRICK" => Some("${A}"),
            _ => None,
        }
    }

    #[test]
    fn references() {
        let cases = [
            ("plain $HOME $", Ok("plain $HOME $")),
            ("${A}", Ok("one")),
            ("x${A}y${A}", Ok("xoneyone")),
            ("${B:-two}", Ok("two")),
            ("${A:-two}", Ok("one")),
            ("${EMPTY:-two}", Ok("two")),
            ("${EMPTY}", Ok("")),
            ("${B:-}", Ok("")),
            ("$${A}", Ok("${A}")),
            ("${TRICK}", Ok("${A}")),
            ("${B}", Err("`${B}`, and no variable of that name")),
            ("${input:token}", Err("`${input:token}`")),
            ("${", Err("a `${` that is never closed")),
            ("${}", Err("`${}`")),
        ];
        for (text, expected) in cases {
            let found = expand(text, variable).map_err(|bad| bad.found);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
