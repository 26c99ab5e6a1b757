//! A hotline at work: the server, its operators, their phones, and customers who call.

use std::time::Duration;

use allo::config::DatabaseUrl;
use allo::domain::{Account, Attendance, Login, Operator, Role, Timestamp};
use allo::phone::{
    AudioOptions, Call, CallOptions, Desk, DeskCall, DeskFact, DeskOptions, Ending, OnInvite,
    PhoneEvent, TimelineEvent,
};
use allo::store::{CallFilter, CallRecord, Store};

use super::eventually;
use super::server::{Server, Setup, get};

/// What everybody's phone proves.
pub const PASSWORD: &str = "kX7vQ2mZt9-kX7vQ2mZt9";
/// The number that leads into the line of the group `support`.
pub const LINE: &str = "300";
/// The tone of a customer, and of a second one.
pub const CUSTOMER_HZ: u32 = 1500;
pub const OTHER_CUSTOMER_HZ: u32 = 1720;
/// Who works here: login, extension, groups, tone. Gleb is the supervisor. The tone that is heard
/// while waiting has 425 Hz.
pub const PEOPLE: [(&str, &str, &[&str], u32); 5] = [
    ("anna", "201", &["support"], 540),
    ("boris", "202", &["support"], 680),
    ("vera", "203", &["support"], 820),
    ("dasha", "204", &["sales"], 1020),
    ("gleb", "209", &[], 1240),
];
/// Waited for what needs no more than a moment, on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// A server with operators.
pub struct House {
    pub server: Server,
    pub store: Store,
}

impl House {
    /// `support` is the text of the group's block. `at_work` are logged in to all their groups as
    /// soon as their phones are there.
    pub async fn open(support: &str, at_work: &[&str]) -> Self {
        Self::open_with(support, at_work, Setup::default()).await
    }

    /// The same with more settings.
    pub async fn open_with(support: &str, at_work: &[&str], setup: Setup) -> Self {
        let plan = format!(
            "language \"ru\"\ntimezone \"Europe/Moscow\"\ntransfer-to \"+7495*\"\n\
             number \"{LINE}\" {{ queue \"support\" }}\n\
             group \"support\" {{\n{support}\n}}\n\
             group \"sales\" {{ wrap-up \"0s\" }}\n"
        );
        Self::of_plan(at_work, Setup { plan, ..setup }).await
    }

    /// The same with a plan of its own.
    pub async fn of_plan(at_work: &[&str], setup: Setup) -> Self {
        // A pair of ports rests for five seconds after each call.
        let mut server = Server::prepare(&Setup { rtp_ports: 2_000, ..setup.clone() });
        if !setup.customers.is_empty() || !setup.orders.is_empty() {
            server.import(&setup.customers, &setup.orders);
        }
        let database = DatabaseUrl::Sqlite(server.path("allo.db"));
        let store = Store::open(&database).await.unwrap();
        for person in PEOPLE {
            add(&store, person, at_work.contains(&person.0)).await;
        }
        server.launch().await;
        Self { server, store }
    }

    /// The phone of an operator, registered. It rings until the test picks up.
    pub async fn desk(&self, login: &str) -> Desk {
        self.desk_with(login, |_| {}).await
    }

    /// A phone that picks up at once.
    pub async fn quick_desk(&self, login: &str) -> Desk {
        self.desk_with(login, |options| options.on_invite = at_once()).await
    }

    pub async fn desk_with(&self, login: &str, change: impl FnOnce(&mut DeskOptions)) -> Desk {
        let mut options = DeskOptions::new(self.server.sip, login, PASSWORD);
        options.audio = AudioOptions {
            voice_hz: Some(voice_of(login)),
            listens_for_hz: voices(),
            ..AudioOptions::default()
        };
        change(&mut options);
        let desk = Desk::start(options).await.unwrap();
        let registered = desk.register().await.unwrap();
        assert!(matches!(registered, DeskFact::Registered { .. }), "{login}: {registered:?}");
        desk
    }

    /// A customer in the line of `support`; `number` ends in these digits.
    pub async fn customer(&self, digits: u32) -> Call {
        self.customer_with(digits, |_| {}).await
    }

    pub async fn customer_with(&self, digits: u32, change: impl FnOnce(&mut CallOptions)) -> Call {
        let from = format!("+7916{digits:07}");
        self.server
            .call_with(&from, LINE, |mut options| {
                options.voice_hz = Some(CUSTOMER_HZ);
                options.listens_for_hz = voices();
                change(&mut options);
                options
            })
            .await
    }

    /// Waits until `/api/state` shows the operator in this state: `ready`, `unreachable` …
    pub async fn until_state(&self, login: &str, state: &str) {
        eventually(&format!("{login} is {state}"), 2 * SOON, async || {
            let (_, body) = get(self.server.web, "/api/state").await.ok()?;
            let house: serde_json::Value = serde_json::from_str(&body).unwrap();
            let mut operators = house["operators"].as_array().unwrap().iter();
            let operator = operators.find(|operator| operator["login"] == login).unwrap();
            (operator["state"] == state).then_some(())
        })
        .await;
    }

    /// The records of all calls, oldest first, once they tell what is looked for.
    pub async fn records<T>(&self, what: &str, find: impl Fn(&[CallRecord]) -> Option<T>) -> T {
        eventually(what, 3 * SOON, async || {
            let filter = CallFilter { limit: 1_000, ..CallFilter::default() };
            let mut calls = self.store.calls(&filter).await.unwrap();
            calls.reverse();
            find(&calls)
        })
        .await
    }
}

async fn add(
    store: &Store,
    (login, extension, groups, _): (&str, &str, &[&str], u32),
    at_work: bool,
) {
    let login: Login = login.parse().unwrap();
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let operator = Operator {
        extension: Some(extension.parse().unwrap()),
        groups: groups.clone(),
        role: if login.as_str() == "gleb" { Role::Supervisor } else { Role::Operator },
        ..Operator::named(login.clone())
    };
    let account = Account::new(login.clone(), "allo", PASSWORD, None);
    store.add_operator(&operator, &account).await.unwrap();
    if at_work {
        let attendance = Attendance { groups, paused: None };
        store.set_attendance(&login, &attendance, Timestamp(0)).await.unwrap();
    }
}

/// Picks up as soon as it is called.
pub fn at_once() -> OnInvite {
    OnInvite::Answer { after: Duration::ZERO }
}

/// The tone that this operator speaks with.
pub fn voice_of(login: &str) -> u32 {
    PEOPLE.iter().find(|person| person.0 == login).expect("one of the people").3
}

pub fn extension_of(login: &str) -> &'static str {
    PEOPLE.iter().find(|person| person.0 == login).expect("one of the people").1
}

pub fn voices() -> Vec<u32> {
    PEOPLE.iter().map(|person| person.3).chain([CUSTOMER_HZ, OTHER_CUSTOMER_HZ]).collect()
}

/// Waits until the customer hears this tone.
pub async fn customer_hears(call: &mut Call, hz: u32) {
    let began = call.event(|what| *what == PhoneEvent::ToneBegan { hz });
    let began = tokio::time::timeout(SOON, began).await;
    assert!(matches!(began, Ok(Some(_))), "the customer does not hear {hz} Hz: {began:?}");
}

/// Waits until the customer does not hear this tone any more.
pub async fn customer_hears_no_more(call: &mut Call, hz: u32) {
    let ended = call.event(|what| *what == PhoneEvent::ToneEnded { hz });
    let ended = tokio::time::timeout(SOON, ended).await;
    assert!(matches!(ended, Ok(Some(_))), "the customer hears {hz} Hz on: {ended:?}");
}

/// Waits until the customer's call is over. Unlike [`Call::ended`] it does not wait for stragglers.
pub async fn over(call: &mut Call) -> Ending {
    let ended = call.event(|what| matches!(what, PhoneEvent::Ended { .. }));
    match tokio::time::timeout(SOON, ended).await {
        Ok(Some(TimelineEvent { what: PhoneEvent::Ended { why }, .. })) => why,
        other => panic!("the customer's call goes on: {other:?}"),
    }
}

/// The customer hangs up.
pub async fn hangs_up(mut call: Call) -> Ending {
    call.begin_hang_up().await;
    over(&mut call).await
}

/// The operator's phone is called, picks up by itself, and hears the customer.
pub async fn picks_up(desk: &Desk) -> DeskCall {
    let call = desk.next_invite().await.unwrap().call;
    desk.in_call(call, |what| *what == PhoneEvent::FirstAudio).await.unwrap();
    call
}
