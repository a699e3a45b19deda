//! `.env` files: `NAME=value` lines, as the `dotenv` of Node and of Go read them. Which of them
//! override the environment is decided in [`super::environment`].

/// One variable of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) value: String,
    /// An unquoted value with a `#` inside, which Node's reader takes for a comment and Go's does
    /// not.
    pub(super) ambiguous: bool,
}

/// A line that is not a variable, and what it should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) number: u32,
    pub(super) expected: &'static str,
}

/// Reads the whole file; each line that cannot be read is reported and skipped.
pub(super) fn parse(text: &str) -> (Vec<Line>, Vec<BadLine>) {
    let (mut lines, mut bad) = (Vec::new(), Vec::new());
    let mut rest = text;
    let mut number = 1;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = line.trim();
        let mut consumed = rest.len() - after.len();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            match assignment(line) {
                None => bad.push(BadLine { number, expected: "NAME=value" }),
                Some((name, offset)) => match value(&rest[offset..]) {
                    None => bad.push(BadLine {
                        number,
                        expected: "a closing quote, with nothing but a comment after it",
                    }),
                    Some(Value { text, ambiguous, length }) => {
                        consumed = consumed.max(offset + length);
                        lines.push(Line { number, name: name.to_owned(), value: text, ambiguous });
                    }
                },
            }
        }
        let (done, remaining) = rest.split_at(consumed.min(rest.len()));
        number =
            number.saturating_add(u32::try_from(done.matches('\n').count()).unwrap_or(u32::MAX));
        rest = remaining;
    }
    (lines, bad)
}

/// The name, and where its value begins.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let start = line.len() - line.trim_start().len();
    let start = start
        + line[start..]
            .strip_prefix("export ")
            .map_or(0, |after| line[start..].len() - after.trim_start().len());
    let name_length = line[start..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
    let name = &line[start..start + name_length];
    let after = &line[start + name_length..];
    let separator = after.trim_start();
    let gap = after.len() - separator.len();
    let fits = separator.starts_with('=') || (gap == 0 && separator.starts_with(": "));
    (fits && !name.is_empty()).then_some((name, start + name_length + gap + 1))
}

struct Value {
    text: String,
    ambiguous: bool,
    /// How many bytes it takes, to the end of its last line.
    length: usize,
}

/// The value at the start of `rest`, which goes on to the end of the file: quoted values may span
/// lines.
fn value(rest: &str) -> Option<Value> {
    let line_end = |from: usize| rest[from..].find('\n').map_or(rest.len(), |at| from + at + 1);
    let trimmed = rest.trim_start_matches([' ', '\t']);
    let gap = rest.len() - trimmed.len();
    if let Some(quote) = trimmed.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
        let (text, end) = quoted(&trimmed[1..], quote)?;
        let end = gap + 1 + end;
        let length = line_end(end);
        let tail = rest[end..length].trim();
        return (tail.is_empty() || tail.starts_with('#')).then_some(Value {
            text,
            ambiguous: false,
            length,
        });
    }
    let length = line_end(0);
    let line = rest[..length].trim_end_matches(['\n', '\r']);
    let comment = line
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| line[..*at].ends_with([' ', '\t']) || *at == 0);
    let text = line[..comment.unwrap_or(line.len())].trim().to_owned();
    Some(Value { ambiguous: text.contains('#'), text, length })
}

/// The text up to the closing quote, and the byte after it. Double quotes know `\n`, `\r`, `\t`,
/// `\"` and `\\`.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((text, at + c.len_utf8())),
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                escaped @ ('"' | '\\') => text.push(escaped),
                other => text.extend(['\\', other]),
            },
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_people_write_them() {
        let text = "# comment\nA=1\n\nexport B = two words  # comment\nC=\"x # y\\n\" # comment\nD='a\\nb'\nE=\nF=a#b\nG: yes\n\
                    H=\"line one\nline two\"\nI=last\r\nJ=k=v";
        let (lines, bad) = parse(text);
        assert_eq!(bad, []);
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.number, line.name.as_str(), line.value.as_str()))
            .collect();
        let expected = [
            (2, "A", "1"),
            (4, "B", "two words"),
            (5, "C", "x # y\n"),
            (6, "D", "a\\nb"),
            (7, "E", ""),
            (8, "F", "a#b"),
            (9, "G", "yes"),
            (10, "H", "line one\nline two"),
            (12, "I", "last"),
            (13, "J", "k=v"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.ambiguous)
                .map(|line| line.name.as_str())
                .collect::<Vec<_>>(),
            ["F"]
        );
    }

    #[test]
    fn lines_that_are_not_variables_are_named() {
        let (lines, bad) = parse("A=1\nnonsense\nB=\"open\nC='x' y\nD=2\n");
        assert_eq!(bad.iter().map(|bad| bad.number).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["A", "D"]);
    }
}
