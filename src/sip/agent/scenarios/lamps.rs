//! SUBSCRIBE to lamps, and the NOTIFYs that come of it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::super::super::auth::digest::Algorithm;
use super::super::super::border::LampState;
use super::super::registrations::{accounts, challenges, credentials_of, field};
use super::*;

const DIALOG: &str = "Event: dialog\r\nAccept: application/dialog-info+xml\r\n";

/// A phone of anna's account, which is known.
fn phone() -> Scene {
    phone_within(Limits::default())
}

fn phone_within(limits: Limits) -> Scene {
    let accounts = Arc::new(ArcSwap::from_pointee(accounts(&[("anna", None)])));
    Scene::with(SipSettings { accounts, limits, ..SipSettings::default() })
}

/// Subscribes to the lamp 100, with the password of anna's account if it is asked for.
fn subscribe(scene: &mut Scene, password: &str, extra: &str) -> Vec<String> {
    let sent = scene.next("SUBSCRIBE", extra, "");
    let Some(challenge) = challenges(&sent[0]).pop() else { return sent };
    let (nonce, uri) = (field(&challenge, "nonce"), "sip:100@127.0.0.1");
    let credentials = credentials_of(Algorithm::Md5, "anna", password, &nonce, 1, "SUBSCRIBE", uri);
    scene.next("SUBSCRIBE", &format!("{extra}Authorization: {credentials}\r\n"), "")
}

/// Subscribes to the lamp 100; gives the first NOTIFY.
fn watch(scene: &mut Scene, extra: &str) -> String {
    let mut sent = subscribe(scene, "anna-secret", &format!("{DIALOG}{extra}"));
    assert_eq!(codes(&sent[..1]), [200], "{sent:?}");
    scene.to = header(&sent[0], "To").unwrap();
    assert_eq!(sent.len(), 2, "{sent:?}");
    sent.remove(1)
}

fn set(scene: &mut Scene, lamp: &str, state: LampState) -> Vec<String> {
    let to = scene.to.clone();
    let sent = scene.tell(SipCommand::SetLamp { lamp: lamp.to_owned(), state });
    scene.to = to;
    sent
}

fn shown(notify: &str) -> (u32, &str) {
    let between = |begin: &str, end: &str| {
        let rest = notify.split_once(begin).unwrap().1;
        rest.split_once(end).unwrap().0
    };
    let version = between("urn:ietf:params:xml:ns:dialog-info\" version=\"", "\"");
    (version.parse().unwrap(), between("<state>", "</state>"))
}

#[test]
fn a_lamp_shows_its_state_at_once_and_whenever_it_changes() {
    let mut scene = phone();
    let first = watch(&mut scene, "");
    assert!(first.starts_with("NOTIFY sip:anna@127.0.0.1:4000 SIP/2.0\r\n"), "{first}");
    assert_eq!(shown(&first), (0, "terminated"));
    assert_eq!(header(&first, "Event").as_deref(), Some("dialog"));
    assert_eq!(header(&first, "Subscription-State").as_deref(), Some("active;expires=3600"));
    scene.reply(&first, "200 OK", "", "");
    assert_eq!(set(&mut scene, "101", LampState::On), [""; 0], "another lamp");
    assert_eq!(set(&mut scene, "100", LampState::Off), [""; 0], "no change");
    let ringing = set(&mut scene, "100", LampState::Ringing);
    assert_eq!(shown(&ringing[0]), (1, "early"));
    scene.reply(&ringing[0], "200 OK", "", "");
    let on = set(&mut scene, "100", LampState::On);
    assert_eq!(shown(&on[0]), (2, "confirmed"));
}

#[test]
fn a_lamp_that_was_set_before_is_shown_to_newcomers() {
    let mut scene = phone();
    set(&mut scene, "100", LampState::On);
    assert_eq!(shown(&watch(&mut scene, "")), (0, "confirmed"));
}

#[test]
fn notifies_do_not_overtake_each_other() {
    let mut scene = phone();
    let first = watch(&mut scene, "");
    assert_eq!(set(&mut scene, "100", LampState::Ringing), [""; 0]);
    assert_eq!(set(&mut scene, "100", LampState::On), [""; 0]);
    let again = scene.wait(500);
    assert_eq!(again, [(500, first.clone())], "resent until it is answered");
    let next = scene.reply(&first, "200 OK", "", "");
    assert_eq!(next.len(), 1);
    assert_eq!(shown(&next[0]), (1, "confirmed"), "only the newest state is told");
}

#[test]
fn a_phone_that_forgot_its_subscription_is_left_alone() {
    for status in ["481 Who", "404 Who", "500 Oh"] {
        let mut scene = phone();
        let first = watch(&mut scene, "");
        scene.reply(&first, status, "", "");
        assert_eq!(set(&mut scene, "100", LampState::On), [""; 0], "{status}");
        let again = format!("{DIALOG}Expires: 600\r\n");
        assert_eq!(codes(&scene.next("SUBSCRIBE", &again, "")), [481]);
    }
    let mut scene = phone();
    watch(&mut scene, "");
    scene.wait(40_000);
    assert_eq!(set(&mut scene, "100", LampState::On), [""; 0], "it never answered");
}

#[test]
fn a_subscription_is_refreshed_ended_or_expires() {
    let mut scene = phone();
    let first = watch(&mut scene, "Expires: 600\r\n");
    scene.reply(&first, "200 OK", "", "");
    scene.wait(500_000);
    let again = watch(&mut scene, "Expires: 600\r\n");
    assert_eq!(shown(&again), (1, "terminated"));
    scene.reply(&again, "200 OK", "", "");
    scene.wait(500_000);
    let last = watch(&mut scene, "Expires: 0\r\n");
    let over = Some("terminated;reason=timeout");
    assert_eq!(header(&last, "Subscription-State").as_deref(), over);
    scene.reply(&last, "200 OK", "", "");
    assert_eq!(codes(&scene.next("SUBSCRIBE", DIALOG, "")), [481]);

    let mut scene = phone();
    let first = watch(&mut scene, "Expires: 60\r\n");
    scene.reply(&first, "200 OK", "", "");
    let sent = scene.wait(60_000);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(header(&sent[0].1, "Subscription-State").as_deref(), over);
    scene.reply(&sent[0].1, "200 OK", "", "");
    assert_eq!(set(&mut scene, "100", LampState::On), [""; 0]);
}

#[test]
fn what_is_no_subscription_of_ours_is_refused() {
    for (extra, code) in [
        ("", 489),
        ("Event: presence\r\n", 489),
        ("Event: dialog\r\nAccept: application/pidf+xml\r\n", 406),
        ("Event: dialog\r\nExpires: 5\r\n", 423),
        ("Event: dialog\r\nExpires: soon\r\n", 400),
    ] {
        let mut scene = phone();
        assert_eq!(codes(&scene.next("SUBSCRIBE", extra, "")), [code], "{extra}");
        scene.assert_all_forgotten();
    }
    let mut scene = phone();
    assert_eq!(codes(&subscribe(&mut scene, "wrong", DIALOG)), [401], "a stranger");
    let mut scene = phone_within(Limits { subscriptions_per_account_max: 0, ..Limits::default() });
    assert_eq!(codes(&subscribe(&mut scene, "anna-secret", DIALOG)), [503]);
}

#[test]
fn a_subscription_is_proven_anew_from_another_address() {
    let mut scene = phone();
    watch(&mut scene, "");
    scene.cseq += 1;
    let refresh = scene.request("SUBSCRIBE", scene.cseq, &format!("{DIALOG}Expires: 0\r\n"), "");
    let elsewhere = Flow {
        link: Link::Udp(0),
        remote: "203.0.113.66:5060".parse().unwrap(),
        local: "127.0.0.1:5060".parse().unwrap(),
    };
    let parsed = parse(&Bytes::from(refresh.clone()));
    scene.agent.receive(scene.now_ms, elsewhere, parsed);
    assert_eq!(codes(&scene.sent()), [401]);
    let at_home = refresh.replace("z9hG4bK-", "z9hG4bK-home-");
    assert_eq!(codes(&scene.send(&at_home)[..1]), [200]);
}
