//! A plan speaks only what was recorded, in each language in which it is spoken.

use super::*;

#[test]
fn a_recording_must_exist_in_each_language_that_is_spoken_there() {
    let mut catalogue = catalogue();
    catalogue.retain(|language, id| {
        language != Language::English || id.as_str() != "phrase/menu-language"
    });
    let findings = |prompt: &str| -> Vec<String> {
        let text = format!(
            "number \"100\" {{ go \"main\" }}\nmenu \"main\" {{\n{prompt}\n key \"8\" {{ language \"en\"; repeat; }}\n}}\n"
        );
        match load(&[source(&text)], &catalogue, &Settings::default()) {
            Ok(loaded) => loaded.warnings.iter().map(brief).collect(),
            Err(found) => found.iter().map(brief).collect(),
        }
    };
    let found = findings("say \"menu-language\"");
    assert_eq!(found, ["3:5 error: recording phrase/menu-language is missing in en"]);
    let found = findings("if \"language == 'ru'\" { say \"menu-language\" }");
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_language_without_recordings_is_one_finding() {
    let mut catalogue = Catalogue::default();
    catalogue
        .add_tsv(Language::English, "id\ttext\nphrase/greeting\tHello!\nphrase/goodbye\tBye!\n")
        .unwrap();
    let text = source("number \"100\" {\n say \"greeting\"\n say \"greeting\"\n}\n");
    let found = load(&[text], &catalogue, &Settings::default()).unwrap_err();
    let all: Vec<String> = found.iter().map(brief).collect();
    assert_eq!(all, ["2:6 error: there are no recordings in ru"]);
}

#[test]
fn the_recordings_of_a_format_are_needed_whole() {
    let mut catalogue = Catalogue::default();
    catalogue
        .add_tsv(Language::English, "id\ttext\nphrase/goodbye\tBye!\ndigit/0\tzero,\n")
        .unwrap();
    let text = source("language \"en\"\nnumber \"100\" {\n say \"{call.number:digits}\"\n}\n");
    let found = load(&[text], &catalogue, &Settings::default()).unwrap_err();
    let all: Vec<String> = found.iter().map(brief).collect();
    assert_eq!(
        all,
        [
            "3:6 error: to speak call.number as digits the recording digit-end/0 and 18 more is missing in en"
        ]
    );
}
