use std::time::Duration;

use allo::sip::{Limits, Timing};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use super::house::{Callers, House, Outcome, options};

const PACE: Duration = Duration::from_millis(5);
const FOR: Duration = Duration::from_secs(2);

/// All of it was answered, and soon.
fn is_unharmed(outcome: &Outcome) -> bool {
    outcome.answered == outcome.placed && outcome.slowest < Duration::from_secs(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_that_calls_without_end_leaves_the_others_their_share() {
    let house = House::open(Limits::default(), Timing::default(), PACE).await;
    let flooder = Callers::new([127, 0, 0, 2], house.udp, true).await;
    let others = Callers::new([127, 0, 0, 3], house.udp, true).await;
    let mut tries = Vec::new();
    for _ in 0..3 {
        let (flood, calls) = tokio::join!(flooder.call(500, FOR), others.call(20, FOR));
        if is_unharmed(&calls) && flood.refused > 0 {
            return house.close().await;
        }
        tries.push(format!("{calls:?} beside {flood:?}"));
    }
    panic!("{}", tries.join("\n"));
}

/// Sends a datagram again and again, some 10,000 a second, for so long.
async fn pour(from: [u8; 4], to: std::net::SocketAddr, text: impl Fn(u32) -> Vec<u8>) {
    let socket = UdpSocket::bind((std::net::IpAddr::from(from), 0)).await.unwrap();
    let until = Instant::now() + FOR;
    let mut number = 0;
    while Instant::now() < until {
        for _ in 0..10 {
            number += 1;
            let _ = socket.try_send_to(&text(number), to);
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_and_requests_of_any_kind_from_one_address_harm_no_call() {
    let house = House::open(Limits::default(), Timing::default(), Duration::ZERO).await;
    let calls = Callers::new([127, 0, 0, 3], house.udp, true).await;
    let at = "127.0.0.2:9".parse().unwrap();
    type Text = fn(&str) -> String;
    let kinds: [(&str, Text); 4] = [
        ("noise", |_| "\0\u{1}\u{2} no SIP at all".to_owned()),
        ("OPTIONS", |options| options.to_owned()),
        ("BYE", |options| options.replace("OPTIONS", "BYE")),
        ("broken", |options| options.replace("CSeq: 1 ", "CSeq: ")),
    ];
    for (kind, text) in kinds {
        let mut tries = Vec::new();
        loop {
            let flood =
                pour([127, 0, 0, 2], house.udp, |n| text(&options(at, &n.to_string())).into());
            let ((), outcome) = tokio::join!(flood, calls.call(20, FOR));
            if is_unharmed(&outcome) {
                break;
            }
            tries.push(format!("{kind}: {outcome:?}"));
            assert!(tries.len() < 3, "{}", tries.join("\n"));
        }
    }
    house.close().await;
}
