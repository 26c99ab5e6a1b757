//! Calls that the server makes: surveys, robots, incidents, callbacks, and what is promised.

use super::*;
use crate::dialplan::hours::TimeRange;
use crate::dialplan::plan::{
    CallbackRules, Cap, Identity, Incident, Loyalty, Menu, RobotKind, Script, Trigger, Way, Window,
};
use crate::domain::PromiseKind;

/// Groups and a number, in front of what is tested, which begins on line 4.
const SHOP: &str = "number \"100\" { queue \"support\" }\ngroup \"support\"; group \"orders\"; \
                    group \"quality\"\ngroup \"supervisors\"\n";

fn script(text: &str) -> Script {
    let loaded = load_text(&format!("{SHOP}{text}"));
    let loaded = loaded.unwrap_or_else(|findings| {
        let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n"))
    });
    let warnings: Vec<String> = loaded.warnings.iter().map(brief).collect();
    assert_eq!(warnings, [""; 0], "{text}");
    Script::clone(&loaded.plan.scripts["shop"])
}

fn key(menu: &Menu, key: char) -> Vec<String> {
    let block = &menu.keys[&Key::try_from(key).unwrap()];
    block.iter().map(|statement| format!("{statement:?}")).collect()
}

fn said(statement: &str, id: &str) -> bool {
    statement.starts_with("Say") && statement.contains(&format!("(phrase/{id})"))
}

const SURVEY: &str = r#"survey "rating" { after "answered"; within "20m"; talk-at-least "15s"; window "10:00-19:00" customer-time; no-more-than 2 per="30d"; tries 3 every="40m"; groups "support" "orders"; keys "1-5" as="mark"; key "9" { do-not-call }; below 4 { promise "callback-low-rating" due="30m" group="quality" }; thanks { say "rating-thanks" "{mark:number}" }; silence { say "no-choice" }; wrong { say "rating-again" }; at-once 7; per-second 2; loyalty "mean-of-100"; ring "25s"; caller-id "8 800 333-44-55" label="Магазин"; trunk "a" "b" }"#;

#[test]
fn a_survey_on_one_line_is_a_robot_and_a_menu() {
    let script = script(SURVEY);
    let robot = &script.robots["rating"];
    assert_eq!((robot.name.as_str(), robot.kind), ("rating", RobotKind::Survey));
    let groups = vec!["support".into(), "orders".into()];
    assert_eq!(robot.trigger, Trigger::Conversation { talk_at_least_ms: 15_000, groups });
    let range = TimeRange { start: 600, end: 1_140 };
    assert_eq!(robot.window, Window { range, in_customer_time: true });
    assert_eq!(robot.cap, Some(Cap { calls: 2, per_ms: 30 * 86_400_000 }));
    assert_eq!((robot.within_ms, robot.tries, robot.every_ms), (1_200_000, 3, 2_400_000));
    assert_eq!((robot.ring_ms, robot.at_once, robot.per_second), (25_000, 7, 2));
    assert_eq!(robot.loyalty, Some(Loyalty::MeanOf100));
    let identity = Identity {
        caller_id: Some("+78003334455".into()),
        label: Some("Магазин".into()),
        trunks: vec!["a".into(), "b".into()],
    };
    assert_eq!(robot.identity, identity);

    let menu = &script.menus["rating"];
    let heard: Vec<String> = menu.prompt.iter().map(|line| format!("{line:?}")).collect();
    let expected = ["rating-hello", "rating-ask", "rating-opt-out"];
    assert!(heard.iter().zip(expected).all(|(heard, id)| said(heard, id)), "{heard:?}");
    assert_eq!((menu.keys.len(), menu.tries), (6, 2));
    assert!(menu.silence.is_some());
}

#[test]
fn low_scores_are_promised_a_call_and_high_ones_are_thanked() {
    let script = script(SURVEY);
    let menu = &script.menus["rating"];
    for low in ['1', '2', '3'] {
        let [rated, promise, say, hangup] = &key(menu, low)[..] else { panic!("{low}") };
        let expected = format!("Rated {{ survey: \"rating\", variable: \"mark\", score: {low} }}");
        assert_eq!(*rated, expected);
        assert!(promise.contains("CallbackLowRating") && promise.contains("quality"), "{promise}");
        assert!(said(say, "rating-sorry") && hangup == "Hangup", "{say} {hangup}");
    }
    for high in ['4', '5'] {
        let [rated, say, hangup] = &key(menu, high)[..] else { panic!("{high}") };
        assert!(rated.starts_with("Rated") && said(say, "rating-thanks") && hangup == "Hangup");
    }
    let [forbid, say, hangup] = &key(menu, '9')[..] else { panic!() };
    assert!(forbid == "DoNotCall" && said(say, "opted-out") && hangup == "Hangup");
}

#[test]
fn a_robot_speaks_the_fields_of_its_event_and_every_key_ends_the_call() {
    let script = script(
        r#"robot "low-balance" kind="reminder" {
    when "balance.low"
    say "balance-hello" "{event.balance:rubles}" "balance-top-up"
    if "event.balance < 0 and event.tariff == 'plus'" { say "balance-stops" "{event.until:date}" }
    say "menu-operator-short" "menu-points" "rating-opt-out"
    key "0" { queue "support" }
    key "1" { order-status "confirmed"; say "order-confirmed" }
    key "9" { do-not-call; say "goodbye" }
}"#,
    );
    let robot = &script.robots["low-balance"];
    assert_eq!(robot.kind, RobotKind::Reminder);
    assert_eq!(robot.trigger, Trigger::Event("balance.low".into()));
    assert_eq!((robot.window.clone(), robot.cap), (Window::default(), None));
    let menu = &script.menus["low-balance"];
    assert_eq!(key(menu, '0').len(), 1);
    let [status, say, hangup] = &key(menu, '1')[..] else { panic!() };
    assert!(status.contains("confirmed") && said(say, "order-confirmed") && hangup == "Hangup");
    let [_, say, hangup] = &key(menu, '9')[..] else { panic!() };
    assert!(said(say, "goodbye") && hangup == "Hangup");
    let first = format!("{:?}", menu.prompt[0]);
    assert!(first.contains("event.balance"), "{first}");
}

#[test]
fn incidents_and_callbacks_are_read_whole() {
    let script = script(
        r#"hours "shop" { open "mon-fri" "10:00-19:00" }
timezone "Europe/Moscow"
number "200" { if "closed('shop')" { hangup } }
incident "delayed" { when "order.delayed"; due "20m"; group "orders"; label "Задержка" }
incident "item-not-found" { group "orders" }
callback "callback-missed" { way "customer-first" press="1"; tries 4 every="10m"; ring "40s"; window "09:00-21:00"; hours "shop"; say "greeting"; escalate before="8m" to="supervisors"; caller-id "+74951234567" }
callback "incident" { way "operator-first"; }"#,
    );
    let delayed = Incident {
        name: "delayed".into(),
        event: "order.delayed".into(),
        due: Due::After { ms: 1_200_000 },
        group: "orders".into(),
        label: Some("Задержка".into()),
    };
    assert_eq!(*script.incidents["delayed"], delayed);
    let plain = &script.incidents["item-not-found"];
    assert_eq!(
        (plain.event.as_str(), plain.due.clone()),
        ("item-not-found", Due::After { ms: Incident::DUE_MS })
    );
    let rules = &script.callbacks[&PromiseKind::CallbackMissed];
    let press = Key::try_from('1').ok();
    assert_eq!(rules.way, Way::CustomerFirst { press });
    assert_eq!((rules.tries, rules.every_ms, rules.ring_ms), (4, 600_000, 40_000));
    assert_eq!((rules.hours.as_deref(), rules.escalate_before_ms), (Some("shop"), 480_000));
    assert_eq!(rules.escalate_to.as_deref(), Some("supervisors"));
    assert!(rules.window.as_ref().is_some_and(|window| !window.in_customer_time));
    let recording = |id: &str| Piece::Recording(RecordingId::new(id));
    assert_eq!(rules.prompt.as_deref(), Some(&[recording("phrase/greeting")][..]));
    let incident = &script.callbacks[&PromiseKind::Incident];
    assert_eq!(**incident, CallbackRules::default());
}

#[test]
fn what_a_call_leaves_behind_is_read() {
    let script = script(
        r#"number "200" {
    ask "enter-order" as="time" digits=4
    promise "callback" due="{time}"
    promise "callback-after-hours" due="30m" group="orders"
    say "leave-message"
    message max="45s"
    say "message-saved"
    if "promise.open or incident.open and incident.name == 'delayed'" {
        say "order" "{incident.order:digits}"
    }
    do-not-call
}
group "missing" {
    missed after="7s" { promise "callback-missed" due="30m"; if "waited > 300s" { bonus 50 reason="долгое ожидание" } }
    afterwards { if "waited >= 5m" { bonus 50 reason="долгое ожидание" }; rate "rating" }
    priority "promise.open" 20
}
survey "rating" { after "answered"; keys "1-5"; key "9" { do-not-call }; below 4 { promise "callback-low-rating" due="30m" } }"#,
    );
    let block = &script.entries[1];
    let Statement::Promise(named) = &block[1] else { panic!("{block:?}") };
    assert_eq!(named.due, Due::Named { variable: "time".into() });
    assert_eq!(named.kind, PromiseKind::CallbackOrdered);
    assert!(matches!(block[4], Statement::Message { max_ms: 45_000 }));
    assert!(matches!(block[7], Statement::DoNotCall));
    let group = &script.groups["missing"];
    let missed = group.missed.as_ref().unwrap();
    assert_eq!((missed.after_ms, missed.block.len()), (7_000, 2));
    let [Statement::If { then, .. }, Statement::Rate { survey }] = &group.afterwards[..] else {
        panic!("{:?}", group.afterwards)
    };
    assert!(matches!(&then[..], [Statement::Bonus { points: 50, .. }]));
    assert_eq!(survey, "rating");
}

#[test]
fn each_mistake_of_a_robot_is_named_at_its_place() {
    let survey = "after \"answered\"; keys \"1-5\"; key \"9\" { do-not-call };";
    let low = "below 4 { promise \"callback-low-rating\" due=\"30m\" };";
    let robot = "when \"x\"; say \"notice-hello\" \"rating-opt-out\"; key \"9\" { do-not-call };";
    for (text, expected) in [
        ("survey \"r\"", "4:1 error: survey has no block"),
        ("survey \"r\" { after \"answered\" }", "4:1 error: which keys are the score?"),
        ("survey \"r\" { keys \"1-5\"; {low} }", "4:1 error: after which calls does it ask?"),
        (
            "survey \"r\" { keys \"1-9\"; after \"answered\"; {low} }",
            "4:19 error: \"1-9\" is not a row of scores",
        ),
        (
            "survey \"r\" { {survey}\nbelow 6 { hangup } }",
            "5:7 error: below is a whole number from 2 to 5",
        ),
        (
            "survey \"r\" { {survey}\nbelow 1 { hangup } }",
            "5:7 error: below is a whole number from 2 to 5",
        ),
        (
            "survey \"r\" { {survey} {low}\nper-second 0 }",
            "5:12 error: per-second is a whole number from 1 to 100",
        ),
        (
            "survey \"r\" { {survey} {low}\nat-once \"20\" }",
            "5:9 error: at-once is a whole number from 1 to 1000",
        ),
        (
            "survey \"r\" { {survey} {low}\nloyalty \"mean-of-10\" }",
            "5:9 error: loyalty \"mean-of-10\" is not known; did you mean \"mean-of-100\"?",
        ),
        (
            "robot \"r\" { when \"a.b\"; say \"goodbye\"; key \"9\" { do-not-call }\nloyalty \"mean-of-100\" }",
            "5:1 error: part of robot \"loyalty\" is not known",
        ),
        (
            "survey \"r\" { {survey} {low}\nno-more-than 1 }",
            "5:1 error: so many calls in which time?",
        ),
        (
            "survey \"r\" { {survey} {low}\nwindow \"10-20\" }",
            "5:8 error: \"10-20\" is not a time range",
        ),
        (
            "survey \"r\" { {survey} {low}\nwindow \"10:00-20:00\" custmer-time }",
            "5:22 error: time \"custmer-time\" is not known; did you mean \"customer-time\"?",
        ),
        (
            "survey \"r\" { {survey} {low}\ngroups \"suport\" }",
            "5:8 error: group \"suport\" is not defined; did you mean \"support\"?",
        ),
        (
            "survey \"r\" { {survey}\nbelow 4 { promise \"callback-low-rating\" due=\"30m\" group=\"qality\" } }",
            "5:57 error: group \"qality\" is not defined; did you mean \"quality\"?",
        ),
        (
            "survey \"r\" { {survey} {low}\nwhen \"x\" }",
            "5:1 error: part of survey \"when\" is not known",
        ),
        (
            "survey \"r\" { {survey} {low}\ncaller-id \"+74951234567\" label=\"012345678901234567890123456789012\" }",
            "5:32 error: a label has 1 to 32 characters, not 33",
        ),
        (
            "survey \"r\" { {survey} {low}\ncaller-id \"shop\" }",
            "5:11 error: \"shop\" is no telephone number",
        ),
        (
            "survey \"r\" { {survey} {low}\nsay \"rating-ask\" }",
            "5:1 error: say stands after the keys",
        ),
        (
            "survey \"r\" { {survey} {low}\nkey \"5\" { hangup } }",
            "5:5 error: key \"5\" is already in this menu",
        ),
        (
            "survey \"r\" { {survey} {low}\nthanks { say \"rating-thanks\" \"{event.x:digits}\" } }",
            "5:32 error: event.x is known only in a robot",
        ),
        (
            "survey \"r\" { say \"rating-ask\" \"rating-opt-out\"; after \"answered\"; keys \"1-5\"; {low} }",
            "4:31 error: callers are told to press 9, and this menu has no such key",
        ),
        (
            "survey \"r\" { after \"answered\"; keys \"1-3\"; key \"9\" { do-not-call };\nbelow 2 { hangup }\n}",
            "4:1 error: callers are told to press 4, and this menu has no such key",
        ),
        ("robot \"r\" kind=\"advert\" { {robot} }", "4:16 error: robots do not advertise"),
        (
            "robot \"r\" kind=\"remainder\" { {robot} }",
            "4:16 error: kind \"remainder\" is not known; did you mean \"reminder\"?",
        ),
        (
            "robot \"r\" { say \"notice-hello\"; key \"9\" { do-not-call } }",
            "4:1 error: what does it call for?",
        ),
        ("robot \"r\" { when \"x\"; say \"notice-hello\" }", "4:1 error: the robot has no key"),
        (
            "robot \"r\" { when \"x\"; key \"9\" { do-not-call } }",
            "4:1 error: the robot says nothing",
        ),
        (
            "robot \"r\" { {robot}\nlookup \"customer\" }",
            "5:1 error: lookup stands outside of a key",
        ),
        (
            "robot \"r\" { {robot}\nwhenn \"y\" }",
            "5:1 error: part of robot \"whenn\" is not known; did you mean \"when\"?",
        ),
        ("robot \"r\" { {robot}\nkey \"8\" { rate \"r\" } }", "5:11 error: a robot is not rated"),
        (
            "step \"r\" { hangup }\nrobot \"r\" { {robot} }",
            "5:7 error: there is already a step, menu, survey or robot named \"r\"",
        ),
        (
            "robot \"r\" { {robot} }\nstep \"r\" { hangup }",
            "5:6 error: there is already a survey or robot named \"r\"",
        ),
        (
            "robot \"r\" { {robot} }\nnumber \"7\" { go \"r\" }",
            "5:17 error: \"r\" is a call of its own",
        ),
        ("number \"7\" { rate \"rating\" }", "4:19 error: survey \"rating\" is not defined"),
        (
            "number \"7\" { if \"event.x\" { hangup } }",
            "4:18 error: event.x is known only in a robot",
        ),
        (
            "number \"7\" { if \"waited > 300\" { hangup } }",
            "4:27 error: waited is a span of time, which cannot be compared",
        ),
        (
            "number \"7\" { promise \"reminder\" due=\"30m\" }",
            "4:22 error: reminder is not promised here: a robot does it",
        ),
        (
            "number \"7\" { promise \"callback-mised\" due=\"30m\" }",
            "4:22 error: promise \"callback-mised\" is not known; did you mean \"callback-missed\"?",
        ),
        (
            "number \"7\" { promise \"callback\" due=\"{time}\" }",
            "4:39 error: \"time\" is not known",
        ),
        ("number \"7\" { bonus 50 }", "4:14 error: what is it given for?"),
        (
            "number \"7\" { bonus 0 reason=\"x\" }",
            "4:20 error: a bonus is a whole number from 1 to 100000",
        ),
        ("number \"7\" { message max=\"1s\" }", "4:26 error: max must be from 5s to 5m"),
        ("incident \"i\"", "4:1 error: who talks with the customer about it?"),
        (
            "incident \"i\" { group \"order\" }",
            "4:22 error: group \"order\" is not defined; did you mean \"orders\"?",
        ),
        (
            "incident \"i\" { group \"orders\"; due \"{x}\" }",
            "4:38 error: nobody is asked for a time",
        ),
        (
            "callback \"callback-mised\" { tries 2 }",
            "4:10 error: callback \"callback-mised\" is not known; did you mean \"callback-missed\"?",
        ),
        ("callback \"reminder\" { tries 2 }", "4:10 error: callback \"reminder\" is not known"),
        (
            "callback \"incident\" { way \"operator-first\" press=\"1\" }",
            "4:50 error: here nobody has to press a key",
        ),
        (
            "callback \"incident\" { way \"customer-first\" press=\"2\" }",
            "4:50 error: customers are told to press 1 (phrase/callback-press-1), not 2",
        ),
        (
            "callback \"incident\" { escalate to=\"boss\" }",
            "4:35 error: group \"boss\" is not defined",
        ),
        ("callback \"incident\" { hours \"shop\" }", "4:29 error: hours \"shop\" is not defined"),
        ("callback \"incident\" { ring \"30s\"; ring \"20s\" }", "4:35 error: ring is given twice"),
    ] {
        let parts = [("{survey}", survey), ("{low}", low), ("{robot}", robot)];
        let text =
            parts.iter().fold(text.to_owned(), |text, (name, part)| text.replace(name, part));
        let found = findings(&format!("{SHOP}{text}\n"));
        assert!(found.iter().any(|finding| finding.starts_with(expected)), "{text}: {found:#?}");
        let errors: Vec<_> = found.iter().filter(|found| found.contains(" error: ")).collect();
        let same = |text: &str| errors.iter().all(|error| error.contains(text));
        assert!(errors.len() == 1 || same("are told to press"), "{text}: {found:#?}");
    }
}

#[test]
fn what_would_annoy_customers_is_warned_of() {
    let low = "below 4 { promise \"callback-low-rating\" due=\"30m\" };";
    let survey = "after \"answered\"; keys \"1-5\"; key \"9\" { do-not-call };";
    for (text, expected) in [
        (
            "survey \"r\" { after \"answered\"; keys \"1-5\"; {low} }",
            "4:8 warning: people cannot refuse these calls",
        ),
        (
            "survey \"r\" { {survey} {low} window \"08:00-20:00\" }",
            "people are called before 9:00 or after 21:00",
        ),
        (
            "survey \"r\" { {survey} {low} window \"20:00-02:00\" }",
            "people are called before 9:00 or after 21:00",
        ),
        ("survey \"r\" { {survey} {low} tries 6 }", "a customer is called 6 times in vain"),
        ("survey \"r\" { {survey} }", "4:1 warning: who is not content is thanked like all others"),
        (
            "survey \"r\" { {survey}\nbelow 4 { bonus 5 reason=\"x\" } }",
            "5:1 warning: the customer is told of a call back, and nobody promises it",
        ),
        (
            "group \"g\" { missed { say \"sorry-full\" } }",
            "4:22 warning: this does nothing: the caller has hung up",
        ),
        (
            "incident \"a\" { group \"orders\" }\nincident \"b\" { when \"a\"; group \"orders\" }",
            "",
        ),
    ] {
        let text = format!("{SHOP}{}", text.replace("{survey}", survey).replace("{low}", low));
        let found = findings(&text);
        assert!(load_text(&text).is_ok(), "{text}: {found:#?}");
        assert!(
            found.iter().any(|finding| finding.ends_with(expected)) || expected.is_empty(),
            "{text}: {found:#?}"
        );
    }
}

#[test]
fn one_event_is_answered_by_one_file_of_a_language() {
    let file = |name: &str, language: &str, number: u32| Source {
        name: format!("dialplans/{name}.kdl"),
        text: format!(
            "language \"{language}\"\nnumber \"{number}\" {{ queue \"g\"; }}\ngroup \"g\"\nincident \"i\" {{ when \"order.delayed\"; group \"g\" }}\n"
        ),
    };
    let sources = [file("a", "ru", 1), file("b", "ru", 2), file("c", "en", 3)];
    let loaded = load(&sources, &catalogue(), &Settings::default()).unwrap();
    let shown: Vec<_> = loaded.warnings.iter().map(|w| (w.file.as_str(), &w.message)).collect();
    let message = "event \"order.delayed\" is already answered in dialplans/a.kdl".to_owned();
    assert_eq!(shown, [("dialplans/b.kdl", &message)]);
}

#[test]
fn what_customers_hear_when_they_are_called_must_be_recorded() {
    let gone =
        ["phrase/rating-again", "phrase/callback-missed", "phrase/rate-same-call", "tone/beep"];
    let mut catalogue = catalogue();
    catalogue.retain(|_, id| !gone.contains(&id.as_str()));
    let text = "number \"1\" { promise \"callback-missed\" due=\"30m\"; message; rate \"r\" }\n\
                survey \"r\" { after \"answered\"; keys \"1-5\"; key \"9\" { do-not-call }\n\
                below 4 { promise \"callback-low-rating\" due=\"30m\" } }\n";
    let found = load(&[source(text)], &catalogue, &Settings::default()).unwrap_err();
    let found: Vec<String> = found.iter().map(brief).collect();
    let missing = |at: &str, id: &str| format!("{at} error: recording {id} is missing in ru");
    assert_eq!(
        found,
        [
            missing("1:14", "phrase/callback-missed"),
            missing("1:51", "tone/beep"),
            missing("1:65", "phrase/rate-same-call"),
            missing("2:1", "phrase/rating-again"),
        ]
    );
}
