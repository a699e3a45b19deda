//! Lines beside those of tracing-subscriber's own format.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt;

use super::*;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    /// Its lines, without the times in them.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let timeless = |line: &str| {
            let (before, after) = line.split_once("\"timestamp\":\"").unwrap();
            let (time, after) = after.split_once('"').unwrap();
            assert!(time.ends_with('Z') && time.len() > 19, "{time}");
            format!("{before}{after}")
        };
        text.lines().map(timeless).collect()
    }
}

fn say_all_kinds_of_things() {
    let error = io::Error::other("said \"no\"\nand left");
    tracing::info!("nothing else");
    tracing::warn!(
        count = 7_u64,
        less = -7_i64,
        share = 0.5,
        whole = 2.0,
        broken = f64::NAN,
        yes = true,
        "numbers"
    );
    let span = tracing::info_span!("request", request_id = "a\"b", user = tracing::field::Empty);
    span.in_scope(|| {
        tracing::info!(path = "/x\\y\u{7f}\u{1}\u{8}\u{c}\t\r\nä€😀", method = %"GET", peer = ?Some("::1"), "words {}", "in it");
        span.record("user", "alice");
        tracing::error!(%error, debug = ?error, big = u128::MAX, "errors");
        tracing::error!(error = &error as &dyn std::error::Error);
        let inner = tracing::info_span!("inner");
        inner.in_scope(|| tracing::info!(target: "else\"where", "in another span"));
        tracing::info!(parent: &inner, "a parent that was named");
        tracing::info!(absent = None::<&str>, present = Some(1_u64), "options");
    });
}

#[test]
fn t63_a_long_value_is_no_long_line() {
    let page = Page::default();
    let out = page.clone();
    let subscriber = fmt()
        .with_writer(move || out.clone())
        .fmt_fields(SpanMembers)
        .event_format(JsonLine)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let long = "/x".repeat(30_000);
        let span = tracing::info_span!("request", request_id = long.as_str());
        span.in_scope(|| tracing::info!(path = long, debug = ?long, display = %long, error = ?vec![1_u8; 60_000], "{long}"));
    });
    let lines = page.lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.len() < 7 * super::super::cut::MAX_FIELD, "{} bytes", line.len());
    assert_eq!(line.matches("bytes more").count(), 6);
    serde_json::from_str::<serde_json::Value>(&line.replacen("{,", "{", 1)).unwrap();
}

#[test]
fn the_lines_are_those_of_tracing_subscriber() {
    let (ours, theirs) = (Page::default(), Page::default());
    let (page, other) = (ours.clone(), theirs.clone());
    let subscriber = fmt()
        .with_writer(move || page.clone())
        .fmt_fields(SpanMembers)
        .event_format(JsonLine)
        .finish();
    tracing::subscriber::with_default(subscriber, say_all_kinds_of_things);
    let builder = fmt().with_writer(move || other.clone()).json();
    let subscriber =
        builder.flatten_event(true).with_current_span(true).with_span_list(false).finish();
    tracing::subscriber::with_default(subscriber, say_all_kinds_of_things);
    assert_eq!(ours.lines().len(), 8);
    assert_eq!(ours.lines(), theirs.lines());
    for line in ours.lines() {
        serde_json::from_str::<serde_json::Value>(&line.replacen("{,", "{", 1))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
