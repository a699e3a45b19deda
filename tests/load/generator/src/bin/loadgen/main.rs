//! An MCP load generator: one thread, raw TCP, one MCP session on each connection, `tools/call` as
//! fast as answers come. Each call carries a text of its own that must come back; anything else
//! counts as an error.
//!
//! ```text
//! loadgen --url http://127.0.0.1:9000/mcp [--mode call|count|once] [-c CONNECTIONS] [-d SECONDS]
//!         [--warmup SECONDS] [--calls NUMBER] [--token BEARER] [--tool echo]
//!         [--stateless] [--timeout SECONDS] [--pid PID] [--backend-pid PID]
//! ```
//!
//! `call` measures and prints one line of JSON. `count` makes `--calls` calls, and exits with 0 if
//! all were answered; `once` makes one. `--stateless` speaks the revision of 2026-07-28, otherwise
//! it is that of 2025-06-18. CPU and memory are those of `--pid` and all its descendants.
//! `foreign_cores` is what else kept the machine busy meanwhile, without the process
//! `--backend-pid`.
//!
//! HTTP is in connection.rs, what is asked and what must be answered in session.rs, what the
//! machine did in usage.rs.

mod connection;
mod session;
mod usage;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use session::{Session, Target};
use usage::{machine, usage};

// Phases of a run; before them it warms up.
const MEASURING: u8 = 1;
const OVER: u8 = 2;
const SAMPLES: usize = 8;
/// Of counted calls.
const FIRST_ID: u64 = 1_000_000;

/// What all workers share.
#[derive(Default)]
struct Run {
    phase: AtomicU8,
    /// A few of the errors, and how often each came.
    errors: Mutex<HashMap<String, u64>>,
}

impl Run {
    fn note(&self, error: String) {
        let mut errors = self.errors.lock().expect("nobody panics with it");
        if errors.len() < SAMPLES || errors.contains_key(&error) {
            *errors.entry(error).or_default() += 1;
        }
    }
}

#[derive(Default)]
struct Tally {
    /// In tenths of a microsecond.
    latencies: Vec<u32>,
    errors: u64,
    reconnects: u64,
}

async fn work(target: Arc<Target>, worker: usize, run: Arc<Run>) -> Tally {
    let mut tally = Tally { latencies: Vec::with_capacity(1 << 16), ..Tally::default() };
    let mut session = match Session::open(target).await {
        Ok(session) => session,
        Err(error) => {
            run.note(error);
            tally.errors = 1;
            return tally;
        }
    };
    let mut id = 1;
    // bounded: main says when it is over
    while run.phase.load(Relaxed) != OVER {
        let measures = run.phase.load(Relaxed) == MEASURING;
        let began = Instant::now();
        let answered = session.call(worker, id).await;
        let took = u32::try_from(began.elapsed().as_nanos() / 100).unwrap_or(u32::MAX);
        id += 1;
        match answered {
            Ok(()) if measures && run.phase.load(Relaxed) == MEASURING => {
                tally.latencies.push(took)
            }
            Ok(()) => {}
            Err(error) => {
                tally.errors += u64::from(measures);
                run.note(error);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    tally.reconnects = session.reconnects();
    tally
}

struct Options {
    target: Arc<Target>,
    connections: usize,
    calls: usize,
    seconds: f64,
    warmup: f64,
    pid: Option<u32>,
    backend: Option<u32>,
}

/// So many calls in one session. All ids have the same length, and with them all messages: one call
/// is like any other.
async fn calls(target: Arc<Target>, worker: usize, calls: u64) -> Result<(), String> {
    let mut session = Session::open(target).await?;
    for id in FIRST_ID..FIRST_ID + calls {
        session.call(worker, id).await?;
    }
    match session.reconnects() {
        0 => Ok(()),
        times => Err(format!("the connection was made anew {times} times")),
    }
}

/// `number` calls in all, shared out to the connections.
async fn count(target: Arc<Target>, connections: usize, number: usize) -> ExitCode {
    let share = |worker| number / connections + usize::from(worker < number % connections);
    let workers: Vec<_> = (0..connections)
        .map(|worker| tokio::spawn(calls(Arc::clone(&target), worker, share(worker) as u64)))
        .collect();
    let mut code = ExitCode::SUCCESS;
    for worker in workers {
        if let Err(error) = worker.await.expect("a worker does not panic") {
            println!("{error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// What was used up to now: by the gateway, by this program, by the server behind it, by
/// everything, and what the hypervisor took.
fn look(options: &Options) -> [f64; 5] {
    let cpu = |pid: Option<u32>| pid.map_or(0.0, |pid| usage(pid).cpu);
    let (busy, stolen) = machine();
    [cpu(options.pid), cpu(Some(std::process::id())), cpu(options.backend), busy, stolen]
}

async fn measure(options: Options) -> ExitCode {
    let run = Arc::new(Run::default());
    let workers: Vec<_> = (0..options.connections)
        .map(|worker| tokio::spawn(work(Arc::clone(&options.target), worker, Arc::clone(&run))))
        .collect();
    tokio::time::sleep(Duration::from_secs_f64(options.warmup)).await;
    let before = look(&options);
    let began = Instant::now();
    run.phase.store(MEASURING, Relaxed);
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    let seconds = began.elapsed().as_secs_f64();
    run.phase.store(OVER, Relaxed);
    let after = look(&options);
    let resident = options.pid.map_or(0, |pid| usage(pid).resident_kib);

    let mut all = Tally::default();
    for worker in workers {
        let tally = worker.await.expect("a worker does not panic");
        all.latencies.extend(tally.latencies);
        all.errors += tally.errors;
        all.reconnects += tally.reconnects;
    }
    all.latencies.sort_unstable();
    let count = all.latencies.len();
    let requests = count as f64;
    let quantile = |share: f64| {
        let at = ((requests * share) as usize).min(count.saturating_sub(1));
        all.latencies.get(at).map_or(0.0, |&tenths| f64::from(tenths) / 10.0)
    };
    let [gateway, own, backend, busy, stolen] = std::array::from_fn(|n| after[n] - before[n]);
    let each = |cpu: f64| cpu * 1e6 / requests.max(1.0);
    let line = json!({
        "mode": "call", "c": options.connections, "seconds": seconds, "requests": requests, "rps": requests / seconds,
        "errors": all.errors, "error_samples": *run.errors.lock().expect("nobody panics with it"), "reconnects": all.reconnects,
        "p50_us": quantile(0.5), "p95_us": quantile(0.95), "p99_us": quantile(0.99), "max_us": quantile(1.0),
        "cpu_us_per_req": each(gateway), "loadgen_cpu_us_per_req": each(own), "backend_cpu_us_per_req": each(backend),
        "rss_kib": resident,
        "foreign_cores": (busy - gateway - own - backend) / seconds, "steal_cores": stolen / seconds,
    });
    println!("{line}");
    if count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|at| arguments.get(at + 1))
            .cloned()
    };
    let number = |name: &str, default: f64| {
        value(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let pid = |name: &str| value(name).map(|text| text.parse().expect("the id of a process"));
    let target = Arc::new(Target::new(
        &value("--url").unwrap_or_else(|| "http://127.0.0.1:9000/mcp".to_owned()),
        value("--token"),
        value("--tool").unwrap_or_else(|| "echo".to_owned()),
        arguments.iter().any(|argument| argument == "--stateless"),
        Duration::from_secs_f64(number("--timeout", 15.0)),
    ));
    let options = Options {
        target: Arc::clone(&target),
        connections: number("-c", 1.0) as usize,
        calls: number("--calls", 1000.0) as usize,
        seconds: number("-d", 5.0),
        warmup: number("--warmup", 1.0),
        pid: pid("--pid"),
        backend: pid("--backend-pid"),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match value("--mode").as_deref() {
        None | Some("call") => runtime.block_on(measure(options)),
        Some("count") => runtime.block_on(count(target, options.connections, options.calls)),
        Some("once") => runtime.block_on(count(target, 1, 1)),
        Some(other) => panic!("--mode is call, count or once, not {other}"),
    }
}
