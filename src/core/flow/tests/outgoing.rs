//! A customer whom we call back.

use super::*;

fn called_back(press: Option<char>, group: Group) -> Scene {
    let script = Script {
        groups: BTreeMap::from([("support".to_owned(), Arc::new(group))]),
        ..Script::named("hotline")
    };
    let callback = Callback {
        group: "support".to_owned(),
        prompt: [recording("phrase/callback-missed")].into(),
        press: press.map(key),
    };
    let knowledge = knowledge("+79161112233", Language::Russian);
    let flow = Flow::for_callback(CALL, LEG, Arc::new(script), callback, knowledge, setting());
    let mut scene = Scene::of(flow);
    scene.act(|flow, now, out| flow.on_confirmed(now, out));
    scene
}

fn has_joined(scene: &Scene) -> bool {
    matches!(scene.requests[..], [LineRequest::Join { .. }])
}

#[test]
fn who_is_called_back_hears_why_and_then_joins_the_line() {
    let mut scene = called_back(None, group());
    scene.pass(900);
    assert!(!has_joined(&scene));
    scene.pass(200);
    assert!(has_joined(&scene));
    assert_eq!(scene.heard(), ["0 phrase/callback-missed"]);
    assert!(!scene.flow.has_heard_key());
}

#[test]
fn who_is_recorded_when_called_back_is_told_so() {
    let announce = [recording("phrase/recording-notice")].into();
    let record = Some(RecordRule { announce, refuse_key: None });
    let mut scene = called_back(None, Group { record, ..group() });
    scene.pass(1_900);
    assert!(!has_joined(&scene));
    scene.pass(200);
    assert!(has_joined(&scene));
    assert_eq!(scene.heard(), ["0 phrase/callback-missed", "1 phrase/recording-notice"]);
}

#[test]
fn a_human_presses_the_key_and_an_answering_machine_does_not() {
    let mut human = called_back(Some('1'), group());
    human.pass(3_000);
    assert!(!has_joined(&human));
    human.press("1");
    assert!(has_joined(&human) && human.flow.has_heard_key());

    let mut machine = called_back(Some('1'), group());
    machine.pass(13_000);
    assert!(!machine.is_hung_up);
    machine.pass(2_000);
    assert!(machine.is_hung_up && !has_joined(&machine) && !machine.flow.has_heard_key());
    assert_eq!(
        machine.heard(),
        [
            "0 phrase/callback-missed",
            "1 phrase/callback-press-1",
            "7 phrase/callback-missed",
            "8 phrase/callback-press-1",
        ]
    );
    let mut other = called_back(Some('1'), group());
    other.press("22");
    other.pass(10);
    assert!(other.is_hung_up && !has_joined(&other));
}

#[test]
fn who_was_called_back_and_hangs_up_in_the_line_is_not_missed() {
    let missed = Missed { after_ms: 0, block: Block::from([promise(PromiseKind::CallbackMissed)]) };
    let mut scene = called_back(None, Group { missed: Some(missed), ..group() });
    scene.pass(30_000);
    scene.act(|flow, now, out| flow.on_call_ended(now, out));
    assert_eq!(scene.deeds, []);
}
