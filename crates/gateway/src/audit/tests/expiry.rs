//! What is old is deleted: in turns, only what is as it was written, and not on the word of a clock
//! that was just set.

use std::time::Duration;

use portunus_core::{
    Clock as _, Timestamp,
    audit::{Chain, ChainId, ChainedRecord, Event},
    ids::NodeId,
};
use tokio::time::Instant;

use super::{Fixture, NOW, PATIENCE, keys, told, writing};
use crate::{
    audit::{
        chain::{ChainEnd, own},
        expiry::{Retention, Verdict},
    },
    config::AuditConfig,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_deleted_and_not_missed() {
    let fixture = Fixture::new();
    let log = fixture.begin(1, &AuditConfig::default()).await;
    told(&log, "old");
    log.stop(PATIENCE).await;
    fixture.clock.advance(2 * DAY);
    let writing = writing(&fixture, 2, "gateway");
    let now = fixture.clock.now();
    let mut end = ChainEnd::open(writing, now).await.unwrap();
    // No step is left, one is, and then there is no more.
    let turn = end.expire(now - DAY, now, 0).await;
    assert_eq!((turn.told.len(), turn.result.unwrap()), (0, true));
    let turn = end.expire(now - DAY, now, 1).await;
    assert_eq!((turn.told.len(), turn.result.unwrap()), (1, false));
    end.push(turn.told, None);
    end.settle(now).await.unwrap();
    assert_eq!(fixture.words().await, ["started", "expired"]);
    assert_eq!(fixture.findings().await, []);
}

type Tamper = fn(&mut [ChainedRecord]);

/// A store with a chain of three records, of which `tamper` has changed what is kept.
async fn tampered(tamper: Tamper) -> Fixture {
    let fixture = Fixture::new();
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node-1"));
    let mut records: Vec<_> = (0..3).map(|_| chain.append(own(NOW, Event::Stopped))).collect();
    tamper(&mut records);
    fixture.store.append(None, &chain.head(&keys()), &records).await.unwrap();
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_not_deleted_however_old_it_seems() {
    let cases: [(Tamper, Duration, usize); 4] = [
        (|_| (), 2 * DAY, 0),
        // A time that is beside the text alone.
        (|records| records[0].at = Timestamp::from_millis(0), Duration::ZERO, 3),
        (|records| records[1].hash = records[0].hash, 2 * DAY, 2),
        (|records| records[2].text = records[2].text.replace("node-1", "node-9"), 2 * DAY, 1),
    ];
    for (at, (tamper, later, kept)) in cases.into_iter().enumerate() {
        let fixture = tampered(tamper).await;
        fixture.clock.advance(later);
        let writing = writing(&fixture, 2, "command");
        let now = fixture.clock.now();
        let mut end = ChainEnd::open(writing, now).await.unwrap();
        assert!(!end.expire(now - DAY, now, 10).await.result.unwrap(), "case {at}");
        let id = ChainId::from_text("gateway-1");
        let left = fixture.store.read_records(&id, 0, 100).await.unwrap();
        assert_eq!(left.len(), kept, "case {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn much_that_is_old_goes_in_turns_and_each_says_how_far() {
    let fixture = Fixture::new();
    let mut old = ChainEnd::open(writing(&fixture, 1, "gateway"), NOW).await.unwrap();
    for _ in 0..4 {
        let event = || own(NOW, Event::SignedIn { provider: "okta".to_owned() });
        old.push((0..400).map(|_| event()).collect(), None);
        old.settle(NOW).await.unwrap();
    }
    let (chain, _) = old.opened_at();
    let last = old.stored.clone().unwrap().last;
    fixture.clock.advance(2 * DAY);
    let now = fixture.clock.now();
    let mut end = ChainEnd::open(writing(&fixture, 2, "command"), now).await.unwrap();
    let mut through = Vec::new();
    // bounded: each turn deletes, until one has nothing to.
    loop {
        let turn = end.expire(now - DAY, now, 1).await;
        through.extend(turn.told.iter().map(|entry| match &entry.event {
            Event::Expired { of, through } if *of == chain => *through,
            event => panic!("{event:?}"),
        }));
        // What happens meanwhile is written between the turns.
        end.push(turn.told, None);
        end.settle(now).await.unwrap();
        if !turn.result.unwrap() {
            break;
        }
        assert_eq!(fixture.findings().await, []);
    }
    assert_eq!(through, [500, 1_000, 1_500, last]);
    assert_eq!(fixture.store.read_records(&chain, 0, 10).await.unwrap(), []);
    assert_eq!(fixture.findings().await, []);
}

/// The time that passed, what the clock said then, and what is done.
type Step = (Duration, Timestamp, Verdict);

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_the_word_of_a_clock_that_was_just_set() {
    let began = Instant::now();
    // When the newest record was, and what follows.
    let year = 365 * DAY;
    let go = |now: Timestamp| Verdict::Delete(now - year);
    let cases: Vec<(&str, Option<Timestamp>, Vec<Step>)> = vec![
        (
            "a clock that is right",
            Some(NOW - HOUR),
            vec![
                (HOUR, NOW + HOUR, go(NOW + HOUR)),
                (2 * HOUR, NOW + 2 * HOUR, go(NOW + 2 * HOUR)),
            ],
        ),
        ("a first start", None, vec![(HOUR, NOW + HOUR, go(NOW + HOUR))]),
        ("off over a weekend", Some(NOW - 3 * DAY), vec![(HOUR, NOW + HOUR, go(NOW + HOUR))]),
        (
            "ahead by a year while it runs",
            Some(NOW),
            vec![
                (HOUR, NOW + HOUR + year, Verdict::ClockChanged(365 * 24 * 3600)),
                (2 * HOUR, NOW + 2 * HOUR + year, Verdict::Hold),
                (24 * HOUR, NOW + 24 * HOUR + year, Verdict::Hold),
                (26 * HOUR, NOW + 26 * HOUR + year, go(NOW + 26 * HOUR + year)),
            ],
        ),
        (
            "ahead, and set right in time",
            Some(NOW),
            vec![
                (HOUR, NOW + HOUR + year, Verdict::ClockChanged(365 * 24 * 3600)),
                (2 * HOUR, NOW + 2 * HOUR, Verdict::ClockChanged(-365 * 24 * 3600)),
                (25 * HOUR, NOW + 25 * HOUR, Verdict::Hold),
                (27 * HOUR, NOW + 27 * HOUR, go(NOW + 27 * HOUR)),
            ],
        ),
        (
            "back while it runs",
            Some(NOW),
            vec![(HOUR, NOW - DAY + HOUR, Verdict::ClockChanged(-24 * 3600))],
        ),
        (
            "ahead at the start",
            Some(NOW - year),
            vec![
                (HOUR, NOW + HOUR, Verdict::ClockChanged(365 * 24 * 3600)),
                (26 * HOUR, NOW + 26 * HOUR, go(NOW + 26 * HOUR)),
            ],
        ),
        (
            "back at the start",
            Some(NOW + DAY),
            vec![(HOUR, NOW + HOUR, Verdict::ClockChanged(-24 * 3600))],
        ),
    ];
    for (name, newest, steps) in cases {
        let mut retention = Retention::new(year, newest, (NOW, began));
        for (passed, now, expected) in steps {
            assert_eq!(retention.judge(now, began + passed), expected, "{name}: {passed:?}");
        }
    }
}
