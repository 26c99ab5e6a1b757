//! What a supervisor expects of the line.

use super::house::{House, call, group, login, support, ticket};
use crate::core::acd::{Estimate, Joined, OperatorState, Ticket};
use crate::dialplan::plan::{Overflow, Pick};
use crate::domain::{LineOutcome, Origin, PhoneState, RingOutcome, Verdict};

const WAITING: Joined = Joined::Waiting { came_back: false };

#[test]
fn the_operator_who_is_idle_for_longest_rings_first() {
    let mut house = House::with(&["anna support", "bob support"]);
    let support = support();
    assert_eq!(house.at("0:05").joins(1, &support), WAITING);
    assert_eq!(house.story(), "0:05 anna rings for 1");
    house.at("0:07").picks_up("anna");
    house.at("0:10").joins(2, &support);
    house.picks_up("bob");
    house.at("0:20").ends_talk("bob");
    house.at("0:30").ends_talk("anna");
    house.at("0:40").joins(3, &support);
    assert_eq!(house.story(), "0:10 bob rings for 2 · 0:40 bob rings for 3");
    assert_eq!(house.visits(1)[0].wait_ms, 2_000);
    assert_eq!(house.visits(1)[0].outcome, LineOutcome::Answered);
    assert_eq!(house.conversations(1)[0].talk_ms, 23_000);
}

#[test]
fn a_phone_that_rings_in_vain_is_paused_and_the_caller_reaches_the_next_one() {
    let mut house = House::with(&["anna support", "bob support"]);
    house.at("0:05").joins(1, &support());
    house.at("0:25");
    assert_eq!(
        house.story(),
        "0:05 anna rings for 1 · 0:20 anna stops ringing · 0:20 bob rings for 1"
    );
    assert!(
        matches!(house.state("anna"), OperatorState::Paused { reason, .. } if reason == "no answer")
    );
    let (operator, attendance) = house.remembered.last().unwrap();
    assert_eq!((operator.as_str(), attendance.paused.as_deref()), ("anna", Some("no answer")));
    house.does_not_take("bob", RingOutcome::Rejected);
    assert_eq!(house.at("0:35").story(), "0:35 bob rings for 1");
}

#[test]
fn wrap_up_is_kept_across_groups_and_the_next_caller_waits_for_its_end() {
    let mut house = House::with(&["anna support,orders"]);
    let support = group("support", |group| group.wrap_up_ms = 20_000);
    let orders = group("orders", |_| {});
    house.at("0:05").joins(1, &support);
    house.picks_up("anna");
    house.at("0:10").joins_with(ticket(2, &orders));
    house.at("0:15").ends_talk("anna");
    assert_eq!(house.at("0:40").story(), "0:05 anna rings for 1 · 0:35 anna rings for 2");
    assert_eq!(house.conversations(1)[0].wrap_up_ms, 20_000);
}

#[test]
fn a_caller_who_drops_and_calls_again_has_the_old_place() {
    let mut house = House::with(&["anna support"]);
    let support = support();
    house.joins(1, &support);
    house.picks_up("anna");
    house.at("0:10").joins(2, &support);
    house.at("0:20").joins(3, &support);
    house.at("0:30").hangs_up(2);
    let mut again = ticket(4, &support);
    again.caller = ticket(2, &support).caller;
    assert_eq!(house.at("1:00").joins_with(again), Joined::Waiting { came_back: true });
    assert_eq!(house.acd.place(call(4)), Some(1));
    assert_eq!(house.acd.place(call(3)), Some(2));
    house.at("1:10").ends_talk("anna");
    house.picks_up("anna");
    let visit = &house.visits(4)[0];
    assert_eq!((visit.origin, visit.wait_ms), (Origin::CameBack, 10_000));

    // Too late: the place is kept for five minutes.
    house.hangs_up(3);
    let mut late = ticket(5, &support);
    late.caller = ticket(3, &support).caller;
    assert_eq!(house.at("7:00").joins_with(late), WAITING);
}

#[test]
fn priority_goes_first_and_waiting_outweighs_it_in_time() {
    let mut house = House::with(&["anna support"]);
    let support = support();
    house.joins(1, &support);
    house.picks_up("anna");
    house.at("0:10").joins(2, &support);
    let vip = |caller| Ticket { priority: 2, ..ticket(caller, &support) };
    house.at("1:00").joins_with(vip(3));
    // Two points are worth two minutes, and this one comes later than that.
    house.at("2:11").joins_with(vip(4));
    let line: Vec<_> = house.acd.line("support").iter().map(|c| c.call).collect();
    assert_eq!(line, [call(3), call(2), call(4)]);
}

#[test]
fn a_caller_whose_operator_was_lost_is_the_first_of_all() {
    let mut house = House::with(&["anna support"]);
    let support = group("support", |group| group.line_max = 2);
    house.joins(1, &support);
    house.picks_up("anna");
    house.joins_with(Ticket { priority: 9, ..ticket(2, &support) });
    house.joins(3, &support);
    assert_eq!(house.joins(4, &support), Joined::Full);
    assert_eq!(house.visits(4)[0].outcome, LineOutcome::Full);
    house.phone("anna", PhoneState::Unreachable);
    house.ends_talk("anna");
    house.joins_with(Ticket { origin: Origin::OperatorLost, ..ticket(1, &support) });
    assert_eq!(house.acd.place(call(1)), Some(1));
    assert_eq!(house.state("anna"), OperatorState::Unreachable);
}

#[test]
fn the_personal_manager_is_rung_alone_for_a_while_then_anyone() {
    let mut house = House::with(&["anna support", "bob orders"]);
    let support = support();
    let for_bob =
        |caller| Ticket { manager: Some((login("bob"), 10_000)), ..ticket(caller, &support) };
    house.at("0:05").joins_with(for_bob(1));
    assert_eq!(house.decisions(1)[0].rule, "personal-manager");
    assert_eq!(
        house.decisions(1)[0].candidates[&login("anna")],
        Verdict::NotTheManager { left_ms: 10_000 }
    );
    house.picks_up("bob");
    house.at("0:10").joins_with(for_bob(2));
    assert_eq!(house.at("0:30").story(), "0:05 bob rings for 1 · 0:20 anna rings for 2");
    house.picks_up("anna");

    // Nobody waits for a manager who is not there.
    house.logs_out("bob");
    house.ends_talk("bob");
    house.at("0:40").ends_talk("anna");
    house.joins_with(for_bob(3));
    assert_eq!(house.story(), "0:40 anna rings for 3");
}

#[test]
fn an_operator_rung_by_name_is_the_only_one_and_no_line_is_counted() {
    let mut house = House::with(&["anna support", "bob support"]);
    let only_anna = |caller| Ticket {
        manager: Some((login("anna"), 12_000)),
        only_manager: true,
        ..ticket(caller, &support())
    };
    assert_eq!(house.at("0:05").joins_with(only_anna(1)), WAITING);
    assert_eq!(house.acd.place(call(1)), None);
    assert_eq!(
        house.at("0:30").story(),
        "0:05 anna rings for 1 · 0:17 anna stops ringing · 0:17 1 is turned away"
    );
    assert_eq!(house.visits(1), []);
    house.logs_out("anna");
    assert_eq!(house.joins_with(only_anna(2)), Joined::Nobody);
    assert_eq!(house.visits(2), []);
}

#[test]
fn another_group_helps_those_who_wait_for_long_after_their_own() {
    let mut house = House::with(&["anna support", "bob orders"]);
    let support = group("support", |group| {
        group.overflow = vec![Overflow { after_ms: 30_000, also: vec!["orders".to_owned()] }];
    });
    house.joins(1, &support);
    house.picks_up("anna");
    house.at("0:10").joins(2, &support);
    assert_eq!(house.at("0:50").story(), "0:01 anna rings for 1 · 0:40 bob rings for 2");
}

#[test]
fn when_the_last_operator_logs_out_the_line_is_turned_away() {
    let mut house = House::with(&["anna support", "bob support"]);
    let support = support();
    house.pauses("anna");
    house.joins(1, &support);
    house.picks_up("bob");
    house.joins(2, &support);
    house.story();
    house.logs_out("bob");
    assert_eq!(house.story(), "", "anna is paused, which is not logged out");
    house.logs_out("anna");
    assert_eq!(house.story(), "0:01 2 is turned away");
    assert_eq!(house.visits(2)[0].outcome, LineOutcome::Nobody);
    assert_eq!(house.joins(3, &support), Joined::Nobody);
    house.ends_talk("bob");
    assert_eq!(house.conversations(1).len(), 1);
}

#[test]
fn of_all_phones_that_ring_one_wins_and_the_others_keep_their_turn() {
    let mut house = House::with(&["anna support", "bob support", "carl support"]);
    let support = group("support", |group| group.pick = Pick::RingAll);
    house.pauses("carl");
    house.joins(1, &support);
    house.at("0:05").unpauses("carl");
    let (bobs_offer, _) = house.ringing[&login("bob")];
    house.at("0:06").picks_up("anna");
    assert_eq!(
        house.story(),
        "0:01 anna rings for 1 · 0:01 bob rings for 1 · 0:05 carl rings for 1 · \
         0:06 bob stops ringing · 0:06 carl stops ringing"
    );
    assert_eq!(house.run(|acd, now, out| acd.answered(now, bobs_offer, out)), None);
    assert!(matches!(house.state("bob"), OperatorState::Ready { since } if since < house.now));
}

#[test]
fn a_phone_that_vanishes_while_it_rings_is_passed_over() {
    let mut house = House::with(&["anna support", "bob support"]);
    house.at("0:05").joins(1, &support());
    house.at("0:08").phone("anna", PhoneState::Unreachable);
    assert_eq!(
        house.story(),
        "0:05 anna rings for 1 · 0:08 anna stops ringing · 0:08 bob rings for 1"
    );
    assert_eq!(house.state("anna"), OperatorState::Unreachable);
}

#[test]
fn an_operator_who_picks_up_and_is_gone_costs_no_caller() {
    let mut house = House::with(&["anna support", "bob support"]);
    house.at("0:05").joins(1, &support());
    assert_eq!(house.lifts("anna"), Some(1));
    house.ends_talk("anna");
    assert_eq!(house.story(), "0:05 anna rings for 1 · 0:05 bob rings for 1");
    house.at("0:09").picks_up("bob");
    assert_eq!(house.visits(1)[0].wait_ms, 4_000);
    assert_eq!(house.conversations(1), []);
}

#[test]
fn every_choice_tells_of_everybody_who_was_considered() {
    let mut house =
        House::with(&["anna support english=3", "bob support english=8", "carl support"]);
    let support = group("support", |group| {
        group.needs.insert("english".to_owned(), 5);
    });
    house.pauses("carl");
    house.at("0:10").joins(1, &support);
    let decision = house.decisions(1).remove(0);
    assert_eq!(decision.chosen, [login("bob")]);
    let lacks = Verdict::LacksSkill { skill: "english".to_owned(), level: 3, needed: 5 };
    assert_eq!(decision.candidates[&login("anna")], lacks);
    assert_eq!(decision.candidates[&login("carl")], Verdict::Paused { reason: "lunch".to_owned() });
    assert!(matches!(decision.candidates[&login("bob")], Verdict::Free { calls: 0, .. }));

    house.picks_up("bob");
    house.at("0:20").joins(2, &support);
    house.at("0:50");
    assert_eq!(house.decisions(2).len(), 1, "nothing but the time has changed");
    house.unpauses("carl");
    house.at("0:55");
    assert_eq!(house.decisions(2).len(), 2);
    let standing = house.acd.explain_group(house.now, "support");
    assert_eq!((standing.waiting, standing.ringing, standing.call), (1, 0, Some(call(2))));
    assert_eq!(standing.candidates[&login("bob")], Verdict::Talking { for_ms: 45_000 });
}

#[test]
fn a_transfer_ends_one_conversation_and_begins_another() {
    let mut house = House::with(&["anna support", "bob support"]);
    house.at("0:05").joins(1, &support());
    house.picks_up("anna");
    house.at("0:15").run(|acd, now, out| {
        acd.hold(now, &login("anna"), true);
        acd.set_own_call(now, &login("anna"), true, out);
        acd.set_own_call(now, &login("bob"), true, out);
    });
    house.at("0:25").run(|acd, now, out| {
        acd.takes_over(now, call(1), &login("anna"), &login("bob"), out);
        acd.set_own_call(now, &login("anna"), false, out);
        acd.set_own_call(now, &login("bob"), false, out);
        let answer = acd.set_topic(&login("bob"), "12".to_owned());
        assert_eq!(answer, crate::core::acd::TopicAnswer::Noted);
    });
    house.at("0:40").ends_talk("bob");
    let [first, second] = house.conversations(1).try_into().unwrap();
    assert_eq!((first.talk_ms, first.hold_ms), (10_000, 10_000));
    assert_eq!((second.talk_ms, second.topic.as_deref()), (15_000, Some("12")));
    assert_eq!(second.group.as_deref(), Some("support"));
}

#[test]
fn wrap_up_can_be_lengthened_and_ended_and_a_reload_changes_nothing() {
    let mut house = House::with(&["anna support"]);
    house.joins(1, &group("support", |group| group.wrap_up_ms = 10_000));
    house.picks_up("anna");
    house.at("0:10").ends_talk("anna");
    assert!(house.run(|acd, now, out| acd.extend_wrap_up(now, &login("anna"), 30_000, out)));
    house.set_operators(&["anna support,orders", "bob support"]);
    assert!(matches!(house.at("0:45").state("anna"), OperatorState::WrapUp { .. }));
    assert!(house.run(|acd, now, out| acd.end_wrap_up(now, &login("anna"), out)));
    assert_eq!(house.conversations(1)[0].wrap_up_ms, 35_000);
    assert!(!house.run(|acd, now, out| acd.end_wrap_up(now, &login("anna"), out)));
    assert_eq!(house.state("bob"), OperatorState::Offline);
}

#[test]
fn a_wait_once_told_only_gets_shorter() {
    let mut house = House::with(&["anna support", "bob support"]);
    let support = support();
    for caller in 1..=5 {
        house.joins(caller, &support);
    }
    house.picks_up("anna");
    house.picks_up("bob");
    let told = house.acd.estimate(house.now, call(5)).unwrap();
    assert_eq!(told, Estimate { from_ms: 240_000, to_ms: 480_000 });
    house.pauses("bob");
    let later = house.acd.estimate(house.now, call(5)).unwrap();
    assert_eq!(later, told, "half the operators, and still no bad news");
    assert_eq!(
        house.acd.estimate(house.now, call(3)).unwrap(),
        Estimate { from_ms: 120_000, to_ms: 240_000 }
    );
}

#[test]
fn what_went_wrong_is_put_right_and_reported() {
    let mut house = House::with(&["anna support"]);
    house.joins(1, &support());
    let (offer, _) = house.ringing.remove(&login("anna")).unwrap();
    house.acd.offers.remove(&offer);
    let wrong = house.acd.check(house.now);
    assert!(wrong.contains(&"anna rings without an offer".to_owned()), "{wrong:?}");
    house.story();
    house.run(|acd, now, out| assert_eq!(acd.repair_and_report(now, out), wrong));
    assert_eq!(house.story(), "0:01 anna rings for 1");
}
