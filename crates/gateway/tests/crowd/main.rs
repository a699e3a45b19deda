//! Crowds at the real program: many who listen and say nothing ([`f8_idle_streams_cost_little`]), many who are slow on purpose
//! ([`f9_slow_sockets_hold_nobody_up`]). The program is started here, with records that have people and tokens in them already ([`gateway`]).
//!
//! How many come, `PORTUNUS_CROWD` says: by default few enough for any machine. Figures are printed; what is asserted, a busy machine cannot
//! break. Durations in absolute numbers are the benchmark's business.

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod caller;
mod gateway;

use std::time::Duration;

use caller::Caller;
use gateway::Gateway;
use portunus_testkit::figures::Figures;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Of one person: a few less than the gateway allows.
const STREAMS_EACH: usize = 50;
/// The gateway gives a head ten seconds and a body thirty; a busy machine gets two minutes.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many come, in multiples of two people's streams.
fn crowd() -> usize {
    let wanted = std::env::var("PORTUNUS_CROWD").ok().map_or(1_000, |text| text.parse().unwrap());
    usize::max(wanted / (2 * STREAMS_EACH), 1) * 2 * STREAMS_EACH
}

#[tokio::test]
async fn f8_idle_streams_cost_little() {
    let total = crowd();
    gateway::lift_file_limit();
    let gateway = Gateway::start(total / STREAMS_EACH + 1).await;
    let before = Caller::greeted(&gateway, 0).await.pings(500).await;

    let mut streams = Vec::with_capacity(total);
    let mut memory = vec![gateway.resident_kib()];
    for half in 0..2 {
        for n in half * total / 2..(half + 1) * total / 2 {
            let mut caller = Caller::greeted(&gateway, 1 + n / STREAMS_EACH).await;
            caller.listen().await;
            streams.push(caller);
        }
        memory.push(gateway.resident_kib());
    }
    let during = Caller::greeted(&gateway, 0).await.pings(500).await;
    // The second half alone: what the first one made the program do for the first time is not the streams'.
    let each = memory[2].saturating_sub(memory[1]) * 1024 / (total as u64 / 2);
    let figures = Figures::of("F8", "sqlite", "idle streams").and("streams", total).and("KiB each", each / 1024);
    let figures = figures.and("resident KiB", format!("{memory:?}"));
    figures.and("pings before", &before).and("pings meanwhile", &during).report();
    assert!(each <= 30 * 1024, "{each} bytes for each stream");
    assert!(during.median <= before.median * 20, "pings took {before}, and with the streams {during}");
    // They are streams still: a message of the gateway's own, the comment that keeps them alive, comes on each.
    for stream in &mut streams {
        tokio::time::timeout(PATIENCE, stream.hears(": keep-alive")).await.expect("a stream is alive");
    }
}

#[tokio::test]
async fn f9_slow_sockets_hold_nobody_up() {
    let total = crowd() / 5;
    gateway::lift_file_limit();
    let gateway = Gateway::start(2).await;
    let mut good = Caller::greeted(&gateway, 0).await;
    let before = good.pings(500).await;
    let starts = [
        String::new(),
        "POST /mcp HTTP/1.1\r\nHost: loc".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "POST /auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant"
            .to_owned(),
        // Somebody who is signed in, but not the one who is well-behaved: a person has so many places and no more.
        Caller::greeted(&gateway, 1).await.head("POST", "Content-Length: 100\r\n") + "{",
    ];
    let mut slow = Vec::with_capacity(total);
    for n in 0..total {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(starts[n % starts.len()].as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let during = good.pings(500).await;
    assert!(during.median <= before.median * 20, "pings took {before}, and with the slow ones {during}");
    let came = std::time::Instant::now();
    for mut stream in slow {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "a slow connection is still open");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    let figures = Figures::of("F9", "sqlite", "slow sockets").and("sockets", total);
    let figures = figures.and("pings before", &before).and("pings meanwhile", &during);
    figures.and("the last one was gone after", format!("{:.1?}", came.elapsed())).report();
    // Its own connection was idle for that long, and idle ones are closed.
    Caller::greeted(&gateway, 0).await.pings(10).await;
}
