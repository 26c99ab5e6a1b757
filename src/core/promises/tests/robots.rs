use std::collections::BTreeSet;

use super::*;

const NUMBER: &str = "+79161112233";

fn numbered(n: usize) -> String {
    format!("+7916{:07}", 1_000_000 + n)
}

fn not_by(number: &str, robot: Option<&str>) -> DoNotCall {
    DoNotCall { phone: phone(number), robot: robot.map(str::to_owned) }
}

fn stop(scene: &mut Scene, is_stopped: bool) {
    scene.tell(|l, wall, out| l.switch_robot(wall, "low-balance", is_stopped, out));
}

/// A script with a changed survey or reminder.
fn with_robot(robot: Robot) -> Script {
    let mut script = script();
    script.robots.insert(robot.name.clone(), Arc::new(robot));
    script
}

#[test]
fn a_survey_is_dialled_once_it_and_its_attempt_are_stored() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.is_store_slow = true;
    let id = scene.promise(PromiseKind::RatingCall, NUMBER);
    scene.minutes(1);
    assert!(scene.attempts.is_empty());

    scene.tell(|ledger, wall, out| ledger.stored(wall, id, out));
    scene.minutes(1);
    assert_eq!(scene.attempts.len(), 1);
    assert_eq!(scene.happened(), [""; 0]);

    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert_eq!(scene.happened(), ["dial 1"]);
    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert_eq!(scene.happened(), [""; 0]);

    scene.talking(id);
    scene.called(id, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["kept 1"]);
    assert_eq!(scene.stands(id).state, PromiseState::Kept);
    assert_eq!(scene.ledger.open().count(), 0);
    assert_eq!(scene.attempts[&(id, 1)].outcome, Some(CallOutcome::Answered));
}

#[test]
fn each_outcome_has_its_rule() {
    let redialled = ["dial 1", "dial 1", "given-up 1"];
    for (outcome, happens, note) in [
        (CallOutcome::Busy, &redialled[..], "busy, called 2 times"),
        (CallOutcome::NoAnswer, &redialled, "no answer, called 2 times"),
        (CallOutcome::Rejected, &["dial 1", "given-up 1"], "the customer refused the call"),
        (CallOutcome::Failed, &redialled, "the call broke, called 2 times"),
        (
            CallOutcome::VoicemailSuspected,
            &redialled,
            "probably an answering machine, called 2 times",
        ),
        (CallOutcome::Unallocated, &["dial 1", "given-up 1"], "there is no such number"),
        (CallOutcome::Blocked, &["dial 1", "given-up 1"], "the network refuses such calls"),
        (CallOutcome::Answered, &["dial 1", "kept 1"], "answered"),
    ] {
        let mut scene = Scene::at(msk("2026-11-27T12:00"));
        let id = scene.promise(PromiseKind::RatingCall, NUMBER);
        for _ in 0..2 {
            scene.minutes(10);
            scene.called(id, outcome);
        }
        scene.minutes(120);
        assert_eq!(scene.happened(), happens, "{outcome}");
        assert_eq!(scene.stands(id).note, note);
    }
}

#[test]
fn people_read_when_it_is_tried_again() {
    let mut scene = Scene::at(msk("2026-11-27T12:30"));
    let id = scene.promise(PromiseKind::Reminder, NUMBER);
    scene.pass(1_000);
    scene.called(id, CallOutcome::Busy);
    assert_eq!(scene.stands(id).note, "busy; again at 12:40");

    let mut scene = Scene::at(msk("2026-11-27T19:55"));
    let id = scene.promise(PromiseKind::Reminder, NUMBER);
    scene.pass(1_000);
    scene.called(id, CallOutcome::NoAnswer);
    assert_eq!(scene.stands(id).note, "no answer; again on 2026-11-28 at 10:00");
}

#[test]
fn an_answering_machine_is_called_once_more_however_many_tries_there_are() {
    let robot = Robot { tries: 9, ..reminder() };
    let mut scene = Scene::with(msk("2026-11-27T12:00"), with_robot(robot));
    let id = scene.promise(PromiseKind::Reminder, NUMBER);
    for _ in 0..9 {
        scene.minutes(15);
        scene.called(id, CallOutcome::VoicemailSuspected);
    }
    assert_eq!(scene.attempts.len(), 2);
    assert_eq!(scene.stands(id).state, PromiseState::GivenUp);
}

#[test]
fn a_call_that_no_trunk_took_is_no_try_and_comes_back_with_growing_pauses() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::Reminder, NUMBER);
    let mut dialled = Vec::new();
    for _ in 0..6 {
        while scene.happened().is_empty() {
            scene.pass(1_000);
        }
        dialled.push(scene.wall);
        scene.called(id, CallOutcome::Congested);
    }
    let pauses: Vec<u64> = dialled.windows(2).map(|w| w[1].since(w[0]) / 10_000 * 10).collect();
    assert_eq!(pauses, [30, 60, 120, 240, 300]);
    assert_eq!((scene.stands(id).attempts, scene.stands(id).not_counted), (6, 6));

    // Both tries that the plan allows are still there.
    for _ in 0..2 {
        scene.minutes(20);
        scene.called(id, CallOutcome::Busy);
    }
    assert_eq!(scene.stands(id).state, PromiseState::GivenUp);
    assert_eq!(scene.attempts.len(), 8);
}

#[test]
fn the_window_is_the_customers() {
    for (number, zone, opens, due) in [
        // 17:00 in Moscow is 21:00 in Novosibirsk.
        ("+73832223344", None, "2026-11-28T06:00", "2026-11-28T06:30"),
        (NUMBER, Some("Asia/Novosibirsk"), "2026-11-28T06:00", "2026-11-28T06:30"),
        // What the CRM knows counts more than the number.
        ("+73832223344", Some("Europe/Moscow"), "2026-11-27T17:00", "2026-11-27T17:30"),
        (NUMBER, None, "2026-11-27T17:00", "2026-11-27T17:30"),
        (NUMBER, Some("Nowhere/Atall"), "2026-11-27T17:00", "2026-11-27T17:30"),
        ("+77272223344", None, "2026-11-27T17:00", "2026-11-27T17:30"),
    ] {
        // One of the numbers is of Kazakhstan.
        let everywhere = NumberPattern::parse("+7*", Region::default());
        let call_to = CallTo::Numbers(everywhere.into_iter().collect());
        let script = Script { call_to, ..script() };
        let mut scene = Scene::with(msk("2026-11-27T17:00"), script);
        let mut new = scene.new_promise(PromiseKind::RatingCall, number);
        new.about.timezone = zone.map(str::to_owned);
        let id = new.id;
        scene.make(new);
        assert_eq!(scene.stands(id).due, msk(due), "{number} {zone:?}");
        if msk(opens) > scene.wall {
            scene.until(msk(opens).minus_ms(1));
            assert_eq!(scene.happened(), [""; 0], "{number} {zone:?}");
        }
        scene.until(msk(opens).plus_ms(1));
        assert_eq!(scene.happened(), ["dial 1"], "{number} {zone:?}");
    }
}

#[test]
fn nobody_is_dialled_after_the_window_closed_while_others_were_called() {
    let robot = Robot { at_once: 1, ..reminder() };
    let mut scene = Scene::with(msk("2026-11-27T19:58"), with_robot(robot));
    let first = scene.promise(PromiseKind::Reminder, NUMBER);
    scene.promise(PromiseKind::Reminder, "+79161112244");
    scene.minutes(5);
    scene.called(first, CallOutcome::Answered);
    scene.minutes(5);
    assert_eq!(scene.happened(), ["dial 1", "kept 1"]);
    scene.until(msk("2026-11-28T10:00"));
    assert_eq!(scene.happened(), ["overdue 2", "dial 2"]);
}

#[test]
fn a_cap_refuses_at_the_promise_and_again_at_the_call() {
    let cap = Some(Cap { calls: 1, per_ms: 7 * 86_400_000 });
    let mut scene = Scene::with(msk("2026-11-23T12:00"), with_robot(Robot { cap, ..reminder() }));
    let mut two = [
        scene.new_promise(PromiseKind::Reminder, NUMBER),
        scene.new_promise(PromiseKind::Reminder, NUMBER),
    ];
    two[0].event = Some("one".into());
    two[1].event = Some("two".into());
    let id = two[0].id;
    stop(&mut scene, true);
    for new in two {
        assert_eq!(scene.make(new), Made::New);
    }
    stop(&mut scene, false);
    scene.pass(1_000);
    scene.called(id, CallOutcome::Busy);
    scene.minutes(11);
    scene.called(id, CallOutcome::Answered);
    scene.minutes(1);
    // The second try of one promise is no second call; the second promise is.
    assert_eq!(scene.happened(), ["dial 1", "cancelled 2", "dial 1", "kept 1"]);

    for (day, made) in
        [("2026-11-29T12:00", Made::Refused(NotMade::CalledOften)), ("2026-11-30T12:01", Made::New)]
    {
        scene.until(msk(day));
        let new = scene.new_promise(PromiseKind::Reminder, NUMBER);
        assert_eq!(scene.make(new), made, "{day}");
    }
}

#[test]
fn calls_before_a_restart_count_for_the_cap() {
    let cap = Some(Cap { calls: 1, per_ms: 7 * 86_400_000 });
    let mut scene = Scene::with(msk("2026-11-27T12:00"), with_robot(Robot { cap, ..survey() }));
    let at = msk("2026-11-26T12:00");
    let called = vec![Called { phone: phone(NUMBER), robot: "rating".into(), at }];
    scene.tell(|ledger, wall, out| ledger.remember(wall, Vec::new(), called, out));
    let new = scene.new_promise(PromiseKind::RatingCall, NUMBER);
    assert_eq!(scene.make(new), Made::Refused(NotMade::CalledOften));
}

#[test]
fn who_wants_no_calls_gets_none_from_this_moment_on() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let talking = scene.promise(PromiseKind::RatingCall, NUMBER);
    scene.pass(1_000);
    scene.talking(talking);
    let reminder = scene.promise(PromiseKind::Reminder, NUMBER);
    scene.happened();
    scene.tell(|l, wall, out| l.forbid(wall, not_by(NUMBER, Some("rating")), out));
    assert_eq!(scene.happened(), [""; 0]);
    assert_eq!(scene.stands(reminder).state, PromiseState::Scheduled);
    let new = scene.new_promise(PromiseKind::CallbackMissed, NUMBER);
    assert_eq!(scene.make(new), Made::New);

    scene.tell(|l, wall, out| l.forbid(wall, not_by(NUMBER, None), out));
    scene.called(talking, CallOutcome::Answered);
    scene.minutes(1);
    assert_eq!(scene.happened(), ["cancelled 2", "kept 1", "enter 3"]);
    for kind in [PromiseKind::RatingCall, PromiseKind::Reminder] {
        let new = scene.new_promise(kind, NUMBER);
        assert_eq!(scene.make(new), Made::Refused(NotMade::Forbidden));
    }
}

#[test]
fn a_list_that_is_read_anew_holds_for_calls_that_are_about_to_be_dialled() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    stop(&mut scene, true);
    let id = scene.promise(PromiseKind::Reminder, NUMBER);
    scene.is_store_slow = true;
    stop(&mut scene, false);
    scene.pass(1_000);
    assert_eq!(scene.attempts[&(id, 1)].outcome, None);
    let list = BTreeSet::from([not_by(NUMBER, None)]);
    scene.tell(|ledger, wall, out| ledger.set_do_not_call(wall, list, out));
    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert_eq!(scene.happened(), ["cancelled 1"]);
    assert_eq!(scene.attempts[&(id, 1)].outcome, Some(CallOutcome::Withdrawn));
}

#[test]
fn a_campaign_keeps_its_limits_and_knows_how_far_it_is() {
    let robot = Robot { at_once: 5, per_second: 10, ..reminder() };
    let mut scene = Scene::with(msk("2026-11-27T12:00"), with_robot(robot));
    let ids: Vec<PromiseId> =
        (0..40).map(|n| scene.promise(PromiseKind::Reminder, &numbered(n))).collect();
    let mut dialled: Vec<Timestamp> = Vec::new();
    let mut up = Vec::new();
    while scene.ledger.open().count() > 0 {
        scene.pass(50);
        for line in scene.happened() {
            if let Some(n) = line.strip_prefix("dial ") {
                dialled.push(scene.wall);
                up.push(ids[n.parse::<usize>().unwrap() - 1]);
            }
        }
        assert!(up.len() <= 5);
        let status = scene.ledger.robots(scene.wall);
        let status = status.iter().find(|s| s.name == "low-balance").unwrap();
        assert_eq!((status.left + status.done, status.up), (40, up.len()));
        if up.len() == 5 || dialled.len() == 40 {
            scene.called(up.remove(0), CallOutcome::Answered);
        }
    }
    assert_eq!(dialled.len(), 40);
    for (one, tenth) in dialled.iter().zip(&dialled[10..]) {
        assert!(tenth.since(*one) >= 900, "more than 10 a second");
    }
    assert!(dialled[39].since(dialled[0]) < 5_000);
    let status = scene.ledger.robots(scene.wall);
    let done = status.iter().find(|s| s.name == "low-balance").unwrap();
    assert_eq!((done.left, done.done, done.answered, done.ends), (0, 40, 40, None));
}

#[test]
fn a_stopped_robot_begins_nothing_and_goes_on_where_it_was() {
    let robot = Robot { at_once: 2, ..reminder() };
    let mut scene = Scene::with(msk("2026-11-27T12:00"), with_robot(robot));
    let first = scene.promise(PromiseKind::Reminder, &numbered(1));
    for n in 2..5 {
        scene.promise(PromiseKind::Reminder, &numbered(n));
    }
    scene.pass(1_000);
    stop(&mut scene, true);
    scene.called(first, CallOutcome::Answered);
    scene.minutes(2);
    assert_eq!(scene.happened(), ["dial 1", "dial 2", "kept 1"]);
    let status = scene.ledger.robots(scene.wall).remove(0);
    assert!(status.is_stopped && status.ends.is_none());
    stop(&mut scene, false);
    scene.pass(1_000);
    assert_eq!(scene.happened(), ["dial 3"]);
}

#[test]
fn an_hour_without_trunks_loses_nothing_and_ends_without_a_storm() {
    let robot = Robot { at_once: 1_000, per_second: 1_000, ..reminder() };
    let mut scene = Scene::with(msk("2026-11-27T12:00"), with_robot(robot));
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 0, 0, out));
    for n in 0..300 {
        scene.promise(PromiseKind::Reminder, &numbered(n));
    }
    scene.minutes(60);
    let told = scene.happened();
    assert_eq!(told.iter().filter(|line| line.starts_with("overdue")).count(), 300);
    assert_eq!(told.len(), 300);
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 1_000, 10, out));
    assert_eq!(scene.happened(), [""; 0]);
    scene.pass(10_000);
    let begun = scene.happened().len();
    assert!((95..=101).contains(&begun), "{begun} calls in 10 seconds");
    scene.minutes(1);
    assert_eq!(begun + scene.happened().len(), 300);
}

#[test]
fn trunks_that_take_nothing_are_asked_less_and_less() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    for n in 0..500 {
        scene.promise(PromiseKind::Reminder, &numbered(n));
    }
    let mut asked = 0;
    for _ in 0..600 {
        scene.pass(1_000);
        for line in scene.happened() {
            if let Some(n) = line.strip_prefix("dial ") {
                asked += 1;
                let id = PromiseId(Uuid::from_u128(n.parse().unwrap()));
                scene.called(id, CallOutcome::Congested);
            }
        }
    }
    assert!((10..=40).contains(&asked), "{asked} calls in ten minutes");
    assert_eq!(scene.ledger.open().count(), 500);
}

#[test]
fn a_survey_is_not_asked_the_next_morning_but_a_reminder_is_told() {
    for (kind, happens) in [
        (PromiseKind::RatingCall, ["dial 1", "given-up 1"]),
        (PromiseKind::Reminder, ["dial 1", "dial 1"]),
    ] {
        let mut scene = Scene::at(msk("2026-11-27T19:55"));
        let id = scene.promise(kind, NUMBER);
        scene.pass(1_000);
        scene.called(id, CallOutcome::NoAnswer);
        scene.until(msk("2026-11-28T10:01"));
        let happened = scene.happened();
        let told = happened.iter().filter(|line| !line.starts_with("overdue"));
        assert_eq!(told.collect::<Vec<_>>(), happens);
    }
}

#[test]
fn a_survey_that_waited_for_a_trunk_for_an_hour_is_still_asked() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 0, 0, out));
    let asked = scene.promise(PromiseKind::RatingCall, NUMBER);
    scene.minutes(60);
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 5, 5, out));
    scene.pass(1_000);
    scene.talking(asked);
    scene.called(asked, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["overdue 1", "dial 1", "broken 1"]);

    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 0, 0, out));
    scene.promise(PromiseKind::RatingCall, NUMBER);
    scene.minutes(300);
    assert_eq!(scene.happened(), ["overdue 2", "given-up 2"]);
}

#[test]
fn one_event_and_one_reason_are_one_promise() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let mut first = scene.new_promise(PromiseKind::Reminder, NUMBER);
    first.event = Some("e1".into());
    first.about.values.insert("order".into(), "48-15".into());
    let id = first.id;
    assert_eq!(scene.make(first.clone()), Made::New);
    let mut other_event = NewPromise { event: Some("e2".into()), ..first.clone() };
    other_event.id = PromiseId(Uuid::from_u128(77));
    assert_eq!(scene.make(other_event.clone()), Made::Already(id));
    scene.pass(1_000);
    scene.called(id, CallOutcome::Answered);
    assert_eq!(scene.make(first), Made::Already(id));
    assert_eq!(scene.make(other_event), Made::New);

    let survey = scene.promise(PromiseKind::RatingCall, NUMBER);
    let again = scene.new_promise(PromiseKind::RatingCall, NUMBER);
    assert_eq!(scene.make(again), Made::Already(survey));
}

#[test]
fn a_number_has_one_call_with_us_at_a_time() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.in_call(NUMBER, true);
    let survey = scene.promise(PromiseKind::RatingCall, NUMBER);
    scene.promise(PromiseKind::Reminder, NUMBER);
    scene.minutes(1);
    assert_eq!(scene.happened(), [""; 0]);
    scene.in_call(NUMBER, true);
    scene.in_call(NUMBER, false);
    scene.minutes(1);
    assert_eq!(scene.happened(), [""; 0]);
    scene.in_call(NUMBER, false);
    scene.minutes(1);
    let dialled = scene.happened();
    assert_eq!(dialled.len(), 1);
    let first = scene.ledger.open().find(|p| p.state == PromiseState::Attempting).unwrap().id;
    scene.called(first, CallOutcome::Answered);
    scene.minutes(1);
    assert_eq!(scene.happened().len(), 2);
    assert!(scene.stands(survey).attempts == 1);
}

#[test]
fn a_robot_that_left_the_plan_leaves_no_promises() {
    let mut scene = Scene::at(msk("2026-11-27T08:00"));
    scene.promise(PromiseKind::RatingCall, NUMBER);
    let mut script = script();
    script.robots.remove("rating");
    scene.tell(|ledger, wall, out| ledger.set_plan(wall, plan_of(script), out));
    assert_eq!(scene.happened(), ["cancelled 1"]);
}

#[test]
fn a_clock_that_jumps_dials_nobody_twice_and_forgets_nobody() {
    for jump_ms in [3_600_000, -3_600_000] {
        let robot = Robot { at_once: 5, ..reminder() };
        let mut scene = Scene::with(msk("2026-11-27T14:00"), with_robot(robot));
        for n in 0..20 {
            scene.promise(PromiseKind::Reminder, &numbered(n));
        }
        scene.pass(100);
        scene.wall = Timestamp(scene.wall.0 + jump_ms);
        let mut dialled = BTreeMap::<PromiseId, u32>::new();
        for _ in 0..30 {
            for line in scene.happened() {
                if let Some(n) = line.strip_prefix("dial ") {
                    let id = PromiseId(Uuid::from_u128(n.parse().unwrap()));
                    *dialled.entry(id).or_default() += 1;
                    scene.called(id, CallOutcome::Answered);
                }
            }
            scene.pass(1_000);
        }
        assert_eq!(dialled.len(), 20, "{jump_ms}");
        assert!(dialled.values().all(|times| *times == 1));
        assert_eq!(scene.ledger.open().count(), 0);
    }
}

#[test]
fn after_a_restart_each_state_goes_on_where_it_was_and_no_attempt_is_made_again() {
    for (state, attempts, contacted, happens) in [
        (PromiseState::Open, 0, false, &["dial 1"][..]),
        (PromiseState::Scheduled, 0, false, &["dial 1"]),
        (PromiseState::Attempting, 1, false, &["dial 1"]),
        (PromiseState::Attempting, 2, false, &["given-up 1"]),
        (PromiseState::Talking, 1, true, &["kept 1"]),
        (PromiseState::Kept, 1, true, &[]),
        (PromiseState::GivenUp, 2, false, &[]),
    ] {
        let mut scene = Scene::at(msk("2026-11-27T12:00"));
        scene.is_store_slow = true;
        let id = scene.promise(PromiseKind::RatingCall, NUMBER);
        scene.is_store_slow = false;
        let promise = scene.stored.get_mut(&id).unwrap();
        (promise.state, promise.attempts) = (state, attempts);
        promise.contacted = contacted.then_some(msk("2026-11-27T12:00"));
        scene.restart(script());
        if state == PromiseState::Attempting && attempts == 1 {
            scene.minutes(9);
            assert_eq!(scene.happened(), [""; 0]);
        }
        scene.minutes(11);
        assert_eq!(scene.happened(), happens, "{state} {attempts}");
        let expected = if happens == ["dial 1"] { attempts + 1 } else { attempts };
        assert_eq!(scene.stands(id).attempts, expected);
    }
}

#[test]
fn a_ledger_with_a_hundred_thousand_promises_is_full_and_still_quick() {
    let mut scene = Scene::at(msk("2026-11-27T03:00"));
    scene.is_store_slow = true;
    let mut new = scene.new_promise(PromiseKind::Reminder, NUMBER);
    let mut out = Vec::new();
    for n in 0..super::super::PROMISES_MAX {
        new.id = PromiseId(Uuid::from_u128(u128::try_from(n).unwrap() + 10));
        new.phone = phone_of(n);
        let made = scene.ledger.make(scene.wall, new.clone(), &mut out);
        assert_eq!(made, Made::New);
        scene.ledger.stored(scene.wall, new.id, &mut out);
        out.clear();
    }
    new.id = PromiseId(Uuid::from_u128(1));
    new.phone = phone(NUMBER);
    assert_eq!(scene.make(new), Made::Refused(NotMade::Full));
    assert_eq!(scene.ledger.counts(scene.wall).open[&PromiseKind::Reminder], 100_000);
}

/// Without parsing, which would be the longest part of a big test.
fn phone_of(n: usize) -> PhoneNumber {
    serde_json::from_str(&format!("\"+7916{n:07}\"")).unwrap()
}
