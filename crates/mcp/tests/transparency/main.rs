//! Bytes of `params`, `result` and `error` arrive as they were sent, on `/mcp/{server}` and on the
//! merged `/mcp`, at children and over HTTP, within each era and across them. What may differ all
//! the same is listed in [`expected`], and nothing else may. Messages are made up ([`generated`],
//! [`asked`]) and recorded from programs made with the official SDKs ([`recorded`]).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the fakes of a test fail loudly")]

mod asked;
mod expected;
mod generated;
mod made_up;
mod peer;
mod recorded;
mod round_trip;
mod text;
mod world;

use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Runs `cases` made-up ones against one world. A case panics when it fails.
fn made_up_cases<S: proptest::strategy::Strategy>(
    cases: u32,
    strategy: &S,
    test: &impl AsyncFn(&mut world::World, S::Value),
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = std::cell::RefCell::new(runtime.block_on(world::World::new()));
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    });
    let ran = runner.run(strategy, |case| {
        runtime.block_on(test(&mut world.borrow_mut(), case));
        Ok::<_, TestCaseError>(())
    });
    runtime.block_on(world.into_inner().end());
    ran.unwrap_or_else(|failed| panic!("{failed}"));
}
