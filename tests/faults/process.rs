//! What the system says of the server, and limits that it is given while it runs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::Duration;

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Memory in use, kB.
    pub fn rss_kb(self) -> u64 {
        self.status("VmRSS:")
    }

    pub fn threads(self) -> u64 {
        self.status("Threads:")
    }

    /// Open files, sockets included.
    pub fn files(self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap().count() as u64
    }

    /// Time that it computed so far.
    pub fn computed(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        // The name, in brackets, may hold anything; user and system time are the 14th and 15th.
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        let mut numbers = after_name.split_whitespace().skip(11);
        let mut ticks = || numbers.next().unwrap().parse::<u64>().unwrap();
        Duration::from_millis((ticks() + ticks()) * 10)
    }

    /// It can open this many more files.
    pub fn limit_files(self, more: u64) {
        let numbers = fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap();
        let numbers = numbers.filter_map(|file| file.unwrap().file_name().to_str()?.parse().ok());
        let used: BTreeSet<u64> = numbers.collect();
        // The system looks at the number that a file gets, which is the lowest that is free.
        let free = (0..).filter(|number| !used.contains(number));
        let last = free.take(usize::try_from(more).unwrap()).last();
        self.set_soft_limit(last.map_or(0, |last| last + 1));
    }

    /// It can open as many files as it could at its start.
    pub fn unlimit_files(self) {
        self.set_soft_limit(u64::MAX);
    }

    fn set_soft_limit(self, soft: u64) {
        let pid = libc::pid_t::try_from(self.0).unwrap();
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both are valid for the whole call: nothing is set, and the old limit is written.
        let got =
            unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
        assert_eq!(got, 0, "{}", io::Error::last_os_error());
        limit.rlim_cur = soft.min(limit.rlim_max);
        // SAFETY: the same, the other way round.
        let set = unsafe {
            libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
        };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }

    fn status(self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}
