//! Texts that mean harm where they are stored and shown: kept byte-true, and inert.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use allo::config::DatabaseUrl;
use allo::store::{CallFilter, Store};
use serde_json::Value;

use crate::caller::{Caller, Ids, socket};
use crate::support::eventually;
use crate::support::server::{Server, Setup, get};

/// A user part as it is sent, and as it is kept.
const USERS: [(&[u8], &str); 11] = [
    (b"anna%0d%0aVia%3A%20SIP/2.0/UDP%20x", "anna%0D%0AVia: SIP/2.0/UDP x"),
    (b"1')%3b%20drop%20table%20calls%3b--", "1'); drop table calls;--"),
    (b"'%20or%20'1'='1", "' or '1'='1"),
    (b"%3Cscript%3Ealert(1)%3C/script%3E", "<script>alert(1)</script>"),
    (b"$(reboot)%60reboot%60|reboot&", "$(reboot)`reboot`|reboot&"),
    (b"..%2F..%2F..%2Fetc%2Fpasswd", "../../../etc/passwd"),
    (b"%00nul%00", "%00nul%00"),
    (b"%FF%FEwide", "%FF%FEwide"),
    (b"raw\xFFbyte", "raw%FFbyte"),
    (b"%1B]0;title%07%1B[2J", "%1B]0;title%07%1B[2J"),
    (b"=cmd%7C'%20/C%20calc'!A0", "=cmd|' /C calc'!A0"),
];

/// A display name as it is sent, and as it is kept.
const DISPLAYS: [(&[u8], &str); 8] = [
    (b"\"'; DROP TABLE calls; --\" ", "'; DROP TABLE calls; --"),
    (b"\"<img src=x onerror=alert(1)>\" ", "<img src=x onerror=alert(1)>"),
    (b"\"a\\\x00b\" ", "a%00b"),
    (b"\"\xD0\xCF\xFF\xFE\" ", "%D0%CF%FF%FE"),
    (b"\"\x1b[2J\x07\" ", "%1B[2J%07"),
    (b"\"folded\r\n over lines\" ", "folded over lines"),
    (b"\"../../../../tmp/x\" ", "../../../../tmp/x"),
    (b"\"=cmd|' /C \\\"calc\\\"'!A0\" ", "=cmd|' /C \"calc\"'!A0"),
];

fn hostile_headers(number: usize) -> Vec<u8> {
    let mut extra = format!("Subject: ${{jndi:ldap://x}} {number}\r\n").into_bytes();
    extra.extend(b"User-Agent: a\x00b\xff\x1b[31m' OR 1=1 --\r\nOrganization: <b>\r\n x\r\n");
    extra.extend(b"X-Name: ../../etc\r\nP-Asserted-Identity: <sip:'--@x>\r\n");
    extra
}

fn files(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        names.insert(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), names);
        }
    }
}

fn is_inert(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
}

/// Every line of the log begins as our lines do.
fn is_a_log(log: &str, json: bool) -> bool {
    log.lines().filter(|line| line.contains("call offered") || line.contains("Via")).all(|line| {
        if json { serde_json::from_str::<Value>(line).is_ok() } else { line.starts_with("20") }
    })
}

/// 101 takes a message.
const PLAN: &str = r#"
language "ru"
number "100" { say "menu-points" "menu-order" "menu-operator" "menu-points"; hangup }
number "101" { message }
number "500" { hangup }
"#;

/// Each is called and hung up; the users and names that must be kept, in their order.
fn call_all(server: &Server) -> Vec<(String, Option<String>)> {
    let mut kept = Vec::new();
    for (number, (user, shown)) in USERS.iter().enumerate() {
        let from = [b"<sip:", *user, b"@x>"].concat();
        let (mut caller, code) = Caller::dial(server.sip, "100", &from, &hostile_headers(number));
        assert_eq!(code, 200, "{shown}");
        assert_eq!(caller.next("BYE", b"", ""), 200, "{shown}");
        kept.push(((*shown).to_owned(), None));
    }
    for (number, (display, shown)) in DISPLAYS.iter().enumerate() {
        let from = [*display, b"<sip:display@x>"].concat();
        let (mut caller, code) = Caller::dial(server.sip, "100", &from, &hostile_headers(number));
        assert_eq!(code, 200, "display name {shown}");
        assert_eq!(caller.next("BYE", b"", ""), 200);
        kept.push(("display".to_owned(), Some((*shown).to_owned())));
    }
    let long = [b"\"", &[b'n'; 10_000][..], b"\" <sip:", &[b'u'; 10_000], b"@x>"].concat();
    let (mut caller, code) = Caller::dial(server.sip, "100", &long, b"");
    assert_eq!(code, 200, "10 kB names");
    assert_eq!(caller.next("BYE", b"", ""), 200);
    let cut = |name: &str| format!("{}…", name.repeat(255));
    kept.push((cut("u"), Some(cut("n"))));
    kept
}

/// A Call-ID that is no text, and a number that is none.
fn call_oddly(server: &Server) {
    let (sip, rtp) = (socket("127.0.0.1"), socket("127.0.0.1"));
    let ids = Ids {
        call_id: b"../'\"\xff\xfe;--@x".to_vec(),
        from: b"<sip:odd@x>;tag=theirs".to_vec(),
        to: format!("<sip:500@{}>", server.sip),
    };
    let (caller, code) = Caller::dial_as(sip, rtp, server.sip, "500", ids.clone(), b"");
    assert_eq!(code, 200);
    let until = std::time::Instant::now() + Duration::from_secs(10);
    let bye = loop {
        assert!(std::time::Instant::now() < until, "no BYE");
        let received = crate::caller::receive(&caller.sip, Duration::from_secs(1));
        if let Some(bye) = received.filter(|bytes| bytes.starts_with(b"BYE ")) {
            break bye;
        }
    };
    let line = [b"\r\nCall-ID: ", &ids.call_id[..], b"\r\n"].concat();
    assert!(bye.windows(line.len()).any(|w| w == line), "{}", bye.escape_ascii());
    for (number, expected) in [("%00%1b[2J'--", 404), (&"9".repeat(5_000), 414)] {
        let (_, code) = Caller::dial(server.sip, number, b"<sip:odd@x>", b"");
        assert_eq!(code, expected);
    }
}

/// Messages under names that lead elsewhere: what is written down has a file.
async fn leave_messages(server: &Server) {
    let mut callers = Vec::new();
    for (number, (user, shown)) in USERS.iter().enumerate() {
        let ids = Ids {
            call_id: format!("../../message-{number}").into_bytes(),
            from: [b"<sip:", *user, b"@x>;tag=../theirs"].concat(),
            to: format!("<sip:101@{}>", server.sip),
        };
        let (sip, rtp) = (socket("127.0.0.1"), socket("127.0.0.1"));
        let (caller, code) = Caller::dial_as(sip, rtp, server.sip, "101", ids, b"");
        assert_eq!(code, 200, "{shown}");
        callers.push(caller);
    }
    eventually("all messages are being written", Duration::from_secs(20), async || {
        let folder = server.path("recordings");
        let mut names = BTreeSet::new();
        if folder.exists() {
            files(&folder, &mut names);
        }
        let messages = names.iter().filter(|name| name.contains(".wav"));
        (messages.count() == USERS.len()).then_some(())
    })
    .await;
    for mut caller in callers {
        assert_eq!(caller.next("BYE", b"", ""), 200);
    }
}

/// Names that hold nothing of what callers say: days, and recordings by our own ids.
fn is_ours(name: &str) -> bool {
    let id = name.strip_suffix(".part").unwrap_or(name);
    let id = id.strip_suffix(".wav").unwrap_or(id);
    ["allo.", "log", "dialplans", "plan.kdl", "recordings"].iter().any(|k| name.starts_with(k))
        || id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

async fn check(arguments: &[&str]) {
    let json = !arguments.is_empty();
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    let setup = Setup {
        plan: PLAN.to_owned(),
        settings: "[recordings]\nfolder = \"{folder}/recordings\"\n".to_owned(),
        arguments,
        environment: vec![("ALLO_LOG".to_owned(), "trace".to_owned())],
        ..Setup::default()
    };
    let mut server = Server::start(setup).await;
    let kept = call_all(&server);
    call_oddly(&server);
    leave_messages(&server).await;
    let store = Store::open(&DatabaseUrl::Sqlite(server.path("allo.db"))).await.unwrap();
    let filter = CallFilter { limit: 1_000, ..CallFilter::default() };
    let stored = eventually("all calls are written down", Duration::from_secs(20), async || {
        let mut calls = store.calls(&filter).await.unwrap();
        calls.reverse();
        let over = calls.iter().filter(|call| call.ended.is_some()).count();
        (over > kept.len()).then(|| {
            let callers = calls.iter().map(|call| {
                let name = call.caller_name.as_ref().map(|name| name.full().to_owned());
                (call.caller.full().to_owned(), name)
            });
            callers.take(kept.len()).collect::<Vec<_>>()
        })
    })
    .await;
    assert_eq!(stored, kept);

    let (_, state) = get(server.web, "/api/state").await.unwrap();
    serde_json::from_str::<Value>(&state).unwrap();
    let (_, metrics) = get(server.web, "/metrics").await.unwrap();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok() && line.starts_with("allo_"), "{line}");
    }
    let shown =
        String::from_utf8(server.allo(&["calls", "--full", "--limit", "100"]).stdout).unwrap();
    assert!(is_inert(&shown), "{}", shown.escape_debug());
    for name in kept.iter().flat_map(|(user, name)| [Some(user), name.as_ref()]).flatten() {
        assert!(shown.contains(name.as_str()), "{name} is not shown");
    }
    let masked = String::from_utf8(server.allo(&["calls", "--limit", "100"]).stdout).unwrap();
    for (_, name) in &DISPLAYS {
        assert!(!masked.contains(name), "{name} is not masked");
    }
    let list = server.allo(&["calls", "--full", "--json", "--limit", "100"]).stdout;
    let list: Value = serde_json::from_slice(&list).unwrap();
    let calls = list["calls"].as_array().unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let callers: Vec<(Option<String>, Option<String>)> =
        calls.iter().map(|call| (text(&call["caller"]), text(&call["caller-name"]))).collect();
    for (user, name) in &kept {
        assert!(callers.contains(&(Some(user.clone()), name.clone())), "{user} {name:?}");
    }

    server.terminate().await;
    let log = server.log();
    assert!(is_inert(&log), "{}", log.escape_debug());
    assert!(is_a_log(&log, json), "{log}");
    for (_, name) in &DISPLAYS {
        assert!(!log.contains(name), "{name} is in the log");
    }
    let mut names = BTreeSet::new();
    files(&server.path("."), &mut names);
    assert!(names.iter().all(|name| is_ours(name)), "{names:?}");
}

#[tokio::test]
async fn what_callers_write_into_names_is_kept_as_it_came_and_does_no_harm() {
    check(&[]).await;
}

#[tokio::test]
async fn nor_does_it_in_a_log_of_json() {
    check(&["--log", "json"]).await;
}
