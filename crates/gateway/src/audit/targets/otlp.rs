//! Records as log records of OpenTelemetry: OTLP over HTTP, as JSON (`/v1/logs`). An answer is the
//! acknowledgement. What may be tried again is: 429, 502, 503, 504 and no answer (OTLP
//! specification, "OTLP/HTTP Response"), and beyond that whatever an administrator can mend, as a
//! wrong token or path; the records wait in the store meanwhile. A request that is refused with 400
//! or 413 is made again with half of the records, and so on: what is given up is one record that
//! the receiver does not take by itself, and what it says it left out.

use std::time::Duration;

use async_trait::async_trait;
use http::{StatusCode, header};
use portunus_core::{
    Timestamp,
    audit::{AuditRecord, CallOutcome, ChainedRecord, Event},
};
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    syslog::severity,
    target::{NotTaken, Taken, Target},
};
use crate::{
    config::OtlpConfig,
    net::{self, NetError},
};

/// Of an answer so much is read.
const ANSWER: usize = 64 * 1024;
/// Of a refusal so much is told.
const TOLD: usize = 200;
/// The bytes of one request, if it has more than one record: below what proxies before collectors
/// take by default, which is 1 MiB.
const REQUEST: usize = 512 * 1024;
/// Records of one request.
const MOST: usize = 256;
/// Records in a row that are set aside at once. A collector that refuses more is likely to refuse
/// all: then one is set aside after each pause, and the others wait for an administrator.
const IN_A_ROW: u32 = 16;
const PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Otlp {
    client: Client,
    url: Url,
    headers: http::HeaderMap,
    host: String,
    /// Records of the next request: halved when one is refused, more again when one is taken.
    most: usize,
    /// Records that were refused by themselves since one was taken, and whether the last was waited
    /// for.
    refused: u32,
    has_waited: bool,
}

/// An answer, as far as it matters.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: PartialSuccess,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    /// JSON of protocol buffers has large numbers as texts.
    rejected_log_records: Option<Value>,
    error_message: String,
}

impl Otlp {
    pub(super) fn new(config: &OtlpConfig, host: &str) -> Result<Self, NetError> {
        Ok(Self {
            client: net::collector_client(&config.authorities.pem)?,
            url: config.url.clone(),
            headers: config.header_map(),
            host: host.to_owned(),
            most: MOST,
            refused: 0,
            has_waited: false,
        })
    }
}

#[async_trait]
impl Target for Otlp {
    async fn send(&mut self, records: &[ChainedRecord]) -> Result<Taken, NotTaken> {
        loop {
            let (body, count) = request_of(records, self.most, &self.host);
            let response = self.ask(body).await?;
            let status = response.status();
            let after = retry_after(&response);
            let body = read(response).await;
            if status.is_success() {
                self.most = (self.most + self.most.div_ceil(4)).min(MOST);
                (self.refused, self.has_waited) = (0, false);
                return Ok(taken(&body, count));
            }
            let told = String::from_utf8_lossy(body.get(..TOLD).unwrap_or(&body)).into_owned();
            let why = format!("the receiver answered {status}: {told}");
            let is_refused =
                matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
            match records.first().filter(|_| is_refused) {
                None => return Err(NotTaken { after, ..NotTaken::because(&why) }),
                // bounded: half of them each time.
                Some(_) if count > 1 => self.most = count / 2,
                Some(_) if self.refused >= IN_A_ROW && !self.has_waited => {
                    self.has_waited = true;
                    let why = format!("each of {IN_A_ROW} records was refused by itself; {why}");
                    return Err(NotTaken { after: Some(PAUSE), ..NotTaken::because(&why) });
                }
                Some(record) => {
                    (self.refused, self.has_waited) = (self.refused + 1, false);
                    let taken = Taken { count: 1, ..Taken::default() };
                    return Ok(taken.but(1, &what_to_do(record, status, &told)));
                }
            }
        }
    }
}

impl Otlp {
    async fn ask(&self, body: String) -> Result<Response, NotTaken> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        request.send().await.map_err(|error| NotTaken::because(&without_url(error)))
    }
}

/// Of one record that is refused for good.
fn what_to_do(record: &ChainedRecord, status: StatusCode, told: &str) -> String {
    let advice = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "let the collector, and proxies before it, take larger requests"
    } else {
        "see in the collector's log why, and whether audit.otlp leads to one that takes OTLP as JSON"
    };
    let ChainedRecord { chain, seq, .. } = record;
    format!(
        "record {seq} of chain {chain} was refused by itself, and is set aside (`portunus audit export` has it): {advice}; the receiver answered {status}: {told}"
    )
}

/// A URL may hold a token.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}

/// Seconds, or a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let now = response.headers().get(header::DATE)?.to_str().ok()?;
    date.duration_since(httpdate::parse_http_date(now).ok()?).ok()
}

/// The body, as far as it is of use: what is longer is no answer of OTLP.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER {
            body.truncate(ANSWER);
            break;
        }
    }
    body
}

/// What an answer that says that all is well says of what was left out.
fn taken(body: &[u8], count: usize) -> Taken {
    let Answer { partial_success } = serde_json::from_slice(body).unwrap_or_default();
    let refused = match partial_success.rejected_log_records {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(Value::Number(number)) => number.as_u64().unwrap_or_default(),
        _ => 0,
    };
    Taken { count, ..Taken::default() }.but(refused, &partial_success.error_message)
}

/// `ExportLogsServiceRequest`, as protocol buffers are written in JSON; with so many of the records
/// as may be in one request, and one at least.
fn request_of(records: &[ChainedRecord], most: usize, host: &str) -> (String, usize) {
    let of_the_service = json!([
        attribute("service.name", "portunus"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("server.address", host),
    ]);
    let mut request = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":{of_the_service}}},"scopeLogs":[{{"scope":{{"name":"portunus.audit"}},"logRecords":["#
    );
    let mut count = 0;
    for record in records.iter().take(most.max(1)) {
        let record = log_record(record).to_string();
        if count > 0 {
            if request.len() + record.len() > REQUEST {
                break;
            }
            request.push(',');
        }
        request.push_str(&record);
        count += 1;
    }
    request.push_str("]}]}]}");
    (request, count)
}

fn log_record(record: &ChainedRecord) -> Value {
    let read = record.read();
    let event = read.as_ref().map_or("unreadable", |read| read.event.word());
    let is_warning = read.as_ref().is_none_or(|read| severity(&read.event) == 4 || failed(read));
    let (number, text) = if is_warning { (13, "WARN") } else { (9, "INFO") };
    json!({
        "timeUnixNano": nanos(record.at),
        "severityNumber": number,
        "severityText": text,
        "eventName": format!("portunus.audit.{event}"),
        "body": {"stringValue": record.line()},
        "attributes": attributes(record, read.as_ref()),
    })
}

fn failed(read: &AuditRecord) -> bool {
    matches!(&read.event, Event::Call(call)
        if matches!(call.outcome, CallOutcome::PolicyRefused | CallOutcome::InsufficientScope))
}

fn attributes(record: &ChainedRecord, read: Option<&AuditRecord>) -> Vec<Value> {
    let mut attributes = vec![
        attribute("portunus.audit.chain", record.chain.as_str()),
        attribute("portunus.audit.seq", record.seq.to_string()),
        attribute("portunus.audit.hash", record.hash.to_string()),
    ];
    if let Some(AuditRecord { person, origin, event, .. }) = read {
        let call = match event {
            Event::Call(call) => (call.server.clone(), Some(call.name.clone())),
            _ => (None, None),
        };
        let further = [
            ("user.id", person.user.clone()),
            ("user.email", person.email.clone()),
            ("oauth.client.id", person.client.clone()),
            ("client.address", origin.address.map(|address| address.to_string())),
            ("portunus.outcome", event.outcome().map(str::to_owned)),
            ("portunus.server", call.0),
            ("portunus.tool", call.1),
        ];
        let there = further.into_iter().filter_map(|(name, value)| Some((name, value?)));
        attributes.extend(there.map(|(name, value)| attribute(name, value)));
    }
    attributes
}

fn attribute(key: &str, value: impl Into<String>) -> Value {
    json!({"key": key, "value": {"stringValue": value.into()}})
}

/// Numbers of 64 bits are texts there.
fn nanos(at: Timestamp) -> String {
    (i128::from(at.as_millis().max(0)) * 1_000_000).to_string()
}
