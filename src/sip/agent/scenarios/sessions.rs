//! Session timers (RFC 4028).

use super::*;

#[test]
fn session_intervals_that_are_too_short_are_refused() {
    let mut scene = Scene::new();
    let refused = scene.invite("Supported: timer\r\nSession-Expires: 30\r\n");
    assert_eq!(codes(&refused), [422]);
    assert_eq!(header(&refused[0], "Min-SE").as_deref(), Some("90"));
}

#[test]
fn a_session_that_its_caller_does_not_refresh_ends() {
    let mut scene = Scene::new();
    scene.invite("Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n");
    let ok = scene.answer();
    assert_eq!(header(&ok[0], "Session-Expires").as_deref(), Some("120;refresher=uac"));
    assert_eq!(header(&ok[0], "Require").as_deref(), Some("timer"));
    scene.ack("");
    scene.wait(60_000);
    let update = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
    assert_eq!(codes(&scene.next("UPDATE", update, "")), [200]);
    scene.events();
    // 120 s less a third, but at most 32 s.
    let sent = scene.wait(88_000);
    assert!(sent[0].0 == 88_000 && sent[0].1.starts_with("BYE "), "{sent:?}");
    assert_eq!(ended(&scene.events()), Some((EndedBy::Network, EndReason::SessionExpired)));
}

#[test]
fn we_refresh_by_update_where_the_caller_knows_it() {
    let mut scene = Scene::new();
    scene.invite("Allow: INVITE, UPDATE\r\nSession-Expires: 100;refresher=uas\r\n");
    let ok = scene.answer();
    assert_eq!(header(&ok[0], "Session-Expires").as_deref(), Some("100;refresher=uas"));
    scene.ack("");
    scene.events();
    for _ in 0..3 {
        let sent = scene.wait(50_000);
        let update = sent.last().unwrap();
        assert!(update.0 == 50_000 && update.1.starts_with("UPDATE "), "{sent:?}");
        scene.reply(&update.1, "200 OK", "Session-Expires: 100;refresher=uac\r\n", "");
    }
    assert_eq!(scene.events(), []);
}

#[test]
fn we_refresh_by_re_invite_where_the_caller_knows_no_update() {
    let mut scene = Scene::new();
    scene.invite("Allow: INVITE, UPDATE\r\nSession-Expires: 100;refresher=uas\r\n");
    scene.answer();
    scene.ack("");
    scene.events();
    let update = scene.wait(50_000).pop().unwrap().1;
    let invite = scene.reply(&update, "405 Method Not Allowed", "", "");
    assert!(invite[0].starts_with("INVITE ") && invite[0].contains("m=audio"), "{invite:?}");
    assert_eq!(codes(&scene.next_with_sdp("INVITE", "", OFFER)), [491], "glare");
    let kind = "Content-Type: application/sdp\r\n";
    let ack = scene.reply(&invite[0], "200 OK", kind, OFFER);
    assert!(ack[0].starts_with("ACK ") && ack[0].contains("CSeq: 2 ACK"), "{ack:?}");
    let again = scene.reply(&invite[0], "200 OK", kind, OFFER);
    assert!(again[0].starts_with("ACK "), "each repeated 200 is acknowledged");
}

#[test]
fn a_peer_that_lost_the_call_ends_it() {
    let mut scene = Scene::new();
    scene.invite("Allow: UPDATE\r\nSession-Expires: 100;refresher=uas\r\n");
    scene.answer();
    scene.ack("");
    scene.events();
    let update = scene.wait(50_000).pop().unwrap().1;
    let bye = scene.reply(&update, "481 Gone", "", "");
    assert!(bye[0].starts_with("BYE "));
    assert_eq!(ended(&scene.events()), Some((EndedBy::Network, EndReason::SignallingFailed)));
    scene.assert_all_forgotten();
}
