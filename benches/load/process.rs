//! What a process uses, read from `/proc`, and what the machine is.

use std::fs;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time of all its threads, those that have ended too.
    pub cpu: Duration,
    pub rss_kb: u64,
    pub files: usize,
}

impl Usage {
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in brackets, may hold anything; utime and stime are fields 14 and 15.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>());
        let mut ticks = || fields.next().and_then(Result::ok).ok_or(io::ErrorKind::InvalidData);
        let cpu = Duration::from_secs_f64((ticks()? + ticks()?) as f64 / ticks_per_second());
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss_kb = rss.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Self {
            cpu,
            rss_kb: rss_kb.unwrap_or(0),
            files: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}

fn ticks_per_second() -> f64 {
    // SAFETY: sysconf reads a constant.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// Lets the calling thread run before the server's: callers are elsewhere, and speak in time however
/// busy the server is. A wish: without the right to it (CAP_SYS_NICE) nothing changes.
pub fn speak_in_time() {
    let parameters = libc::sched_param { sched_priority: 20 };
    // SAFETY: `parameters` is a valid sched_param, which the call only reads. Thread 0 means the
    // calling one.
    let _granted = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
}

/// Time that the cores of this machine were idle, summed over all of them.
pub fn machine_idle() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let idle = first.split_whitespace().nth(4).and_then(|field| field.parse::<u64>().ok());
    Duration::from_secs_f64(idle.unwrap_or(0) as f64 / ticks_per_second())
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Processor, cores, memory and kernel.
pub fn machine() -> Value {
    let line_of = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "processor": line_of("/proc/cpuinfo", "model name"),
        "cores": cores(),
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": kernel.trim(),
    })
}

/// Each call needs two files in the server: asks for as many as the system gives.
pub fn raise_open_files(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that each call only reads or fills.
    unsafe {
        let raised = libc::rlimit { rlim_cur: wanted, rlim_max: wanted };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) != 0 {
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
    }
    limit.rlim_cur
}
