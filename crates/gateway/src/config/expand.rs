//! `${VAR}` and `${VAR:-default}` in the text values of `config.yaml` and `mcp.json`.

/// Why a text cannot be expanded. Says what to do; holds no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadReference {
    pub(super) found: String,
    pub(super) expected: String,
}

/// What a text is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// A reference that is no variable's: one of [`PERSONAL`], to be filled in later.
    Personal(&'static str),
}

/// References to the person whose child a server is. They have a meaning in `env` alone.
pub(super) const PERSONAL: [&str; 2] = ["user.sub", "user.email"];

/// Replaces each reference by its variable. `$${` stands for a literal `${`; any other dollar sign
/// for itself.
pub(super) fn expand<'a>(
    text: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> Result<String, BadReference> {
    let mut expanded = String::with_capacity(text.len());
    take_apart(text, variable, false, &mut |piece| {
        if let Piece::Text(text) = piece {
            expanded.push_str(&text);
        }
    })?;
    Ok(expanded)
}

/// The same for a text that may speak of a person.
pub(super) fn pieces<'a>(
    text: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<Piece>, BadReference> {
    let mut pieces = Vec::new();
    take_apart(text, variable, true, &mut |piece| match (pieces.last_mut(), piece) {
        (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
        (_, piece) => pieces.push(piece),
    })?;
    Ok(pieces)
}

fn take_apart<'a>(
    text: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
    may_be_personal: bool,
    found: &mut dyn FnMut(Piece),
) -> Result<(), BadReference> {
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            found(Piece::Text(format!("{before}${{")));
            rest = &reference[2..];
            continue;
        }
        found(Piece::Text(before.to_owned()));
        let (inside, after) = reference[2..].split_once('}').ok_or_else(|| BadReference {
            found: "a `${` that is never closed".to_owned(),
            expected: "`${NAME}`, or `$${` for a literal `${`".to_owned(),
        })?;
        match PERSONAL.into_iter().find(|name| *name == inside) {
            Some(name) if may_be_personal => found(Piece::Personal(name)),
            _ => found(Piece::Text(value(inside, &variable)?.to_owned())),
        }
        rest = after;
    }
    found(Piece::Text(rest.to_owned()));
    Ok(())
}

/// What a reference to a variable comes to.
fn value<'a, 'b: 'a>(
    inside: &'a str,
    variable: &impl Fn(&str) -> Option<&'b str>,
) -> Result<&'a str, BadReference> {
    let (name, default) =
        inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
    // As VS Code, Cursor and others write it (FB52).
    let name = name.strip_prefix("env:").unwrap_or(name);
    if !is_name(name) {
        let expected = if name.starts_with("user.") {
            "`${user.sub}` or `${user.email}`, in a value of a server's `env`, and without a default: they have no meaning elsewhere"
        } else {
            "a reference to an environment variable: `${NAME}` or `${NAME:-default}`; nothing else is expanded here"
        };
        return Err(BadReference {
            found: format!("`${{{name}}}`"),
            expected: expected.to_owned(),
        });
    }
    match (variable(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default),
        (None, None) => Err(BadReference {
            found: format!("`${{{name}}}`, and no variable of that name"),
            expected: format!(
                "set {name} in the environment or in .env, or give a default: `${{{name}:-…}}`"
            ),
        }),
    }
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

    #[test]
    fn references_to_a_person() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let cases = [
            ("${user.sub}", Ok(vec![text(""), Piece::Personal("user.sub"), text("")])),
            (
                "${A}:${user.email}/${A}",
                Ok(vec![text("one:"), Piece::Personal("user.email"), text("/one")]),
            ),
            ("$${user.sub}", Ok(vec![text("${user.sub}")])),
            ("${user.name}", Err("`${user.name}`")),
            ("${user.email:-nobody}", Err("`${user.email}`")),
        ];
        for (written, expected) in cases {
            assert_eq!(
                pieces(written, variable).map_err(|bad| bad.found),
                expected.map_err(str::to_owned),
                "{written}"
            );
        }
        let bad = expand("${user.sub}", variable).unwrap_err();
        assert!(bad.expected.contains("a server's `env`"), "{bad:?}");
    }
}
