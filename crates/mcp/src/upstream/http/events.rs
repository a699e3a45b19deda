//! Reads server-sent events from bytes (WHATWG HTML, section 9.2.6), each of bounded size. Where a
//! stream is resumed is next door, in [`super::position`].

use crate::upstream::error::UpstreamError;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// `message` when the server named none.
    pub kind: String,
    pub data: Vec<u8>,
    /// The last id so far, its own included.
    pub id: Option<String>,
}

impl ServerEvent {
    /// Is it a message? The first event of a resumable stream has an id and no data, and is not.
    pub fn is_message(&self) -> bool {
        self.kind == "message" && !self.data.is_empty()
    }
}

pub struct Decoder {
    max: usize,
    line: Vec<u8>,
    after_cr: bool,
    first_line: bool,
    kind: String,
    data: Vec<u8>,
    has_data: bool,
    /// Of the event that is being read: it counts once that event is whole.
    next_id: Option<String>,
    id: Option<String>,
    /// The milliseconds that the server wants a reconnect to wait.
    retry: Option<u64>,
}

impl Decoder {
    /// `max` bounds a line and an event's data.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            kind: String::new(),
            data: Vec::new(),
            has_data: false,
            next_id: None,
            id: None,
            retry: None,
        }
    }

    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The id of the last event, or block without data, that ended; `None` as long as there was
    /// none. An empty one takes back those before it.
    pub fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Takes the next bytes and returns the events that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<ServerEvent>, UpstreamError> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (part, end) = (&rest[..at], rest[at]);
            rest = &rest[at + 1..];
            if end == b'\n' && self.after_cr && part.is_empty() {
                self.after_cr = false;
                continue;
            }
            self.extend(part)?;
            self.after_cr = end == b'\r';
            let line = std::mem::take(&mut self.line);
            events.extend(self.end_line(&line)?);
        }
        if !rest.is_empty() {
            self.after_cr = false;
            self.extend(rest)?;
        }
        Ok(events)
    }

    fn extend(&mut self, part: &[u8]) -> Result<(), UpstreamError> {
        // Room for the field's name.
        if self.line.len() + part.len() > self.max + 16 {
            return Err(UpstreamError::TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<ServerEvent>, UpstreamError> {
        let line = if std::mem::take(&mut self.first_line) {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() > self.max {
                    return Err(UpstreamError::TooLarge);
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.kind = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) && value.len() <= 4096 => {
                self.next_id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .or(self.retry);
            }
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<ServerEvent> {
        // Not before the blank line: an event that was cut is sent again at a resumption.
        self.id = self.next_id.take().or_else(|| self.id.take());
        let kind = std::mem::take(&mut self.kind);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(ServerEvent { kind, data: std::mem::take(&mut self.data), id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str, id: Option<&str>) -> ServerEvent {
        ServerEvent {
            kind: kind.to_owned(),
            data: data.as_bytes().to_vec(),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn every_split_gives_the_same_events() {
        let text = "\u{FEFF}: hello\nid: 1\ndata:\n\nevent: endpoint\r\ndata: /a\r\n\r\ndata: x\rdata:  y\r\rretry: 250\nid\ndata\n\nid: 7\n\ndata: cut";
        let expected = [
            event("message", "", Some("1")),
            event("endpoint", "/a", Some("1")),
            event("message", "x\n y", Some("1")),
            event("message", "", Some("")),
        ];
        for size in 1..text.len() {
            let mut decoder = Decoder::new(100);
            let events: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|part| decoder.feed(part).unwrap()).collect();
            assert_eq!(events, expected, "in chunks of {size}");
            assert_eq!((decoder.retry(), decoder.last_id()), (Some(250), Some("7")));
        }
    }

    #[test]
    fn an_id_counts_when_its_event_is_whole() {
        for (text, expected) in [
            ("id: 1\ndata: a\n\nid: 2\ndata: cut\n", Some("1")),
            ("id: 1\ndata: a\n\nid: 2\ndata: b\n\n", Some("2")),
            ("id: 1\ndata: a\n", None),
            ("id: 1\n\ndata: b\n\n", Some("1")),
            ("id: 1\n\nid: 2\0\n\n", Some("1")),
            ("id: 1\n\nid:\n", Some("1")),
            ("id: 1\n\nid:\n\n", Some("")),
            ("id: 1\n\nid\ndata: b\n\n", Some("")),
        ] {
            let mut decoder = Decoder::new(100);
            decoder.feed(text.as_bytes()).unwrap();
            assert_eq!(decoder.last_id(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_wait_is_a_number_of_milliseconds_and_nothing_else() {
        for (value, expected) in [
            ("250", Some(250)),
            ("0", Some(0)),
            ("", Some(7)),
            ("+5", Some(7)),
            ("-5", Some(7)),
            ("5.0", Some(7)),
            ("1e3", Some(7)),
            (" 5", Some(7)),
            ("٣", Some(7)),
            ("99999999999999999999", Some(7)),
        ] {
            let mut decoder = Decoder::new(100);
            decoder.feed(format!("retry: 7\nretry: {value}\n").as_bytes()).unwrap();
            assert_eq!(decoder.retry(), expected, "{value:?}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.feed(&[b'a'; 100]), Err(UpstreamError::TooLarge));
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.feed(b"data: 123456\ndata: 123456\n"), Err(UpstreamError::TooLarge));
    }
}
