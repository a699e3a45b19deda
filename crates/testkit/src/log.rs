//! The log of a whole test program, caught: tests look for what must never be in it (threat 48).

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Everything ours says, down to the last detail; what libraries say from warnings on, as in production.
const FILTER: &str = "warn,portunus=trace,tower_http=trace,axum=trace";

/// Prefixes of secrets of ours, and of JSON Web Tokens: `{"alg":`, `{"kid":` and `{"typ":` in base64url. (A shorter piece would
/// be found in a random request id now and then.)
const TELLTALES: [&str; 11] = [
    "ptn_at_",
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

/// What was logged so far, as JSON lines.
#[derive(Clone, Default)]
pub struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Log {
    /// Catches the log of this process from the first call on; there is one for all tests of a program, for they share their
    /// threads. Tests therefore look for secrets that are theirs alone, and for shapes that nobody may log.
    ///
    /// # Panics
    /// If somebody else catches it.
    pub fn capture() -> Self {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            let subscriber = tracing_subscriber::fmt().json().with_env_filter(EnvFilter::new(FILTER)).with_writer(log.clone());
            subscriber.try_init().expect("nobody else catches the log");
            log
        });
        LOG.clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines that hold one of `secrets`, or anything that looks like a token.
    pub fn leaks(&self, secrets: &[String]) -> Vec<String> {
        leaks(&self.text(), secrets)
    }
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
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
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

    #[test]
    fn what_is_logged_is_caught() {
        let log = Log::capture();
        tracing::trace!(target: "portunus_testkit", answer = 42, "caught");
        assert!(log.text().contains("\"answer\":42"));
    }
}
