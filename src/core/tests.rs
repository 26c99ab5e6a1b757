//! Calls through the hub, in stepped time, told from the caller's side.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use uuid::Uuid;

use crate::dialplan::Plan;
use crate::dialplan::expression::{Condition, Operand};
use crate::dialplan::plan::{Ask, Block, Dialled, Entry, Lookup, Menu, Piece, Script, Statement};
use crate::domain::{
    CallFact, CallId, CallerId, Customer, EndReason, EndedBy, Key, KeySource, Language, LegId,
    LookupId, Order, PhoneNumber, PlayId, RecordingId, Region, RtpStatistics, Timestamp,
};
use crate::speech::{Catalogue, Format};

use super::event::{Offered, Refusal};
use super::{Command, Event, Hub, LookupAnswer};

/// Every recording lasts so long here.
const RECORDING_MS: u64 = 1_000;

fn block(statements: Vec<Statement>) -> Block {
    Block::from(statements)
}

fn say(ids: &[&str]) -> Statement {
    Statement::Say(ids.iter().map(|id| Piece::Recording(RecordingId::new(*id))).collect())
}

fn say_value(id: &str, name: &str, format: Format) -> Statement {
    let value = Piece::Value { name: name.to_owned(), format };
    Statement::Say([Piece::Recording(RecordingId::new(id)), value].into())
}

fn lookup() -> Lookup {
    Lookup {
        wait_ms: 800,
        deadline_ms: None,
        filler: [Piece::Recording(RecordingId::new("phrase/one-moment"))].into(),
        unavailable: block(vec![say(&["phrase/crm-unavailable"])]),
    }
}

fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

/// Number 100: greeting, lookup, points if found, then the main menu.
fn plan() -> Plan {
    let known = Condition::Holds(Operand::Name("customer.found".to_owned()));
    let points = say_value("phrase/points-are", "customer.points", Format::Points);
    let entry = block(vec![
        say(&["phrase/greeting"]),
        Statement::LookupCustomer(lookup()),
        Statement::If { condition: known, then: block(vec![points]), otherwise: block(vec![]) },
        Statement::Go("main".to_owned()),
    ]);
    let ask = Ask {
        prompt: [Piece::Recording(RecordingId::new("phrase/enter-order"))].into(),
        variable: "order".to_owned(),
        digits: 12,
        end: Some(key('#')),
        wait_ms: 5_000,
        tries: 2,
        silence: block(vec![say(&["phrase/no-choice"])]),
    };
    let status = Piece::Value { name: "order.status".to_owned(), format: Format::Status };
    let other_order = block(vec![
        Statement::Ask(ask),
        Statement::LookupOrder { variable: "order".to_owned(), lookup: lookup() },
        Statement::If {
            condition: Condition::Holds(Operand::Name("order.found".to_owned())),
            then: block(vec![Statement::Say([status].into())]),
            otherwise: block(vec![say(&["phrase/order-not-found"])]),
        },
    ]);
    let main = Menu {
        name: "main".to_owned(),
        wait_ms: 5_000,
        tries: 2,
        prompt: block(vec![say(&["phrase/menu-points"])]),
        keys: BTreeMap::from([
            (key('1'), block(vec![say(&["phrase/points-none"])])),
            (key('2'), block(vec![Statement::Go("other-order".to_owned())])),
            (key('0'), block(vec![say(&["phrase/to-operator"]), Statement::Hangup])),
            (key('*'), block(vec![Statement::Repeat])),
        ]),
        silence: None,
        wrong: block(vec![say(&["phrase/wrong-key"])]),
    };
    let circle = block(vec![Statement::Go("circle".to_owned())]);
    let script = Script {
        timezone: TimeZone::get("Europe/Moscow").unwrap(),
        entries: vec![entry, circle.clone()],
        steps: BTreeMap::from([
            ("other-order".to_owned(), other_order),
            ("circle".to_owned(), circle),
        ]),
        menus: BTreeMap::from([("main".to_owned(), main)]),
        ..Script::named("hotline")
    };
    let entry = |block| Entry { script: "hotline".to_owned(), block };
    let public = PhoneNumber::parse("+78003334455", Region::default()).unwrap();
    Plan {
        version: "v1".to_owned(),
        scripts: BTreeMap::from([("hotline".to_owned(), Arc::new(script))]),
        numbers: BTreeMap::from([
            (Dialled::Internal("100".to_owned()), entry(0)),
            (Dialled::Public(public), entry(0)),
            (Dialled::Internal("666".to_owned()), entry(1)),
        ]),
    }
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    catalogue
        .add_tsv(Language::Russian, include_str!("../../prompts/ru/catalogue.tsv"))
        .expect("the shipped catalogue is well-formed");
    catalogue
}

/// One caller, a phone that plays what it is told, and a clock that is stepped.
struct Scene {
    hub: Hub,
    now: Timestamp,
    call: CallId,
    leg: LegId,
    /// Ordered and not yet heard.
    playing: VecDeque<(PlayId, Vec<RecordingId>, Timestamp)>,
    heard: Vec<String>,
    facts: Vec<CallFact>,
    asked: Vec<LookupId>,
    other: Vec<Command>,
}

impl Scene {
    fn new() -> Self {
        Self {
            hub: Hub::new(Arc::new(plan()), Arc::new(catalogue()), Region::default(), 0),
            now: Timestamp(1_000_000),
            call: CallId(Uuid::from_u128(1)),
            leg: LegId(Uuid::from_u128(2)),
            playing: VecDeque::new(),
            heard: Vec::new(),
            facts: Vec::new(),
            asked: Vec::new(),
            other: Vec::new(),
        }
    }

    /// A call that is answered and acknowledged at once.
    fn calling(dialled: &str, caller: &str) -> Self {
        let mut scene = Self::new();
        scene.offer(dialled, caller);
        scene.tell(Event::Confirmed { leg: scene.leg });
        scene
    }

    fn offer(&mut self, dialled: &str, caller: &str) {
        let caller = PhoneNumber::parse(caller, Region::default())
            .map_or(CallerId::Anonymous, CallerId::Number);
        self.tell(Event::CallOffered(Box::new(Offered {
            call: self.call,
            leg: self.leg,
            dialled: dialled.to_owned(),
            caller,
            caller_name: None,
            account: None,
            is_near_phone: false,
            stranger: None,
            replaces: None,
        })));
    }

    fn tell(&mut self, event: Event) {
        let mut commands = Vec::new();
        self.hub.handle(self.now, event, &mut commands);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Play { play, recordings, .. } => {
                    let from = self.playing.back().map_or(self.now, |(_, _, end)| *end);
                    let length = RECORDING_MS * recordings.len() as u64;
                    self.playing.push_back((play, recordings, from.plus_ms(length)));
                }
                Command::StopPlaying { .. } => {
                    let cut: Vec<_> = self.playing.drain(..).collect();
                    for (n, (play, recordings, _)) in cut.into_iter().enumerate() {
                        let after = if n == 0 { 500 } else { 0 };
                        self.heard.extend((n == 0).then(|| format!("{}…", recordings[0])));
                        let cut_after_ms = Some(after);
                        self.tell(Event::PlayEnded { leg: self.leg, play, cut_after_ms });
                    }
                }
                Command::Record { fact, .. } => self.facts.push(fact),
                Command::LookUp { lookup, .. } => self.asked.push(lookup),
                other => self.other.push(other),
            }
        }
    }

    /// Lets `ms` pass: prompts end and timers fire in their order.
    fn pass(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        loop {
            let prompt = self.playing.front().map(|(_, _, end)| *end);
            let next = [prompt, self.hub.next_timer()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if prompt == Some(next) {
                let (play, recordings, _) = self.playing.pop_front().unwrap();
                self.heard.extend(recordings.iter().map(ToString::to_string));
                self.tell(Event::PlayEnded { leg: self.leg, play, cut_after_ms: None });
            } else {
                let mut commands = Vec::new();
                self.hub.on_time(self.now, &mut commands);
                self.carry_out(commands);
            }
        }
        self.now = until;
    }

    fn press(&mut self, c: char) {
        let source = KeySource::Event;
        self.tell(Event::KeyPressed { leg: self.leg, key: key(c), source });
    }

    fn answer(&mut self, answer: LookupAnswer) {
        let lookup = *self.asked.last().expect("something was asked");
        self.tell(Event::LookupAnswered { call: self.call, lookup, answer, took_ms: 7 });
    }

    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    fn is_hung_up(&self) -> bool {
        self.other.iter().any(|command| matches!(command, Command::Hangup { .. }))
    }
}

fn anna() -> LookupAnswer {
    let order =
        Order { number: "48-15".into(), status: Some("shipped".into()), ..Order::default() };
    LookupAnswer::Customers(vec![Customer {
        points: Some(1_254),
        orders: vec![order],
        ..Customer::default()
    }])
}

#[test]
fn a_known_caller_hears_the_points_and_then_the_menu() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.answer(anna());
    scene.pass(20_000);
    let heard = scene.heard();
    assert_eq!(
        heard[..6],
        [
            "phrase/greeting",
            "phrase/points-are",
            "thousand/01",
            "number/200",
            "count/point/54",
            "phrase/menu-points"
        ]
    );
}

#[test]
fn nothing_is_played_before_the_phone_acknowledged_the_answer() {
    let mut scene = Scene::new();
    scene.offer("100", "+79161112233");
    assert_eq!(scene.other, [Command::Answer { leg: scene.leg }]);
    assert!(scene.playing.is_empty());
}

#[test]
fn a_public_number_is_found_in_any_spelling() {
    for dialled in ["+78003334455", "88003334455", "8 (800) 333-44-55"] {
        assert!(!Scene::calling(dialled, "").playing.is_empty(), "{dialled}");
    }
    let mut scene = Scene::new();
    scene.offer("102", "");
    let why = Refusal::UnknownNumber;
    assert_eq!(scene.other, [Command::Reject { leg: scene.leg, why }]);
    assert_eq!(scene.hub.calls(), 0);
}

#[test]
fn an_anonymous_caller_is_not_looked_up() {
    let mut scene = Scene::calling("100", "");
    scene.pass(2_500);
    assert!(scene.asked.is_empty());
    assert_eq!(scene.heard(), ["phrase/greeting", "phrase/menu-points"]);
}

#[test]
fn the_filler_is_heard_only_when_the_caller_would_hear_silence() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.pass(999); // the wait of 800 ms is over, the greeting is not
    assert!(scene.heard().is_empty());
    scene.pass(1_001);
    assert_eq!(scene.heard(), ["phrase/greeting", "phrase/one-moment"]);
    scene.pass(4_000); // and again, but not at once
    assert_eq!(scene.heard(), ["phrase/one-moment"]);
    scene.answer(anna());
    scene.pass(4_000);
    assert_eq!(scene.heard()[0], "phrase/points-are");
}

#[test]
fn keys_pressed_while_the_crm_thinks_stop_nothing_but_the_prompt() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.press('1');
    scene.press('1');
    assert_eq!(scene.heard(), ["phrase/greeting…"]);
    scene.pass(10_000); // no dead air, and the clock of this call does not stand still
    assert_eq!(scene.heard(), ["phrase/one-moment"; 3]);
    scene.answer(LookupAnswer::Unavailable { why: "slower than 8000 ms".into() });
    scene.pass(2_000); // the first key skipped the bad news, the second the first one's answer
    assert_eq!(scene.heard(), ["phrase/points-none", "phrase/menu-points"]);
}

#[test]
fn a_dead_crm_is_told_and_the_call_goes_on() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.answer(LookupAnswer::Unavailable { why: "connection refused".into() });
    scene.pass(3_000);
    let heard = scene.heard();
    assert_eq!(heard, ["phrase/greeting", "phrase/crm-unavailable", "phrase/menu-points"]);
    let told = scene.facts.iter().any(|fact| {
        matches!(fact, CallFact::LookedUp { outcome, .. } if outcome.starts_with("unavailable"))
    });
    assert!(told);
}

#[test]
fn unknown_points_are_not_a_sentence_with_a_hole() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.answer(LookupAnswer::Customers(vec![Customer::default()]));
    scene.pass(2_000);
    assert_eq!(scene.heard(), ["phrase/greeting", "phrase/crm-unavailable"]);
}

#[test]
fn a_key_cuts_the_prompt_and_is_acted_on() {
    let mut scene = Scene::calling("100", "");
    scene.pass(1_500);
    scene.press('1');
    scene.pass(1_000);
    assert_eq!(scene.heard(), ["phrase/greeting", "phrase/menu-points…", "phrase/points-none"]);
    scene.pass(1_000); // and the menu again
    assert_eq!(scene.heard(), ["phrase/menu-points"]);
}

#[test]
fn a_key_typed_ahead_skips_to_its_branch() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.press('0');
    scene.answer(anna());
    scene.pass(5_000);
    assert_eq!(scene.heard(), ["phrase/greeting…", "phrase/to-operator"]);
    assert!(scene.is_hung_up());
}

#[test]
fn silence_and_wrong_keys_are_told_and_have_an_end() {
    let mut scene = Scene::calling("100", "");
    scene.pass(2_000);
    scene.press('7');
    scene.pass(2_000);
    assert_eq!(
        scene.heard(),
        ["phrase/greeting", "phrase/menu-points", "phrase/wrong-key", "phrase/menu-points"]
    );
    assert!(!scene.is_hung_up());
    scene.pass(5_000 + 2_000);
    assert_eq!(scene.heard(), ["phrase/no-choice", "phrase/goodbye"]);
    assert!(scene.is_hung_up());
}

#[test]
fn an_order_is_found_by_its_typed_number_among_the_own_ones() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.answer(anna());
    scene.pass(6_000);
    scene.heard();
    for c in "24815#".chars() {
        scene.press(c);
    }
    scene.pass(1_000);
    assert_eq!(scene.heard(), ["phrase/enter-order…", "status/shipped"]);
    let typed = CallFact::Entered { variable: "order".into(), digits: 4 };
    assert!(scene.facts.contains(&typed));
}

#[test]
fn another_order_is_asked_of_the_crm() {
    let mut scene = Scene::calling("100", "");
    scene.pass(3_000);
    for c in "299".chars() {
        scene.press(c);
    }
    scene.heard();
    scene.pass(5_000); // the pause ends the number
    scene.answer(LookupAnswer::Order(None));
    scene.pass(1_000);
    assert_eq!(scene.heard(), ["phrase/order-not-found"]);
}

#[test]
fn who_types_no_digits_is_asked_again_and_then_let_go_on() {
    let mut scene = Scene::calling("100", "");
    scene.pass(3_000);
    scene.press('2');
    scene.heard();
    scene.pass(1_000 + 5_000 + 1_000 + 5_000 + 2_000);
    assert_eq!(
        scene.heard()[..4],
        ["phrase/enter-order", "phrase/enter-order", "phrase/no-choice", "phrase/order-not-found"]
    );
}

#[test]
fn a_plan_that_runs_in_circles_ends_with_an_apology() {
    let mut scene = Scene::calling("666", "");
    scene.pass(2_000);
    assert_eq!(scene.heard(), ["phrase/sorry-error"]);
    assert!(scene.is_hung_up());
}

#[test]
fn a_call_is_closed_with_its_statistics_and_who_ended_it() {
    let mut scene = Scene::calling("100", "+79161112233");
    let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
    scene.tell(Event::LegEnded { leg: scene.leg, by, reason });
    assert!(scene.other.iter().any(|c| matches!(c, Command::CancelLookup { .. })));
    let play = PlayId(0);
    scene.tell(Event::PlayEnded { leg: scene.leg, play, cut_after_ms: Some(300) });
    let statistics = RtpStatistics { packets_sent: 15, ..RtpStatistics::default() };
    scene.tell(Event::MediaClosed { leg: scene.leg, statistics });
    assert_eq!(scene.hub.calls(), 0);
    let last: Vec<_> = scene.facts.iter().rev().take(3).rev().cloned().collect();
    assert!(matches!(last[0], CallFact::Said { heard_ms: 300, is_cut: true, .. }), "{last:?}");
    assert_eq!(last[1..], [CallFact::Rtp(statistics), CallFact::Ended { by, reason }]);
}

#[test]
fn a_call_whose_media_never_reports_is_closed_all_the_same() {
    let mut scene = Scene::calling("100", "");
    let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
    scene.tell(Event::LegEnded { leg: scene.leg, by, reason });
    scene.playing.clear();
    scene.pass(2_000);
    assert_eq!(scene.hub.calls(), 0);
    assert_eq!(scene.facts.last(), Some(&CallFact::Ended { by, reason }));
}

#[test]
fn who_hung_up_is_who_decided_it() {
    let mut scene = Scene::calling("100", "");
    scene.tell(Event::MediaDied { leg: scene.leg });
    let (by, reason) = (EndedBy::Plan, EndReason::HungUp); // what the signalling saw
    scene.tell(Event::LegEnded { leg: scene.leg, by, reason });
    scene.tell(Event::MediaClosed { leg: scene.leg, statistics: RtpStatistics::default() });
    let (by, reason) = (EndedBy::Network, EndReason::MediaDied);
    assert_eq!(scene.facts.last(), Some(&CallFact::Ended { by, reason }));
}

#[test]
fn stale_events_change_nothing() {
    let mut scene = Scene::calling("100", "+79161112233");
    scene.answer(anna());
    scene.answer(anna()); // twice
    scene.tell(Event::PlayEnded { leg: scene.leg, play: PlayId(99), cut_after_ms: None });
    scene.tell(Event::Confirmed { leg: scene.leg });
    scene.tell(Event::Confirmed { leg: LegId(Uuid::from_u128(9)) });
    scene.pass(1_000);
    assert_eq!(scene.heard(), ["phrase/greeting"]);
}

#[test]
fn a_call_keeps_the_plan_with_which_it_began() {
    let mut scene = Scene::calling("100", "");
    let catalogue = Arc::new(catalogue());
    scene.tell(Event::PlanReplaced { plan: Arc::new(Plan::default()), catalogue });
    scene.pass(2_000);
    assert_eq!(scene.heard(), ["phrase/greeting", "phrase/menu-points"]);
    (scene.call, scene.leg) = (CallId(Uuid::from_u128(3)), LegId(Uuid::from_u128(4)));
    scene.offer("100", "");
    assert!(scene.other.iter().any(|c| matches!(c, Command::Reject { .. })));
}

#[test]
fn a_drain_refuses_new_calls_and_ends_old_ones_at_its_end() {
    let mut scene = Scene::calling("100", "");
    scene.tell(Event::DrainStarted);
    scene.call = CallId(Uuid::from_u128(3));
    let first = std::mem::replace(&mut scene.leg, LegId(Uuid::from_u128(4)));
    scene.offer("100", "");
    let refused = Command::Reject { leg: scene.leg, why: Refusal::Overloaded };
    assert_eq!(scene.other.last(), Some(&refused));
    scene.tell(Event::DrainEnded);
    let (by, reason) = (EndedBy::Server, EndReason::Shutdown);
    assert_eq!(scene.other.last(), Some(&Command::Hangup { leg: first, by, reason }));
}

#[test]
fn a_call_without_room_for_its_audio_is_refused_and_recorded() {
    let mut scene = Scene::new();
    scene.offer("100", "");
    scene.tell(Event::NoRoom { leg: scene.leg });
    let (by, reason) = (EndedBy::Server, EndReason::Busy);
    assert_eq!(
        scene.other.last(),
        Some(&Command::Reject { leg: scene.leg, why: Refusal::Overloaded })
    );
    assert_eq!(scene.facts.last(), Some(&CallFact::Ended { by, reason }));
    assert_eq!(scene.hub.calls(), 0);
}

/// What may happen to a call, in any order.
#[derive(Clone, Debug)]
enum Happening {
    Key(char),
    Pass(u64),
    Answer(LookupAnswer),
    StalePlayEnd(u32),
    Confirmed,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        prop::sample::select("0123456789*#".chars().collect::<Vec<_>>()).prop_map(Happening::Key),
        (0_u64..8_000).prop_map(Happening::Pass),
        Just(Happening::Answer(anna())),
        Just(Happening::Answer(LookupAnswer::Order(None))),
        Just(Happening::Answer(LookupAnswer::Unavailable { why: "dead".into() })),
        (0_u32..50).prop_map(Happening::StalePlayEnd),
        Just(Happening::Confirmed),
    ]
}

proptest! {
    /// No order of events stops the clock, leaves a call behind, or lets it wait for nothing.
    #[test]
    fn whatever_happens_a_call_waits_for_something_and_has_an_end(
        happenings in prop::collection::vec(happening(), 0..60)
    ) {
        let mut scene = Scene::calling("100", "+79161112233");
        for happening in happenings {
            match happening {
                Happening::Key(c) => scene.press(c),
                Happening::Pass(ms) => scene.pass(ms),
                Happening::Answer(answer) if !scene.asked.is_empty() => scene.answer(answer),
                Happening::Answer(_) => {}
                Happening::StalePlayEnd(id) => {
                    // Only of plays that are over: a phone does not end what it still plays.
                    let play = PlayId(id);
                    if scene.playing.iter().all(|(playing, _, _)| *playing != play) {
                        scene.tell(Event::PlayEnded { leg: scene.leg, play, cut_after_ms: None });
                    }
                }
                Happening::Confirmed => scene.tell(Event::Confirmed { leg: scene.leg }),
            }
            let waits = !scene.playing.is_empty() || scene.hub.next_timer().is_some();
            prop_assert!(waits || scene.is_hung_up(), "the call stands still");
        }
        let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
        scene.tell(Event::LegEnded { leg: scene.leg, by, reason });
        scene.playing.clear();
        scene.pass(3_000);
        prop_assert_eq!(scene.hub.calls(), 0);
        prop_assert_eq!(scene.hub.next_timer(), None);
    }
}
