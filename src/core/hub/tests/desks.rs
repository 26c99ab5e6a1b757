//! Operators' phones that call by themselves.

use super::{HUNG_UP, House, login};
use crate::core::acd::OperatorState;
use crate::core::event::TransferTarget;
use crate::core::{Command, Event};
use crate::domain::RingOutcome;

#[test]
fn a_code_dialled_beside_a_consultation_does_not_end_it() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let consultation = house.dial("anna", "202");
    house.pick_up("boris");
    let code = house.dial("anna", "*49");
    house.pass(5_000);
    assert!(house.hung_up.contains(&code.leg), "what came of the code was said");
    assert!(matches!(house.state("anna"), OperatorState::Talking { call: None, .. }));
    house.customer("+79161112233");
    assert!(house.rings().is_empty(), "both talk with each other");
    house.end(consultation.leg, HUNG_UP.0, HUNG_UP.1);
    assert_eq!(house.rings(), ["anna"]);
}

#[test]
fn a_phone_that_rings_for_a_transfer_does_not_ring_for_the_line_too() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    house.customer("+79161112233");
    let anna = house.pick_up("anna");
    let target = TransferTarget::Dialled("202".to_owned());
    house.tell(Event::TransferAsked { leg: anna, target });
    assert_eq!(house.rings(), ["boris"]);
    // Rung twice at once, the house would protest.
    house.customer("+79161112244");
    let dial = house.ringing.remove(&login("boris")).unwrap();
    house.tell(Event::Unanswered { leg: dial.leg, outcome: RingOutcome::Rejected });
    assert_eq!(house.rings(), ["boris"], "free for the line again");
}

#[test]
fn a_caller_is_not_sent_to_a_colleague_who_talks_nor_back_to_the_same_operator() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let first = house.customer("+79161112233");
    let anna = house.pick_up("anna");
    let second = house.customer("+79161112244");
    let boris = house.pick_up("boris");
    let target = TransferTarget::Dialled("202".to_owned());
    house.tell(Event::TransferAsked { leg: anna, target });
    assert!(house.commands.contains(&Command::EndTransfer { leg: anna, succeeded: false }));
    let target = TransferTarget::Dialled("201".to_owned());
    house.tell(Event::TransferAsked { leg: anna, target });
    assert_eq!(house.commands.last(), Some(&Command::RefuseTransfer { leg: anna }));
    assert!(house.rings().is_empty());
    assert!(house.hear_each_other(first.leg, anna) && house.hear_each_other(second.leg, boris));
}
