//! What a conversation was about.

use super::*;

/// Anna's phone, after the caller of a group with topics hung up.
fn after_a_conversation(house: &mut House) -> LegId {
    let caller = house.customer("+79161112233");
    let phone = house.pick_up("anna");
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    assert!(!house.hung_up.contains(&phone), "the code can be typed");
    phone
}

fn house() -> House {
    let topics = [("12", "Доставка"), ("4", "Возврат")];
    let topics = topics.map(|(code, name)| (code.to_owned(), name.to_owned()));
    House::with(&["anna"], |group| group.topics = BTreeMap::from(topics))
}

fn type_keys(house: &mut House, leg: LegId, keys: &str) {
    for c in keys.chars() {
        let (key, source) = (Key::try_from(c).unwrap(), KeySource::Event);
        house.tell(Event::KeyPressed { leg, key, source });
    }
}

fn topic(house: &House) -> Option<&str> {
    house.facts.iter().find_map(|(_, fact)| match fact {
        CallFact::Conversed(conversation) => conversation.topic.as_deref(),
        _ => None,
    })
}

#[test]
fn a_topic_is_typed_after_the_caller_hung_up() {
    let mut house = house();
    let phone = after_a_conversation(&mut house);
    type_keys(&mut house, phone, "12#");
    assert!(house.hung_up.contains(&phone));
    house.pass(20_000);
    assert_eq!(topic(&house), Some("12"));
}

#[test]
fn a_code_that_the_group_does_not_know_is_typed_again() {
    let mut house = house();
    let phone = after_a_conversation(&mut house);
    type_keys(&mut house, phone, "13#");
    assert_eq!(house.heard(phone), ["code/unknown"]);
    assert!(!house.hung_up.contains(&phone));
    type_keys(&mut house, phone, "4#");
    assert!(house.hung_up.contains(&phone));
    house.pass(20_000);
    assert_eq!(topic(&house), Some("4"));
}

#[test]
fn the_phone_is_free_again_when_wrap_up_ends_without_a_topic() {
    let mut house = house();
    let phone = after_a_conversation(&mut house);
    house.pass(19_000);
    assert!(!house.hung_up.contains(&phone));
    house.pass(1_000);
    assert_eq!(house.hung_up, [phone]);
    assert_eq!(topic(&house), None);
    assert!(matches!(house.state("anna"), OperatorState::Ready { .. }));
    assert!(house.hub.legs.is_empty());
}

#[test]
fn an_operator_who_hangs_up_instead_of_the_last_key_has_named_the_topic() {
    let mut house = house();
    let phone = after_a_conversation(&mut house);
    type_keys(&mut house, phone, "12");
    house.end(phone, HUNG_UP.0, HUNG_UP.1);
    house.pass(20_000);
    assert_eq!(topic(&house), Some("12"));
}

#[test]
fn a_topic_is_dialled_from_another_line_too() {
    let mut house = house();
    let phone = after_a_conversation(&mut house);
    for (dialled, said) in [("*44*99", "code/unknown"), ("*44*12", "code/topic-noted")] {
        let desk = house.dial("anna", dialled);
        assert_eq!(house.heard(desk.leg), [said]);
        house.end(desk.leg, HUNG_UP.0, HUNG_UP.1);
    }
    let done = house.dial("anna", "*49");
    assert_eq!(house.heard(done.leg), ["code/wrap-up-done"]);
    assert!(house.hung_up.contains(&phone));
    assert_eq!(topic(&house), Some("12"));
}
