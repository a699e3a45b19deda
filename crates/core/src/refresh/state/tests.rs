//! What a refresh family keeps, and what becomes of it with each rotation.

use super::*;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// After so many exchanges, so many seconds apart: the state, and the time of the last of them.
fn after(exchanges: u32, apart: u32) -> (FamilyState, Timestamp) {
    let mut state = FamilyState::new(START);
    let mut now = START;
    for n in 0..exchanges {
        now = START + seconds(n * apart);
        state.advance(now, DAY).unwrap();
    }
    (state, now)
}

#[test]
fn fb16_the_last_uses_are_remembered_to_the_moment() {
    let (state, _) = after(25, 3600);
    for generation in 0..25 {
        assert_eq!(
            state.used_at(generation),
            Some(START + seconds(generation * 3600)),
            "{generation}"
        );
    }
    assert_eq!(state.used_at(25), None, "the current one was not used");
}

#[test]
fn fb16_of_very_many_uses_each_is_remembered_within_a_fraction_of_how_long_ago_it_is() {
    for (exchanges, apart) in [(1000, 0), (1000, 1), (1440, 60), (288, 300), (5000, 60)] {
        let (state, now) = after(exchanges, apart);
        assert!(state.marks.len() <= MARKS);
        for generation in 0..exchanges {
            let used_at = START + seconds(generation * apart);
            let told = state.used_at(generation).unwrap();
            let (age, told_age) = (now.since(used_at), now.since(told));
            assert!(told >= used_at, "never earlier than it was");
            if age <= DAY {
                let fraction = age.abs_diff(told_age).as_millis() * 100 / (age.as_millis() + 1000);
                assert!(
                    fraction <= 30,
                    "{exchanges} every {apart} s: {generation}, {age:?} ago, is told as {told_age:?}"
                );
            } else {
                assert!(told_age > DAY / 2, "{generation}: {told_age:?}");
            }
        }
    }
}

#[test]
fn fb16_a_thousand_uses_take_the_room_of_ten() {
    let (ten, many) = (after(10, 60).0.to_bytes(), after(1000, 60).0.to_bytes());
    assert_eq!(ten.len(), many.len());
    assert!(many.len() < 512, "{}", many.len());
}

#[test]
fn it_is_read_as_it_was_written_and_nothing_else_is() {
    let (mut state, now) = after(40, 77);
    state.address = Some([7; 16]);
    for n in 0..20 {
        state.note(IssuedAccess {
            nonce: [n; 16],
            resource: [n; 8],
            scopes: [1; 8],
            expires_at: now,
        });
    }
    assert_eq!(state.access.len(), ACCESS);
    for state in [state.clone(), FamilyState::new(START), after(1, 1).0] {
        let bytes = state.to_bytes();
        assert_eq!(FamilyState::from_bytes(&bytes), Some(state.clone()));
        assert_eq!(
            serde_json::from_str::<FamilyState>(&serde_json::to_string(&state).unwrap()).unwrap(),
            state
        );
        for cut in 0..HEAD + MARKS * MARK {
            assert_eq!(FamilyState::from_bytes(&bytes[..cut]), None);
        }
    }
    let mut newer = state.to_bytes();
    newer[0] = 2;
    assert_eq!(FamilyState::from_bytes(&newer), None);
}

#[test]
fn a_clock_that_goes_back_breaks_nothing() {
    let mut state = FamilyState::new(START);
    for n in 0..100_u32 {
        let now = if n % 2 == 0 { START + seconds(n) } else { START - seconds(n) };
        state.advance(now, DAY).unwrap();
    }
    assert_eq!(state.generation, 100);
    assert!(state.used_at(0).is_some() && FamilyState::from_bytes(&state.to_bytes()).is_some());
}

#[test]
fn generations_end() {
    let mut state = FamilyState { generation: u32::MAX, ..FamilyState::new(START) };
    assert_eq!(state.advance(START, DAY), None);
}
