use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn any_text_is_either_rows_or_mistakes(text in "(phone|name|points|[,;\\t\"\r\n+0-9a-zж ]){0,60}") {
        let mut mistakes = Mistakes::default();
        let source = || Some(Source::text("x.csv", &text));
        let parsed = Parsed::of(source(), source(), Region::default(), &mut mistakes);
        if mistakes.none_or_error().is_ok() {
            prop_assert!(parsed.order_columns.contains("number"));
            prop_assert!(parsed.customers.iter().all(|row| row.phone.starts_with('+')));
        }
    }
}

#[test]
fn one_number_has_at_most_a_hundred_customers() {
    let rows: String = (0..101).map(|n| format!("+79161112233,{n}\n")).collect();
    let source = Source::text("x.csv", &format!("phone,name\n{rows}"));
    let mut mistakes = Mistakes::default();
    Parsed::of(Some(source), None, Region::default(), &mut mistakes);
    assert_eq!(mistakes.named.len(), 1);
    assert_eq!(mistakes.named[0].line, Some(102));
}

#[test]
fn a_database_never_sees_a_phone_divided() {
    let row = |phone: usize| CustomerRow { phone: phone.to_string(), ..CustomerRow::default() };
    let mut rows: Vec<CustomerRow> = (0..1_500).map(|n| row(10_000 + n / 7)).collect();
    let chunks: Vec<_> = chunks_of_whole_phones(&mut rows).map(|c| c.to_vec()).collect();
    assert_eq!(chunks.len(), 3);
    for pair in chunks.windows(2) {
        assert_ne!(pair[0].last().map(|row| &row.phone), pair[1].first().map(|row| &row.phone));
    }
}
