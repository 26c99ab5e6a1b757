//! Numbers outside: what a trunk answers, and when the next one is tried.

use super::super::super::border::{Destination, Dial};
use super::trunks::{ONE, TWO, answer_options, locate, wait_heard, working_house};
use super::*;
use crate::config::Trunk;
use crate::domain::{PhoneNumber, Region, RingOutcome};

const SDP: &str = "Content-Type: application/sdp\r\n";
const CONTACT: &str = "Contact: <sip:gateway@192.0.2.9>\r\n";

fn to_customer(scene: &mut Scene) -> Dial {
    let number = PhoneNumber::parse("+79161112233", Region::default()).unwrap();
    Dial {
        leg: scene.agent.tokens.leg(scene.now_ms),
        to: Destination::Outside { number, trunks: Vec::new() },
        media: LocalMedia { ip: "127.0.0.1".parse().unwrap(), rtp_port: 20_000 },
        from_user: String::new(),
        display: None,
        auto_answer: false,
        ring_ms: 30_000,
    }
}

/// Dials; gives the INVITE, if there is one, and the leg.
fn call(scene: &mut Scene) -> (Option<String>, LegId) {
    let dial = to_customer(scene);
    let leg = dial.leg;
    (scene.tell(SipCommand::Dial(Box::new(dial))).into_iter().next(), leg)
}

/// Answers an INVITE as a provider does, with a tag.
fn says(scene: &mut Scene, invite: &str, status: &str, extra: &str, body: &str) -> Vec<String> {
    let to = header(invite, "To").unwrap();
    let tagged = invite.replace(&format!("To: {to}"), &format!("To: {to};tag=gw"));
    scene.reply(&tagged, status, &format!("{CONTACT}{extra}"), body)
}

fn invites(sent: Vec<String>) -> Vec<String> {
    sent.into_iter().filter(|text| text.starts_with("INVITE ")).collect()
}

/// The last word about a dialled leg.
fn outcome(events: &[SipEvent]) -> Option<RingOutcome> {
    events.iter().find_map(|event| match event {
        SipEvent::Unanswered { outcome, .. } => Some(*outcome),
        _ => None,
    })
}

#[test]
fn an_invite_says_the_number_and_who_calls_as_the_trunk_wants_it() {
    let mut scene = working_house(&[ONE], |trunk| trunk.label = Some("Магазин".to_owned()));
    let (invite, _) = call(&mut scene);
    let invite = invite.unwrap();
    assert!(invite.starts_with("INVITE sip:+79161112233@192.0.2.1:5060 SIP/2.0\r\n"), "{invite}");
    let identity = "\"Магазин\" <sip:+78003334455@192.0.2.1:5060>";
    assert!(header(&invite, "From").unwrap().starts_with(&format!("{identity};tag=")));
    assert_eq!(header(&invite, "P-Asserted-Identity").as_deref(), Some(identity));
    assert!(invite.contains("m=audio 20000"));
}

/// RFC 3665 §3.1, seen from Alice's side.
#[test]
fn a_customer_rings_picks_up_and_hangs_up() {
    let mut scene = working_house(&[ONE], |_| {});
    let (invite, leg) = call(&mut scene);
    let invite = invite.unwrap();
    says(&mut scene, &invite, "100 Trying", "", "");
    assert_eq!(scene.events(), []);
    says(&mut scene, &invite, "180 Ringing", "", "");
    assert_eq!(scene.events(), [SipEvent::Ringing { leg }]);
    let ack = says(&mut scene, &invite, "200 OK", SDP, OFFER);
    assert!(ack[0].starts_with("ACK sip:gateway@192.0.2.9 "), "{ack:?}");
    assert_eq!(scene.events().last(), Some(&SipEvent::Answered { leg }));
    let bye = scene.tell(SipCommand::Hangup { leg });
    assert!(bye[0].starts_with("BYE sip:gateway@192.0.2.9 "));
}

#[test]
fn early_media_of_the_network_is_not_an_answer() {
    let mut scene = working_house(&[ONE, TWO], |_| {});
    let (invite, leg) = call(&mut scene);
    let invite = invite.unwrap();
    says(&mut scene, &invite, "183 Session Progress", SDP, OFFER);
    assert_eq!(scene.events(), [SipEvent::Ringing { leg }], "neither answered nor agreed");
    says(&mut scene, &invite, "183 Session Progress", SDP, OFFER);
    assert_eq!(invites(wait_heard(&mut scene, 30_000)), [""; 0], "no other trunk");
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::NoAnswer));
}

#[test]
fn what_says_something_of_the_number_is_the_last_word() {
    for (status, outcome_wanted) in [
        ("486 Busy Here", RingOutcome::Busy),
        ("600 Busy Everywhere", RingOutcome::Busy),
        ("603 Decline", RingOutcome::Blocked),
        ("607 Unwanted", RingOutcome::Blocked),
        ("608 Rejected", RingOutcome::Blocked),
        ("404 Not Found", RingOutcome::Unallocated),
        ("484 Address Incomplete", RingOutcome::Unallocated),
        ("302 Moved", RingOutcome::Failed),
        ("488 Not Acceptable Here", RingOutcome::Failed),
    ] {
        let mut scene = working_house(&[ONE, TWO], |_| {});
        let (invite, _) = call(&mut scene);
        let sent = says(&mut scene, &invite.unwrap(), status, "", "");
        assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{status}: {sent:?}");
        assert_eq!(outcome(&scene.events()), Some(outcome_wanted), "{status}");
    }
}

#[test]
fn what_says_nothing_of_the_number_leads_to_the_next_trunk() {
    for status in ["503 No", "500 No", "502 No", "504 No", "408 No", "480 No", "403 Not you"] {
        let mut scene = working_house(&[ONE, TWO], |_| {});
        let (invite, leg) = call(&mut scene);
        let next = invites(says(&mut scene, &invite.unwrap(), status, "", "")).remove(0);
        assert!(next.starts_with("INVITE sip:+79161112233@192.0.2.2:5060 "), "{status}");
        assert_eq!(outcome(&scene.events()), None, "{status}");
        says(&mut scene, &next, "180 Ringing", "", "");
        assert_eq!(scene.events(), [SipEvent::Ringing { leg }]);
        let after = says(&mut scene, &next, status, "", "");
        assert_eq!(invites(after), [""; 0], "{status} after 180");
        assert!(outcome(&scene.events()).is_some(), "{status} after 180");
    }
}

#[test]
fn when_no_trunk_takes_a_call_the_way_is_congested() {
    let mut scene = working_house(&[ONE, TWO], |_| {});
    let (invite, _) = call(&mut scene);
    let next = invites(says(&mut scene, &invite.unwrap(), "503 No", "", "")).remove(0);
    says(&mut scene, &next, "500 No", "", "");
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::Congested));
    let (invite, _) = call(&mut working_house(&[], |_| {}));
    assert_eq!(invite, None);
}

#[test]
fn a_phone_that_is_switched_off_on_all_ways_counts_as_no_answer() {
    let mut scene = working_house(&[ONE, TWO], |_| {});
    let (invite, _) = call(&mut scene);
    let next = invites(says(&mut scene, &invite.unwrap(), "480 Absent", "", "")).remove(0);
    says(&mut scene, &next, "480 Absent", "", "");
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::NoAnswer));
}

#[test]
fn a_silent_server_is_left_for_the_next_one_of_the_same_trunk() {
    let mut scene =
        working_house(&[ONE, TWO], |trunk| trunk.keepalive = crate::config::Period::seconds(0));
    locate(&mut scene, 0, &[ONE, "192.0.2.11:5060"]);
    let (first, leg) = call(&mut scene);
    let repeated = scene.wait(3_999);
    assert_eq!(repeated.len(), 3, "the INVITE went out four times");
    let sent = invites(scene.wait(1).into_iter().map(|(_, text)| text).collect());
    assert!(sent[0].starts_with("INVITE sip:+79161112233@192.0.2.1:5060 "), "{sent:?}");
    assert_ne!(header(&sent[0], "Call-ID"), header(first.as_ref().unwrap(), "Call-ID"));
    assert_eq!(outcome(&scene.events()), None);
    // The first one wakes up: it must not ring on.
    let cancel = says(&mut scene, &first.unwrap(), "180 Ringing", "", "");
    assert!(cancel[0].starts_with("CANCEL "), "{cancel:?}");
    says(&mut scene, &sent[0], "180 Ringing", "", "");
    assert!(scene.events().contains(&SipEvent::Ringing { leg }));
    // The next call does not wait for the silent one again.
    scene.wait(1_000);
    let (next, _) = call(&mut scene);
    says(&mut scene, &next.unwrap(), "503 No", "", "");
    assert_eq!(outcome(&scene.events()), None);
}

#[test]
fn a_server_that_no_way_leads_to_is_left_at_once() {
    let mut scene = working_house(&[ONE, TWO], |_| {});
    call(&mut scene);
    scene.agent.undeliverable(scene.now_ms, ONE.parse().unwrap());
    let next = invites(scene.sent()).remove(0);
    assert!(next.contains("@192.0.2.2:5060 "), "{next}");
    assert_eq!(outcome(&scene.events()), None);
}

#[test]
fn a_trunk_that_asks_for_a_rest_gets_it() {
    let mut scene = working_house(&[ONE, TWO], |_| {});
    let (invite, _) = call(&mut scene);
    let rest = "Retry-After: 60\r\n";
    let next = invites(says(&mut scene, &invite.unwrap(), "503 No", rest, "")).remove(0);
    let told = |scene: &mut Scene| {
        scene.events().into_iter().rev().find_map(|event| match event {
            SipEvent::TrunksChanged { calls_max, .. } => Some(calls_max),
            _ => None,
        })
    };
    assert_eq!(told(&mut scene), Some(30));
    says(&mut scene, &next, "486 Busy", "", "");
    wait_heard(&mut scene, 30_000);
    let (invite, _) = call(&mut scene);
    assert!(invite.unwrap().contains("@192.0.2.2:5060 "), "the other one at once");
    wait_heard(&mut scene, 31_000);
    assert_eq!(told(&mut scene), Some(60));
}

fn with_password(trunk: &mut Trunk) {
    trunk.username = Some("shop".to_owned());
    trunk.password = "secret".parse().ok();
}

const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n1\", algorithm=MD5\r\n\
     Proxy-Authenticate: Digest realm=\"p\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth\"\r\n";

/// RFC 3665 §3.2 with one proxy.
#[test]
fn a_challenged_invite_is_proven_once_with_the_stronger_digest() {
    let mut scene = working_house(&[ONE], with_password);
    let (invite, leg) = call(&mut scene);
    let invite = invite.unwrap();
    let sent = says(&mut scene, &invite, "407 Proxy Authentication Required", CHALLENGE, "");
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("INVITE "), "{sent:?}");
    let proof = header(&sent[1], "Proxy-Authorization").unwrap();
    assert!(proof.contains("SHA-256") && proof.contains("nonce=\"n2\""), "{proof}");
    assert!(proof.contains("uri=\"sip:+79161112233@192.0.2.1:5060\""), "{proof}");
    assert_eq!(header(&sent[1], "CSeq").as_deref(), Some("2 INVITE"));
    for same in ["Call-ID", "From", "To"] {
        assert_eq!(header(&sent[1], same), header(&invite, same), "{same}");
    }
    assert_ne!(header(&sent[1], "Via"), header(&invite, "Via"));
    let reliable = format!("{SDP}Require: 100rel\r\nRSeq: 7\r\n");
    let prack = says(&mut scene, &sent[1], "183 Session Progress", &reliable, OFFER);
    assert_eq!(header(&prack[0], "RAck").as_deref(), Some("7 2 INVITE"));
    let ack = says(&mut scene, &sent[1], "200 OK", SDP, OFFER);
    assert_eq!(header(&ack[0], "CSeq").as_deref(), Some("2 ACK"));
    assert_eq!(scene.events().last(), Some(&SipEvent::Answered { leg }));
    let bye = scene.tell(SipCommand::Hangup { leg });
    assert!(!bye[0].contains("Authorization"));
    assert_eq!(scene.reply(&bye[0], "407 Again", CHALLENGE, ""), [""; 0], "not inside the call");
}

#[test]
fn a_call_with_a_wrong_password_goes_to_the_next_trunk_and_the_first_is_left_alone() {
    let mut scene = working_house(&[ONE, TWO], with_password);
    let (invite, _) = call(&mut scene);
    let sent = says(&mut scene, &invite.unwrap(), "407 Who", CHALLENGE, "");
    let sent = says(&mut scene, &sent[1], "407 Who", CHALLENGE, "");
    let next = invites(sent).remove(0);
    assert!(next.contains("@192.0.2.2:5060 ") && !next.contains("Authorization"), "{next}");
    wait_heard(&mut scene, 200_000);
    let (later, _) = call(&mut scene);
    assert!(later.unwrap().contains("@192.0.2.2:5060 "));
}

#[test]
fn a_trunk_that_took_a_call_with_the_password_gets_no_proof_for_another_realm() {
    let mut scene = working_house(&[ONE, TWO], with_password);
    let (invite, leg) = call(&mut scene);
    let sent = says(&mut scene, &invite.unwrap(), "407 Who", CHALLENGE, "");
    says(&mut scene, &sent[1], "200 OK", SDP, OFFER);
    scene.tell(SipCommand::Hangup { leg });
    wait_heard(&mut scene, 1_000);
    let (invite, _) = call(&mut scene);
    let strange = CHALLENGE.replace("realm=\"p\"", "realm=\"q\"");
    let next = invites(says(&mut scene, &invite.unwrap(), "407 Who", &strange, "")).remove(0);
    assert!(next.contains("@192.0.2.2:5060 ") && !next.contains("Authorization"), "{next}");
    wait_heard(&mut scene, 1_000);
    let (later, _) = call(&mut scene);
    assert!(later.unwrap().contains("@192.0.2.1:5060 "), "a forger can't take a trunk away");
}

#[test]
fn without_a_password_nothing_is_proven() {
    let mut scene = working_house(&[ONE], |_| {});
    let (invite, _) = call(&mut scene);
    let sent = says(&mut scene, &invite.unwrap(), "401 Who", CHALLENGE, "");
    assert_eq!(invites(sent), [""; 0]);
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::Congested));
}

#[test]
fn a_full_trunk_is_passed_over_until_a_call_ends() {
    let mut scene = working_house(&[ONE, TWO], |trunk| trunk.max_calls = 1);
    let (one, leg) = call(&mut scene);
    let one = one.unwrap();
    assert!(one.contains("@192.0.2.1:5060 "));
    let (two, _) = call(&mut scene);
    assert!(two.unwrap().contains("@192.0.2.2:5060 "));
    let (none, _) = call(&mut scene);
    assert_eq!(none, None);
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::Congested));
    says(&mut scene, &one, "200 OK", SDP, OFFER);
    let bye = scene.tell(SipCommand::Hangup { leg });
    scene.reply(&bye[0], "200 OK", "", "");
    wait_heard(&mut scene, 1_000);
    let (again, _) = call(&mut scene);
    assert!(again.unwrap().contains("@192.0.2.1:5060 "));
}

#[test]
fn calls_begin_no_faster_than_the_trunk_allows() {
    let mut scene = working_house(&[ONE], |trunk| trunk.starts_per_second = 4);
    let begin = scene.now_ms;
    let mut starts = Vec::new();
    for _ in 0..12 {
        let (invite, _) = call(&mut scene);
        starts.extend(invite.map(|_| 0));
    }
    let end = begin + 5_000;
    while let Some(due) = scene.agent.next_due_ms().filter(|due| *due <= end) {
        scene.now_ms = due;
        scene.agent.tick(due);
        let fresh: Vec<String> = invites(answer_options(&mut scene));
        for invite in fresh {
            starts.push(due - begin);
            says(&mut scene, &invite, "100 Trying", "", "");
        }
    }
    starts.dedup();
    let first: Vec<u64> = starts.iter().copied().filter(|at| at % 250 == 0).collect();
    assert_eq!(first[..9], [0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000]);
    let congested =
        scene.events().iter().filter(|e| outcome(std::slice::from_ref(*e)).is_some()).count();
    assert_eq!(congested, 3, "two seconds are waited for at most");
}

#[test]
fn the_plan_s_trunks_are_tried_in_its_order_and_no_others() {
    let mut scene = working_house(&[ONE, TWO], |_| {});
    let dial = to_customer(&mut scene);
    let Destination::Outside { number, .. } = dial.to.clone() else { panic!("not outside") };
    let trunks = vec!["unknown".to_owned(), "two".to_owned()];
    let dial = Dial { to: Destination::Outside { number, trunks }, ..dial };
    let invite = scene.tell(SipCommand::Dial(Box::new(dial))).remove(0);
    assert!(invite.contains("@192.0.2.2:5060 "));
    assert_eq!(invites(says(&mut scene, &invite, "503 No", "", "")), [""; 0]);
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::Congested));
}

#[test]
fn a_call_that_is_withdrawn_while_it_waits_for_its_start_is_never_begun() {
    let mut scene = working_house(&[ONE], |trunk| trunk.starts_per_second = 1);
    call(&mut scene);
    let (invite, leg) = call(&mut scene);
    assert_eq!(invite, None);
    scene.tell(SipCommand::Hangup { leg });
    assert_eq!(outcome(&scene.events()), Some(RingOutcome::Withdrawn));
    let others = scene.wait(3_000).into_iter().map(|(_, text)| text).collect();
    let other =
        invites(others).into_iter().filter(|text| text.contains(&leg.0.simple().to_string()));
    assert_eq!(other.count(), 0);
}
