//! The exact text of a record: the one that is hashed, kept, sent and shown. It is what serde
//! writes of [`super::entry::AuditRecord`], with harmful characters escaped; there is one for each
//! call, so it is written by hand, at a fifth of the cost. [`super::chain`] makes records of it.

use std::{fmt::Write as _, net::IpAddr};

use super::{
    entry::{Entry, Origin, Person},
    event::{Call, Event},
};
use crate::text::escaped_json;

/// About as long as the record of a call is.
const USUAL: usize = 768;

/// The text of the record with this number in the chain.
pub(super) fn record_text(chain: &str, seq: u64, node: &str, entry: &Entry) -> String {
    let Entry { at, person, origin, event } = entry;
    let mut text = RecordText(String::with_capacity(USUAL));
    text.0.push('{');
    text.string("chain", chain);
    text.number("seq", i128::from(seq));
    text.number("at", i128::from(at.as_millis()));
    text.string("node", node);
    text.person(person);
    text.origin(origin);
    text.event(event);
    text.0.push('}');
    text.0
}

/// An object whose members are written one after the other.
struct RecordText(String);

impl RecordText {
    fn person(&mut self, person: &Person) {
        let Person { user, subject, email, client, agent_key, account } = person;
        self.optional("user", user.as_deref());
        self.optional("subject", subject.as_deref());
        self.optional("email", email.as_deref());
        self.optional("client", client.as_deref());
        self.optional("agent_key", agent_key.as_deref());
        self.optional("account", account.as_deref());
    }

    fn origin(&mut self, origin: &Origin) {
        let Origin { address, request_id } = origin;
        if let Some(address) = address {
            self.name("address");
            self.address(*address);
        }
        self.optional("request_id", request_id.as_deref());
    }

    fn event(&mut self, event: &Event) {
        if let Event::Call(call) = event {
            return self.call(call);
        }
        // Texts, numbers and lists of them: there is nothing in it that could fail.
        let object = escaped_json(serde_json::to_string(event).unwrap_or_default());
        let members = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        self.0.push(',');
        self.0.push_str(members.unwrap_or_default());
    }

    fn call(&mut self, call: &Call) {
        let Call { kind, server, name, outcome, code, ms, .. } = call;
        self.string("event", "call");
        self.string("kind", kind.word());
        self.optional("server", server.as_deref());
        self.string("name", name);
        self.string("outcome", outcome.word());
        if let Some(code) = code {
            self.number("code", i128::from(*code));
        }
        self.number("ms", i128::from(*ms));
        self.number("request_bytes", i128::from(call.request_bytes));
        self.number("answer_bytes", i128::from(call.answer_bytes));
        if let Some(times) = call.times {
            self.number("times", i128::from(times));
        }
        self.optional("would_refuse", call.would_refuse.as_deref());
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(name, value);
        }
    }

    fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        // Folded, not searched: a processor looks at many bytes at once.
        let odd = value.bytes().fold(0, |odd, byte| {
            let is_plain = (b' '..0x7f).contains(&byte);
            odd | u8::from(!is_plain) | u8::from(byte == b'"') | u8::from(byte == b'\\')
        });
        if odd == 0 {
            self.0.push('"');
            self.0.push_str(value);
            self.0.push('"');
        } else {
            self.0.push_str(&escaped_json(serde_json::to_string(value).unwrap_or_default()));
        }
    }

    fn number(&mut self, name: &str, value: i128) {
        self.name(name);
        self.digits(value);
    }

    /// `write!` takes three times as long.
    fn digits(&mut self, value: i128) {
        let Ok(mut rest) = u64::try_from(value) else {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "{value}");
            return;
        };
        let mut digits = [b'0'; 20];
        let mut from = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            from -= 1;
            if rest == 0 {
                break;
            }
        }
        self.0.push_str(std::str::from_utf8(&digits[from..]).unwrap_or_default());
    }

    fn address(&mut self, address: IpAddr) {
        self.0.push('"');
        match address {
            IpAddr::V4(address) => {
                for (at, octet) in address.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.0.push('.');
                    }
                    self.digits(i128::from(octet));
                }
            }
            // Writing to a string cannot fail.
            IpAddr::V6(address) => {
                let _ = write!(self.0, "{address}");
            }
        }
        self.0.push('"');
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{AuditRecord, CallKind, CallOutcome, ChainId, RefusalReason},
        clock::Timestamp,
    };

    fn calls() -> Vec<Event> {
        let call = Call {
            kind: CallKind::Tool,
            server: Some("dice".to_owned()),
            name: "roll".to_owned(),
            outcome: CallOutcome::Ok,
            code: None,
            ms: 0,
            request_bytes: 1_234_567_890,
            answer_bytes: u64::MAX,
            times: None,
            would_refuse: None,
        };
        let odd = Call {
            kind: CallKind::Proxy,
            server: None,
            name: "\"q\\u\u{202e}\n\u{7f}é\u{10ffff}".to_owned(),
            outcome: CallOutcome::InsufficientScope,
            code: Some(i64::MIN),
            times: Some(u32::MAX),
            would_refuse: Some("no rule allows it".to_owned()),
            ..call.clone()
        };
        vec![Event::Call(call), Event::Call(odd)]
    }

    /// Or records of earlier versions, and what reads them, would not fit.
    #[test]
    fn a_text_is_what_serde_writes() {
        let others = [
            Event::Stopped,
            Event::Dropped { count: 7 },
            Event::Refused {
                reason: RefusalReason::UnknownToken,
                about: Some("}\u{200b}{".to_owned()),
            },
        ];
        let persons = [
            Person::default(),
            Person {
                user: Some("ptn_user_a".to_owned()),
                subject: Some(String::new()),
                email: Some("a\u{1}\"@example.com".to_owned()),
                client: Some("client".to_owned()),
                agent_key: Some("ptn_grant_a".to_owned()),
                account: Some("uid 0".to_owned()),
            },
        ];
        let address = |text: &str| Some(text.parse().unwrap());
        let origins = [
            Origin::default(),
            Origin { address: address("10.0.255.1"), request_id: Some("1".to_owned()) },
            Origin { address: address("2001:db8::ffff"), request_id: None },
            Origin { address: address("::ffff:10.0.0.1"), request_id: None },
        ];
        for event in calls().into_iter().chain(others) {
            for (person, origin) in persons.iter().flat_map(|person| {
                origins.iter().map(move |origin| (person.clone(), origin.clone()))
            }) {
                for at in [-1, 0, 1_700_000_000_000] {
                    let at = Timestamp::from_millis(at);
                    let entry = Entry {
                        at,
                        person: person.clone(),
                        origin: origin.clone(),
                        event: event.clone(),
                    };
                    let text = record_text("gateway-\u{feff}1", 42, "node", &entry);
                    let record = AuditRecord {
                        chain: ChainId::from_text("gateway-\u{feff}1"),
                        seq: 42,
                        at,
                        node: "node".to_owned(),
                        person: person.clone(),
                        origin: origin.clone(),
                        event: event.clone(),
                    };
                    assert_eq!(text, escaped_json(serde_json::to_string(&record).unwrap()));
                    assert_eq!(serde_json::from_str::<AuditRecord>(&text).unwrap(), record);
                }
            }
        }
    }
}
