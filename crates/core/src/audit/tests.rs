//! Chains as they are written, and each way of tampering with one: found, and named with its
//! position.

use std::net::Ipv4Addr;

use super::{
    chain::{Chain, ChainedRecord},
    entry::{Entry, Origin, Person, shortened},
    event::{Call, CallKind, CallOutcome, Event, RefusalReason},
    filter::AuditFilter,
    finding::{Finding, Problem},
    head::ChainHead,
    key::{AuditKeys, Signature},
    merge::merge_by_time,
    position::ChainId,
    verify::Verifier,
};
use crate::{clock::Timestamp, ids::NodeId};

fn keys() -> AuditKeys {
    AuditKeys::new([[1; 32]])
}

fn call(n: u64) -> Entry {
    Entry {
        at: Timestamp::from_secs(1_000 + i64::try_from(n).unwrap()),
        person: Person {
            user: Some("ptn_user_a".to_owned()),
            subject: Some("00ualice".to_owned()),
            email: Some("alice@example.com".to_owned()),
            client: Some("ptn_client_1".to_owned()),
            agent_key: Some("ptn_grant_1".to_owned()),
            account: None,
        },
        origin: Origin {
            address: Some(Ipv4Addr::LOCALHOST.into()),
            request_id: Some(format!("request-{n}")),
        },
        event: Event::Call(Call {
            kind: CallKind::Tool,
            server: Some("dice".to_owned()),
            name: "roll".to_owned(),
            outcome: CallOutcome::Ok,
            code: None,
            ms: 3,
            times: None,
            request_bytes: 20,
            answer_bytes: 40,
            would_refuse: None,
        }),
    }
}

/// Ten records, a checkpoint behind the fifth and at the end: twelve.
fn written(name: &str) -> (Vec<ChainedRecord>, ChainHead) {
    let mut chain =
        Chain::begin(ChainId::from_text(name), NodeId::from_text(format!("node-of-{name}")));
    let mut records = Vec::new();
    for n in 1..=10 {
        records.push(chain.append(call(n)));
        if n == 5 || n == 10 {
            records.push(chain.checkpoint(Timestamp::from_secs(2_000), &keys()));
        }
    }
    (records, chain.head(&keys()))
}

fn verified(records: &[ChainedRecord], head: Option<&ChainHead>, keys: &AuditKeys) -> Vec<Finding> {
    let mut verifier = Verifier::new(keys);
    let mut reading = verifier.chain(&ChainId::from_text("gateway-1"), head, false);
    for record in records {
        reading.take(record);
    }
    reading.finish();
    verifier.finish()
}

#[test]
fn what_was_written_is_sound() {
    let (records, head) = written("gateway-1");
    assert_eq!(records.len(), 12);
    assert_eq!(verified(&records, Some(&head), &keys()), []);
}

type Tampering = (&'static str, fn(&mut Vec<ChainedRecord>, &mut ChainHead), Vec<(u64, Problem)>);

/// As an attacker would who has the store and knows how hashes are made, and has no key.
fn rehash(records: &mut [ChainedRecord], from: usize) {
    for at in from..records.len() {
        records[at].hash = records[at - 1].hash.follow(&records[at].text);
    }
}

fn renumber(records: &mut [ChainedRecord], from: usize) {
    for (at, record) in records.iter_mut().enumerate().skip(from) {
        let (old, new) = (record.seq, at as u64 + 1);
        record.seq = new;
        record.text = record.text.replace(&format!("\"seq\":{old},"), &format!("\"seq\":{new},"));
    }
}

/// Ways of tampering: `./test audit` prints how many there are.
const FORMS: usize = 20;

// long: one entry for each way of tampering.
#[test]
fn each_way_of_tampering_is_found_with_its_position() {
    use Problem as P;
    let cases: Vec<Tampering> = vec![
        (
            "changed",
            |records, _| records[3].text = records[3].text.replace("alice", "mallet"),
            vec![(4, P::Changed)],
        ),
        (
            "changed, with a hash that fits",
            |records, _| {
                records[3].text = records[3].text.replace("alice", "mallet");
                records[3].hash = records[2].hash.follow(&records[3].text);
            },
            vec![(5, P::Changed)],
        ),
        (
            "changed, with all hashes that follow",
            |records, _| {
                records[3].text = records[3].text.replace("alice", "mallet");
                rehash(records, 3);
            },
            vec![(6, P::CheckpointForged), (12, P::CheckpointForged), (12, P::OtherEnd)],
        ),
        ("removed", |records, _| drop(records.remove(3)), vec![(4, P::Missing { to: 4 })]),
        (
            "removed, and closed up",
            |records, _| {
                records.remove(3);
                renumber(records, 3);
                rehash(records, 3);
            },
            vec![
                (5, P::CheckpointForged),
                (11, P::CheckpointForged),
                (12, P::MissingAtEnd { to: 12 }),
            ],
        ),
        (
            "reordered",
            |records, _| records.swap(3, 4),
            vec![(4, P::Missing { to: 4 }), (4, P::OutOfOrder)],
        ),
        (
            "reordered, under each other's numbers",
            |records, _| {
                records.swap(3, 4);
                records[3].seq = 4;
                records[4].seq = 5;
            },
            vec![
                (4, P::Misplaced),
                (4, P::Changed),
                (5, P::Misplaced),
                (5, P::Changed),
                (6, P::Changed),
                (6, P::CheckpointForged),
            ],
        ),
        (
            "beside its text another time",
            |records, _| records[3].at = Timestamp::from_secs(1),
            vec![(4, P::Misplaced)],
        ),
        (
            "numbers that no chain has",
            |records, _| {
                let (mut first, mut last) = (records[0].clone(), records[11].clone());
                (first.seq, last.seq) = (0, u64::MAX);
                records.insert(0, first);
                records.push(last.clone());
                records.push(last);
            },
            vec![(0, P::OutOfOrder), (u64::MAX, P::Appended), (u64::MAX, P::OutOfOrder)],
        ),
        (
            "a checkpoint of the last number there is",
            |records, _| {
                let largest = format!("\"through\":{}", u64::MAX);
                records[5].text = records[5].text.replace("\"through\":5", &largest);
            },
            vec![(6, P::Changed), (6, P::CheckpointForged)],
        ),
        (
            "duplicated",
            |records, _| records.insert(4, records[3].clone()),
            vec![(4, P::OutOfOrder)],
        ),
        (
            "cut off at the end",
            |records, _| records.truncate(9),
            vec![(10, P::MissingAtEnd { to: 12 })],
        ),
        (
            "cut off at the end, behind a checkpoint, with a head of one's own",
            |records, head| {
                records.truncate(6);
                (head.last, head.last_hash) = (6, records[5].hash);
            },
            vec![(0, P::HeadForged)],
        ),
        ("all cut off", |records, _| records.clear(), vec![(1, P::MissingAtEnd { to: 12 })]),
        (
            "cut off at the start",
            |records, _| drop(records.drain(..2)),
            vec![(1, P::MissingAtStart { to: 2 })],
        ),
        (
            "appended by hand",
            |records, _| {
                let mut forged = records[11].clone();
                forged.seq = 13;
                forged.text = forged.text.replace("\"seq\":12,", "\"seq\":13,");
                forged.hash = records[11].hash.follow(&forged.text);
                records.push(forged);
            },
            vec![(13, P::Appended)],
        ),
        (
            "two chains swapped",
            |records, _| *records = written("gateway-2").0,
            (1..=12)
                .flat_map(|seq| {
                    let mut found = vec![(seq, P::Misplaced)];
                    // From the second on it is the other chain's that follows itself.
                    found.extend((seq == 1).then_some((seq, P::Changed)));
                    found.extend((seq == 6 || seq == 12).then_some((seq, P::CheckpointForged)));
                    found.extend((seq == 12).then_some((seq, P::OtherEnd)));
                    found
                })
                .collect(),
        ),
        (
            "two chains swapped, with their heads",
            |records, head| (*records, *head) = written("gateway-2"),
            [(0, P::HeadForged)]
                .into_iter()
                .chain((1..=12).flat_map(|seq| {
                    let mut found = vec![(seq, P::Misplaced)];
                    found.extend((seq == 6 || seq == 12).then_some((seq, P::CheckpointForged)));
                    found
                }))
                .collect(),
        ),
        (
            "a checkpoint removed",
            |records, _| drop(records.remove(5)),
            vec![(6, P::Missing { to: 6 })],
        ),
        (
            "not a record",
            |records, _| records[3].text = "{}".to_owned(),
            vec![(4, P::Unreadable), (4, P::Changed)],
        ),
    ];
    assert_eq!(cases.len(), FORMS);
    for (name, tamper, expected) in cases {
        let (mut records, mut head) = written("gateway-1");
        tamper(&mut records, &mut head);
        let found: Vec<_> = verified(&records, Some(&head), &keys())
            .into_iter()
            .map(|finding| (finding.seq, finding.problem))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
    let (records, _) = written("gateway-1");
    let found = verified(&records, None, &keys());
    assert_eq!(found.iter().map(|found| &found.problem).collect::<Vec<_>>(), [&P::NoHead]);
    assert_eq!(Verifier::new(&keys()).finish()[0].problem, P::NothingRecorded);
}

#[test]
fn a_start_that_was_deleted_in_its_time_is_sound() {
    let (mut records, head) = written("gateway-1");
    let head = keys().sign(head.without(4, records[3].hash));
    records.drain(..4);
    assert_eq!(verified(&records, Some(&head), &keys()), []);
    records.clear();
    let (all, head) = written("gateway-1");
    let head = keys().sign(head.without(12, all[11].hash));
    assert_eq!(verified(&[], Some(&head), &keys()), []);
}

#[test]
fn what_is_deleted_in_its_time_while_it_is_read_is_not_missed() {
    let (records, head) = written("gateway-1");
    let keys = keys();
    let now = |through: usize| keys.sign(head.without(through as u64, records[through - 1].hash));
    // Read before, the head by then, the first record that is read after that, and what is found.
    let cases = [
        (2, now(5), 5, vec![]),
        (2, now(12), 12, vec![]),
        (0, now(4), 4, vec![]),
        // Less was deleted than is gone.
        (2, now(4), 5, vec![(5, Problem::Missing { to: 5 })]),
        // It is not signed.
        (2, head.without(5, records[4].hash), 5, vec![(3, Problem::Missing { to: 5 })]),
        // It does not lead to what follows.
        (
            2,
            keys.sign(head.without(5, records[3].hash)),
            5,
            vec![(6, Problem::Changed), (6, Problem::CheckpointForged)],
        ),
    ];
    for (at, (before, by_then, first, expected)) in cases.into_iter().enumerate() {
        let mut verifier = Verifier::new(&keys);
        let mut reading = verifier.chain(&head.chain, Some(&head), false);
        for record in &records[..before] {
            reading.take(record);
        }
        reading.go_on_from(&by_then);
        for record in &records[first..] {
            reading.take(record);
        }
        reading.finish();
        let found: Vec<_> =
            verifier.finish().into_iter().map(|found| (found.seq, found.problem)).collect();
        assert_eq!(found, expected, "case {at}");
    }
}

#[test]
fn checkpoints_that_never_came_are_missed() {
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    let records: Vec<_> = (0..4_001).map(|n| chain.append(call(n))).collect();
    let found = verified(&records, Some(&chain.head(&keys())), &keys());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].seq, &found[0].problem), (4_000, &Problem::CheckpointMissing));
}

#[test]
fn what_an_earlier_secret_signed_is_sound_while_it_is_known_or_vouched_for() {
    let (records, head) = written("gateway-1");
    let (both, new) = (AuditKeys::new([[2; 32], [1; 32]]), AuditKeys::new([[2; 32]]));
    assert_eq!(verified(&records, Some(&head), &both), []);
    let found = verified(&records, Some(&head), &new);
    assert_eq!(found[0].problem, Problem::HeadUnknownKey);
    assert_eq!(found.len(), 3, "its two checkpoints: {found:?}");
    // The head is signed anew with the first append under the new secret.
    assert_eq!(verified(&records, Some(&both.sign(head.clone())), &new), []);
    assert_eq!(new.check_head(&head), Signature::UnknownKey);
}

#[test]
fn a_chain_that_is_gone_is_missed_by_those_that_name_it() {
    let (records, head) = written("gateway-1");
    let started = |position| Entry {
        event: Event::Started { version: "0".to_owned(), beside: vec![position] },
        ..call(1)
    };
    let mut other = Chain::begin(ChainId::from_text("gateway-2"), NodeId::from_text("node"));
    let second = other.append(started(head.position()));
    let verify = |is_there: bool, head: &ChainHead, records: &[ChainedRecord]| {
        let keys = keys();
        let mut verifier = Verifier::new(&keys);
        if is_there {
            let mut reading = verifier.chain(&head.chain, Some(head), false);
            for record in records {
                reading.take(record);
            }
            reading.finish();
        }
        let mut reading = verifier.chain(other.id(), Some(&other.head(&keys)), false);
        reading.take(&second);
        reading.finish();
        let named: Vec<_> = verifier.named().cloned().collect();
        for position in named {
            if let Some(record) = records.iter().find(|record| record.seq == position.seq) {
                verifier.found(&position, record.hash);
            }
        }
        verifier.finish()
    };
    assert_eq!(verify(true, &head, &records), []);
    let found = verify(false, &head, &[]);
    assert_eq!((found[0].chain.as_str(), found[0].seq), ("gateway-2", 1));
    assert_eq!(found[0].problem, Problem::ChainMissing { other: head.position() });
    // Its records are there, and no list has the chain.
    assert_eq!(verify(false, &head, &records), found);
    // Deleted in its time, as a whole.
    let expired = keys().sign(head.without(12, head.last_hash));
    assert_eq!(verify(true, &expired, &[]), []);
}

#[test]
fn of_a_file_it_is_told_what_no_checkpoint_vouches_for() {
    use Problem as P;
    type Case = (&'static str, fn(&mut Vec<ChainedRecord>), Vec<(u64, Problem)>, u64);
    let cases: Vec<Case> = vec![
        ("whole", |_| (), vec![], 0),
        // The first one's hash is made with one that is not at hand.
        ("of the middle", |records| drop(records.drain(..2)), vec![], 1),
        ("with a gap", |records| drop(records.drain(2..4)), vec![(3, P::Missing { to: 4 })], 3),
        ("cut off behind a checkpoint", |records| records.truncate(6), vec![], 0),
        ("cut off elsewhere", |records| records.truncate(9), vec![], 3),
        ("without any checkpoint", |records| records.truncate(5), vec![], 5),
        (
            "made anew behind a checkpoint, without a key",
            |records| {
                records.truncate(9);
                records[7].text = records[7].text.replace("alice", "mallet");
                rehash(records, 7);
            },
            vec![],
            3,
        ),
        (
            "made anew, another chain's as its first",
            |records| {
                *records = written("gateway-2").0;
                records.truncate(3);
                for record in records {
                    record.text = record.text.replace("gateway-2", "gateway-1");
                }
            },
            vec![(1, P::Changed), (2, P::Changed), (3, P::Changed)],
            3,
        ),
    ];
    let keys = keys();
    for (name, tamper, expected, unvouched) in cases {
        let (mut records, _) = written("gateway-1");
        tamper(&mut records);
        let mut verifier = Verifier::new(&keys);
        let mut reading = verifier.chain(&ChainId::from_text("gateway-1"), None, true);
        for record in &records {
            reading.take(record);
        }
        reading.finish();
        assert_eq!(verifier.unvouched(), unvouched, "{name}");
        let found: Vec<_> =
            verifier.finish().into_iter().map(|found| (found.seq, found.problem)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_line_reads_back() {
    for record in written("gateway-1").0 {
        assert_eq!(ChainedRecord::from_line(&record.line()), Some(record.clone()));
        assert!(record.read().is_some());
    }
    assert_eq!(ChainedRecord::from_line("{}"), None);
}

#[test]
fn t64_a_line_steers_no_terminal_and_says_the_same() {
    let name = "a\u{1b}[2Jb\u{9b}31mc\u{202e}d\u{200b}e\u{2028}f\u{7f}";
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    let event = Event::ClientRegistered { name: name.to_owned() };
    let record = chain.append(Entry { event: event.clone(), ..call(1) });
    assert_eq!(record.read().unwrap().event, event);
    assert_eq!(ChainedRecord::from_line(&record.line()), Some(record.clone()));
    // A writer of the store is bound by nothing.
    let by_hand = [
        record.text.clone(),
        record.text.replace("\\u202e", "\u{202e}"),
        record.text.replace("\\u001b", "\u{1b}"),
        record.text.replacen('{', "{\n\r", 1),
        "\u{1b}]0;title\u{7}".to_owned(),
        "{}".to_owned(),
        "{\"a\":1".to_owned(),
        "\"}".to_owned(),
    ];
    for text in by_hand {
        let line = ChainedRecord { text, ..record.clone() }.line();
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line:?}");
        assert!(
            line.chars().all(|c| !c.is_control()
                && !crate::text::is_invisible(c)
                && !crate::text::is_line_separator(c)),
            "{line:?}"
        );
    }
}

#[test]
fn what_a_head_says_of_targets_is_signed() {
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    chain.append(call(1));
    let plain = chain.head(&keys());
    assert_eq!(serde_json::to_value(&plain).unwrap().get("sent"), None, "as before it was known");
    chain.note_sent([("syslog".to_owned(), 1)].into());
    let head = chain.head(&keys());
    assert_eq!(keys().check_head(&head), Signature::Good);
    assert_ne!(head.signature, plain.signature);
    let read: ChainHead = serde_json::from_str(&serde_json::to_string(&head).unwrap()).unwrap();
    assert_eq!(read, head);
    let forged = ChainHead { sent: [("syslog".to_owned(), 9)].into(), ..head };
    assert_eq!(keys().check_head(&forged), Signature::Forged);
}

#[test]
fn what_strangers_choose_is_cut() {
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    let record = chain
        .append(Entry { event: Event::ClientRegistered { name: "ä".repeat(10_000) }, ..call(1) });
    assert!(record.text.len() < 800, "{}", record.text);
    assert!(record.text.contains('…'));
}

#[test]
fn what_was_cut_takes_no_memory_and_is_cut_once() {
    for letter in ["a", "ä", "€", "𝄞"] {
        for before in 0..4 {
            let name = "a".repeat(before) + &letter.repeat(100_000);
            let entry = Entry { event: Event::ClientRegistered { name }, ..call(1) };
            let mut cut = entry.bounded();
            assert!(cut.size() < size_of::<Entry>() + 500, "{}", cut.size());
            let Event::ClientRegistered { name } = &cut.event else { panic!("another event") };
            assert!(name.capacity() < 300, "{}", name.capacity());
            assert_eq!(shortened(name), *name);
        }
    }
}

#[test]
fn chains_are_merged_by_time_and_keep_their_own_order() {
    let at = |chain: &str, seconds: i64, seq| ChainedRecord {
        chain: ChainId::from_text(chain),
        seq,
        at: Timestamp::from_secs(seconds),
        text: String::new(),
        hash: ChainId::from_text(chain).beginning(),
    };
    // The second record of the first chain was written by a clock that had gone back.
    let merged = merge_by_time(vec![
        vec![at("a", 10, 1), at("a", 5, 2), at("a", 30, 3)],
        vec![at("b", 1, 1), at("b", 20, 2)],
    ]);
    let order: Vec<_> = merged.iter().map(|record| (record.chain.as_str(), record.seq)).collect();
    assert_eq!(order, [("b", 1), ("a", 1), ("a", 2), ("b", 2), ("a", 3)]);
}

#[test]
fn filters_want_what_they_name() {
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    let record = chain.append(call(1)).read().unwrap();
    let refused = chain
        .append(Entry {
            event: Event::Refused { reason: RefusalReason::WrongResource, about: None },
            ..call(2)
        })
        .read()
        .unwrap();
    let text = |text: &str| Some(text.to_owned());
    let none = AuditFilter::default;
    let cases = [
        (none(), true, true),
        (AuditFilter { person: text("ALICE@example.com"), ..none() }, true, true),
        (AuditFilter { person: text("00ualice"), ..none() }, true, true),
        (AuditFilter { person: text("bob"), ..none() }, false, false),
        (AuditFilter { client: text("ptn_client_1"), ..none() }, true, true),
        (AuditFilter { client: text("ptn_client_2"), ..none() }, false, false),
        (AuditFilter { agent_key: text("ptn_grant_1"), ..none() }, true, true),
        (AuditFilter { agent_key: text("ptn_grant_2"), ..none() }, false, false),
        (AuditFilter { server: text("dice"), ..none() }, true, false),
        (AuditFilter { tool: text("roll"), ..none() }, true, false),
        (AuditFilter { outcome: text("ok"), ..none() }, true, false),
        (AuditFilter { outcome: text("wrong_resource"), ..none() }, false, true),
        (AuditFilter { event: text("call"), ..none() }, true, false),
        (AuditFilter { since: Some(Timestamp::from_secs(1_002)), ..none() }, false, true),
        (AuditFilter { until: Some(Timestamp::from_secs(1_002)), ..none() }, true, false),
    ];
    for (filter, call, refusal) in cases {
        assert_eq!(
            (filter.matches(&record), filter.matches(&refused)),
            (call, refusal),
            "{filter:?}"
        );
    }
}

#[test]
fn changed_groups_are_named_up_to_a_number() {
    let groups = |names: std::ops::Range<usize>| -> Vec<String> {
        names.map(|n| format!("group-{n}")).collect()
    };
    // Before, after; how many of those added and removed are named, and how many are not.
    let cases = [
        (0..3, 0..3, None),
        (0..0, 0..2, Some((2, 0, 0))),
        (0..2, 1..2, Some((0, 1, 0))),
        (0..3, 2..5, Some((2, 2, 0))),
        (0..100, 90..121, Some((20, 20, 71))),
    ];
    for (then, now, expected) in cases {
        let changed = Event::groups_changed(&groups(then.clone()), &groups(now.clone()));
        let counted = changed.map(|event| match event {
            Event::GroupsChanged { added, removed, more } => (added.len(), removed.len(), more),
            other => panic!("{other:?}"),
        });
        assert_eq!(counted, expected, "{then:?} {now:?}");
    }
    let swapped = ["b", "a"].map(str::to_owned);
    assert_eq!(Event::groups_changed(&["a", "b"].map(str::to_owned), &swapped), None, "no order");
    let long = vec!["x".repeat(10_000)];
    let event = Event::groups_changed(&[], &long).unwrap();
    let entry = Entry { event, ..call(1) }.bounded();
    assert!(matches!(&entry.event, Event::GroupsChanged { added, .. } if added[0].len() < 300));
}
