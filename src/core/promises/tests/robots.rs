use super::*;

const NUMBER: &str = "+79161112233";

#[test]
fn a_survey_is_dialled_once_it_and_its_attempt_are_stored() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    scene.is_store_slow = true;
    let id = scene.promise(PromiseKind::RatingCall, NUMBER);
    scene.minutes(1);
    assert!(scene.attempts.is_empty());

    scene.tell(|ledger, wall, out| ledger.stored(wall, id, out));
    scene.minutes(1);
    assert_eq!(scene.attempts.len(), 1);
    assert_eq!(scene.happened(), [""; 0]);

    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert_eq!(scene.happened(), ["dial 1"]);
    scene.tell(|ledger, wall, out| ledger.attempt_stored(wall, id, 1, out));
    assert_eq!(scene.happened(), [""; 0]);

    scene.talking(id);
    scene.called(id, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["kept 1"]);
    assert_eq!(scene.stands(id).state, PromiseState::Kept);
    assert_eq!(scene.ledger.open().count(), 0);
    assert_eq!(scene.attempts[&(id, 1)].outcome, Some(CallOutcome::Answered));
}
