//! JSON as text: objects whose members keep their spelling, white space included, so that it can be
//! said of each byte where it should arrive. There is no parser here and none is used on what
//! arrives: texts are compared. Making them up is next door, in [`super::made_up`]; what may change
//! on the way, in [`super::expected`].

/// One member with the white space around each of its parts.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// As a parser reads it.
    pub(crate) name: String,
    /// As it is written, quotes included.
    pub(crate) key: String,
    pub(crate) value: Value,
    /// Before the key, before the colon, before the value, after the value.
    pub(crate) gaps: [String; 4],
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Raw(String),
    Object(Object),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Object(pub(crate) Vec<Member>);

impl Member {
    /// Written plainly.
    pub(crate) fn new(name: &str, value: impl Into<String>) -> Self {
        Self::of(name, Value::Raw(value.into()))
    }

    pub(crate) fn of(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), key: format!("\"{name}\""), value, gaps: Default::default() }
    }

    fn text(&self) -> String {
        let [before, colon, value, after] = &self.gaps;
        format!("{before}{}{colon}:{value}{}{after}", self.key, self.value.text())
    }
}

impl Value {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Raw(text) => text.clone(),
            Self::Object(object) => object.text(),
        }
    }
}

impl Object {
    /// Takes a recorded object apart, and the objects in it that the gateway reads. It is written
    /// without white space, as the SDKs do.
    pub(crate) fn taken_apart(text: &str) -> Self {
        let inside = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or_else(|| panic!("no object: {text}"));
        let (mut members, mut start, mut depth, mut in_string, mut escaped) =
            (Vec::new(), 0, 0, false, false);
        for (at, byte) in inside.bytes().chain([b',']).enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b',' if depth == 0 && start < at => {
                    let (key, value) = inside[start..at].split_once("\":").unwrap();
                    let name = key.strip_prefix('"').unwrap();
                    let is_read =
                        matches!(name, "_meta" | "ref" | "data" | "params" | "result" | "error")
                            && value.starts_with('{');
                    let value = if is_read {
                        Value::Object(Self::taken_apart(value))
                    } else {
                        Value::Raw(value.to_owned())
                    };
                    members.push(Member::of(name, value));
                    start = at + 1;
                }
                _ => {}
            }
        }
        let taken = Self(members);
        assert_eq!(taken.text(), text, "put together again, it is the same");
        taken
    }

    pub(crate) fn text(&self) -> String {
        format!("{{{}}}", self.0.iter().map(Member::text).collect::<Vec<_>>().join(","))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|member| member.name == name).map(|member| &mut member.value)
    }

    /// Another value where the old one stood.
    pub(crate) fn replace(&mut self, name: &str, value: &str) {
        if let Some(old) = self.find_mut(name) {
            *old = Value::Raw(value.to_owned());
        }
    }

    /// At the end, unless it is there.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if self.find(name).is_none() {
            self.0.push(Member::new(name, value));
        }
    }

    /// Each goes with the white space around it and one comma. Were there any?
    pub(crate) fn take_out(&mut self, names: &[&str]) -> bool {
        let before = self.0.len();
        self.0.retain(|member| !names.contains(&member.name.as_str()));
        self.0.len() < before
    }

    pub(crate) fn meta(&mut self) -> Option<&mut Object> {
        match self.find_mut("_meta") {
            Some(Value::Object(meta)) => Some(meta),
            _ => None,
        }
    }
}

/// The gateway's envelope around a request, taken off: id, method and parameters as they are
/// written.
pub(crate) fn open_request(message: &str) -> Option<(&str, &str, Option<&str>)> {
    let (id, rest) =
        message.strip_prefix(r#"{"jsonrpc":"2.0","id":"#)?.split_once(r#","method":""#)?;
    let (method, rest) = rest.split_once('"')?;
    Some((id, method, params_of(rest)?))
}

/// The same of a notification: method and parameters.
pub(crate) fn open_notification(message: &str) -> Option<(&str, Option<&str>)> {
    let (method, rest) = message.strip_prefix(r#"{"jsonrpc":"2.0","method":""#)?.split_once('"')?;
    Some((method, params_of(rest)?))
}

/// The outer `None`: something else stands there.
#[expect(clippy::option_option, reason = "there may be none, or no message at all")]
fn params_of(rest: &str) -> Option<Option<&str>> {
    let rest = rest.strip_suffix('}')?;
    if rest.is_empty() { Some(None) } else { rest.strip_prefix(r#","params":"#).map(Some) }
}
