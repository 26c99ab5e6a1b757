//! An operator's phone calls: a colleague, a number outside, or a code.

use crate::dialplan::plan::Script;
use crate::domain::{
    Attendance, CallFact, CallerId, EndReason, EndedBy, Language, LegId, Login, RecordingId,
    RingOutcome, Role as Duty, Timestamp,
};

use super::super::acd::{OperatorState, TopicAnswer};
use super::super::event::{Command, Destination, Dial, Monitoring, Offered, Refusal};
use super::Hub;
use super::codes::Code;
use super::legs::{Desk, Errand, Role};

/// How long a colleague's phone rings.
const RING_MS: u64 = 60_000;
/// What `*48` adds to wrap-up.
const WRAP_UP_MORE_MS: u64 = 30_000;

impl Hub {
    /// A phone that proved to be this operator's calls something that is not in the plan.
    pub(super) fn desk_calls(
        &mut self,
        now: Timestamp,
        offered: Offered,
        operator: Login,
        out: &mut Vec<Command>,
    ) {
        let Offered { call, leg, dialled, .. } = offered;
        let script = self.plan.scripts.values().next().cloned();
        let errand = match Code::parse(&dialled) {
            Some(code) => Ok(Errand::Code(code)),
            None => self.consult(now, leg, &operator, &dialled, script.as_deref(), out),
        };
        let errand = match errand {
            Ok(errand) => errand,
            Err(why) => return out.push(Command::Reject { leg, why }),
        };
        let caller = CallerId::Other(operator.to_string());
        let plan = self.plan.version.clone();
        let fact = CallFact::Offered { dialled, caller, caller_name: None, plan };
        out.push(Command::Record { call, fact });
        if matches!(errand, Errand::Code(_)) {
            out.push(Command::Answer { leg });
        }
        self.acd.set_own_call(now, &operator, true, &mut self.acts);
        self.legs.insert(leg, Role::Desk(Desk { call, operator, errand }));
    }

    /// Rings a colleague or an outside number.
    fn consult(
        &mut self,
        now: Timestamp,
        desk: LegId,
        operator: &Login,
        dialled: &str,
        script: Option<&Script>,
        out: &mut Vec<Command>,
    ) -> Result<Errand, Refusal> {
        let to = script.and_then(|script| self.destination(dialled, script));
        let to = to.ok_or(Refusal::UnknownNumber)?;
        let colleague = match &to {
            Destination::Operator(login) if login == operator => return Err(Refusal::Busy),
            Destination::Operator(login) => Some(login.clone()),
            Destination::Number { .. } => None,
        };
        if let Some(colleague) = &colleague {
            if self.is_on_the_phone(colleague) {
                return Err(Refusal::Busy);
            }
            self.acd.set_own_call(now, colleague, true, &mut self.acts);
        }
        let peer = self.ids.leg(now);
        let own = self.operators.get(operator);
        let from = own
            .and_then(|own| own.extension.as_ref())
            .map_or_else(|| operator.to_string(), ToString::to_string);
        let display = own.map(|own| own.name.clone());
        let dial = Dial { leg: peer, to, from, display, auto_answer: false, ring_ms: RING_MS };
        out.push(Command::Dial(dial));
        let role = Role::Colleague { desk, operator: colleague, is_up: false };
        self.legs.insert(peer, role);
        Ok(Errand::Consult { peer })
    }

    /// The phone can hear us: the code is carried out, and what came of it is said.
    pub(super) fn desk_confirmed(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        let Some(Role::Desk(desk)) = self.legs.get_mut(&leg) else { return };
        let call = desk.call;
        out.push(Command::Record { call, fact: CallFact::Answered });
        let Errand::Code(code) = &desk.errand else { return };
        let (code, operator) = (code.clone(), desk.operator.clone());
        desk.errand = Errand::Told;
        let said = self.run_code(now, leg, &operator, code, out);
        out.push(self.say_to_phone(leg, vec![RecordingId::new(said)]));
    }

    /// Does what a code asks for; the recording that says what came of it.
    fn run_code(
        &mut self,
        now: Timestamp,
        leg: LegId,
        operator: &Login,
        code: Code,
        out: &mut Vec<Command>,
    ) -> &'static str {
        match code {
            Code::Attend { group } => self.attend(now, operator, group.as_deref()),
            Code::Pause { reason } => {
                if matches!(self.acd.attendance(operator), Some(Attendance { paused: Some(_), .. }))
                {
                    self.acd.unpause(now, operator, &mut self.acts);
                    "code/unpaused"
                } else {
                    self.acd.pause(now, operator, reason, &mut self.acts);
                    "code/paused"
                }
            }
            Code::Recording => {
                let call = self.legs.values().find_map(|role| match role {
                    Role::Talker { call, operator: Some(o) } if o == operator => Some(*call),
                    _ => None,
                });
                call.and_then(|call| self.toggle_recording(call, out)).unwrap_or("code/not-allowed")
            }
            Code::ExtendWrapUp => {
                let is_extended =
                    self.acd.extend_wrap_up(now, operator, WRAP_UP_MORE_MS, &mut self.acts);
                if is_extended { "code/wrap-up-extended" } else { "code/not-allowed" }
            }
            Code::EndWrapUp => {
                let is_ended = self.acd.end_wrap_up(now, operator, &mut self.acts);
                if is_ended { "code/wrap-up-done" } else { "code/not-allowed" }
            }
            Code::Topic { code } => match self.set_topic(operator, &code) {
                TopicAnswer::Noted => "code/topic-noted",
                TopicAnswer::Unknown => "code/unknown",
                TopicAnswer::NoConversation => "code/not-allowed",
            },
            Code::Monitor { extension } => match self.monitored(operator, extension.as_str()) {
                Some(target) => {
                    if let Some(Role::Desk(desk)) = self.legs.get_mut(&leg) {
                        desk.errand = Errand::Monitor { target };
                    }
                    "code/listening"
                }
                None => "code/not-allowed",
            },
            Code::Unknown => "code/unknown",
        }
    }

    fn attend(&mut self, now: Timestamp, operator: &Login, group: Option<&str>) -> &'static str {
        let own = self.operators.get(operator).map_or(&[][..], |o| &o.groups[..]);
        let group = match group {
            None => None,
            Some(text) => {
                let numbered = text.parse::<usize>().ok().and_then(|n| own.get(n.checked_sub(1)?));
                match numbered.or_else(|| own.iter().find(|name| *name == text)) {
                    Some(group) => Some(group.clone()),
                    None => return "code/not-allowed",
                }
            }
        };
        let group = group.as_deref();
        let (done, said) = if self.acd.is_logged_in(operator, group) {
            (self.acd.log_out(now, operator, group, &mut self.acts), "code/logged-out")
        } else {
            (self.acd.log_in(now, operator, group, &mut self.acts), "code/logged-in")
        };
        if done.is_ok() { said } else { "code/not-allowed" }
    }

    /// The phone of an operator in a conversation, if this person may listen to it.
    fn monitored(&self, supervisor: &Login, extension: &str) -> Option<LegId> {
        let duty = self.operators.get(supervisor)?.role;
        let target = self
            .operators
            .values()
            .find(|o| o.extension.as_ref().is_some_and(|e| e.as_str() == extension))?;
        let leg = self.legs.iter().find_map(|(leg, role)| match role {
            Role::Talker { operator: Some(o), .. } if *o == target.login => Some(*leg),
            _ => None,
        });
        leg.filter(|_| duty == Duty::Supervisor && target.login != *supervisor)
    }

    /// What came of a code was heard.
    pub(super) fn desk_told(&mut self, leg: LegId, out: &mut Vec<Command>) {
        let Some(Role::Desk(desk)) = self.legs.get(&leg) else { return };
        match desk.errand {
            Errand::Monitor { target } => {
                let (supervisor, operator, mode) = (leg, target, Monitoring::Listen);
                out.push(Command::Monitor { supervisor, operator, mode });
            }
            Errand::Told => {
                let (by, reason) = (EndedBy::Plan, EndReason::HungUp);
                out.push(Command::Hangup { leg, by, reason });
            }
            Errand::Code(_) | Errand::Consult { .. } => {}
        }
    }

    pub(super) fn desk_gone(
        &mut self,
        now: Timestamp,
        desk: Desk,
        by: EndedBy,
        out: &mut Vec<Command>,
    ) {
        let Desk { call, operator, errand } = desk;
        self.own_call_ended(now, &operator);
        if let Errand::Consult { peer } = errand {
            let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
            out.push(Command::Hangup { leg: peer, by, reason });
        }
        let by = if by == EndedBy::Caller { EndedBy::Operator } else { by };
        let fact = CallFact::Ended { by, reason: EndReason::HungUp };
        out.push(Command::Record { call, fact });
    }

    /// Whether the operator talks, or the phone rings already.
    pub(super) fn is_on_the_phone(&self, operator: &Login) -> bool {
        let state = self.acd.state(operator);
        matches!(
            state,
            Some(
                OperatorState::Talking { .. }
                    | OperatorState::Ringing { .. }
                    | OperatorState::Reserved { .. }
            )
        )
    }

    /// One call of an operator is over; a code may be dialled while another one is up.
    pub(super) fn own_call_ended(&mut self, now: Timestamp, operator: &Login) {
        let is_up = self.legs.values().any(|role| match role {
            Role::Desk(desk) => desk.operator == *operator,
            Role::Colleague { operator: colleague, .. } => colleague.as_ref() == Some(operator),
            Role::Receiver(receiver) => receiver.operator.as_ref() == Some(operator),
            Role::Caller(_)
            | Role::Customer(_)
            | Role::Rung(_)
            | Role::Talker { .. }
            | Role::AfterTalk { .. } => false,
        });
        self.acd.set_own_call(now, operator, is_up, &mut self.acts);
    }

    /// The phone at the other end of a desk's call is gone, or never came (with an outcome).
    pub(super) fn colleague_gone(
        &mut self,
        now: Timestamp,
        desk: LegId,
        operator: Option<&Login>,
        outcome: Option<RingOutcome>,
        out: &mut Vec<Command>,
    ) {
        if let Some(operator) = operator {
            self.own_call_ended(now, operator);
        }
        if !matches!(self.legs.get(&desk), Some(Role::Desk(_))) {
            return;
        }
        let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
        match outcome {
            None => out.push(Command::Hangup { leg: desk, by, reason }),
            Some(_) => {
                out.push(Command::Reject { leg: desk, why: Refusal::Busy });
                self.leg_ended(now, desk, by, reason, out);
            }
        }
    }

    /// What operators' phones are spoken to in: the language of the first file of the plan.
    pub(super) fn phone_language(&self) -> Language {
        self.plan.scripts.values().next().map_or(Language::Russian, |script| script.language)
    }

    /// The day in the time zone of the first file of the plan.
    pub(super) fn today(&self, now: Timestamp) -> jiff::civil::Date {
        let zone = self.plan.scripts.values().next().map(|script| script.timezone.clone());
        self.wall(now).in_zone(&zone.unwrap_or(jiff::tz::TimeZone::UTC)).date()
    }
}
