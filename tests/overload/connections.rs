use std::time::Duration;

use allo::sip::{Limits, Timing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::house::{House, invite, options, options_answered};
use super::support::eventually;

const SOON: Duration = Duration::from_secs(1);

/// Reads until the text is there; `false`: the connection ended before.
async fn reads(stream: &mut TcpStream, wanted: &str) -> bool {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    while !text.contains(wanted) {
        let read = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
        match read.expect("neither an answer nor the end") {
            Ok(0) | Err(_) => return false,
            Ok(length) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    true
}

/// Asks on a connection whether somebody is there.
async fn is_served(stream: &mut TcpStream, call: &str) -> bool {
    let text = options(stream.local_addr().unwrap(), call).replace("/UDP", "/TCP");
    stream.write_all(text.as_bytes()).await.is_ok() && reads(stream, "SIP/2.0 200").await
}

/// The peer has closed, though nothing was read.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(timeout(Duration::from_millis(1), stream.read(&mut [0; 16])).await, Ok(Ok(0) | Err(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_idle_connections_make_room_and_a_call_keeps_its_own() {
    let limits = Limits { connections_max: 100, ..Limits::default() };
    let house = House::open(limits, Timing::default(), Duration::ZERO).await;
    let mut calling = TcpStream::connect(house.tcp).await.unwrap();
    let text = invite(calling.local_addr().unwrap(), "call").replace("/UDP", "/TCP");
    calling.write_all(text.as_bytes()).await.unwrap();
    assert!(reads(&mut calling, "SIP/2.0 200").await);
    let mut idle = Vec::new();
    for number in 0..400 {
        let mut stream = TcpStream::connect(house.tcp).await.unwrap();
        if number % 50 == 0 {
            let begun = Instant::now();
            assert!(is_served(&mut stream, &format!("new{number}")).await, "{number}");
            assert!(begun.elapsed() < SOON, "a newcomer waited {:?}", begun.elapsed());
        }
        idle.push(stream);
    }
    assert!(is_served(&mut calling, "still").await, "the call lost its connection");
    assert!(options_answered(house.udp).await < SOON);
    eventually("only a share is left", Duration::from_secs(5), async || {
        let mut open = 0;
        for stream in &mut idle {
            open += usize::from(!is_closed(stream).await);
        }
        (open <= 25).then_some(())
    })
    .await;
    assert!(is_served(idle.last_mut().unwrap(), "last").await, "the newest went, not the oldest");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_send_byte_by_byte_are_closed_in_time() {
    let limits = Limits { half_message_ms: 500, ..Limits::default() };
    let house = House::open(limits, Timing::default(), Duration::ZERO).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(TcpStream::connect(house.tcp).await.unwrap());
    }
    let text = options("127.0.0.1:9".parse().unwrap(), "slow");
    let begun = Instant::now();
    // One byte every 50 ms: the whole would take 15 s.
    for byte in text.bytes() {
        let mut open = 0;
        for stream in &mut slow {
            let is_sent = stream.write_all(&[byte]).await.is_ok();
            open += usize::from(is_sent && !is_closed(stream).await);
        }
        if open == 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "{open} of them are still open");
        sleep(Duration::from_millis(50)).await;
    }
    let mut other = TcpStream::connect(house.tcp).await.unwrap();
    assert!(is_served(&mut other, "other").await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_never_read_are_closed_before_they_cost_much_memory() {
    let limits = Limits { unwritten_bytes_max: 64 * 1024, ..Limits::default() };
    let house = House::open(limits, Timing::default(), Duration::ZERO).await;
    let mut deaf = Vec::new();
    for number in 0..8_u32 {
        let stream = TcpStream::connect(house.tcp).await.unwrap();
        deaf.push(tokio::spawn(ask_without_reading(stream, number)));
    }
    let mut other = TcpStream::connect(house.tcp).await.unwrap();
    for number in 0..20 {
        let begun = Instant::now();
        assert!(is_served(&mut other, &format!("other{number}")).await);
        assert!(begun.elapsed() < SOON, "somebody who reads waited {:?}", begun.elapsed());
    }
    for deaf in deaf {
        // Far below half_message_ms, after which a peer that takes nothing is closed anyway.
        timeout(Duration::from_secs(8), deaf).await.expect("is still served").unwrap();
    }
    house.close().await;
}

/// Sends large requests until the peer closes.
async fn ask_without_reading(mut stream: TcpStream, number: u32) {
    let from = stream.local_addr().unwrap();
    let long = format!("Via: SIP/2.0/TCP x;branch=z9hG4bK{}\r\nMax-Forwards", "x".repeat(20_000));
    for round in 0.. {
        let text = options(from, &format!("deaf{number}-{round}")).replace("/UDP", "/TCP");
        let text = text.replacen("Max-Forwards", &long, 1);
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}
