//! What outlives the call: stored before it is spoken of, and done for those who have hung up, too.

use super::*;
use crate::core::knowledge::OpenIncident;
use crate::dialplan::expression::{Comparison, Condition, Operand};
use crate::dialplan::plan::{Robot, RobotKind, Trigger};
use crate::speech::Format;

fn bonus(points: i64) -> Statement {
    Statement::Bonus { points, reason: "долгое ожидание".to_owned() }
}

fn when(name: &str, comparison: Comparison, right: Operand, then: Vec<Statement>) -> Statement {
    let left = Operand::Name(name.to_owned());
    Statement::If {
        condition: Condition::Compare { left, comparison, right },
        then: Block::from(then),
        otherwise: Block::default(),
    }
}

fn after_long_waits(then: Vec<Statement>) -> Statement {
    when("waited", Comparison::Greater, Operand::Duration(300_000), then)
}

fn kinds(scene: &Scene) -> Vec<PromiseKind> {
    let kind = |deed: &Deed| match deed {
        Deed::Promise { kind, .. } => Some(*kind),
        _ => None,
    };
    scene.deeds.iter().filter_map(kind).collect()
}

fn given(scene: &Scene) -> usize {
    scene.deeds.iter().filter(|deed| matches!(deed, Deed::Bonus { .. })).count()
}

fn hang_up(scene: &mut Scene) {
    scene.act(|flow, now, out| flow.on_call_ended(now, out));
}

#[test]
fn a_promise_is_stored_before_it_is_spoken_of() {
    let entry = vec![promise(PromiseKind::CallbackOrdered), say("phrase/callback-30")];
    let asked = || {
        let caller = "+79161112233";
        let mut scene = Scene::new(caller, Language::Russian, entry.clone(), group());
        scene.stores = false;
        scene.act(|flow, now, out| flow.on_confirmed(now, out));
        scene
    };
    let mut scene = asked();
    scene.pass(400);
    assert_eq!(kinds(&scene), [PromiseKind::CallbackOrdered]);
    assert!(scene.heard().is_empty());
    scene.act(|flow, now, out| flow.on_deed_done(now, out));
    assert_eq!(scene.heard(), ["0 phrase/callback-30", "1 phrase/goodbye"]);

    // The store goes on trying, but nobody waits for it, and nobody is told what may be lost.
    let mut slow = asked();
    slow.pass(2_900);
    assert!(slow.heard().is_empty());
    slow.pass(200);
    assert_eq!(slow.heard(), ["3 phrase/sorry-error"]);
    slow.act(|flow, now, out| flow.on_deed_done(now, out));
    slow.pass(10_000);
    assert!(slow.heard().is_empty(), "that was the last word");
}

#[test]
fn a_callback_from_the_line_says_whose_it_is_and_until_when() {
    let offer = Some(OfferCallback { after_ms: 60_000, key: key('1') });
    let mut scene = Scene::queued(Group { offer_callback: offer, ..group() });
    scene.pass(5_000);
    scene.press("11");
    scene.pass(100);
    let asked = scene.requests.iter().find_map(|request| match request {
        LineRequest::Callback { number, group, due } => Some((number.as_str(), &group[..], *due)),
        _ => None,
    });
    assert_eq!(asked, Some(("+79161112233", "support", Timestamp(1_805_000))));
    hang_up(&mut scene);
    assert_eq!(scene.deeds, [], "the promise is made already");
}

#[test]
fn due_times_and_hours_follow_the_wall_clock_and_waits_do_not() {
    let entry = vec![promise(PromiseKind::CallbackOrdered), say("phrase/callback-30")];
    let mut scene = Scene::new("+79161112233", Language::Russian, entry, group());
    let wall = Timestamp(1_767_225_600_000);
    let calendar = Calendar { wall, speed: 60, ..Calendar::default() };
    scene.flow.set_calendar(calendar);
    scene.now = Timestamp(1_000);
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    let due = wall.plus_ms(60_000 + 1_800_000);
    assert!(matches!(scene.deeds[..], [Deed::Promise { due: at, .. }] if at == due));
    let told = scene.facts.iter().find_map(|fact| match fact {
        CallFact::Promised { due, .. } => Some(due.as_str()),
        _ => None,
    });
    assert_eq!(told, Some("2026-01-01T00:31:00+00:00"));
}

/// A group whose operators are rated by those who talked with them.
fn rated() -> Scene {
    let below = when(
        "score",
        Comparison::Less,
        Operand::Number(4.0),
        vec![promise(PromiseKind::CallbackLowRating)],
    );
    let score = |score| {
        let (survey, variable) = ("rating".to_owned(), "score".to_owned());
        let rated = Statement::Rated { survey, variable, score };
        Block::from([rated, below.clone(), say("phrase/rating-thanks")])
    };
    let menu = Menu {
        name: "rating".to_owned(),
        wait_ms: 5_000,
        tries: 2,
        prompt: Block::from([say("phrase/callback-missed")]),
        keys: (1..=5_u8).map(|n| (key(char::from(b'0' + n)), score(n))).collect(),
        silence: None,
        wrong: Block::from([say("phrase/wrong-key")]),
    };
    let survey = Robot {
        name: "rating".to_owned(),
        kind: RobotKind::Survey,
        trigger: Trigger::Event("answered".to_owned()),
        within_ms: 0,
        window: Default::default(),
        cap: None,
        tries: 1,
        every_ms: 0,
        ring_ms: 0,
        at_once: 1,
        per_second: 1,
        loyalty: None,
        identity: Default::default(),
    };
    let ask = Statement::Rate { survey: "rating".to_owned() };
    let group = Group { afterwards: Block::from([bonus(5), ask]), ..group() };
    let script = Script {
        groups: BTreeMap::from([("support".to_owned(), Arc::new(group))]),
        menus: BTreeMap::from([("rating".to_owned(), menu)]),
        robots: BTreeMap::from([("rating".to_owned(), Arc::new(survey))]),
        ..Script::named("hotline")
    };
    let entry = Block::from([Statement::Queue { group: "support".to_owned() }]);
    let knowledge = knowledge("+79161112233", Language::Russian);
    let flow = Flow::new(CALL, LEG, Arc::new(script), entry, knowledge, setting());
    let mut scene = Scene::of(flow);
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.pass(1_000);
    scene.operator_answers();
    scene.pass(60_000);
    scene
}

#[test]
fn after_the_operator_has_hung_up_the_caller_is_asked_how_it_was() {
    let mut scene = rated();
    scene.act(|flow, now, out| flow.on_talk_ended(now, out));
    scene.pass(7_500);
    scene.press("2");
    scene.pass(500);
    let rated = Deed::Rated { survey: "rating".to_owned(), score: 2 };
    assert_eq!(scene.deeds[1], rated);
    assert!(scene.facts.contains(&CallFact::Asked { survey: "rating".to_owned() }));
    assert_eq!(kinds(&scene), [PromiseKind::CallbackLowRating]);
    scene.pass(5_000);
    assert!(scene.is_hung_up);
    let heard = scene.heard();
    assert_eq!(heard[0], "61 phrase/rate-same-call");
    assert!(heard.last().is_some_and(|last| last.ends_with("phrase/rating-thanks")), "{heard:?}");

    let mut content = self::rated();
    content.act(|flow, now, out| flow.on_talk_ended(now, out));
    content.press("5");
    assert_eq!(kinds(&content), []);
}

#[test]
fn who_rates_and_hangs_up_at_once_is_called_back_all_the_same() {
    let mut scene = rated();
    scene.stores = false;
    scene.act(|flow, now, out| flow.on_talk_ended(now, out));
    scene.press("1");
    hang_up(&mut scene);
    assert_eq!(kinds(&scene), [PromiseKind::CallbackLowRating]);
    scene.act(|flow, now, out| flow.on_deed_done(now, out));
    assert_eq!(scene.deeds.len(), 3);
}

#[test]
fn after_a_long_wait_who_hangs_up_first_is_given_the_points_too() {
    let block =
        vec![say("phrase/rating-thanks"), after_long_waits(vec![bonus(50)]), Statement::DoNotCall];
    let afterwards = Block::from(block);
    let talked = |waited_ms| {
        let mut scene = Scene::queued(Group { afterwards: afterwards.clone(), ..group() });
        scene.pass(waited_ms);
        scene.operator_answers();
        scene.pass(400_000);
        scene.heard();
        hang_up(&mut scene);
        assert!(scene.heard().is_empty());
        scene
    };
    assert_eq!(talked(299_000).deeds, [Deed::DoNotCall]);
    assert_eq!(given(&talked(301_000)), 1);

    let mut stays = Scene::queued(Group { afterwards: afterwards.clone(), ..group() });
    stays.pass(301_000);
    stays.operator_answers();
    stays.heard();
    stays.act(|flow, now, out| flow.on_talk_ended(now, out));
    stays.pass(2_000);
    assert_eq!((given(&stays), stays.is_hung_up), (1, true));
    assert_eq!(stays.heard(), ["301 phrase/rating-thanks"], "the operator said goodbye");
}

#[test]
fn who_leaves_the_line_late_is_missed_and_who_leaves_at_once_is_not() {
    let block = [
        say("phrase/callback-30"),
        promise(PromiseKind::CallbackMissed),
        Statement::Hangup,
        bonus(50),
    ];
    let missed = Missed { after_ms: 5_000, block: Block::from(block) };
    for (ms, expected) in [(4_000, &[][..]), (6_000, &[PromiseKind::CallbackMissed][..])] {
        let mut scene = Scene::queued(Group { missed: Some(missed.clone()), ..group() });
        scene.pass(ms);
        hang_up(&mut scene);
        assert_eq!(kinds(&scene), expected);
        assert_eq!(given(&scene), 0);
        assert!(!scene.heard().contains(&"phrase/callback-30".to_owned()));
    }
}

#[test]
fn points_are_given_once_for_one_reason() {
    let entry = vec![bonus(50), bonus(50), Statement::Queue { group: "support".to_owned() }];
    let mut scene = Scene::new("+79161112233", Language::Russian, entry, group());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    assert_eq!(given(&scene), 1);
}

#[test]
fn what_becomes_of_an_order_is_written_of_the_order_that_the_event_names() {
    let entry = vec![Statement::OrderStatus { status: "confirmed".to_owned() }];
    let of = |values: &[(&str, &str)]| {
        let mut scene = Scene::new("+79161112233", Language::Russian, entry.clone(), group());
        let values = values.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        scene.flow.knowledge_mut().set_event(values.collect());
        scene.act(|flow, now, out| flow.on_confirmed(now, out));
        scene.deeds
    };
    let (order, status) = ("48-15".to_owned(), "confirmed".to_owned());
    assert_eq!(of(&[("order", "48-15")]), [Deed::OrderStatus { order, status }]);
    assert_eq!(of(&[]), [], "of no order nothing is written");
}

#[test]
fn the_values_of_an_event_are_spoken_as_the_plan_asks() {
    let value = |name: &str, format| Piece::Value { name: name.to_owned(), format };
    let pieces = vec![value("event.balance", Format::Rubles), value("event.order", Format::Digits)];
    let low = when(
        "event.balance",
        Comparison::Less,
        Operand::Number(50.0),
        vec![Statement::Say(pieces.into())],
    );
    let open = Condition::Holds(Operand::Name("incident.open".to_owned()));
    let greeted = Statement::If {
        condition: open,
        then: Block::from([say("phrase/still-busy")]),
        otherwise: Block::default(),
    };
    let mut scene = Scene::new("+79161112233", Language::Russian, vec![low, greeted], group());
    let values = [("balance", "40.5"), ("order", "4815")];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let knowledge = scene.flow.knowledge_mut();
    knowledge.set_event(values.into());
    let incident = OpenIncident { name: "delayed".to_owned(), order: Some("4815".to_owned()) };
    knowledge.set_incident(Some(incident));
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.pass(20_000);
    let said: Vec<_> = scene
        .facts
        .iter()
        .filter_map(|fact| match fact {
            CallFact::Said { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said[0], "40 рублей 50 копеек 4815");
    assert!(scene.heard().iter().any(|heard| heard.ends_with("phrase/still-busy")));
}

#[test]
fn a_message_begins_after_the_beep_and_ends_with_a_key_silence_or_the_limit() {
    let entry = vec![
        say("phrase/sorry-full"),
        Statement::Message { max_ms: 60_000 },
        say("phrase/rating-thanks"),
    ];
    let begun = || {
        let mut scene = Scene::new("+79161112233", Language::Russian, entry.clone(), group());
        scene.act(|flow, now, out| flow.on_confirmed(now, out));
        scene.pass(1_900);
        assert_eq!(scene.deeds, [], "the beep is heard");
        scene.pass(200);
        assert_eq!(scene.deeds, [Deed::Message { max_ms: 60_000 }]);
        assert_eq!(scene.heard(), ["0 phrase/sorry-full", "1 tone/beep"]);
        scene
    };
    let mut by_key = begun();
    by_key.pass(10_000);
    by_key.press("#");
    assert_eq!(by_key.deeds[1], Deed::StopMessage);
    assert_eq!(by_key.heard()[0], "12 phrase/rating-thanks");

    let mut by_limit = begun();
    by_limit.pass(61_000);
    assert_eq!(by_limit.deeds[1], Deed::StopMessage);

    let mut by_silence = begun();
    by_silence.pass(9_900);
    by_silence.act(|flow, now, out| flow.on_message_ended(now, out));
    assert_eq!(
        (by_silence.deeds.len(), &by_silence.heard()[0][..]),
        (1, "12 phrase/rating-thanks")
    );

    let mut by_end = begun();
    hang_up(&mut by_end);
    assert_eq!(by_end.deeds[1], Deed::StopMessage);
}

#[test]
fn a_time_that_the_caller_typed_is_when_to_call_and_not_before() {
    let named = Promise {
        kind: PromiseKind::CallbackOrdered,
        due: Due::Named { variable: "time".to_owned() },
        group: Some("support".to_owned()),
    };
    let entry = vec![Statement::Promise(named)];
    let mut scene = Scene::new("+79161112233", Language::Russian, entry, group());
    scene.flow.knowledge_mut().set_variable("time", "1530".to_owned());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    let at = Timestamp(55_800_000);
    let [Deed::Promise { due, not_before, group, .. }] = &scene.deeds[..] else {
        panic!("{:?}", scene.deeds)
    };
    assert_eq!((*not_before, group.as_deref()), (Some(at), Some("support")));
    assert!(*due > at);
}
