//! The cache with a pace of milliseconds: what is kept, for how long, and how often the provider is
//! asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use portunus_core::ids::ProviderName;

use super::*;
use crate::error_report::ErrorReport;

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(600);

/// A provider that publishes the number of times it was asked.
#[derive(Default)]
struct Published {
    asked: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

impl Published {
    async fn fetch(&self, max_age: Option<Duration>) -> Result<Fetched<usize>, IdentityError> {
        let value = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            return Err(ErrorReport::new(ProviderName::from_text("x")).unavailable("down"));
        }
        Ok(Fetched { value, max_age })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

fn pace() -> Pace {
    Pace {
        shortest: Duration::ZERO,
        stale: LONG,
        backoff: LONG,
        fruitless: LONG,
        ..Pace::default()
    }
}

async fn load(
    cache: &Cache<usize>,
    published: &Published,
    max_age: Duration,
) -> Result<usize, IdentityError> {
    cache.load(|_| published.fetch(Some(max_age))).await.map(|value| *value)
}

/// Looks for `at_least` as a caller whose question came just now.
async fn find(
    cache: &Cache<usize>,
    published: &Published,
    at_least: usize,
) -> Result<Option<usize>, IdentityError> {
    let wanted = |value: &usize| (*value >= at_least).then_some(*value);
    cache.find(Instant::now(), wanted, |_| published.fetch(None)).await
}

#[tokio::test]
async fn a_document_is_kept_as_long_as_it_says_within_bounds() {
    let published = Published::default();
    let cache = Cache::new(pace());
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 1);
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 1);

    let cache = Cache::new(pace());
    assert_eq!(load(&cache, &published, Duration::ZERO).await.unwrap(), 2);
    assert_eq!(load(&cache, &published, Duration::ZERO).await.unwrap(), 3, "it may not be kept");

    let cache = Cache::new(Pace { shortest: LONG, ..pace() });
    assert_eq!(load(&cache, &published, Duration::ZERO).await.unwrap(), 4);
    assert_eq!(
        load(&cache, &published, Duration::ZERO).await.unwrap(),
        4,
        "never shorter than our own bound"
    );

    let cache = Cache::new(Pace { longest: Duration::ZERO, ..pace() });
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 5);
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 6, "never longer either");
}

#[tokio::test]
async fn an_old_copy_serves_while_the_provider_is_away_but_not_for_ever() {
    let published = Published::default();
    let cache = Cache::new(pace());
    load(&cache, &published, Duration::ZERO).await.unwrap();
    published.set_down(true);
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 1);
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 1);
    assert_eq!(published.asked(), 2, "the failure is not repeated at once");

    let published = Published::default();
    let cache = Cache::new(Pace { stale: Duration::ZERO, ..pace() });
    load(&cache, &published, Duration::ZERO).await.unwrap();
    published.set_down(true);
    load(&cache, &published, LONG).await.unwrap_err();
}

#[tokio::test]
async fn a_failure_is_never_kept_past_its_backoff() {
    let published = Published::default();
    published.set_down(true);
    let cache = Cache::new(Pace { backoff: SHORT, ..pace() });
    load(&cache, &published, LONG).await.unwrap_err();
    published.set_down(false);
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(load(&cache, &published, LONG).await.unwrap(), 2);
}

#[tokio::test]
async fn one_fetches_while_the_others_wait() {
    let published = Arc::new(Published::default());
    let cache = Arc::new(Cache::new(pace()));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (published, cache) = (Arc::clone(&published), Arc::clone(&cache));
            tokio::spawn(async move { load(&cache, &published, LONG).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(published.asked(), 1);
}

#[tokio::test]
async fn f4_a_fruitless_fetch_bars_the_next_one_for_a_while() {
    let published = Published::default();
    let cache = Cache::new(Pace { fruitless: SHORT, ..pace() });
    load(&cache, &published, LONG).await.unwrap();
    assert_eq!(find(&cache, &published, 99).await.unwrap(), None);
    let barred_since = Instant::now();
    let mut asked_while_barred = 0;
    for _ in 0..20 {
        assert_eq!(find(&cache, &published, 99).await.unwrap(), None);
        if barred_since.elapsed() < SHORT / 2 {
            asked_while_barred = published.asked();
        }
    }
    assert!(asked_while_barred <= 2, "one load and one fruitless fetch");
    tokio::time::sleep(SHORT * 2).await;
    let before = published.asked();
    assert_eq!(
        find(&cache, &published, before + 1).await.unwrap(),
        Some(before + 1),
        "asked again, and found"
    );
    let next = before + 2;
    assert_eq!(
        find(&cache, &published, next).await.unwrap(),
        Some(next),
        "a fruitful fetch bars nothing"
    );
}

#[tokio::test]
async fn a_copy_fetched_after_the_question_came_up_answers_it() {
    let published = Published::default();
    let cache = Cache::new(pace());
    let asked = Instant::now();
    load(&cache, &published, LONG).await.unwrap();
    let nothing = cache.find(asked, |_| None::<()>, |_| published.fetch(None)).await.unwrap();
    assert_eq!((nothing, published.asked()), (None, 1));
}
