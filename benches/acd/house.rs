//! 1,000 callers wait in 50 groups for 500 operators, each of whom belongs to five groups.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use allo::core::acd::{Acd, Act, Ticket, TicketWay};
use allo::dialplan::plan::{Group, Pick};
use allo::domain::{CallId, Login, Operator, Origin, PhoneState, Role, Timestamp};

const GROUPS: usize = 50;
pub const OPERATORS: usize = 500;
const GROUPS_OF_EACH: usize = 5;
const WAITING: u128 = 1_000;

/// A line with its operators.
pub struct House {
    acd: Acd,
    groups: Vec<Arc<Group>>,
    now: Timestamp,
    calls: u128,
    out: Vec<Act>,
}

impl House {
    pub fn new() -> Self {
        let picks = [Pick::LongestIdle, Pick::RoundRobin, Pick::FewestCalls, Pick::BySkill];
        let groups = (0..GROUPS).map(|number| {
            let mut group = Group::named(format!("group-{number}"));
            group.pick = picks[number % picks.len()];
            Arc::new(group)
        });
        let (now, out) = (Timestamp(1_767_225_600_000), Vec::new());
        let mut house = Self { acd: Acd::new(), groups: groups.collect(), now, calls: 0, out };
        let operators = (0..OPERATORS).map(|number| house.operator(number)).collect();
        house.acd.set_operators(now, operators, &mut house.out);
        for number in 0..OPERATORS {
            let login = login(number);
            house.acd.set_phone(now, &login, PhoneState::Reachable, &mut house.out);
            house.acd.log_in(now, &login, None, &mut house.out).expect("the login is known");
        }
        house
    }

    fn operator(&self, number: usize) -> Operator {
        let groups = (0..GROUPS_OF_EACH).map(|n| (number + n * 7) % GROUPS);
        let groups: Vec<String> = groups.map(|n| self.groups[n].name.clone()).collect();
        let level = |group: &String| (group.clone(), u8::try_from(number % 10 + 1).unwrap_or(1));
        Operator {
            login: login(number),
            name: String::new(),
            extension: None,
            skills: groups.iter().map(level).collect(),
            groups,
            role: Role::Operator,
            auto_answer: false,
            whisper: false,
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.calls += 1;
        let number = usize::try_from(self.calls).unwrap_or(0);
        Ticket {
            call: CallId(Uuid::from_u128(self.calls)),
            group: self.groups[number % GROUPS].clone(),
            origin: Origin::Called,
            caller: None,
            priority: i32::from(number.is_multiple_of(10)),
            manager: None,
            only_manager: false,
            place: None,
            way: TicketWay::Caller,
            plan: "bench".to_owned(),
        }
    }

    /// How long it takes to let one more caller in.
    pub fn join(&mut self) -> Duration {
        self.now = self.now.plus_ms(20);
        let ticket = self.ticket();
        let began = Instant::now();
        self.acd.join(self.now, ticket, &mut self.out);
        began.elapsed()
    }

    /// Every phone that rings is picked up.
    pub fn pick_up(&mut self) -> Vec<Login> {
        let offers = self.out.drain(..).filter_map(|act| match act {
            Act::Offer { offer, call, operator, .. } => Some((offer, call, operator)),
            Act::Withdraw { .. }
            | Act::Reserve { .. }
            | Act::Unreserved { .. }
            | Act::TurnAway { .. }
            | Act::Record { .. }
            | Act::Remember { .. }
            | Act::StateChanged { .. } => None,
        });
        let mut operators = Vec::new();
        let offers: Vec<_> = offers.collect();
        for (offer, call, operator) in offers {
            self.acd.answered(self.now, offer, &mut self.out);
            self.acd.connected(self.now, call, &mut self.out);
            operators.push(operator);
        }
        self.out.clear();
        operators
    }

    /// All operators talk, and 1,000 callers wait. Gives those who talk, in the order of their calls.
    pub fn busy() -> (Self, VecDeque<Login>) {
        let (mut house, mut talking) = (Self::new(), VecDeque::new());
        while talking.len() < OPERATORS {
            house.join();
            talking.extend(house.pick_up());
        }
        while house.waiting() < usize::try_from(WAITING).unwrap_or(0) {
            house.join();
        }
        (house, talking)
    }

    fn waiting(&self) -> usize {
        self.acd.lines().map(|group| self.acd.line(group).len()).sum()
    }

    /// How long it takes to give this operator the next caller.
    pub fn end_talk(&mut self, operator: &Login) -> Duration {
        self.now = self.now.plus_ms(20);
        let began = Instant::now();
        self.acd.talk_ended(self.now, operator, &mut self.out);
        began.elapsed()
    }
}

fn login(number: usize) -> Login {
    format!("operator{number}").parse().expect("a login")
}
