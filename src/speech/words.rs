//! Numbers as words, and texts compared by their words.
//!
//! Nothing here knows the recordings: a number is spelled by rule, so that what the recordings say
//! can be checked against it.

use std::collections::BTreeSet;

use super::catalogue::normalised;
use crate::domain::Language;

/// The gender of what is counted; it decides one and two in Russian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    Masculine,
    Feminine,
    Neuter,
}

impl Gender {
    pub const ALL: [Self; 3] = [Self::Masculine, Self::Feminine, Self::Neuter];
}

/// Spells a number: «тысяча двести пятьдесят четыре», "one thousand two hundred fifty four".
/// Above 999,999,999 digit by digit. English has no gender.
pub fn number_words(language: Language, n: u64, gender: Gender) -> String {
    let mut words = Vec::new();
    match (language, n) {
        (_, 1_000_000_000..) => {
            for digit in n.to_string().bytes() {
                words.push(digit_word(language, digit));
            }
        }
        (_, 0) => words.push(digit_word(language, b'0')),
        (Language::Russian, _) => spell_russian(n, gender, &mut words),
        (Language::English, _) => spell_english(n, &mut words),
    }
    words.join(" ")
}

fn digit_word(language: Language, digit: u8) -> &'static str {
    let value = usize::from(digit.saturating_sub(b'0').min(9));
    match (language, value) {
        (Language::Russian, 0) => "ноль",
        (Language::Russian, _) => RU_BELOW_TWENTY[value],
        (Language::English, 0) => "zero",
        (Language::English, _) => EN_BELOW_TWENTY[value],
    }
}

fn spell_russian(n: u64, gender: Gender, words: &mut Vec<&'static str>) {
    let scales = [
        (1_000_000, Gender::Masculine, ["миллион", "миллиона", "миллионов"]),
        (1_000, Gender::Feminine, ["тысяча", "тысячи", "тысяч"]),
    ];
    for (scale, gender, [one, few, many]) in scales {
        let group = index(n / scale % 1_000);
        // A number that begins with one thousand begins with «тысяча».
        if group > 0 && !(n / scale == 1 && scale == 1_000) {
            russian_group(group, gender, words);
        }
        match (group, group % 100, group % 10) {
            (0, ..) => {}
            (_, 11..=14, _) => words.push(many),
            (_, _, 1) => words.push(one),
            (_, _, 2..=4) => words.push(few),
            _ => words.push(many),
        }
    }
    russian_group(index(n % 1_000), gender, words);
}

fn russian_group(group: usize, gender: Gender, words: &mut Vec<&'static str>) {
    let below_hundred = group % 100;
    let (tens, last) =
        if below_hundred < 20 { (0, below_hundred) } else { (below_hundred / 10, group % 10) };
    let last = match (last, gender) {
        (1, Gender::Feminine) => "одна",
        (1, Gender::Neuter) => "одно",
        (2, Gender::Feminine) => "две",
        _ => RU_BELOW_TWENTY[last],
    };
    let spelled = [RU_HUNDREDS[group / 100], RU_TENS[tens], last];
    words.extend(spelled.into_iter().filter(|word| !word.is_empty()));
}

fn spell_english(n: u64, words: &mut Vec<&'static str>) {
    for (scale, name) in [(1_000_000, "million"), (1_000, "thousand"), (1, "")] {
        let group = index(n / scale % 1_000);
        if group == 0 {
            continue;
        }
        if group >= 100 {
            words.extend([EN_BELOW_TWENTY[group / 100], "hundred"]);
        }
        let tail = group % 100;
        let (tens, last) = if tail < 20 { (0, tail) } else { (tail / 10, tail % 10) };
        let spelled = [EN_TENS[tens], EN_BELOW_TWENTY[last], name];
        words.extend(spelled.into_iter().filter(|word| !word.is_empty()));
    }
}

/// Of a number below a thousand.
fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// Whether two texts say the same: equal but for case, punctuation and spacing, where a number in
/// digits equals its words in any gender (`120 баллов` = «сто двадцать баллов»), its digits one by
/// one (`48-15` = «четыре восемь один пять») and, up to 31, the day of a month
/// (`21 ноября` = «двадцать первого ноября»).
pub fn same_words(language: Language, a: &str, b: &str) -> bool {
    let (a, b) = (Lattice::of(language, a), Lattice::of(language, b));
    let mut seen = BTreeSet::from([(0, 0)]);
    let mut open = vec![(0, 0)];
    while let Some((at_a, at_b)) = open.pop() {
        if (at_a, at_b) == (a.end, b.end) {
            return true;
        }
        for (word, next_a) in &a.edges[at_a] {
            for (_, next_b) in b.edges[at_b].iter().filter(|(other, _)| other == word) {
                if seen.insert((*next_a, *next_b)) {
                    open.push((*next_a, *next_b));
                }
            }
        }
    }
    false
}

/// All ways to read a text aloud: each path from node 0 to `end` spells one.
struct Lattice {
    /// From each node: a word, and the node after it.
    edges: Vec<Vec<(String, usize)>>,
    end: usize,
}

impl Lattice {
    fn of(language: Language, text: &str) -> Self {
        let text = normalised(text);
        let tokens: Vec<&str> = text.split_whitespace().collect();
        let mut lattice = Self { edges: vec![Vec::new(); tokens.len() + 1], end: tokens.len() };
        for (at, token) in tokens.iter().enumerate() {
            if !is_digits(token) {
                lattice.edges[at].push(((*token).to_owned(), at + 1));
                continue;
            }
            for reading in readings(language, token) {
                lattice.add(at, &reading, at + 1);
            }
            // `1 254`: groups of three digits are one number.
            if token.len() > 3 {
                continue;
            }
            let mut whole = (*token).to_owned();
            for (next, group) in tokens.iter().enumerate().skip(at + 1) {
                if whole.len() > 6 || group.len() != 3 || !is_digits(group) {
                    break;
                }
                whole.push_str(group);
                for reading in readings(language, &whole) {
                    lattice.add(at, &reading, next + 1);
                }
            }
        }
        lattice
    }

    /// Adds a path of words between two nodes.
    fn add(&mut self, from: usize, words: &str, to: usize) {
        let mut at = from;
        let mut words = words.split(' ').peekable();
        while let Some(word) = words.next() {
            let next = if words.peek().is_some() { self.edges.len() } else { to };
            if next == self.edges.len() {
                self.edges.push(Vec::new());
            }
            self.edges[at].push((word.to_owned(), next));
            at = next;
        }
    }
}

fn is_digits(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_digit())
}

/// How digits may be read aloud, normalised.
fn readings(language: Language, digits: &str) -> Vec<String> {
    let one_by_one: Vec<&str> = digits.bytes().map(|digit| digit_word(language, digit)).collect();
    let mut readings = vec![one_by_one.join(" ")];
    if let Ok(n) = digits.parse::<u64>() {
        readings.extend(Gender::ALL.map(|gender| number_words(language, n, gender)));
        readings.extend(day_words(language, n));
    }
    readings
}

/// The day of a month: in Russian in the genitive and the nominative. Without `ё`.
fn day_words(language: Language, day: u64) -> Vec<String> {
    let (round, last) = match day {
        1..=20 | 30 => ("", index(day)),
        21..=29 | 31 => (if day < 30 { "twenty " } else { "thirty " }, index(day % 10)),
        _ => return Vec::new(),
    };
    match language {
        Language::English if last == 30 => vec!["thirtieth".to_owned()],
        Language::English => vec![format!("{round}{}", EN_ORDINALS[last])],
        Language::Russian => {
            let round = match round {
                "" => "",
                "twenty " => "двадцать ",
                _ => "тридцать ",
            };
            let stem = if last == 30 { "тридцат" } else { RU_ORDINAL_STEMS[last] };
            let endings = if last == 3 { ["ьего", "ье"] } else { ["ого", "ое"] };
            endings.map(|ending| format!("{round}{stem}{ending}")).to_vec()
        }
    }
}

const RU_BELOW_TWENTY: [&str; 20] = [
    "",
    "один",
    "два",
    "три",
    "четыре",
    "пять",
    "шесть",
    "семь",
    "восемь",
    "девять",
    "десять",
    "одиннадцать",
    "двенадцать",
    "тринадцать",
    "четырнадцать",
    "пятнадцать",
    "шестнадцать",
    "семнадцать",
    "восемнадцать",
    "девятнадцать",
];
const RU_TENS: [&str; 10] = [
    "",
    "",
    "двадцать",
    "тридцать",
    "сорок",
    "пятьдесят",
    "шестьдесят",
    "семьдесят",
    "восемьдесят",
    "девяносто",
];
const RU_HUNDREDS: [&str; 10] = [
    "",
    "сто",
    "двести",
    "триста",
    "четыреста",
    "пятьсот",
    "шестьсот",
    "семьсот",
    "восемьсот",
    "девятьсот",
];
/// Of the first to the twentieth, without the ending and with `е` for `ё`.
const RU_ORDINAL_STEMS: [&str; 21] = [
    "",
    "перв",
    "втор",
    "трет",
    "четверт",
    "пят",
    "шест",
    "седьм",
    "восьм",
    "девят",
    "десят",
    "одиннадцат",
    "двенадцат",
    "тринадцат",
    "четырнадцат",
    "пятнадцат",
    "шестнадцат",
    "семнадцат",
    "восемнадцат",
    "девятнадцат",
    "двадцат",
];
const EN_BELOW_TWENTY: [&str; 20] = [
    "",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const EN_TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const EN_ORDINALS: [&str; 21] = [
    "",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
];

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{English, Russian};

    #[test]
    fn numbers_are_spelled_by_rule() {
        use Gender::{Feminine, Masculine, Neuter};
        for (n, gender, words) in [
            (0, Masculine, "ноль"),
            (1, Feminine, "одна"),
            (1, Neuter, "одно"),
            (2, Neuter, "два"),
            (12, Feminine, "двенадцать"),
            (122, Feminine, "сто двадцать две"),
            (1_000, Masculine, "тысяча"),
            (1_254, Masculine, "тысяча двести пятьдесят четыре"),
            (101_000, Masculine, "сто одна тысяча"),
            (300_000, Masculine, "триста тысяч"),
            (1_001_001, Feminine, "один миллион одна тысяча одна"),
            (12_011_021, Masculine, "двенадцать миллионов одиннадцать тысяч двадцать один"),
            (2_002_002, Feminine, "два миллиона две тысячи две"),
            (1_000_000_002, Masculine, "один ноль ноль ноль ноль ноль ноль ноль ноль два"),
        ] {
            assert_eq!(number_words(Russian, n, gender), words, "{n}");
        }
        for (n, words) in [
            (0, "zero"),
            (1_254, "one thousand two hundred fifty four"),
            (1_000_011, "one million eleven"),
            (300_020, "three hundred thousand twenty"),
        ] {
            assert_eq!(number_words(English, n, Masculine), words, "{n}");
        }
    }

    #[test]
    fn digits_and_words_compare_equal() {
        for (a, b) in [
            ("120 баллов", "сто двадцать баллов"),
            ("1 254 балла.", "Тысяча двести пятьдесят четыре балла"),
            ("1254 балла", "1 254 балла"),
            ("2341 рубль 50 копеек", "две тысячи триста сорок один рубль, пятьдесят копеек"),
            ("1 копейка", "одна копейка"),
            ("1 письмо", "одно письмо"),
            ("48-15", "четыре восемь один пять"),
            ("21 ноября", "двадцать первого ноября"),
            ("3 марта", "третье марта"),
            ("30 апреля", "тридцатого апреля"),
            ("На вашем счете", "на вашем счёте,"),
            ("", ".,!"),
        ] {
            assert!(same_words(Russian, a, b), "{a} = {b}");
            assert!(same_words(Russian, b, a), "{b} = {a}");
        }
        for (a, b) in [
            ("120 баллов", "сто двадцать балла"),
            ("120", "сто"),
            ("", "120"),
            ("1 254", "один двести пятьдесят пять"),
            ("1254 300", "миллион двести пятьдесят четыре тысячи триста"),
        ] {
            assert!(!same_words(Russian, a, b), "{a} != {b}");
        }
        assert!(same_words(English, "November 21", "November, twenty first."));
        assert!(same_words(English, "1254 points", "one thousand two hundred fifty four points"));
    }

    #[test]
    fn a_long_text_of_numbers_is_compared_without_trying_all_readings() {
        let a = "121 ".repeat(500);
        assert!(same_words(Russian, &a, &a));
        assert!(!same_words(Russian, &a, &"сто двадцать одна ".repeat(499)));
    }
}
