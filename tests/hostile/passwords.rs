//! Who learns what about accounts, and who is never told our passwords.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use allo::domain::{Account, DigestChoice, Login, Operator};
use allo::sip::auth::client::Challenge;
use allo::sip::message::{HeaderName, Headers, Status};
use allo::store::Store;

use crate::PLAN;
use crate::caller::{Caller, Ids, ask, header, receive, request, socket};
use crate::support::server::{Server, Setup};

const PASSWORD: &str = "kX7vQ2mZt9-kX7vQ2mZt9";

/// A server with the operator anna, and with a trunk whose password is worth having.
async fn server() -> Server {
    let settings = "[[trunk]]\nname = \"city\"\naddress = \"127.0.0.1:9\"\nusername = \"shop\"\n\
                    password = \"kX7vQ2mZt9\"\nkeepalive = \"0s\"\n";
    let setup = Setup { plan: PLAN.to_owned(), settings: settings.to_owned(), ..Setup::default() };
    let mut server = Server::prepare(&setup);
    let database = allo::config::DatabaseUrl::Sqlite(server.path("allo.db"));
    let store = Store::open(&database).await.unwrap();
    let login: Login = "anna".parse().unwrap();
    // Asked in a way of her own, by which she could be told from somebody unknown.
    let account = Account::new(login.clone(), "allo", PASSWORD, Some(DigestChoice::Sha256));
    store.add_operator(&Operator::named(login), &account).await.unwrap();
    store.close().await;
    server.launch().await;
    server
}

#[tokio::test]
async fn a_customer_who_asks_for_our_password_inside_a_call_gets_none() {
    let server = server().await;
    for (status, header_name) in
        [("401 Unauthorized", "WWW-Authenticate"), ("407 Proxy Auth", "Proxy-Authenticate")]
    {
        let (caller, code) = Caller::dial(server.sip, "500", b"<sip:+79161112233@x>", b"");
        assert_eq!(code, 200);
        let until = Instant::now() + Duration::from_secs(3);
        let mut asked = 0;
        while Instant::now() < until {
            let Some(bytes) = receive(&caller.sip, Duration::from_millis(200)) else { continue };
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.to_lowercase().contains("authorization:"), "{text}");
            if text.starts_with("BYE ") {
                asked += 1;
                let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
                let kept: String = kept
                    .map(|name| format!("{name}: {}\r\n", header(&text, name).unwrap()))
                    .concat();
                let answer = format!(
                    "SIP/2.0 {status}\r\n{kept}{header_name}: Digest realm=\"city\", nonce=\"n\", \
                     qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
                );
                caller.sip.send_to(answer.as_bytes(), server.sip).unwrap();
            }
        }
        assert!(asked > 0, "no BYE came");
    }
}

/// What a REGISTER of this name with a wrong password is answered, without what differs by chance or
/// repeats the question; and how long it took.
fn guess(server: SocketAddr, name: &str, number: u32) -> (String, Duration) {
    let socket = socket("127.0.0.1");
    let to = format!("<sip:{name}@allo>");
    let ids = Ids {
        call_id: format!("guess-{number}-{name}").into_bytes(),
        from: format!("{to};tag=1").into_bytes(),
        to,
    };
    let register = |cseq, extra: &str| {
        let register = request(&socket, "REGISTER", "sip:allo", &ids, cseq, extra.as_bytes(), "");
        ask(&socket, server, &register).1
    };
    let asked = register(1, "");
    let mut headers = Headers::default();
    headers.push(HeaderName::WwwAuthenticate, header(&asked, "WWW-Authenticate").unwrap());
    let challenge = Challenge::strongest(Status::UNAUTHORIZED, &headers, None).unwrap();
    let (_, proof) = challenge.answer(name, "wrong", "REGISTER", "sip:allo", "c");
    let began = Instant::now();
    let answer = register(2, &format!("Authorization: {proof}\r\n"));
    let took = began.elapsed();
    let hidden = ["Via:", "Call-ID:", "To:", "From:", "CSeq:"];
    let lines = answer.lines().filter(|line| !hidden.iter().any(|name| line.starts_with(name)));
    let without_nonce = |line: &str| match line.split_once("nonce=\"") {
        Some((before, after)) => format!("{before}{}", &after[after.find('"').unwrap()..]),
        None => line.to_owned(),
    };
    (lines.map(without_nonce).collect::<Vec<_>>().join("\n"), took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_look_and_take_the_same() {
    let server = server().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let (one, took) = guess(server.sip, "anna", number);
        known.push(took);
        let (other, took) = guess(server.sip, "nemo", number);
        unknown.push(took);
        assert!(one.starts_with("SIP/2.0 401 "), "{one}");
        assert_eq!(one, other);
    }
    // Of one order, on a machine that does other things meanwhile.
    let (known, unknown) = (median(known), median(unknown));
    assert!(known < unknown * 4 && unknown < known * 4, "{known:?} and {unknown:?}");
}
