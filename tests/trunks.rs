//! Trunks across real sockets: one stack is the provider, the other one calls out by it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use allo::config::{Listen, Tls, Transport, Trunk, TrunkFrom};
use allo::domain::{
    Account, DigestChoice, LegId, LocalMedia, Login, PhoneNumber, PhoneState, Region,
};
use allo::sip::{
    Destination, Dial, Offer, RefuseStatus, SipCommand, SipEvent, SipSettings, SipStack, TrunkState,
};
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

const PASSWORD: &str = "kX7vQ2mZt9";

struct House {
    stack: SipStack,
    events: mpsc::Receiver<SipEvent>,
}

impl House {
    async fn start(settings: SipSettings) -> Self {
        let (sender, events) = mpsc::channel(64);
        let stack = SipStack::start(settings, sender).await.unwrap();
        Self { stack, events }
    }

    /// The provider: it knows one account, by both digests.
    async fn provider(transport: Transport, tls: Option<Tls>) -> Self {
        let login: Login = "shop".parse().unwrap();
        let account = Account::new(login.clone(), "allo", PASSWORD, None);
        let settings = SipSettings {
            listen: vec![free(transport)],
            tls,
            accounts: Arc::new(ArcSwap::from_pointee([(login, account)].into())),
            digest: DigestChoice::Both,
            ..SipSettings::default()
        };
        Self::start(settings).await
    }

    fn address(&self) -> SocketAddr {
        self.stack.bound()[0].address
    }

    /// Waits for the next event that is wanted; fails with those that came instead.
    async fn wait<T>(&mut self, wanted: impl Fn(SipEvent) -> Option<T>) -> T {
        let mut others = Vec::new();
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let event = tokio::time::timeout_at(until, self.events.recv()).await;
            let Ok(Some(event)) = event else { panic!("only {others:#?} came") };
            let shown = format!("{event:?}");
            if let Some(found) = wanted(event) {
                return found;
            }
            others.push(shown);
        }
    }

    async fn offered(&mut self) -> Box<Offer> {
        self.wait(|event| match event {
            SipEvent::Offered(offer) => Some(offer),
            _ => None,
        })
        .await
    }

    async fn tell(&self, command: SipCommand) {
        self.stack.handle().send(command).await.unwrap();
    }
}

fn free(transport: Transport) -> Listen {
    Listen { transport, address: "127.0.0.1:0".parse().unwrap() }
}

/// A stack that registers at the provider.
async fn customer_of(address: &str, transport: Transport, authorities: Option<&Path>) -> House {
    let mut trunk = Trunk::new("provider", address.parse().unwrap());
    trunk.transport = transport;
    trunk.authorities = authorities.map(Into::into);
    trunk.username = Some("shop".to_owned());
    trunk.password = PASSWORD.parse().ok();
    trunk.register = true;
    trunk.caller_id = Some("+78003334455".to_owned());
    // A provider of our own kind lets nobody call in another's name.
    trunk.from = TrunkFrom::Username;
    let listen = match transport {
        Transport::Udp | Transport::Tls => vec![free(Transport::Udp)],
        Transport::Tcp => vec![free(Transport::Tcp)],
    };
    House::start(SipSettings { listen, trunks: vec![trunk], ..SipSettings::default() }).await
}

fn to_customer() -> Dial {
    let number = PhoneNumber::parse("+79161112233", Region::default()).unwrap();
    Dial {
        leg: LegId(uuid::Uuid::now_v7()),
        to: Destination::Outside { number, trunks: Vec::new() },
        media: media(20_000),
        from_user: String::new(),
        display: None,
        auto_answer: false,
        ring_ms: 10_000,
    }
}

fn media(rtp_port: u16) -> LocalMedia {
    LocalMedia { ip: [127, 0, 0, 1].into(), rtp_port }
}

/// Registers, calls with a challenged INVITE, talks, hangs up, and takes the registration back.
async fn call_out(mut provider: House, mut house: House) {
    house
        .wait(|event| match event {
            SipEvent::TrunksChanged { calls_max: 30, starts_per_second: 5, .. } => Some(()),
            _ => None,
        })
        .await;
    let dial = to_customer();
    let leg = dial.leg;
    house.tell(SipCommand::Dial(Box::new(dial))).await;
    let unproven = provider.offered().await;
    assert_eq!((unproven.dialled.as_str(), &unproven.account), ("+79161112233", &None));
    let status = RefuseStatus::Unauthenticated;
    provider.tell(SipCommand::Refuse { leg: unproven.leg, status }).await;
    let offer = provider.offered().await;
    assert_eq!(offer.account, Some("shop".parse().unwrap()), "proven by digest");
    assert_eq!(offer.caller.full(), "shop");
    provider.tell(SipCommand::Ring { leg: offer.leg }).await;
    provider.tell(SipCommand::Answer { leg: offer.leg, media: media(20_002) }).await;
    let answered = house.wait(|event| match event {
        SipEvent::Answered { leg } => Some(leg),
        _ => None,
    });
    assert_eq!(answered.await, leg);
    provider.wait(|event| matches!(event, SipEvent::Confirmed { .. }).then_some(())).await;
    house.tell(SipCommand::Hangup { leg }).await;
    provider.wait(|event| matches!(event, SipEvent::Ended { .. }).then_some(())).await;

    let trunks = house.stack.handle().trunks();
    assert_eq!((trunks[0].state, trunks[0].is_registered), (TrunkState::Up, true));
    let House { stack, events: _events } = house;
    let stopping = tokio::spawn(stack.shutdown());
    let gone = provider.wait(|event| match event {
        SipEvent::PhoneChanged { state: PhoneState::Unregistered, .. } => Some(()),
        _ => None,
    });
    gone.await;
    stopping.await.unwrap();
    provider.stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_out_over_udp_by_a_provider_that_dns_names() {
    let provider = House::provider(Transport::Udp, None).await;
    let address = format!("localhost:{}", provider.address().port());
    let house = customer_of(&address, Transport::Udp, None).await;
    call_out(provider, house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_out_over_one_tcp_connection() {
    let provider = House::provider(Transport::Tcp, None).await;
    let house = customer_of(&provider.address().to_string(), Transport::Tcp, None).await;
    call_out(provider, house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_out_over_tls_to_whom_the_certificate_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Some(Tls { certificate: certificate.clone(), key });
    let provider = House::provider(Transport::Tls, tls).await;
    let address = provider.address().to_string();
    let house = customer_of(&address, Transport::Tls, Some(&certificate)).await;
    call_out(provider, house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_nobody_known_is_no_trunk() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let provider = House::provider(Transport::Tls, Some(Tls { certificate, key })).await;
    let address = provider.address().to_string();
    let mut house = customer_of(&address, Transport::Tls, None).await;
    house
        .wait(|event| match event {
            SipEvent::TrunksChanged { calls_max: 0, trunks, .. } => {
                (trunks[0].state == TrunkState::Down).then_some(())
            }
            _ => None,
        })
        .await;
    house.stack.shutdown().await;
    provider.stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_there_is_down_and_no_call_waits_for_it() {
    let address = nowhere();
    let mut house = customer_of(&address, Transport::Tcp, None).await;
    house
        .wait(|event| match event {
            SipEvent::TrunksChanged { trunks, .. } => {
                (trunks[0].state == TrunkState::Down).then_some(())
            }
            _ => None,
        })
        .await;
    house.tell(SipCommand::Dial(Box::new(to_customer()))).await;
    house.wait(|event| matches!(event, SipEvent::Unanswered { .. }).then_some(())).await;
    house.stack.shutdown().await;
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
