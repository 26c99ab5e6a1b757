//! Random days: whatever happens in whatever order, and however often the process dies, nothing is
//! dialled twice and nothing is forgotten.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What may happen to a house.
#[derive(Clone, Debug)]
enum Step {
    Make {
        kind: PromiseKind,
        number: u8,
        due_min: u64,
        order: Option<u8>,
    },
    /// The database has written the next so many things.
    Written(usize),
    /// An operator picks up the ticket.
    Reserve(usize),
    LeftLine(usize),
    Talking(usize),
    Called(usize, CallOutcome),
    InCall(u8, bool),
    Reached(u8),
    Forbid(u8),
    Outbound(u32),
    Stop(bool),
    Pass(u64),
    Jump(i64),
    Crash,
}

fn any_step() -> impl Strategy<Value = Step> {
    let kind = proptest::sample::select(PromiseKind::ALL.to_vec());
    let outcome = proptest::sample::select(CallOutcome::ALL.to_vec());
    prop_oneof![
        6 => (kind, 0_u8..6, 1_u64..120, proptest::option::of(0_u8..4)).prop_map(
            |(kind, number, due_min, order)| Step::Make { kind, number, due_min, order }
        ),
        12 => (1_usize..9).prop_map(Step::Written),
        5 => (0_usize..9).prop_map(Step::Reserve),
        1 => (0_usize..9).prop_map(Step::LeftLine),
        3 => (0_usize..9).prop_map(Step::Talking),
        7 => ((0_usize..9), outcome).prop_map(|(n, outcome)| Step::Called(n, outcome)),
        2 => ((0_u8..6), any::<bool>()).prop_map(|(n, is_in)| Step::InCall(n, is_in)),
        1 => (0_u8..6).prop_map(Step::Reached),
        1 => (0_u8..6).prop_map(Step::Forbid),
        1 => (0_u32..4).prop_map(Step::Outbound),
        1 => any::<bool>().prop_map(Step::Stop),
        6 => (1_u64..3_600).prop_map(|s| Step::Pass(s * 1_000)),
        1 => proptest::sample::select(vec![3_600_000, -3_600_000]).prop_map(Step::Jump),
        1 => Just(Step::Crash),
    ]
}

const AT_ONCE: u32 = 2;

fn plan() -> Script {
    let mut script = script();
    script.hours.clear();
    for robot in [survey(), reminder()] {
        let robot = Robot { at_once: AT_ONCE, tries: 2, ..robot };
        script.robots.insert(robot.name.clone(), Arc::new(robot));
    }
    script
}

/// A write on its way to the database.
enum Write {
    Promise(Box<Promise>),
    Attempt(Attempt),
}

/// A house around a ledger, with a database that lags behind.
struct House {
    ledger: Ledger,
    wall: Timestamp,
    pending: Vec<Write>,
    promises: BTreeMap<PromiseId, Promise>,
    attempts: BTreeMap<(PromiseId, u32), Attempt>,
    /// Attempts that were dialled, ever, and their numbers.
    dialled: BTreeSet<(PromiseId, u32)>,
    rang: BTreeMap<PromiseId, u32>,
    up: BTreeMap<PromiseId, Promise>,
    lines: BTreeSet<PromiseId>,
    in_call: BTreeMap<PhoneNumber, u32>,
    forbidden: BTreeSet<PhoneNumber>,
    is_stopped: bool,
    calls_max: u32,
    ids: u128,
}

impl House {
    fn new() -> Self {
        let mut house = Self {
            ledger: Ledger::new(),
            wall: msk("2026-11-27T12:00"),
            pending: Vec::new(),
            promises: BTreeMap::new(),
            attempts: BTreeMap::new(),
            dialled: BTreeSet::new(),
            rang: BTreeMap::new(),
            up: BTreeMap::new(),
            lines: BTreeSet::new(),
            in_call: BTreeMap::new(),
            forbidden: BTreeSet::new(),
            is_stopped: false,
            calls_max: 3,
            ids: 0,
        };
        house.start();
        house
    }

    /// Everything that a server tells its ledger when it starts.
    fn start(&mut self) {
        self.ledger = Ledger::new();
        let list = self.forbidden.iter();
        let list = list.map(|p| DoNotCall { phone: p.clone(), robot: None }).collect();
        let promises = self.promises.values().cloned().collect();
        let calls_max = self.calls_max;
        self.tell(|l, wall, out| l.set_plan(wall, plan_of(plan()), out));
        self.tell(|l, wall, out| l.set_do_not_call(wall, list, out));
        self.tell(|l, wall, out| l.remember(wall, promises, Vec::new(), out));
        self.tell(|l, wall, out| l.set_outbound(wall, calls_max, 5, out));
    }

    fn tell<T>(
        &mut self,
        what: impl FnOnce(&mut Ledger, Timestamp, &mut Vec<PromiseAct>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let answer = what(&mut self.ledger, self.wall, &mut out);
        for act in out {
            self.carry_out(act);
        }
        self.check();
        answer
    }

    fn carry_out(&mut self, act: PromiseAct) {
        match act {
            PromiseAct::Store(promise) => self.pending.push(Write::Promise(promise)),
            PromiseAct::StoreAttempt(attempt) => self.pending.push(Write::Attempt(attempt)),
            PromiseAct::CallByRobot { promise, attempt, .. } => {
                assert!(!self.is_stopped && !self.forbidden.contains(&promise.phone));
                self.dial(*promise, &attempt);
            }
            PromiseAct::CallByHuman { promise, attempt } => self.dial(*promise, &attempt),
            PromiseAct::EnterLine { promise, .. } => {
                assert!(self.lines.insert(promise.id), "two tickets of one promise");
            }
            PromiseAct::LeaveLine { promise } => {
                assert!(self.lines.remove(&promise), "no such ticket");
            }
            PromiseAct::CallOff { .. } | PromiseAct::Tell { .. } => {}
        }
    }

    fn dial(&mut self, promise: Promise, attempt: &Attempt) {
        let id = promise.id;
        assert!(self.attempts.contains_key(&(id, attempt.number)), "dialled before it was stored");
        assert!(self.dialled.insert((id, attempt.number)), "an attempt was dialled twice");
        assert!(self.up.values().all(|other| other.phone != promise.phone), "two calls at once");
        assert_eq!(self.in_call.get(&promise.phone).copied().unwrap_or(0), 0, "is calling us");
        self.up.insert(id, promise);
        let rang = self.rang.entry(id).or_default();
        *rang += 1;
        assert!(*rang <= 3, "more tries than the plan allows");
    }

    fn check(&self) {
        let robots = |name: &str| self.up.values().filter(|p| p.name == name).count();
        for name in ["rating", "low-balance"] {
            assert!(robots(name) <= usize::try_from(AT_ONCE).unwrap());
        }
        let mut tickets = BTreeSet::new();
        for id in &self.lines {
            let promise = self.ledger.get(*id).expect("a ticket has its promise");
            assert!(tickets.insert(&promise.phone), "two tickets of one number");
        }
    }

    fn write(&mut self, count: usize) {
        for _ in 0..count.min(self.pending.len()) {
            match self.pending.remove(0) {
                Write::Promise(promise) => {
                    let id = promise.id;
                    self.promises.insert(id, *promise);
                    self.tell(|l, wall, out| l.stored(wall, id, out));
                }
                Write::Attempt(attempt) => {
                    let (id, number) = (attempt.promise, attempt.number);
                    let is_begin = attempt.outcome.is_none();
                    let known = self.attempts.insert((id, number), attempt);
                    assert!(!is_begin || known.is_none(), "an attempt began twice");
                    if is_begin {
                        self.tell(|l, wall, out| l.attempt_stored(wall, id, number, out));
                    }
                }
            }
        }
    }

    fn nth(ids: &BTreeSet<PromiseId>, n: usize) -> Option<PromiseId> {
        ids.iter().nth(n.checked_rem(ids.len())?).copied()
    }

    fn up_ids(&self) -> BTreeSet<PromiseId> {
        self.up.keys().copied().collect()
    }

    fn on_time(&mut self) {
        let mut steps = 0;
        while self.ledger.next_timer().is_some_and(|at| at <= self.wall) {
            self.tell(|l, wall, out| l.on_time(wall, out));
            steps += 1;
            assert!(steps < 1_000, "time stands still");
        }
    }

    fn number(n: u8) -> PhoneNumber {
        phone(&format!("+7916111000{n}"))
    }

    fn make(&mut self, kind: PromiseKind, number: u8, due_min: u64, order: Option<u8>) {
        self.ids += 1;
        let name = match kind {
            PromiseKind::RatingCall => "rating",
            PromiseKind::Reminder => "low-balance",
            _ => "",
        };
        let mut about = About::default();
        about.values.extend(order.map(|order| ("order".to_owned(), order.to_string())));
        let new = NewPromise {
            id: PromiseId(Uuid::from_u128(self.ids)),
            kind,
            name: name.into(),
            phone: Self::number(number),
            group: Some("quality".into()),
            script: "hotline".into(),
            due: self.wall.plus_ms(due_min * 60_000),
            not_before: None,
            place: None,
            about,
            event: None,
        };
        self.tell(|l, wall, out| l.make(wall, new, out));
    }

    fn called(&mut self, id: PromiseId, outcome: CallOutcome) {
        let was_up = self.up.remove(&id).is_some();
        let was_talked = self.ledger.get(id).is_some_and(|p| p.contacted.is_some());
        if was_up && !outcome.counts() && !was_talked {
            *self.rang.entry(id).or_default() -= 1;
        }
        self.tell(|l, wall, out| l.called(wall, id, outcome, out));
    }

    fn happen(&mut self, step: Step) {
        match step {
            Step::Make { kind, number, due_min, order } => self.make(kind, number, due_min, order),
            Step::Written(count) => self.write(count),
            Step::Reserve(n) => {
                let Some(id) = Self::nth(&self.lines, n) else { return };
                self.ids += 1;
                let call = CallId(Uuid::from_u128(self.ids));
                self.lines.remove(&id);
                self.tell(|l, wall, out| l.reserve(wall, id, anna(), call, out));
            }
            Step::LeftLine(n) => {
                let Some(id) = Self::nth(&self.lines, n) else { return };
                self.lines.remove(&id);
                self.tell(|l, wall, out| l.left_line(wall, id, out));
            }
            Step::Talking(n) => {
                let Some(id) = Self::nth(&self.up_ids(), n) else { return };
                self.tell(|l, wall, out| l.talking(wall, id, Some(anna()), out));
            }
            Step::Called(n, outcome) => {
                let Some(id) = Self::nth(&self.up_ids(), n) else { return };
                self.called(id, outcome);
            }
            Step::InCall(n, is_in) => self.in_call(&Self::number(n), is_in),
            Step::Reached(n) => {
                let number = Self::number(n);
                let group = Some("quality");
                self.tell(|l, wall, out| l.customer_reached(wall, &number, &anna(), group, out));
            }
            Step::Forbid(n) => {
                let phone = Self::number(n);
                self.forbidden.insert(phone.clone());
                self.tell(|l, wall, out| l.forbid(wall, DoNotCall { phone, robot: None }, out));
            }
            Step::Outbound(calls_max) => {
                self.calls_max = calls_max;
                self.tell(|l, wall, out| l.set_outbound(wall, calls_max, 5, out));
            }
            Step::Stop(is_stopped) => self.stop(is_stopped),
            Step::Pass(ms) => {
                self.wall = self.wall.plus_ms(ms);
                self.on_time();
            }
            Step::Jump(ms) => {
                self.wall = Timestamp(self.wall.0 + ms);
                self.on_time();
            }
            Step::Crash => self.crash(),
        }
    }

    fn stop(&mut self, is_stopped: bool) {
        self.is_stopped = is_stopped;
        for name in ["rating", "low-balance"] {
            self.tell(|l, wall, out| l.switch_robot(wall, name, is_stopped, out));
        }
    }

    fn in_call(&mut self, number: &PhoneNumber, is_in: bool) {
        let calls = self.in_call.entry(number.clone()).or_default();
        if !is_in && *calls == 0 {
            return;
        }
        *calls = if is_in { *calls + 1 } else { *calls - 1 };
        self.tell(|l, wall, out| l.customer_in_call(wall, number, is_in, out));
    }

    /// What was not written is lost, and so are all calls.
    fn crash(&mut self) {
        self.pending.clear();
        self.up.clear();
        self.lines.clear();
        self.in_call.clear();
        self.is_stopped = false;
        self.start();
    }

    /// Lets everything come to an end: each call is answered, each ticket is taken.
    fn wind_up(&mut self) {
        self.happen(Step::Outbound(50));
        self.stop(false);
        for n in 0..6 {
            while self.in_call.get(&Self::number(n)).is_some_and(|calls| *calls > 0) {
                self.in_call(&Self::number(n), false);
            }
        }
        for _ in 0..2_000 {
            self.write(usize::MAX);
            while let Some(id) = Self::nth(&self.up_ids(), 0) {
                self.called(id, CallOutcome::Answered);
            }
            if !self.lines.is_empty() {
                self.happen(Step::Reserve(0));
            } else if let Some(at) = self.ledger.next_timer() {
                self.wall = self.wall.max(at);
                self.on_time();
            }
            if self.ledger.open().next().is_none() && self.pending.is_empty() {
                break;
            }
        }
        let open: Vec<_> = self.ledger.open().map(|p| (p.kind, p.state, &p.note)).collect();
        assert!(open.is_empty(), "forgotten: {open:?}");
        let lost: Vec<_> = self.promises.values().filter(|p| !p.state.is_over()).collect();
        assert!(lost.is_empty(), "open in the database: {lost:?}");
        for (id, number) in self.attempts.keys() {
            assert!(*number <= self.promises[id].attempts);
        }
        assert!(self.ledger.counts(self.wall).open.is_empty());
        assert!(self.ledger.counts(self.wall).late.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_dialled_twice_and_nothing_is_forgotten(
        steps in proptest::collection::vec(any_step(), 1..120)
    ) {
        let mut house = House::new();
        for step in steps {
            house.happen(step);
        }
        house.wind_up();
    }
}
