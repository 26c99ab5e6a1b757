//! Commands on their way to a worker, who never waits for them.
//!
//! A worker runs before all others. Were it to wait for somebody who is just putting a command in,
//! that somebody might not get a processor until it stops waiting; so it looks again a little later.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use mio::{Registry, Token, Waker};

use super::worker::Command;

/// Commands that may wait for one worker.
const COMMANDS_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    /// There is room again, or the worker has ended.
    changed: Condvar,
    waker: Waker,
    /// The worker was woken and has not looked yet.
    is_coming: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    is_closed: bool,
}

impl Inbox {
    /// Of a worker that waits for the sockets of `registry`; it is woken as `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            waker: Waker::new(registry, token)?,
            is_coming: AtomicBool::new(false),
        })
    }

    /// Says whether the worker lives. Waits for room: a worker never waits for anybody, so that is
    /// a millisecond at most.
    pub fn send(&self, command: Command) -> bool {
        let is_full =
            |waiting: &mut Waiting| waiting.commands.len() >= COMMANDS_MAX && !waiting.is_closed;
        let waiting = self.changed.wait_while(self.lock(), is_full);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if waiting.is_closed {
            return false;
        }
        waiting.commands.push_back(command);
        drop(waiting);
        self.wake();
        true
    }

    /// Sees to it that the worker looks after this moment: once for all that it finds then.
    pub fn wake(&self) {
        if self.is_coming.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a media worker can't be woken");
        }
    }

    /// The worker looks: from now on it can be woken again.
    pub fn has_come(&self) {
        self.is_coming.swap(false, Ordering::AcqRel);
    }

    /// Moves all that waits to `taken`, which is empty. `false`: somebody is just putting something
    /// in; look again soon.
    pub fn take(&self, taken: &mut VecDeque<Command>) -> bool {
        let mut waiting = match self.waiting.try_lock() {
            Ok(waiting) => waiting,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let was_full = waiting.commands.len() >= COMMANDS_MAX;
        std::mem::swap(&mut waiting.commands, taken);
        drop(waiting);
        if was_full {
            self.changed.notify_all();
        }
        true
    }

    /// The worker has ended: what waits is dropped, and nothing is taken any more.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.commands.clear();
        drop(waiting);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whole at any time: a panic elsewhere can't have left it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mio::Poll;

    use super::*;

    fn inbox() -> (Poll, Arc<Inbox>) {
        let poll = Poll::new().unwrap();
        let inbox = Inbox::new(poll.registry(), Token(0)).unwrap();
        (poll, Arc::new(inbox))
    }

    #[test]
    fn who_finds_no_room_goes_on_when_the_worker_has_looked_or_ended() {
        let (_poll, inbox) = inbox();
        for _ in 0..COMMANDS_MAX {
            assert!(inbox.send(Command::Stop));
        }
        let send = |inbox: &Arc<Inbox>| {
            let inbox = Arc::clone(inbox);
            std::thread::spawn(move || inbox.send(Command::Stop))
        };
        let sender = send(&inbox);
        let mut taken = VecDeque::new();
        while !inbox.take(&mut taken) || taken.len() < COMMANDS_MAX {}
        assert!(sender.join().unwrap());
        inbox.close();
        assert!(!send(&inbox).join().unwrap());
    }

    #[test]
    fn a_worker_does_not_wait_for_somebody_who_is_putting_a_command_in() {
        let (_poll, inbox) = inbox();
        assert!(inbox.send(Command::Stop));
        let mut taken = VecDeque::new();
        let putting = inbox.lock();
        assert!(!inbox.take(&mut taken));
        drop(putting);
        assert!(inbox.take(&mut taken));
        assert_eq!(taken.len(), 1);
    }
}
