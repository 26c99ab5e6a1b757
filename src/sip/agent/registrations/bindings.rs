//! Which phones an account has, and for how long.

use super::*;

#[test]
fn a_phone_registers_with_its_password_and_is_reached_where_it_came_from() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "Contact: <sip:anna@10.0.0.5:5060>\r\n");
    assert_eq!(code(&asked), 401);
    let challenge = challenges(&asked).remove(0);
    assert!(challenge.starts_with("Digest realm=\"allo\", nonce=\""), "{challenge}");
    assert!(challenge.ends_with("\", algorithm=MD5, qop=\"auth\""), "{challenge}");
    let ok = house.anna("Contact: <sip:anna@10.0.0.5:5060>;q=0.5;expires=600\r\n");
    assert_eq!(code(&ok), 200);
    assert_eq!(headers(&ok, "Contact"), ["<sip:anna@10.0.0.5:5060>;q=0.5;expires=300"]);
    assert_eq!(headers(&ok, "Date"), ["Tue, 14 Nov 2023 22:13:20 GMT"]);
    let told = house.events();
    let state = PhoneState::Reachable;
    let local = Some("192.0.2.1".parse().unwrap());
    assert_eq!(told, [SipEvent::PhoneChanged { login: login("anna"), state, local }]);
    let contact = house.agent.registrar.contacts(&login("anna")).remove(0);
    assert_eq!(contact.uri.to_string(), "sip:anna@10.0.0.5:5060");
    assert_eq!((contact.flow.remote.to_string().as_str(), contact.q), (PHONE, 500));
    assert!(house.agent.registrar.is_registered_from("192.0.2.10".parse().unwrap()));
}

#[test]
fn a_refresh_changes_nothing_that_is_told_and_unregistering_does() {
    let mut house = House::new();
    house.anna_is_there();
    let contact = format!("Contact: <sip:anna@{PHONE}>");
    assert_eq!(code(&house.anna(&format!("{contact}\r\n"))), 200);
    assert_eq!(house.states(), []);
    let gone = house.anna(&format!("{contact};expires=0\r\n"));
    assert_eq!((code(&gone), headers(&gone, "Contact").len()), (200, 0));
    assert_eq!(house.states(), [PhoneState::Unregistered]);
    house.anna_is_there();
    assert_eq!(code(&house.anna("Contact: *\r\nExpires: 0\r\n")), 200);
    assert_eq!(house.states(), [PhoneState::Unregistered]);
    for wrong in ["Contact: *\r\n", "Contact: *, <sip:a@b>\r\nExpires: 0\r\n"] {
        assert_eq!(code(&house.anna(wrong)), 400, "{wrong}");
    }
}

#[test]
fn expiries_are_kept_within_bounds_and_garbage_means_the_longest() {
    for (extra, granted) in [
        ("Contact: <sip:a@b>\r\n", "300"),
        ("Contact: <sip:a@b>\r\nExpires: 120\r\n", "120"),
        ("Contact: <sip:a@b>;expires=90\r\nExpires: 120\r\n", "90"),
        ("Contact: <sip:a@b>;expires=4294967295\r\n", "300"),
        ("Contact: <sip:a@b>;expires=4294967296\r\n", "300"),
        ("Contact: <sip:a@b>;expires=99999999999999999999999\r\n", "300"),
        ("Contact: <sip:a@b>;expires=soon\r\n", "300"),
        ("Contact: <sip:a@b>\r\nExpires: -1\r\n", "300"),
    ] {
        let ok = House::new().anna(extra);
        let expected = format!("<sip:a@b>;expires={granted}");
        assert_eq!(headers(&ok, "Contact"), [expected.as_str()], "{extra}");
    }
    let brief = House::new().anna("Contact: <sip:a@b>;expires=59\r\n");
    assert_eq!((code(&brief), headers(&brief, "Min-Expires")), (423, vec!["60"]));
}

#[test]
fn what_is_not_refreshed_expires() {
    let mut house = House::new();
    let ok = house.anna("Contact: <sip:anna@192.0.2.10:5070>;expires=60\r\n");
    assert_eq!(code(&ok), 200);
    house.wait(58_000, |_| Some("200 OK"));
    assert_eq!(house.states(), [PhoneState::Reachable]);
    house.wait(3_000, |_| Some("200 OK"));
    assert_eq!(house.states(), [PhoneState::Unregistered]);
    assert!(!house.agent.registrar.is_registered_from("192.0.2.10".parse().unwrap()));
    house.wait(100_000, |_| None);
    assert_eq!((house.agent.next_due_ms(), house.agent.load()), (None, (0, 0)));
}

#[test]
fn a_hundred_contacts_are_refused_and_leave_no_trace() {
    let mut house = House::new();
    let contacts: Vec<String> = (0..100).map(|n| format!("<sip:anna@10.0.0.{n}>")).collect();
    let refused = house.anna(&format!("Contact: {}\r\n", contacts.join(", ")));
    assert_eq!(code(&refused), 403);
    assert_eq!(house.events(), []);
    assert!(house.agent.registrar.is_empty());
    assert_eq!(code(&house.anna(&format!("Contact: <sip:{}@b>\r\n", "a".repeat(600)))), 400);
}

#[test]
fn an_eleventh_phone_takes_the_place_of_the_oldest() {
    let mut house = House::new();
    for port in 0..11 {
        assert_eq!(
            code(&house.anna(&format!("Contact: <sip:a@10.0.0.1:{}>\r\n", 6000 + port))),
            200
        );
    }
    let contacts = house.agent.registrar.contacts(&login("anna"));
    assert_eq!(contacts.len(), 10);
    assert_eq!(contacts[0].uri.to_string(), "sip:a@10.0.0.1:6010", "the newest first");
    assert!(contacts.iter().all(|contact| contact.uri.to_string() != "sip:a@10.0.0.1:6000"));
}

#[test]
fn a_phone_that_comes_back_from_another_address_is_the_same_phone() {
    let mut house = House::new();
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";reg-id=1";
    for address in ["10.0.0.1", "10.0.0.2"] {
        assert_eq!(code(&house.anna(&format!("Contact: <sip:a@{address}>;{instance}\r\n"))), 200);
    }
    let contacts = house.agent.registrar.contacts(&login("anna"));
    let uris: Vec<String> = contacts.iter().map(|contact| contact.uri.to_string()).collect();
    assert_eq!(uris, ["sip:a@10.0.0.2"]);
}

#[test]
fn an_older_register_of_the_same_phone_changes_nothing() {
    let mut house = House::new();
    house.cseq = 10;
    house.anna_is_there();
    house.cseq = 5;
    assert_eq!(code(&house.anna(&format!("Contact: <sip:anna@{PHONE}>;expires=0\r\n"))), 500);
    house.cseq = 5;
    assert_eq!(code(&house.anna("Contact: *\r\nExpires: 0\r\n")), 500);
    assert_eq!(house.agent.registrar.contacts(&login("anna")).len(), 1);
}

#[test]
fn the_path_leads_back() {
    let mut house = House::new();
    let path = "Path: <sip:edge.example.com;lr>, <sip:192.0.2.7;lr>\r\n";
    let extra =
        format!("{path}Require: path\r\nSupported: path\r\nContact: <sip:anna@{PHONE}>\r\n");
    let ok = house.anna(&extra);
    assert_eq!(headers(&ok, "Path"), ["<sip:edge.example.com;lr>, <sip:192.0.2.7;lr>"]);
    let contact = house.agent.registrar.contacts(&login("anna")).remove(0);
    assert_eq!(contact.path.len(), 2);
    let options = house.wait(31_000, |_| None).remove(0);
    assert_eq!(headers(&options, "Route"), ["<sip:edge.example.com;lr>", "<sip:192.0.2.7;lr>"]);
    let unknown = house.ask("REGISTER", "anna", PHONE, "Require: gruu, path\r\n");
    assert_eq!((code(&unknown), headers(&unknown, "Unsupported")), (420, vec!["gruu"]));
}
