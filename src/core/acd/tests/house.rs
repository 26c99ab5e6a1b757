//! A house with a few operators, stepped through time; what it does is told as a story.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::core::acd::{Acd, Act, Joined, OfferId, OperatorState, Release, Ticket, TicketWay};
use crate::dialplan::plan::Group;
use crate::domain::{
    Attendance, CallFact, CallId, Conversation, Decision, Login, Operator, Origin, PhoneState,
    RingOutcome, Role, Timestamp, Visit,
};

/// Midnight in UTC.
const START: Timestamp = Timestamp(1_767_225_600_000);

pub struct House {
    pub acd: Acd,
    pub now: Timestamp,
    /// Phones that ring.
    pub ringing: BTreeMap<Login, (OfferId, u128)>,
    /// Operators who are kept free, by customer.
    pub reserved: BTreeMap<u128, Login>,
    pub facts: Vec<(u128, CallFact)>,
    pub remembered: Vec<(Login, Attendance)>,
    /// Every offer ever made.
    pub offered: Vec<OfferId>,
    /// Every reservation ever made.
    pub kept: Vec<(CallId, Login)>,
    story: Vec<String>,
}

pub fn login(name: &str) -> Login {
    name.parse().unwrap()
}

pub fn call(number: u128) -> CallId {
    CallId(Uuid::from_u128(number))
}

/// `anna support,orders english=5`
pub fn operator(text: &str) -> Operator {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    let groups = words.next().unwrap_or_default();
    let skill = |word: &str| {
        let (skill, level) = word.split_once('=').unwrap();
        (skill.to_owned(), level.parse().unwrap())
    };
    Operator {
        login: login(name),
        name: name.to_owned(),
        extension: None,
        groups: groups.split(',').map(str::to_owned).collect(),
        skills: words.map(skill).collect(),
        role: Role::Operator,
        auto_answer: false,
        whisper: false,
    }
}

pub fn group(name: &str, change: impl FnOnce(&mut Group)) -> Arc<Group> {
    let mut group = Group::named(name);
    change(&mut group);
    Arc::new(group)
}

pub fn support() -> Arc<Group> {
    group("support", |_| {})
}

pub fn ticket(caller: u128, group: &Arc<Group>) -> Ticket {
    Ticket {
        call: call(caller),
        group: group.clone(),
        origin: Origin::Called,
        caller: Some(format!("+7916{caller:07}")),
        priority: 0,
        manager: None,
        only_manager: false,
        place: None,
        way: TicketWay::Caller,
        plan: "p1".to_owned(),
    }
}

impl House {
    /// Everybody is logged in, with a phone that answers.
    pub fn with(operators: &[&str]) -> Self {
        let mut house = Self {
            acd: Acd::new(),
            now: START,
            ringing: BTreeMap::new(),
            reserved: BTreeMap::new(),
            facts: Vec::new(),
            remembered: Vec::new(),
            offered: Vec::new(),
            kept: Vec::new(),
            story: Vec::new(),
        };
        house.set_operators(operators);
        for text in operators {
            let login = operator(text).login;
            house.run(|acd, now, out| acd.set_phone(now, &login, PhoneState::Reachable, out));
            house.run(|acd, now, out| acd.log_in(now, &login, None, out).unwrap());
            // Logged in one after another: the first one is idle for longest.
            house.now = house.now.plus_ms(1);
        }
        house.now = START.plus_ms(1_000);
        house.story.clear();
        house
    }

    pub fn set_operators(&mut self, operators: &[&str]) {
        let operators = operators.iter().map(|text| operator(text)).collect();
        self.run(|acd, now, out| acd.set_operators(now, operators, out));
    }

    /// Lets the time go on to `m:ss` after the start.
    pub fn at(&mut self, time: &str) -> &mut Self {
        let (minutes, seconds) = time.split_once(':').unwrap();
        let seconds = minutes.parse::<u64>().unwrap() * 60 + seconds.parse::<u64>().unwrap();
        let until = START.plus_ms(seconds * 1_000);
        assert!(self.now <= until, "time goes on");
        while let Some(at) = self.acd.next_timer().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.run(Acd::on_time);
        }
        self.now = until;
        self
    }

    pub fn run<T>(&mut self, act: impl FnOnce(&mut Acd, Timestamp, &mut Vec<Act>) -> T) -> T {
        let mut out = Vec::new();
        let result = act(&mut self.acd, self.now, &mut out);
        for act in out {
            self.note(act);
        }
        assert_eq!(self.acd.check(self.now), Vec::<String>::new());
        result
    }

    fn note(&mut self, act: Act) {
        match act {
            Act::Offer { offer, call, operator, .. } => {
                let caller = call.0.as_u128();
                self.offered.push(offer);
                self.tell(format!("{operator} rings for {caller}"));
                let before = self.ringing.insert(operator.clone(), (offer, caller));
                assert_eq!(before, None, "{operator} has one phone");
            }
            Act::Withdraw { offer } => {
                let mut ringing = self.ringing.iter().filter(|(_, (o, _))| *o == offer);
                let operator = ringing.next().expect("it rings").0.clone();
                self.ringing.remove(&operator);
                self.tell(format!("{operator} stops ringing"));
            }
            Act::Reserve { call, operator } => {
                let caller = call.0.as_u128();
                self.kept.push((call, operator.clone()));
                let before = self.reserved.insert(caller, operator.clone());
                assert_eq!(before, None, "one operator for one customer");
                self.tell(format!("{operator} is kept for {caller}"));
            }
            Act::Unreserved { call } => {
                let caller = call.0.as_u128();
                let operator = self.reserved.remove(&caller).expect("somebody was kept");
                self.tell(format!("{operator} is not kept for {caller}"));
            }
            Act::TurnAway { call } => self.tell(format!("{} is turned away", call.0.as_u128())),
            Act::Record { call, fact } => self.facts.push((call.0.as_u128(), fact)),
            Act::Remember { operator, attendance } => self.remembered.push((operator, attendance)),
            Act::StateChanged { .. } => {}
        }
    }

    fn tell(&mut self, what: String) {
        let seconds = self.now.since(START) / 1_000;
        self.story.push(format!("{}:{:02} {what}", seconds / 60, seconds % 60));
    }

    /// What happened since the last question.
    pub fn story(&mut self) -> String {
        std::mem::take(&mut self.story).join(" · ")
    }

    pub fn joins(&mut self, caller: u128, group: &Arc<Group>) -> Joined {
        self.joins_with(ticket(caller, group))
    }

    pub fn joins_with(&mut self, ticket: Ticket) -> Joined {
        self.run(|acd, now, out| acd.join(now, ticket, out))
    }

    pub fn hangs_up(&mut self, caller: u128) {
        self.run(|acd, now, out| acd.release(now, call(caller), Release::Abandoned, out));
    }

    /// The customer who is called back is not reached.
    pub fn not_reached(&mut self, caller: u128) {
        self.reserved.remove(&caller);
        self.run(|acd, now, out| acd.release(now, call(caller), Release::NotReached, out));
    }

    /// The customer who is called back is on the line.
    pub fn customer_picks_up(&mut self, caller: u128) {
        self.reserved.remove(&caller);
        self.run(|acd, now, out| acd.ring_reserved(now, call(caller), out));
    }

    /// The operator picks up and is connected at once.
    pub fn picks_up(&mut self, name: &str) -> u128 {
        let caller = self.lifts(name).expect("the caller is still there");
        self.run(|acd, now, out| acd.connected(now, call(caller), out));
        caller
    }

    /// The operator picks up and is not connected yet.
    pub fn lifts(&mut self, name: &str) -> Option<u128> {
        let (offer, _) = self.ringing.remove(&login(name)).expect("the phone rings");
        let call = self.run(|acd, now, out| acd.answered(now, offer, out))?;
        Some(call.0.as_u128())
    }

    pub fn does_not_take(&mut self, name: &str, outcome: RingOutcome) {
        let (offer, _) = self.ringing.remove(&login(name)).expect("the phone rings");
        self.run(|acd, now, out| acd.not_taken(now, offer, outcome, out));
    }

    pub fn ends_talk(&mut self, name: &str) {
        self.run(|acd, now, out| acd.talk_ended(now, &login(name), out));
    }

    pub fn pauses(&mut self, name: &str) {
        self.run(|acd, now, out| acd.pause(now, &login(name), "lunch".to_owned(), out));
    }

    pub fn unpauses(&mut self, name: &str) {
        self.run(|acd, now, out| acd.unpause(now, &login(name), out));
    }

    pub fn logs_out(&mut self, name: &str) {
        self.run(|acd, now, out| acd.log_out(now, &login(name), None, out)).unwrap();
    }

    pub fn phone(&mut self, name: &str, phone: PhoneState) {
        self.run(|acd, now, out| acd.set_phone(now, &login(name), phone, out));
    }

    pub fn state(&self, name: &str) -> OperatorState {
        self.acd.state(&login(name)).expect("the operator exists")
    }

    pub fn visits(&self, caller: u128) -> Vec<Visit> {
        self.facts_of(caller, |fact| match fact {
            CallFact::LeftLine(visit) => Some(visit.clone()),
            _ => None,
        })
    }

    pub fn conversations(&self, caller: u128) -> Vec<Conversation> {
        self.facts_of(caller, |fact| match fact {
            CallFact::Conversed(conversation) => Some(conversation.clone()),
            _ => None,
        })
    }

    pub fn decisions(&self, caller: u128) -> Vec<Decision> {
        self.facts_of(caller, |fact| match fact {
            CallFact::Decided(decision) => Some(decision.clone()),
            _ => None,
        })
    }

    fn facts_of<T>(&self, caller: u128, pick: impl Fn(&CallFact) -> Option<T>) -> Vec<T> {
        let of_caller = self.facts.iter().filter(|(whose, _)| *whose == caller);
        of_caller.filter_map(|(_, fact)| pick(fact)).collect()
    }
}
