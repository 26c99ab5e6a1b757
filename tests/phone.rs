//! The test phone against a program that is not ours, so that it is not merely our server's twin.

mod support;

use std::time::Duration;

use allo::domain::{Codec, Direction};
use allo::phone::{Call, CallOptions, Ending, From, KeyBy, PhoneEvent, Transport};
use support::eventually;
use support::peers::SippCallee;

/// Calls until the callee's socket is open.
async fn call(callee: &SippCallee, transport: Transport) -> Call {
    let from = From::Number { user: "+79160000001".into(), display: Some("Анна".into()) };
    let options = CallOptions {
        codecs: vec![Codec::Pcmu],
        transport,
        ..CallOptions::new(callee.address, "service", from)
    };
    let dial = async || Call::dial(options.clone()).await.ok();
    let mut call = eventually("a connection", Duration::from_secs(10), dial).await;
    call.answered(Duration::from_secs(10)).await.unwrap();
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_sipp_over_tcp_is_answered_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let callee = SippCallee::start(folder.path(), Transport::Tcp);
    let report = call(&callee, Transport::Tcp).await.hang_up().await;
    assert_eq!(report.ending(), Some(Ending::ByUs));
    assert_eq!(report.final_status(), Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_sipp_is_answered_heard_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let callee = SippCallee::start(folder.path(), Transport::Udp);
    let call = call(&callee, Transport::Udp).await;
    // SIPp offers no telephone-event, so the key goes out as a tone, and comes back as it was sent.
    call.press(support::key('5'), KeyBy::Event).await;
    eventually("the echo of our tone", Duration::from_secs(10), async || {
        let playout = call.heard().await?;
        playout.samples().iter().any(|sample| sample.unsigned_abs() > 4000).then_some(())
    })
    .await;
    let report = call.hang_up().await;
    assert_eq!(report.ending(), Some(Ending::ByUs));
    let key_sent = PhoneEvent::KeySent { key: support::key('5'), by: KeyBy::Tone };
    assert!(report.time_of(|event| *event == key_sent).is_some(), "{:?}", report.timeline);
    assert_eq!(report.playout.report().lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_other_end_is_no_answer() {
    let nobody = support::server::free_address();
    let mut call = Call::dial(CallOptions::new(nobody, "100", From::Anonymous)).await.unwrap();
    assert!(call.answered(Duration::from_millis(700)).await.is_err());
    call.change_direction(Direction::SendOnly).await;
    let report = call.put_away().await;
    assert!(!report.was_answered());
    assert_eq!(report.timeline.len(), 1);
}
