//! Operators' phones that call by themselves.

use super::*;

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

#[test]
fn codes_log_in_and_out_and_pause_and_are_confirmed() {
    let mut house = House::with(&["anna"], |_| ());
    for (code, said, check) in [
        ("*45", "code/logged-out", "Offline"),
        ("*45", "code/logged-in", "Ready"),
        ("*46*lunch", "code/paused", "Paused"),
        ("*46", "code/unpaused", "Ready"),
        ("*49", "code/not-allowed", "Ready"),
        ("*77", "code/unknown", "Ready"),
        ("*45*2", "code/logged-out", "Ready"),
        ("*45*nosuch", "code/not-allowed", "Ready"),
    ] {
        let desk = house.dial("anna", code);
        assert_eq!(house.heard(desk.leg), [said], "{code}");
        house.pass(1_000);
        assert_eq!(house.hung_up.last(), Some(&desk.leg), "{code}");
        assert!(format!("{:?}", house.state("anna")).starts_with(check), "{code}");
    }
    assert!(house.hub.legs.is_empty());
}

#[test]
fn codes_need_an_account() {
    let mut house = House::with(&["anna"], |_| ());
    let leg = house.offer("*45", CallerId::Anonymous, None).leg;
    let why = Refusal::Unauthenticated;
    assert_eq!(house.commands.last(), Some(&Command::Reject { leg, why }));
}

#[test]
fn wrap_up_is_lengthened_and_ended_by_code() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    house.pick_up("anna");
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    house.dial("anna", "*48");
    house.pass(21_000);
    assert!(matches!(house.state("anna"), OperatorState::WrapUp { .. }));
    house.dial("anna", "*49");
    house.pass(2_000);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
}

#[test]
fn operators_call_each_other_and_are_not_rung_meanwhile() {
    let mut house = House::with(&["anna", "boris"], |_| ());
    let desk = house.offer("202", CallerId::Other("anna".to_owned()), Some(login("anna")));
    assert_eq!(house.rings(), ["boris"]);
    let phone = house.pick_up("boris");
    assert!(house.commands.contains(&Command::Answer { leg: desk.leg }));
    assert!(house.hear_each_other(desk.leg, phone));
    let caller = house.customer("+79161112233");
    assert!(house.rings().is_empty());
    house.end(desk.leg, HUNG_UP.0, HUNG_UP.1);
    assert_eq!(house.hung_up, [phone]);
    assert_eq!(house.rings().len(), 1);
    let _ = caller;
}

#[test]
fn a_supervisor_listens_whispers_and_joins_in_and_nobody_else_may() {
    let mut house = House::with(&["anna", "vera", "boris"], |_| ());
    house.customer("+79161112233");
    let talking = house.pick_up("anna");
    let desk = house.dial("vera", "*33201");
    assert_eq!(house.heard(desk.leg), ["code/listening"]);
    house.pass(1_000);
    for (key, mode) in [
        (None, Monitoring::Listen),
        (Some('2'), Monitoring::Whisper),
        (Some('3'), Monitoring::Barge),
        (Some('1'), Monitoring::Listen),
    ] {
        if let Some(key) = key.map(|c| Key::try_from(c).unwrap()) {
            let source = KeySource::Event;
            house.tell(Event::KeyPressed { leg: desk.leg, key, source });
        }
        let monitor = Command::Monitor { supervisor: desk.leg, operator: talking, mode };
        assert_eq!(house.commands.last(), Some(&monitor));
    }
    let refused = house.dial("boris", "*33201");
    assert_eq!(house.heard(refused.leg), ["code/not-allowed"]);
}
