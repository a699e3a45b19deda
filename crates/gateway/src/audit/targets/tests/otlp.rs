//! Collectors of OpenTelemetry: what they take, what they refuse, and what they say to it.

use std::time::Duration;

use portunus_core::{
    audit::{ChainedRecord, Event},
    secret::SecretText,
};
use portunus_testkit::{
    collectors::{OtlpAnswer, OtlpReceiver},
    wait::eventually,
};
use serde_json::{Value, json};
use url::Url;

use super::lines;
use crate::{
    audit::{
        targets::{
            otlp::Otlp,
            target::{NotTaken, Target as _},
        },
        tests::{Fixture, PATIENCE, told},
    },
    config::{AuditConfig, Authorities, OtlpConfig},
};

fn to_otlp(receiver: &OtlpReceiver) -> AuditConfig {
    AuditConfig { otlp: Some(Box::new(at(receiver))), ..AuditConfig::default() }
}

fn at(receiver: &OtlpReceiver) -> OtlpConfig {
    let url = Url::parse(&format!("http://{}/v1/logs", receiver.address())).unwrap();
    let headers =
        vec![(http::HeaderName::from_static("x-token"), SecretText::new("obviously-fake"))];
    OtlpConfig { url, headers, authorities: Authorities::default() }
}

/// The lines that the receiver took.
fn taken(receiver: &OtlpReceiver) -> Vec<String> {
    let records = receiver.log_records();
    let line = |record: &Value| record["body"]["stringValue"].as_str().unwrap().to_owned();
    records.iter().map(line).collect()
}

/// A chain of so many records, and what it was made of.
async fn records(count: usize) -> (Fixture, Vec<ChainedRecord>) {
    let fixture = Fixture::new();
    let log = fixture.begin(1, &AuditConfig::default()).await;
    for _ in 0..count {
        told(&log, &"x".repeat(200));
    }
    log.stop(PATIENCE).await;
    let chain = fixture.store.list_chains().await.unwrap().remove(0).id;
    let mut records = fixture.store.read_records(&chain, 1, count).await.unwrap();
    records.truncate(count);
    (fixture, records)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_each_record_once_however_often_it_is_asked() {
    let unavailable = OtlpAnswer { retry_after: Some(0), ..OtlpAnswer::status(503) };
    let receiver =
        OtlpReceiver::start([unavailable.clone(), OtlpAnswer::status(401), unavailable]).await;
    let fixture = Fixture::new();
    let log = fixture.begin(1, &to_otlp(&receiver)).await;
    told(&log, "okta");
    eventually("it is taken", async || log.counts().targets[0].waiting == 0).await;
    log.stop(PATIENCE).await;
    let expected = lines(&fixture).await;
    let bodies: Vec<Value> =
        receiver.log_records().iter().map(|record| record["body"]["stringValue"].clone()).collect();
    assert_eq!(bodies, expected);
    let counts = log.counts().targets[0];
    assert_eq!((counts.sent, counts.lost, counts.failures), (expected.len() as u64, 0, 3));
    for headers in receiver.headers() {
        assert_eq!(headers["x-token"], "obviously-fake");
        assert_eq!(headers["content-type"], "application/json");
    }
    let signed_in = &receiver.log_records()[1];
    assert_eq!(signed_in["eventName"], "portunus.audit.signed_in");
    assert_eq!(signed_in["timeUnixNano"], "1772539200000000000");
    assert_eq!(signed_in["severityText"], "INFO");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_leaves_out_is_recorded() {
    let body = json!({"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "too old"}});
    let partly = OtlpAnswer { body, ..OtlpAnswer::status(200) };
    let receiver =
        OtlpReceiver::start([partly, OtlpAnswer::status(400), OtlpAnswer::status(400)]).await;
    let fixture = Fixture::new();
    let log = fixture.begin(1, &to_otlp(&receiver)).await;
    eventually("the first is taken", async || log.counts().targets[0].lost == 1).await;
    told(&log, "okta");
    eventually("the second is refused", async || log.counts().targets[0].lost > 1).await;
    log.stop(PATIENCE).await;
    let recorded: u64 = fixture
        .records()
        .await
        .iter()
        .map(|record| match &record.event {
            Event::NotSent { count, .. } => *count,
            _ => 0,
        })
        .sum();
    assert_eq!(recorded, log.counts().targets[0].lost);
}

/// A collector, or a proxy before it, that takes a request of so many bytes or records at most, and
/// none with this record.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_is_halved_until_the_record_is_found() {
    let fixture = Fixture::new();
    for (status, most) in [(413, 40), (400, usize::MAX)] {
        let receiver = OtlpReceiver::that_refuses(status, move |request: &Value| {
            let records = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
            records.as_array().unwrap().len() > most || request.to_string().contains("poison")
        })
        .await;
        let log = fixture.begin(2, &to_otlp(&receiver)).await;
        (0..150).for_each(|_| told(&log, "before"));
        told(&log, "poison");
        (0..150).for_each(|_| told(&log, "behind"));
        eventually("all is sent but one", async || {
            let counts = log.counts().targets[0];
            counts.waiting == 0 && counts.lost == 1
        })
        .await;
        log.stop(PATIENCE).await;
        let counts = log.counts().targets[0];
        assert_eq!((counts.lost, counts.failures), (1, 0), "{status}");
        let mut expected = lines(&fixture).await;
        let taken = taken(&receiver);
        expected.drain(..expected.len() - taken.len() - 1);
        let at = expected.iter().position(|line| line.contains("poison")).unwrap();
        expected.remove(at);
        assert_eq!(taken, expected, "{status}: each once, and in order");
        let not_sent = taken.iter().filter(|line| line.contains("not_sent"));
        assert_eq!(not_sent.count(), 1, "{status}");
    }
}

/// One that is no collector, or no longer takes JSON: it costs little until an administrator looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_everything_costs_a_record_a_minute() {
    let (_fixture, records) = records(40).await;
    let receiver = OtlpReceiver::that_refuses(400, |_| true).await;
    let mut otlp = Otlp::new(&at(&receiver), "gateway.example").unwrap();
    let mut left = &records[..];
    let mut pauses = Vec::new();
    for _ in 0..24 {
        match otlp.send(left).await {
            Ok(taken) => {
                assert_eq!((taken.count, taken.refused), (1, 1));
                left = &left[1..];
            }
            Err(NotTaken { after, .. }) => pauses.push((records.len() - left.len(), after)),
        }
    }
    let minute = Some(Duration::from_secs(60));
    assert_eq!(pauses, [(16, minute), (17, minute), (18, minute), (19, minute)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_bound_in_bytes() {
    let (_fixture, records) = records(256).await;
    // As large as texts of strangers make a record.
    let text = |record: &ChainedRecord| {
        let long = format!(",\"x\":\"{}\"}}", "\\\\".repeat(4_000));
        format!("{}{long}", record.text.strip_suffix('}').unwrap())
    };
    let large: Vec<_> = records
        .iter()
        .map(|record| ChainedRecord { text: text(record), ..record.clone() })
        .collect();
    let receiver = OtlpReceiver::start([]).await;
    let mut otlp = Otlp::new(&at(&receiver), "gateway.example").unwrap();
    let mut left = &large[..];
    while !left.is_empty() {
        left = &left[otlp.send(left).await.unwrap().count..];
    }
    assert_eq!(taken(&receiver).len(), large.len());
    let sizes = receiver.sizes();
    assert!(sizes.iter().all(|size| *size <= 512 * 1024), "{sizes:?}");
    assert!(sizes.len() < large.len() / 4, "as many as there is room for: {}", sizes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn t64_what_a_collector_says_steers_no_terminal() {
    let (_fixture, records) = records(1).await;
    let hostile = "a\u{1b}[2J\u{202e}b\nc";
    let partly = json!({"partialSuccess": {"rejectedLogRecords": 1, "errorMessage": hostile}});
    let said = OtlpAnswer { body: json!(hostile), ..OtlpAnswer::status(400) };
    let failed = OtlpAnswer { body: json!(hostile), ..OtlpAnswer::status(500) };
    let partly = OtlpAnswer { body: partly, ..OtlpAnswer::status(200) };
    let receiver = OtlpReceiver::start([partly, said, failed]).await;
    let mut otlp = Otlp::new(&at(&receiver), "gateway.example").unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let taken = otlp.send(&records).await.unwrap();
        assert_eq!((taken.count, taken.refused), (1, 1));
        told.push(taken.why);
    }
    told.push(otlp.send(&records).await.unwrap_err().why);
    for why in told {
        assert!(why.contains('b'), "{why:?}");
        assert_eq!(portunus_core::text::visible(&why), why, "{why:?}");
    }
}
