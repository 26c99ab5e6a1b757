use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::settings::Limits;
use super::*;
use crate::domain::LocalMedia;

async fn start(limits: Limits, events_max: usize) -> (SipStack, mpsc::Receiver<SipEvent>) {
    let listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"].map(|text| text.parse().unwrap());
    let settings = SipSettings { listen: listen.into(), limits, ..SipSettings::default() };
    let (sender, events) = mpsc::channel(events_max);
    (SipStack::start(settings, sender).await.unwrap(), events)
}

async fn connect(stack: &SipStack) -> TcpStream {
    TcpStream::connect(stack.bound()[1].address).await.unwrap()
}

fn request(method: &str, number: u32, contact: SocketAddr) -> String {
    format!(
        "{method} sip:100@test SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK{number}{method}\r\n\
         From: <sip:a@x>;tag=a\r\nTo: <sip:100@test>\r\nCall-ID: c{number}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:a@{contact};transport=tcp>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// Reads until the text is there; fails at the end of the stream.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = stream.read(&mut buffer);
        let length = tokio::time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
        assert_ne!(length, 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

#[tokio::test]
async fn a_stream_is_read_however_it_is_cut() {
    let (stack, _events) = start(Limits::default(), 8).await;
    let mut stream = connect(&stack).await;
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n").await, "\r\n");
    let [first, second] = [1, 2].map(|number| request("OPTIONS", number, nowhere()));
    let both = first + &second;
    let (head, tail) = both.split_at(37);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(tail.as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "Call-ID: c2").await;
    assert!(text.contains("Call-ID: c1"));
    stack.shutdown().await;
}

#[tokio::test]
async fn a_message_that_ends_its_connection_is_answered_before() {
    let (stack, _events) = start(Limits::default(), 8).await;
    let mut stream = connect(&stack).await;
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n").await, "\r\n");
    let bad = request("OPTIONS", 1, nowhere()).replace("Content-Length: 0", "Content-Length: x");
    stream.write_all(bad.as_bytes()).await.unwrap();
    read_until(&mut stream, "SIP/2.0 400").await;
    stack.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_its_peer_closed_makes_room_soon() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let (stack, _events) = start(limits, 8).await;
    let mut first = connect(&stack).await;
    first.write_all(request("OPTIONS", 1, nowhere()).as_bytes()).await.unwrap();
    // Half-closed: the peer sends no more, but still waits for its answer.
    first.shutdown().await.unwrap();
    read_until(&mut first, "SIP/2.0 200").await;
    let mut rest = [0; 16];
    let closed = tokio::time::timeout(Duration::from_secs(5), first.read(&mut rest)).await;
    assert_eq!(closed.unwrap().unwrap_or(0), 0);
    stack.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_never_reads_loses_its_connection_and_nobody_else_waits() {
    let limits = Limits { unwritten_max: 4, half_message_ms: 200, ..Limits::default() };
    let (stack, _events) = start(limits, 8).await;
    let mut deaf = connect(&stack).await;
    let closed = async {
        for number in 0.. {
            if deaf.write_all(request("OPTIONS", number, nowhere()).as_bytes()).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.unwrap();
    let mut other = connect(&stack).await;
    other
        .write_all(request("OPTIONS", 0, "127.0.0.2:9".parse().unwrap()).as_bytes())
        .await
        .unwrap();
    read_until(&mut other, "SIP/2.0 200").await;
    stack.shutdown().await;
}

/// Asks on a connection whether we are there.
async fn is_served(stream: &mut TcpStream, number: u32) {
    stream.write_all(request("OPTIONS", number, nowhere()).as_bytes()).await.unwrap();
    read_until(stream, "SIP/2.0 200").await;
}

#[tokio::test]
async fn of_too_many_connections_an_idle_one_goes_and_never_one_with_a_call() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let (stack, mut events) = start(limits, 8).await;
    let mut calling = connect(&stack).await;
    calling.write_all(request("INVITE", 1, nowhere()).as_bytes()).await.unwrap();
    assert!(matches!(events.recv().await, Some(SipEvent::Offered(_))));
    let mut idle = connect(&stack).await;
    is_served(&mut idle, 2).await;
    let mut newcomer = connect(&stack).await;
    is_served(&mut newcomer, 3).await;
    let gone = tokio::time::timeout(Duration::from_secs(5), idle.read(&mut [0; 16])).await;
    assert_eq!(gone.unwrap().unwrap_or(0), 0);
    is_served(&mut calling, 4).await;
    stack.shutdown().await;
}

#[tokio::test]
async fn an_app_that_is_behind_loses_no_event() {
    let (stack, mut events) = start(Limits { events_max: 4, ..Limits::default() }, 1).await;
    let mut stream = connect(&stack).await;
    for number in 0..40 {
        stream.write_all(request("INVITE", number, nowhere()).as_bytes()).await.unwrap();
    }
    for _ in 0..40 {
        assert!(matches!(events.recv().await, Some(SipEvent::Offered(_))));
    }
    drop(events);
    stack.shutdown().await;
}

#[tokio::test]
async fn our_bye_finds_a_caller_whose_connection_is_gone() {
    let limits = Limits { half_message_ms: 100, ..Limits::default() };
    let (stack, mut events) = start(limits, 8).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let contact = listener.local_addr().unwrap();
    let mut stream = connect(&stack).await;
    stream.write_all(request("INVITE", 1, contact).as_bytes()).await.unwrap();
    let Some(SipEvent::Offered(offer)) = events.recv().await else { panic!("no offer") };
    let media = LocalMedia { ip: IpAddr::from([127, 0, 0, 1]), rtp_port: 20_000 };
    stack.handle().send(SipCommand::Answer { leg: offer.leg, media }).await.unwrap();
    let text = read_until(&mut stream, "SIP/2.0 200").await;
    let to = text.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
    // Without the answer that it owes, the ACK makes us hang up.
    let ack = request("ACK", 1, contact).replace("<sip:100@test>", to);
    stream.write_all(ack.as_bytes()).await.unwrap();
    drop(stream);
    let accepted = tokio::time::timeout(Duration::from_secs(5), listener.accept()).await;
    read_until(&mut accepted.unwrap().unwrap().0, "BYE sip:a@").await;
    stack.shutdown().await;
}

#[tokio::test]
async fn a_draining_stack_refuses_new_calls_only() {
    let (stack, mut events) = start(Limits::default(), 8).await;
    stack.start_drain();
    let mut stream = connect(&stack).await;
    stream.write_all(request("INVITE", 1, nowhere()).as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert!(text.starts_with("SIP/2.0 503") && text.contains("Retry-After: "), "{text}");
    assert!(events.try_recv().is_err());
    assert_eq!(stack.handle().losses(), Losses { refused: 1, dropped: 0 });
    stack.shutdown().await;
}

#[tokio::test]
async fn what_can_not_even_wait_is_dropped_and_counted() {
    let (stack, _events) = start(Limits { waiting_max: 8, ..Limits::default() }, 8).await;
    let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = phone.local_addr().unwrap();
    // The stack runs on this thread, and reads none before all were sent.
    for number in 0..20 {
        let question = request("OPTIONS", number, here).replace("/TCP x", &format!("/UDP {here}"));
        phone.send_to(question.as_bytes(), stack.bound()[0].address).unwrap();
    }
    phone.set_nonblocking(true).unwrap();
    let phone = tokio::net::UdpSocket::from_std(phone).unwrap();
    let answers = async {
        let mut buffer = [0; 1500];
        for number in 0..2 {
            let length = phone.recv(&mut buffer).await.unwrap();
            let answer = String::from_utf8_lossy(&buffer[..length]);
            assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
            assert!(answer.contains(&format!("Call-ID: c{number}\r\n")), "{answer}");
        }
    };
    tokio::time::timeout(Duration::from_secs(5), answers).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(stack.handle().losses(), Losses { refused: 0, dropped: 18 });
    stack.shutdown().await;
}
