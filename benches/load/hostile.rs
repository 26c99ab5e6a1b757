//! Messages that nobody should send: the torture messages of RFC 4475 and RFC 5118, judged by their
//! manifests, and damaged ones in great number. The server must answer as if nothing had happened.

use std::io::Write as _;
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Run;
use crate::ears::RIG;
use crate::report::{Figure, Goal, Outcome};
use crate::server::{SIP, Server};

#[path = "../../tests/torture/messages.rs"]
mod messages;

use messages::{Case, Dice, cases, damaged, names};

const PATIENCE: Duration = Duration::from_secs(1);
const SEED: u64 = 0x5EED_CA11;
/// Damaged messages in a millisecond over UDP, so that none is lost in a full buffer.
const BURST: usize = 10;

pub fn hostile(run: &Run) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("hostile");
    let cases = cases()?;
    let server = Server::start(|_| Ok(()))?;
    let right = cases.iter().filter(|case| is_right(case).unwrap_or(false)).count();
    let (udp, tcp) = if run.is_quick { (10_000, 500) } else { (100_000, 25_000) };
    let mut dice = Dice(SEED);
    let before = server.usage()?.rss_kb;
    spray_udp(&cases, udp, &mut dice)?;
    spray_tcp(&cases, tcp, &mut dice);
    let (lives, usage) = (answers_options()?, server.usage());
    let survived = if lives && usage.is_ok() { udp + tcp } else { 0 };
    let grown = usage.map_or(f64::NAN, |usage| usage.rss_kb as f64 - before as f64) / 1_024.0;
    println!(
        "  {right} of {} torture messages right; {survived} of {} damaged ones survived, RSS {grown:+.1} MB",
        cases.len(),
        udp + tcp
    );
    outcome.points.push(json!({
        "torture_right": right,
        "torture": cases.len(),
        "damaged_udp": udp,
        "damaged_tcp": tcp,
        "seed": SEED,
        "survived": survived,
        "rss_mb_grown": grown,
    }));
    let all = cases.len() as f64;
    outcome.figures = vec![
        Figure::new("RFC 4475 + 5118 over UDP: right of 61", right as f64, "", Goal::AtLeast(all)),
        Figure::new(
            "damaged SIP messages survived, UDP and TCP",
            survived as f64,
            "messages",
            Goal::AtLeast(if run.is_quick { (udp + tcp) as f64 } else { 125_000.0 }),
        ),
        Figure::new("damaged SIP messages: memory grown", grown, "MB", Goal::Open),
    ];
    Ok(outcome)
}

/// Whether the server answers this message as its manifest asks.
fn is_right(case: &Case) -> anyhow::Result<bool> {
    let socket = socket()?;
    socket.send(&case.bytes)?;
    if case.accept == "none" {
        // The next answer is that to something else.
        return options(&socket);
    }
    let (mut answer, began) = ([0; 65_536], Instant::now());
    while began.elapsed() < PATIENCE {
        let length = socket.recv(&mut answer)?;
        let code = code_of(&answer[..length]);
        if code >= 200 {
            return Ok(names(&case.accept, code) && !names(&case.never, code));
        }
    }
    Ok(false)
}

fn code_of(answer: &[u8]) -> u16 {
    let code = answer.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok()).unwrap_or(0)
}

fn socket() -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddrV4::new(RIG, 0))?;
    socket.connect(SIP)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn answers_options() -> anyhow::Result<bool> {
    options(&socket()?)
}

/// Whether the first answer that comes is the 200 to this OPTIONS.
fn options(socket: &UdpSocket) -> anyhow::Result<bool> {
    let from = socket.local_addr()?;
    let request = format!(
        "OPTIONS sip:{SIP} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKprobe{from}\r\nFrom: <sip:probe@{from}>;tag=p\r\n\
         To: <sip:{SIP}>\r\nCall-ID: probe-{from}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send(request.as_bytes())?;
    let mut answer = [0; 65_536];
    let length = socket.recv(&mut answer)?;
    let text = String::from_utf8_lossy(&answer[..length]);
    Ok(code_of(&answer[..length]) == 200 && text.contains("probe-"))
}

fn spray_udp(cases: &[Case], count: usize, dice: &mut Dice) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(RIG, 0))?;
    for number in 0..count {
        let bytes = damaged(cases, dice);
        // What is too long for a datagram is not sent.
        let _ = socket.send_to(&bytes, SIP);
        if number % BURST == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

fn spray_tcp(cases: &[Case], count: usize, dice: &mut Dice) {
    for _ in 0..count {
        let bytes = damaged(cases, dice);
        // The server may close at once, which is an answer too.
        if let Ok(mut stream) = TcpStream::connect(SIP) {
            let _ = stream.write_all(&bytes);
        }
    }
}
