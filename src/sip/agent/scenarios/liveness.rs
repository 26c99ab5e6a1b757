//! Phones that die while they talk, while they ring, and just after.

use super::dialled::{ANNA, ANNAS_OTHER, phones_are, ring, starts, talk, unanswered, wait_alive};
use super::*;
use crate::domain::{PhoneState, RingOutcome};

const BROKEN: (EndedBy, EndReason) = (EndedBy::Network, EndReason::SignallingFailed);

/// Asks the phone of the call whether it is there.
fn probe(scene: &mut Scene) -> Vec<String> {
    let leg = scene.leg();
    scene.tell(SipCommand::Probe { leg })
}

#[test]
fn a_phone_that_dies_in_a_call_is_found_out_in_two_seconds() {
    let (mut scene, _) = talk("");
    let options = probe(&mut scene);
    assert_eq!(starts(&options), [format!("OPTIONS {ANNA}")]);
    assert!(header(&options[0], "To").unwrap().ends_with(";tag=one"), "inside the call");
    assert_eq!(probe(&mut scene), [""; 0], "one question at a time");
    let sent = scene.wait(1_999);
    assert_eq!(sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [500, 1_500]);
    assert_eq!(scene.events(), []);
    let bye = scene.wait(1).remove(0).1;
    assert!(bye.starts_with("BYE "), "{bye}");
    let events = scene.events();
    assert_eq!(events[0], phones_are(PhoneState::Unreachable), "before its operator is free");
    assert_eq!((events.len(), ended(&events)), (2, Some(BROKEN)));
    // The network was away for a moment.
    scene.reply(&bye, "200 OK", "", "");
    assert_eq!(scene.events(), [phones_are(PhoneState::Reachable)]);
    scene.assert_all_forgotten();
}

#[test]
fn a_muted_phone_answers_and_the_call_goes_on() {
    let (mut scene, mut phone) = talk("");
    for status in ["200 OK", "404 Not Found", "405 No", "486 Busy", "500 Oops", "501 No"] {
        let options = probe(&mut scene);
        scene.reply(&options[0], status, "", "");
        assert_eq!(scene.wait(4_000), [], "{status}");
        assert_eq!(scene.events(), [], "{status}");
    }
    assert_eq!(codes(&phone.asks(&mut scene, "BYE", "", "")), [200]);
}

#[test]
fn a_phone_that_was_started_anew_has_lost_the_call_but_is_there() {
    let (mut scene, _) = talk("");
    let options = probe(&mut scene);
    let bye = scene.reply(&options[0], "481 No Such Call", "", "");
    assert_eq!(starts(&bye), [format!("BYE {ANNA}")]);
    let events = scene.events();
    assert_eq!((events.len(), ended(&events)), (1, Some(BROKEN)));
}

#[test]
fn a_connection_that_can_not_be_made_again_ends_the_call_it_was_for() {
    let (mut scene, _) = talk("");
    probe(&mut scene);
    scene.agent.link_closed(scene.now_ms, Link::Udp(0));
    assert_eq!(starts(&scene.sent()), [format!("OPTIONS {ANNA}")], "once more");
    scene.agent.link_closed(scene.now_ms, Link::Udp(0));
    assert_eq!(ended(&scene.events()), Some(BROKEN));
}

#[test]
fn of_callers_those_are_asked_who_say_that_they_answer() {
    let mut scene = Scene::call("Allow: INVITE, ACK, BYE\r\n");
    assert_eq!(probe(&mut scene), [""; 0], "silence would prove nothing");
    let mut scene = Scene::call("Allow: INVITE, ACK, BYE, OPTIONS\r\n");
    assert!(probe(&mut scene)[0].starts_with("OPTIONS sip:anna@"));
    scene.wait(2_000);
    assert_eq!(ended(&scene.events()), Some(BROKEN));
    assert_eq!(probe(&mut scene), [""; 0], "the call is over");
    scene.assert_all_forgotten();
}

#[test]
fn a_phone_that_dies_while_it_rings_is_found_out_in_five_seconds() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    scene.events();
    let sent = scene.wait(3_000);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].1.starts_with(&format!("OPTIONS {ANNA} ")), "{sent:?}");
    scene.wait(1_999);
    assert_eq!(scene.events(), []);
    let sent = scene.wait(1);
    assert!(sent[0].1.starts_with("CANCEL "), "{sent:?}");
    let events = scene.events();
    assert_eq!(events[0], phones_are(PhoneState::Unreachable));
    assert_eq!(events[1..], unanswered(scene.leg(), RingOutcome::Unreachable));
    scene.assert_all_forgotten();
}

#[test]
fn a_phone_that_lives_rings_on_and_is_asked_again() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    scene.events();
    assert_eq!(wait_alive(&mut scene, 10_000), [""; 0]);
    assert_eq!(scene.events(), []);
    let sent = scene.wait(2_000);
    assert!(sent[0].1.starts_with("OPTIONS ") && sent[0].0 == 2_000, "every three seconds");
    scene.wait(2_000);
    assert_eq!(scene.events()[1..], unanswered(scene.leg(), RingOutcome::Unreachable));
}

#[test]
fn of_two_phones_that_ring_one_may_die() {
    let (mut scene, phones) = ring(&[ANNA, ANNAS_OTHER]);
    let leg = scene.leg();
    for phone in &phones {
        phone.says(&mut scene, "180 Ringing", "", "");
    }
    scene.events();
    let asked = scene.wait(3_000);
    let of_other = |(_, text): &&(u64, String)| text.starts_with(&format!("OPTIONS {ANNAS_OTHER}"));
    let of_other = asked.iter().find(of_other).unwrap().1.clone();
    scene.reply(&of_other, "200 OK", "", "");
    let sent = scene.wait(2_000);
    assert!(sent.iter().any(|(_, text)| text.starts_with(&format!("CANCEL {ANNA} "))));
    assert_eq!(scene.events(), [], "the operator is reachable, and rings");
    phones[1].picks_up(&mut scene);
    assert_eq!(scene.events().last(), Some(&SipEvent::Answered { leg }));
}

#[test]
fn a_phone_that_does_not_even_answer_our_cancel_is_gone() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    let leg = scene.leg();
    scene.tell(SipCommand::Hangup { leg });
    scene.events();
    scene.wait(1_999);
    assert_eq!(scene.events(), []);
    scene.wait(1);
    assert_eq!(scene.events(), [phones_are(PhoneState::Unreachable)]);
    phones[0].says(&mut scene, "487 Request Terminated", "", "");
    assert_eq!(scene.events(), [phones_are(PhoneState::Reachable)], "it was only slow");
    scene.assert_all_forgotten();
}

#[test]
fn a_phone_that_answers_the_cancel_or_the_invite_is_there() {
    for answers_cancel in [true, false] {
        let (mut scene, phones) = ring(&[ANNA]);
        phones[0].says(&mut scene, "180 Ringing", "", "");
        let leg = scene.leg();
        let cancel = scene.tell(SipCommand::Hangup { leg });
        if answers_cancel {
            scene.reply(&cancel[0], "200 OK", "", "");
        } else {
            phones[0].says(&mut scene, "487 Request Terminated", "", "");
        }
        scene.events();
        scene.wait(10_000);
        assert_eq!(scene.events(), []);
    }
}
