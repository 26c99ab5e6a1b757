use super::*;
use crate::core::promises::due_time;
use crate::dialplan::plan::Due;
use crate::domain::LinePlace;

const NUMBER: &str = "+79161112233";

/// A script in which missed callers are called back by these rules.
fn with_rules(rules: CallbackRules) -> Script {
    let mut script = script();
    script.callbacks.insert(PromiseKind::CallbackMissed, Arc::new(rules));
    script
}

#[test]
fn a_missed_caller_is_called_back_by_an_operator() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    assert_eq!(scene.happened(), ["enter 1"]);
    assert!(scene.reserve(id));
    assert!(!scene.reserve(id));
    assert_eq!(scene.happened(), ["dial 1"]);
    scene.talking(id);
    scene.minutes(60);
    scene.called(id, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["kept 1"]);
    assert_eq!(scene.attempts[&(id, 1)].operator, Some(anna()));
}

#[test]
fn a_friday_evening_is_made_good_on_monday_morning() {
    let mut scene = Scene::at(msk("2026-11-27T18:55"));
    let due = due_time(&Due::After { ms: 30 * 60_000 }, &script(), scene.wall, None);
    assert_eq!(due.due, msk("2026-11-30T10:25"));
    let mut new = scene.new_promise(PromiseKind::CallbackMissed, NUMBER);
    new.due = due.due;
    scene.make(new);
    assert_eq!(scene.happened(), ["enter 1"]);
    scene.until(msk("2026-11-30T09:59"));
    assert_eq!(scene.happened(), ["leave 1"]);
    scene.until(msk("2026-11-30T10:00"));
    assert_eq!(scene.happened(), ["enter 1"]);
    scene.until(msk("2026-11-30T10:26"));
    assert_eq!(scene.happened(), ["late 1", "overdue 1"]);
}

#[test]
fn callbacks_after_hours_are_spread_over_the_first_hour() {
    let mut scene = Scene::at(msk("2026-11-27T22:00"));
    let hours = Due::NextOpening { hours: "shop".into(), plus_ms: 3_600_000 };
    let due = due_time(&hours, &script(), scene.wall, None);
    for n in 0..120 {
        let number = format!("+7916{:07}", 1_000_000 + n);
        let mut new = scene.new_promise(PromiseKind::CallbackAfterHours, &number);
        (new.due, new.not_before) = (due.due, due.not_before);
        scene.make(new);
    }
    let mut entered = Vec::new();
    for quarter in ["10:00", "10:15", "10:30", "10:45"] {
        scene.until(msk(&format!("2026-11-30T{quarter}")));
        entered.push(scene.happened().len());
    }
    assert!(entered[0] <= 1, "{entered:?}");
    assert!(entered[1..].iter().all(|count| (20..=60).contains(count)), "{entered:?}");
    assert_eq!(entered.iter().sum::<usize>(), 120);
}

#[test]
fn the_window_of_customers_far_away_is_theirs_within_the_hours_of_the_shop() {
    let rules = CallbackRules { window: Some(Window::default()), ..CallbackRules::default() };
    let mut scene = Scene::with(msk("2026-11-27T17:30"), with_rules(rules));
    // 10:00 to 20:00 in Krasnoyarsk is 6:00 to 16:00 in Moscow; the shop opens at 10:00 on Monday.
    scene.promise(PromiseKind::CallbackMissed, "+73912223344");
    scene.until(msk("2026-11-30T09:59"));
    assert!(!scene.happened().contains(&"enter 1".to_owned()));
    scene.until(msk("2026-11-30T10:00"));
    assert_eq!(scene.happened(), ["enter 1"]);
    scene.until(msk("2026-11-30T16:00"));
    assert_eq!(scene.happened(), ["leave 1"]);
}

#[test]
fn supervisors_are_told_once_that_it_will_be_late_and_once_that_it_is() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.until(msk("2026-11-27T12:25"));
    assert_eq!(scene.happened(), ["enter 1", "late 1"]);
    scene.restart(script());
    scene.until(msk("2026-11-27T12:31"));
    assert_eq!(scene.happened(), ["enter 1", "overdue 1"]);
    let counts = scene.ledger.counts(scene.wall);
    assert_eq!(counts.late[&PromiseKind::CallbackMissed], 1);
    assert_eq!(counts.overdue_ms, 60_000);
    scene.restart(script());
    assert!(scene.reserve(id));
    scene.talking(id);
    scene.minutes(30);
    assert_eq!(scene.ledger.counts(scene.wall).late.len(), 0);
    scene.called(id, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["enter 1", "dial 1", "broken 1"]);
    assert_eq!(scene.stands(id).contacted, Some(msk("2026-11-27T12:31")));
}

#[test]
fn what_became_overdue_while_the_server_was_down_is_told() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.until(msk("2026-11-27T12:26"));
    scene.happened();
    scene.wall = msk("2026-11-27T15:00");
    scene.restart(script());
    scene.minutes(1);
    assert_eq!(scene.happened(), ["enter 1", "overdue 1"]);
}

#[test]
fn a_customer_who_is_not_reached_is_tried_as_often_as_the_plan_says() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    for _ in 0..3 {
        assert!(scene.reserve(id));
        scene.called(id, CallOutcome::NoAnswer);
        scene.minutes(19);
        assert!(!scene.reserve(id));
        scene.minutes(1);
    }
    let happened = scene.happened();
    assert_eq!(happened.iter().filter(|line| *line == "dial 1").count(), 3);
    assert_eq!(happened.last().unwrap(), "given-up 1");
    assert_eq!(scene.stands(id).note, "no answer, called 3 times");
}

#[test]
fn a_ticket_without_operators_comes_back_later() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.tell(|ledger, wall, out| ledger.left_line(wall, id, out));
    scene.pass(59_000);
    assert_eq!(scene.happened(), ["enter 1"]);
    scene.pass(1_000);
    assert_eq!(scene.happened(), ["enter 1"]);
}

#[test]
fn tickets_wait_outside_the_line_while_no_trunk_works() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 0, 0, out));
    assert!(!scene.reserve(id));
    scene.minutes(60);
    assert_eq!(scene.happened(), ["enter 1", "leave 1", "late 1", "overdue 1"]);
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 1, 1, out));
    assert_eq!(scene.happened(), ["enter 1"]);
    assert!(scene.reserve(id));

    let other = scene.promise(PromiseKind::CallbackMissed, "+79161112244");
    assert!(!scene.reserve(other));
    scene.called(id, CallOutcome::Busy);
    scene.pass(10_000);
    assert!(scene.reserve(other));
}

#[test]
fn a_customer_who_calls_and_is_spoken_to_needs_no_callback() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let missed = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    let incident = scene.promise(PromiseKind::Incident, NUMBER);
    assert_eq!(scene.ledger.incident_of(&phone(NUMBER)).unwrap().id, incident);
    scene.in_call(NUMBER, true);
    assert_eq!(scene.happened(), ["enter 1", "leave 1"]);
    let reached = |scene: &mut Scene, group: &str| {
        let number = phone(NUMBER);
        scene.tell(|l, wall, out| l.customer_reached(wall, &number, &anna(), Some(group), out));
    };
    reached(&mut scene, "support");
    assert_eq!(scene.happened(), ["kept 1"]);
    assert_eq!(scene.stands(missed).note, "called by themselves, spoke with anna");
    reached(&mut scene, "quality");
    assert_eq!(scene.happened(), ["kept 2"]);

    let late = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.minutes(31);
    reached(&mut scene, "support");
    assert_eq!(scene.stands(late).state, PromiseState::Broken);
}

#[test]
fn a_customer_who_calls_and_hangs_up_again_is_in_the_line_again() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.in_call(NUMBER, true);
    let mut new = scene.new_promise(PromiseKind::CallbackFromLine, NUMBER);
    new.place = Some(LinePlace { entered: msk("2026-11-27T11:58"), priority: 0 });
    scene.make(new);
    assert_eq!(scene.happened(), [""; 0]);
    scene.in_call(NUMBER, false);
    assert_eq!(scene.happened(), ["enter 1"]);
    scene.in_call(NUMBER, true);
    scene.in_call(NUMBER, false);
    assert_eq!(scene.happened(), ["leave 1", "enter 1"]);
}

#[test]
fn a_call_that_is_about_to_be_dialled_is_taken_back_when_the_customer_calls() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.is_store_slow = true;
    assert!(scene.reserve(id));
    scene.in_call(NUMBER, true);
    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert_eq!(scene.happened(), ["enter 1", "off 1"]);
    assert_eq!(scene.attempts[&(id, 1)].outcome, Some(CallOutcome::Withdrawn));
    scene.in_call(NUMBER, false);
    assert_eq!(scene.happened(), ["enter 1"]);
}

#[test]
fn a_customer_who_was_faster_than_our_call_has_the_promise_kept() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    assert!(scene.reserve(id));
    scene.in_call(NUMBER, true);
    let number = phone(NUMBER);
    scene.tell(|l, wall, out| l.customer_reached(wall, &number, &anna(), None, out));
    scene.called(id, CallOutcome::Withdrawn);
    assert_eq!(scene.happened(), ["enter 1", "dial 1", "off 1", "kept 1"]);
}

#[test]
fn one_conversation_is_enough_for_all_that_only_asked_for_one() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let missed = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.promise(PromiseKind::CallbackLowRating, NUMBER);
    scene.promise(PromiseKind::CallbackOrdered, NUMBER);
    assert_eq!(scene.happened(), ["enter 1"]);
    assert!(scene.reserve(missed));
    scene.talking(missed);
    scene.called(missed, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["dial 1", "kept 1", "kept 2", "kept 3"]);
}

#[test]
fn who_orders_a_callback_again_is_called_at_the_time_said_last() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let mut first = scene.new_promise(PromiseKind::CallbackOrdered, NUMBER);
    (first.due, first.not_before) = (msk("2026-11-27T15:15"), Some(msk("2026-11-27T15:00")));
    let id = first.id;
    let mut second = first.clone();
    second.id = PromiseId(Uuid::from_u128(2));
    (second.due, second.not_before) = (msk("2026-11-27T13:15"), Some(msk("2026-11-27T13:00")));
    assert_eq!(scene.make(first), Made::New);
    assert_eq!(scene.make(second), Made::Already(id));
    scene.until(msk("2026-11-27T13:00"));
    assert_eq!(scene.happened(), ["enter 1"]);
    assert_eq!(scene.stands(id).due, msk("2026-11-27T13:15"));
}

#[test]
fn nobodys_promise_goes_to_a_group_that_there_is() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    for (group, about, home) in [
        (None, Some("support"), "support"),
        (Some("nowhere"), None, "quality"),
        (None, None, "quality"),
        (Some("support"), Some("quality"), "support"),
    ] {
        let number = format!("+7916111{:04}", scene.made);
        let mut new = scene.new_promise(PromiseKind::CallbackMissed, &number);
        new.group = group.map(str::to_owned);
        new.about.group = about.map(str::to_owned);
        let id = new.id;
        scene.make(new);
        assert_eq!(scene.stands(id).group.as_deref(), Some(home));
    }
}

#[test]
fn promises_wait_for_the_first_plan() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 0, 0, out));
    scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.promise(PromiseKind::Reminder, "+79161112244");
    let promises: Vec<Promise> = scene.stored.values().cloned().collect();
    scene.ledger = Ledger::new();
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 9, 9, out));
    scene.tell(|ledger, wall, out| ledger.remember(wall, promises, Vec::new(), out));
    scene.minutes(5);
    assert_eq!(scene.happened(), [""; 0]);
    scene.tell(|ledger, wall, out| ledger.set_plan(wall, plan_of(script()), out));
    scene.pass(3_000);
    assert_eq!(scene.happened(), ["enter 1", "dial 2"]);
}

#[test]
fn a_robot_leaves_a_quarter_of_the_trunks_to_people_who_wait() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.tell(|ledger, wall, out| ledger.set_outbound(wall, 4, 50, out));
    let human = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    for n in 0..8 {
        scene.promise(PromiseKind::Reminder, &format!("+7916222{n:04}"));
    }
    scene.pass(5_000);
    let dialled = scene.happened().iter().filter(|line| line.starts_with("dial")).count();
    assert_eq!(dialled, 3);
    assert!(scene.reserve(human));
}

#[test]
fn nobody_is_called_where_the_plan_allows_no_calls() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    for dear in ["+78095551234", "+77272223344", "+18765551234"] {
        for kind in PromiseKind::ALL {
            let new = scene.new_promise(kind, dear);
            assert_eq!(scene.make(new), Made::Refused(NotMade::NotAllowed), "{dear} {kind}");
        }
    }
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    assert_eq!(scene.happened(), [format!("enter {}", id.0.as_u128())]);
    // A plan that allows it no more withdraws what was promised, at the latest before the call.
    let mut narrow = script();
    narrow.call_to = CallTo::Numbers(Vec::new());
    scene.is_store_slow = true;
    assert!(scene.reserve(id));
    scene.tell(|ledger, wall, out| ledger.set_plan(wall, plan_of(narrow), out));
    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert!(scene.happened().iter().all(|what| !what.starts_with("dial")));
    assert_eq!(scene.stands(id).state, PromiseState::Cancelled);
}

#[test]
fn whoever_calls_in_its_name_a_number_is_called_back_ten_times_a_day_at_most() {
    let mut scene = Scene::at(msk("2026-11-27T10:00"));
    let mut dialled = 0;
    for _ in 0..100 {
        let new = scene.new_promise(PromiseKind::CallbackMissed, NUMBER);
        let id = new.id;
        if scene.make(new) != Made::New {
            break;
        }
        assert!(scene.reserve(id));
        dialled += 1;
        scene.talking(id);
        scene.called(id, CallOutcome::Answered);
        scene.minutes(1);
    }
    assert_eq!(dialled, 10);
    let new = scene.new_promise(PromiseKind::CallbackMissed, NUMBER);
    assert_eq!(scene.make(new), Made::Refused(NotMade::CalledOften));
    // What is not on the word of callers goes on, and so does the next day.
    scene.promise(PromiseKind::Incident, NUMBER);
    scene.until(msk("2026-11-30T11:00"));
    scene.promise(PromiseKind::CallbackMissed, NUMBER);
}
