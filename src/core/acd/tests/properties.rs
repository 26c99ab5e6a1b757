//! Whatever happens, in whatever order: nobody is forgotten, nothing is doubled, and it is always
//! the operators whom the slow matcher names that ring.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::house::{House, call, group, login, ticket};
use super::oracle;
use crate::core::acd::{Acd, Act, Joined, OperatorState, Release, Ticket, TicketWay};
use crate::dialplan::plan::{AfterRing, Group, Overflow, Pick};
use crate::domain::{
    CallFact, CallId, LinePlace, Login, Origin, PhoneState, RingOutcome, Timestamp,
};

const STAFF: [&str; 5] = [
    "anna support,orders english=8 orders=3",
    "bob support english=2",
    "carl orders orders=9",
    "dora support,orders,office orders=3",
    "emil office english=9",
];

const SMALLER_STAFF: [&str; 4] = [
    "anna support english=8 orders=3",
    "bob support,office english=6",
    "dora orders orders=9",
    "emil office english=9",
];

fn groups() -> Vec<Arc<Group>> {
    vec![
        group("support", |group| {
            group.wrap_up_ms = 10_000;
            group.line_max = 4;
            group.overflow = vec![Overflow { after_ms: 20_000, also: vec!["orders".to_owned()] }];
        }),
        group("support", |group| {
            group.pick = Pick::RoundRobin;
            group.no_answer = AfterRing::Next;
            group.needs = BTreeMap::from([("english".to_owned(), 5)]);
        }),
        group("orders", |group| {
            group.pick = Pick::BySkill;
            group.rejected = AfterRing::Next;
            group.ageing_ms = Some(10_000);
        }),
        group("orders", |group| {
            group.pick = Pick::FewestCalls;
            group.ageing_ms = None;
            group.wrap_up_ms = 5_000;
            group.overflow = vec![
                Overflow { after_ms: 0, also: vec!["support".to_owned()] },
                Overflow { after_ms: 15_000, also: vec!["office".to_owned()] },
            ];
        }),
        group("office", |group| {
            group.pick = Pick::RingAll;
            group.no_answer = AfterRing::Delay { ms: 3_000 };
            group.keep_place_ms = 30_000;
        }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Join { caller: u128, rules: usize, priority: i32, manager: Option<usize>, how: u8 },
    CallBack { caller: u128, rules: usize, priority: i32, ago_ms: u64, is_customer_first: bool },
    CustomerPicksUp { caller: u128 },
    Release { caller: u128, how: u8 },
    PickUp { operator: usize, is_connected: bool },
    Connect { caller: u128 },
    NotTaken { operator: usize, outcome: RingOutcome },
    EndTalk { operator: usize },
    WrapUp { operator: usize, longer: bool },
    Pause { operator: usize },
    Unpause { operator: usize },
    LogIn { operator: usize, group: Option<&'static str> },
    LogOut { operator: usize, group: Option<&'static str> },
    Phone { operator: usize, phone: PhoneState },
    OwnCall { operator: usize, is_up: bool },
    Hold { operator: usize, is_on: bool },
    TakesOver { from: usize, to: usize },
    Reach { operator: usize, caller: u128 },
    Reload { smaller: bool },
    Wait { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let operator = 0..STAFF.len();
    let caller = 1..10_u128;
    let a_group = prop::option::of(prop::sample::select(vec!["support", "orders", "office"]));
    let outcome = prop::sample::select(vec![
        RingOutcome::NoAnswer,
        RingOutcome::Busy,
        RingOutcome::Rejected,
        RingOutcome::Unreachable,
        RingOutcome::Failed,
        RingOutcome::Withdrawn,
    ]);
    let phone = prop::sample::select(vec![
        PhoneState::Reachable,
        PhoneState::Reachable,
        PhoneState::Unreachable,
        PhoneState::Unregistered,
    ]);
    let manager = prop::option::weighted(0.3, operator.clone());
    let step = prop_oneof![
        8 => (caller.clone(), 0..5_usize, -1..4_i32, manager, 0..12_u8).prop_map(
            |(caller, rules, priority, manager, how)| Step::Join { caller, rules, priority, manager, how }
        ),
        4 => (caller.clone(), 0..5_usize, -1..4_i32, 0..90_000_u64, any::<bool>()).prop_map(
            |(caller, rules, priority, ago_ms, is_customer_first)| {
                Step::CallBack { caller, rules, priority, ago_ms, is_customer_first }
            }
        ),
        3 => caller.clone().prop_map(|caller| Step::CustomerPicksUp { caller }),
        2 => (caller.clone(), 0..5_u8).prop_map(|(caller, how)| Step::Release { caller, how }),
        6 => (operator.clone(), prop::bool::weighted(0.8))
            .prop_map(|(operator, is_connected)| Step::PickUp { operator, is_connected }),
        1 => caller.clone().prop_map(|caller| Step::Connect { caller }),
        3 => (operator.clone(), outcome)
            .prop_map(|(operator, outcome)| Step::NotTaken { operator, outcome }),
        4 => operator.clone().prop_map(|operator| Step::EndTalk { operator }),
        2 => (operator.clone(), any::<bool>())
            .prop_map(|(operator, longer)| Step::WrapUp { operator, longer }),
        1 => operator.clone().prop_map(|operator| Step::Pause { operator }),
        3 => operator.clone().prop_map(|operator| Step::Unpause { operator }),
        3 => (operator.clone(), a_group.clone())
            .prop_map(|(operator, group)| Step::LogIn { operator, group }),
        1 => (operator.clone(), a_group)
            .prop_map(|(operator, group)| Step::LogOut { operator, group }),
        3 => (operator.clone(), phone)
            .prop_map(|(operator, phone)| Step::Phone { operator, phone }),
        1 => (operator.clone(), any::<bool>())
            .prop_map(|(operator, is_up)| Step::OwnCall { operator, is_up }),
        1 => (operator.clone(), any::<bool>())
            .prop_map(|(operator, is_on)| Step::Hold { operator, is_on }),
        1 => (operator.clone(), operator.clone())
            .prop_map(|(from, to)| Step::TakesOver { from, to }),
        1 => (operator, caller).prop_map(|(operator, caller)| Step::Reach { operator, caller }),
        1 => any::<bool>().prop_map(|smaller| Step::Reload { smaller }),
        6 => (0..20_000_u64).prop_map(|ms| Step::Wait { ms }),
    ];
    prop::collection::vec(step, 1..80)
}

/// A house that is watched: after each step the slow matcher is asked.
struct Watched {
    house: House,
    groups: Vec<Arc<Group>>,
    /// How often each caller entered a line.
    joins: BTreeMap<u128, usize>,
}

impl Watched {
    fn run<T>(&mut self, act: impl FnOnce(&mut Acd, Timestamp, &mut Vec<Act>) -> T) -> T {
        self.run_with(None, act)
    }

    /// `due`: whoever was reserved for this caller, and is rung now because of that.
    fn run_with<T>(
        &mut self,
        due: Option<(CallId, Login)>,
        act: impl FnOnce(&mut Acd, Timestamp, &mut Vec<Act>) -> T,
    ) -> T {
        let kept_before = self.house.kept.len();
        let turns = self.house.acd.turns.clone();
        let before = self.house.offered.len();
        let result = self.house.run(act);
        let acd = &self.house.acd;
        let mut new = oracle::actual(acd, &self.house.offered[before..]);
        new.extend(self.house.kept[kept_before..].iter().cloned());
        if let Some(due) = due {
            assert!(new.remove(&due), "{due:?} was reserved");
        }
        assert_eq!(new, oracle::expected(acd, self.house.now, &new, turns));
        result
    }

    /// For each customer who is called an operator is kept free, and for nobody else; and the house
    /// was told so.
    fn check_reservations(&self) {
        let operators = self.house.acd.operators();
        let kept: BTreeMap<u128, Login> = operators
            .filter_map(|(operator, state)| match state {
                OperatorState::Reserved { call, .. } => {
                    Some((call.0.as_u128(), operator.login.clone()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(self.house.reserved, kept);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.house.now.plus_ms(ms);
        while let Some(at) = self.house.acd.next_timer().filter(|at| *at <= until) {
            self.house.now = self.house.now.max(at);
            self.run(Acd::on_time);
        }
        self.house.now = until;
    }

    fn join(&mut self, ticket: Ticket) {
        let (number, is_line) = (ticket.call.0.as_u128(), !ticket.only_manager);
        self.house.reserved.remove(&number);
        let joined = self.run(|acd, now, out| acd.join(now, ticket, out));
        let is_waiting = matches!(joined, Joined::Waiting { .. });
        assert!(is_waiting || !self.house.acd.callers.contains_key(&call(number)));
        *self.joins.entry(number).or_default() += usize::from(is_line);
    }

    fn go(&mut self, step: Step) {
        let name = |operator: usize| login(STAFF[operator].split(' ').next().unwrap());
        match step {
            Step::Join { caller, rules, priority, manager, how } => {
                let mut ticket = ticket(caller, &self.groups[rules]);
                ticket.priority = priority;
                ticket.manager = manager.map(|manager| (name(manager), 8_000));
                ticket.only_manager = how == 0;
                if how == 1 {
                    ticket.origin = Origin::OperatorLost;
                }
                self.join(ticket);
            }
            Step::CallBack { caller, rules, priority, ago_ms, is_customer_first } => {
                let entered = self.house.now.minus_ms(ago_ms);
                let way = match is_customer_first {
                    true => TicketWay::CustomerFirst,
                    false => TicketWay::OperatorFirst,
                };
                let place = Some(LinePlace { entered, priority });
                let ticket = ticket(caller, &self.groups[rules]);
                self.join(Ticket { origin: Origin::Callback, way, place, ..ticket });
                let is_waiting = self.house.acd.callers.contains_key(&call(caller));
                assert!(is_waiting, "who is to be called back is never turned away");
            }
            Step::CustomerPicksUp { caller } => {
                let kept = self.house.reserved.remove(&caller);
                let due = kept.map(|operator| (call(caller), operator));
                self.run_with(due, |acd, now, out| acd.ring_reserved(now, call(caller), out));
            }
            Step::Release { caller, how } => {
                self.house.reserved.remove(&caller);
                let release = match how {
                    0 => Release::Callback,
                    1 => Release::NotReached,
                    2 => Release::Lost,
                    _ => Release::Abandoned,
                };
                self.run(|acd, now, out| acd.release(now, call(caller), release, out));
            }
            Step::PickUp { operator, is_connected } => {
                let Some((offer, caller)) = self.house.ringing.remove(&name(operator)) else {
                    return;
                };
                let answered = self.run(|acd, now, out| acd.answered(now, offer, out));
                assert_eq!(answered, Some(call(caller)));
                assert_eq!(self.run(|acd, now, out| acd.answered(now, offer, out)), None);
                if is_connected {
                    self.run(|acd, now, out| acd.connected(now, call(caller), out));
                }
            }
            Step::Connect { caller } => {
                self.run(|acd, now, out| acd.connected(now, call(caller), out));
            }
            Step::NotTaken { operator, outcome } => {
                let Some((offer, _)) = self.house.ringing.remove(&name(operator)) else { return };
                self.run(|acd, now, out| acd.not_taken(now, offer, outcome, out));
            }
            Step::EndTalk { operator } => {
                self.run(|acd, now, out| acd.talk_ended(now, &name(operator), out));
            }
            Step::WrapUp { operator, longer: true } => {
                self.run(|acd, now, out| acd.extend_wrap_up(now, &name(operator), 9_000, out));
            }
            Step::WrapUp { operator, longer: false } => {
                self.run(|acd, now, out| acd.end_wrap_up(now, &name(operator), out));
            }
            Step::Pause { operator } => {
                self.run(|acd, now, out| acd.pause(now, &name(operator), String::new(), out));
            }
            Step::Unpause { operator } => {
                self.run(|acd, now, out| acd.unpause(now, &name(operator), out));
            }
            Step::LogIn { operator, group } => {
                let _ = self.run(|acd, now, out| acd.log_in(now, &name(operator), group, out));
            }
            Step::LogOut { operator, group } => {
                let _ = self.run(|acd, now, out| acd.log_out(now, &name(operator), group, out));
            }
            Step::Phone { operator, phone } => {
                self.run(|acd, now, out| acd.set_phone(now, &name(operator), phone, out));
            }
            Step::OwnCall { operator, is_up } => {
                self.run(|acd, now, out| acd.set_own_call(now, &name(operator), is_up, out));
            }
            Step::Hold { operator, is_on } => {
                self.run(|acd, now, _| acd.hold(now, &name(operator), is_on));
            }
            Step::TakesOver { from, to } => {
                let talks = self.house.acd.talks.iter();
                let mut whose =
                    talks.filter(|(_, login)| **login == name(from)).map(|(call, _)| *call);
                let Some(call) = whose.next_back().filter(|_| from != to) else { return };
                self.run(|acd, now, out| acd.takes_over(now, call, &name(from), &name(to), out));
            }
            Step::Reach { operator, caller } => {
                let group = self.groups.first().cloned();
                if self.house.acd.state(&name(operator)).is_some() {
                    self.house.reserved.remove(&caller);
                }
                self.run(|acd, now, out| {
                    acd.talk_began(now, &name(operator), call(caller), group, out);
                });
            }
            Step::Reload { smaller } => {
                let staff: &[&str] = if smaller { &SMALLER_STAFF } else { &STAFF };
                let staff = staff.iter().map(|text| super::house::operator(text)).collect();
                self.run(|acd, now, out| acd.set_operators(now, staff, out));
            }
            Step::Wait { ms } => self.wait(ms),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_right_phones_ring_and_each_stay_ends_once(steps in steps()) {
        let house = House::with(&STAFF);
        let mut watched = Watched { house, groups: groups(), joins: BTreeMap::new() };
        for step in steps {
            watched.go(step);
            watched.check_reservations();
        }
        for caller in 1..10 {
            watched.go(Step::Release { caller, how: 2 });
            let stays = watched.joins.get(&caller).copied().unwrap_or(0);
            prop_assert_eq!(watched.house.visits(caller).len(), stays);
        }
        for operator in 0..STAFF.len() {
            watched.go(Step::EndTalk { operator });
        }
        watched.wait(7_200_000);
        prop_assert!(watched.house.ringing.is_empty());
        prop_assert_eq!(watched.house.acd.next_timer(), None);
        let count = |wanted: fn(&CallFact) -> bool| {
            watched.house.facts.iter().filter(|(_, fact)| wanted(fact)).count()
        };
        let connected = count(|fact| matches!(fact, CallFact::Connected { .. }));
        let conversed = count(|fact| matches!(fact, CallFact::Conversed(_)));
        prop_assert_eq!(connected, conversed);
    }
}
