//! CPU time and memory, as Linux tells them.

use std::fs;
use std::time::Duration;

/// CPU time of the worker threads of the engine so far.
pub fn engine_cpu() -> Duration {
    threads_cpu(|name| name.starts_with("media-"))
}

/// CPU time of the thread that writes the recordings so far.
pub fn recorder_cpu() -> Duration {
    threads_cpu(|name| name.starts_with("recorder"))
}

/// CPU time of all threads that live now.
pub fn process_cpu() -> Duration {
    threads_cpu(|_| true)
}

fn threads_cpu(wanted: impl Fn(&str) -> bool) -> Duration {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    threads
        .flatten()
        .filter(|thread| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| wanted(&name))
        })
        .filter_map(|thread| {
            // The first number is the time on a CPU, in ns.
            let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            line.split(' ').next()?.parse().ok()
        })
        .map(Duration::from_nanos)
        .sum()
}

/// CPU time of the calling thread so far.
pub fn own_cpu() -> Duration {
    let line = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(line.split(' ').next().and_then(|ns| ns.parse().ok()).expect("ns"))
}

/// Resident memory of this process.
pub fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
