//! What is ordered to be said long before it is heard.

use super::*;

#[test]
fn what_is_said_ahead_is_shared_by_all_callers_until_it_is_written_down() {
    let pieces: Arc<[Piece]> = [recording("tip/01"), recording("tip/02")].into();
    let entry = vec![Statement::Say(pieces.clone()); 4];
    let mut scene = Scene::new("+79161112233", Language::Russian, entry, group());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    assert_eq!(Arc::strong_count(&pieces), 1 + 4, "nothing is copied for one caller");

    scene.pass(60_000);
    assert_eq!(Arc::strong_count(&pieces), 1, "nothing stays of what was heard");
    let catalogue = catalogue();
    let words = |id| catalogue.text(Language::Russian, &RecordingId::new(id)).unwrap();
    let both = format!("{} {}", words("tip/01"), words("tip/02"));
    let said = scene.facts.iter().filter_map(|fact| match fact {
        CallFact::Said { recordings, text, .. } => Some((recordings.len(), text.as_str())),
        _ => None,
    });
    assert!(said.take(4).eq([(2, both.as_str()); 4]));
}

#[test]
fn a_value_is_written_down_as_it_was_said_even_if_it_changes_meanwhile() {
    let digits =
        |name: &str| Piece::Value { name: name.to_owned(), format: crate::speech::Format::Digits };
    let said = Statement::Say([recording("phrase/you-entered"), digits("number")].into());
    let mut scene = Scene::new("+79161112233", Language::Russian, vec![said], group());
    scene.flow.knowledge_mut().set_variable("number", "48".to_owned());
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene.flow.knowledge_mut().set_variable("number", "15".to_owned());
    scene.pass(10_000);
    let texts = scene.facts.iter().filter_map(|fact| match fact {
        CallFact::Said { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(texts.take(1).collect::<Vec<_>>(), ["Вы ввели, 48"]);
}
