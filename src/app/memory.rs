//! What a burst of calls leaves free goes back to the system.
//!
//! glibc keeps freed memory for its next use: 15,000 calls at 500 a second left 40 MB that nobody
//! needed. On a machine that does more than telephony that is worth a moment's work, but only when
//! no caller could hear it.

use std::time::Duration;

use tokio::sync::watch;

/// After the last call of a burst: its SIP transactions linger for 32 s (RFC 3261 §17).
pub const QUIET: Duration = Duration::from_secs(35);

/// Calls `give_back` whenever there were calls, and then none for so long. Runs until the owner of
/// `calls_up` is gone.
pub async fn when_quiet(
    mut calls_up: watch::Receiver<usize>,
    quiet: Duration,
    mut give_back: impl FnMut(),
) {
    while calls_up.wait_for(|&up| up > 0).await.is_ok() {
        loop {
            if calls_up.wait_for(|&up| up == 0).await.is_err() {
                return;
            }
            match tokio::time::timeout(quiet, calls_up.wait_for(|&up| up > 0)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        give_back();
    }
}

/// Gives free memory back, where the allocator is known to keep it.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim(3) may be called at any time by any thread; it touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn memory_is_given_back_once_after_each_burst() {
        let (calls_up, seen) = watch::channel(0);
        let (given, mut given_back) = mpsc::unbounded_channel();
        let quiet = Duration::from_millis(1);
        let task = tokio::spawn(when_quiet(seen, quiet, move || given.send(()).unwrap()));
        for _ in 0..2 {
            calls_up.send(3).unwrap();
            tokio::task::yield_now().await;
            assert!(given_back.try_recv().is_err(), "calls are up");
            calls_up.send(0).unwrap();
            given_back.recv().await.unwrap();
        }
        drop(calls_up);
        task.await.unwrap();
        assert!(given_back.try_recv().is_err(), "nothing happened since");
    }
}
