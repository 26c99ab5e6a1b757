//! Who knows the password: phones, guessers, operators who call.

use super::super::super::auth::{guard, nonce};
use super::super::super::border::{RefuseStatus, SipCommand};
use super::*;
use crate::domain::LegId;

#[test]
fn nobody_registers_in_anothers_name() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    let credentials = house.credentials(&asked, "boris", "boris-secret", "REGISTER");
    let extra = format!("Authorization: {credentials}\r\nContact: <sip:b@{PHONE}>\r\n");
    assert_eq!(code(&house.ask("REGISTER", "anna", PHONE, &extra)), 403);
    assert!(house.agent.registrar.is_empty());
}

#[test]
fn a_phone_is_asked_in_each_way_that_its_account_wants() {
    let both = accounts(&[
        ("anna", Some(DigestChoice::Both)),
        ("boris", Some(DigestChoice::Sha256)),
        ("vera", None),
    ]);
    let mut house = House::with(both, DigestChoice::Md5);
    for (who, algorithms) in
        [("anna", &["SHA-256", "MD5"][..]), ("boris", &["SHA-256"]), ("vera", &["MD5"])]
    {
        let asked = house.ask("REGISTER", who, PHONE, "");
        let named: Vec<String> =
            challenges(&asked).iter().map(|challenge| field(challenge, "algorithm")).collect();
        assert_eq!(named, algorithms);
        let ok = house.try_password(&asked, who, &format!("{who}-secret"), PHONE, "");
        assert_eq!(code(&ok), 200, "{who}");
    }
    // A weaker hash than was asked for is none.
    let asked = house.ask("REGISTER", "boris", PHONE, "");
    let nonce = field(&challenges(&asked)[0], "nonce");
    let weak =
        credentials_of(Algorithm::Md5, "boris", "boris-secret", &nonce, 1, "REGISTER", "sip:allo");
    assert_eq!(
        code(&house.ask("REGISTER", "boris", PHONE, &format!("Authorization: {weak}\r\n"))),
        401
    );
}

#[test]
fn a_nonce_serves_many_times_but_no_count_twice() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    let credentials = house.credentials(&asked, "anna", "anna-secret", "REGISTER");
    let extra = format!("Authorization: {credentials}\r\nContact: <sip:a@b>\r\n");
    let request = house.request("REGISTER", "anna", PHONE, &extra, "");
    let flow = House::flow(PHONE, Link::Udp(0));
    let ok = house.send_on(flow, &request);
    assert_eq!(code(&ok[0]), 200);
    assert_eq!(house.send_on(flow, &request), ok, "a repetition gets the same answer");
    let replayed = house.ask("REGISTER", "anna", PHONE, &extra);
    assert_eq!(code(&replayed), 401);
    assert!(challenges(&replayed)[0].ends_with("stale=true"), "{replayed}");
    let next = house.try_password(&asked, "anna", "anna-secret", PHONE, "");
    assert_eq!(code(&next), 200);
}

#[test]
fn an_old_nonce_is_stale_and_a_foreign_one_too() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    house.now_ms += nonce::LIFETIME_MS;
    let stale = house.try_password(&asked, "anna", "anna-secret", PHONE, "");
    assert!(challenges(&stale)[0].ends_with("stale=true"), "{stale}");
    assert_eq!(code(&house.try_password(&stale, "anna", "anna-secret", PHONE, "")), 200);
    let elsewhere = house.ask("REGISTER", "anna", "192.0.2.99:5060", "");
    let stolen = house.try_password(&elsewhere, "anna", "anna-secret", PHONE, "");
    assert!(challenges(&stolen)[0].ends_with("stale=true"), "{stolen}");
}

#[test]
fn credentials_of_the_old_kind_and_garbage_prove_nothing() {
    for credentials in [
        "Basic YW5uYTphbm5hLXNlY3JldA==",
        "Digest",
        "Digest username=\"anna\"",
        "Digest username=\"anna\", realm=\"allo\", nonce=\"x\", uri=\"sip:allo\", response=\"y\"",
        "Digest username=\"anna\", realm=\"allo\", nonce=\"x\", uri=\"sip:allo\", response=\"y\", \
         qop=auth-int, nc=00000001, cnonce=\"c\"",
        "Digest username=\"anna\", realm=\"other\", nonce=\"x\", uri=\"sip:allo\", \
         response=\"y\", qop=auth, nc=00000001, cnonce=\"c\"",
        "Digest username=\"\", realm=\"\", nonce=\"\", uri=\"\", response=\"\", qop=auth, \
         nc=zzzzzzzz, cnonce=\"\"",
    ] {
        let mut house = House::new();
        let extra = format!("Authorization: {credentials}\r\nContact: <sip:a@b>\r\n");
        assert_eq!(code(&house.ask("REGISTER", "anna", PHONE, &extra)), 401, "{credentials}");
        assert_eq!((house.events(), house.agent.load()), (vec![], (0, 0)));
    }
}

#[test]
fn a_thousand_wrong_passwords_lock_nobody_out() {
    let mut house = House::new();
    let guesser = "192.0.2.66:5060";
    for number in 0..1_000 {
        let answer = house.register("anna", &format!("guess-{number}"), guesser, "");
        assert_eq!(code(&answer), 401);
        house.now_ms += 1;
    }
    // The guesser is not heard any more, even when the guess is right, and can't tell.
    let wrong = house.register("anna", "wrong", guesser, "");
    let right = house.register("anna", "anna-secret", guesser, "Contact: <sip:x@y>\r\n");
    assert_eq!(shown(&wrong, "anna"), shown(&right, "anna"));
    // The owner's phone beside the guesser, others, and soon everybody.
    let contact = "Contact: <sip:anna@192.0.2.66:7000>\r\n";
    assert_eq!(code(&house.register("anna", "anna-secret", "192.0.2.66:7000", contact)), 200);
    assert_eq!(code(&house.register("boris", "boris-secret", PHONE, "")), 200);
    house.now_ms += guard::ENDPOINT.interval_ms;
    assert_eq!(code(&house.register("anna", "anna-secret", guesser, "")), 200);
    assert_eq!(house.agent.load().0, 0);
}

#[test]
fn an_account_that_is_guessed_from_everywhere_stays_its_owners() {
    let mut house = House::new();
    house.anna_is_there();
    let tries = u32::try_from(guard::ACCOUNT.at_once).unwrap() * 3;
    for number in 0..tries {
        let source = SocketAddr::from(([198, 51, u8::try_from(number / 200).unwrap(), 1], 5060));
        let port = u16::try_from(6000 + number).unwrap();
        let source = SocketAddr::new(source.ip(), port).to_string();
        assert_eq!(code(&house.register("anna", "guess", &source, "")), 401);
    }
    let newcomer = "203.0.113.5:5060";
    assert_eq!(code(&house.register("anna", "anna-secret", newcomer, "")), 401, "slowed");
    assert_eq!(code(&house.anna("")), 200, "at home");
    assert_eq!(code(&house.register("anna", "anna-secret", "192.0.2.10:9999", "")), 200);
    house.now_ms += guard::ACCOUNT.interval_ms;
    assert_eq!(code(&house.register("anna", "anna-secret", newcomer, "")), 200);
}

#[test]
fn nobody_learns_which_accounts_there_are() {
    for digest in [None, Some(DigestChoice::Both)] {
        let mut house =
            House::with(accounts(&[("anna", digest), ("boris", digest)]), DigestChoice::Md5);
        house.anna_is_there();
        let from = "192.0.2.66:5060";
        for method in ["REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "FROBNICATE"] {
            let answers = ["anna", "nemo", "1000", "!"].map(|who| {
                let plain = house.ask(method, who, from, "");
                let to_who = house
                    .request(method, "stranger", from, "", "")
                    .replace("sip:100@allo", &format!("sip:{who}@allo"));
                let to_who = house.send_on(House::flow(from, Link::Udp(0)), &to_who).remove(0);
                (shown(&plain, who), shown(&to_who, who))
            });
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{method}: {answers:#?}");
        }
        let wrong = ["anna", "nemo"].map(|who| {
            let answer = house.register(who, "wrong", from, "Contact: <sip:a@b>\r\n");
            shown(&answer, who)
        });
        assert_eq!(wrong[0], wrong[1]);
    }
}

#[test]
fn an_unproven_flood_keeps_nothing() {
    let mut house = House::new();
    for number in 0..10_000 {
        let from = format!("198.51.100.7:{}", 1024 + number);
        house.ask("REGISTER", "anna", &from, "");
    }
    assert_eq!((house.agent.load(), house.agent.next_due_ms()), ((0, 0), None));
}

#[test]
fn an_account_that_is_removed_or_has_a_new_password_loses_its_phones() {
    let mut house = House::new();
    house.anna_is_there();
    let ok = house.register("boris", "boris-secret", PHONE, "Contact: <sip:boris@b>\r\n");
    assert_eq!(code(&ok), 200);
    assert_eq!(house.states(), [PhoneState::Reachable]);
    let mut changed = accounts(&[("boris", None)]);
    changed.insert(login("boris"), Account::new(login("boris"), "allo", "new", None));
    house.accounts.store(Arc::new(changed));
    house.wait(1_001, |_| None);
    assert_eq!(house.states(), [PhoneState::Unregistered, PhoneState::Unregistered]);
    assert_eq!(code(&house.anna("")), 401);
    let contact = "Contact: <sip:boris@b>\r\n";
    assert_eq!(code(&house.register("boris", "new", PHONE, contact)), 200);
    house.events();

    let newer = Account::new(login("boris"), "allo", "newer", None);
    house.accounts.store(Arc::new([(login("boris"), newer)].into()));
    assert_eq!(code(&house.register("boris", "newer", PHONE, contact)), 200);
    house.events();
    house.wait(1_001, |_| None);
    assert_eq!(house.states(), [], "who came with the new password stays");
}

#[test]
fn customers_call_without_a_password_and_operators_prove_theirs_when_asked() {
    let mut house = House::new();
    assert_eq!(house.invite("79161112233", "198.51.100.9:5060", ""), [] as [String; 0]);
    let offer = house.offer().unwrap();
    assert_eq!((offer.account, offer.is_near_phone), (None, false));

    house.anna_is_there();
    house.invite("anna", "192.0.2.10:6000", "");
    let offer = house.offer().unwrap();
    assert_eq!((offer.account, offer.is_near_phone), (None, true));
    let refuse = |leg: LegId| SipCommand::Refuse { leg, status: RefuseStatus::Unauthenticated };
    house.agent.command(house.now_ms, refuse(offer.leg));
    let asked = house.sent().remove(0).1;
    assert_eq!(code(&asked), 407);

    let right = house.credentials(&asked, "anna", "anna-secret", "INVITE");
    house.invite("anna", "192.0.2.10:6000", &format!("Proxy-Authorization: {right}\r\n"));
    let offer = house.events().into_iter().find_map(|event| match event {
        SipEvent::Offered(offer) => Some(*offer),
        _ => None,
    });
    assert_eq!(offer.unwrap().account, Some(login("anna")));

    let wrong = house.credentials(&asked, "anna", "wrong", "INVITE");
    let header = format!("Proxy-Authorization: {wrong}\r\n");
    let refused = house.invite("anna", "192.0.2.10:6000", &header);
    assert_eq!((code(&refused[0]), house.offer()), (407, None));
    let right = house.credentials(&asked, "anna", "anna-secret", "INVITE");
    let header = format!("Proxy-Authorization: {right}\r\n");
    let refused = house.invite("boris", "192.0.2.10:6000", &header);
    assert_eq!((code(&refused[0]), house.offer()), (403, None));
}

#[test]
fn credentials_for_another_house_do_not_hinder_a_customer() {
    let mut house = House::new();
    let header = "Proxy-Authorization: Digest username=\"x\", realm=\"trunk.example.com\", \
                  nonce=\"n\", uri=\"sip:100@allo\", response=\"r\", qop=auth, nc=00000001, \
                  cnonce=\"c\"\r\n";
    assert_eq!(house.invite("79161112233", PHONE, header), [] as [String; 0]);
    assert_eq!(house.offer().unwrap().account, None);
}
