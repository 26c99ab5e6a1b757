//! Callers are sent on.

use super::*;

#[test]
fn a_blind_transfer_brings_the_caller_to_the_colleague() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    let first = house.pick_up("anna");
    let target = TransferTarget::Dialled("202".to_owned());
    house.tell(Event::TransferAsked { leg: first, target });
    assert_eq!(house.rings(), ["boris"]);
    house.pass(4_000);
    let second = house.pick_up("boris");
    assert!(house.hear_each_other(caller.leg, second));
    assert!(house.commands.contains(&Command::EndTransfer { leg: first, succeeded: true }));
    assert_eq!(house.hung_up, [first]);
    assert!(matches!(house.state("anna"), OperatorState::WrapUp { .. }));
    house.end(second, HUNG_UP.0, HUNG_UP.1);
    assert!(house.hung_up.contains(&caller.leg));
    assert!(matches!(house.state("boris"), OperatorState::WrapUp { .. }));
}

#[test]
fn a_transfer_that_nobody_takes_comes_back() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let caller = house.customer("+79161112233");
    let first = house.pick_up("anna");
    let target = TransferTarget::Dialled("202".to_owned());
    house.tell(Event::TransferAsked { leg: first, target });
    let dial = house.ringing.remove(&login("boris")).unwrap();
    house.tell(Event::Unanswered { leg: dial.leg, outcome: RingOutcome::NoAnswer });
    assert!(house.commands.contains(&Command::EndTransfer { leg: first, succeeded: false }));
    assert!(house.hear_each_other(caller.leg, first));
}

#[test]
fn a_caller_is_sent_to_another_group_by_its_name_or_number() {
    for dialled in ["sales", "600"] {
        let mut house = House::with(&["anna", "boris"], |_| ());
        let caller = house.customer("+79161112233");
        let first = house.pick_up("anna");
        let target = TransferTarget::Dialled(dialled.to_owned());
        house.tell(Event::TransferAsked { leg: first, target });
        assert!(house.hung_up.contains(&first));
        house.pass(2_000);
        let second = house.pick_up("boris");
        assert!(house.hear_each_other(caller.leg, second), "{dialled}");
    }
}

#[test]
fn what_may_not_be_dialled_is_no_target_of_a_transfer() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    let first = house.pick_up("anna");
    for dialled in ["+79990001122", "nosuch", "999", "*45"] {
        let target = TransferTarget::Dialled(dialled.to_owned());
        house.tell(Event::TransferAsked { leg: first, target });
        let refused = Command::RefuseTransfer { leg: first };
        assert_eq!(house.commands.last(), Some(&refused), "{dialled}");
    }
    assert!(house.hear_each_other(caller.leg, first));
}

#[test]
fn an_attended_transfer_joins_the_caller_with_the_colleague_who_was_asked() {
    for referred in [0, 1] {
        let mut house = House::with(&["anna", "boris"], |_| ());
        let caller = house.customer("+79161112233");
        let first = house.pick_up("anna");
        house.tell(Event::Held { leg: first, is_held: true });
        let desk = house.offer("202", CallerId::Other("anna".to_owned()), Some(login("anna")));
        let second = house.pick_up("boris");
        house.tell(Event::Confirmed { leg: desk.leg });
        let legs = [first, desk.leg];
        let (leg, target) = (legs[referred], TransferTarget::Leg(legs[1 - referred]));
        house.tell(Event::TransferAsked { leg, target });
        assert!(house.hear_each_other(caller.leg, second));
        assert!(house.hung_up.contains(&first) && house.hung_up.contains(&desk.leg));
        assert!(!house.hung_up.contains(&second) && !house.hung_up.contains(&caller.leg));
        assert!(matches!(house.state("anna"), OperatorState::WrapUp { .. }));
        assert!(matches!(house.state("boris"), OperatorState::Talking { .. }));
        house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
        assert!(house.hung_up.contains(&second));
        assert!(matches!(house.state("boris"), OperatorState::WrapUp { .. }));
    }
}

#[test]
fn a_colleague_who_still_rings_when_the_caller_is_handed_over_rings_on_for_the_caller() {
    for referred in [0, 1] {
        let mut house = House::with(&["anna", "boris"], |_| ());
        let caller = house.customer("+79161112233");
        let first = house.pick_up("anna");
        let desk = house.offer("202", CallerId::Other("anna".to_owned()), Some(login("anna")));
        let legs = [first, desk.leg];
        let (leg, target) = (legs[referred], TransferTarget::Leg(legs[1 - referred]));
        house.tell(Event::TransferAsked { leg, target });
        assert!(house.hung_up.contains(&desk.leg));
        assert_eq!(house.rings(), ["boris"]);
        let second = house.pick_up("boris");
        assert!(house.hear_each_other(caller.leg, second));
        assert!(house.hung_up.contains(&first));
        assert!(house.commands.contains(&Command::EndTransfer { leg, succeeded: true }));
        house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
        assert!(house.hung_up.contains(&second));
        assert!(house.hub.legs.is_empty() && house.hub.bridges.is_empty());
    }
}
