//! Who is rung, and when.

use std::collections::VecDeque;
use std::time::Duration;

use allo::domain::CallFact;
use allo::phone::{Call, Desk, DeskCall, DeskFact, Ending, PhoneEvent};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::house::{House, customer_hears, hangs_up, over, voice_of};

const LOGINS: [&str; 3] = ["anna", "boris", "vera"];
/// Operators and customers at once; one customer more than operators.
const CUSTOMERS_MAX: usize = 4;
const CALLS: u32 = 50;
const SEED: u64 = 20_261_122;

/// What the line should do, in a few lines: who has been idle longest takes who has waited longest.
#[derive(Default)]
struct Expected {
    idle: VecDeque<usize>,
    waiting: VecDeque<(u32, Call)>,
    talking: Vec<Talk>,
}

struct Talk {
    operator: usize,
    phone: DeskCall,
    customer: Call,
}

impl Expected {
    /// Whoever can be connected now is.
    async fn settle(&mut self, desks: &[Desk]) {
        while !self.idle.is_empty() && !self.waiting.is_empty() {
            let operator = self.idle.pop_front().unwrap();
            let (number, mut customer) = self.waiting.pop_front().unwrap();
            let invite = desks[operator].next_invite().await.unwrap();
            assert_eq!(invite.from, Some(format!("+7916{number:07}")), "{}", LOGINS[operator]);
            let has_audio = |what: &PhoneEvent| *what == PhoneEvent::FirstAudio;
            desks[operator].in_call(invite.call, has_audio).await.unwrap();
            if number.is_multiple_of(5) {
                customer_hears(&mut customer, voice_of(LOGINS[operator])).await;
            }
            self.talking.push(Talk { operator, phone: invite.call, customer });
        }
    }

    /// A conversation ends; one side or the other hangs up.
    async fn end_one(&mut self, desks: &[Desk], random: &mut StdRng) {
        let Talk { operator, phone, mut customer } =
            self.talking.swap_remove(random.random_range(0..self.talking.len()));
        if random.random() {
            assert_eq!(hangs_up(customer).await, Ending::ByUs);
            assert_eq!(desks[operator].ended(phone).await.unwrap(), Ending::ByServer);
        } else {
            desks[operator].hang_up(phone).await;
            assert_eq!(over(&mut customer).await, Ending::ByServer);
        }
        self.idle.push_back(operator);
        // Two conversations that end within one millisecond end at the same time for the line.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn longest_idle_operators_take_fifty_customers_in_the_order_of_their_coming() {
    let house = House::open("pick \"longest-idle\"", &LOGINS).await;
    let mut desks = Vec::new();
    for login in LOGINS {
        desks.push(house.quick_desk(login).await);
    }
    let mut random = StdRng::seed_from_u64(SEED);
    println!("seed {SEED}");
    // They were logged in at the same moment, so the login decides at first.
    let mut line = Expected { idle: (0..LOGINS.len()).collect(), ..Expected::default() };
    let mut number = 0;
    while number < CALLS || !line.talking.is_empty() {
        let is_full = line.talking.len() + line.waiting.len() == CUSTOMERS_MAX;
        if number < CALLS && !is_full && random.random_ratio(3, 5) {
            number += 1;
            line.waiting.push_back((number, house.customer(number).await));
        } else if !line.talking.is_empty() {
            line.end_one(&desks, &mut random).await;
        }
        line.settle(&desks).await;
    }
    let talks = house
        .records("fifty conversations", |calls| {
            let facts = calls.iter().flat_map(|call| &call.events).map(|event| &event.fact);
            let talks = facts.filter(|fact| matches!(fact, CallFact::Conversed(_))).count();
            (talks == CALLS as usize).then_some(talks)
        })
        .await;
    assert_eq!(talks, CALLS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_conversation_come_wrap_up_and_the_next_customer() {
    let house = House::open("wrap-up \"1s\"", &["anna"]).await;
    let anna = house.quick_desk("anna").await;
    let mut first = house.customer(1).await;
    let talk = anna.next_invite().await.unwrap().call;
    customer_hears(&mut first, voice_of("anna")).await;
    first.begin_hang_up().await;
    let over = |what: &PhoneEvent| matches!(what, PhoneEvent::Ended { .. });
    let ended = anna.in_call(talk, over).await.unwrap();

    let mut second = house.customer(2).await;
    let invite = anna.until(|event| matches!(event.what, DeskFact::Invited(_))).await;
    let wrap_up = invite.unwrap().at - ended;
    assert!(
        (Duration::from_millis(950)..Duration::from_millis(1500)).contains(&wrap_up),
        "{wrap_up:?}"
    );
    customer_hears(&mut second, voice_of("anna")).await;
    hangs_up(second).await;
    let wrap_ups_ms = house
        .records("two conversations", |calls| {
            let facts = calls.iter().flat_map(|call| &call.events).map(|event| &event.fact);
            let wrap_up_ms = |fact: &CallFact| match fact {
                CallFact::Conversed(talk) => Some(talk.wrap_up_ms),
                _ => None,
            };
            let all: Vec<u64> = facts.filter_map(wrap_up_ms).collect();
            (all.len() == 2).then_some(all)
        })
        .await;
    assert!(wrap_ups_ms.iter().all(|ms| (1_000..1_300).contains(ms)), "{wrap_ups_ms:?}");
    let why = house.server.allo(&["why", "last"]);
    let why = String::from_utf8(why.stdout).unwrap();
    assert!(why.contains("wrap-up"), "{why}");
}
