//! How something that a server describes changed, at a terminal: member by member, old above new.
//! What differs is `portunus_core::pins::difference`'s, which leaves nothing unseen and nothing
//! that steers the terminal.

use std::fmt::Write as _;

use portunus_core::pins::{
    Definition,
    difference::{Change, Difference, Line, between},
};

/// Characters shown of one text, and how many of them before the first that differs.
const SHORT: usize = 600;
const BEFORE: usize = 60;
/// Lines shown around those that differ.
const AROUND: usize = 2;

/// How much of a long text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excerpt {
    /// What differs, and a little around it.
    Short,
    Full,
}

pub(super) fn shown(old: Option<&Definition>, new: &Definition, excerpt: Excerpt) -> String {
    let mut text = String::new();
    for difference in between(old, new) {
        let _ = writeln!(text, "  {}", difference.path);
        if difference.lines.is_empty() {
            excerpt.write_whole(&difference, &mut text);
        } else {
            excerpt.write_lines(&difference.lines, &mut text);
        }
    }
    text
}

impl Excerpt {
    fn write_whole(self, difference: &Difference, text: &mut String) {
        let (old, new) = (difference.old.as_deref(), difference.new.as_deref());
        let start = old.zip(new).map_or(0, |(old, new)| alike(old, new).saturating_sub(BEFORE));
        for (sign, side) in [('-', old), ('+', new)] {
            if let Some(side) = side {
                let _ = writeln!(text, "    {sign} {}", self.of(side, start));
            }
        }
    }

    fn write_lines(self, lines: &[Line], text: &mut String) {
        let differs = |at: usize| lines.get(at).is_some_and(|line| line.change != Change::Same);
        let is_near = |at: usize| (at.saturating_sub(AROUND)..=at + AROUND).any(differs);
        let mut left_out = false;
        for (at, line) in lines.iter().enumerate() {
            if self == Self::Short && !is_near(at) {
                left_out = true;
                continue;
            }
            if std::mem::take(&mut left_out) {
                let _ = writeln!(text, "      …");
            }
            let sign = match line.change {
                Change::Same => ' ',
                Change::Removed => '-',
                Change::Added => '+',
            };
            let _ = writeln!(text, "    {sign} {}", self.of(&line.text, 0).trim_end());
        }
    }

    fn of(self, text: &str, start: usize) -> String {
        let length = text.chars().count();
        if self == Self::Full || length <= SHORT {
            return text.to_owned();
        }
        let part: String = text.chars().skip(start).take(SHORT).collect();
        let after = length.saturating_sub(start + SHORT);
        let before = if start > 0 { "…" } else { "" };
        let rest = if after > 0 {
            format!("… {after} characters more: --full shows them")
        } else {
            String::new()
        };
        format!("{before}{part}{rest}")
    }
}

/// How many characters both begin with.
fn alike(old: &str, new: &str) -> usize {
    old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use portunus_core::pins::{PinKind, SeenItem};
    use serde_json::{Value, json};

    use super::*;

    fn definition(tool: &Value) -> Definition {
        SeenItem::read(PinKind::Tool, tool.to_string().as_bytes()).unwrap().definition
    }

    #[test]
    fn members_that_differ_are_shown_old_above_new() {
        let old = json!({"name": "roll", "description": "Rolls", "inputSchema": {"properties": {"sides": {"type": "integer"}},
            "required": []}, "same": [1, {"a": null}]});
        let new = json!({"name": "roll", "description": "Rolls \"all\" it's", "inputSchema": {"properties": {"sides":
            {"type": "integer", "description": "x"}, "a.b": {}}, "required": ["sides"]}, "same": [1, {"a": null}]});
        let expected = r#"  description
    - "Rolls"
    + "Rolls \"all\" it's"
  inputSchema.properties."a.b"
    + {}
  inputSchema.properties.sides.description
    + "x"
  inputSchema.required
    - []
  inputSchema.required[0]
    + "sides"
"#;
        assert_eq!(shown(Some(&definition(&old)), &definition(&new), Excerpt::Short), expected);
        let alone = shown(None, &definition(&json!({"name": "roll"})), Excerpt::Short);
        assert_eq!(alone, "  name\n    + \"roll\"\n");
    }

    #[test]
    fn texts_of_several_lines_are_shown_around_the_lines_that_differ() {
        let tool =
            |text: &str| definition(&json!({"name": "n", "description": format!("{text}\ng\nh")}));
        let (old, new) = (tool("a\nb\nc\nd\ne\nf"), tool("a\nb\nc\nd!\ne\nf"));
        let text = shown(Some(&old), &new, Excerpt::Short);
        let expected =
            "  description\n      …\n      b\n      c\n    - d\n    + d!\n      e\n      f\n";
        assert_eq!(text, expected);
        let all = shown(Some(&old), &new, Excerpt::Full);
        assert!(all.starts_with("  description\n      a\n") && all.ends_with("      h\n"), "{all}");
    }

    #[test]
    fn t45_nothing_stays_unseen_and_nothing_steers_the_terminal() {
        let hidden = "a\u{1b}[2K\u{202e}b\u{200b}\u{e0041}\u{fe0f}\r\n\u{9b}\u{7f}\u{2028}";
        let old = definition(&json!({"name": "n", hidden: "x\ny"}));
        for old in [None, Some(&old)] {
            let new = definition(&json!({"name": "n", hidden: hidden}));
            let text = shown(old, &new, Excerpt::Full);
            assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text:?}");
            assert_eq!(text.matches(r"\u{e0041}").count(), 2, "as key and as value: {text}");
        }
    }

    #[test]
    fn long_texts_are_shown_around_the_difference() {
        let tool = |end: &str| {
            definition(&json!({"name": "n", "description": format!("{}{end}", "x".repeat(1000))}))
        };
        let text =
            shown(Some(&tool("old")), &tool(&format!("new{}", "y".repeat(700))), Excerpt::Short);
        let x = "x".repeat(BEFORE);
        assert!(text.contains(&format!("- …{x}old\"\n")), "{text}");
        assert!(
            text.contains(&format!("+ …{x}new{}… 164 characters more: --full", "y".repeat(537))),
            "{text}"
        );
        assert!(
            shown(Some(&tool("old")), &tool("new"), Excerpt::Full)
                .contains(&format!("\"{}new\"", "x".repeat(1000)))
        );
        let huge =
            definition(&json!({"name": "n", "description": "x".repeat(Definition::LONGEST)}));
        let text = shown(Some(&tool("old")), &huge, Excerpt::Short);
        assert!(text.starts_with("  the first 16384 bytes of it\n    - "), "{text}");
    }
}
