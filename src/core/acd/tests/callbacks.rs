//! Customers who are to be called back wait in the line like everybody.

use std::sync::Arc;

use super::house::{House, call, group, login, support, ticket};
use crate::core::acd::{Joined, OperatorState, Release, Ticket, TicketWay};
use crate::dialplan::plan::{Group, Pick};
use crate::domain::{LineOutcome, LinePlace, Origin, PhoneState, RingOutcome};

const WAITING: Joined = Joined::Waiting { came_back: false };

fn callback(caller: u128, group: &Arc<Group>, way: TicketWay, place: Option<LinePlace>) -> Ticket {
    Ticket { origin: Origin::Callback, way, place, ..ticket(caller, group) }
}

fn customer_first(caller: u128, group: &Arc<Group>) -> Ticket {
    callback(caller, group, TicketWay::CustomerFirst, None)
}

/// Anna talks with 1, and 2 to 6 wait.
fn five_waiting() -> House {
    let mut house = House::with(&["anna support"]);
    house.joins(1, &support());
    house.picks_up("anna");
    for (caller, time) in (2..=6).zip(["0:10", "0:20", "0:30", "0:40", "0:50"]) {
        house.at(time).joins(caller, &support());
    }
    house.story();
    house
}

/// Whom Anna talks with, one after another.
fn served(house: &mut House, count: usize) -> Vec<u128> {
    let serve = |_| {
        house.ends_talk("anna");
        house.picks_up("anna")
    };
    (0..count).map(serve).collect()
}

#[test]
fn of_five_who_wait_the_third_takes_a_callback_and_is_served_third() {
    let mut house = five_waiting();
    let place = house.run(|acd, now, out| acd.release(now, call(4), Release::Callback, out));
    assert_eq!(house.visits(4)[0].outcome, LineOutcome::Callback);
    assert_eq!(house.acd.place(call(5)), Some(3));
    let back = callback(14, &support(), TicketWay::OperatorFirst, place);
    assert_eq!(house.at("1:30").joins_with(back), WAITING);
    assert_eq!(house.acd.place(call(14)), Some(3));
    assert_eq!(house.acd.place(call(5)), Some(4));
    assert_eq!(house.acd.callbacks("support").collect::<Vec<_>>(), [call(14)]);
    assert_eq!(house.acd.line("support")[2].origin, Origin::Callback);
    assert_eq!(served(&mut house, 5), [2, 3, 14, 5, 6]);
    let visit = &house.visits(14)[0];
    assert_eq!((visit.origin, visit.outcome), (Origin::Callback, LineOutcome::Answered));
}

#[test]
fn the_abandoned_fourth_who_calls_again_is_served_fourth() {
    let mut house = five_waiting();
    house.hangs_up(5);
    let again = Ticket { caller: ticket(5, &support()).caller, ..ticket(15, &support()) };
    assert_eq!(house.at("2:00").joins_with(again), Joined::Waiting { came_back: true });
    assert_eq!(served(&mut house, 5), [2, 3, 4, 15, 6]);
}

#[test]
fn a_promised_place_keeps_its_priority_too() {
    let mut house = five_waiting();
    house.joins_with(Ticket { priority: 2, ..ticket(7, &support()) });
    let before = house.acd.place(call(7));
    let place = house.run(|acd, now, out| acd.release(now, call(7), Release::Callback, out));
    assert_eq!(place.map(|place| place.priority), Some(2));
    house.at("3:00");
    house.joins_with(callback(17, &support(), TicketWay::OperatorFirst, place));
    assert_eq!(house.acd.place(call(17)), before);
}

#[test]
fn two_callbacks_and_one_operator_make_one_call() {
    let mut house = House::with(&["anna support"]);
    let support = support();
    let idle_since = house.state("anna");
    house.joins_with(customer_first(1, &support));
    house.joins_with(customer_first(2, &support));
    house.joins(3, &support);
    assert_eq!(house.story(), "0:01 anna is kept for 1");
    assert!(matches!(house.state("anna"), OperatorState::Reserved { .. }));
    let standing = house.acd.explain_group(house.now, "support");
    assert_eq!((standing.waiting, standing.call), (3, Some(call(2))));

    // The first customer is not reached.
    house.at("0:20").not_reached(1);
    assert_eq!(house.story(), "0:20 anna is kept for 2");
    house.not_reached(2);
    assert_eq!(house.story(), "0:20 anna rings for 3");
    house.hangs_up(3);
    assert_eq!(house.state("anna"), idle_since, "nobody rang her for them");
}

#[test]
fn the_reserved_operator_is_rung_first_and_then_whoever_is_free() {
    let mut house = House::with(&["anna support", "bob support"]);
    house.joins_with(customer_first(1, &support()));
    house.at("0:10").customer_picks_up(1);
    house.at("0:12").does_not_take("anna", RingOutcome::Rejected);
    assert_eq!(
        house.story(),
        "0:01 anna is kept for 1 · 0:10 anna rings for 1 · 0:12 bob rings for 1"
    );
    house.picks_up("bob");
    house.at("0:30").ends_talk("bob");
    assert_eq!(house.conversations(1)[0].talk_ms, 18_000);
}

#[test]
fn who_is_reserved_and_leaves_is_replaced_by_the_next_one() {
    let mut house = House::with(&["anna support", "bob support"]);
    house.joins_with(customer_first(1, &support()));
    house.pauses("anna");
    house.at("0:05").phone("bob", PhoneState::Unreachable);
    assert_eq!(
        house.story(),
        "0:01 anna is kept for 1 · 0:01 anna is not kept for 1 · 0:01 bob is kept for 1 · \
         0:05 bob is not kept for 1"
    );
    // The customer picks up nevertheless, and waits for the next one.
    house.at("0:08").customer_picks_up(1);
    house.at("0:09").unpauses("anna");
    assert_eq!(house.story(), "0:09 anna rings for 1");
    house.logs_out("anna");
    house.logs_out("bob");
    assert_eq!(house.story(), "0:09 anna stops ringing · 0:09 1 is turned away");
}

#[test]
fn a_call_of_the_operators_own_and_a_transfer_end_the_reservation() {
    let mut house = House::with(&["anna support"]);
    house.joins_with(customer_first(1, &support()));
    house.run(|acd, now, out| acd.set_own_call(now, &login("anna"), true, out));
    house.run(|acd, now, out| acd.set_own_call(now, &login("anna"), false, out));
    house.run(|acd, now, out| acd.talk_began(now, &login("anna"), call(9), None, out));
    let kept = "0:01 anna is kept for 1";
    let lost = "0:01 anna is not kept for 1";
    assert_eq!(house.story(), [kept, lost, kept, lost].join(" · "));
}

#[test]
fn a_customer_to_be_called_waits_while_nobody_is_there_and_takes_no_callers_room() {
    let mut house = House::with(&["anna support"]);
    let support = group("support", |group| group.line_max = 1);
    house.logs_out("anna");
    for caller in 1..=3 {
        let back = callback(caller, &support, TicketWay::OperatorFirst, None);
        assert_eq!(house.joins_with(back), WAITING);
    }
    assert_eq!(house.joins(4, &support), Joined::Nobody);
    house.pauses("anna");
    house.run(|acd, now, out| acd.log_in(now, &login("anna"), Some("support"), out)).unwrap();
    assert_eq!(house.joins(5, &support), WAITING);
    assert_eq!(house.joins(6, &support), Joined::Full);
}

#[test]
fn a_customer_who_is_not_reached_costs_the_operator_nothing() {
    let mut house = House::with(&["anna support", "bob support"]);
    let support = group("support", |group| group.wrap_up_ms = 30_000);
    house.joins_with(callback(1, &support, TicketWay::OperatorFirst, None));
    assert_eq!(house.lifts("anna"), Some(1));
    house.at("0:30").not_reached(1);
    house.ends_talk("anna");
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
    assert_eq!(house.conversations(1), []);
    assert_eq!(house.visits(1)[0].outcome, LineOutcome::NotReached);
    house.joins(2, &support);
    assert_eq!(house.story(), "0:01 anna rings for 1 · 0:30 anna rings for 2", "still her turn");
}

#[test]
fn where_all_ring_one_is_reserved_and_all_ring_for_the_customer() {
    let mut house = House::with(&["anna support", "bob support"]);
    let support = group("support", |group| group.pick = Pick::RingAll);
    house.joins_with(customer_first(1, &support));
    house.at("0:10").customer_picks_up(1);
    assert_eq!(
        house.story(),
        "0:01 anna is kept for 1 · 0:10 anna rings for 1 · 0:10 bob rings for 1"
    );
}

#[test]
fn a_reservation_that_went_wrong_is_put_right() {
    let mut house = House::with(&["anna support"]);
    house.joins_with(customer_first(1, &support()));
    house.acd.staff.get_mut(&login("anna")).unwrap().work = crate::core::acd::operators::Work::None;
    assert_eq!(house.acd.check(house.now).len(), 1);
    house.story();
    house.run(|acd, now, out| acd.repair_and_report(now, out));
    assert_eq!(house.story(), "0:01 anna is not kept for 1 · 0:01 anna is kept for 1");
}
