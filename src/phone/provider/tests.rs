//! The network against a caller's phone, an operator's that proves its account, and a player of
//! recordings.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{Codec, Direction, Key};
use crate::media::g711;
use crate::phone::call::{Call, CallOptions, CallReport};
use crate::phone::desk::{Desk, DeskFact, DeskOptions};
use crate::phone::keys::KeyBy;
use crate::phone::listen::tests::shipped;
use crate::phone::rtp::Packet;
use crate::phone::sdp::{Offering, read_answer};
use crate::phone::signalling::{From, finish};
use crate::phone::timeline::PhoneEvent;
use crate::phone::wire::Incoming;

async fn network(otherwise: Script) -> Provider {
    Provider::start(ProviderOptions { otherwise, ..ProviderOptions::default() }).await.unwrap()
}

async fn dial(provider: &Provider, number: &str) -> Call {
    let from = From::Number { user: "+78003334455".into(), display: Some("Алло".into()) };
    Call::dial(CallOptions::new(provider.address(), number, from)).await.unwrap()
}

async fn outcome(provider: &Provider, number: &str) -> CallReport {
    dial(provider, number).await.ended().await
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

#[tokio::test]
async fn fifty_customers_at_once_press_a_key_each_and_hang_up() {
    let script = Script::picks_up(ms(50)).wait(ms(100)).press(key('5')).wait(ms(400)).hang_up();
    let provider = network(script).await;
    let mut calls = Vec::new();
    for n in 0..50 {
        calls.push(dial(&provider, &format!("+791600000{n:02}")).await);
    }
    for mut call in calls {
        let heard = |what: &PhoneEvent| matches!(what, PhoneEvent::KeyHeard { .. });
        let event = call.event(heard).await.unwrap();
        assert_eq!(event.what, PhoneEvent::KeyHeard { key: key('5'), by: KeyBy::Event });
        assert_eq!(call.ended().await.ending(), Some(Ending::ByServer));
    }
    provider.until(|tally| (tally.at_once == 0).then_some(())).await.unwrap();
    let tally = provider.tally();
    let once = (0..50).map(|n| (format!("+791600000{n:02}"), 1));
    assert_eq!(tally.times_by_number(), once.collect::<BTreeMap<_, _>>());
    assert_eq!((tally.up, tally.at_once_max), (0, 50));
    assert!(tally.starts_in_a_second_max() <= 50);
    let first = &tally.calls[0];
    assert_eq!(first.from.as_deref(), Some("+78003334455"));
    assert_eq!(first.display.as_deref(), Some("Алло"));
    assert_eq!(first.ending(), Some(Ending::ByUs));
    assert!(first.talked() >= ms(600) && first.first_audio.is_some());
}

#[tokio::test]
async fn each_number_answers_as_it_was_told_one_call_after_the_other() {
    let provider = network(Script::refuses(404)).await;
    let scripts = [486, 603, 480, 503].map(Script::refuses);
    provider.on_call("+79161112233", scripts).await;
    for code in [486, 603, 480, 503, 503] {
        let report = outcome(&provider, "+79161112233").await;
        assert_eq!(report.final_status(), Some(code));
    }
    assert_eq!(outcome(&provider, "+79169998877").await.final_status(), Some(404));
    assert_eq!(provider.tally().times("+79161112233"), 5);
    assert_eq!(provider.tally().up_max, 0);
}

#[tokio::test]
async fn a_phone_that_rings_is_given_up_and_one_out_of_reach_is_counted_once() {
    let provider = network(Script::rings()).await;
    let mut call = dial(&provider, "1").await;
    call.event(|what| matches!(what, PhoneEvent::Status { code: 180, .. })).await.unwrap();
    assert_eq!(call.hang_up().await.ending(), Some(Ending::Cancelled));
    let first = provider.nth_call("1", 1).await.unwrap().call;
    assert_eq!(provider.ended(first).await.unwrap(), Ending::Withdrawn);

    provider.otherwise(Script::never_replies()).await;
    let call = dial(&provider, "2").await;
    provider.until(|tally| (tally.repeated > 0).then_some(())).await.unwrap();
    call.pull_the_plug();
    assert_eq!(provider.tally().times("2"), 1);

    provider.be_deaf(true).await;
    dial(&provider, "3").await.pull_the_plug();
    provider.be_deaf(false).await;
    provider.otherwise(Script::refuses(486)).await;
    outcome(&provider, "4").await;
    assert_eq!(provider.tally().times("3"), 0);
}

#[tokio::test]
async fn early_media_is_heard_before_anybody_picks_up() {
    let busy = Script::rings_then_refuses(ms(200), 486).with_early_media();
    let provider = network(busy).await;
    let report = outcome(&provider, "1").await;
    assert!(report.time_of(|what| matches!(what, PhoneEvent::Status { code: 183, .. })).is_some());
    assert!(report.time_of(|what| *what == PhoneEvent::FirstAudio).is_some());
    assert_eq!((report.was_answered(), report.final_status()), (false, Some(486)));
    assert_eq!(provider.tally().calls[0].picked_up, None);

    provider.otherwise(Script::picks_up(ms(100)).with_early_media().hang_up()).await;
    let report = outcome(&provider, "2").await;
    assert!(report.was_answered());
    assert!(provider.tally().calls[1].picked_up.is_some());
}

#[tokio::test]
async fn a_trunk_lets_in_only_who_knows_the_password() {
    let credentials = Credentials { user: "shop".into(), password: "secret".into() };
    for algorithms in [vec![Algorithm::Md5], vec![Algorithm::Sha256, Algorithm::Md5]] {
        let provider = Provider::start(ProviderOptions {
            credentials: Some(credentials.clone()),
            algorithms,
            otherwise: Script::refuses(486),
            ..ProviderOptions::default()
        })
        .await
        .unwrap();
        let shop = DeskOptions::new(provider.address(), "shop", "secret");
        let shop = Desk::start(DeskOptions { expires_s: 900, ..shop }).await.unwrap();
        assert_eq!(shop.register().await.unwrap(), DeskFact::Registered { expires_s: 600 });
        provider.change_nonce().await;
        let call = shop.dial("+79161112233").await;
        assert_eq!(shop.ended(call).await.unwrap(), Ending::Refused);
        let (challenged, times) =
            (provider.tally().challenged, provider.tally().times("+79161112233"));
        assert_eq!((challenged, times), (1, 1));

        let thief = DeskOptions::new(provider.address(), "shop", "guess");
        let thief = Desk::start(thief).await.unwrap();
        let refused = DeskFact::RegistrationRefused { code: 403 };
        assert_eq!(thief.register().await.unwrap(), refused);
        let call = thief.dial("+79161112233").await;
        thief.ended(call).await.unwrap();
        let tally = provider.tally();
        assert_eq!((tally.forbidden, tally.times("+79161112233")), (1, 1));
        assert_eq!(tally.registered.len(), 1);

        provider.on_register(OnRegister::Refuse(503)).await;
        let refused = DeskFact::RegistrationRefused { code: 503 };
        assert_eq!(shop.register().await.unwrap(), refused);
    }
}

#[tokio::test]
async fn a_dead_provider_frees_its_ports() {
    let provider = network(Script::picks_up(Duration::ZERO)).await;
    let mut call = dial(&provider, "1").await;
    call.answered(WAIT).await.unwrap();
    provider.die().await;
    UdpSocket::bind(provider.address()).await.unwrap();
    call.pull_the_plug();
}

/// Calls, says a recording as fast as it can, and waits for the BYE.
async fn say(provider: &Provider, samples: &[i16]) {
    let sip = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (local, to) = (sip.local_addr().unwrap(), provider.address());
    let ours = Offering {
        codecs: vec![Codec::Pcma],
        event_payload_type: Some(101),
        rtp: rtp.local_addr().unwrap(),
    };
    let head = |method: &str, tag: &str| {
        format!(
            "{method} sip:1@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:1@{to}>{tag}\r\n\
             Call-ID: say\r\nCSeq: 1 {method}\r\nContact: <sip:a@{local}>\r\n"
        )
    };
    let offer = ours.to_sdp(1, Direction::SendRecv);
    let invite = finish(head("INVITE", ""), Some(("application/sdp", offer)));
    sip.send_to(&invite, to).await.unwrap();
    let mut buffer = [0; 4000];
    let answer = loop {
        let length = sip.recv(&mut buffer).await.unwrap();
        let message = bytes::Bytes::copy_from_slice(&buffer[..length]);
        if message.starts_with(b"SIP/2.0 200") {
            break Incoming::read(&message).unwrap();
        }
    };
    let tag = format!(";{}", answer.to.split_once(';').unwrap().1);
    sip.send_to(&finish(head("ACK", &tag), None), to).await.unwrap();
    let remote = read_answer(&answer.body, &ours).unwrap().remote;
    let silence = [0; 8000];
    let frames = samples.chunks_exact(160).chain(silence.chunks_exact(160));
    for (sequence, (frame, timestamp)) in (0..).zip(frames.zip((0..).step_by(160))) {
        let payload: Vec<u8> =
            frame.iter().map(|&sample| g711::encode(Codec::Pcma, sample)).collect();
        let packet = Packet {
            payload_type: 8,
            marker: false,
            sequence,
            timestamp,
            ssrc: 7,
            payload: &payload,
        };
        rtp.send_to(&packet.write(), remote).await.unwrap();
    }
    while !buffer.starts_with(b"BYE ") {
        sip.recv(&mut buffer).await.unwrap();
    }
}

#[tokio::test]
async fn a_customer_hears_the_question_out_before_pressing_a_key() {
    let greeting = shipped("phrase/greeting");
    let script = Script::picks_up(Duration::ZERO)
        .listening_for(vec![greeting.clone()])
        .hear(greeting.id.clone())
        .press(key('2'))
        .wait(ms(200))
        .hang_up();
    let provider = network(script).await;
    say(&provider, &greeting.samples).await;
    let taken = provider.nth_call("1", 1).await.unwrap();
    assert!(taken.has_heard(&greeting.id), "{taken:?}");
}
