//! Text that others chose, made fit to show (threat 13): [`Label`] for names, [`UrlText`] for addresses. Templates escape both.

use std::fmt;

use crate::edge::percent;

/// The most characters of a name that a page shows.
const LABEL_CHARS: usize = 80;

/// A name somebody else chose: one line, at most 80 characters, without the invisible ones that reorder or hide its neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    pub fn new(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len().min(LABEL_CHARS * 4));
        let mut count = 0;
        let mut marks = 0;
        for c in text.trim().chars().filter(|c| !is_invisible(*c)) {
            let c = if c.is_whitespace() { ' ' } else { c };
            if c == ' ' && shown.ends_with(' ') {
                continue;
            }
            marks = if is_combining(c) { marks + 1 } else { 0 };
            if marks > MARKS_PER_CHAR {
                continue;
            }
            if count == LABEL_CHARS {
                shown.push('…');
                break;
            }
            shown.push(c);
            count += 1;
        }
        Self(shown.trim_end().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many combining marks may sit on one character: enough for every living script, too few to paint over the next line.
const MARKS_PER_CHAR: usize = 3;

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Controls (but white space, which becomes a space), bidirectional controls, zero-width and tag characters, separators,
/// interlinear annotation, unassigned specials, private use.
fn is_invisible(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}')
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&String> for Label {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address, whole: what is not visible ASCII is percent-encoded, so that nothing in it can look like something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlText(String);

impl UrlText {
    pub fn new(text: &str) -> Self {
        Self(percent::encode(text, |byte| byte.is_ascii_graphic()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UrlText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for UrlText {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&String> for UrlText {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_cannot_be_seen() {
        let cases = [
            ("Cursor", "Cursor"),
            ("  Claude \n\t Code ", "Claude Code"),
            ("abc\u{202E}fdp.exe", "abcfdp.exe"),
            ("\u{2066}Okta\u{2069}", "Okta"),
            ("Ok\u{200B}ta\u{FEFF}\u{AD}", "Okta"),
            ("a\0b\u{7}c\u{1B}[31m", "abc[31m"),
            ("line\u{2028}two", "line two"),
            ("tag\u{E0041}ged", "tagged"),
            ("\u{3164}\u{200D}", ""),
            ("Zürich 東京 שלום", "Zürich 東京 שלום"),
        ];
        for (text, expected) in cases {
            assert_eq!(Label::new(text).as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_cut_and_marks_thinned() {
        let long = Label::new(&"x".repeat(10_000));
        assert_eq!(long.as_str().chars().count(), LABEL_CHARS + 1);
        assert!(long.as_str().ends_with('…'));
        assert_eq!(Label::new(&"x".repeat(LABEL_CHARS)).as_str(), "x".repeat(LABEL_CHARS));
        let stacked = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(Label::new(&stacked).as_str(), "a\u{301}\u{301}\u{301}b");
    }

    #[test]
    fn addresses_are_ascii() {
        assert_eq!(UrlText::new("https://a.example/cb?x=1&y=%20").as_str(), "https://a.example/cb?x=1&y=%20");
        assert_eq!(UrlText::new("https://a/\u{202E}x é").as_str(), "https://a/%E2%80%AEx%20%C3%A9");
    }
}
