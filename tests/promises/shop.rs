//! A hotline whose customers can be called.

use std::collections::BTreeMap;
use std::time::Duration;

use allo::database::Pool;
use allo::domain::{CallFact, CallOutcome, Promise, PromiseKind, PromiseState, RecordingId};
use allo::phone::{Desk, DeskCall, PhoneEvent, Provider, ProviderOptions, Script, TakenCall};
use allo::store::{CallFilter, CallRecord, PromiseFilter, PromiseStory};
use serde_json::Value;

use crate::house::{CUSTOMER_HZ, House, at_once, voices};
use crate::support::server::{Setup, get, post};
use crate::support::{eventually, russian};

/// Waited for what needs robots, operators and customers.
pub const LATER: Duration = Duration::from_secs(40);

pub struct Shop {
    pub house: House,
    pub provider: Provider,
}

impl Shop {
    /// `plan` is what stands beside the number of the line, which leads to the group `support`.
    pub async fn open(plan: &str, at_work: &[&str]) -> Self {
        Self::open_with(plan, at_work, |_| {}).await
    }

    /// The same with other settings. Those of the server end with the trunk's, so that more of them
    /// may follow.
    pub async fn open_with(plan: &str, at_work: &[&str], change: impl FnOnce(&mut Setup)) -> Self {
        let provider = Provider::start(ProviderOptions::default()).await.unwrap();
        let plan = format!(
            "language \"ru\"\ntimezone \"Europe/Moscow\"\n\
             number \"300\" {{ queue \"support\" }}\n{plan}\n"
        );
        let settings = format!("[[trunk]]\nname = \"net\"\naddress = \"{}\"\n", provider.address());
        let mut setup = Setup { plan, settings, ..Setup::default() };
        change(&mut setup);
        let house = House::of_plan(at_work, setup).await;
        Self { house, provider }
    }

    /// The phone of an operator who picks up at once and hears why a customer is called. Returns
    /// when the operator can be called.
    pub async fn operator(&self, login: &str) -> Desk {
        let desk = self.quick_operator(login).await;
        self.house.until_state(login, "ready").await;
        desk
    }

    /// The same, where somebody may be waiting for the operator already.
    pub async fn quick_operator(&self, login: &str) -> Desk {
        let whispers = ["whisper/callback", "whisper/low-rating", "whisper/missed"];
        let desk = self.house.desk_with(login, |options| {
            options.on_invite = at_once();
            options.audio.listens_for = russian(&whispers);
        });
        desk.await
    }

    // ---- what is in the database

    /// All promises of a kind, once they tell what is looked for.
    pub async fn promises<T>(
        &self,
        what: &str,
        kind: PromiseKind,
        find: impl Fn(&[Promise]) -> Option<T>,
    ) -> T {
        eventually(what, LATER, async || {
            let all = self.house.store.promises(&PromiseFilter::default()).await.unwrap();
            let promises: Vec<Promise> = all
                .into_iter()
                .map(|record| record.promise)
                .filter(|promise| promise.kind == kind)
                .collect();
            find(&promises)
        })
        .await
    }

    /// The promise to this customer, of which there is one of its kind, once it stands so.
    pub async fn promise(&self, phone: &str, kind: PromiseKind, state: PromiseState) -> Promise {
        self.promises(&format!("{kind} to {phone} is {state}"), kind, |promises| {
            let mut theirs = promises.iter().filter(|promise| promise.phone.as_str() == phone);
            let promise = theirs.next().filter(|promise| promise.state == state)?;
            assert_eq!(theirs.next(), None);
            Some(promise.clone())
        })
        .await
    }

    /// The stories of all promises, in the order in which they were made.
    pub async fn stories(&self) -> Vec<PromiseStory> {
        let store = &self.house.store;
        let mut numbers: Vec<u64> = store
            .promises(&PromiseFilter::default())
            .await
            .unwrap()
            .into_iter()
            .map(|record| record.number)
            .collect();
        numbers.sort_unstable();
        let mut stories = Vec::new();
        for number in numbers {
            stories.extend(store.promise_story(number).await.unwrap());
        }
        stories
    }

    /// How the attempts for a promise ended.
    pub async fn outcomes(&self, promise: &Promise) -> Vec<CallOutcome> {
        let stories = self.stories().await;
        let story = stories.iter().find(|story| story.promise.id == promise.id).unwrap();
        story.attempts.iter().map(|attempt| attempt.outcome.expect("it is over")).collect()
    }

    pub fn sqlite(&self) -> &sqlx::SqlitePool {
        match self.house.store.pool() {
            Pool::Sqlite(pool) => pool,
            Pool::Postgres(_) => unreachable!("the tests' servers have SQLite"),
        }
    }

    /// The database is undamaged.
    pub async fn is_whole(&self) {
        let check = sqlx::query_scalar("pragma integrity_check").fetch_all(self.sqlite());
        let said: Vec<String> = check.await.unwrap();
        assert_eq!(said, ["ok"]);
    }

    /// Promises, attempts, ratings and calls tell of one and the same thing, and it is what the
    /// provider saw; attempts that were taken back are none of a provider's. For when nobody is being
    /// called.
    pub async fn books_agree(&self) {
        let stories = self.stories().await;
        let calls = self.calls_are_over(&stories).await;
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for PromiseStory { promise, attempts, ratings, .. } in &stories {
            assert_eq!(promise.attempts as usize, attempts.len(), "{promise:?}");
            for (number, attempt) in (1..).zip(attempts) {
                assert_eq!((attempt.number, attempt.promise), (number, promise.id));
                assert!(attempt.ended.is_some(), "{attempt:?}");
                if attempt.outcome == Some(CallOutcome::Withdrawn) {
                    continue;
                }
                let facts = || calls[&attempt.call.to_string()].events.iter().map(|e| &e.fact);
                let placed = |fact: &CallFact| matches!(fact, CallFact::Placed { promise: its, .. } if *its == promise.id);
                assert_eq!(facts().filter(|fact| placed(fact)).count(), 1);
                let ended = facts().filter(|fact| matches!(fact, CallFact::Ended { .. }));
                assert_eq!(ended.count(), 1);
                *times.entry(promise.phone.as_str().to_owned()).or_default() += 1;
            }
            for rating in ratings {
                assert_eq!(Some(rating.rating.score), promise.about.rating);
                assert_eq!(rating.rating.operator, promise.about.operator);
                assert_eq!(rating.rating.call, promise.about.call);
                assert!(attempts.iter().any(|attempt| attempt.call == rating.given_in));
            }
        }
        let tally = self.provider.tally();
        assert_eq!(times, tally.times_by_number());
        for number in times.keys() {
            let calls: Vec<&TakenCall> = tally.calls_to(number).collect();
            for pair in calls.windows(2) {
                let (ended, _) = pair[0].ended.expect("it is over");
                assert!(ended <= pair[1].invited, "{number} was called twice at once: {pair:?}");
            }
        }
    }

    /// Calls by their ids, once those of all attempts are written down to their end.
    async fn calls_are_over(&self, stories: &[PromiseStory]) -> BTreeMap<String, CallRecord> {
        let filter = CallFilter { limit: 10_000, ..CallFilter::default() };
        eventually("all calls are over", LATER, async || {
            let calls = self.house.store.calls(&filter).await.unwrap().into_iter();
            let calls: BTreeMap<_, _> = calls.map(|call| (call.id.to_string(), call)).collect();
            let is_over = |call: &CallRecord| call.ended.is_some();
            let attempts = stories.iter().flat_map(|story| &story.attempts);
            attempts
                .filter(|attempt| attempt.outcome != Some(CallOutcome::Withdrawn))
                .all(|attempt| calls.get(&attempt.call.to_string()).is_some_and(is_over))
                .then_some(calls)
        })
        .await
    }

    // ---- the shop's own programs

    /// Tells of events; what the server answers.
    pub async fn tell(&self, events: &Value) -> Value {
        let answer = post(self.house.server.web, "/api/events", &events.to_string()).await;
        let (status, body) = answer.unwrap();
        assert_eq!(status, 202, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What `/api/robots` says of a robot.
    pub async fn robot(&self, name: &str) -> Value {
        let (_, body) = get(self.house.server.web, "/api/robots").await.unwrap();
        let robots: Vec<Value> = serde_json::from_str(&body).unwrap();
        robots.into_iter().find(|robot| robot["name"] == name).expect("it is in the plan")
    }

    /// Stops a robot, or lets it go on.
    pub async fn switch(&self, robot: &str, what: &str) {
        let path = format!("/api/robots/{robot}/{what}");
        assert_eq!(post(self.house.server.web, &path, "").await.unwrap().0, 200);
    }
}

/// What a test that failed was about.
impl Drop for Shop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for number in 1..=20 {
                let why = self.house.server.allo(&["why", "promise", &number.to_string()]);
                if !why.status.success() {
                    return;
                }
                eprintln!("---- promise {number}\n{}", String::from_utf8_lossy(&why.stdout));
            }
        }
    }
}

/// The number of the customer who calls as [`House::customer`] with these digits.
pub fn number(digits: u32) -> String {
    format!("+7916{digits:07}")
}

/// Picks up and presses these keys: `2s,5`.
pub fn presses(keys: &str) -> Script {
    picks_up().play(&keys.parse().unwrap())
}

/// Picks up and says nothing.
pub fn picks_up() -> Script {
    Script::picks_up(Duration::from_millis(200))
}

/// Picks up, talks, and stays until the operator hangs up; `hears` is what the operator's call
/// begins with.
pub fn talks(hears: &str) -> Script {
    picks_up()
        .listening_for(russian(&[hears]))
        .listening_for_tones(voices())
        .speak(Some(CUSTOMER_HZ))
}

/// The operator's phone is called back: this is said before the customer is heard, and then both hear
/// each other.
pub async fn operator_and_customer_talk(desk: &Desk, shop: &Shop, phone: &str, nth: usize) -> Talk {
    let invite = desk.next_invite().await.unwrap();
    let heard = |id: &'static str| {
        desk.in_call(invite.call, move |what| {
            let id = RecordingId::new(id);
            matches!(what, PhoneEvent::RecordingHeard { recording, complete: true } if *recording == id)
        })
    };
    let whispered = heard("whisper/callback").await.unwrap();
    let heard_at = desk.hears_tone(invite.call, CUSTOMER_HZ).await.unwrap();
    assert!(whispered <= heard_at);
    let customer = shop
        .provider
        .until(|tally| {
            let call = tally.calls_to(phone).nth(nth - 1)?;
            (!call.tones_heard.is_empty()).then(|| call.clone())
        })
        .await
        .unwrap();
    Talk { desk: invite.call, display: invite.display.unwrap_or_default(), customer }
}

/// An operator and a customer who was called back.
pub struct Talk {
    pub desk: DeskCall,
    /// What the operator's phone shows.
    pub display: String,
    pub customer: TakenCall,
}
