//! What is not served, and the words that it is refused with.

use super::*;

#[test]
fn what_can_not_be_served_is_refused_with_the_right_words() {
    let sdp = "Content-Type: application/sdp\r\n";
    for (method, extra, body, code, words) in [
        ("FROBNICATE", "", "", 501, "Allow: INVITE"),
        ("MESSAGE", "", "", 405, "Allow: INVITE"),
        ("REGISTER", "", "", 401, "WWW-Authenticate: Digest"),
        ("REFER", "Refer-To: <sip:1@a>\r\n", "", 403, ""),
        ("SUBSCRIBE", "Event: presence\r\n", "", 489, "Allow-Events: dialog"),
        ("BYE", "", "", 481, ""),
        ("OPTIONS", "", "", 200, "Accept: application/sdp"),
        ("OPTIONS", "Require: a\r\nRequire: timer, b\r\n", "", 420, "Unsupported: a, b"),
        ("OPTIONS", "Proxy-Require: x\r\n", "", 200, "Supported: 100rel, timer"),
        ("INVITE", "Content-Type: text/plain\r\n", "hi", 415, "Accept: application/sdp"),
        ("INVITE", "Accept: text/plain\r\n", "", 406, "Accept: application/sdp"),
        ("INVITE", sdp, "v=0\r\nm=audio 9 RTP/AVP 18\r\n", 488, "Warning: 305"),
        ("INVITE", sdp, "nonsense", 488, "Warning: 399"),
        ("INVITE", "Session-Expires: x\r\n", "", 400, ""),
    ] {
        let mut scene = Scene::new();
        let sent = scene.next(method, extra, body);
        assert_eq!(codes(&sent), [code], "{method} {extra}");
        assert!(sent[0].contains(words), "{}", sent[0]);
        assert_eq!(scene.events(), []);
    }
    let mut scene = Scene::new();
    let text = scene.request("OPTIONS", 1, "", "").replace("sip:100@127.0.0.1 SIP", "tel:100 SIP");
    assert_eq!(codes(&scene.send(&text)), [416]);
}

#[test]
fn refusals_of_the_app_reach_the_caller() {
    for (status, code, reason) in [
        (RefuseStatus::UnknownNumber, 404, EndReason::UnknownNumber),
        (RefuseStatus::Busy, 486, EndReason::Busy),
        (RefuseStatus::Overloaded { retry_after_s: 9 }, 503, EndReason::Busy),
        (RefuseStatus::Failed, 500, EndReason::Failed),
    ] {
        let mut scene = Scene::new();
        scene.invite("");
        let leg = scene.leg();
        let sent = scene.tell(SipCommand::Refuse { leg, status });
        assert_eq!(codes(&sent), [code]);
        assert_eq!(header(&sent[0], "Retry-After").is_some(), code == 503);
        assert_eq!(scene.agent.outbox().refused, u64::from(code == 503));
        assert_eq!(ended(&scene.events()).map(|(_, reason)| reason), Some(reason));
        scene.assert_all_forgotten();
    }
}

#[test]
fn a_draining_or_full_server_asks_to_come_later() {
    let mut scene = Scene::new();
    scene.agent.start_drain();
    let sent = scene.invite("");
    assert_eq!(codes(&sent), [503]);
    assert!(header(&sent[0], "Retry-After").is_some());

    let limits = Limits { legs_max: 0, ..Limits::default() };
    let mut scene = Scene::with(SipSettings { limits, ..SipSettings::default() });
    assert_eq!(codes(&scene.invite("")), [503]);

    let limits = Limits { transactions_max: 0, ..Limits::default() };
    let mut scene = Scene::with(SipSettings { limits, ..SipSettings::default() });
    assert_eq!(codes(&scene.invite("")), [503]);
    assert_eq!(scene.agent.load(), (0, 0));
}

#[test]
fn what_is_refused_for_now_leaves_nothing_behind() {
    let mut scene = Scene::new();
    scene.agent.start_drain();
    assert_eq!(codes(&scene.invite("")), [503]);
    assert_eq!(scene.agent.load(), (0, 0));
}

#[test]
fn long_answers_are_not_kept() {
    for (length, kept) in [(4_000, 1), (20_000, 0)] {
        let mut scene = Scene::new();
        let long = format!("Via: SIP/2.0/UDP x;branch={}\r\n", "x".repeat(length));
        for method in ["OPTIONS", "INVITE"] {
            let refused = format!("{long}Require: x\r\n");
            assert_eq!(codes(&scene.next(method, &refused, "")), [420]);
        }
        assert_eq!(scene.agent.load(), (0, 2 * kept));
    }
}

#[test]
fn an_invite_that_is_repeated_in_the_rush_keeps_its_call() {
    let mut scene = Scene::new();
    scene.invite("");
    let flow = Flow {
        link: Link::Udp(0),
        remote: PHONE.parse().unwrap(),
        local: "127.0.0.1:5060".parse().unwrap(),
    };
    let mut refuse = |text: &str| {
        let parsed = parse(&Bytes::copy_from_slice(text.as_bytes()));
        scene.agent.refuse_new(scene.now_ms, flow, parsed);
        codes(&scene.sent())
    };
    let mine = scene_request("INVITE", "z9hG4bK-1-INVITE", "call-1");
    assert_eq!(refuse(&mine), [0; 0], "it is the same INVITE");
    let another = scene_request("INVITE", "z9hG4bK-x", "call-2");
    assert_eq!(refuse(&another), [503]);
    let question = scene_request("OPTIONS", "z9hG4bK-y", "call-3");
    assert_eq!(refuse(&question), [200]);
}

/// A request outside of a dialog.
fn scene_request(method: &str, branch: &str, call: &str) -> String {
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch={branch}\r\n\
         From: <sip:anna@phone>;tag=p1\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: {call}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:anna@{PHONE}>\r\nContent-Length: 0\r\n\r\n"
    )
}
