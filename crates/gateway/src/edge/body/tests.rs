//! Bodies within their bounds, and endpoints that end.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{Router, middleware, routing};
use futures::FutureExt as _;
use http_body::{Frame, SizeHint};
use portunus_core::address_block::AddressBlock;
use tokio::sync::{Notify, oneshot};
use tower::ServiceExt as _;

use super::*;

/// Declares a length, and never comes.
struct Declared(u64);

impl http_body::Body for Declared {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

async fn status(body: Body) -> StatusCode {
    let endpoint = routing::post(async |body: Bytes| body.len().to_string());
    let router = Router::new()
        .route("/", endpoint)
        .layer(middleware::from_fn_with_state(AuditLog::off(), whole));
    let request = Request::builder().method("POST").uri("/").body(body).unwrap();
    router.oneshot(request).await.unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn t56_bytes_of_one_person_have_a_bound_and_count_as_long_as_they_are_kept() {
    let held = KeyedLimit::<u8>::default();
    let read = |whose: &'static u8, length: usize| {
        let budget = ByteBudget { held: &held, whose, most: 100 };
        async move { read_within(Body::from(vec![b'x'; length]), 80, &budget).await }
    };
    let first = read(&1, 60).await.unwrap();
    assert_eq!((first.len(), held.held(&1)), (60, 60));
    assert_eq!(read(&1, 50).await.unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(read(&2, 81).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((held.held(&1), held.held(&2)), (60, 0), "what was refused is given back");
    assert!(read(&2, 80).await.is_ok(), "another person");
    let piece = first.slice(10..12);
    drop(first);
    assert_eq!(held.held(&1), 60, "a piece keeps the whole in memory");
    drop(piece);
    assert_eq!(held.held(&1), 0);
    let chunks = futures::stream::iter(
        (0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"))),
    );
    let endless = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let budget = ByteBudget { held: &held, whose: &1, most: 100 };
    let body = Body::from_stream(futures::StreamExt::chain(chunks, endless));
    let slow = read_within(body, 80, &budget).await.unwrap_err();
    assert_eq!((slow.status(), held.held(&1)), (StatusCode::REQUEST_TIMEOUT, 0));
}

#[tokio::test]
async fn an_endpoint_ends_though_its_client_hangs_up() {
    let (begun, go_on, done) =
        (Arc::new(Notify::new()), Arc::new(Notify::new()), oneshot::channel());
    let (told, is_done) = (Arc::new(Mutex::new(Some(done.0))), done.1);
    let endpoint = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move || async move {
            begun.notify_one();
            go_on.notified().await;
            let told = told.lock().unwrap().take();
            told.unwrap().send(()).unwrap();
        }
    };
    let audit = AuditLog::off();
    let router = Router::new()
        .route("/", routing::post(endpoint))
        .layer(middleware::from_fn_with_state(audit.clone(), whole));
    let requests = KeyedLimit::<AddressBlock>::default();
    let address = AddressBlock::of([192, 0, 2, 1].into());
    let permit = AddressPermit::new(requests.acquire(&address, 1, 1).unwrap());
    let request = Request::post("/").extension(permit).body(Body::empty()).unwrap();
    let mut answer = Box::pin(router.oneshot(request));
    tokio::select! {
        () = begun.notified() => {}
        _ = &mut answer => panic!("it was not told to go on"),
    }
    drop(answer);
    assert_eq!(requests.held(&address), 1, "it counts until it is done");
    let mut all_told = Box::pin(audit.all_told(Duration::from_secs(3600)));
    assert!((&mut all_told).now_or_never().is_none(), "the audit trail waits for it");
    go_on.notify_one();
    all_told.await;
    assert!(is_done.now_or_never().is_some(), "it waited until it was done");
}

#[tokio::test(start_paused = true)]
async fn t23_t46_bodies_have_an_end_or_are_given_up() {
    assert_eq!(status(Body::from("x=1")).await, StatusCode::OK);
    assert_eq!(
        status(Body::from(vec![b'x'; limits::FORM + 1])).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    assert_eq!(status(Body::from_stream(never)).await, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(
        status(Body::new(Declared(limits::FORM as u64 + 1))).await,
        StatusCode::PAYLOAD_TOO_LARGE,
        "not a byte was read"
    );
    assert_eq!(status(Body::new(Declared(limits::FORM as u64))).await, StatusCode::REQUEST_TIMEOUT);
    let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    assert_eq!(status(Body::from_stream(broken)).await, StatusCode::BAD_REQUEST);
}
