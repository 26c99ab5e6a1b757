use proptest::prelude::*;

use super::super::catalogue::tests::shipped;
use super::super::{Gender, number_words, same_words};
use super::*;
use Language::{English, Russian};

const TODAY: Date = date(2026, 11, 20);

/// The numbers that break grammars.
fn hard_numbers() -> impl Iterator<Item = u32> {
    (0..=100).chain([
        111,
        121,
        200,
        1_000,
        1_001,
        1_002,
        2_000,
        5_000,
        11_000,
        21_000,
        100_000,
        101_000,
        111_000,
        121_345,
        300_000,
        1_000_000,
        1_001_000,
        1_101_001,
        2_345_678,
        20_000_000,
        21_000_000,
        22_000_021,
        25_000_000,
        100_000_000,
        101_000_001,
        999_999_999,
    ])
}

fn say(language: Language, format: Format, value: Value) -> Spoken {
    speak(language, format, &value, TODAY, &shipped()).unwrap()
}

fn ids(spoken: &Spoken) -> Vec<&str> {
    spoken.recordings.iter().map(RecordingId::as_str).collect()
}

/// What is heard, in words; every recording must be in the catalogue.
fn heard(language: Language, spoken: &Spoken, catalogue: &Catalogue) -> String {
    for id in &spoken.recordings {
        assert!(catalogue.contains(language, id), "{language}: no recording {id}");
    }
    spoken_text(language, &spoken.recordings, catalogue).replace(',', "").to_lowercase()
}

/// A count by rule: number and noun, independent of the recordings.
fn count_by_rule(language: Language, n: u32, gender: Gender, nouns: [&str; 3]) -> String {
    let number = number_words(language, u64::from(n), gender);
    let noun = match (language, n % 10, n % 100) {
        (English, ..) => usize::from(n != 1),
        (Russian, _, 11..=14) => 2,
        (Russian, 1, _) => 0,
        (Russian, 2..=4, _) => 1,
        (Russian, ..) => 2,
    };
    format!("{number} {}", nouns[noun])
}

fn points_by_rule(language: Language, n: u32) -> String {
    let nouns = match language {
        Russian => ["балл", "балла", "баллов"],
        English => ["point", "points", ""],
    };
    count_by_rule(language, n, Gender::Masculine, nouns)
}

fn money_by_rule(language: Language, rubles: u32, kopecks: u32) -> String {
    let (ruble, kopeck) = match language {
        Russian => (["рубль", "рубля", "рублей"], ["копейка", "копейки", "копеек"]),
        English => (["ruble", "rubles", ""], ["kopeck", "kopecks", ""]),
    };
    let rubles_words = count_by_rule(language, rubles, Gender::Masculine, ruble);
    let kopecks_words = count_by_rule(language, kopecks, Gender::Feminine, kopeck);
    match (rubles, kopecks) {
        (_, 0) => rubles_words,
        (0, _) => kopecks_words,
        _ => format!("{rubles_words} {kopecks_words}"),
    }
}

fn assert_points(language: Language, n: u32, catalogue: &Catalogue) {
    let value = Value::Number(i64::from(n));
    let spoken = speak(language, Format::Points, &value, TODAY, catalogue).unwrap();
    assert_eq!(heard(language, &spoken, catalogue), points_by_rule(language, n));
    assert!(same_words(language, &spoken.text, &points_by_rule(language, n)), "{}", spoken.text);
    let spoken = speak(language, Format::Number, &value, TODAY, catalogue).unwrap();
    let number = number_words(language, u64::from(n), Gender::Masculine);
    assert_eq!(heard(language, &spoken, catalogue), number);
    assert_eq!(spoken.text, n.to_string());
}

fn assert_money(language: Language, rubles: u32, kopecks: u32, catalogue: &Catalogue) {
    let value = Value::Money(Money(i64::from(rubles) * 100 + i64::from(kopecks)));
    let spoken = speak(language, Format::Rubles, &value, TODAY, catalogue).unwrap();
    let by_rule = money_by_rule(language, rubles, kopecks);
    assert_eq!(heard(language, &spoken, catalogue), by_rule);
    assert!(same_words(language, &spoken.text, &by_rule), "{}", spoken.text);
}

#[test]
fn hard_numbers_are_right_in_both_languages() {
    let catalogue = shipped();
    for language in Language::ALL {
        for n in hard_numbers() {
            assert_points(language, n, &catalogue);
            for kopecks in [0, 1, 2, 5, 11, 21, 50, 99] {
                assert_money(language, n, kopecks, &catalogue);
            }
        }
    }
}

#[test]
fn points_are_joined_from_the_longest_recordings() {
    let points = |n| say(Russian, Format::Points, Value::Number(n));
    for (n, joined, text) in [
        (0, "count/point/00", "0 баллов"),
        (1_254, "thousand/01 number/200 count/point/54", "1254 балла"),
        (300, "number/300 count/point/many", "300 баллов"),
        (1_000, "thousand/01 count/point/many", "1000 баллов"),
        (101_000, "number/100 number/01-feminine thousand/01 count/point/many", "101000 баллов"),
        (121_001, "number/100 thousand/21 count/point/01", "121001 балл"),
        (300_000, "number/300 thousand/many count/point/many", "300000 баллов"),
        (22_000_000, "number/20 million/02 count/point/many", "22000000 баллов"),
        (25_000_012, "number/25 million/many count/point/12", "25000012 баллов"),
    ] {
        let spoken = points(n);
        assert_eq!(ids(&spoken).join(" "), joined);
        assert_eq!(spoken.text, text);
    }
    let english = say(English, Format::Points, Value::Number(1_254));
    let joined = "number/01 thousand/many number/200 number/54 count/point/many";
    assert_eq!(ids(&english).join(" "), joined);
    assert_eq!(english.text, "1254 points");
}

#[test]
fn rubles_rise_before_kopecks() {
    let spoken = say(Russian, Format::Rubles, Value::Money(Money(234_150)));
    let joined = "thousand/02 number/300 count/ruble-medial/41 count/kopeck/50";
    assert_eq!(ids(&spoken).join(" "), joined);
    assert_eq!(spoken.text, "2341 рубль 50 копеек");
    let whole = say(Russian, Format::Rubles, Value::Number(200));
    assert_eq!(ids(&whole), ["number/200", "count/ruble/many"]);
    assert_eq!(whole.text, "200 рублей");
    let debt = speak(Russian, Format::Rubles, &Value::Money(Money(-5)), TODAY, &shipped());
    assert_eq!(debt, Err(Unspeakable::OutOfRange(-1)));
}

#[test]
fn plain_numbers_fall_at_the_end() {
    for (n, joined) in [
        (0, "number-end/00"),
        (300, "number-end/300"),
        (354, "number/300 number-end/54"),
        (2_000, "thousand/02"),
        (2_300, "thousand/02 number-end/300"),
    ] {
        assert_eq!(ids(&say(Russian, Format::Number, Value::Number(n))).join(" "), joined);
    }
}

#[test]
fn order_numbers_are_read_digit_by_digit() {
    for (number, joined) in [
        ("48-15", "digit/4 digit/8 digit/1 digit-end/5"),
        ("А-1007", "digit/1 digit/0 digit/0 digit-end/7"),
        (" 7 ", "digit-end/7"),
        ("7Ж№\u{0}", "digit-end/7"),
    ] {
        for language in Language::ALL {
            let spoken = say(language, Format::Digits, Value::Text(number.into()));
            assert_eq!(ids(&spoken).join(" "), joined);
            assert_eq!(spoken.text, number.trim());
        }
    }
    for number in ["", "АБВ", "--", "ⅷ"] {
        let value = Value::Text(number.into());
        let spoken = speak(Russian, Format::Digits, &value, TODAY, &shipped());
        assert_eq!(spoken, Err(Unspeakable::Empty), "{number}");
    }
    let endless = say(Russian, Format::Digits, Value::Text("9".repeat(10_000)));
    assert_eq!(endless.recordings.len(), DIGITS_MAX);
}

#[test]
fn a_letter_is_spelled_where_it_is_recorded() {
    let mut catalogue = shipped();
    catalogue.add_tsv(Russian, "id\ttext\nletter/а\tа,\n").unwrap();
    let value = Value::Text("А1Б".into());
    let spoken = speak(Russian, Format::Digits, &value, TODAY, &catalogue).unwrap();
    assert_eq!(ids(&spoken), ["letter/а", "digit-end/1"]);
}

#[test]
fn dates_are_ordinals_and_near_days_have_names() {
    let day = |d: i8| Value::Date(date(2026, 11, d));
    let on = say(Russian, Format::Date, day(21));
    assert_eq!(ids(&on), ["date/day-21-genitive", "date/month-11"]);
    assert_eq!(on.text, "21 ноября");
    assert_eq!(heard(Russian, &on, &shipped()), "двадцать первого ноября");
    let named = say(Russian, Format::Day, day(23));
    assert_eq!(heard(Russian, &named, &shipped()), "двадцать третье ноября");
    for (d, id, text) in [
        (19, "date/yesterday", "вчера"),
        (20, "date/today", "сегодня"),
        (21, "date/tomorrow", "завтра"),
    ] {
        let spoken = say(Russian, Format::Day, day(d));
        assert_eq!((ids(&spoken), spoken.text.as_str()), (vec![id], text));
    }
    let english = say(English, Format::Day, day(23));
    assert_eq!(ids(&english), ["date/month-11", "date/day-23"]);
    assert_eq!(english.text, "November 23");
    let typed = say(English, Format::Date, Value::Text("2026-11-23".into()));
    assert_eq!(typed, english);
}

#[test]
fn every_day_of_the_year_reads_back_in_both_languages() {
    let catalogue = shipped();
    for day in days_of_a_leap_year() {
        for language in Language::ALL {
            for format in [Format::Date, Format::Day] {
                let value = Value::Date(day);
                let spoken = speak(language, format, &value, TODAY, &catalogue).unwrap();
                let heard = heard(language, &spoken, &catalogue);
                assert!(same_words(language, &spoken.text, &heard), "{} {heard}", spoken.text);
            }
        }
    }
}

#[test]
fn times_are_read_on_the_24_hour_clock() {
    let catalogue = shipped();
    for (time, russian, english) in [
        ("14:30", "четырнадцать часов тридцать минут", "fourteen thirty"),
        ("01:00", "один час", "one zero zero"),
        ("00:21", "ноль часов двадцать одна минута", "zero twenty one"),
        ("22:02", "двадцать два часа две минуты", "twenty two zero two"),
    ] {
        for (language, words) in [(Russian, russian), (English, english)] {
            let spoken = say(language, Format::Time, Value::Text(time.into()));
            assert_eq!(heard(language, &spoken, &catalogue), words);
        }
    }
    let at = date(2026, 11, 21).at(9, 5, 59, 0);
    assert_eq!(say(Russian, Format::Time, Value::DateTime(at)).text, "9:05");
}

#[test]
fn durations_above_a_minute_are_rounded_up() {
    let catalogue = shipped();
    for (seconds, text, words) in [
        (0, "0 секунд", "ноль секунд"),
        (41, "41 секунда", "сорок одна секунда"),
        (60, "1 минута", "одна минута"),
        (61, "2 минуты", "две минуты"),
        (3_599, "1 час", "один час"),
        (3_901, "1 час 6 минут", "один час шесть минут"),
        (151_200, "42 часа", "сорок два часа"),
        (144_000, "40 часов", "сорок часов"),
    ] {
        let spoken = say(Russian, Format::Duration, Value::Duration(seconds));
        assert_eq!(spoken.text, text);
        assert_eq!(heard(Russian, &spoken, &catalogue), words);
    }
    let minutes = say(Russian, Format::Minutes, Value::Duration(4_441));
    assert_eq!(heard(Russian, &minutes, &catalogue), "семьдесят пять минут");
    assert_eq!(say(English, Format::Minutes, Value::Number(1)).text, "1 minute");
}

#[test]
fn an_unknown_status_is_still_a_status() {
    for (word, id) in [
        ("shipped", "status/shipped"),
        ("In_Transit", "status/in-transit"),
        ("Передан в доставку", "status/shipped"),
        ("На вашем счёте", "status/unknown"),
        ("на складе у Ивана", "status/unknown"),
        ("", "status/unknown"),
    ] {
        assert_eq!(ids(&say(Russian, Format::Status, Value::Text(word.into()))), [id]);
    }
    let shipped = say(Russian, Format::Status, Value::Text("shipped".into()));
    assert_eq!(shipped.text, "передан в доставку");
    let delivered = say(English, Format::Status, Value::Text("delivered".into()));
    assert_eq!(delivered.text, "is delivered. Thank you for your purchase!");
}

#[test]
fn sentences_stay_sentences_when_joined() {
    let joined = ["phrase/greeting", "phrase/points-are", "count/point/02", "phrase/menu-points"]
        .map(RecordingId::new);
    assert_eq!(
        spoken_text(Russian, &joined, &shipped()),
        "Здравствуйте! Вы позвонили на горячую линию магазина. На вашем счёте два балла. Чтобы \
         услышать баланс баллов, нажмите один"
    );
}

#[test]
fn what_cannot_be_spoken_says_why() {
    let catalogue = shipped();
    let why = |format, value| speak(Russian, format, &value, TODAY, &catalogue).unwrap_err();
    assert_eq!(why(Format::Points, Value::Number(-1)), Unspeakable::OutOfRange(-1));
    let too_many = 1_000_000_000;
    assert_eq!(why(Format::Points, Value::Number(too_many)), Unspeakable::OutOfRange(too_many));
    let endless = Value::Duration(u64::MAX);
    assert_eq!(why(Format::Duration, endless), Unspeakable::OutOfRange(i64::MAX));
    assert_eq!(why(Format::Number, Value::Text(" ".into())), Unspeakable::Empty);
    assert_eq!(why(Format::Date, Value::Number(1)).to_string(), "a number can't be spoken as date");
    assert!(matches!(why(Format::Time, Value::Date(TODAY)), Unspeakable::WrongKind { .. }));
    assert!(matches!(why(Format::Points, Value::Text("x".into())), Unspeakable::WrongKind { .. }));
}

#[test]
fn format_names_survive_and_others_are_explained() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "point".parse::<Format>().unwrap_err();
    assert!(error.to_string().starts_with("\"point\" is not a format; use points, rubles"));
}

#[test]
fn the_shipped_recordings_are_all_that_any_format_needs() {
    let catalogue = shipped();
    for language in Language::ALL {
        for format in Format::ALL {
            let needed = needed(format, language);
            assert!(!needed.is_empty());
            let missing: Vec<_> =
                needed.iter().filter(|id| !catalogue.contains(language, id)).collect();
            assert!(missing.is_empty(), "{language} {format}: {missing:?}");
        }
        assert_eq!(statuses(&catalogue, language), COMMON_STATUSES);
    }
}

proptest! {
    #[test]
    fn every_number_reads_back_to_its_words(n in 0..=NUMBER_MAX, kopecks in 0_u32..100) {
        // One catalogue for all cases would hide nothing, and loading it takes most of the time.
        thread_local! { static CATALOGUE: Catalogue = shipped(); }
        CATALOGUE.with(|catalogue| {
            for language in Language::ALL {
                for n in [n, n % 1_000_000, n % 10_000] {
                    assert_points(language, n, catalogue);
                    assert_money(language, n, kopecks, catalogue);
                }
            }
        });
    }

    #[test]
    fn no_number_uses_a_recording_that_the_check_did_not_ask_for(
        n in 0..=NUMBER_MAX, kopecks in 0_i64..100, all in prop::bool::ANY,
    ) {
        thread_local! {
            static NEEDED: std::collections::BTreeMap<(Language, Format), BTreeSet<RecordingId>> =
                Language::ALL
                    .into_iter()
                    .flat_map(|l| Format::ALL.map(|f| ((l, f), needed(f, l).into_iter().collect())))
                    .collect();
        }
        let n = i64::from(if all { n } else { n % 100_000 });
        let catalogue = Catalogue::default();
        for language in Language::ALL {
            for (format, value) in [
                (Format::Points, Value::Number(n)),
                (Format::Number, Value::Number(n)),
                (Format::Rubles, Value::Number(n)),
                (Format::Rubles, Value::Money(Money(n * 100 + kopecks))),
                (Format::Minutes, Value::Number(n)),
                (Format::Duration, Value::Number(n)),
                (Format::Digits, Value::Number(n)),
            ] {
                let spoken = speak(language, format, &value, TODAY, &catalogue).unwrap();
                NEEDED.with(|needed| for id in &spoken.recordings {
                    assert!(needed[&(language, format)].contains(id), "{format} {n}: {id}");
                });
            }
        }
    }

    #[test]
    fn no_text_breaks_any_format(text in any::<String>(), other in any::<String>()) {
        let mut catalogue = Catalogue::default();
        let _ = catalogue.add_tsv(Russian, &text);
        for language in Language::ALL {
            for format in Format::ALL {
                let _ = speak(language, format, &Value::Text(text.clone()), TODAY, &catalogue);
            }
            prop_assert!(same_words(language, &text, &text));
            same_words(language, &text, &other);
        }
    }
}
