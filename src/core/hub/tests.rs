//! Callers and operators together, in stepped time, told from the supervisor's side.

mod desks;
mod lost;
mod promises;
mod stop;
mod topics;
mod transfers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::core::acd::OperatorState;
use crate::core::event::{
    Destination, Dial, LampState, Monitoring, Offered, Refusal, TransferTarget,
};
use crate::core::{Command, Event, Hub};
use crate::dialplan::plan::{
    AfterRing, Block, Dialled, Entry, Group, Piece, Plan, RecordRule, Script, Statement, Tips,
};
use crate::domain::{
    Attempt, Attendance, CallFact, CallId, CallerId, EndReason, EndedBy, Key, KeySource, Language,
    LegId, LineOutcome, Login, Operator, PhoneNumber, PhoneState, PlayId, Promise, PromiseId,
    Rating, RecordingId, Region, RingOutcome, Role, RtpStatistics, Timestamp,
};
use crate::speech::Catalogue;

const RECORDING_MS: u64 = 1_000;

fn login(name: &str) -> Login {
    name.parse().unwrap()
}

fn say(id: &str) -> Statement {
    Statement::Say([Piece::Recording(RecordingId::new(id))].into())
}

/// Number 100 leads into the line of support, 600 into that of sales.
fn plan(change: impl FnOnce(&mut Group)) -> Plan {
    let queue = |group: &str| Block::from([Statement::Queue { group: group.to_owned() }]);
    let mut support = Group {
        wrap_up_ms: 20_000,
        no_answer: AfterRing::Delay { ms: 30_000 },
        nobody: Block::from([say("phrase/callback-30"), Statement::Hangup]),
        ..Group::named("support")
    };
    change(&mut support);
    let groups = [support, Group::named("sales")];
    let groups = groups.into_iter().map(|group| (group.name.clone(), Arc::new(group)));
    let script = Script {
        entries: vec![queue("support"), queue("sales")],
        groups: groups.collect(),
        ..Script::named("hotline")
    };
    let number = |text: &str, block| {
        (Dialled::Internal(text.to_owned()), Entry { script: "hotline".to_owned(), block })
    };
    Plan {
        version: "v1".to_owned(),
        scripts: BTreeMap::from([("hotline".to_owned(), Arc::new(script))]),
        numbers: BTreeMap::from([number("100", 0), number("600", 1)]),
    }
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    catalogue
        .add_tsv(Language::Russian, include_str!("../../../prompts/ru/catalogue.tsv"))
        .expect("the shipped catalogue is well-formed");
    catalogue
}

fn operator(name: &str, extension: &str) -> Operator {
    Operator {
        login: login(name),
        name: name.to_owned(),
        extension: Some(extension.parse().unwrap()),
        groups: vec!["support".to_owned(), "sales".to_owned()],
        skills: BTreeMap::new(),
        role: if name == "vera" { Role::Supervisor } else { Role::Operator },
        auto_answer: false,
        whisper: false,
    }
}

/// A hotline with phones around it.
struct House {
    hub: Hub,
    now: Timestamp,
    next_id: u128,
    /// By leg: what is being played, in order, and until when.
    playing: BTreeMap<LegId, VecDeque<(PlayId, Timestamp)>>,
    /// What was played to a leg.
    heard: BTreeMap<LegId, Vec<String>>,
    ringing: BTreeMap<Login, Dial>,
    /// Customers whom we call.
    called: BTreeMap<PhoneNumber, Dial>,
    promises: BTreeMap<PromiseId, Promise>,
    attempts: BTreeMap<(PromiseId, u32), Attempt>,
    ratings: Vec<Rating>,
    bridges: BTreeSet<(LegId, LegId)>,
    hung_up: Vec<LegId>,
    facts: Vec<(CallId, CallFact)>,
    commands: Vec<Command>,
}

/// A caller of the house.
#[derive(Clone, Copy)]
struct Caller {
    call: CallId,
    leg: LegId,
}

impl House {
    /// With these operators, all logged in with a phone.
    fn with(names: &[&str], change: impl FnOnce(&mut Group)) -> Self {
        Self::of(names, plan(change))
    }

    fn of(names: &[&str], plan: Plan) -> Self {
        let hub = Hub::new(Arc::new(plan), Arc::new(catalogue()), Region::default(), 1);
        let mut house = Self {
            hub,
            now: Timestamp(1_000_000),
            next_id: 1,
            playing: BTreeMap::new(),
            heard: BTreeMap::new(),
            ringing: BTreeMap::new(),
            called: BTreeMap::new(),
            promises: BTreeMap::new(),
            attempts: BTreeMap::new(),
            ratings: Vec::new(),
            bridges: BTreeSet::new(),
            hung_up: Vec::new(),
            facts: Vec::new(),
            commands: Vec::new(),
        };
        let operators: Vec<Operator> =
            names.iter().zip(201..).map(|(name, n)| operator(name, &n.to_string())).collect();
        let groups = vec!["support".to_owned(), "sales".to_owned()];
        let attendance = Attendance { groups, paused: None };
        let attendance = names.iter().map(|name| (login(name), attendance.clone())).collect();
        house.tell(Event::OperatorsReplaced { operators, attendance });
        for name in names {
            // One after the other, so that the first has been idle longest.
            let (operator, state) = (login(name), PhoneState::Reachable);
            house.tell(Event::PhoneChanged { operator, state });
            house.pass(1_000);
        }
        house
    }

    fn tell(&mut self, event: Event) {
        let mut commands = Vec::new();
        self.hub.handle(self.now, event, &mut commands);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Play { leg, play, recordings, .. } => {
                    let plays = self.playing.entry(leg).or_default();
                    let from = plays.back().map_or(self.now, |(_, end)| *end);
                    plays.push_back((play, from.plus_ms(RECORDING_MS * recordings.len() as u64)));
                    let heard = self.heard.entry(leg).or_default();
                    heard.extend(recordings.iter().map(ToString::to_string));
                }
                Command::StopPlaying { leg } => self.cut(leg),
                Command::Dial(dial) => {
                    let is_rung = match dial.to.clone() {
                        Destination::Operator(operator) => self.ringing.insert(operator, dial),
                        Destination::Number { number, .. } => self.called.insert(number, dial),
                    };
                    assert!(is_rung.is_none(), "rung twice at once");
                }
                Command::StorePromise(promise) => {
                    let id = promise.id;
                    self.promises.insert(id, *promise);
                    self.tell(Event::PromiseStored { promise: id });
                }
                Command::StoreAttempt(attempt) => self.store_attempt(attempt),
                Command::StoreRating { call, rating } => {
                    self.ratings.push(rating);
                    self.tell(Event::RatingStored { call });
                }
                Command::Hangup { leg, by, reason } => self.hang_up_by_us(leg, by, reason),
                Command::Bridge { one, other } => {
                    self.bridges.insert((one, other));
                    self.cut(one);
                    self.cut(other);
                }
                Command::Unbridge { leg } => {
                    self.bridges.retain(|(one, other)| *one != leg && *other != leg);
                }
                Command::Record { call, fact } => self.facts.push((call, fact)),
                other => self.commands.push(other),
            }
        }
    }

    fn cut(&mut self, leg: LegId) {
        for (play, _) in self.playing.remove(&leg).unwrap_or_default() {
            self.tell(Event::PlayEnded { leg, play, cut_after_ms: Some(10) });
        }
    }

    fn hang_up_by_us(&mut self, leg: LegId, by: EndedBy, reason: EndReason) {
        let ringing = self.ringing.iter().find(|(_, dial)| dial.leg == leg);
        if let Some((operator, _)) = ringing.map(|(operator, dial)| (operator.clone(), dial.leg)) {
            self.ringing.remove(&operator);
            return self.tell(Event::Unanswered { leg, outcome: RingOutcome::Withdrawn });
        }
        let called = self.called.iter().find(|(_, dial)| dial.leg == leg);
        if let Some(number) = called.map(|(number, _)| number.clone()) {
            self.called.remove(&number);
            return self.tell(Event::Unanswered { leg, outcome: RingOutcome::Withdrawn });
        }
        self.hung_up.push(leg);
        self.end(leg, by, reason);
    }

    fn store_attempt(&mut self, attempt: Attempt) {
        let (promise, number) = (attempt.promise, attempt.number);
        let is_begun = attempt.outcome.is_none();
        let before = self.attempts.insert((promise, number), attempt);
        assert_eq!(is_begun, before.is_none(), "an attempt begins once, and then ends");
        if is_begun {
            self.tell(Event::AttemptStored { promise, number });
        }
    }

    fn end(&mut self, leg: LegId, by: EndedBy, reason: EndReason) {
        self.bridges.retain(|(one, other)| *one != leg && *other != leg);
        self.tell(Event::LegEnded { leg, by, reason });
        self.cut(leg);
        self.tell(Event::MediaClosed { leg, statistics: RtpStatistics::default() });
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        loop {
            let plays = self
                .playing
                .iter()
                .filter_map(|(leg, plays)| plays.front().map(|(play, end)| (*end, *leg, *play)));
            let play = plays.min();
            let timer = self.hub.next_timer();
            let next = play.map(|(at, ..)| at).into_iter().chain(timer).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            match play {
                Some((at, leg, play)) if at == next => {
                    self.playing.get_mut(&leg).map(VecDeque::pop_front);
                    self.tell(Event::PlayEnded { leg, play, cut_after_ms: None });
                }
                _ => {
                    let mut commands = Vec::new();
                    self.hub.on_time(self.now, &mut commands);
                    self.carry_out(commands);
                }
            }
        }
        self.now = until;
    }

    fn id(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    fn offer(&mut self, dialled: &str, caller: CallerId, account: Option<Login>) -> Caller {
        let caller_legs = Caller { call: CallId(self.id()), leg: LegId(self.id()) };
        let Caller { call, leg } = caller_legs;
        self.tell(Event::CallOffered(Box::new(Offered {
            call,
            leg,
            dialled: dialled.to_owned(),
            caller,
            caller_name: None,
            account,
            is_near_phone: true,
            stranger: None,
            replaces: None,
        })));
        caller_legs
    }

    fn customer(&mut self, number: &str) -> Caller {
        let number = PhoneNumber::parse(number, Region::default()).unwrap();
        let caller = self.offer("100", CallerId::Number(number), None);
        self.tell(Event::Confirmed { leg: caller.leg });
        caller
    }

    /// An operator's phone dials.
    fn dial(&mut self, name: &str, dialled: &str) -> Caller {
        let desk = self.offer(dialled, CallerId::Other(name.to_owned()), Some(login(name)));
        self.tell(Event::Confirmed { leg: desk.leg });
        desk
    }

    fn pick_up(&mut self, name: &str) -> LegId {
        let dial = self.ringing.remove(&login(name)).unwrap_or_else(|| panic!("{name} rings"));
        self.tell(Event::Answered { leg: dial.leg });
        dial.leg
    }

    fn rings(&self) -> Vec<&str> {
        self.ringing.keys().map(Login::as_str).collect()
    }

    fn hear_each_other(&self, one: LegId, other: LegId) -> bool {
        self.bridges.contains(&(one, other)) || self.bridges.contains(&(other, one))
    }

    fn state(&self, name: &str) -> OperatorState {
        self.hub.acd.state(&login(name)).unwrap()
    }

    fn outcomes(&self, caller: Caller) -> Vec<LineOutcome> {
        let of_call = self.facts.iter().filter(|(call, _)| *call == caller.call);
        of_call
            .filter_map(|(_, fact)| match fact {
                CallFact::LeftLine(visit) => Some(visit.outcome),
                _ => None,
            })
            .collect()
    }

    fn heard(&mut self, leg: LegId) -> Vec<String> {
        self.heard.remove(&leg).unwrap_or_default()
    }
}

const HUNG_UP: (EndedBy, EndReason) = (EndedBy::Caller, EndReason::HungUp);
const BROKEN: (EndedBy, EndReason) = (EndedBy::Network, EndReason::SignallingFailed);

#[test]
fn a_caller_reaches_the_operator_who_was_idle_longest_and_wrap_up_follows() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    assert_eq!(house.rings(), ["anna"]);
    house.pass(3_000);
    let phone = house.pick_up("anna");
    assert!(house.hear_each_other(caller.leg, phone));
    assert!(matches!(house.state("anna"), OperatorState::Talking { .. }));
    assert_eq!(house.outcomes(caller), [LineOutcome::Answered]);
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    assert_eq!(house.hung_up, [phone]);
    assert!(matches!(house.state("anna"), OperatorState::WrapUp { .. }));
    house.pass(20_000);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
    let conversed = house.facts.iter().any(|(call, fact)| {
        *call == caller.call && matches!(fact, CallFact::Conversed(c) if c.wrap_up_ms == 20_000)
    });
    assert!(conversed);
    assert_eq!(house.hub.calls(), 0);
    assert!(house.hub.legs.is_empty() && house.hub.bridges.is_empty());
}

#[test]
fn who_does_not_answer_is_followed_by_the_next() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    house.pass(15_000);
    assert_eq!(house.rings(), ["boris"]);
    let phone = house.pick_up("boris");
    assert!(house.hear_each_other(caller.leg, phone));
}

#[test]
fn an_operator_who_hangs_up_ends_the_call() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    let phone = house.pick_up("anna");
    house.end(phone, HUNG_UP.0, HUNG_UP.1);
    assert_eq!(house.hung_up, [caller.leg]);
    let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
    assert!(house.facts.contains(&(caller.call, CallFact::Ended { by, reason })));
    assert!(matches!(house.state("anna"), OperatorState::WrapUp { .. }));
}

#[test]
fn a_caller_who_hangs_up_in_the_line_stops_the_ringing() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    assert_eq!(house.rings(), ["anna"]);
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    assert!(house.ringing.is_empty());
    assert_eq!(house.outcomes(caller), [LineOutcome::Abandoned]);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
}

#[test]
fn of_all_phones_that_ring_one_wins() {
    let mut house =
        House::with(&["anna", "boris"], |g| g.pick = crate::dialplan::plan::Pick::RingAll);
    let caller = house.customer("+79161112233");
    assert_eq!(house.rings(), ["anna", "boris"]);
    // Both pick up before anybody was told of the other.
    let late = house.ringing.get(&login("boris")).unwrap().leg;
    let phone = house.pick_up("anna");
    assert!(house.ringing.is_empty());
    house.tell(Event::Answered { leg: late });
    assert!(house.hear_each_other(caller.leg, phone));
    assert_eq!(house.bridges.len(), 1);
}

#[test]
fn who_is_on_hold_does_not_hear_what_the_phone_itself_plays() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    let phone = house.pick_up("anna");
    house.tell(Event::Held { leg: phone, is_held: true });
    assert!(!house.hear_each_other(caller.leg, phone));
    house.tell(Event::Held { leg: phone, is_held: false });
    assert!(house.hear_each_other(caller.leg, phone));
}

#[test]
fn a_recorded_conversation_is_paused_by_keys_and_ends_with_the_talk() {
    let record = RecordRule { announce: [].into(), refuse_key: None };
    let mut house = House::with(&["anna"], |group| group.record = Some(record));
    let caller = house.customer("+79161112233");
    let phone = house.pick_up("anna");
    let (call, leg) = (caller.call, caller.leg);
    let started = Command::StartRecording { call, caller: leg, operator: phone };
    assert!(house.commands.contains(&started));
    for said in ["code/recording-paused", "code/recording-resumed"] {
        for c in "*47".chars() {
            let (key, source) = (Key::try_from(c).unwrap(), KeySource::Event);
            house.tell(Event::KeyPressed { leg: phone, key, source });
        }
        assert_eq!(house.heard(phone), [said]);
    }
    assert!(house.commands.contains(&Command::PauseRecording { caller: leg }));
    assert!(house.commands.contains(&Command::ResumeRecording { caller: leg }));
    house.end(leg, HUNG_UP.0, HUNG_UP.1);
    assert!(house.commands.contains(&Command::StopRecording { caller: leg }));
}

#[test]
fn tips_are_heard_in_turn_and_none_twice_even_in_the_next_call() {
    let recordings = (1..=3).map(|n| RecordingId::new(format!("tip/0{n}"))).collect();
    let tips = Tips { recordings, every_ms: 5_000 };
    let mut house = House::with(&["anna"], |group| group.tips = Some(tips));
    let busy = house.customer("+79161110000");
    house.pick_up("anna");
    let mut heard = Vec::new();
    for _ in 0..2 {
        let caller = house.customer("+79161112233");
        house.pass(13_000);
        house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
        let of_call = house.heard(caller.leg);
        heard.extend(of_call.into_iter().filter(|id| id.starts_with("tip/")));
    }
    assert!(heard.len() >= 3, "{heard:?}");
    assert_eq!(heard[..3].iter().collect::<BTreeSet<_>>().len(), 3, "{heard:?}");
    let _ = busy;
}

#[test]
fn lamps_follow_the_phone_and_the_pause() {
    let mut house = House::with(&["anna"], |_| ());
    let lamp = |state| Command::SetLamp { lamp: "201".to_owned(), state };
    let pause = |state| Command::SetLamp { lamp: "*46201".to_owned(), state };
    let caller = house.customer("+79161112233");
    assert!(house.commands.contains(&lamp(LampState::Ringing)));
    house.pick_up("anna");
    assert!(house.commands.contains(&lamp(LampState::On)));
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    house.commands.clear();
    house.dial("anna", "*46");
    house.pass(2_000);
    assert!(house.commands.contains(&pause(LampState::On)));
}

#[test]
fn an_operator_who_whispers_hears_the_group_before_the_caller() {
    let mut house = House::with(&["anna"], |_| ());
    let whispering = Operator { whisper: true, ..operator("anna", "201") };
    let attendance = BTreeMap::new();
    house.tell(Event::OperatorsReplaced { operators: vec![whispering], attendance });
    let caller = house.customer("+79161112233");
    house.pass(4_000);
    let phone = house.pick_up("anna");
    let heard = house.heard(phone);
    assert_eq!(heard[..2], ["whisper/group-support", "whisper/waited"]);
    assert!(!house.hear_each_other(caller.leg, phone));
    house.pass(heard.len() as u64 * RECORDING_MS);
    assert!(house.hear_each_other(caller.leg, phone));
}

#[test]
fn a_caller_who_leaves_during_the_whisper_leaves_the_operator_free() {
    let mut house = House::with(&["anna"], |_| ());
    let whispering = Operator { whisper: true, ..operator("anna", "201") };
    let attendance = BTreeMap::new();
    house.tell(Event::OperatorsReplaced { operators: vec![whispering], attendance });
    let caller = house.customer("+79161112233");
    let phone = house.pick_up("anna");
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    assert_eq!(house.hung_up, [phone]);
    assert_eq!(house.outcomes(caller), [LineOutcome::Abandoned]);
    house.pass(6_000);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
    assert!(house.hub.legs.is_empty());
}
