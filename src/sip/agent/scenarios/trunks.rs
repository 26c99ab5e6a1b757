//! Trunks: registration, what keeps them up, and how the house learns of it.

use std::net::SocketAddr;

use super::super::super::border::{TrunkState, TrunkView};
use super::super::super::trunks::servers::Server;
use super::*;
use crate::config::Trunk;

pub(super) const ONE: &str = "192.0.2.1:5060";
pub(super) const TWO: &str = "192.0.2.2:5060";

/// Trunks at these addresses, called `one` and `two`, that have not been heard yet.
pub(super) fn house(addresses: &[&str], change: impl Fn(&mut Trunk)) -> Scene {
    let trunks = ["one", "two"].iter().zip(addresses).map(|(name, address)| {
        let mut trunk = Trunk::new(name, address.parse().unwrap());
        trunk.caller_id = Some("+78003334455".to_owned());
        change(&mut trunk);
        trunk
    });
    let settings = SipSettings { trunks: trunks.collect(), ..SipSettings::default() };
    let mut scene = Scene::with(settings);
    for (place, address) in addresses.iter().enumerate() {
        if address.parse::<SocketAddr>().is_ok() {
            locate(&mut scene, place, &[address]);
        }
    }
    scene.agent.watch_trunks(scene.now_ms);
    scene
}

/// DNS tells where a trunk is.
pub(super) fn locate(scene: &mut Scene, trunk: usize, addresses: &[&str]) {
    let reached = addresses.iter().map(|address| {
        let remote: SocketAddr = address.parse().unwrap();
        let local = "192.0.2.100:5060".parse().unwrap();
        (Server::equal(remote), Flow { link: Link::Udp(0), remote, local })
    });
    scene.agent.trunk_located(scene.now_ms, trunk, reached.collect());
}

/// Answers all OPTIONS that are out; gives what else was sent.
pub(super) fn answer_options(scene: &mut Scene) -> Vec<String> {
    let (options, others): (Vec<_>, Vec<_>) =
        scene.sent().into_iter().partition(|text| text.starts_with("OPTIONS "));
    for text in options {
        scene.reply(&text, "405 No", "", "");
    }
    others
}

/// Trunks at these addresses that work.
pub(super) fn working_house(addresses: &[&str], change: impl Fn(&mut Trunk)) -> Scene {
    let mut scene = house(addresses, change);
    assert_eq!(answer_options(&mut scene), [""; 0]);
    scene.events();
    scene
}

/// Lets time pass for providers that answer OPTIONS; gives what else was sent.
pub(super) fn wait_heard(scene: &mut Scene, ms: u64) -> Vec<String> {
    let end = scene.now_ms + ms;
    let mut others = Vec::new();
    while let Some(due) = scene.agent.next_due_ms().filter(|due| *due <= end) {
        scene.now_ms = due;
        scene.agent.tick(due);
        others.extend(answer_options(scene));
    }
    scene.now_ms = end;
    others
}

/// What the house was told last of its trunks: calls and starts.
fn told(events: &[SipEvent]) -> Option<(u32, u32)> {
    events.iter().rev().find_map(|event| match event {
        SipEvent::TrunksChanged { calls_max, starts_per_second, .. } => {
            Some((*calls_max, *starts_per_second))
        }
        _ => None,
    })
}

fn view(scene: &mut Scene) -> TrunkView {
    scene.wait(1_000);
    scene.agent.take_trunk_views().unwrap().remove(0)
}

fn registering(trunk: &mut Trunk) {
    trunk.register = true;
    trunk.username = Some("shop".to_owned());
    trunk.password = "secret".parse().ok();
}

const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"sip.example.com\", nonce=\"n1\", qop=\"auth\"\r\n";

/// The REGISTERs among what was sent.
fn registers(sent: Vec<String>) -> Vec<String> {
    sent.into_iter().filter(|text| text.starts_with("REGISTER ")).collect()
}

/// The next REGISTER of a provider that answers OPTIONS, and after how many milliseconds it comes.
fn next_register(scene: &mut Scene) -> (u64, String) {
    let begin = scene.now_ms;
    loop {
        let due = scene.agent.next_due_ms().expect("trunks are always looked after");
        scene.now_ms = due;
        scene.agent.tick(due);
        if let Some(first) = registers(answer_options(scene)).into_iter().next() {
            return (due - begin, first);
        }
        assert!(due - begin < 24 * 3_600_000, "it never comes");
    }
}

/// A trunk that has taken our registration for so many seconds.
fn registered(expires_s: u32) -> (Scene, String) {
    let mut scene = house(&["sip.example.com"], registering);
    locate(&mut scene, 0, &[ONE]);
    let first = registers(answer_options(&mut scene)).remove(0);
    let second = registers(scene.reply(&first, "401 Unauthorized", CHALLENGE, "")).remove(0);
    let contact = header(&second, "Contact").unwrap();
    let granted = format!("Contact: {contact};expires={expires_s}\r\n");
    scene.reply(&second, "200 OK", &granted, "");
    (scene, second)
}

/// RFC 3665 §2.1, as the one who registers.
#[test]
fn a_trunk_is_registered_at_with_a_digest_and_works_from_then_on() {
    let mut scene = house(&["sip.example.com"], registering);
    locate(&mut scene, 0, &[ONE]);
    let first = registers(answer_options(&mut scene)).remove(0);
    assert!(first.starts_with("REGISTER sip:sip.example.com SIP/2.0\r\n"), "{first}");
    assert!(!first.contains("Authorization"));
    assert_eq!(header(&first, "To").as_deref(), Some("<sip:shop@sip.example.com>"));
    let contact = "<sip:+78003334455@192.0.2.100:5060>";
    assert_eq!(header(&first, "Contact").as_deref(), Some(contact), "calls come to our number");
    assert_eq!(told(&scene.events()), Some((0, 0)), "not yet");

    let second = registers(scene.reply(&first, "401 Unauthorized", CHALLENGE, "")).remove(0);
    assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(header(&second, "CSeq").as_deref(), Some("2 REGISTER"));
    let proof = header(&second, "Authorization").unwrap();
    assert!(proof.contains("username=\"shop\"") && proof.contains("uri=\"sip:sip.example.com\""));
    assert!(!second.contains("secret"));
    assert_eq!(scene.reply(&second, "200 OK", "Expires: 600\r\n", ""), [""; 0]);
    assert_eq!(told(&scene.events()), Some((30, 5)));
    let view = view(&mut scene);
    assert_eq!((view.state, view.is_registered), (TrunkState::Up, true));
}

#[test]
fn a_registration_is_refreshed_before_it_ends_for_as_long_as_was_granted() {
    let (mut scene, _) = registered(60);
    let (after_ms, refresh) = next_register(&mut scene);
    assert!((42_000..50_000).contains(&after_ms), "after {after_ms} ms");
    assert_eq!(header(&refresh, "CSeq").as_deref(), Some("3 REGISTER"));
}

#[test]
fn a_wrong_password_is_tried_once_and_then_left_alone_for_minutes() {
    let mut scene = house(&[ONE], registering);
    let first = registers(answer_options(&mut scene)).remove(0);
    let second = registers(scene.reply(&first, "401 Unauthorized", CHALLENGE, "")).remove(0);
    assert_eq!(scene.reply(&second, "401 Unauthorized", CHALLENGE, ""), [""; 0]);
    scene.agent.tick(scene.now_ms);
    assert_eq!(scene.agent.take_trunk_views().unwrap()[0].state, TrunkState::Down);
    let (after_ms, _) = next_register(&mut scene);
    assert!((150_000..=301_000).contains(&after_ms), "after {after_ms} ms");
}

#[test]
fn a_stale_nonce_is_answered_once_more_and_a_strange_realm_never() {
    let mut scene = house(&[ONE], registering);
    let first = registers(answer_options(&mut scene)).remove(0);
    let second = registers(scene.reply(&first, "401 Unauthorized", CHALLENGE, "")).remove(0);
    let stale = CHALLENGE.replace("\"n1\"", "\"n2\", stale=true");
    let third = registers(scene.reply(&second, "401 Unauthorized", &stale, "")).remove(0);
    assert!(third.contains("nonce=\"n2\""));
    let strange = stale.replace("sip.example.com", "elsewhere");
    assert_eq!(scene.reply(&third, "401 Unauthorized", &strange, ""), [""; 0]);
}

#[test]
fn a_realm_in_which_the_password_was_never_taken_does_not_get_it() {
    let (mut scene, _) = registered(60);
    let strange = CHALLENGE.replace("sip.example.com", "elsewhere");
    let (_, refresh) = next_register(&mut scene);
    assert_eq!(registers(scene.reply(&refresh, "401 Unauthorized", &strange, "")), [""; 0]);
    let (after_ms, again) = next_register(&mut scene);
    assert!(after_ms <= 3_000, "whoever that was, the provider is asked again soon");
    let both = format!("{strange}{CHALLENGE}");
    let proven = registers(scene.reply(&again, "401 Unauthorized", &both, "")).remove(0);
    let proof = header(&proven, "Authorization").unwrap();
    assert!(proof.contains("realm=\"sip.example.com\""), "{proof}");
}

#[test]
fn a_realm_that_the_settings_name_is_the_only_one_from_the_first_challenge_on() {
    let mut scene = house(&[ONE], |trunk| {
        registering(trunk);
        trunk.realm = Some("sip.example.com".to_owned());
    });
    let first = registers(answer_options(&mut scene)).remove(0);
    let strange = CHALLENGE.replace("sip.example.com", "elsewhere");
    assert_eq!(registers(scene.reply(&first, "401 Unauthorized", &strange, "")), [""; 0]);
    let (_, again) = next_register(&mut scene);
    let proven = registers(scene.reply(&again, "401 Unauthorized", CHALLENGE, ""));
    assert!(header(&proven[0], "Authorization").is_some());
}

#[test]
fn an_interval_that_is_too_brief_is_asked_for_anew() {
    let mut scene = house(&[ONE], registering);
    let first = registers(answer_options(&mut scene)).remove(0);
    assert_eq!(header(&first, "Expires").as_deref(), Some("600"));
    scene.reply(&first, "423 Interval Too Brief", "Min-Expires: 1800\r\n", "");
    let second = registers(wait_heard(&mut scene, 1_000)).remove(0);
    assert_eq!(header(&second, "Expires").as_deref(), Some("1800"));
}

#[test]
fn a_registration_that_is_lost_is_regained() {
    let (mut scene, _) = registered(60);
    scene.events();
    let (_, lost) = next_register(&mut scene);
    scene.reply(&lost, "500 Oops", "", "");
    let (after_ms, again) = next_register(&mut scene);
    assert!(after_ms <= 3_000, "while the old one still holds");
    scene.reply(&again, "500 Oops", "", "");
    assert_eq!(told(&scene.events()), None);
    while told(&scene.events()) != Some((0, 0)) {
        let (_, next) = next_register(&mut scene);
        scene.reply(&next, "500 Oops", "", "");
    }
    let (_, next) = next_register(&mut scene);
    scene.reply(&next, "200 OK", "Expires: 60\r\n", "");
    assert_eq!(told(&scene.events()), Some((30, 5)));
}

#[test]
fn a_provider_that_hears_all_but_register_is_not_pestered() {
    let mut scene = house(&[ONE], registering);
    answer_options(&mut scene);
    let sent = registers(wait_heard(&mut scene, 3_600_000));
    let mut asked: Vec<String> = sent.iter().filter_map(|text| header(text, "CSeq")).collect();
    asked.dedup();
    assert!((10..40).contains(&asked.len()), "{} times in an hour", asked.len());
}

#[test]
fn a_server_that_stops_takes_its_registration_back() {
    let (mut scene, _) = registered(600);
    scene.events();
    scene.agent.leave_trunks(scene.now_ms);
    let leaving = registers(scene.sent()).remove(0);
    assert_eq!(header(&leaving, "Expires").as_deref(), Some("0"));
    let proven = registers(scene.reply(&leaving, "401 Unauthorized", CHALLENGE, "")).remove(0);
    assert_eq!(header(&proven, "Expires").as_deref(), Some("0"));
    assert!(view(&mut scene).is_registered);
    scene.reply(&proven, "200 OK", "", "");
    assert!(!view(&mut scene).is_registered);
    assert_eq!(registers(wait_heard(&mut scene, 3_600_000)), [""; 0], "for good");
}

#[test]
fn a_trunk_that_is_down_for_an_hour_is_no_storm_and_comes_back_by_itself() {
    let (mut scene, _) = registered(600);
    scene.events();
    let sent = scene.wait(3_600_000);
    assert_eq!(told(&scene.events()), Some((0, 0)));
    let requests = sent.iter().filter(|(_, text)| text.starts_with("REGISTER ")).count();
    assert!(requests < 20, "{requests} REGISTERs");
    // One OPTIONS each half minute, and its repetitions within its 32 s.
    let probes = sent.iter().filter(|(_, text)| text.starts_with("OPTIONS ")).count();
    assert!(probes < 120 * 12, "{probes} OPTIONS");
    let back = registers(wait_heard(&mut scene, 35_000)).pop().expect("it asks soon");
    scene.reply(&back, "200 OK", "Expires: 600\r\n", "");
    assert_eq!(told(&scene.events()), Some((30, 5)));
}

#[test]
fn any_answer_to_options_shows_that_a_trunk_is_there() {
    let mut scene = house(&[ONE, TWO], |_| {});
    assert_eq!(told(&scene.events()), Some((0, 0)));
    let options = scene.sent();
    scene.reply(&options[0], "404 Who", "", "");
    assert_eq!(told(&scene.events()), Some((30, 5)));
    scene.reply(&options[1], "200 OK", "", "");
    assert_eq!(told(&scene.events()), Some((60, 10)));
    scene.wait(60_000);
    assert_eq!(told(&scene.events()), Some((0, 0)), "both have fallen silent");
    wait_heard(&mut scene, 40_000);
    assert_eq!(told(&scene.events()), Some((60, 10)));
}

#[test]
fn a_trunk_is_believed_when_it_says_who_calls() {
    let mut scene = house(&["127.0.0.1:4000"], |_| {});
    scene.sent();
    let asserted = "P-Asserted-Identity: <sip:+79161112233@provider>\r\n";
    scene.next_with_sdp("INVITE", asserted, OFFER);
    let caller = scene.events().into_iter().find_map(|event| match event {
        SipEvent::Offered(offer) => Some(offer.caller),
        _ => None,
    });
    assert_eq!(caller.unwrap().full(), "+79161112233");
}
