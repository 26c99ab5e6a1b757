use super::*;

fn shown(text: &str) -> String {
    parse(text).map(|parsed| parsed.condition.to_string()).unwrap_or_else(|wrong| {
        format!("{}..{} {}", wrong.span.start, wrong.span.end, wrong.message)
    })
}

#[test]
fn and_binds_closer_than_or_and_not_closer_than_both() {
    for (text, meaning) in [
        ("customer.found", "customer.found"),
        (
            "not customer.found or crm.available and order.found",
            "not customer.found or (crm.available and order.found)",
        ),
        (
            "(customer.found or order.found) and not (caller.known or caller.anonymous)",
            "(customer.found or order.found) and not (caller.known or caller.anonymous)",
        ),
        ("customer.points>=100", "customer.points >= 100"),
        ("100 < customer.points", "customer.points > 100"),
        ("customer.balance < 50.5", "customer.balance < 50.5"),
        ("order.status == 'shipped'", "order.status == 'shipped'"),
        ("closed('магазин') and language != 'en'", "closed('магазин') and language != 'en'"),
        ("card == '4815'", "card == '4815'"),
        ("waited>5m or promise.open", "waited > 300s or promise.open"),
        (
            "event.balance < 50 and event.tariff == 'x'",
            "event.balance < 50 and event.tariff == 'x'",
        ),
        ("customer.language == language", "customer.language == language"),
    ] {
        assert_eq!(shown(text), meaning, "{text}");
    }
}

#[test]
fn mistakes_are_pointed_at() {
    for (text, place_and_message) in [
        ("", "0..0 the condition is empty"),
        ("customer.foud", "0..13 \"customer.foud\" is not known; did you mean \"customer.found\"?"),
        ("order.found = 1", "12..13 a single = compares nothing"),
        ("order.status < 'new'", "13..14 a status cannot be compared with <"),
        (
            "customer.points == 'ten'",
            "19..24 customer.points is a number, which cannot be compared with this",
        ),
        ("customer.vip == true", "16..20 \"true\" is not written"),
        ("waited > 300", "9..12 waited is a span of time, which cannot be compared with this"),
        (
            "customer.points > 5s",
            "18..20 customer.points is a number, which cannot be compared with this",
        ),
        ("customer.vip == 1", "16..17 customer.vip is yes or no"),
        ("order.found and", "15..15 a name or a value is missing before the end"),
        ("(order.found", "12..12 a closing ) is missing here"),
        ("closed(shop)", "7..11 the name of the hours is missing"),
        ("weekend('shop')", "0..7 \"weekend\" is not known"),
        ("order.status == 'new", "16..20 this text has no closing '"),
        ("order.found && customer.found", "12..13 \"&\" is not known here"),
        ("1 == 1", "0..1 two fixed values are compared"),
        ("order.found customer.found", "12..26 \"customer.found\" is not expected here"),
        ("{customer.points} > 5", "0..1 braces are not written in conditions"),
        ("language == 'de'", "12..16 language \"de\" is not spoken here; use \"ru\" or \"en\""),
        ("5s", "0..2 this alone is neither true nor false"),
        (
            "order.due == '2026-01-01'",
            "13..25 order.due is a date, which cannot be compared with this",
        ),
    ] {
        assert_eq!(shown(text), place_and_message, "{text}");
    }
}

#[test]
fn what_must_exist_is_listed() {
    let parsed = parse("closed('shop') or order.status == 'new' or card").unwrap();
    let uses: Vec<String> = parsed.uses.iter().map(|u| format!("{u:?}")).collect();
    assert_eq!(uses.len(), 4);
    assert!(uses[0].contains("Hours") && uses[0].contains("start: 7"));
    assert!(uses[2].contains("Status") && uses[3].contains("Variable"));
}

#[test]
fn what_is_said_only_in_one_language_is_known() {
    let known = |text: &str| parse(text).unwrap().condition.known_for("en");
    assert_eq!(known("language == 'ru'"), Some(false));
    assert_eq!(known("not language == 'ru' or order.found"), Some(true));
    assert_eq!(known("language == 'en' and order.found"), None);
    assert_eq!(known("language == 'ru' and order.found"), Some(false));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_row_of_tokens_is_read_or_refused(
        words in proptest::collection::vec(
            proptest::sample::select(vec!["not", "and", "or", "(", ")", "order.found", "==", "<", "5", "'x'", "closed(", "x"]),
            0..80,
        )
    ) {
        let _ = parse(&words.join(" "));
    }
}
