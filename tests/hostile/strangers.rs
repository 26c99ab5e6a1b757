//! Requests in the name of somebody else's call: refused or ignored; the call lives on, and its audio
//! goes where it went.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::Value;

use crate::caller::{Caller, Ids, ask, offer, receive, request, socket};
use crate::server;
use crate::support::server::Server;

/// What would end, move or use a call.
const METHODS: [&str; 8] =
    ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "SUBSCRIBE", "OPTIONS"];

/// Sends such a request with these ids; gives the status of the answer.
fn forge(
    from: &UdpSocket,
    caller: &Caller,
    method: &str,
    ids: &Ids,
    cseq: u32,
    rtp: &UdpSocket,
) -> u16 {
    let (extra, body) = match method {
        "INVITE" | "UPDATE" => (String::new(), offer(rtp.local_addr().unwrap())),
        "INFO" => (String::new(), "Signal=5\r\nDuration=160\r\n".to_owned()),
        "REFER" => ("Refer-To: <sip:+74951112233@x>\r\n".to_owned(), String::new()),
        "NOTIFY" => {
            ("Event: refer\r\nSubscription-State: terminated\r\n".to_owned(), String::new())
        }
        "SUBSCRIBE" => ("Event: dialog\r\nExpires: 60\r\n".to_owned(), String::new()),
        _ => (String::new(), String::new()),
    };
    let uri = format!("sip:allo@{}", caller.server);
    let forged = request(from, method, &uri, ids, cseq, extra.as_bytes(), &body);
    ask(from, caller.server, &forged).0
}

/// The facts of the only call, once it is over.
async fn facts(server: &Server) -> Value {
    let look = async || {
        let output = server.allo(&["calls", "--json", "--full"]);
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let call = list["calls"][0].clone();
        call["ended"].is_string().then_some(call)
    };
    crate::support::eventually("the call is written down", Duration::from_secs(20), look).await
}

#[tokio::test]
async fn a_call_outlives_whatever_strangers_say_in_its_name() {
    let server = server().await;
    let (mut caller, code) = Caller::dial(server.sip, "100", b"<sip:+79161112233@x>", b"");
    assert_eq!(code, 200);
    assert!(caller.hears());
    let (stranger, ear) = (socket("127.0.0.2"), socket("127.0.0.2"));
    let right = caller.ids.clone();
    let untagged = right.to.split(";tag=").next().unwrap().to_owned();
    let other_tag = format!("{untagged};tag=0123456789abcdef0123456789abcdef");
    let wrong = [
        ("another To tag", Ids { to: other_tag, ..right.clone() }),
        ("another From tag", Ids { from: b"<sip:a@b>;tag=x".to_vec(), ..right.clone() }),
        ("no From tag", Ids { from: b"<sip:a@b>".to_vec(), ..right.clone() }),
        ("another Call-ID", Ids { call_id: b"other".to_vec(), ..right.clone() }),
    ];
    let mut cseq = 1_000;
    for method in METHODS {
        let status = |usual| if method == "NOTIFY" { 405 } else { usual };
        for (what, ids) in &wrong {
            cseq += 1;
            let code = forge(&caller.sip, &caller, method, ids, cseq, &ear);
            assert_eq!(code, status(481), "{method} with {what}");
        }
        cseq += 1;
        let code = forge(&stranger, &caller, method, &right, cseq, &ear);
        assert_eq!(code, status(403), "{method} with all ids from elsewhere");
    }
    // Without any tag they are about no call.
    let untagged = Ids { to: untagged, ..right.clone() };
    for (method, expected) in [("BYE", 481), ("UPDATE", 481), ("INFO", 481), ("REFER", 403)] {
        cseq += 1;
        assert_eq!(forge(&stranger, &caller, method, &untagged, cseq, &ear), expected, "{method}");
    }
    for number in 0..300_u32 {
        let ids = if number % 2 == 0 { &right } else { &wrong[0].1 };
        let body = offer(ear.local_addr().unwrap());
        let ack = request(&stranger, "ACK", "sip:allo@x", ids, number % 3, b"", &body);
        stranger.send_to(&ack, server.sip).unwrap();
    }
    assert!(caller.hears(), "the caller hears no more");
    assert_eq!(receive(&ear, Duration::from_millis(300)), None, "audio goes to a stranger");
    // A NAT has given the caller another port meanwhile.
    let own = std::mem::replace(&mut caller.sip, socket("127.0.0.1"));
    assert_eq!(caller.next("BYE", b"", ""), 200, "its own numbers are still in order");
    // Refusals that nobody acknowledged are repeated there; requests are not sent there any more.
    while let Some(datagram) = receive(&own, Duration::from_millis(300)) {
        assert!(datagram.starts_with(b"SIP/2.0 "), "a stray request of the server");
    }
    let call = facts(&server).await;
    assert_eq!((&call["ended-by"], &call["end-reason"]), (&"caller".into(), &"hung-up".into()));
    let kinds: Vec<&str> =
        call["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert!(!kinds.contains(&"key") && !kinds.contains(&"transferred"), "{kinds:?}");
}

#[tokio::test]
async fn nobody_cancels_anothers_call() {
    let server = server().await;
    let (mut caller, code) = Caller::dial(server.sip, "100", b"<sip:+79161112233@x>", b"");
    assert_eq!(code, 200);
    let stranger = socket("127.0.0.2");
    let branchless = request(&stranger, "CANCEL", "sip:100@x", &caller.ids, 1, b"", "");
    assert_eq!(ask(&stranger, server.sip, &branchless).0, 481, "with a branch of its own");
    let overheard = request(&caller.sip, "CANCEL", "sip:100@x", &caller.ids, 1, b"", "");
    stranger.send_to(&overheard, server.sip).unwrap();
    assert!(caller.hears());
    assert_eq!(caller.next("BYE", b"", ""), 200);
}
