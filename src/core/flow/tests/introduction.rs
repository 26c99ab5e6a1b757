//! What operators are told of callers, and of customers who are to be called back.

use jiff::tz::TimeZone;

use super::*;
use crate::domain::{Customer, Order};

fn introduced(customer: Customer) -> Flow {
    let mut scene = Scene::silent(group());
    scene.flow.knowledge.set_customers(vec![customer]);
    scene.flow
}

#[test]
fn an_operator_sees_who_calls() {
    let order = |number: &str| Order { number: number.into(), ..Order::default() };
    let anna = |name: &str, vip, orders| Customer {
        name: Some(name.into()),
        vip,
        orders,
        manager: Some(" Boris ".into()),
        ..Customer::default()
    };
    for (customer, expected) in [
        (anna("Анна", false, vec![]), "Анна"),
        (anna("Анна Петрова", true, vec![order("4815")]), "Анна П. · VIP · заказ 4815"),
        (anna("Анна Петрова", false, vec![order("4815")]), "Анна Петрова · заказ 4815"),
        (anna("Константин Константинопольский", true, vec![]), "Константин К. · VIP"),
        (anna(&"а".repeat(40), true, vec![]), &"а".repeat(30)),
        (anna("А\"<b>\r\nБ", false, vec![]), "Аb Б"),
        (anna("  ", true, vec![]), "VIP"),
    ] {
        let flow = introduced(customer);
        assert_eq!(flow.display().as_deref(), Some(expected));
        assert!(expected.chars().count() <= 30);
        assert_eq!(flow.manager().as_ref().map(|login| login.as_str()), Some("boris"));
    }
    assert_eq!(Scene::silent(group()).flow.display(), None);
}

#[test]
fn a_callers_rank_is_the_sum_of_what_holds() {
    let priorities = [("customer.vip", 10), ("customer.found", 3), ("caller.anonymous", 50)];
    let priorities = priorities.map(|(name, n)| (name.to_owned(), n)).to_vec();
    let ranked = Group { priorities, ..group() };
    let vip = introduced(Customer { vip: true, ..Customer::default() });
    assert_eq!(vip.priority(&ranked), 13);
    assert_eq!(Scene::silent(group()).flow.priority(&ranked), 0);
}

#[test]
fn an_operator_sees_whom_to_call_back_why_and_until_when() {
    let due = Timestamp(45_600_000);
    let shown =
        |language, kind, label| display_callback(language, kind, label, due, &TimeZone::UTC);
    for (kind, label, expected) in [
        (PromiseKind::CallbackMissed, None, "Перезвон · пропущен · до 12:40"),
        (PromiseKind::CallbackOrdered, None, "Перезвон · по просьбе · 12:40"),
        (PromiseKind::CallbackFromLine, None, "Перезвон · из очереди · 12:40"),
        (PromiseKind::CallbackLowRating, None, "Перезвон · оценка · до 12:40"),
        (PromiseKind::Incident, Some("VI"), "Перезвон · VI · до 12:40"),
        (PromiseKind::Incident, Some("Товара нет 4815"), "Товара нет 4815 · до 12:40"),
        (
            PromiseKind::Incident,
            Some("Товара\r\n нет, заказ \"48-15\""),
            "Товара нет, заказ · до 12:40",
        ),
    ] {
        assert_eq!(shown(Language::Russian, kind, label), expected);
    }
    let ordered = shown(Language::English, PromiseKind::CallbackOrdered, None);
    assert_eq!(ordered, "Callback · ordered · by 12:40");
    for language in [Language::Russian, Language::English] {
        for kind in PromiseKind::ALL {
            assert!(shown(language, kind, None).chars().count() <= 30);
        }
    }
}
