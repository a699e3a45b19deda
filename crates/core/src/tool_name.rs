//! Names of tools and prompts that clients refuse (FB40). The protocol takes longer ones and other
//! characters (MCP 2025-11-25, tool names); the models' interfaces behind many clients do not, and
//! one such name costs all the tools beside it.

use std::fmt;

/// The longest name that all clients take, in characters.
pub const LONGEST: usize = 64;

/// Why a client may refuse a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It has this many characters.
    Long(usize),
    /// It has this one.
    Character(char),
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(length) => {
                write!(f, "{length} characters, and many clients take {LONGEST} at most")
            }
            Self::Character(character) => {
                write!(
                    f,
                    "{character:?} in it, and many clients take letters, digits, `_` and `-` alone"
                )
            }
        }
    }
}

/// What is odd about the name that these parts make together, if anything is.
pub fn oddity(parts: &[&str]) -> Option<Oddity> {
    let characters = || parts.iter().flat_map(|part| part.chars());
    let odd = characters()
        .find(|character| !character.is_ascii_alphanumeric() && !matches!(character, '_' | '-'));
    let length = characters().count();
    odd.map(Oddity::Character).or_else(|| (length > LONGEST).then_some(Oddity::Long(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb40_names_that_clients_refuse() {
        let long = "x".repeat(65);
        let cases = [
            ("github_create_issue", None),
            ("A-1_b", None),
            (&long[..64], None),
            (&long, Some(Oddity::Long(65))),
            ("a.b", Some(Oddity::Character('.'))),
            ("a/b", Some(Oddity::Character('/'))),
            ("a b", Some(Oddity::Character(' '))),
            ("grüße", Some(Oddity::Character('ü'))),
        ];
        for (name, expected) in cases {
            assert_eq!(oddity(&[name]), expected, "{name}");
        }
        assert_eq!(oddity(&["dice", "_", &long[..59]]), None);
        assert_eq!(oddity(&["dice", "_", &long[..60]]), Some(Oddity::Long(65)));
        for (server, tool) in [("a.b", "c"), ("a", "b.c")] {
            assert_eq!(oddity(&[server, "_", tool]), Some(Oddity::Character('.')));
        }
    }
}
