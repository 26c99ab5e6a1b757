//! What networks answer, what becomes of it, and which trunk is asked next.

use std::time::Duration;

use allo::domain::{CallOutcome, PromiseKind, PromiseState};
use allo::phone::{Ending, OnInvite, Provider, ProviderOptions, Script, Tally};
use serde_json::json;

use crate::house::{CUSTOMER_HZ, at_once};
use crate::shop::{Shop, number, operator_and_customer_talk, picks_up, presses, talks};
use crate::support::server::Setup;

const PARCEL: &str = r#"
    group "support" { wrap-up "0s" }
    robot "parcel" {
        when "parcel.arrived"; window "00:00-24:00"
        tries 2 every="1m"; at-once 1; ring "5s"
        say "notice-hello"
        key "1" { hangup }
    }
    callback "callback-ordered" { tries 2 every="1m" }
    number "301" {
        promise "callback-ordered" due="30m" group="support"
        hangup
    }
"#;
const FIRST: u32 = 5_120_600;

/// Second tries follow after a second. A trunk that has just begun a call may leave the next one to
/// the other trunk: here that is not before another millisecond has passed.
fn quickly(setup: &mut Setup) {
    let clock = ["--clock", "2026-11-26T15:00:00+03:00", "--clock-speed", "60"];
    setup.arguments = clock.map(str::to_owned).to_vec();
    setup.settings.push_str("starts-per-second = 1000\n");
}

/// How a number answers by each trunk, and what becomes of it.
struct Case {
    net: Vec<Script>,
    spare: Vec<Script>,
    outcomes: &'static [CallOutcome],
    state: PromiseState,
    /// Calls that each trunk gets.
    calls: (usize, usize),
}

impl Case {
    fn given_up(
        net: Script,
        spare: Script,
        outcomes: &'static [CallOutcome],
        calls: (usize, usize),
    ) -> Self {
        Self { net: vec![net], spare: vec![spare], outcomes, state: PromiseState::GivenUp, calls }
    }

    fn kept(
        net: Script,
        spare: impl IntoIterator<Item = Script>,
        outcomes: &'static [CallOutcome],
        calls: (usize, usize),
    ) -> Self {
        let spare = spare.into_iter().collect();
        Self { net: vec![net], spare, outcomes, state: PromiseState::Kept, calls }
    }
}

/// Two trunks, `net` before `spare`, and customers with these phones, who are all called.
async fn called(cases: Vec<Case>) {
    let spare = Provider::start(ProviderOptions::default()).await.unwrap();
    let shop = Shop::open_with(PARCEL, &[], |setup| {
        quickly(setup);
        let address = spare.address();
        let trunk = format!("[[trunk]]\nname = \"spare\"\naddress = \"{address}\"\n");
        setup.settings.push_str(&trunk);
        setup.settings.push_str("starts-per-second = 1000\n");
    })
    .await;
    for (n, case) in (FIRST..).zip(&cases) {
        shop.provider.on_call(&number(n), case.net.clone()).await;
        spare.on_call(&number(n), case.spare.clone()).await;
    }
    let numbers = (FIRST..).take(cases.len()).map(number);
    let event = |phone| json!({"event": "parcel.arrived", "phone": phone});
    shop.tell(&numbers.map(event).collect()).await;
    for (n, case) in (FIRST..).zip(&cases) {
        let promise = shop.promise(&number(n), PromiseKind::Reminder, case.state).await;
        let which = n - FIRST;
        assert_eq!(shop.outcomes(&promise).await, case.outcomes, "case {which}");
        let calls = [&shop.provider, &spare].map(|trunk| trunk.tally().times(&number(n)));
        assert_eq!((calls[0], calls[1]), case.calls, "case {which}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_says_of_a_number_is_heeded() {
    use CallOutcome::{Answered, Blocked, Busy, Congested, NoAnswer, Unallocated};
    let answers = || presses("500ms,1");
    let soon = Duration::from_millis(300);
    called(vec![
        Case::given_up(Script::refuses(486), answers(), &[Busy, Busy], (2, 0)),
        Case::given_up(Script::rings_then_refuses(soon, 486), answers(), &[Busy, Busy], (2, 0)),
        Case::given_up(Script::refuses(603), answers(), &[Blocked], (1, 0)),
        Case::given_up(Script::refuses(404), answers(), &[Unallocated], (1, 0)),
        Case::kept(Script::refuses(503), [answers()], &[Answered], (1, 1)),
        // The phone is switched off, as both networks say.
        Case::given_up(Script::refuses(480), Script::refuses(480), &[NoAnswer, NoAnswer], (2, 2)),
        // The network tells something before nobody picks up.
        Case::given_up(
            Script::rings().with_early_media(),
            answers(),
            &[NoAnswer, NoAnswer],
            (2, 0),
        ),
        // Nobody's phone rang: that does not count.
        Case::kept(
            Script::refuses(503),
            [Script::refuses(503), answers()],
            &[Congested, Answered],
            (2, 2),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_trunk_says_nothing_the_next_one_is_asked() {
    let silent = Script::never_replies();
    let answers = [presses("500ms,1")];
    called(vec![Case::kept(silent, answers, &[CallOutcome::Answered], (1, 1))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_tries_again_when_a_customer_was_busy() {
    let shop = Shop::open_with(PARCEL, &["anna"], quickly).await;
    let anna = shop.operator("anna").await;
    let phone = number(5_130_604);
    shop.provider.on_call(&phone, [Script::refuses(486), talks("callback-ordered")]).await;
    shop.house.server.call(&phone, "301").await.ended().await;
    let vain = anna.next_invite().await.unwrap();
    anna.ended(vain.call).await.unwrap();
    let talk = operator_and_customer_talk(&anna, &shop, &phone, 2).await;
    anna.hang_up(talk.desk).await;
    let kept = shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Kept).await;
    assert_eq!(shop.outcomes(&kept).await, [CallOutcome::Busy, CallOutcome::Answered]);
    shop.books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_whose_operator_is_gone_is_not_rung_on_and_called_by_the_next_one() {
    let shop = Shop::open_with(PARCEL, &["anna"], quickly).await;
    let anna = shop.operator("anna").await;
    let phone = number(5_130_611);
    shop.provider.on_call(&phone, [Script::rings(), talks("callback-ordered")]).await;
    shop.house.server.call(&phone, "301").await.ended().await;
    let invite = anna.next_invite().await.unwrap();
    let rung = shop.provider.nth_call(&phone, 1).await.unwrap();
    anna.hang_up(invite.call).await;
    assert_eq!(shop.provider.ended(rung.call).await.unwrap(), Ending::Withdrawn);
    let talk = operator_and_customer_talk(&anna, &shop, &phone, 2).await;
    anna.hang_up(talk.desk).await;
    let kept = shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Kept).await;
    let outcomes = [CallOutcome::Withdrawn, CallOutcome::Answered];
    assert_eq!(shop.outcomes(&kept).await, outcomes);
    assert_eq!((kept.attempts, kept.not_counted), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_does_not_pick_up_costs_the_customer_no_call() {
    let shop = Shop::open_with(PARCEL, &["anna", "boris"], quickly).await;
    let anna = shop.house.desk_with("anna", |options| options.on_invite = OnInvite::Refuse(486));
    let anna = anna.await;
    shop.house.until_state("anna", "ready").await;
    let phone = number(5_130_628);
    shop.provider.on_call(&phone, [picks_up(), picks_up()]).await;
    shop.house.server.call(&phone, "301").await.ended().await;
    anna.next_invite().await.unwrap();
    let boris = shop.house.desk_with("boris", |options| options.on_invite = at_once()).await;
    let invite = boris.next_invite().await.unwrap();
    let called = shop.provider.nth_call(&phone, 1).await.unwrap();
    shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Talking).await;
    boris.hang_up(invite.call).await;
    shop.provider.ended(called.call).await.unwrap();
    shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Kept).await;
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&phone), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_picked_up_is_not_left_alone_by_an_operator_who_hangs_up() {
    let shop = Shop::open_with(PARCEL, &["anna", "boris"], quickly).await;
    let anna = shop.operator("anna").await;
    let phone = number(5_130_639);
    shop.provider.on_call(&phone, [talks("callback-ordered")]).await;
    shop.house.server.call(&phone, "301").await.ended().await;
    let invite = anna.next_invite().await.unwrap();
    let boris = shop.operator("boris").await;
    let is_up = |tally: &Tally| tally.calls_to(&phone).find(|call| call.is_up()).cloned();
    let customer = shop.provider.until(is_up).await.unwrap();
    anna.hang_up(invite.call).await;
    let invite = boris.next_invite().await.unwrap();
    boris.hears_tone(invite.call, CUSTOMER_HZ).await.unwrap();
    boris.hang_up(invite.call).await;
    shop.provider.ended(customer.call).await.unwrap();
    let kept = shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Kept).await;
    assert_eq!(shop.outcomes(&kept).await, [CallOutcome::Answered]);
    shop.books_agree().await;
}
