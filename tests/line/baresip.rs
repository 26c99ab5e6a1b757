//! Operators with phones that are not ours, and customers of SIPp.

use allo::domain::{CallFact, Login, Timestamp};
use allo::store::CallRecord;

use crate::audio::{PURITY_MIN, newest, purity};
use crate::house::{CUSTOMER_HZ, House, PASSWORD, SOON, customer_hears, hangs_up, voice_of};
use crate::support::eventually;
use crate::support::peers::{Baresip, sipp};

const LOGINS: [&str; 2] = ["anna", "boris"];
/// Customers who are heard and hear, and customers of SIPp.
const LISTENERS: u32 = 6;
const SIPP_CALLS: usize = 14;

/// A minute of a tone.
fn tone(hz: u32) -> Vec<i16> {
    let turn = std::f64::consts::TAU * f64::from(hz) / 8_000.0;
    (0..8_000 * 60).map(|n| (8_000.0 * (turn * f64::from(n)).sin()) as i16).collect()
}

/// Who began to talk when, and until when, by the records.
fn talks(calls: &[CallRecord]) -> Vec<(Timestamp, Timestamp, Login)> {
    let facts = calls.iter().flat_map(|call| &call.events).map(|event| &event.fact);
    let mut talks: Vec<_> = facts
        .filter_map(|fact| match fact {
            CallFact::Conversed(talk) => {
                let ended = talk.began.plus_ms(talk.talk_ms + talk.hold_ms + talk.wrap_up_ms);
                Some((talk.began, ended, talk.operator.clone()))
            }
            _ => None,
        })
        .collect();
    talks.sort();
    talks
}

#[tokio::test(flavor = "multi_thread")]
async fn two_baresips_take_turns_hear_their_customers_and_are_heard() {
    let house = House::open("wrap-up \"0s\"", &LOGINS).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut phones = Vec::new();
    for (login, folder) in LOGINS.iter().zip(&folders) {
        let voice = tone(voice_of(login));
        let server = house.server.sip;
        phones.push(Baresip::answer(folder.path(), login, PASSWORD, server, &voice));
        house.until_state(login, "ready").await;
    }
    for number in 0..LISTENERS {
        let login = LOGINS[number as usize % 2];
        let mut customer = house.customer(number).await;
        customer_hears(&mut customer, voice_of(login)).await;
        // baresip names its files by the second.
        eventually("a second of the operator", SOON, async || {
            let heard = customer.heard().await?;
            let second = newest(heard.samples(), 1_000);
            (second.len() == 8_000 && purity(second, voice_of(login)) > PURITY_MIN).then_some(())
        })
        .await;
        hangs_up(customer).await;
        house.until_state(login, "ready").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let calls = SIPP_CALLS.to_string();
    let arguments = ["-sn", "uac", "-s", "300", "-m", &calls, "-l", "2", "-r", "10", "-d", "200"];
    let output = sipp(folder.path(), house.server.sip, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let talks = house.records("talks", |calls| Some(talks(calls))).await;
    let mut idle_since = std::collections::BTreeMap::new();
    for (began, ended, login) in &talks {
        let free = LOGINS.iter().filter(|other| {
            idle_since.get(**other).is_none_or(|since: &Timestamp| *since < *began)
        });
        let longest = free.min_by_key(|other| idle_since.get(**other).copied());
        assert_eq!(longest.copied(), Some(login.as_str()), "at {began:?}: {talks:?}");
        idle_since.insert(login.as_str(), *ended);
    }
    assert!(talks.len() >= LISTENERS as usize + SIPP_CALLS / 2, "{talks:?}");
    for phone in phones {
        let heard = phone.quit_all();
        let listened = heard.iter().filter(|samples| {
            let end = samples.len() / 4 * 3;
            end > 4_000 && purity(newest(&samples[..end], 200), CUSTOMER_HZ) > PURITY_MIN
        });
        assert!(listened.count() >= LISTENERS as usize / 2);
    }
}
