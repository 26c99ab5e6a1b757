//! REFER and Replaces.

use super::super::super::border::TransferTarget;
use super::dialled::{Phone, talk};
use super::*;

fn refer(scene: &mut Scene, phone: &mut Phone, to: &str) -> Vec<String> {
    phone.asks(scene, "REFER", &format!("Refer-To: {to}\r\n"), "")
}

/// Plays a transfer up to its first NOTIFY.
fn accepted(scene: &mut Scene, phone: &mut Phone) -> String {
    assert_eq!(refer(scene, phone, "<sip:202@127.0.0.1>"), [""; 0]);
    let leg = scene.leg();
    let target = TransferTarget::Dialled("202".to_owned());
    assert_eq!(scene.events(), [SipEvent::TransferAsked { leg, target }]);
    let mut sent = scene.tell(SipCommand::AcceptTransfer { leg });
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(codes(&sent[..1]), [202]);
    sent.remove(1)
}

#[test]
fn a_blind_transfer_is_told_from_trying_to_its_end() {
    let (mut scene, mut phone) = talk("");
    let leg = scene.leg();
    let trying = accepted(&mut scene, &mut phone);
    assert!(trying.starts_with("NOTIFY ") && trying.ends_with("\r\n\r\nSIP/2.0 100 Trying\r\n"));
    assert_eq!(header(&trying, "Event").as_deref(), Some("refer;id=1"));
    assert_eq!(header(&trying, "Subscription-State").as_deref(), Some("active;expires=180"));
    assert_eq!(codes(&refer(&mut scene, &mut phone, "<sip:203@127.0.0.1>")), [491]);
    let early = scene.tell(SipCommand::EndTransfer { leg, succeeded: true });
    assert_eq!(early, [""; 0], "the first NOTIFY has no answer yet");
    let done = scene.reply(&trying, "200 OK", "", "");
    assert!(done[0].ends_with("\r\n\r\nSIP/2.0 200 OK\r\n"), "{done:?}");
    let state = header(&done[0], "Subscription-State");
    assert_eq!(state.as_deref(), Some("terminated;reason=noresource"));
    scene.reply(&done[0], "200 OK", "", "");
    assert_eq!(scene.events(), []);
    assert_eq!(refer(&mut scene, &mut phone, "<sip:203@127.0.0.1>"), [""; 0], "the next may come");
}

#[test]
fn a_failed_transfer_leaves_the_call_alone() {
    let (mut scene, mut phone) = talk("");
    let leg = scene.leg();
    let trying = accepted(&mut scene, &mut phone);
    scene.reply(&trying, "481 Who", "", "");
    let failed = scene.tell(SipCommand::EndTransfer { leg, succeeded: false });
    assert!(failed[0].ends_with("SIP/2.0 503 Service Unavailable\r\n"), "{failed:?}");
    scene.reply(&failed[0], "481 Who", "", "");
    assert_eq!(scene.events(), []);
    assert_eq!(codes(&phone.asks(&mut scene, "BYE", "", "")), [200]);
}

#[test]
fn the_end_of_a_transfer_is_told_before_our_bye() {
    let (mut scene, mut phone) = talk("");
    let leg = scene.leg();
    accepted(&mut scene, &mut phone);
    scene.tell(SipCommand::EndTransfer { leg, succeeded: true });
    let sent = scene.tell(SipCommand::Hangup { leg });
    assert!(sent[0].starts_with("NOTIFY ") && sent[1].starts_with("BYE "), "{sent:?}");
    scene.assert_all_forgotten();
}

#[test]
fn a_phone_may_not_want_to_be_told() {
    let (mut scene, mut phone) = talk("");
    let leg = scene.leg();
    let quiet = "Refer-To: <sip:202@a>\r\nRefer-Sub: false\r\nRequire: norefersub\r\n";
    phone.asks(&mut scene, "REFER", quiet, "");
    let sent = scene.tell(SipCommand::AcceptTransfer { leg });
    assert_eq!(codes(&sent), [202]);
    assert_eq!(header(&sent[0], "Refer-Sub").as_deref(), Some("false"));
    assert_eq!(scene.tell(SipCommand::EndTransfer { leg, succeeded: true }), [""; 0]);
}

#[test]
fn a_transfer_may_be_refused() {
    for (status, code) in [
        (RefuseStatus::UnknownNumber, 403),
        (RefuseStatus::Busy, 486),
        (RefuseStatus::Overloaded { retry_after_s: 3 }, 503),
    ] {
        let (mut scene, mut phone) = talk("");
        let leg = scene.leg();
        refer(&mut scene, &mut phone, "<sip:999@127.0.0.1>");
        let sent = scene.tell(SipCommand::RefuseTransfer { leg, status });
        assert_eq!(codes(&sent), [code]);
        assert_eq!(scene.tell(SipCommand::AcceptTransfer { leg }), [""; 0]);
    }
}

#[test]
fn a_phone_that_hangs_up_gets_an_answer_to_its_refer() {
    let (mut scene, mut phone) = talk("");
    refer(&mut scene, &mut phone, "<sip:202@127.0.0.1>");
    assert_eq!(codes(&phone.asks(&mut scene, "BYE", "", "")), [200, 487]);
    scene.events();
    scene.assert_all_forgotten();
}

#[test]
fn a_refer_that_names_nobody_is_refused_and_the_call_goes_on() {
    let (mut scene, mut phone) = talk("");
    for (extra, code) in [
        ("", 400),
        ("Refer-To: <sip:1@a>, <sip:2@a>\r\n", 400),
        ("Refer-To: <sip:1@a>\r\nRefer-To: <sip:2@a>\r\n", 400),
        ("Refer-To: <sip:a>\r\n", 400),
        ("Refer-To: nonsense\r\n", 400),
        ("Refer-To: <sip:1@a;method=BYE>\r\n", 403),
        ("Refer-To: <sip:1@a?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n", 403),
        ("Refer-To: <sip:1@a?Replaces=x>\r\n", 400),
    ] {
        assert_eq!(codes(&phone.asks(&mut scene, "REFER", extra, "")), [code], "{extra}");
    }
    assert_eq!(scene.events(), []);
    assert_eq!(codes(&phone.asks(&mut scene, "OPTIONS", "", "")), [200]);
}

/// A call that a phone makes beside the one that it has.
fn consult(scene: &mut Scene) -> LegId {
    let first = scene.leg.take();
    scene.invite("");
    let second = scene.leg();
    scene.answer();
    scene.ack("");
    scene.events();
    scene.leg = first;
    second
}

#[test]
fn an_attended_transfer_names_the_other_call_from_either_side() {
    let (mut scene, mut phone) = talk("");
    let (leg, second) = (scene.leg(), consult(&mut scene));
    let ours = second.0.simple().to_string();
    for (to_tag, from_tag) in [(&*ours, "p1"), ("p1", &*ours)] {
        let replaces = format!("call-1%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}");
        refer(&mut scene, &mut phone, &format!("<sip:202@127.0.0.1?Replaces={replaces}>"));
        let target = TransferTarget::Leg(second);
        assert_eq!(scene.events(), [SipEvent::TransferAsked { leg, target }]);
        scene.tell(SipCommand::RefuseTransfer { leg, status: RefuseStatus::Failed });
    }
    let stranger = format!("call-1%3Bto-tag%3D{ours}%3Bfrom-tag%3Dp2");
    let sent = refer(&mut scene, &mut phone, &format!("<sip:202@a?Replaces={stranger}>"));
    assert_eq!(codes(&sent), [403]);
}

#[test]
fn an_invite_takes_the_place_of_a_call_that_is_up() {
    let mut scene = Scene::call("");
    let (leg, to) = (scene.leg(), scene.to.clone());
    let ours = leg.0.simple().to_string();
    scene.to = "<sip:100@127.0.0.1>".to_owned();
    let mut offered = |replaces: &str| {
        scene.cseq += 1;
        let invite = scene.request("INVITE", scene.cseq, &format!("Replaces: {replaces}\r\n"), "");
        let invite = invite.replace("Call-ID: call-1", &format!("Call-ID: new-{}", scene.cseq));
        let sent = scene.send(&invite);
        (codes(&sent), scene.take_offer().and_then(|offer| offer.replaces))
    };
    let known = format!("call-1;to-tag={ours};from-tag=p1");
    assert_eq!(offered(&known), (vec![], Some(leg)));
    assert_eq!(offered(&format!("{known};early-only")), (vec![486], None));
    assert_eq!(offered(&format!("call-2;to-tag={ours};from-tag=p1")), (vec![481], None));
    assert_eq!(offered("call-1"), (vec![400], None));
    scene.to = to;
    scene.leg = Some(leg);
    scene.tell(SipCommand::Hangup { leg });
    assert_eq!(ended(&scene.events()), Some((EndedBy::Plan, EndReason::HungUp)));
}
