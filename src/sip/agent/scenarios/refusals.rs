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
