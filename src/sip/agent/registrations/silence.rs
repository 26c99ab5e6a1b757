//! Phones that answer, fall silent, and come back.

use super::super::super::border::{Destination, Dial};
use super::*;
use crate::domain::{LegId, LocalMedia};

#[test]
fn a_phone_that_falls_silent_is_unreachable_until_it_answers() {
    let mut house = House::new();
    house.anna_is_there();
    let options = house.wait(30_000, |_| Some("404 Not Found"));
    assert!(options[0].starts_with("OPTIONS sip:anna@192.0.2.10:5070 SIP/2.0"), "{options:?}");
    assert_eq!((options.len(), house.states()), (1, vec![]), "any answer will do");
    house.wait(41_000, |_| None);
    assert_eq!(house.states(), [PhoneState::Unreachable]);
    assert_eq!(house.agent.registrar.contacts(&login("anna")), []);
    house.wait(60_000, |_| None);
    assert_eq!(house.states(), [], "told once");
    house.wait(31_000, |_| Some("200 OK"));
    assert_eq!(house.states(), [PhoneState::Reachable]);
}

#[test]
fn a_silent_phone_that_registers_is_reachable_at_once() {
    let mut house = House::new();
    house.anna_is_there();
    house.wait(70_000, |_| None);
    assert_eq!(house.states(), [PhoneState::Unreachable]);
    house.anna_is_there();
}

#[test]
fn a_phone_that_says_nothing_to_a_call_is_unreachable() {
    let mut house = House::new();
    house.anna_is_there();
    let leg = LegId(uuid::Uuid::from_u128(5));
    let media = LocalMedia { ip: "192.0.2.1".parse().unwrap(), rtp_port: 20_000 };
    let dial = Dial {
        leg,
        to: Destination::Account(login("anna")),
        media,
        from_user: "anonymous".to_owned(),
        display: None,
        auto_answer: false,
        ring_ms: 20_000,
    };
    house.agent.dial(house.now_ms, &dial);
    assert!(house.sent()[0].1.starts_with("INVITE sip:anna@192.0.2.10:5070 SIP/2.0"));
    house.wait(5_000, |text| text.starts_with("OPTIONS").then_some("200 OK"));
    let (state, local) = (PhoneState::Unreachable, Some("192.0.2.1".parse().unwrap()));
    let told = house.events();
    assert!(
        told.contains(&SipEvent::PhoneChanged { login: login("anna"), state, local }),
        "{told:?}"
    );
}

#[test]
fn the_keep_alives_of_many_phones_are_spread() {
    let names: Vec<String> = (0..60).map(|number| format!("op{number}")).collect();
    let pairs: Vec<(&str, Option<DigestChoice>)> =
        names.iter().map(|name| (name.as_str(), None)).collect();
    let mut house = House::with(accounts(&pairs), DigestChoice::Md5);
    for name in &names {
        let contact = format!("Contact: <sip:{name}@{PHONE}>\r\n");
        assert_eq!(code(&house.register(name, &format!("{name}-secret"), PHONE, &contact)), 200);
    }
    let mut busiest = 0;
    let mut all = 0;
    for _ in 0..31 {
        let sent = house.wait(1_000, |_| Some("200 OK")).len();
        busiest = busiest.max(sent);
        all += sent;
    }
    assert!(all >= 60 && busiest <= 8, "{all} in all, {busiest} in one second");
}

#[test]
fn a_phone_whose_connection_is_gone_is_unreachable() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    let credentials = house.credentials(&asked, "anna", "anna-secret", "REGISTER");
    let extra =
        format!("Authorization: {credentials}\r\nContact: <sip:anna@{PHONE};transport=tcp>\r\n");
    let request = house.request("REGISTER", "anna", PHONE, &extra, "").replace("/UDP", "/TCP");
    let ok = house.send_on(House::flow(PHONE, Link::Tcp(5)), &request);
    assert_eq!(code(&ok[0]), 200);
    let contact = house.agent.registrar.contacts(&login("anna")).remove(0);
    assert_eq!(contact.flow.link, Link::Tcp(5));
    house.agent.link_closed(house.now_ms, Link::Tcp(5));
    assert_eq!(house.states(), [PhoneState::Reachable, PhoneState::Unreachable]);
    assert_eq!(house.wait(120_000, |_| None), [] as [String; 0], "nothing is sent there");
}
