//! The book over a real store that counts its readers and can fail.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portunus_core::{
    Timestamp, clock::FixedClock, entropy::SeededEntropy, pins::Fingerprint, secret::SecretText,
    store::PinRecord,
};
use portunus_store::{seal::Sealer, sqlite};
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A store between the book and SQLite.
struct Shop {
    inner: Arc<dyn PinStore>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    is_down: AtomicBool,
    _directory: TempDir,
}

impl Shop {
    fn open() -> Arc<Self> {
        let directory = TempDir::new().unwrap();
        let sealer = Sealer::new(
            &[SecretText::new("a secret of the tests")],
            Arc::new(SeededEntropy::new(1)),
        )
        .unwrap();
        let inner = sqlite::open(&directory.path().join("pins.sqlite"), sealer).unwrap().pins;
        let (reads, writes, is_down) =
            (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { inner, reads, writes, is_down, _directory: directory })
    }

    fn check(&self, counter: &AtomicUsize) -> Result<(), StoreError> {
        counter.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("on purpose".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl PinStore for Shop {
    async fn find_pins(&self, server: &ServerName) -> Result<Vec<Pin>, StoreError> {
        self.check(&self.reads)?;
        self.inner.find_pins(server).await
    }
    async fn pin_items(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.check(&self.writes)?;
        self.inner.pin_items(server, seen, now).await
    }
    async fn quarantine(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        self.check(&self.writes)?;
        self.inner.quarantine(server, seen, keep, now).await
    }
    async fn approve(
        &self,
        server: &ServerName,
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner.approve(server, fingerprint, now).await
    }
    async fn forget(
        &self,
        server: &ServerName,
        subject: Option<&PinSubject>,
    ) -> Result<u64, StoreError> {
        self.inner.forget(server, subject).await
    }
    async fn list_pins(&self, server: Option<&ServerName>) -> Result<Vec<PinRecord>, StoreError> {
        self.inner.list_pins(server).await
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn book(shop: &Arc<Shop>, pinning: Pinning) -> PinBook {
    PinBook::new(
        [(dice(), pinning)],
        Arc::clone(shop) as Arc<dyn PinStore>,
        Arc::new(FixedClock::at(NOW)),
    )
}

fn dice() -> ServerName {
    ServerName::parse("dice").unwrap()
}

fn tool(name: &str, description: &str) -> Payload {
    Payload::from_value(&json!({"name": name, "description": description}))
}

fn fingerprint(tool: &Payload) -> Fingerprint {
    SeenItem::read(PinKind::Tool, tool.as_bytes()).unwrap().fingerprint
}

use Trust::{Hold, Pass};

#[tokio::test]
async fn t45_the_first_sight_is_trusted_and_a_change_is_not() {
    let shop = Shop::open();
    let (book, other) = (book(&shop, Pinning::Enforce), book(&shop, Pinning::Enforce));
    let (good, evil, flip) = (tool("roll", "rolls"), tool("roll", "evil"), tool("flip", "flips"));
    assert_eq!(
        book.judge(&dice(), PinKind::Tool, &[good.clone(), flip.clone()]).await,
        [Pass, Pass]
    );
    assert_eq!(
        book.judge(&dice(), PinKind::Tool, &[]).await,
        [],
        "a tool that is gone keeps its pin"
    );
    assert_eq!(book.judge(&dice(), PinKind::Tool, &[evil.clone(), flip]).await, [Hold, Pass]);
    assert_eq!(
        other.judge(&dice(), PinKind::Tool, &[evil.clone(), good.clone()]).await,
        [Hold, Pass],
        "another gateway on the same store"
    );
    assert_eq!(
        book.judge(&dice(), PinKind::Tool, &[good, evil]).await,
        [Pass, Hold],
        "back to what it was"
    );
    let both = [tool("deal", "deals"), tool("deal", "evil")];
    assert_eq!(
        book.judge(&dice(), PinKind::Tool, &both).await,
        [Pass, Hold],
        "of two in one list the first"
    );
    let unknown = ServerName::parse("nobody").unwrap();
    assert_eq!(book.judge(&unknown, PinKind::Tool, &both).await, [Hold, Hold]);
    assert!(book.holds(&dice()) && book.holds(&unknown));
}

#[tokio::test]
async fn what_is_known_costs_a_read_a_second_and_no_write() {
    let shop = Shop::open();
    let book = book(&shop, Pinning::Enforce);
    let tools = [tool("roll", "evil"), tool("flip", "flips")];
    book.judge(&dice(), PinKind::Tool, &[tool("roll", "rolls")]).await;
    book.judge(&dice(), PinKind::Tool, &tools).await;
    let (reads, writes) = (shop.reads.load(Ordering::SeqCst), shop.writes.load(Ordering::SeqCst));
    let began = Instant::now();
    for _ in 0..200 {
        assert_eq!(book.judge(&dice(), PinKind::Tool, &tools).await, [Hold, Pass]);
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(shop.reads.load(Ordering::SeqCst) - reads <= seconds + 1);
    assert_eq!(shop.writes.load(Ordering::SeqCst), writes);
}

#[tokio::test]
async fn an_approval_elsewhere_is_noticed_within_a_second_or_so() {
    let shop = Shop::open();
    let book = book(&shop, Pinning::Enforce);
    let (good, evil) = (tool("roll", "rolls"), tool("roll", "better"));
    book.judge(&dice(), PinKind::Tool, std::slice::from_ref(&good)).await;
    assert_eq!(book.judge(&dice(), PinKind::Tool, std::slice::from_ref(&evil)).await, [Hold]);
    assert!(shop.inner.approve(&dice(), &fingerprint(&evil), NOW).await.unwrap());
    let approved = Instant::now();
    while book.judge(&dice(), PinKind::Tool, &[evil.clone(), good.clone()]).await != [Pass, Pass] {
        assert!(approved.elapsed() < Duration::from_secs(3), "never noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn t45_without_the_store_only_what_is_known_passes() {
    let shop = Shop::open();
    let book = book(&shop, Pinning::Enforce);
    shop.is_down.store(true, Ordering::SeqCst);
    assert_eq!(book.judge(&dice(), PinKind::Tool, &[tool("roll", "rolls")]).await, [Hold]);
    shop.is_down.store(false, Ordering::SeqCst);
    assert_eq!(book.judge(&dice(), PinKind::Tool, &[tool("roll", "rolls")]).await, [Pass]);
    shop.is_down.store(true, Ordering::SeqCst);
    let tools = [tool("roll", "rolls"), tool("roll", "evil"), tool("flip", "flips")];
    assert_eq!(book.judge(&dice(), PinKind::Tool, &tools).await, [Pass, Hold, Hold]);
}

#[tokio::test]
async fn t45_what_cannot_be_pinned_is_held() {
    let shop = Shop::open();
    let tools =
        [r#"{"name":"a","x":{"k":1,"k":2}}"#, r#"{"description":"nameless"}"#, r#"{"name":"a"}"#];
    let tools = tools.map(|text| Payload::from_json(text).unwrap());
    assert_eq!(
        book(&shop, Pinning::Enforce).judge(&dice(), PinKind::Tool, &tools).await,
        [Hold, Hold, Pass]
    );
}

#[tokio::test]
async fn t45_a_server_cannot_fill_the_store() {
    let shop = Shop::open();
    let book = book(&shop, Pinning::Enforce);
    let many: Vec<_> = (0..=MOST_OF_A_KIND).map(|n| tool(&format!("tool {n}"), "")).collect();
    let trust = book.judge(&dice(), PinKind::Tool, &many).await;
    assert_eq!(trust.iter().filter(|trust| **trust == Pass).count(), MOST_OF_A_KIND);
    assert_eq!(trust.last(), Some(&Hold));
    let changes: Vec<_> = (0..50).map(|n| tool("tool 0", &format!("change {n}"))).collect();
    for _ in 0..3 {
        assert!(
            book.judge(&dice(), PinKind::Tool, &changes).await.iter().all(|trust| *trust == Hold)
        );
    }
    let writes = shop.writes.load(Ordering::SeqCst);
    assert_eq!(writes, 2, "the same again is not written again");
    let kept = shop.inner.list_pins(None).await.unwrap();
    assert_eq!(kept.len(), MOST_OF_A_KIND + 4);
}

#[tokio::test]
async fn settings_decide_what_follows() {
    let shop = Shop::open();
    let (warned, off) = (book(&shop, Pinning::Warn), book(&shop, Pinning::Off));
    let (good, evil) = (tool("roll", "rolls"), tool("roll", "evil"));
    assert_eq!(off.judge(&dice(), PinKind::Tool, std::slice::from_ref(&evil)).await, [Pass]);
    assert_eq!(shop.inner.find_pins(&dice()).await.unwrap(), [], "not even pinned");
    assert_eq!(warned.judge(&dice(), PinKind::Tool, std::slice::from_ref(&good)).await, [Pass]);
    assert_eq!(warned.judge(&dice(), PinKind::Tool, std::slice::from_ref(&evil)).await, [Pass]);
    let pins = shop.inner.find_pins(&dice()).await.unwrap();
    assert_eq!(
        (&pins[0].approved, &pins[0].quarantined),
        (&vec![fingerprint(&good)], &vec![fingerprint(&evil)])
    );
    assert!(!warned.holds(&dice()) && !off.holds(&dice()));
}

#[test]
fn names_are_shown_on_one_line() {
    assert_eq!(shown("a\n\u{1b}[31m\u{202e}b"), r"a\n\u{1b}[31m\u{202e}b");
    assert_eq!(shown(&"x".repeat(200)).len(), 128);
}

/// `required` is a set: there are servers that write it in another order with each start.
#[tokio::test]
async fn t45_the_order_of_a_set_is_no_change_and_another_set_is() {
    let shop = Shop::open();
    let (first, other) = (book(&shop, Pinning::Enforce), book(&shop, Pinning::Enforce));
    let tool = |required: &[&str], description: &str| {
        let schema = json!({"type": "object", "properties": {"of": {"type": "object", "required": required}}, "required": required});
        Payload::from_value(
            &json!({"name": "log", "description": description, "inputSchema": schema}),
        )
    };
    let judge = async |book: &PinBook, required: &[&str], description: &str| {
        book.judge(&dice(), PinKind::Tool, &[tool(required, description)]).await
    };
    assert_eq!(judge(&first, &["a", "b", "c"], "logs").await, [Pass]);
    for order in [&["c", "b", "a"], &["b", "a", "c"], &["a", "b", "c"]] {
        assert_eq!(judge(&first, order, "logs").await, [Pass], "{order:?}");
        assert_eq!(judge(&other, order, "logs").await, [Pass], "at another gateway: {order:?}");
    }
    assert_eq!(
        shop.inner.list_pins(Some(&dice())).await.unwrap().len(),
        1,
        "nothing waits for anybody, and nothing more is kept"
    );
    for (required, description) in
        [(&["c", "b"][..], "logs"), (&["c", "b", "a", "d"], "logs"), (&["c", "b", "a"], "evil")]
    {
        assert_eq!(
            judge(&first, required, description).await,
            [Hold],
            "{required:?} {description}"
        );
    }
    shop.inner.forget(&dice(), None).await.unwrap();
    tokio::time::sleep(TRUSTED_FOR).await;
    assert_eq!(judge(&first, &["b"], "logs").await, [Pass], "pinned anew");
    assert_eq!(
        judge(&first, &["c", "b", "a"], "logs").await,
        [Hold],
        "what was forgotten means nothing any more"
    );
}

#[tokio::test]
async fn t45_prompts_templates_and_instructions_are_judged_apart_from_tools() {
    let shop = Shop::open();
    let book = book(&shop, Pinning::Enforce);
    let say = |text: &str| {
        let item = json!({"name": "roll", "uriTemplate": "roll", "instructions": text});
        Payload::from_value(&item)
    };
    for kind in PinKind::ALL {
        assert_eq!(book.judge(&dice(), kind, &[say(kind.word())]).await, [Pass], "{kind:?}");
    }
    for kind in PinKind::ALL {
        let other = if kind == PinKind::Tool { PinKind::Prompt } else { PinKind::Tool };
        let judged = book.judge(&dice(), kind, &[say(other.word()), say(kind.word())]).await;
        assert_eq!(judged, [Hold, Pass], "{kind:?}: what another kind is approved as is not it");
    }
    let waiting = shop.inner.list_pins(None).await.unwrap();
    assert_eq!(waiting.iter().filter(|record| record.approved_at.is_none()).count(), 4);
}
