//! What targets get: every record the store has, in order, whatever becomes of connections, of
//! receivers and of the gateway; and what they never get is counted and recorded. Collectors are
//! next door ([`otlp`]).

mod otlp;

use std::{
    collections::BTreeSet, fs, io::Write as _, net::SocketAddr, path::Path, process::Command,
};

use portunus_core::audit::{AuditFilter, ChainedRecord, Event};
use portunus_testkit::{collectors::SyslogReceiver, port::ReservedPort, wait::eventually};

use super::{
    file::Lines,
    syslog::message_of,
    target::{Taken, Target as _},
};
use crate::{
    audit::tests::{Fixture, PATIENCE, keys, told},
    config::{AuditConfig, SinkTarget, SyslogConfig},
};

fn to_syslog(address: SocketAddr) -> AuditConfig {
    let syslog = SyslogConfig::with_defaults(address.to_string(), None);
    AuditConfig { syslog: Some(Box::new(syslog)), ..AuditConfig::default() }
}

fn to_file(path: &Path) -> AuditConfig {
    AuditConfig { file: Some(SinkTarget::File(path.to_owned())), ..AuditConfig::default() }
}

async fn lines(fixture: &Fixture) -> Vec<String> {
    let records = fixture.store.find_records(&AuditFilter::default(), 100_000).await.unwrap();
    records.iter().map(ChainedRecord::line).collect()
}

/// The lines of the records in messages of syslog.
fn received(receiver: &SyslogReceiver) -> Vec<String> {
    let line = |message: &String| message.split_once("] ").unwrap().1.to_owned();
    receiver.messages().iter().map(line).collect()
}

/// Each once, where it came first.
fn once(lines: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.into_iter().filter(|line| seen.insert(line.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syslog_receiver_gets_each_record_once_and_in_order() {
    let (fixture, receiver) = (Fixture::new(), SyslogReceiver::start().await);
    // Two runs: the second begins where the first has ended.
    for run in 1..=2 {
        let log = fixture.begin(run, &to_syslog(receiver.address())).await;
        for _ in 0..600 {
            told(&log, "okta");
        }
        log.stop(PATIENCE).await;
        assert_eq!(log.counts().targets[0].waiting, 0);
    }
    let expected = lines(&fixture).await;
    assert_eq!(expected.len(), 2 * 603, "started, stopped, and a checkpoint each");
    assert_eq!(received(&receiver), expected);
    let first = receiver.messages().remove(0);
    let process = std::process::id();
    let header = format!(
        "<110>1 2026-03-03T12:00:00.000Z gateway.example portunus {process} started [portunus@32473 chain=\"gateway-"
    );
    assert!(first.starts_with(&header), "{first}");
    assert_eq!(fixture.findings().await, []);
}

#[test]
fn what_strangers_choose_does_not_leave_its_place_in_a_message() {
    use portunus_core::{
        audit::{Chain, ChainId, Entry, Origin, Person},
        ids::NodeId,
    };
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    let email = Some("a\"] <13>1 - - \\ \n\u{9b}x".to_owned());
    let record = chain.append(Entry {
        at: crate::audit::tests::NOW,
        person: Person { email, ..Person::default() },
        origin: Origin::default(),
        event: Event::Stopped,
    });
    let message = message_of(&record);
    let escaped = "email=\"a\\\"\\] <13>1 - - \\\\ \u{fffd}\u{fffd}x\"] {";
    assert!(message.contains(escaped), "{message}");
    assert!(message.ends_with(&record.line()));
    assert!(!message.contains('\n'), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_nothing() {
    let (fixture, receiver) = (Fixture::new(), SyslogReceiver::start().await);
    let log = fixture.begin(1, &to_syslog(receiver.address())).await;
    for round in 0..5 {
        for _ in 0..300 {
            told(&log, "okta");
        }
        eventually("some of it arrives", async || {
            once(received(&receiver)).len() > 1 + round * 300
        })
        .await;
        receiver.cut();
    }
    eventually("all is taken", async || log.counts().targets[0].waiting == 0).await;
    log.stop(PATIENCE).await;
    assert_eq!(once(received(&receiver)), lines(&fixture).await);
    assert!(receiver.connections() >= 5, "{}", receiver.connections());
    assert_eq!(log.counts().targets[0].lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stands_still_holds_up_nothing() {
    let (fixture, receiver) = (Fixture::new(), SyslogReceiver::start().await);
    let log = fixture.begin(1, &to_syslog(receiver.address())).await;
    receiver.stall(true);
    // More than any socket keeps.
    for _ in 0..12_000 {
        log.admit().await.unwrap();
        told(&log, &"x".repeat(200));
    }
    eventually("the store has them", async || log.counts().waiting_bytes == 0).await;
    let counts = log.counts();
    assert_eq!(counts.dropped, 0);
    assert!(counts.targets[0].waiting > 0, "{counts:?}");
    receiver.stall(false);
    eventually("the receiver has them", async || log.counts().targets[0].waiting == 0).await;
    log.stop(PATIENCE).await;
    assert_eq!(once(received(&receiver)), lines(&fixture).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_missed_it_gets_from_the_next_run() {
    let (fixture, reserved) = (Fixture::new(), ReservedPort::any());
    let address = SocketAddr::from(([127, 0, 0, 1], reserved.port()));
    let log = fixture.begin(1, &to_syslog(address)).await;
    told(&log, "nobody listens");
    log.stop(PATIENCE).await;
    let missed = log.counts().targets[0];
    assert!(missed.failures > 0 && missed.sent == 0 && missed.waiting > 0, "{missed:?}");
    let receiver = SyslogReceiver::at(address, None).await;
    let log = fixture.begin(2, &to_syslog(address)).await;
    eventually("all is taken", async || log.counts().targets[0].waiting == 0).await;
    log.stop(PATIENCE).await;
    assert_eq!(received(&receiver), lines(&fixture).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_new_gets_what_comes_from_then_on() {
    let (fixture, receiver) = (Fixture::new(), SyslogReceiver::start().await);
    let log = fixture.begin(1, &AuditConfig::default()).await;
    told(&log, "before");
    log.stop(PATIENCE).await;
    let before = lines(&fixture).await.len();
    let log = fixture.begin(2, &to_syslog(receiver.address())).await;
    log.stop(PATIENCE).await;
    assert_eq!(received(&receiver), lines(&fixture).await.split_off(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_it_was_sent_is_counted_and_recorded() {
    let (fixture, reserved) = (Fixture::new(), ReservedPort::any());
    let address = SocketAddr::from(([127, 0, 0, 1], reserved.port()));
    let log = fixture.begin(1, &to_syslog(address)).await;
    told(&log, "nobody listens");
    log.stop(PATIENCE).await;
    let head = fixture.store.list_chains().await.unwrap().remove(0).head.unwrap();
    let third = fixture.store.read_records(&head.chain, 3, 1).await.unwrap().remove(0);
    let after = keys().sign(head.without(3, third.hash));
    fixture.store.delete_records(&head, &after).await.unwrap();
    let receiver = SyslogReceiver::at(address, None).await;
    let log = fixture.begin(2, &to_syslog(address)).await;
    eventually("the rest arrives", async || log.counts().targets[0].waiting == 0).await;
    log.stop(PATIENCE).await;
    assert_eq!(log.counts().targets[0].lost, 3);
    let records = fixture.records().await;
    let told: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::NotSent { target, count } => Some((target.as_str(), *count)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [("syslog", 3)]);
    assert_eq!(received(&receiver), lines(&fixture).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_the_same_lines_and_is_put_aside_when_it_is_large() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("audit.jsonl");
    let config = AuditConfig { rotate_bytes: 900, ..to_file(&path) };
    for run in 1..=2 {
        let log = fixture.begin(run, &config).await;
        let before = fixture.records().await.len();
        told(&log, "okta");
        // In a batch of its own.
        eventually("it is written", async || fixture.records().await.len() > before).await;
        log.stop(PATIENCE).await;
    }
    let mut written = String::new();
    for number in (1..10).rev() {
        let aside = fixture.folder.path().join(format!("audit.jsonl.{number}"));
        written.push_str(&fs::read_to_string(aside).unwrap_or_default());
    }
    assert!(!written.is_empty(), "nothing was put aside");
    written.push_str(&fs::read_to_string(&path).unwrap());
    let written: Vec<_> = written.lines().map(str::to_owned).collect();
    assert_eq!(written, lines(&fixture).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_more_than_was_noted_gets_nothing_twice() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("audit.jsonl");
    let log = fixture.begin(1, &to_file(&path)).await;
    told(&log, "okta");
    log.stop(PATIENCE).await;
    // As after a kill: what was noted is behind what was written.
    let head = fixture.store.list_chains().await.unwrap().remove(0).head.unwrap();
    let mut before = head.clone();
    before.sent = [("file".to_owned(), 1)].into();
    let before = keys().sign(before);
    fixture.store.append(Some(&head), &before, &[]).await.unwrap();
    // Lines of commands are between the gateway's.
    let of_a_command = lines(&fixture).await[0].replace("gateway-", "command-");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{of_a_command}\n")).unwrap();
    let log = fixture.begin(2, &to_file(&path)).await;
    log.stop(PATIENCE).await;
    let mut expected = lines(&fixture).await;
    expected.insert(4, of_a_command);
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().map(str::to_owned).collect::<Vec<_>>(), expected);
}

/// As after a crash in the middle of a write, of the gateway or of a command.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_line_swallows_no_record() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("audit.jsonl");
    let log = fixture.begin(1, &to_file(&path)).await;
    told(&log, "okta");
    eventually("it is written", async || log.counts().targets[0].sent >= 2).await;
    let half = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    // While it is open, and between two runs.
    half("{\"chain\":\"command-1\",\"se");
    told(&log, "okta");
    log.stop(PATIENCE).await;
    half("{\"chain\":\"gateway-1\",");
    let log = fixture.begin(2, &to_file(&path)).await;
    log.stop(PATIENCE).await;
    let written = fs::read_to_string(&path).unwrap();
    let records = written.lines().filter_map(ChainedRecord::from_line);
    assert_eq!(records.map(|record| record.line()).collect::<Vec<_>>(), lines(&fixture).await);
    assert_eq!(written.lines().count(), lines(&fixture).await.len() + 2);
}

/// What a write that failed has left whole is not written a second time, and nothing is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_after_a_write_that_failed_is_not_written_again() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("audit.jsonl");
    let log = fixture.begin(1, &AuditConfig::default()).await;
    (0..3).for_each(|_| told(&log, "okta"));
    log.stop(PATIENCE).await;
    let head = fixture.store.list_chains().await.unwrap().remove(0).head.unwrap();
    let records = fixture.store.read_records(&head.chain, 1, 100).await.unwrap();
    let mut target = Lines::new(SinkTarget::File(path.clone()), u64::MAX);
    // A folder stands where the file belongs.
    fs::create_dir(&path).unwrap();
    target.send(&records).await.unwrap_err();
    fs::remove_dir(&path).unwrap();
    let of_a_command = records[0].line().replace("gateway-", "command-");
    let (first, second) = (records[0].line(), records[1].line());
    let left = format!("{first}\n{of_a_command}\n{}", &second[..second.len() / 2]);
    fs::write(&path, &left).unwrap();
    assert_eq!(target.send(&records).await, Ok(Taken::all(&records)));
    let rest: Vec<_> = records[1..].iter().map(ChainedRecord::line).collect();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("{left}\n{}\n", rest.join("\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_stands_still_holds_up_nothing() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("audit.jsonl");
    // Opening it waits for a reader, and there is none.
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let log = fixture.begin(1, &to_file(&path)).await;
    for _ in 0..1_000 {
        log.admit().await.unwrap();
        told(&log, "okta");
    }
    eventually("the store has them", async || log.counts().waiting_bytes == 0).await;
    log.stop(PATIENCE).await;
    assert!(fixture.words().await.contains(&"stopped"));
    assert!(log.counts().targets[0].waiting > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_gets_everything_later() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("not-yet");
    let log = fixture.begin(1, &to_file(&folder.join("audit.jsonl"))).await;
    told(&log, "okta");
    eventually("it fails", async || log.counts().targets[0].failures > 0).await;
    fs::create_dir(&folder).unwrap();
    eventually("it is written", async || log.counts().targets[0].waiting == 0).await;
    log.stop(PATIENCE).await;
    let written = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    assert_eq!(written.lines().map(str::to_owned).collect::<Vec<_>>(), lines(&fixture).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_targets_do_not_wait_for_one_another() {
    let (fixture, receiver) = (Fixture::new(), SyslogReceiver::start().await);
    let path = fixture.folder.path().join("audit.jsonl");
    let config =
        AuditConfig { file: Some(SinkTarget::File(path.clone())), ..to_syslog(receiver.address()) };
    receiver.stall(true);
    let log = fixture.begin(1, &config).await;
    told(&log, "okta");
    let of =
        |name: &str| log.counts().targets.into_iter().find(|counts| counts.name == name).unwrap();
    eventually("the file has it", async || of("file").sent >= 2).await;
    receiver.stall(false);
    log.stop(PATIENCE).await;
    assert_eq!(once(received(&receiver)), lines(&fixture).await);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), lines(&fixture).await.len());
}
