//! The log of each test, captured: tests look for what must be in it, and for what must never be
//! (threat 48).
//!
//! A process has one subscriber, and the tests of a program share the process. Each
//! `#[tokio::test]` has a runtime of its own, though, whose id every thread of it knows, so lines
//! are kept by the runtime that wrote them: no test passes or fails by a line of another one.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use tokio::runtime::{Handle, Id};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Everything ours says, down to the last detail; what libraries say from warnings on, as in
/// production.
const FILTER: &str = "warn,portunus=trace,tower_http=trace,axum=trace";

/// Prefixes of secrets of ours, and of JSON Web Tokens: `{"alg":`, `{"kid":` and `{"typ":` in
/// base64url. (A shorter piece would be found in a random request id now and then.)
const TELLTALES: [&str; 12] = [
    "ptn_at_",
    "ptn_ak_",
    "ptn_rt_",
    "ptn_ac_",
    "ptn_cs_",
    "ptn_ln_",
    "ptn_st_",
    "ptn_br_",
    "eyJhbGciO",
    "eyJraWQiO",
    "eyJ0eXAiO",
    "fake-okta-access-",
];

/// Lines by the runtime that wrote them; `None` holds what was written outside every runtime.
type Lines = HashMap<Option<Id>, Vec<u8>>;

/// The log of the test that asks, as JSON lines.
#[derive(Clone, Default)]
pub struct Log {
    lines: Arc<Mutex<Lines>>,
}

impl Log {
    /// Captures the log of this process from the first call on.
    ///
    /// # Panics
    /// If the process has another subscriber already.
    pub fn capture() -> Self {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            let subscriber = tracing_subscriber::fmt()
                .json()
                .with_env_filter(EnvFilter::new(FILTER))
                .with_writer(log.clone());
            subscriber.try_init().expect("the process has no other subscriber");
            log
        });
        LOG.clone()
    }

    /// What the runtime of the calling test wrote so far.
    pub fn text(&self) -> String {
        text_of(&self.lines(), runtime())
    }

    /// The lines that hold one of `secrets`, or anything that looks like a token: of the calling
    /// test, and of threads that belong to no runtime.
    pub fn leaks(&self, secrets: &[String]) -> Vec<String> {
        let (own, unowned) = {
            let lines = self.lines();
            (text_of(&lines, runtime()), text_of(&lines, None))
        };
        [leaks(&own, secrets), leaks(&unowned, secrets)].concat()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

fn text_of(lines: &Lines, runtime: Option<Id>) -> String {
    lines.get(&runtime).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

fn leaks(text: &str, secrets: &[String]) -> Vec<String> {
    let is_leak = |line: &&str| {
        TELLTALES.iter().any(|telltale| line.contains(telltale))
            || secrets.iter().any(|secret| secret.len() >= 8 && line.contains(secret.as_str()))
    };
    text.lines().filter(is_leak).map(str::to_owned).collect()
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines().entry(runtime()).or_default().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_are_found() {
        let text = "{\"m\":\"fine\"}\n{\"m\":\"ptn_at_abc\"}\n{\"m\":\"hunter2-hunter2\"}\n{\"m\":\"eyJhbGciOi\"}";
        assert_eq!(leaks(text, &["hunter2-hunter2".to_owned()]).len(), 3);
        assert!(leaks("{\"client_id\":\"ptn_client_x\"}", &[String::new()]).is_empty());
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    #[test]
    fn a_test_sees_its_own_lines_alone() {
        let log = Log::capture();
        let (one, other) = (runtime(), runtime());
        let wrote = async |runtime: &tokio::runtime::Runtime, answer: &'static str| {
            runtime
                .spawn(
                    async move { tracing::trace!(target: "portunus_testkit", answer, "captured") },
                )
                .await
                .unwrap();
            runtime
                .spawn_blocking(move || tracing::trace!(target: "portunus_testkit", blocking = answer, "captured"))
                .await
                .unwrap();
        };
        one.block_on(wrote(&one, "its-own"));
        other.block_on(wrote(&other, "anothers"));
        let text = one.block_on(async { log.text() });
        assert!(
            text.contains("\"answer\":\"its-own\"") && text.contains("\"blocking\":\"its-own\""),
            "{text}"
        );
        assert!(!text.contains("anothers"), "{text}");
    }

    #[test]
    fn what_no_runtime_wrote_is_searched_for_leaks_by_every_test() {
        let log = Log::capture();
        tracing::warn!(target: "portunus_testkit", value = "hunter2-of-no-runtime", "captured");
        let one = runtime();
        assert_eq!(
            one.block_on(async { log.leaks(&["hunter2-of-no-runtime".to_owned()]) }).len(),
            1
        );
        assert!(!one.block_on(async { log.text() }).contains("hunter2"));
    }
}
