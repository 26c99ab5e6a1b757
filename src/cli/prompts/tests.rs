use super::*;
use Language::{English, Russian};

/// A folder with one recording that is whole, one without file and one without text.
fn folder() -> (tempfile::TempDir, Catalogue) {
    let folder = tempfile::tempdir().unwrap();
    let tsv = "id\ttext\nphrase/whole\tЭто есть.\nphrase/silent\tЭтого нет.";
    fs::create_dir_all(folder.path().join("ru")).unwrap();
    fs::write(folder.path().join("ru/catalogue.tsv"), tsv).unwrap();
    for id in ["phrase/whole", "tip/wordless"] {
        wav::write(&folder.path().join(format!("ru/{id}.wav")), &[1, 2, 3]).unwrap();
    }
    let catalogue = read(&folder);
    (folder, catalogue)
}

fn read(folder: &tempfile::TempDir) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let tsv = fs::read_to_string(folder.path().join("ru/catalogue.tsv")).unwrap();
    catalogue.add_tsv(Russian, &tsv).unwrap();
    catalogue
}

fn wanted(kdl: &str) -> Wanted {
    let mut wanted = Wanted::default();
    wanted.add_plan(kdl).unwrap();
    wanted
}

fn gap(id: &str, text: Option<&str>, kind: GapKind) -> Gap {
    Gap { language: Russian, id: RecordingId::new(id), text: text.map(str::to_owned), kind }
}

#[test]
fn every_gap_is_found_with_what_is_to_be_spoken() {
    let (folder, catalogue) = folder();
    let plan = "language \"ru\"\nmenu \"main\" {\n  say \"whole\" \"это есть\" \"sale\"\n  key \"1\" {\n    \
                say \"Скидки начнутся в пятницу, ждём!\" \"{order.number:digits}\"\n  }\n}\n";
    let gaps = missing(folder.path(), &catalogue, &wanted(plan)).unwrap();
    let (digits, others): (Vec<Gap>, Vec<Gap>) =
        gaps.into_iter().partition(|gap| gap.id.as_str().starts_with("digit"));
    assert_eq!(digits.len(), 20);
    assert_eq!(
        others,
        [
            gap("phrase/sale", None, GapKind::Unknown),
            gap("phrase/silent", Some("Этого нет."), GapKind::NoFile),
            gap(
                "phrase/skidki-nachnutsia-v-piatnitsu-zhdem",
                Some("Скидки начнутся в пятницу, ждём!"),
                GapKind::NewText
            ),
            gap("tip/wordless", None, GapKind::NoText),
        ]
    );
}

#[test]
fn the_shipped_recordings_have_no_gap() {
    let prompts = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
    let mut catalogue = Catalogue::default();
    for language in Language::ALL {
        let path = prompts.join(language.code()).join("catalogue.tsv");
        catalogue.add_tsv(language, &fs::read_to_string(path).unwrap()).unwrap();
    }
    let wanted = wanted("language \"en\"\nnumber \"1\" { say \"points-are\" \"{a.b:points}\"; }\n");
    assert!(wanted.recordings(English).count() > 100);
    assert_eq!(missing(&prompts, &catalogue, &wanted).unwrap(), []);
}

#[test]
fn ids_are_made_of_words_and_never_taken_twice() {
    let mut taken = BTreeSet::new();
    for (text, id) in [
        ("Мы открыты!", "phrase/my-otkryty"),
        ("Мы открыты.", "phrase/my-otkryty-2"),
        ("Подъём, Щука № 5", "phrase/podem-shchuka-5"),
        ("… !", "phrase/text"),
        ("日 本", "phrase/text-2"),
    ] {
        let made = wanted::id_for(text, &taken);
        assert_eq!(made.as_str(), id);
        taken.insert(made);
    }
    let long = wanted::id_for(&"щ".repeat(1_000), &taken);
    assert!(long.as_str().len() < 60);
}

/// A program that copies its input beside the file it writes.
fn program(script: &str) -> Vec<String> {
    ["sh", "-c", script, "sh", "{file}"].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_new_text_is_spoken_and_gets_its_row() {
    let (folder, catalogue) = folder();
    let sound = folder.path().join("sound.wav");
    wav::write(&sound, &[7; 800]).unwrap();
    let heard = folder.path().join("heard.txt");
    let script = format!("cat > {}; cp {} \"$1\"", heard.display(), sound.display());
    let plan = wanted("number \"1\" { say \"Скидка \\\"$(id)\\\"\" ; }");
    let gaps = missing(folder.path(), &catalogue, &plan).unwrap();
    for gap in gaps.iter().filter(|gap| gap.can_be_rendered()) {
        assert_eq!(render(folder.path(), gap, &program(&script)).await.unwrap(), 100);
    }
    // What a text holds never reaches a shell.
    assert_eq!(fs::read_to_string(heard).unwrap(), "Скидка \"$(id)\"\n");
    let catalogue = read(&folder);
    let id = catalogue.find_text(Russian, "скидка id").unwrap();
    assert_eq!(id.as_str(), "phrase/skidka-id");
    let left = missing(folder.path(), &catalogue, &plan).unwrap();
    assert_eq!(left, [gap("tip/wordless", None, GapKind::NoText)]);
    let again = render(folder.path(), &gaps[0], &program(&script)).await.unwrap_err();
    assert!(again.to_string().ends_with("is already there"), "{again}");
}

#[tokio::test]
async fn a_program_that_fails_says_why_and_leaves_nothing() {
    let (folder, _) = folder();
    let silent = gap("phrase/silent", Some("Этого нет."), GapKind::NoFile);
    for (command, complaint) in [
        (program("echo no such voice >&2; exit 3"), "sh: no such voice"),
        (program("exit 1"), "sh: it failed without a word"),
        (program("cat > /dev/null"), "sh: no WAV file was written"),
        (program("cat > \"$1\""), "sh: not a WAV file"),
        (vec!["/no/such/program".into(), "{file}".into()], "can't start /no/such/program"),
        (vec!["sh".into()], "the command sh has no argument {file}"),
        (vec![], "the command is empty"),
    ] {
        let error = render(folder.path(), &silent, &command).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with(complaint), "{error}");
    }
    assert!(!folder.path().join("ru/phrase/silent.wav").exists());
    let wordless = gap("tip/wordless", None, GapKind::NoText);
    assert!(render(folder.path(), &wordless, &program("true")).await.is_err());
}
