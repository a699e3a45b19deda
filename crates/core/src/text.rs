//! Text that strangers chose, made fit to show to a person (threats 13, 64): [`Label`] for names,
//! [`Sentence`] for what is said around them, [`visible`],
//! [`visible_lines`] and [`escaped_json`] for terminals. None of them can hold a
//! character that hides, reorders or steers what stands beside it. Pages escape them; addresses are
//! the gateway's `UrlText`.

use std::fmt::{self, Write as _};

/// The most characters of a name that are shown.
const LABEL_CHARS: usize = 80;
/// The most characters of a sentence that are shown.
const SENTENCE_CHARS: usize = 1000;
/// How many combining marks may sit on one character: enough for every living script, too few to
/// paint over the next line.
const MARKS_PER_CHAR: usize = 3;

/// A name that a stranger chose: one line, at most 80 characters, all of them visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(String);

/// One paragraph, which may quote a stranger: at most 1000 characters, all of them visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence(String);

macro_rules! shown_text {
    ($name:ident, $limit:expr) => {
        impl $name {
            pub fn new(text: &str) -> Self {
                Self(shown(text, $limit))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(&text)
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

shown_text!(Label, LABEL_CHARS);
shown_text!(Sentence, SENTENCE_CHARS);

fn shown(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit * 4));
    let mut count = 0;
    let mut marks = 0;
    for c in text.trim().chars().filter(|c| !is_invisible(*c)) {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        marks = if is_combining(c) { marks + 1 } else { 0 };
        if marks > MARKS_PER_CHAR {
            continue;
        }
        if count == limit {
            shown.push('…');
            break;
        }
        shown.push(c);
        count += 1;
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// The text on one line of a terminal: what cannot be seen, and what would steer the terminal,
/// stands there as a replacement character.
pub fn visible(text: &str) -> String {
    let replaced = |c: char| {
        if c.is_control() || is_invisible(c) || is_line_separator(c) { '\u{fffd}' } else { c }
    };
    text.chars().map(replaced).collect()
}

/// Do the laxest parsers take this key of JSON for the other one (CVE-2026-27896)? They compare
/// without case, beyond ASCII too: the long s is an s, the Kelvin sign a k.
pub fn is_key_like(key: &str, known: &str) -> bool {
    if key.is_ascii() && known.is_ascii() {
        return key.eq_ignore_ascii_case(known);
    }
    let fold = |c: char| c.to_lowercase().flat_map(char::to_uppercase);
    key.chars().flat_map(fold).eq(known.chars().flat_map(fold))
}

/// The same for a text of several lines: line ends and tabs stay.
pub fn visible_lines(text: &str) -> String {
    let kept = |c: char| matches!(c, '\n' | '\t');
    text.split_inclusive(kept)
        .map(|part| match part.strip_suffix(kept) {
            Some(before) => format!("{}{}", visible(before), &part[before.len()..]),
            None => visible(part),
        })
        .collect()
}

/// A JSON text in which what [`visible`] would replace is escaped: a terminal shows it harmlessly,
/// and a parser reads the same. Of JSON such characters stand in strings alone; controls below
/// U+0020 are no JSON there, and are left to who reads it.
pub fn escaped_json(text: String) -> String {
    // Folded, not searched: that is some hundred instructions for a record.
    let highest = text.bytes().fold(0, u8::max);
    let is_harmful =
        |c: char| c >= '\u{7f}' && (c.is_control() || is_invisible(c) || is_line_separator(c));
    if highest < 0x7f || !text.contains(is_harmful) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 32);
    for c in text.chars() {
        if is_harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Ends a line for some programs, and for others does not.
pub fn is_line_separator(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Controls (but white space), bidirectional controls, zero-width, filling and tag characters,
/// blanks that are no white space, interlinear annotation, unassigned specials, private use.
pub fn is_invisible(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{13430}'..='\u{1343F}' | '\u{16FE4}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t64_names_lose_what_cannot_be_seen() {
        let cases = [
            ("Cursor", "Cursor"),
            ("  Claude \n\t Code ", "Claude Code"),
            ("abc\u{202E}fdp.exe", "abcfdp.exe"),
            ("\u{2066}Okta\u{2069}", "Okta"),
            ("Ok\u{200B}ta\u{FEFF}\u{AD}", "Okta"),
            ("\u{61C}\u{200E}\u{200F}a", "a"),
            ("a\0b\u{7}c\u{1B}[31m", "abc[31m"),
            ("a\u{9B}31mb\u{90}c", "a31mbc"),
            ("line\u{2028}two\u{2029}three\u{85}four", "line two three four"),
            ("tag\u{E0041}ged", "tagged"),
            ("\u{3164}\u{200D}\u{2800}\u{FFA0}\u{115F}", ""),
            ("\u{200B} \u{200B}x", "x"),
            ("a\u{E000}\u{10FFFD}\u{FFFB}b", "ab"),
            ("Zürich 東京 שלום", "Zürich 東京 שלום"),
        ];
        for (text, expected) in cases {
            assert_eq!(Label::new(text).as_str(), expected, "{text:?}");
            assert_eq!(Sentence::new(text).as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn t64_a_terminal_is_not_steered_and_keeps_its_lines() {
        let hostile = "a\u{1b}[2Jb\u{202e}c\u{9b}d\u{200b}e\r\nf\u{2028}g\u{e0041}h";
        let shown = visible(hostile);
        assert!(
            shown.chars().all(|c| !c.is_control() && !is_invisible(c) && !is_line_separator(c)),
            "{shown:?}"
        );
        assert_eq!(
            shown.chars().count(),
            hostile.chars().count(),
            "each is seen to have been there"
        );
        assert_eq!(visible("Zürich 東京"), "Zürich 東京");
        let lines = "\ta\n\n\u{1b}b\r\n\u{202e}\tc";
        assert_eq!(visible_lines(lines), "\ta\n\n\u{fffd}b\u{fffd}\n\u{fffd}\tc");
    }

    #[test]
    fn t64_json_is_shown_harmlessly_and_says_the_same() {
        let said = "a\u{7f}b\u{9b}2Jc\u{202e}d\u{2028}e\u{e0041}f\u{85}g\u{1b}h Zürich 東京";
        let shown = escaped_json(serde_json::to_string(said).unwrap());
        assert!(
            shown.chars().all(|c| !c.is_control() && !is_invisible(c) && !is_line_separator(c)),
            "{shown:?}"
        );
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), said);
        assert!(shown.contains("\\udb40\\udc41") && shown.contains("Zürich"), "{shown}");
        assert_eq!(escaped_json("{}".to_owned()), "{}");
    }

    #[test]
    fn names_are_cut_and_marks_thinned() {
        let long = Label::new(&"x".repeat(10_000));
        assert_eq!(long.as_str().chars().count(), LABEL_CHARS + 1);
        assert!(long.as_str().ends_with('…'));
        assert_eq!(Label::new(&"x".repeat(LABEL_CHARS)).as_str(), "x".repeat(LABEL_CHARS));
        let stacked = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(Label::new(&stacked).as_str(), "a\u{301}\u{301}\u{301}b");
        assert_eq!(Sentence::new(&"x".repeat(5000)).as_str().chars().count(), SENTENCE_CHARS + 1);
    }
}
