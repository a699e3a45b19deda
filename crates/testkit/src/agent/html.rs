//! HTML as far as a sign-in needs it: forms, buttons, links, text. Enough for our own pages and the
//! fake Okta's; no browser.

/// An opening or (`/form`) closing tag and where it ends.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    start: usize,
    end: usize,
}

impl Tag {
    fn find(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A form as it stands on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FormTag {
    pub(super) action: String,
    pub(super) method: String,
    /// Inputs with a name, hidden or not.
    pub(super) inputs: Vec<(String, String)>,
    /// Buttons with a name, each with its value.
    pub(super) buttons: Vec<(String, String)>,
}

/// The forms of a page, in order.
pub(super) fn forms(html: &str) -> Vec<FormTag> {
    let mut forms: Vec<FormTag> = Vec::new();
    let mut open = false;
    for tag in tags(html) {
        let pair = || {
            Some((tag.find("name")?.to_owned(), tag.find("value").unwrap_or_default().to_owned()))
        };
        match (tag.name.as_str(), forms.last_mut().filter(|_| open)) {
            ("form", _) => {
                let attribute = |name| tag.find(name).unwrap_or_default().to_owned();
                let (action, method) = (attribute("action"), attribute("method").to_lowercase());
                forms.push(FormTag { action, method, inputs: Vec::new(), buttons: Vec::new() });
                open = true;
            }
            ("/form", _) => open = false,
            ("input", Some(form)) => form.inputs.extend(pair()),
            ("button", Some(form)) => form.buttons.extend(pair()),
            _ => {}
        }
    }
    forms
}

/// The links of a page: text and address.
pub(super) fn links(html: &str) -> Vec<(String, String)> {
    let tags = tags(html);
    let anchors = tags.iter().enumerate().filter(|(_, tag)| tag.name == "a");
    anchors
        .filter_map(|(n, tag)| {
            let end = tags[n..].iter().find(|tag| tag.name == "/a")?;
            Some((text(&html[tag.end..end.start]), tag.find("href")?.to_owned()))
        })
        .collect()
}

/// What a person reads: without tags, white space folded.
pub(super) fn text(html: &str) -> String {
    let mut out = String::new();
    let mut from = 0;
    for tag in tags(html) {
        out.push_str(&html[from..tag.start]);
        let is_inline =
            matches!(tag.name.trim_start_matches('/'), "bdi" | "code" | "strong" | "span" | "a");
        if !is_inline {
            out.push(' ');
        }
        from = tag.end;
    }
    out.push_str(&html[from..]);
    unescape(&out).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(start) = html[at..].find('<').map(|offset| at + offset) {
        let begins = html[start + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        let Some(end) = end_of_tag(html, start).filter(|_| begins) else {
            at = start + 1;
            continue;
        };
        let inside = html[start + 1..end - 1].trim_end_matches('/');
        let (name, rest) =
            inside.split_at(inside.find(char::is_whitespace).unwrap_or(inside.len()));
        tags.push(Tag { name: name.to_lowercase(), attributes: attributes(rest), start, end });
        at = end;
    }
    tags
}

/// Past the `>` that is not within quotes.
fn end_of_tag(html: &str, start: usize) -> Option<usize> {
    let mut quote = None;
    for (offset, c) in html[start..].char_indices() {
        match (quote, c) {
            (None, '>') => return Some(start + offset + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

fn attributes(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // bounded: each turn takes something off `rest`.
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        if end == 0 {
            return found;
        }
        let name = rest[..end].to_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    after[1..].split_once(quote).unwrap_or((&after[1..], ""))
                }
                _ => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            };
        }
        found.push((name, unescape(value)));
    }
}

/// Character references: the five of XML by name, and all by number.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest[1..].split_once(';').filter(|(name, _)| name.len() <= 8);
        if let Some((c, after)) =
            reference.and_then(|(name, after)| Some((character(name)?, after)))
        {
            out.push(c);
            rest = after;
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_with_what_they_send() {
        let html = r#"<p>x < y</p><form class="a > b" method='POST' action="/go?a=1&amp;b=2">
            <input type="hidden" name="csrf" value="&#34;&lt;"><input name=who><input type=submit>
            <button name="decision" value="allow">Allow</button><button>Other</button></form><input name="outside">"#;
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let expected = FormTag {
            action: "/go?a=1&b=2".to_owned(),
            method: "post".to_owned(),
            inputs: pairs(&[("csrf", "\"<"), ("who", "")]),
            buttons: pairs(&[("decision", "allow")]),
        };
        assert_eq!(forms(html), [expected]);
    }

    #[test]
    fn links_and_text_are_what_a_person_reads() {
        let html = "<h1>Hello,\n <bdi>Ada &amp; Bob</bdi>!</h1><p>Go <a class=x href='/a?b&#38;c'>back <b>now</b></a></p>";
        assert_eq!(links(html), [("back now".to_owned(), "/a?b&c".to_owned())]);
        assert_eq!(text(html), "Hello, Ada & Bob! Go back now");
    }
}
