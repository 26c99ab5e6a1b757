//! What the prompts of a menu tell to press, and the keys that there are.

use std::collections::BTreeSet;

use super::super::finding::Report;
use super::super::plan::Piece;
use super::super::tree::{GroupTree, Line, LineKind, MenuTree, ScriptTree};
use crate::domain::{Key, Language, RecordingId};
use crate::speech::Catalogue;

/// Reports keys that are spoken of and not there, and such that are there and not spoken of.
pub fn check(tree: &ScriptTree, catalogue: &Catalogue, report: &mut Report<'_>) {
    for menu in tree.menus.values().filter(|menu| menu.keys_whole) {
        let mut named = BTreeSet::new();
        prompt(&menu.prompt, menu, catalogue, report, &mut named);
        for (key, tree) in menu.keys.iter().filter(|(key, _)| !named.contains(*key)) {
            let message = format!("no prompt of this menu tells of key \"{key}\"");
            let hint = "callers will not know of it";
            report.warning_hint(tree.span, message, hint);
        }
    }
    for group in tree.groups.values() {
        line(group, catalogue, report);
    }
}

/// The keys of a line, which prompts of ours and of the plan tell.
fn line(group: &GroupTree, catalogue: &Catalogue, report: &mut Report<'_>) {
    let told = |id: &RecordingId| -> BTreeSet<Key> {
        let texts = Language::ALL.map(|language| catalogue.text(language, id));
        texts.into_iter().flatten().flat_map(keys_named).collect()
    };
    if let Some(key) = &group.offer_key {
        let id = RecordingId::new("phrase/offer-callback");
        if let Some(other) = told(&id).iter().find(|told| **told != key.value) {
            let message = format!("callers are told to press {other} ({id}), not {}", key.value);
            let hint = format!("write key=\"{other}\", or record {id} anew with its text");
            report.error_hint(key.span, message, hint);
        }
    }
    let Some(key) = &group.refuse_key else { return };
    if group.offer_key.as_ref().is_some_and(|offer| offer.value == key.value) {
        let message = format!("key \"{}\" already orders a callback", key.value);
        report.error_hint(key.span, message, "only one of them would work");
    }
    let announced = group.announce.iter().filter_map(|piece| match &piece.value {
        Piece::Recording(id) => Some(told(id)),
        Piece::Value { .. } => None,
    });
    if !announced.flatten().any(|told| told == key.value) {
        let message = format!("nothing that is announced tells of key \"{}\"", key.value);
        let hint = "callers will not know of it; record a notice that says so: announce=\"…\"";
        report.warning_hint(key.span, message, hint);
    }
}

fn prompt(
    lines: &[Line],
    menu: &MenuTree,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
    named: &mut BTreeSet<Key>,
) {
    for line in lines {
        if let LineKind::Say(pieces) = &line.kind {
            for piece in pieces {
                let Piece::Recording(id) = &piece.value else { continue };
                let texts = Language::ALL.map(|language| catalogue.text(language, id));
                let keys: BTreeSet<Key> =
                    texts.into_iter().flatten().flat_map(keys_named).collect();
                for key in keys.iter().filter(|key| !menu.keys.contains_key(*key)) {
                    let message =
                        format!("callers are told to press {key}, and this menu has no such key");
                    let hint = format!("write key \"{key}\" {{ … }}, or say something else");
                    report.error_hint(piece.span, message, hint);
                }
                named.extend(keys);
            }
        }
        for block in line.blocks() {
            prompt(block, menu, catalogue, report, named);
        }
    }
}

/// The keys that a text tells to press: «нажмите два», "press the star key", «клавишу от одного до
/// пяти».
pub fn keys_named(text: &str) -> Vec<Key> {
    let lower = text.to_lowercase().replace('ё', "е");
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '*' | '#'))
        .filter(|word| !word.is_empty())
        .collect();
    let mut keys = row_named(&words);
    for at in 0..words.len() {
        if !matches!(words[at], "нажмите" | "нажми" | "press") {
            continue;
        }
        let mut rest = words[at + 1..].iter().copied();
        let mut expected = true;
        for word in rest.by_ref() {
            match word {
                "клавишу" | "кнопку" | "цифру" | "the" | "key" | "button" => {}
                "или" | "or" | "and" | "и" => expected = true,
                _ => match key_word(word).filter(|_| expected) {
                    Some(key) => {
                        keys.push(key);
                        expected = false;
                    }
                    None => break,
                },
            }
        }
    }
    keys
}

/// «от одного до пяти», "from one to five", if keys are spoken of at all.
fn row_named(words: &[&str]) -> Vec<Key> {
    let speaks_of_keys =
        words.iter().any(|word| word.starts_with("клавиш") || word.starts_with("key"));
    let row = words.windows(4).find_map(|row| match row {
        ["от", first, "до", last] | ["from", first, "to", last] => {
            let digit = |word: &str| key_word(word).and_then(|key| key.as_char().to_digit(10));
            Some(digit(first)?..=digit(last)?)
        }
        _ => None,
    });
    let digits = row.filter(|_| speaks_of_keys).into_iter().flatten();
    let keys = digits.filter_map(|digit| char::from_digit(digit, 10));
    keys.filter_map(|c| Key::try_from(c).ok()).collect()
}

fn key_word(word: &str) -> Option<Key> {
    const WORDS: &[(&str, char)] = &[
        ("ноль", '0'),
        ("один", '1'),
        ("одного", '1'),
        ("единицу", '1'),
        ("два", '2'),
        ("двух", '2'),
        ("двойку", '2'),
        ("три", '3'),
        ("трех", '3'),
        ("тройку", '3'),
        ("четыре", '4'),
        ("четырех", '4'),
        ("пять", '5'),
        ("пяти", '5'),
        ("шесть", '6'),
        ("семь", '7'),
        ("восемь", '8'),
        ("девять", '9'),
        ("звездочку", '*'),
        ("звезду", '*'),
        ("решетку", '#'),
        ("zero", '0'),
        ("one", '1'),
        ("two", '2'),
        ("three", '3'),
        ("four", '4'),
        ("five", '5'),
        ("six", '6'),
        ("seven", '7'),
        ("eight", '8'),
        ("nine", '9'),
        ("star", '*'),
        ("asterisk", '*'),
        ("pound", '#'),
        ("hash", '#'),
    ];
    let spelled = WORDS.iter().find(|(known, _)| *known == word).map(|(_, key)| *key);
    let mut chars = word.chars();
    let written = match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_digit() || matches!(c, '*' | '#') => Some(c),
        _ => None,
    };
    spelled.or(written).and_then(|c| Key::try_from(c).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_heard_in_both_languages() {
        for (text, keys) in [
            ("Чтобы узнать статус заказа, нажмите два.", "2"),
            ("Нажмите ноль или оставайтесь на линии.", "0"),
            ("Если всё верно, нажмите один. Чтобы ввести заново, нажмите два.", "12"),
            ("Нажмите решётку или звёздочку.", "#*"),
            ("Нажмите, пожалуйста, клавишу от одного до пяти.", "12345"),
            ("Оцените разговор от одного до трёх, нажав клавишу на телефоне.", "123"),
            ("Please rate the service from one to five on your keypad.", "12345"),
            ("Осталось от двух до пяти минут.", ""),
            ("To hear this again, press star.", "*"),
            ("Press the 5 key.", "5"),
            ("To return, press pound.", "#"),
            ("You pressed two many keys", ""),
        ] {
            let named: String = keys_named(text).iter().map(|key| key.as_char()).collect();
            assert_eq!(named, keys, "{text}");
        }
    }
}
