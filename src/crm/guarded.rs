//! Deadline, circuit breaker and a cap on lookups at once, around any [`Crm`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::breaker::{Breaker, Verdict};
use super::{Crm, CrmChange, CrmError, Lookup};
use crate::config;
use crate::domain::{Customer, Order, PhoneNumber, Region, ShopEvent};

const FAILURES_MAX: u32 = 3;
const REST: Duration = Duration::from_secs(5);

/// How a CRM is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// The longest that one lookup may take, the wait for its turn included.
    pub deadline: Duration,
    pub lookups_max: usize,
    /// Failures in a row after which the CRM is not asked.
    pub failures_max: u32,
    /// For how long.
    pub rest: Duration,
}

impl Guards {
    /// By the settings; three failures in a row, five seconds of rest.
    pub fn of(settings: &config::Crm) -> Self {
        Self {
            deadline: settings.deadline.duration(),
            lookups_max: usize::from(settings.lookups_at_once),
            failures_max: FAILURES_MAX,
            rest: REST,
        }
    }
}

/// A CRM that answers, or fails, within the deadline, whatever happens to the real one.
pub struct Guarded {
    crm: Box<dyn Crm>,
    guards: Guards,
    turns: Semaphore,
    breaker: Mutex<Breaker>,
    began: Instant,
}

impl Guarded {
    pub fn new(crm: Box<dyn Crm>, guards: Guards) -> Self {
        Self {
            crm,
            guards,
            turns: Semaphore::new(guards.lookups_max),
            breaker: Mutex::new(Breaker::new(guards.failures_max, guards.rest)),
            began: Instant::now(),
        }
    }

    /// Whether the CRM is being asked at all.
    pub fn is_healthy(&self) -> bool {
        self.breaker().is_closed()
    }

    async fn guard<T>(&self, lookup: Lookup<'_, T>) -> Result<T, CrmError> {
        if !self.breaker().admits(self.began.elapsed()) {
            return Err(CrmError::Resting);
        }
        let mut question = Question { guarded: self, asked: Instant::now(), verdict: None };
        let turn_and_lookup = async {
            // The semaphore is never closed.
            let _turn = self.turns.acquire().await;
            lookup.await
        };
        let answer = match tokio::time::timeout(self.guards.deadline, turn_and_lookup).await {
            Ok(answer) => answer,
            Err(_) => Err(CrmError::TooSlow { deadline_ms: as_ms(self.guards.deadline) }),
        };
        question.verdict = Some(if answer.is_ok() { Verdict::Answered } else { Verdict::Failed });
        if let Err(error) = &answer {
            tracing::warn!(%error, "the CRM gave no answer");
        }
        answer
    }

    /// The same for work that no caller waits for. It says nothing of how lookups fare: a wrong
    /// statement of the settings must not keep callers from being known.
    async fn guard_work<T>(&self, work: Lookup<'_, T>) -> Result<T, CrmError> {
        if !self.is_healthy() {
            return Err(CrmError::Resting);
        }
        let turn_and_work = async {
            // The semaphore is never closed.
            let _turn = self.turns.acquire().await;
            work.await
        };
        match tokio::time::timeout(self.guards.deadline, turn_and_work).await {
            Ok(answer) => answer,
            Err(_) => Err(CrmError::TooSlow { deadline_ms: as_ms(self.guards.deadline) }),
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        // Nothing panics while it is held.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A question under way; tells the breaker how it ended, also when it is dropped.
struct Question<'a> {
    guarded: &'a Guarded,
    asked: Instant,
    verdict: Option<Verdict>,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        // A plan may wait less than the deadline. A CRM that made callers give up again and again
        // is as bad as one that fails, so half the deadline without an answer is a failure.
        let half = self.guarded.guards.deadline / 2;
        let verdict = self.verdict.unwrap_or_else(|| {
            if self.asked.elapsed() >= half { Verdict::Failed } else { Verdict::Cancelled }
        });
        let mut breaker = self.guarded.breaker();
        if breaker.ended(verdict, self.guarded.began.elapsed()) {
            if breaker.is_closed() {
                tracing::info!("the CRM answers again");
            } else {
                tracing::warn!("the CRM failed again and again; it is not asked for a while");
            }
        }
    }
}

impl Crm for Guarded {
    fn customers<'a>(&'a self, phone: &'a PhoneNumber) -> Lookup<'a, Vec<Customer>> {
        Box::pin(self.guard(self.crm.customers(phone)))
    }

    fn order<'a>(&'a self, number: &'a str) -> Lookup<'a, Option<Order>> {
        Box::pin(self.guard(self.crm.order(number)))
    }

    fn write<'a>(&'a self, change: &'a CrmChange) -> Lookup<'a, ()> {
        Box::pin(self.guard_work(self.crm.write(change)))
    }

    fn events(&self, region: Region) -> Lookup<'_, Vec<ShopEvent>> {
        Box::pin(self.guard_work(self.crm.events(region)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::Region;

    /// Never answers about customers; says no to orders.
    struct Stubborn {
        asked: Arc<AtomicUsize>,
    }

    impl Crm for Stubborn {
        fn customers<'a>(&'a self, _: &'a PhoneNumber) -> Lookup<'a, Vec<Customer>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }

        fn order<'a>(&'a self, _: &'a str) -> Lookup<'a, Option<Order>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err(CrmError::Failed("no such table".into())) })
        }

        fn write<'a>(&'a self, _: &'a CrmChange) -> Lookup<'a, ()> {
            Box::pin(async { Err(CrmError::Failed("no such statement".into())) })
        }
    }

    fn guarded(deadline_ms: u64, lookups_max: usize) -> (Guarded, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let guards = Guards {
            deadline: Duration::from_millis(deadline_ms),
            lookups_max,
            failures_max: 3,
            rest: Duration::from_secs(60),
        };
        (Guarded::new(Box::new(Stubborn { asked: Arc::clone(&asked) }), guards), asked)
    }

    fn phone() -> PhoneNumber {
        PhoneNumber::parse("+79161112233", Region::default()).unwrap()
    }

    #[tokio::test]
    async fn a_slow_crm_is_given_up_at_the_deadline() {
        let (crm, _) = guarded(20, 1);
        let answer = crm.customers(&phone()).await;
        assert_eq!(answer, Err(CrmError::TooSlow { deadline_ms: 20 }));
        assert!(crm.is_healthy());
    }

    #[tokio::test]
    async fn a_failing_crm_is_left_in_peace_after_three_failures() {
        let (crm, asked) = guarded(1_000, 1);
        for _ in 0..3 {
            assert!(matches!(crm.order("1").await, Err(CrmError::Failed(_))));
        }
        assert!(!crm.is_healthy());
        assert_eq!(crm.order("1").await, Err(CrmError::Resting));
        assert_eq!(asked.load(Ordering::Relaxed), 4, "made, but not waited for");
    }

    #[tokio::test]
    async fn a_change_that_fails_does_not_keep_callers_from_being_known() {
        let (crm, _) = guarded(1_000, 1);
        let (id, at) = ("1".to_owned(), crate::domain::Timestamp(0));
        let what = crate::crm::CrmWrite::Bonus { points: 50, reason: String::new() };
        let change = CrmChange { id, phone: phone(), at, what };
        for _ in 0..5 {
            assert!(matches!(crm.write(&change).await, Err(CrmError::Failed(_))));
        }
        assert!(crm.is_healthy());
        for _ in 0..3 {
            let _ = crm.order("1").await;
        }
        assert_eq!(crm.write(&change).await, Err(CrmError::Resting));
    }

    #[tokio::test]
    async fn waiting_for_a_turn_counts_too() {
        let (crm, _) = guarded(20, 1);
        let phone = phone();
        let (first, second) = tokio::join!(crm.customers(&phone), crm.order("1"));
        assert!(first.is_err());
        assert!(second.is_err());
    }

    #[tokio::test]
    async fn a_cancelled_question_says_nothing_of_the_crm() {
        let (crm, _) = guarded(60_000, 8);
        let phone = phone();
        for _ in 0..5 {
            let mut question = crm.customers(&phone);
            assert!(futures_poll_once(&mut question).await.is_none());
        }
        assert!(crm.is_healthy());
    }

    async fn futures_poll_once<T>(lookup: &mut Lookup<'_, T>) -> Option<Result<T, CrmError>> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match lookup.as_mut().poll(context) {
                std::task::Poll::Ready(answer) => Some(answer),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
