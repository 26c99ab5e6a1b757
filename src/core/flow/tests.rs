//! A caller in the line, told from the caller's side, in stepped time. The line answers as it is
//! told; operators answer when the test says so.

mod deeds;
mod introduction;
mod outgoing;
mod said;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::core::acd::{Estimate, Joined};
use crate::dialplan::plan::{
    Due, Menu, Missed, OfferCallback, Piece, Promise, RecordRule, Tell, Text, Tips,
};
use crate::domain::{CallerId, PhoneNumber, PromiseKind, RecordingId};

/// Every recording lasts so long here.
const RECORDING_MS: u64 = 1_000;

fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

fn say(id: &str) -> Statement {
    Statement::Say([recording(id)].into())
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    let shipped = [
        (Language::Russian, include_str!("../../../prompts/ru/catalogue.tsv")),
        (Language::English, include_str!("../../../prompts/en/catalogue.tsv")),
    ];
    for (language, tsv) in shipped {
        catalogue.add_tsv(language, tsv).expect("the shipped catalogue is well-formed");
    }
    catalogue
}

fn group() -> Group {
    Group {
        nobody: Block::from(vec![say("phrase/callback-30"), Statement::Hangup]),
        full: Block::from(vec![say("phrase/sorry-full"), Statement::Hangup]),
        ..Group::named("support")
    }
}

fn promise(kind: PromiseKind) -> Statement {
    let due = Due::After { ms: 1_800_000 };
    Statement::Promise(Promise { kind, due, group: None })
}

fn tips(count: usize, every_ms: u64) -> Option<Tips> {
    let recordings = (1..=count).map(|n| RecordingId::new(format!("tip/{n:02}"))).collect();
    Some(Tips { recordings, every_ms })
}

const CALL: CallId = CallId(Uuid::from_u128(1));
const LEG: LegId = LegId(Uuid::from_u128(2));

fn knowledge(caller: &str, language: Language) -> Knowledge {
    let number = PhoneNumber::parse(caller, Region::default());
    let caller = number.map_or(CallerId::Anonymous, CallerId::Number);
    Knowledge::new(caller, "100".to_owned(), language)
}

fn setting() -> Setting {
    let catalogue = Arc::new(catalogue());
    Setting { catalogue, region: Region::default(), calendar: Calendar::default() }
}

/// One caller in one line.
struct Scene {
    flow: Flow,
    now: Timestamp,
    playing: VecDeque<(PlayId, Vec<RecordingId>, Timestamp)>,
    /// `00:02 phrase/all-busy`, one entry for each recording; tones are left out.
    heard: Vec<String>,
    tones: usize,
    joined: Joined,
    outlook: Outlook,
    next_tip: usize,
    requests: Vec<LineRequest>,
    deeds: Vec<Deed>,
    /// Whether the database is there.
    stores: bool,
    facts: Vec<CallFact>,
    is_hung_up: bool,
}

impl Scene {
    fn new(caller: &str, language: Language, entry: Vec<Statement>, group: Group) -> Self {
        let script = Script {
            language,
            groups: BTreeMap::from([("support".to_owned(), Arc::new(group))]),
            ..Script::named("hotline")
        };
        let flow = Flow::new(
            CALL,
            LEG,
            Arc::new(script),
            Block::from(entry),
            knowledge(caller, language),
            setting(),
        );
        Self::of(flow)
    }

    fn of(flow: Flow) -> Self {
        Self {
            flow,
            now: Timestamp::default(),
            playing: VecDeque::new(),
            heard: Vec::new(),
            tones: 0,
            joined: Joined::Waiting { came_back: false },
            outlook: Outlook { place: 3, estimate: None, is_ringing: false },
            next_tip: 0,
            requests: Vec::new(),
            deeds: Vec::new(),
            stores: true,
            facts: Vec::new(),
            is_hung_up: false,
        }
    }

    /// A known caller who is queued at once.
    fn queued(group: Group) -> Self {
        let mut scene = Self::silent(group);
        scene.act(|flow, now, out| flow.on_confirmed(now, out));
        scene
    }

    /// The same, before the call is answered.
    fn silent(group: Group) -> Self {
        let entry = vec![Statement::Queue { group: "support".to_owned() }];
        Self::new("+79161112233", Language::Russian, entry, group)
    }

    fn act(&mut self, act: impl FnOnce(&mut Flow, Timestamp, &mut Vec<Command>)) {
        let mut out = Vec::new();
        act(&mut self.flow, self.now, &mut out);
        loop {
            let requests = self.flow.take_requests();
            let deeds = self.flow.take_deeds();
            if requests.is_empty() && deeds.is_empty() {
                break;
            }
            for deed in deeds {
                let is_stored = matches!(deed, Deed::Promise { .. } | Deed::Rated { .. });
                self.deeds.push(deed);
                if self.stores && is_stored {
                    self.flow.on_deed_done(self.now, &mut out);
                }
            }
            for request in requests {
                self.answer(&request, &mut out);
                self.requests.push(request);
            }
        }
        self.carry_out(out);
    }

    fn answer(&mut self, request: &LineRequest, out: &mut Vec<Command>) {
        match request {
            LineRequest::Join { .. } => self.flow.on_joined(self.now, self.joined, out),
            LineRequest::Place => self.flow.on_place(self.now, self.outlook, out),
            LineRequest::Tip { recordings } => {
                let tip = recordings.get(self.next_tip % recordings.len()).cloned();
                self.next_tip += 1;
                self.flow.on_tip(self.now, tip, out);
            }
            LineRequest::Callback { .. } => self.flow.on_deed_done(self.now, out),
            LineRequest::RingOperator { .. } | LineRequest::RefuseRecording => {}
        }
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Play { play, recordings, .. } => {
                    let from = self.playing.back().map_or(self.now, |(_, _, end)| *end);
                    let end = from.plus_ms(RECORDING_MS * recordings.len() as u64);
                    let is_tone = recordings[0].as_str() == "tone/comfort";
                    self.tones += usize::from(is_tone);
                    let seconds = from.since(Timestamp::default()) / 1_000;
                    let shown = recordings.iter().map(|id| format!("{seconds} {id}"));
                    self.heard.extend(shown.filter(|_| !is_tone));
                    self.playing.push_back((play, recordings, end));
                }
                Command::StopPlaying { .. } => {
                    for (n, (play, _, _)) in
                        std::mem::take(&mut self.playing).into_iter().enumerate()
                    {
                        let cut_after_ms = Some(if n == 0 { 10 } else { 0 });
                        self.act(|flow, now, out| flow.on_play_ended(now, play, cut_after_ms, out));
                    }
                }
                Command::Record { fact, .. } => self.facts.push(fact),
                Command::Hangup { .. } => self.is_hung_up = true,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Lets `ms` pass: what is heard ends and timers fire in their order.
    fn pass(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        for steps in 0.. {
            assert!(steps < 10_000, "the flow runs hot");
            let play = self.playing.front().map(|(_, _, end)| *end);
            let timer = self.flow.timer();
            let Some(next) = [play, timer].into_iter().flatten().min() else { break };
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            if play == Some(next) {
                let (play, _, _) = self.playing.pop_front().unwrap();
                self.act(|flow, now, out| flow.on_play_ended(now, play, None, out));
            } else {
                self.act(|flow, now, out| flow.on_time(now, out));
            }
        }
        self.now = until;
    }

    fn press(&mut self, keys: &str) {
        for c in keys.chars() {
            self.act(|flow, now, out| flow.on_key(now, key(c), out));
        }
    }

    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    fn operator_answers(&mut self) {
        self.act(|flow, now, out| flow.on_operator_answered(now, out));
    }

    fn callback(&self) -> Option<&PhoneNumber> {
        self.requests.iter().find_map(|request| match request {
            LineRequest::Callback { number, .. } => Some(number),
            _ => None,
        })
    }
}

fn estimate(minutes: u64) -> Option<Estimate> {
    Some(Estimate { from_ms: 30_000, to_ms: minutes * 60_000 - 1 })
}

#[test]
fn a_caller_hears_the_place_the_estimate_and_then_tips_in_turn() {
    let tell = Some(Tell { place: true, estimate: true, every_ms: 60_000 });
    let mut scene = Scene::queued(Group { tips: tips(3, 20_000), tell, ..group() });
    scene.outlook.estimate = estimate(5);
    scene.pass(1_900);
    assert!(scene.heard().is_empty(), "who is answered at once hears nothing of the line");
    scene.pass(30_000);
    assert_eq!(
        scene.heard(),
        [
            "2 phrase/all-busy",
            "2 phrase/your-place",
            "2 number-end/03",
            "2 phrase/wait-about",
            "2 count/minute/05",
            "9 tip/01",
            "30 tip/02",
        ]
    );
    scene.outlook = Outlook { place: 1, estimate: estimate(1), is_ringing: false };
    scene.pass(45_000);
    assert_eq!(
        scene.heard(),
        ["51 tip/03", "67 phrase/you-are-next", "67 phrase/wait-under-a-minute", "72 tip/01"]
    );
    assert!(scene.tones > 8, "never dead air: {} tones", scene.tones);
    assert!(scene.facts.iter().all(|fact| !matches!(
        fact,
        CallFact::Said { text, .. } if text.is_empty()
    )));
}

#[test]
fn an_estimate_is_never_taken_back() {
    let tell = Some(Tell { place: false, estimate: true, every_ms: 30_000 });
    let mut scene = Scene::queued(Group { tell, ..group() });
    scene.outlook.estimate = estimate(3);
    scene.pass(10_000);
    scene.outlook.estimate = estimate(9);
    scene.pass(60_000);
    scene.outlook.estimate = estimate(2);
    scene.pass(30_000);
    let minutes: Vec<String> =
        scene.heard().into_iter().filter(|heard| heard.contains("minute/")).collect();
    assert_eq!(minutes.len(), 2, "{minutes:?}");
    assert!(minutes[0].ends_with("count/minute/03") && minutes[1].ends_with("count/minute/02"));
}

#[test]
fn a_wait_above_an_hour_is_told_in_hours() {
    let tell = Some(Tell { place: false, estimate: true, every_ms: 30_000 });
    let mut scene = Scene::queued(Group { tell, ..group() });
    scene.outlook.estimate = estimate(75);
    scene.pass(10_000);
    assert!(scene.heard()[2].ends_with("count/hour/02"));
}

#[test]
fn all_are_busy_is_not_said_while_a_phone_rings() {
    let mut scene = Scene::queued(group());
    scene.outlook.is_ringing = true;
    scene.pass(11_000);
    assert!(scene.heard().is_empty());
    assert!(scene.tones >= 2);
    scene.outlook.is_ringing = false;
    scene.pass(3_000);
    assert_eq!(scene.heard(), ["12 phrase/all-busy"]);
}

#[test]
fn an_answer_cuts_what_is_heard_and_leaves_silence() {
    let mut scene = Scene::queued(Group { tips: tips(3, 5_000), ..group() });
    scene.pass(5_500);
    assert!(!scene.playing.is_empty(), "a tip is heard");
    scene.operator_answers();
    assert!(scene.playing.is_empty());
    let heard = scene.heard().len();
    scene.press("1");
    scene.pass(120_000);
    assert_eq!((heard, scene.heard().len()), (2, 0));
    assert_eq!(scene.flow.timer(), None);
    scene.act(|flow, now, out| flow.on_talk_ended(now, out));
    assert!(scene.is_hung_up);
}

#[test]
fn nobody_and_a_full_line_have_their_branches() {
    for (joined, expected) in
        [(Joined::Nobody, "0 phrase/callback-30"), (Joined::Full, "0 phrase/sorry-full")]
    {
        let mut scene = Scene::silent(group());
        scene.joined = joined;
        scene.act(|flow, now, out| flow.on_confirmed(now, out));
        scene.pass(2_000);
        assert_eq!(scene.heard(), [expected]);
        assert!(scene.is_hung_up);
    }
}

#[test]
fn when_the_last_operator_logs_out_those_who_wait_are_told() {
    let mut scene = Scene::queued(group());
    scene.pass(20_000);
    scene.heard();
    scene.act(|flow, now, out| flow.on_turned_away(now, out));
    scene.pass(2_000);
    assert_eq!(scene.heard(), ["20 phrase/callback-30"]);
    assert!(scene.is_hung_up);
}

#[test]
fn a_plan_that_queues_in_circles_ends_with_an_apology() {
    let again = Block::from(vec![Statement::Queue { group: "support".to_owned() }]);
    let mut scene = Scene::silent(Group { nobody: again, ..group() });
    scene.joined = Joined::Nobody;
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.pass(2_000);
    assert_eq!(scene.heard(), ["0 phrase/sorry-error"]);
    assert!(scene.is_hung_up);
}

#[test]
fn the_notice_is_heard_before_the_line_and_only_once() {
    let announce = [recording("phrase/recording-notice")].into();
    let record = Some(RecordRule { announce, refuse_key: Some(key('9')) });
    let recorded = Arc::new(Group { record, ..group() });
    let mut scene = Scene::queued(Group::clone(&recorded));
    scene.press("5");
    assert!(scene.requests.is_empty(), "not in the line yet");
    scene.pass(1_000);
    assert!(matches!(scene.requests[..], [LineRequest::Join { .. }]));
    scene.operator_answers();
    scene.act(|flow, now, out| flow.on_transferred_to_line(now, recorded, out));
    scene.pass(4_000);
    assert_eq!(scene.heard(), ["0 phrase/recording-notice", "3 phrase/all-busy"]);
    let joined = scene.requests.iter().filter(|r| matches!(r, LineRequest::Join { .. })).count();
    assert_eq!(joined, 2);
}

#[test]
fn the_refuse_key_works_during_the_notice_and_in_the_line() {
    let announce = [recording("phrase/recording-notice")].into();
    let record = Some(RecordRule { announce, refuse_key: Some(key('9')) });
    for wait_ms in [500, 5_000] {
        let mut scene = Scene::queued(Group { record: record.clone(), ..group() });
        scene.pass(wait_ms);
        scene.press("9");
        let refused = |r: &LineRequest| matches!(r, LineRequest::RefuseRecording);
        assert!(scene.requests.iter().any(refused));
        scene.pass(1_500);
        let joined = |r: &LineRequest| matches!(r, LineRequest::Join { .. });
        assert!(scene.requests.iter().any(joined));
        assert!(scene.heard().iter().any(|heard| heard.ends_with("phrase/recording-refused")));
    }
}

fn with_offer() -> Group {
    let offer_callback = Some(OfferCallback { after_ms: 60_000, key: key('1') });
    Group { offer_callback, ..group() }
}

#[test]
fn a_callback_is_offered_and_promised_to_the_own_number() {
    let mut scene = Scene::queued(with_offer());
    scene.pass(61_000);
    assert_eq!(scene.heard().last().unwrap(), "60 phrase/offer-callback");
    scene.press("1");
    scene.pass(1_500);
    assert_eq!(scene.heard(), ["61 phrase/callback-number"]);
    scene.press("1");
    assert_eq!(scene.callback().map(PhoneNumber::as_str), Some("+79161112233"));
    scene.pass(1_500);
    assert_eq!(scene.heard(), ["62 phrase/callback-promised"]);
    assert!(scene.is_hung_up);
}

#[test]
fn another_number_is_typed_and_checked() {
    let mut scene = Scene::queued(with_offer());
    scene.pass(5_000); // the key works before the offer is heard, too
    scene.press("12");
    scene.pass(1_500);
    scene.press("84951234567#");
    scene.pass(500);
    let heard = scene.heard();
    assert_eq!(heard.len(), 3 + 1 + 11 + 1, "{heard:?}");
    assert!(heard[4].ends_with("digit/8") && heard[15].ends_with("press-1-if-right"));
    scene.pass(14_000);
    scene.press("1");
    assert_eq!(scene.callback().map(PhoneNumber::as_str), Some("+74951234567"));
    let typed = CallFact::Entered { variable: "callback-number".into(), digits: 11 };
    assert!(scene.facts.contains(&typed));
}

#[test]
fn a_caller_without_a_number_is_asked_for_one_at_once() {
    let entry = vec![Statement::Queue { group: "support".to_owned() }];
    let mut scene = Scene::new("", Language::English, entry, with_offer());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.press("1");
    scene.pass(500);
    assert_eq!(scene.heard(), ["0 phrase/enter-phone"]);
}

#[test]
fn who_says_nothing_or_nonsense_waits_on_and_can_be_answered_all_the_while() {
    // Nor are dear numbers, or such as are abroad, numbers to be called back.
    for answer in ["", "7", "2#", "2123#", "288095551234#", "281018765551234#"] {
        let mut scene = Scene::queued(with_offer());
        scene.pass(10_000);
        scene.press("1");
        scene.press(answer);
        scene.pass(40_000);
        let heard = scene.heard();
        assert!(heard.iter().any(|heard| heard.ends_with("phrase/still-busy")), "{heard:?}");
        assert!(scene.callback().is_none() && !scene.is_hung_up);
        scene.pass(60_000);
        assert!(scene.heard().iter().any(|heard| heard.ends_with("phrase/offer-callback")));
        scene.press("1");
        scene.operator_answers();
        assert!(scene.playing.is_empty());
        scene.press("1");
        assert!(scene.callback().is_none(), "keys belong to the conversation now");
    }
}

#[test]
fn who_loses_the_operator_is_told_and_waits_again() {
    let mut scene = Scene::queued(Group { tips: tips(2, 10_000), ..group() });
    scene.operator_answers();
    scene.pass(30_000);
    scene.act(|flow, now, out| flow.on_operator_lost(now, out));
    scene.pass(8_000);
    assert_eq!(scene.heard(), ["30 phrase/operator-lost", "34 tip/01"]);
    scene.operator_answers();
    scene.act(|flow, now, out| flow.on_talk_ended(now, out));
    assert!(scene.is_hung_up);
}

#[test]
fn who_is_on_hold_hears_tips_until_the_operator_is_back() {
    let mut scene = Scene::queued(Group { tips: tips(2, 10_000), ..group() });
    scene.operator_answers();
    scene.act(|flow, now, out| flow.on_held(now, true, out));
    scene.pass(15_000);
    assert_eq!(scene.heard(), ["2 tip/01", "13 tip/02"]);
    scene.act(|flow, now, out| flow.on_held(now, false, out));
    assert!(scene.playing.is_empty());
    scene.pass(60_000);
    assert!(scene.heard().is_empty());
}

#[test]
fn tips_are_told_only_in_the_language_of_the_caller() {
    let entry = vec![Statement::Queue { group: "support".to_owned() }];
    let mut scene =
        Scene::new("", Language::English, entry, Group { tips: tips(13, 2_000), ..group() });
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.pass(30_000);
    let Some(LineRequest::Tip { recordings }) =
        scene.requests.iter().find(|r| matches!(r, LineRequest::Tip { .. }))
    else {
        panic!("no tip")
    };
    assert_eq!(recordings.len(), 12, "so many are recorded in English");
}

fn manager(login: &str) -> Vec<Statement> {
    let operator = Text::Fixed(login.to_owned());
    vec![
        Statement::Ring { operator, for_ms: 20_000 },
        say("phrase/manager-busy"),
        Statement::Queue { group: "support".to_owned() },
    ]
}

#[test]
fn the_manager_rings_first_and_the_line_comes_next() {
    let mut scene = Scene::new("", Language::Russian, manager("anna"), group());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    assert!(matches!(
        &scene.requests[..],
        [LineRequest::RingOperator { operator, for_ms: 20_000 }] if operator.as_str() == "anna"
    ));
    scene.pass(20_000);
    assert!(scene.tones > 2 && scene.heard().is_empty(), "a tone while it rings");
    scene.act(|flow, now, out| flow.on_turned_away(now, out));
    scene.pass(4_000);
    assert_eq!(scene.heard(), ["20 phrase/manager-busy", "22 phrase/all-busy"]);
}

#[test]
fn a_manager_who_is_not_there_is_not_waited_for() {
    let mut scene = Scene::new("", Language::Russian, manager("anna"), group());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.act(|flow, now, out| flow.on_joined(now, Joined::Nobody, out));
    scene.pass(1_000);
    assert_eq!(scene.heard(), ["0 phrase/manager-busy"]);
}

#[test]
fn a_manager_who_is_lost_is_followed_by_the_next_line_of_the_plan() {
    let mut scene = Scene::new("", Language::Russian, manager("anna"), group());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.operator_answers();
    scene.pass(5_000);
    scene.act(|flow, now, out| flow.on_operator_lost(now, out));
    scene.pass(2_000);
    assert_eq!(scene.heard(), ["5 phrase/operator-lost", "6 phrase/manager-busy"]);
    assert!(scene.requests.iter().any(|r| matches!(r, LineRequest::Join { .. })));
}

#[test]
fn what_cannot_be_a_login_rings_nobody() {
    let mut scene = Scene::new("", Language::Russian, manager("Анна"), group());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    assert!(matches!(scene.requests[..], [LineRequest::Join { .. }]));
}

#[test]
fn stale_answers_change_nothing() {
    let mut scene = Scene::queued(group());
    scene.pass(3_500);
    scene.heard();
    let outlook = scene.outlook;
    scene.act(|flow, now, out| flow.on_place(now, outlook, out));
    scene.act(|flow, now, out| flow.on_joined(now, Joined::Nobody, out));
    scene.act(|flow, now, out| flow.on_talk_ended(now, out));
    scene.act(|flow, now, out| flow.on_operator_lost(now, out));
    scene.act(|flow, now, out| flow.on_held(now, true, out));
    scene.pass(500);
    assert!(scene.heard().is_empty() && !scene.is_hung_up);
    scene.act(|flow, now, out| flow.on_call_ended(now, out));
    scene.operator_answers();
    assert_eq!(scene.flow.timer(), None);
}
