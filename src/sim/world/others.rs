//! Operators with their phones, and callers who wait before the one of the test.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Happening, World};
use crate::core::Event;
use crate::core::event::{Destination, Dial, Offered};
use crate::dialplan::Plan;
use crate::dialplan::plan::{Block, Dialled, Entry, Script, Statement};
use crate::dialplan::scenario::{PlanTest, Presence, TestOperator};
use crate::domain::{
    Attendance, CallId, CallerId, EndReason, EndedBy, LegId, Login, Operator, PhoneState, PlayId,
    RingOutcome, RtpStatistics, Timestamp,
};

/// Why busy operators take no call; nobody hears it.
const BUSY: &str = "busy";
/// Ids of other callers begin here.
const FIRST_ID: u128 = 1_000;

/// The plan, with a number for each line in which others wait: they need not walk to it.
pub(super) fn with_lines(test: &PlanTest, plan: &Arc<Plan>) -> Arc<Plan> {
    let script = plan.scripts.get(&test.script).filter(|_| !test.ahead.is_empty());
    let Some(script) = script else { return plan.clone() };
    let mut script = Script::clone(script);
    let mut plan = Plan::clone(plan);
    for (group, _) in &test.ahead {
        let entry = Entry { script: script.name.clone(), block: script.entries.len() };
        script.entries.push(Block::from([Statement::Queue { group: group.clone() }]));
        plan.numbers.insert(Dialled::Internal(line_of(group)), entry);
    }
    plan.scripts.insert(script.name.clone(), Arc::new(script));
    Arc::new(plan)
}

/// No number of a plan has a space in it.
fn line_of(group: &str) -> String {
    format!("line of {group}")
}

impl World<'_> {
    /// All who are there before the call.
    pub(super) fn others_come(&mut self) {
        let test = self.test;
        let attendance = test.operators.iter().map(|o| (o.login.clone(), attendance_of(o)));
        self.staff(attendance.collect());
        for (index, operator) in test.operators.iter().enumerate() {
            let (operator, presence) = (operator.login.clone(), operator.presence);
            self.tell(Event::PhoneChanged { operator, state: PhoneState::Reachable });
            if let Presence::Busy { free_after_ms: Some(ms) } = presence {
                self.schedule(self.now.plus_ms(ms), Happening::Frees { operator: index });
            }
        }
        let lines = test.ahead.iter().flat_map(|(group, callers)| vec![line_of(group); *callers]);
        for (dialled, id) in lines.zip((FIRST_ID..).step_by(2)) {
            self.another_calls(dialled, id);
        }
    }

    fn staff(&mut self, attendance: BTreeMap<Login, Attendance>) {
        let of = |o: &TestOperator| Operator {
            groups: o.groups.clone(),
            ..Operator::named(o.login.clone())
        };
        let operators = self.test.operators.iter().map(of).collect();
        self.tell(Event::OperatorsReplaced { operators, attendance });
    }

    /// Somebody comes into a line, and has heard what is said before that.
    fn another_calls(&mut self, dialled: String, id: u128) {
        let (call, leg) = (CallId(Uuid::from_u128(id)), LegId(Uuid::from_u128(id + 1)));
        let caller = CallerId::Anonymous;
        self.tell(Event::CallOffered(Box::new(Offered {
            call,
            leg,
            dialled,
            caller,
            caller_name: None,
            account: None,
            is_near_phone: false,
            stranger: None,
            replaces: None,
        })));
        self.tell(Event::Confirmed { leg });
        while self.ahead.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
            self.others_go_on();
        }
    }

    pub(super) fn schedule(&mut self, at: Timestamp, what: Happening) {
        self.happenings += 1;
        self.ahead.insert((at, self.happenings), what);
    }

    /// The next thing that others do.
    pub(super) fn others_go_on(&mut self) {
        let Some(((at, _), what)) = self.ahead.pop_first() else { return };
        self.now = self.now.max(at);
        match what {
            Happening::Answers { phone } => {
                self.ringing.retain(|leg| *leg != phone);
                if phone == self.leg {
                    self.begun = Some(self.now);
                }
                self.tell(Event::Answered { leg: phone });
            }
            Happening::Frees { operator } => {
                if let Some(operator) = self.test.operators.get(operator) {
                    let groups = operator.groups.clone();
                    let free = Attendance { groups, paused: None };
                    self.staff(BTreeMap::from([(operator.login.clone(), free)]));
                }
            }
            Happening::Heard { leg, play } => {
                self.tell(Event::PlayEnded { leg, play, cut_after_ms: None });
            }
        }
    }

    pub(super) fn ring(&mut self, dial: &Dial) {
        let leg = dial.leg;
        let operator = match &dial.to {
            Destination::Operator(login) => {
                self.test.operators.iter().find(|operator| operator.login == *login)
            }
            Destination::Number { .. } if self.dials_customer(dial) => return,
            Destination::Number { .. } => None,
        };
        let Some(operator) = operator else {
            return self.tell(Event::Unanswered { leg, outcome: RingOutcome::Unreachable });
        };
        self.ringing.push(leg);
        if let Some(ms) = operator.answer_ms.filter(|ms| *ms < dial.ring_ms) {
            self.schedule(self.now.plus_ms(ms), Happening::Answers { phone: leg });
        }
    }

    /// A phone stops ringing, or the call of somebody else is over.
    pub(super) fn end_other(&mut self, leg: LegId, by: EndedBy, reason: EndReason) {
        if self.ringing.contains(&leg) {
            self.ringing.retain(|other| *other != leg);
            self.ahead.retain(|_, what| *what != Happening::Answers { phone: leg });
            return self.tell(Event::Unanswered { leg, outcome: RingOutcome::Withdrawn });
        }
        self.tell(Event::LegEnded { leg, by, reason });
        self.cut_other(leg);
        self.tell(Event::MediaClosed { leg, statistics: RtpStatistics::default() });
    }

    pub(super) fn cut_other(&mut self, leg: LegId) {
        let mut cut: Vec<PlayId> = Vec::new();
        self.ahead.retain(|_, what| match what {
            Happening::Heard { leg: of, play } if *of == leg => {
                cut.push(*play);
                false
            }
            Happening::Heard { .. } | Happening::Answers { .. } | Happening::Frees { .. } => true,
        });
        for play in cut {
            self.tell(Event::PlayEnded { leg, play, cut_after_ms: Some(0) });
        }
    }
}

fn attendance_of(operator: &TestOperator) -> Attendance {
    let paused = match operator.presence {
        Presence::Ready => None,
        Presence::Busy { .. } => Some(BUSY.to_owned()),
    };
    Attendance { groups: operator.groups.clone(), paused }
}
