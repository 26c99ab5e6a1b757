//! Operators' phones that are not ours register at the stack.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use allo::domain::{Account, DigestChoice, Login, PhoneState};
use allo::sip::{SipEvent, SipSettings, SipStack};
use arc_swap::ArcSwap;
use support::peers::Baresip;
use tokio::sync::mpsc;

const PASSWORD: &str = "kX7vQ2mZt9";

/// A stack that knows anna, and what it tells.
async fn stack(digest: DigestChoice) -> (SipStack, SocketAddr, mpsc::Receiver<SipEvent>) {
    let login: Login = "anna".parse().unwrap();
    let account = Account::new(login.clone(), "allo", PASSWORD, None);
    let settings = SipSettings {
        listen: vec!["udp:127.0.0.1:0".parse().unwrap()],
        accounts: Arc::new(ArcSwap::from_pointee([(login, account)].into())),
        digest,
        ..SipSettings::default()
    };
    let (sender, events) = mpsc::channel(16);
    let stack = SipStack::start(settings, sender).await.unwrap();
    let address = stack.bound()[0].address;
    (stack, address, events)
}

async fn next_state(events: &mut mpsc::Receiver<SipEvent>) -> PhoneState {
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap();
    match event {
        Some(SipEvent::PhoneChanged { state, .. }) => state,
        event => panic!("{event:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_registers_by_md5_and_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let (stack, address, mut events) = stack(DigestChoice::Md5).await;
    let mut phone = Baresip::register(folder.path(), "anna", PASSWORD, address);
    assert_eq!(next_state(&mut events).await, PhoneState::Reachable);
    phone.says("200 OK", Duration::from_secs(10)).await;
    phone.leave();
    assert_eq!(next_state(&mut events).await, PhoneState::Unregistered);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_with_a_wrong_password_stays_outside() {
    let folder = tempfile::tempdir().unwrap();
    let (stack, address, mut events) = stack(DigestChoice::Md5).await;
    let phone = Baresip::register(folder.path(), "anna", "wrong", address);
    phone.says("401 Unauthorized", Duration::from_secs(10)).await;
    assert!(events.try_recv().is_err());
    stack.shutdown().await;
}
