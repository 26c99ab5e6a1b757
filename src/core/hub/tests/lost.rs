//! Phones that die while they talk or ring, and what their callers notice of it.

use super::*;

#[test]
fn a_caller_whose_operator_is_lost_is_told_so_and_goes_to_the_head_of_the_line() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    let lost = house.pick_up("anna");
    let other = house.customer("+79161112244");
    let boris = house.pick_up("boris");
    let waiting = house.customer("+79161112255");
    house.end(lost, BROKEN.0, BROKEN.1);
    assert!(house.heard(caller.leg).contains(&"phrase/operator-lost".to_owned()));
    house.pass(3_000);
    house.end(boris, HUNG_UP.0, HUNG_UP.1);
    house.pass(20_000);
    // Both are free again after wrap-up; the lost one is first.
    let first = house.rings()[0].to_owned();
    let phones: Vec<LegId> = [first.as_str()].iter().map(|name| house.pick_up(name)).collect();
    assert!(house.hear_each_other(caller.leg, phones[0]));
    let _ = (other, waiting);
}

#[test]
fn whoever_falls_silent_is_asked_for_a_sign_of_life() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    let phone = house.pick_up("anna");
    let desk = house.dial("anna", "*49");
    for leg in [caller.leg, phone, desk.leg] {
        house.tell(Event::MediaQuiet { leg });
        assert_eq!(house.commands.last(), Some(&Command::Probe { leg }));
    }
    assert!(house.hear_each_other(caller.leg, phone), "who is only muted stays");
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    house.commands.clear();
    for leg in [caller.leg, phone] {
        house.tell(Event::MediaQuiet { leg });
    }
    assert_eq!(house.commands, []);
}

#[test]
fn a_phone_that_dies_in_a_conversation_is_not_rung_for_the_caller_it_left() {
    let mut house = House::with(&["anna", "boris"], |group| group.wrap_up_ms = 0);
    let busy = house.customer("+79161112200");
    let other = house.pick_up("anna");
    let caller = house.customer("+79161112233");
    let lost = house.pick_up("boris");
    let (operator, state) = (login("boris"), PhoneState::Unreachable);
    house.tell(Event::PhoneChanged { operator, state });
    assert!(house.hear_each_other(caller.leg, lost), "the conversation has the last word");
    house.end(lost, BROKEN.0, BROKEN.1);
    assert!(house.heard(caller.leg).contains(&"phrase/operator-lost".to_owned()));
    assert!(house.rings().is_empty());
    house.end(other, HUNG_UP.0, HUNG_UP.1);
    house.pass(3_000);
    let next = house.pick_up("anna");
    assert!(house.hear_each_other(caller.leg, next));
    let _ = busy;
}

#[test]
fn a_phone_that_is_known_to_be_gone_while_it_rings_gives_way_to_the_next() {
    for state in [PhoneState::Unreachable, PhoneState::Unregistered] {
        let mut house = House::with(&["anna", "boris"], |_| ());
        let caller = house.customer("+79161112233");
        assert_eq!(house.rings(), ["anna"]);
        house.tell(Event::PhoneChanged { operator: login("anna"), state });
        assert_eq!(house.rings(), ["boris"]);
        let phone = house.pick_up("boris");
        assert!(house.hear_each_other(caller.leg, phone));
    }
}

#[test]
fn a_phone_that_dies_while_ringing_leaves_the_caller_in_the_line() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    let dial = house.ringing.remove(&login("anna")).unwrap();
    house.tell(Event::Unanswered { leg: dial.leg, outcome: RingOutcome::Unreachable });
    assert_eq!(house.rings(), ["boris"]);
    let phone = house.pick_up("boris");
    assert!(house.hear_each_other(caller.leg, phone));
}

#[test]
fn an_operator_who_is_not_heard_any_more_is_lost_like_one_whose_phone_is_gone() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    let lost = house.pick_up("anna");
    house.tell(Event::MediaDied { leg: lost });
    assert_eq!(house.hung_up, [lost]);
    let second = house.pick_up("boris");
    assert!(house.hear_each_other(caller.leg, second));
}
