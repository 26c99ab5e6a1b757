//! Whether a caller's audio went on while something broke.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use allo::phone::Call;
use tokio::time::Instant;

/// Longer than a server that computes keeps a packet back, shorter than any wait for a disk, a database or
/// a CRM.
const GAP_MAX: Duration = Duration::from_millis(700);
/// A beat of the metronome.
const BEAT: Duration = Duration::from_millis(20);
/// A late one that is noted.
const LATE: Duration = Duration::from_millis(100);

/// Beats that came late, because the machine had other things to do: when they came, and by how much.
static LATE_BEATS: OnceLock<Mutex<Vec<(Instant, Duration)>>> = OnceLock::new();

/// Now. From here on it is known how much this machine itself holds things up.
pub fn since() -> Instant {
    LATE_BEATS.get_or_init(|| {
        std::thread::spawn(|| {
            let mut before = Instant::now();
            loop {
                std::thread::park_timeout(BEAT);
                let now = Instant::now();
                if now - before >= LATE
                    && let Some(late) = LATE_BEATS.get()
                {
                    late.lock().unwrap().push((now, now - before));
                }
                before = now;
            }
        });
        Mutex::default()
    });
    Instant::now()
}

/// The machine's own longest pause since the moment.
fn pause_of_the_machine(since: Instant) -> Duration {
    let Some(late) = LATE_BEATS.get() else { return Duration::ZERO };
    let late = late.lock().unwrap();
    late.iter().filter(|(at, _)| *at >= since).map(|(_, by)| *by).max().unwrap_or_default()
}

/// Since the moment, packets came without a gap that is not the machine's own, and none was lost.
pub async fn went_on(call: &Call, since: Instant, what: &str) {
    let playout = call.heard().await.unwrap_or_else(|| panic!("{what}: the call is over"));
    let (now, gap_max) = (call.begun().elapsed(), GAP_MAX + 2 * pause_of_the_machine(since));
    let since = since.saturating_duration_since(call.begun());
    let arrivals = playout.arrivals().iter().map(|packet| packet.at).filter(|at| *at >= since);
    let mut before = since;
    for at in arrivals.chain([now]) {
        let gap = at.saturating_sub(before);
        assert!(gap < gap_max, "{what}: no packet for {gap:?} after {before:?}");
        before = at;
    }
    let report = playout.report();
    assert_eq!(report.lost, 0, "{what}: {report:?}");
}
