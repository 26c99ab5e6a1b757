use std::sync::atomic::Ordering;
use std::time::Duration;

use allo::sip::{Limits, Timing};

use super::house::{Callers, House, options_answered};
use super::support::eventually;

/// 64·T1 is 3.2 s instead of 32 s.
const TIMING: Timing = Timing { t1_ms: 50, t2_ms: 400, t4_ms: 500, trying_ms: 200 };
const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_never_acknowledged_hold_nobody_up_and_are_soon_forgotten() {
    let limits = Limits { legs_max: CALLS, ..Limits::default() };
    let house = House::open(limits, TIMING, Duration::ZERO).await;
    let silent = Callers::new([127, 0, 0, 2], house.udp, false).await;
    let polite = Callers::new([127, 0, 0, 3], house.udp, true).await;
    let opened = silent.call(300, Duration::from_secs(2)).await;
    assert_eq!(opened.answered, CALLS, "not full: {opened:?}");
    assert_eq!(opened.refused_otherwise, 0, "{opened:?}");
    assert!(options_answered(house.udp).await < Duration::from_secs(1));
    eventually("all are given up", Duration::from_secs(8), async || {
        let given_up = house.never_acknowledged.load(Ordering::Relaxed);
        (given_up == opened.answered).then_some(())
    })
    .await;
    // Our BYEs are still being repeated, but the calls have left.
    let outcome = polite.call(50, Duration::from_secs(1)).await;
    assert_eq!((outcome.answered, outcome.lost()), (outcome.placed, 0), "{outcome:?}");
    house.close().await;
}
