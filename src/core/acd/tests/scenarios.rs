//! What a supervisor expects of the line.

use super::house::{House, group, support, ticket};
use crate::core::acd::{Joined, OperatorState};
use crate::domain::{LineOutcome, RingOutcome};

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
