//! A ledger with a plan of one file, whose day is stepped by hand.

mod due;
mod humans;
mod properties;
mod robots;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Zoned;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::super::event::{Called, PromiseNews};
use super::{Ledger, Made, NewPromise, NotMade, PromiseAct};
use crate::dialplan::Plan;
use crate::dialplan::hours::{Hours, TimeRange};
use crate::dialplan::plan::{
    CallTo, CallbackRules, Cap, Group, Identity, NumberPattern, Robot, RobotKind, Script, Trigger,
    Window,
};
use crate::domain::{
    About, Attempt, CallId, CallOutcome, DoNotCall, Login, PhoneNumber, Promise, PromiseId,
    PromiseKind, PromiseState, Region, Timestamp,
};

/// A moment in Moscow: `2026-11-27T18:55`.
fn msk(text: &str) -> Timestamp {
    in_zone(text, "Europe/Moscow")
}

fn in_zone(text: &str, zone: &str) -> Timestamp {
    Timestamp::from(&format!("{text}[{zone}]").parse::<Zoned>().unwrap())
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::default()).unwrap()
}

fn anna() -> Login {
    "anna".parse().unwrap()
}

/// `mon-fri 10:00-19:00`
fn shop_hours() -> Hours {
    let day = vec![TimeRange { start: 600, end: 1_140 }];
    let mut hours = Hours::default();
    hours.week[..5].fill(day);
    hours
}

/// A survey within 30 minutes, 10:00 to 20:00 where the customer lives, two tries.
fn survey() -> Robot {
    Robot {
        name: "rating".into(),
        kind: RobotKind::Survey,
        trigger: Trigger::Conversation { talk_at_least_ms: 20_000, groups: Vec::new() },
        within_ms: 30 * 60_000,
        window: Window::default(),
        cap: None,
        tries: 2,
        every_ms: 10 * 60_000,
        ring_ms: 30_000,
        at_once: 20,
        per_second: 10,
        loyalty: None,
        identity: Identity::default(),
    }
}

fn reminder() -> Robot {
    Robot {
        name: "low-balance".into(),
        kind: RobotKind::Reminder,
        trigger: Trigger::Event("balance.low".into()),
        ..survey()
    }
}

/// A shop in Moscow, open from 10 to 19 on working days, with groups `quality` and `support`.
fn script() -> Script {
    let mut script = Script::named("hotline");
    script.timezone = TimeZone::get("Europe/Moscow").unwrap();
    script.hours.insert("shop".into(), shop_hours());
    for group in ["quality", "support"] {
        script.groups.insert(group.into(), Arc::new(Group::named(group)));
    }
    for robot in [survey(), reminder()] {
        script.robots.insert(robot.name.clone(), Arc::new(robot));
    }
    script
}

fn plan_of(script: Script) -> Arc<Plan> {
    let scripts = BTreeMap::from([(script.name.clone(), Arc::new(script))]);
    Arc::new(Plan { scripts, ..Plan::default() })
}

/// A ledger whose house does what it is asked at once, and writes it down.
struct Scene {
    ledger: Ledger,
    wall: Timestamp,
    /// What the database has.
    stored: BTreeMap<PromiseId, Promise>,
    attempts: BTreeMap<(PromiseId, u32), Attempt>,
    /// Since [`Scene::happened`] was asked last: `dial 1`, `enter 2`, `late 3`.
    log: Vec<String>,
    made: u128,
    /// The database acknowledges nothing.
    is_store_slow: bool,
}

impl Scene {
    fn at(wall: Timestamp) -> Self {
        Self::with(wall, script())
    }

    fn with(wall: Timestamp, script: Script) -> Self {
        let mut scene = Self {
            ledger: Ledger::new(),
            wall,
            stored: BTreeMap::new(),
            attempts: BTreeMap::new(),
            log: Vec::new(),
            made: 0,
            is_store_slow: false,
        };
        scene.tell(|ledger, wall, out| ledger.set_plan(wall, plan_of(script), out));
        scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 100, 50, out));
        scene
    }

    /// Tells the ledger something, and does what it asks for.
    fn tell<T>(
        &mut self,
        what: impl FnOnce(&mut Ledger, Timestamp, &mut Vec<PromiseAct>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let answer = what(&mut self.ledger, self.wall, &mut out);
        self.carry_out(out);
        answer
    }

    fn carry_out(&mut self, acts: Vec<PromiseAct>) {
        for act in acts {
            match act {
                PromiseAct::Store(promise) => {
                    let id = promise.id;
                    self.stored.insert(id, *promise);
                    if !self.is_store_slow {
                        self.tell(|ledger, wall, out| ledger.stored(wall, id, out));
                    }
                }
                PromiseAct::StoreAttempt(attempt) => {
                    let (id, number) = (attempt.promise, attempt.number);
                    let is_begin = attempt.outcome.is_none();
                    let known = self.attempts.insert((id, number), attempt);
                    assert!(!is_begin || known.is_none(), "attempt {number} began twice");
                    if is_begin && !self.is_store_slow {
                        self.tell(|l, wall, out| l.attempt_stored(wall, id, number, out));
                    }
                }
                PromiseAct::CallByRobot { promise, .. }
                | PromiseAct::CallByHuman { promise, .. } => {
                    self.note("dial", promise.id);
                }
                PromiseAct::EnterLine { promise, .. } => self.note("enter", promise.id),
                PromiseAct::LeaveLine { promise } => self.note("leave", promise),
                PromiseAct::CallOff { promise, .. } => self.note("off", promise),
                PromiseAct::Tell { promise, news } => match news {
                    PromiseNews::Late => self.note("late", promise.id),
                    PromiseNews::Overdue => self.note("overdue", promise.id),
                    PromiseNews::Over => self.note(promise.state.name(), promise.id),
                    PromiseNews::Made | PromiseNews::Changed => {}
                },
            }
        }
    }

    fn note(&mut self, what: &str, id: PromiseId) {
        self.log.push(format!("{what} {}", id.0.as_u128()));
    }

    /// What happened since this was asked last.
    fn happened(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Lets the time pass until `wall`, and does what is due at its moment.
    fn until(&mut self, wall: Timestamp) {
        let mut steps = 0;
        while let Some(at) = self.ledger.next_timer().filter(|at| *at <= wall) {
            self.wall = self.wall.max(at);
            self.tell(|ledger, wall, out| ledger.on_time(wall, out));
            steps += 1;
            assert!(steps < 100_000, "time stands still at {at}");
        }
        self.wall = wall;
    }

    fn pass(&mut self, ms: u64) {
        self.until(self.wall.plus_ms(ms));
    }

    fn minutes(&mut self, minutes: u64) {
        self.pass(minutes * 60_000);
    }

    /// A promise to be made, due in 30 minutes.
    fn new_promise(&mut self, kind: PromiseKind, number: &str) -> NewPromise {
        self.made += 1;
        let name = match kind {
            PromiseKind::RatingCall => "rating",
            PromiseKind::Reminder => "low-balance",
            _ => "",
        };
        NewPromise {
            id: PromiseId(Uuid::from_u128(self.made)),
            kind,
            name: name.into(),
            phone: phone(number),
            group: Some("quality".into()),
            script: "hotline".into(),
            due: self.wall.plus_ms(30 * 60_000),
            not_before: None,
            place: None,
            about: About::default(),
            event: None,
        }
    }

    fn make(&mut self, new: NewPromise) -> Made {
        self.tell(|ledger, wall, out| ledger.make(wall, new, out))
    }

    /// Makes a promise, which must be a new one.
    fn promise(&mut self, kind: PromiseKind, number: &str) -> PromiseId {
        let new = self.new_promise(kind, number);
        let id = new.id;
        assert_eq!(self.make(new), Made::New);
        id
    }

    fn called(&mut self, id: PromiseId, outcome: CallOutcome) {
        self.tell(|ledger, wall, out| ledger.called(wall, id, outcome, out));
    }

    fn talking(&mut self, id: PromiseId) {
        self.tell(|ledger, wall, out| ledger.talking(wall, id, Some(anna()), out));
    }

    fn reserve(&mut self, id: PromiseId) -> bool {
        self.made += 1;
        let call = CallId(Uuid::from_u128(self.made));
        self.tell(|ledger, wall, out| ledger.reserve(wall, id, anna(), call, out))
    }

    fn in_call(&mut self, number: &str, is_in: bool) {
        self.tell(|l, wall, out| l.customer_in_call(wall, &phone(number), is_in, out));
    }

    fn stands(&self, id: PromiseId) -> &Promise {
        &self.stored[&id]
    }

    /// The process dies and starts anew with what the database has.
    fn restart(&mut self, script: Script) {
        self.ledger = Ledger::new();
        let promises = self.stored.values().cloned().collect();
        self.tell(|ledger, wall, out| ledger.set_plan(wall, plan_of(script), out));
        self.tell(|ledger, wall, out| ledger.remember(wall, promises, Vec::new(), out));
        self.tell(|ledger, wall, out| ledger.set_outbound(wall, 100, 50, out));
    }
}
