//! What was promised is kept: by robots, and by operators who call back.

use super::*;
use crate::core::event::PromiseNews;
use crate::dialplan::plan::Promise as Promised;
use crate::dialplan::plan::{
    CallbackRules, Cap, Due, Identity, Incident, Menu, Missed, Robot, RobotKind, Trigger, Way,
    Window,
};
use crate::domain::{CallOutcome, PromiseKind, PromiseState, RecordingNote, ShopEvent};

/// Monday, 2026-11-23, noon in UTC.
const NOON: Timestamp = Timestamp(1_795_435_200_000);
const ANNA: &str = "+79161112233";

fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::default()).unwrap()
}

fn promise(kind: PromiseKind, minutes: u64) -> Statement {
    let group = Some("support".to_owned());
    Statement::Promise(Promised { kind, due: Due::After { ms: minutes * 60_000 }, group })
}

/// 1 to 5 rate, 0 leads to an operator, 9 is never again; below 4 an operator calls back.
fn survey() -> (Robot, Menu) {
    let rated = |score: u8| {
        let mut block = vec![Statement::Rated {
            survey: "rating".to_owned(),
            variable: "score".to_owned(),
            score,
        }];
        if score < 4 {
            block.push(promise(PromiseKind::CallbackLowRating, 30));
            block.push(say("phrase/rating-sorry"));
        } else {
            block.push(say("phrase/rating-thanks"));
        }
        block.push(Statement::Hangup);
        (key(char::from(b'0' + score)), Block::from(block))
    };
    let never = [Statement::DoNotCall, say("phrase/opted-out"), Statement::Hangup];
    let mut keys: BTreeMap<Key, Block> = (1..=5).map(rated).collect();
    keys.insert(key('9'), Block::from(never));
    let queue = Statement::Queue { group: "support".to_owned() };
    keys.insert(key('0'), Block::from([queue]));
    let menu = Menu {
        name: "rating".to_owned(),
        wait_ms: 5_000,
        tries: 2,
        prompt: Block::from([say("phrase/rating-hello"), say("phrase/rating-ask")]),
        keys,
        silence: None,
        wrong: Block::from([say("phrase/rating-again")]),
    };
    (robot("rating", Trigger::Conversation { talk_at_least_ms: 20_000, groups: Vec::new() }), menu)
}

fn robot(name: &str, trigger: Trigger) -> Robot {
    Robot {
        name: name.to_owned(),
        kind: RobotKind::Survey,
        trigger,
        within_ms: 30 * 60_000,
        window: Window::default(),
        cap: Some(Cap { calls: 1, per_ms: 7 * 24 * 3_600_000 }),
        tries: 2,
        every_ms: 10 * 60_000,
        ring_ms: 30_000,
        at_once: 20,
        per_second: 5,
        loyalty: None,
        identity: Identity::default(),
    }
}

/// A hotline with a survey, an incident, and callbacks of these ways.
fn house(names: &[&str], way: Way) -> House {
    let mut plan = plan(|group| {
        group.missed = Some(Missed {
            after_ms: 5_000,
            block: [promise(PromiseKind::CallbackMissed, 30)].into(),
        });
    });
    let (survey, menu) = survey();
    let mut script = Script::clone(&plan.scripts["hotline"]);
    script.robots.insert("rating".to_owned(), Arc::new(survey));
    script.menus.insert("rating".to_owned(), menu);
    let incident = Incident {
        name: "item-not-found".to_owned(),
        event: "order.item-not-found".to_owned(),
        due: Due::After { ms: 15 * 60_000 },
        group: "support".to_owned(),
        label: None,
    };
    script.incidents.insert(incident.name.clone(), Arc::new(incident));
    for kind in PromiseKind::ALL.into_iter().filter(|kind| kind.is_human()) {
        let escalate_to = Some("sales".to_owned());
        let rules = CallbackRules { way, escalate_to, ..CallbackRules::default() };
        script.callbacks.insert(kind, Arc::new(rules));
    }
    plan.scripts.insert("hotline".to_owned(), Arc::new(script));
    let mut house = House::of(names, plan);
    house.now = NOON;
    house.tell(Event::TrunksChanged { calls_max: 30, starts_per_second: 5 });
    house
}

impl House {
    /// A customer talks with an operator for so long; then both are done.
    fn conversation(&mut self, phone: &str, operator: &str, ms: u64) -> Caller {
        let caller = self.customer(phone);
        self.pick_up(operator);
        self.pass(ms);
        self.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
        self.pass(20_000);
        caller
    }

    /// The customer whom we call picks up.
    fn customer_picks_up(&mut self, phone: &str) -> LegId {
        let dial = self.called.remove(&number(phone)).unwrap_or_else(|| panic!("{phone} rings"));
        self.tell(Event::Answered { leg: dial.leg });
        dial.leg
    }

    fn customer_does(&mut self, phone: &str, outcome: RingOutcome) {
        let dial = self.called.remove(&number(phone)).unwrap_or_else(|| panic!("{phone} rings"));
        self.tell(Event::Unanswered { leg: dial.leg, outcome });
        let statistics = RtpStatistics::default();
        self.tell(Event::MediaClosed { leg: dial.leg, statistics });
    }

    fn press(&mut self, leg: LegId, c: char) {
        self.tell(Event::KeyPressed { leg, key: key(c), source: KeySource::Event });
    }

    /// Until the customer's phone rings.
    fn until_called(&mut self, phone: &str, within_ms: u64) {
        for _ in 0..within_ms / 1_000 {
            if self.called.contains_key(&number(phone)) {
                return;
            }
            self.pass(1_000);
        }
        panic!("{phone} was not called within {within_ms} ms: {:?}", self.promises.values());
    }

    fn of_kind(&self, kind: PromiseKind) -> Vec<&Promise> {
        self.promises.values().filter(|promise| promise.kind == kind).collect()
    }

    fn states(&self, kind: PromiseKind) -> Vec<PromiseState> {
        self.of_kind(kind).into_iter().map(|promise| promise.state).collect()
    }

    fn outcomes_of(&self, promise: PromiseId) -> Vec<Option<CallOutcome>> {
        let attempts = self.attempts.values().filter(|attempt| attempt.promise == promise);
        attempts.map(|attempt| attempt.outcome).collect()
    }
}

#[test]
fn a_low_rating_brings_a_human_who_knows_why() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    let call = house.conversation(ANNA, "anna", 60_000);
    house.until_called(ANNA, 30 * 60_000);
    let customer = house.customer_picks_up(ANNA);
    house.pass(500);
    assert_eq!(house.heard(customer), ["phrase/rating-hello", "phrase/rating-ask"]);
    house.press(customer, '2');
    house.pass(10_000);
    assert_eq!(house.hung_up.last(), Some(&customer));
    let rating = house.ratings[0].clone();
    assert_eq!((rating.score, rating.call), (2, Some(call.call)));
    assert_eq!(rating.operator, Some(login("anna")));
    assert_eq!(rating.group.as_deref(), Some("support"));
    assert_eq!(house.states(PromiseKind::RatingCall), [PromiseState::Kept]);

    house.pass(5_000);
    assert_eq!(house.rings(), ["anna"], "{:?}", house.promises);
    let display = house.ringing[&login("anna")].display.clone().unwrap();
    assert!(display.starts_with("Перезвон · оценка · до "), "{display}");
    let phone = house.pick_up("anna");
    house.pass(3_000);
    assert_eq!(house.heard(phone)[..2], ["whisper/callback", "whisper/low-rating"]);
    let customer = house.customer_picks_up(ANNA);
    assert!(!house.hear_each_other(customer, phone));
    house.pass(1_500);
    assert_eq!(house.heard(customer), ["phrase/callback-low-rating"]);
    assert!(house.hear_each_other(customer, phone));
    house.pass(30_000);
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(30_000);
    let callback = house.of_kind(PromiseKind::CallbackLowRating)[0].clone();
    assert_eq!(callback.state, PromiseState::Kept);
    assert_eq!(callback.about.rating, Some(2));
    assert_eq!(house.outcomes_of(callback.id), [Some(CallOutcome::Answered)]);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
    assert!(house.hub.legs.is_empty() && house.hub.callbacks.is_empty());
    house.pass(3_600_000);
    assert!(house.called.is_empty() && house.ringing.is_empty(), "one rating in seven days");
}

#[test]
fn a_high_rating_and_a_short_talk_bring_nobody() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    house.conversation("+79160000001", "anna", 19_000);
    house.conversation(ANNA, "anna", 60_000);
    house.until_called(ANNA, 30 * 60_000);
    let customer = house.customer_picks_up(ANNA);
    house.press(customer, '5');
    house.pass(3_600_000);
    assert_eq!(house.promises.len(), 1);
    assert!(house.called.is_empty() && house.ringing.is_empty());
}

#[test]
fn who_presses_nine_is_never_asked_again() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    house.conversation(ANNA, "anna", 60_000);
    house.until_called(ANNA, 30 * 60_000);
    let customer = house.customer_picks_up(ANNA);
    house.press(customer, '9');
    house.pass(60_000);
    let forbidden = house.commands.iter().any(|command| {
        matches!(command, Command::Forbid { forbidden, .. }
            if forbidden.phone == number(ANNA) && forbidden.robot.as_deref() == Some("rating"))
    });
    assert!(forbidden);
    house.pass(30 * 24 * 3_600_000);
    house.conversation(ANNA, "anna", 60_000);
    house.pass(24 * 3_600_000);
    assert!(house.called.is_empty());
    assert_eq!(house.attempts.len(), 1);
}

#[test]
fn who_asks_a_robot_for_an_operator_waits_in_the_line_like_any_caller() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    house.conversation(ANNA, "anna", 60_000);
    house.until_called(ANNA, 30 * 60_000);
    let customer = house.customer_picks_up(ANNA);
    house.press(customer, '0');
    house.pass(3_000);
    let phone = house.pick_up("anna");
    house.pass(3_000);
    assert!(house.hear_each_other(customer, phone));
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(30_000);
    assert_eq!(house.states(PromiseKind::RatingCall)[0], PromiseState::Kept);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
}

#[test]
fn a_robot_that_hears_no_key_suspects_a_voicemail_and_tries_once_more() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    house.conversation(ANNA, "anna", 60_000);
    for _ in 0..2 {
        house.until_called(ANNA, 3_600_000);
        house.customer_picks_up(ANNA);
        house.pass(60_000);
    }
    house.pass(3 * 3_600_000);
    assert!(house.called.is_empty());
    let promise = house.of_kind(PromiseKind::RatingCall)[0];
    assert_eq!(promise.state, PromiseState::GivenUp);
    let suspected = Some(CallOutcome::VoicemailSuspected);
    assert_eq!(house.outcomes_of(promise.id), [suspected, suspected]);
}

#[test]
fn a_missed_caller_is_called_back_and_bridged_when_the_prompt_was_heard() {
    let mut house = house(&["anna"], Way::CustomerFirst { press: None });
    let busy = house.customer("+79160000001");
    let phone = house.pick_up("anna");
    let missed = house.customer(ANNA);
    house.pass(10_000);
    house.end(missed.leg, HUNG_UP.0, HUNG_UP.1);
    house.pass(10_000);
    assert_eq!(house.of_kind(PromiseKind::CallbackMissed).len(), 1);
    assert!(house.called.is_empty(), "no operator is free");
    house.end(busy.leg, HUNG_UP.0, HUNG_UP.1);
    assert!(house.hung_up.contains(&phone));
    house.pass(25_000);
    assert!(
        matches!(house.state("anna"), OperatorState::Reserved { .. }),
        "{:?}",
        house.state("anna")
    );
    assert!(house.ringing.is_empty());
    let customer = house.customer_picks_up(ANNA);
    assert_eq!(house.rings(), ["anna"]);
    house.pass(200);
    let phone = house.pick_up("anna");
    house.pass(5_000);
    assert_eq!(house.heard(customer)[0], "phrase/callback-missed");
    assert!(house.hear_each_other(customer, phone));
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(30_000);
    assert_eq!(house.states(PromiseKind::CallbackMissed), [PromiseState::Kept]);
}

#[test]
fn with_press_1_only_a_human_reaches_the_operator() {
    let mut house = house(&["anna"], Way::CustomerFirst { press: Some(key('1')) });
    house.miss(ANNA);
    house.until_called(ANNA, 60_000);
    let customer = house.customer_picks_up(ANNA);
    house.pass(2_500);
    assert!(house.rings().is_empty(), "nobody knows yet whether it is a human");
    house.pass(57_500);
    assert!(house.rings().is_empty());
    assert_eq!(house.heard(customer).first().map(String::as_str), Some("phrase/callback-missed"));
    assert_eq!(house.hung_up.last(), Some(&customer), "nobody pressed 1");
    house.pass(20 * 60_000);
    house.until_called(ANNA, 10 * 60_000);
    let customer = house.customer_picks_up(ANNA);
    house.press(customer, '1');
    let phone = match house.rings().is_empty() {
        true => panic!("the operator's phone rings while the customer hears the prompt"),
        false => house.pick_up("anna"),
    };
    house.pass(5_000);
    assert!(house.hear_each_other(customer, phone));
}

impl House {
    /// Somebody hangs up in the line before the operator who rings has picked up.
    fn miss(&mut self, phone: &str) {
        let caller = self.customer(phone);
        self.pass(8_000);
        self.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
        self.pass(1_000);
    }
}

#[test]
fn a_key_during_the_greeting_rings_nobody_twice_and_leaves_nobody_ringing() {
    let mut house = house(&["anna"], Way::CustomerFirst { press: None });
    house.miss(ANNA);
    house.until_called(ANNA, 60_000);
    let customer = house.customer_picks_up(ANNA);
    let phone = house.pick_up("anna");
    // She hears the whisper, the customer the greeting.
    house.pass(300);
    house.press(customer, '5');
    house.pass(800);
    assert!(house.hear_each_other(customer, phone));
    assert!(house.rings().is_empty());
    house.pass(30_000);
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(30_000);
    assert!(
        matches!(house.state("anna"), OperatorState::Ready { .. }),
        "{:?}",
        house.state("anna")
    );
    house.customer("+79160000003");
    assert_eq!(house.rings(), ["anna"]);
}

#[test]
fn who_calls_again_and_is_spoken_to_is_not_called_back() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    let busy = house.customer("+79160000001");
    house.pick_up("anna");
    house.miss(ANNA);
    let again = house.customer(ANNA);
    house.end(busy.leg, HUNG_UP.0, HUNG_UP.1);
    house.pass(20_000);
    let phone = house.pick_up("anna");
    assert!(house.hear_each_other(again.leg, phone));
    house.pass(5_000);
    house.end(again.leg, HUNG_UP.0, HUNG_UP.1);
    house.pass(3_600_000);
    let promise = house.of_kind(PromiseKind::CallbackMissed)[0];
    assert!(promise.state.is_over(), "{promise:?}");
    assert_eq!(house.attempts.len(), 0);
    assert!(house.called.is_empty() && house.ringing.is_empty());
}

#[test]
fn a_customer_who_is_not_reached_is_tried_three_times_and_then_given_up() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    house.miss(ANNA);
    for outcome in [RingOutcome::Busy, RingOutcome::NoAnswer, RingOutcome::Busy] {
        for _ in 0..40 {
            if !house.ringing.is_empty() {
                break;
            }
            house.pass(60_000);
        }
        let phone = house.pick_up("anna");
        house.pass(3_000);
        house.customer_does(ANNA, outcome);
        assert!(house.hung_up.contains(&phone), "the operator does not wait for nobody");
        house.pass(1_000);
        assert!(matches!(house.state("anna"), OperatorState::Ready { .. }), "without wrap-up");
    }
    house.pass(5 * 3_600_000);
    let promise = house.of_kind(PromiseKind::CallbackMissed)[0];
    assert_eq!(promise.state, PromiseState::GivenUp, "{promise:?}");
    assert_eq!(house.attempts.len(), 3);
    let told = house
        .commands
        .iter()
        .any(|command| matches!(command, Command::ShowPromise { news: PromiseNews::Over, .. }));
    assert!(told);
}

#[test]
fn an_operator_who_hangs_up_too_soon_disturbs_no_customer() {
    let mut house = house(&["anna", "boris"], Way::OperatorFirst);
    house.miss(ANNA);
    house.pass(5_000);
    let ringing = house.rings()[0].to_owned();
    let phone = house.pick_up(&ringing);
    house.pass(3_000);
    assert!(house.called.contains_key(&number(ANNA)));
    house.end(phone, EndedBy::Operator, EndReason::HungUp);
    assert!(house.called.is_empty());
    house.pass(1_000);
    let promise = house.of_kind(PromiseKind::CallbackMissed)[0];
    assert!(!promise.state.is_over());
    assert_eq!(house.outcomes_of(promise.id), [Some(CallOutcome::Withdrawn)]);
    for _ in 0..30 {
        if !house.ringing.is_empty() {
            break;
        }
        house.pass(60_000);
    }
    let ringing = house.rings()[0].to_owned();
    house.pick_up(&ringing);
    house.pass(3_000);
    let customer = house.customer_picks_up(ANNA);
    house.pass(3_000);
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(60_000);
    assert_eq!(house.states(PromiseKind::CallbackMissed), [PromiseState::Kept]);
}

#[test]
fn an_event_of_an_order_becomes_one_callback_however_often_it_comes() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    let event = ShopEvent {
        key: "order.item-not-found 77".to_owned(),
        name: "order.item-not-found".to_owned(),
        phone: number(ANNA),
        values: BTreeMap::from([("order".to_owned(), "48-15".to_owned())]),
    };
    house.tell(Event::ShopEvents { events: vec![event.clone(), event.clone()] });
    house.tell(Event::ShopEvents { events: vec![event] });
    house.pass(1_000);
    let taken = |command: &&Command| matches!(command, Command::ShopEventTaken { .. });
    assert_eq!(house.commands.iter().filter(taken).count(), 3);
    assert_eq!(house.promises.len(), 1);
    let promise = house.of_kind(PromiseKind::Incident)[0].clone();
    assert_eq!(promise.due, NOON.plus_ms(house.now.since(NOON).min(2_000) / 10_000 + 15 * 60_000));
    let phone = house.pick_up("anna");
    house.pass(3_000);
    assert_eq!(house.heard(phone)[..2], ["whisper/callback", "whisper/incident"]);
    let customer = house.customer_picks_up(ANNA);
    house.pass(3_000);
    assert_eq!(house.heard(customer), ["phrase/callback-incident"]);
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(30_000);
    assert_eq!(house.states(PromiseKind::Incident), [PromiseState::Kept]);
}

#[test]
fn a_promise_that_will_be_late_is_seen_by_those_whom_the_plan_names() {
    let mut house = house(&["anna", "zoya"], Way::OperatorFirst);
    // Zoya answers for sales alone.
    let groups = vec!["sales".to_owned()];
    let attendance = Attendance { groups: groups.clone(), paused: None };
    let mut operators = vec![operator("anna", "201"), operator("zoya", "202")];
    operators[0].groups = vec!["support".to_owned()];
    operators[1].groups = groups;
    let attendance = BTreeMap::from([(login("zoya"), attendance)]);
    house.tell(Event::OperatorsReplaced { operators, attendance });
    house.customer("+79160000001");
    house.pick_up("anna");
    house.miss(ANNA);
    house.pass(24 * 60_000);
    assert!(house.rings().is_empty(), "anna talks, and there is time: {:?}", house.rings());
    house.pass(65_000);
    assert_eq!(house.rings(), ["zoya"]);
    house.pick_up("zoya");
    house.pass(3_000);
    let customer = house.customer_picks_up(ANNA);
    house.pass(2_000);
    house.end(customer, HUNG_UP.0, HUNG_UP.1);
    house.pass(30_000);
    assert_eq!(house.states(PromiseKind::CallbackMissed), [PromiseState::Kept]);
}

#[test]
fn a_message_belongs_to_its_promise_also_if_the_caller_hangs_up_in_it() {
    let mut plan = plan(|_| ());
    let mut script = Script::clone(&plan.scripts["hotline"]);
    let closed = [
        promise(PromiseKind::CallbackAfterHours, 30),
        Statement::Message { max_ms: 60_000 },
        Statement::Hangup,
    ];
    script.entries[0] = closed.into();
    plan.scripts.insert("hotline".to_owned(), Arc::new(script));
    let mut house = House::of(&["anna"], plan);
    let caller = house.customer(ANNA);
    house.pass(2_000);
    let is_begun = |command: &Command| matches!(command, Command::StartMessage { .. });
    assert!(house.commands.iter().any(is_begun), "{:?}", house.commands);
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    let file = "2026-11-23/message.wav".to_owned();
    let note =
        RecordingNote { file: file.clone(), length_ms: 1_500, paused: Vec::new(), problem: None };
    house.tell(Event::Recorded { call: caller.call, note });
    let promise = house.of_kind(PromiseKind::CallbackAfterHours)[0];
    assert_eq!(promise.about.message, Some(file));
}

#[test]
fn nobody_is_called_to_hear_of_a_hole() {
    let mut plan = plan(|_| ());
    let mut script = Script::clone(&plan.scripts["hotline"]);
    let balance = robot("low-balance", Trigger::Event("balance.low".to_owned()));
    let name = "event.balance".to_owned();
    let value = Piece::Value { name, format: crate::speech::Format::Rubles };
    let (_, menu) = survey();
    let prompt = Block::from([Statement::Say([value].into())]);
    script.menus.insert("low-balance".to_owned(), Menu { prompt, ..menu });
    script.robots.insert("low-balance".to_owned(), Arc::new(balance));
    plan.scripts.insert("hotline".to_owned(), Arc::new(script));
    let mut house = House::of(&["anna"], plan);
    house.now = NOON;
    house.tell(Event::TrunksChanged { calls_max: 30, starts_per_second: 5 });
    let event = |phone: &str, balance: &str| ShopEvent {
        key: phone.to_owned(),
        name: "balance.low".to_owned(),
        phone: number(phone),
        values: BTreeMap::from([("balance".to_owned(), balance.to_owned())]),
    };
    let events = vec![event(ANNA, "40.50"), event("+79160000002", "a lot")];
    house.tell(Event::ShopEvents { events });
    house.pass(5_000);
    assert!(house.called.contains_key(&number(ANNA)));
    assert_eq!(house.called.len(), 1);
    let told = house.commands.iter().any(|command| {
        matches!(command, Command::ShopEventTaken { problem: Some(why), .. }
            if why.contains("event.balance"))
    });
    assert!(told);
}

#[test]
fn while_the_server_stops_nobody_is_called() {
    let mut house = house(&["anna"], Way::OperatorFirst);
    let caller = house.customer(ANNA);
    house.pick_up("anna");
    house.pass(60_000);
    house.tell(Event::DrainStarted);
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    house.pass(3_600_000);
    assert!(house.called.is_empty() && house.attempts.is_empty());
    assert_eq!(house.promises.len(), 1);
}
