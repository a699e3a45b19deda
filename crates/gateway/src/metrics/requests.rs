//! HTTP requests, by route, method and status, and how long their answers took to begin. The sets
//! are closed, so that no path that a stranger makes up becomes a series.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::{Method, StatusCode};
use portunus_core::latency::Latencies;

/// What a path is, by how it begins: the first that fits.
const ROUTES: [(Fit, &str); 16] = [
    (Fit::Exactly("/mcp"), "/mcp"),
    (Fit::Under("/mcp/"), "/mcp/{server}"),
    (Fit::Exactly("/auth/token"), "/auth/token"),
    (Fit::Exactly("/auth/authorize"), "/auth/authorize"),
    (Fit::Exactly("/auth/consent"), "/auth/consent"),
    (Fit::Exactly("/auth/signin"), "/auth/signin"),
    (Fit::Under("/auth/callback"), "/auth/callback"),
    (Fit::Exactly("/auth/signout"), "/auth/signout"),
    (Fit::Under("/auth/register"), "/auth/register"),
    (Fit::Exactly("/auth/revoke"), "/auth/revoke"),
    (Fit::Exactly("/auth/introspect"), "/auth/introspect"),
    (Fit::Under("/.well-known/"), "/.well-known/"),
    (Fit::Exactly("/tools"), "/tools"),
    (Fit::Exactly("/"), "/"),
    (Fit::Under("/health"), "/health"),
    (Fit::Exactly("/ready"), "/ready"),
];
/// Paths of the revision of 2025-03-26, and those that took their place.
const ALIASES: [(&str, &str); 3] =
    [("/token", "/auth/token"), ("/authorize", "/auth/authorize"), ("/register", "/auth/register")];
/// All that is not among [`ROUTES`]: paths of proxied servers too.
const OTHER_ROUTE: &str = "other";
const METHODS: [&str; 5] = ["GET", "POST", "DELETE", "OPTIONS", "other"];
/// Those that are answered. Others are counted by their hundred.
const STATUSES: [u16; 20] = [
    200, 202, 204, 303, 304, 400, 401, 403, 404, 405, 406, 409, 413, 415, 429, 431, 500, 502, 503,
    504,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

enum Fit {
    Exactly(&'static str),
    Under(&'static str),
}

impl Fit {
    fn fits(&self, path: &str) -> bool {
        match self {
            Self::Exactly(whole) => path == *whole,
            Self::Under(start) => path.starts_with(start),
        }
    }
}

/// One route.
#[derive(Default)]
struct Route {
    /// By method and status.
    answered: [[AtomicU64; STATUSES.len() + CLASSES.len()]; METHODS.len()],
    took: Latencies,
}

/// All requests.
#[derive(Default)]
pub struct Requests {
    routes: [Route; ROUTES.len() + 1],
    begun: AtomicU64,
    ended: AtomicU64,
}

/// What a request is.
#[derive(Clone, Copy)]
pub struct Begun {
    route: usize,
    method: usize,
}

/// So many answers, for the page.
pub struct Answers {
    pub route: &'static str,
    pub method: &'static str,
    pub status: String,
    pub count: u64,
}

impl Requests {
    pub(super) fn begin(&self, method: &Method, path: &str) -> Begun {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let path = ALIASES.iter().find(|(alias, _)| *alias == path).map_or(path, |(_, path)| path);
        let route = ROUTES.iter().position(|(fit, _)| fit.fits(path)).unwrap_or(ROUTES.len());
        let method = METHODS.iter().position(|known| *known == method.as_str());
        Begun { route, method: method.unwrap_or(METHODS.len() - 1) }
    }

    pub(super) fn answered(&self, begun: Begun, status: StatusCode, took: Duration) {
        let Some(route) = self.routes.get(begun.route) else { return };
        route.took.note(took);
        let code = status.as_u16();
        let class = || STATUSES.len() + (usize::from(code) / 100).clamp(1, CLASSES.len()) - 1;
        let at = STATUSES.binary_search(&code).unwrap_or_else(|_| class());
        if let Some(count) = route.answered.get(begun.method).and_then(|codes| codes.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests whose answers have not begun.
    pub fn under_way(&self) -> u64 {
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// The answers that were given at all.
    pub fn answers(&self) -> Vec<Answers> {
        let mut answers = Vec::new();
        for (name, route) in names().zip(&self.routes) {
            for (method, statuses) in METHODS.iter().zip(&route.answered) {
                for (at, count) in statuses.iter().enumerate() {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        answers.push(Answers { route: name, method, status: status(at), count });
                    }
                }
            }
        }
        answers
    }

    /// How long it took, by route.
    pub fn took(&self) -> impl Iterator<Item = (&'static str, &Latencies)> {
        names().zip(self.routes.iter().map(|route| &route.took))
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(_, name)| *name).chain([OTHER_ROUTE])
}

fn status(at: usize) -> String {
    STATUSES.get(at).map_or_else(
        || CLASSES.get(at - STATUSES.len()).copied().unwrap_or_default().to_owned(),
        u16::to_string,
    )
}
