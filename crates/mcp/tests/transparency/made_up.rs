//! Messages made up by chance: unknown members, keys and numbers in any spelling, escapes, white
//! space, depth.

use proptest::{collection::vec, prelude::*, sample::select};

use super::text::{Member, Object, Value};

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "1.0",
    "1.50",
    "1E400",
    "-1e-400",
    "1e+05",
    "1E5",
    "12345678901234567890123",
    "0.1e1",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775809",
    "3.14159265358979323846264338327950288",
];
/// Of strings: characters, escapes that need not be, lone halves of surrogate pairs, and what looks
/// like something else.
const PIECES: &[&str] = &[
    "a",
    "Z",
    " ",
    "é",
    "😀",
    "\u{2028}",
    "\u{7f}",
    r"\u00e9",
    r"\u00E9",
    r"\/",
    "/",
    r"\ud83d\ude00",
    r"\ud800",
    r"\uDFFF",
    r"\u0000",
    r"\u000a",
    r"\n",
    r"\r",
    r"\t",
    r#"\""#,
    r"\\",
    r"\u005c",
    "data: ",
    "}{",
    "],[",
    ",",
    ":",
    "progressToken",
    "name",
];
const GAPS: &[&str] = &["", "", "", "", " ", "  ", "\t", "\n", "\r\n", "\r", "\n\n", " \n\t "];

/// The inside of a string.
pub(crate) fn inside() -> impl Strategy<Value = String> {
    vec(select(PIECES), 0..6).prop_map(|pieces| pieces.concat())
}

fn gap() -> impl Strategy<Value = String> {
    select(GAPS).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        select(NUMBERS).prop_map(str::to_owned),
        inside().prop_map(|text| format!("\"{text}\"")),
        select(&["null", "true", "false", "{}", "[]", "[ ]", "{\t}", "\"\""][..])
            .prop_map(str::to_owned),
    ]
}

/// Any value. Keys may come twice: the gateway does not read these objects on the way.
pub(crate) fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            vec((gap(), inner.clone(), gap()), 0..4).prop_map(|items| bracketed(
                '[',
                ']',
                items.into_iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect()
            )),
            vec((gap(), inside(), gap(), inner), 0..4).prop_map(|members| bracketed(
                '{',
                '}',
                members
                    .into_iter()
                    .map(|(a, key, b, value)| format!("{a}\"{key}\"{b}:{a}{value}{b}"))
                    .collect()
            )),
        ]
    })
}

#[expect(clippy::needless_pass_by_value, reason = "made for this call alone")]
fn bracketed(open: char, close: char, items: Vec<String>) -> String {
    format!("{open}{}{close}", items.join(","))
}

/// `inner` as deep as `levels`.
pub(crate) fn nested(levels: usize, inner: &str) -> String {
    let (mut open, mut close) = (String::new(), String::new());
    for level in 0..levels {
        if level % 2 == 0 {
            open.push('[');
            close.insert(0, ']');
        } else {
            open.push_str(r#"{"k":"#);
            close.insert(0, '}');
        }
    }
    format!("{open}{inner}{close}")
}

/// Members that no revision knows, no two of one name. The key ends in anything.
pub(crate) fn strangers(prefix: &'static str) -> impl Strategy<Value = Vec<Member>> {
    vec((inside(), value(), [gap(), gap(), gap(), gap()]), 0..4).prop_map(move |members| {
        let numbered = members.into_iter().enumerate();
        let members = numbered.map(|(n, (end, value, gaps))| {
            let name = format!("{prefix}{n}{end}");
            Member { key: format!("\"{name}\""), name, value: Value::Raw(value), gaps }
        });
        members.collect()
    })
}

/// What one request or answer is made of, apart from what its method wants: it is mixed in by
/// [`Stuff::object`].
#[derive(Clone, Debug)]
pub(crate) struct Stuff {
    pub(crate) members: Vec<Member>,
    pub(crate) meta: Vec<Member>,
    pub(crate) has_meta: bool,
    pub(crate) gaps: [String; 4],
    /// How the order comes about.
    pub(crate) turn: usize,
    pub(crate) escapes_keys: bool,
}

pub(crate) fn stuff() -> impl Strategy<Value = Stuff> {
    let meta = (any::<bool>(), strangers("y"));
    (strangers("x"), meta, [gap(), gap(), gap(), gap()], 0_usize..8, any::<bool>()).prop_map(
        |(members, (has_meta, meta), gaps, turn, escapes_keys)| Stuff {
            members,
            meta,
            has_meta,
            gaps,
            turn,
            escapes_keys,
        },
    )
}

impl Stuff {
    /// An object with these members and `own`, and in `_meta` `own_meta`, in some order.
    pub(crate) fn object(&self, own: &[(&str, Value)], own_meta: &[(&str, String)]) -> Object {
        let mut members = self.members.clone();
        members.extend(own.iter().map(|(name, value)| self.spelt(name, value.clone())));
        if self.has_meta || !own_meta.is_empty() {
            let mut meta = self.meta.clone();
            meta.extend(
                own_meta.iter().map(|(name, value)| self.spelt(name, Value::Raw(value.clone()))),
            );
            let turn = self.turn % meta.len().max(1);
            meta.rotate_left(turn);
            members.push(self.spelt("_meta", Value::Object(Object(meta))));
        }
        let turn = self.turn % members.len().max(1);
        members.rotate_left(turn);
        Object(members)
    }

    /// Its key perhaps with an escape, which means the same.
    fn spelt(&self, name: &str, value: Value) -> Member {
        let mut member = Member { gaps: self.gaps.clone(), ..Member::of(name, value) };
        if let (true, Some(first)) = (self.escapes_keys, name.chars().next()) {
            member.key = format!("\"\\u{:04x}{}\"", first as u32, &name[first.len_utf8()..]);
        }
        member
    }
}
