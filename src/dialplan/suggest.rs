//! "Did you mean …?"

/// The candidate that `word` was most likely meant to be: at most a third of its letters are
/// wrong. Of equally near ones the first in the alphabet.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LETTERS_MAX: usize = 64;
    let letters: Vec<char> = word.chars().flat_map(char::to_lowercase).take(LETTERS_MAX).collect();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .filter_map(|candidate| {
            let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            let allowed = (letters.len().max(other.len()) / 3).max(1);
            if letters.len().abs_diff(other.len()) > allowed || other.len() < 2 {
                return None;
            }
            let distance = distance(&letters, &other);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// What the eye does not see in a message that quotes an admin's word and ours: Russian letters
/// among Latin ones, and characters without a shape.
pub fn unseen(message: &str) -> Option<String> {
    let invisible =
        |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    if message.contains(invisible) {
        return Some("there is an invisible character in it: delete the word, type it anew".into());
    }
    let of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let is_cyrillic = |c: &char| ('\u{400}'..='\u{4ff}').contains(c);
    let mixed = message.split(|c| !of_word(c)).find(|word| {
        word.contains(|c: char| c.is_ascii_alphabetic()) && word.contains(|c| is_cyrillic(&c))
    })?;
    let letters: Vec<String> = mixed.chars().filter(is_cyrillic).map(String::from).collect();
    let letters = letters.join(", ");
    Some(format!("Russian letters stand among the Latin ones of {mixed}: {letters}"))
}

/// Letters inserted, dropped, replaced, or swapped with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_only_look_right_are_named() {
        assert_eq!(
            unseen("step \"welсome\" is not defined").as_deref(),
            Some("Russian letters stand among the Latin ones of welсome: с")
        );
        assert_eq!(unseen("step \"продажи\" is not defined"), None);
        assert!(unseen("statement \"say\u{200b}\" is not known").is_some());
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = ["sales", "support", "main", "status/shipped", "продажи"];
        for (word, meant) in [
            ("sale", Some("sales")),
            ("suport", Some("support")),
            ("mian", Some("main")),
            ("status/shiped", Some("status/shipped")),
            ("Продажа", Some("продажи")),
            ("billing", None),
            ("", None),
        ] {
            assert_eq!(closest(word, known), meant, "{word}");
        }
    }
}
