use super::*;

const NUMBER: &str = "+79161112233";

#[test]
fn a_missed_caller_is_called_back_by_an_operator() {
    let mut scene = Scene::at(msk("2026-11-27T12:00"));
    let id = scene.promise(PromiseKind::CallbackMissed, NUMBER);
    scene.pass(0);
    assert_eq!(scene.happened(), ["enter 1"]);
    assert!(scene.reserve(id));
    assert_eq!(scene.happened(), ["dial 1"]);
    scene.talking(id);
    scene.minutes(60);
    scene.called(id, CallOutcome::Answered);
    assert_eq!(scene.happened(), ["kept 1"]);
    assert_eq!(scene.stands(id).state, PromiseState::Kept);
}
