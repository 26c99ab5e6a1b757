//! Plans as admins write them, and what they are told.

mod groups;
mod outbound;
mod recordings;

use super::plan::{Dialled, Due, Piece, Statement, Text};
use super::*;
use crate::domain::{Key, Language, PhoneNumber, RecordingId};
use crate::speech::Format;

fn source(text: &str) -> Source {
    Source { name: "dialplans/shop.kdl".into(), text: text.into() }
}

fn load_text(text: &str) -> Result<Loaded, Vec<Finding>> {
    load(&[source(text)], &catalogue(), &Settings::default())
}

/// The recordings that are shipped; a missing catalogue is a failure.
pub(super) fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    for language in Language::ALL {
        let path = format!("{}/prompts/{language}/catalogue.tsv", env!("CARGO_MANIFEST_DIR"));
        let tsv = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        catalogue.add_tsv(language, &tsv).unwrap();
    }
    catalogue
}

/// `line:column severity: message` of everything that is found.
fn findings(text: &str) -> Vec<String> {
    let found = match load_text(text) {
        Ok(loaded) => loaded.warnings,
        Err(findings) => findings,
    };
    found.iter().map(brief).collect()
}

fn brief(finding: &Finding) -> String {
    let severity = if finding.is_error() { "error" } else { "warning" };
    format!("{}:{} {severity}: {}", finding.line, finding.column, finding.message)
}

/// The findings of a number's block with these lines from line 2 on, and a menu to go to.
fn findings_of(lines: &str) -> Vec<String> {
    findings(&format!(
        "number \"100\" {{\n{lines}\n}}\nmenu \"main\" {{\n say \"menu-order\"\n key \"2\" {{ hangup }}\n}}\n"
    ))
}

fn shipped(file: &str) -> Source {
    let path = format!("{}/dialplans/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { name: format!("dialplans/{file}"), text }
}

pub(super) fn shipped_plan() -> Plan {
    let sources = [shipped("hotline.kdl"), shipped("hotline-en.kdl")];
    match load(&sources, &catalogue(), &Settings::default()) {
        Ok(loaded) => {
            let shown: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            assert!(shown.is_empty(), "{}", shown.join("\n"));
            loaded.plan
        }
        Err(findings) => {
            let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
            panic!("{}", shown.join("\n"));
        }
    }
}

#[test]
fn the_shipped_plans_have_neither_errors_nor_warnings() {
    let plan = shipped_plan();
    let numbers: Vec<String> = plan.numbers.keys().map(|number| format!("{number:?}")).collect();
    assert_eq!(plan.numbers.len(), 4, "{numbers:?}");
    let script = &plan.scripts["hotline"];
    assert_eq!(script.language, Language::Russian);
    let welcome = format!("{:?}", script.steps["welcome"]);
    assert!(welcome.contains("phrase/points-are"), "{welcome}");
}

#[test]
fn a_plan_becomes_statements() {
    let loaded = load_text(
        r##"
language "en"
timezone "Europe/Berlin"
hours "shop" { open "mon-fri" "10:00-19:00" }
number "8 (916) 111-22-33" "100" {
    say "greeting" "tip/01" "{caller.number:digits}" "Thank you, for calling -- goodbye"
    lookup "customer" wait="1s"
    if "customer.vip" { hangup } else-if "closed('shop')" { go "main" } else { language "ru" }
    ask "enter-order" end="#" as="order"
    lookup "order" number="{order}"
    ring operator="{customer.manager}"
    promise "callback" due="next-opening+1h"
    go "main"
}
menu "main" wait="7s" tries=2 {
    say "menu-order"
    key "2" { repeat }
    silence { hangup }
}
"##,
    );
    let plan = loaded.unwrap().plan;
    let number = PhoneNumber::parse("+79161112233", Region::default()).unwrap();
    let entry = &plan.numbers[&Dialled::Public(number)];
    assert_eq!(entry, &plan.numbers[&Dialled::Internal("100".into())]);
    assert_eq!(plan.version.len(), 16);
    let script = &plan.scripts["shop"];
    let block = &script.entries[entry.block];

    let recording = |id: &str| Piece::Recording(RecordingId::new(id));
    let Statement::Say(pieces) = &block[0] else { panic!("{:?}", block[0]) };
    let number = Piece::Value { name: "caller.number".into(), format: Format::Digits };
    let expected =
        [recording("phrase/greeting"), recording("tip/01"), number, recording("phrase/goodbye")];
    assert_eq!(**pieces, expected);

    let Statement::LookupCustomer(lookup) = &block[1] else { panic!("{:?}", block[1]) };
    assert_eq!((lookup.wait_ms, lookup.deadline_ms), (1_000, None));
    assert_eq!(*lookup.filler, [recording("phrase/one-moment")]);
    assert!(matches!(&lookup.unavailable[..], [Statement::Say(_)]));

    let Statement::If { condition, then, otherwise } = &block[2] else { panic!("{:?}", block[2]) };
    assert_eq!(condition.to_string(), "customer.vip");
    assert!(matches!(then[..], [Statement::Hangup]));
    let [Statement::If { condition, otherwise, .. }] = &otherwise[..] else {
        panic!("{otherwise:?}")
    };
    assert_eq!(condition.to_string(), "closed('shop')");
    assert!(matches!(otherwise[..], [Statement::Language(Language::Russian)]));

    let Statement::Ask(ask) = &block[3] else { panic!("{:?}", block[3]) };
    assert_eq!((ask.digits, ask.wait_ms, ask.tries), (12, 5_000, 3));
    assert_eq!(ask.end, Key::try_from('#').ok());
    assert!(matches!(&block[4], Statement::LookupOrder { variable, .. } if variable == "order"));
    let Statement::Ring { operator, for_ms: 20_000 } = &block[5] else { panic!("{:?}", block[5]) };
    assert_eq!(*operator, Text::Name("customer.manager".into()));
    let Statement::Promise(promise) = &block[6] else { panic!("{:?}", block[6]) };
    assert_eq!(promise.due, Due::NextOpening { hours: "shop".into(), plus_ms: 3_600_000 });
    assert!(matches!(&block[7], Statement::Go(name) if name == "main"));

    let menu = &script.menus["main"];
    assert_eq!((menu.wait_ms, menu.tries, menu.keys.len()), (7_000, 2, 1));
    assert!(matches!(&menu.wrong[..], [Statement::Say(_)]));
    assert!(menu.silence.is_some());
}

#[test]
fn what_is_wrong_is_said_with_line_caret_and_hint() {
    let findings = load_text(
        "number \"100\" {\n    say \"greeting\"\n    queue \"sale\"\n}\ngroup \"sales\" {\n    nobody { say \"sorry-full\" }\n}\n",
    )
    .unwrap_err();
    assert_eq!(
        findings[0].to_string(),
        "dialplans/shop.kdl:3:11 error: group \"sale\" is not defined; did you mean \"sales\"?\n    \
         queue \"sale\"\n          ^^^^^^\nhint: known here: sales"
    );
}

#[test]
fn each_mistake_of_a_line_is_named_at_its_place() {
    for (lines, expected) in [
        (
            "say \"greting\"",
            "2:5 error: recording \"greting\" is not known; did you mean \"greeting\"?",
        ),
        (
            "say \"status/shiped\"",
            "2:5 error: recording \"status/shiped\" is not known; did you mean \"status/shipped\"?",
        ),
        ("say \"Сегодня скидки на всё\"", "2:5 error: there is no recording that says this"),
        ("say", "2:1 error: say says nothing"),
        ("say \"greeting\" wait=\"5s\"", "2:16 error: say has no property \"wait\""),
        ("say 5", "2:5 error: a text is expected here"),
        ("say “greeting”", "2:5 error: these quotes are not known"),
        ("say \"{caller.number}\"", "2:5 error: how shall caller.number be spoken?"),
        (
            "say \"{caller.numer:digits}\"",
            "2:7 error: \"caller.numer\" is not known; did you mean \"caller.number\"?",
        ),
        (
            "say \"{caller.number:digit}\"",
            "2:21 error: format \"digit\" is not known; did you mean \"digits\"?",
        ),
        (
            "say \"{call.number:points}\"",
            "2:19 error: call.number is a row of digits, which cannot be spoken as points",
        ),
        (
            "say \"на счёте {customer.points:points}\"",
            "2:15 error: a value stands in quotes of its own",
        ),
        ("say \"{order:digits}\"", "2:5 error: \"order\" is not known"),
        ("sya \"greeting\"", "2:1 error: statement \"sya\" is not known; did you mean \"say\"?"),
        ("go \"mian\"", "2:4 error: step or menu \"mian\" is not defined; did you mean \"main\"?"),
        ("go main", ""),
        ("queue \"support\"", "2:7 error: group \"support\" is not defined"),
        ("repeat", "2:1 error: there is no menu to repeat"),
        ("language \"de\"", "2:10 error: language \"de\" is not spoken here; use \"ru\" or \"en\""),
        (
            "lookup \"custumer\"",
            "2:8 error: lookup \"custumer\" is not known; did you mean \"customer\"?",
        ),
        ("lookup \"customer\" wait=15", "2:24 error: wait needs a unit"),
        (
            "lookup \"customer\" wait=\"15\"",
            "2:24 error: \"15\" is not a duration; write \"15s\", \"800ms\", \"30m\" or \"2h\"",
        ),
        ("lookup \"customer\" wait=\"5m\"", "2:24 error: wait must be from 0s to 30s"),
        (
            "lookup \"customer\" wiat=\"5s\"",
            "2:19 error: property of lookup \"wiat\" is not known; did you mean \"wait\"?",
        ),
        ("lookup \"customer\" wait=\"1s\" wait=\"2s\"", "2:29 error: wait is given twice"),
        (
            "lookup \"customer\" { fillr \"one-moment\" }",
            "2:21 error: part of lookup \"fillr\" is not known; did you mean \"filler\"?",
        ),
        ("lookup \"order\"", "2:1 error: which order?"),
        ("lookup \"order\" number=\"{order}\"", "2:25 error: \"order\" is not known"),
        (
            "if \"customer.foud\" { hangup }",
            "2:5 error: \"customer.foud\" is not known; did you mean \"customer.found\"?",
        ),
        ("if \"closed('shop')\" { hangup }", "2:12 error: hours \"shop\" is not defined"),
        ("if \"crm.available\"", "2:1 error: if has no block"),
        ("else { hangup }", "2:1 error: else without an if before it"),
        (
            "if \"crm.available\" { hangup }\nelse { say \"closed\" }\nelse-if \"caller.known\" { hangup }",
            "4:1 error: else-if comes after else",
        ),
        (
            "ask \"enter-order\" digits=40 as=\"x\"",
            "2:26 error: digits must be a whole number from 1 to 32",
        ),
        ("ask \"enter-order\" digits=\"4\" as=\"x\"", "2:26 error: a number stands without quotes"),
        ("ask \"enter-order\"", "2:1 error: where do the digits go?"),
        (
            "ask \"enter-order\" end=\"##\" as=\"x\"",
            "2:23 error: \"##\" is not a key of a telephone",
        ),
        (
            "ask \"enter-order\" as=\"номер\"",
            "2:22 error: \"номер\" cannot be the name of what is asked",
        ),
        ("ring for=\"5s\"", "2:1 error: whom shall it ring?"),
        (
            "ring operator=\"{customer.vip}\"",
            "2:15 error: customer.vip is not the login of an operator",
        ),
        ("promise \"callback\"", "2:1 error: when must this be done?"),
        (
            "promise \"callback\" due=\"next-opening+1h\"",
            "2:24 error: there are no opening hours in this file",
        ),
        ("hangup now", "2:8 error: hangup takes no argument"),
        ("hangup { say \"goodbye\" }", "2:1 error: hangup has no block"),
    ] {
        let found = findings_of(&format!("{lines}\ngo \"main\""));
        if expected.is_empty() {
            assert!(found.iter().all(|finding| !finding.contains("error")), "{lines}: {found:?}");
            continue;
        }
        assert!(found.iter().any(|finding| finding == expected), "{lines}: {found:#?}");
        let errors = found.iter().filter(|finding| finding.contains(" error: ")).count();
        assert_eq!(errors, 1, "{lines}: {found:#?}");
    }
}

#[test]
fn each_mistake_of_a_file_is_named_at_its_place() {
    let number = "number \"100\" { hangup }\n";
    for (lines, expected) in [
        (
            "langauge \"ru\"",
            "2:1 error: block \"langauge\" is not known; did you mean \"language\"?",
        ),
        ("say \"greeting\"", "2:1 error: say stands outside of a block"),
        (
            "timezone \"Europe/Moskow\"",
            "2:10 error: time zone \"Europe/Moskow\" is not known; did you mean \"Europe/Moscow\"?",
        ),
        ("language \"ru\"\nlanguage \"en\"", "3:1 error: language is already set in this file"),
        ("number \"100\" { hangup }", "2:8 error: this number is already answered in this file"),
        ("number 200 { hangup }", "2:8 error: a number such as \"100\" is expected here"),
        ("number \"+7 (12\" { hangup }", "2:8 error: \"+7 (12\" is no telephone number"),
        ("number { hangup }", "2:1 error: which number is this?"),
        ("number \"200\"", "2:1 error: number has no block"),
        (
            "step \"a\" { hangup }\nmenu \"a\" { say \"menu-order\"; key \"2\" { hangup }; }",
            "3:6 error: there is already a step or menu named \"a\" in this file",
        ),
        (
            "menu \"m\" { say \"menu-order\"; key \"2\" { hangup }; key \"2\" { hangup }; }",
            "2:54 error: key \"2\" is already in this menu",
        ),
        (
            "menu \"m\" { say \"menu-order\"; key \"12\" { hangup }; }",
            "2:34 error: \"12\" is not a key of a telephone",
        ),
        (
            "menu \"m\" { say \"menu-order\"; key \"1\" { hangup }; }",
            "2:16 error: callers are told to press 2, and this menu has no such key",
        ),
        ("menu \"m\" { say \"greeting\" }", "2:1 error: the menu has no key"),
        (
            "menu \"m\" { lookup \"customer\"; key \"1\" { hangup }; }",
            "2:12 error: lookup cannot stand in front of a menu's keys",
        ),
        (
            "menu \"m\" { key \"1\" { hangup }; say \"greeting\"; }",
            "2:32 error: in a menu nothing is said after the keys",
        ),
        (
            "menu \"m\" { say \"menu-order\"; key \"2\" { hangup }; silense { hangup }; }",
            "2:50 error: part of menu \"silense\" is not known; did you mean \"silence\"?",
        ),
        (
            "hours \"h\" { open \"mon-fry\" \"10:00-19:00\" }",
            "2:18 error: \"fry\" is not a day; days are mon tue wed thu fri sat sun, or \"2026-11-07\"",
        ),
        (
            "hours \"h\" { open \"mon-fri\" \"10-19\" }",
            "2:28 error: \"10-19\" is not a time range; write \"10:00-19:00\"",
        ),
        ("hours \"h\" { closed \"sun\" \"10:00-19:00\" }", "2:26 error: closed has no times"),
        (
            "hours \"h\" { opened \"sun\" }",
            "2:13 error: part of hours \"opened\" is not known; did you mean \"open\"?",
        ),
        (
            "group \"g\" { pick \"longest-iddle\" }",
            "2:18 error: pick \"longest-iddle\" is not known; did you mean \"longest-idle\"?",
        ),
        (
            "group \"g\" { target \"80\" within=\"20s\" }",
            "2:20 error: \"80\" is not a percent; write \"80%\"",
        ),
        (
            "group \"g\" { ring \"15s\" no-anser=\"pause\" }",
            "2:24 error: property of ring \"no-anser\" is not known; did you mean \"no-answer\"?",
        ),
        (
            "group \"g\" { priority \"customer.vp\" 10 }",
            "2:22 error: name \"customer.vp\" is not a yes-or-no one; did you mean \"customer.vip\"?",
        ),
        (
            "group \"g\" { after \"180s\" { also \"sales\" } }",
            "2:33 error: group \"sales\" is not defined",
        ),
        (
            "group \"g\" { nobdy { hangup } }",
            "2:13 error: part of group \"nobdy\" is not known; did you mean \"nobody\"?",
        ),
    ] {
        let found = findings(&format!("{number}{lines}\n"));
        let near = |finding: &&String| finding.starts_with(expected);
        assert!(found.iter().any(|finding| near(&finding)), "{lines}: {found:#?}");
        let errors = found.iter().filter(|finding| finding.contains(" error: ")).count();
        assert_eq!(errors, 1, "{lines}: {found:#?}");
    }
}

#[test]
fn syntax_errors_are_told_in_an_admins_words() {
    for (text, expected, hint) in [
        ("lookup \"customer\" wait=15s", "1:24 error: 15s must be quoted", "\"15s\""),
        ("group \"x\" { target 80% }", "1:20 error: 80% must be quoted", "\"80%\""),
        (
            "hours \"x\" { open \"mon\" 10:00-19:00 }",
            "1:24 error: 10:00-19:00 must be quoted",
            "\"10:00-19:00\"",
        ),
        ("menu \"m\" wait=\"5s {\n}", "1:15 error: this text has no closing quote", "close"),
        ("number \"100\" {\n say \"greeting\"\n", "1:14 error: this block is never closed", "}"),
        ("number \"100\" { hangup }\n}\n", "2:1 error: this } closes nothing", "above"),
        (
            "number \"100\" { if \"a\" { hangup } go \"m\" }",
            "1:34 error: a block ends its line; nothing may follow the }",
            "own",
        ),
        ("say \"a\", \"b\"", "1:8 error: a comma cannot stand here", "spaces"),
        ("say true", "1:5 error: true is written #true", "#true"),
        ("a = 5", "1:3 error: a line cannot have = here", "name=\"value\""),
        ("ring \"15s\" auto=#yes", "1:17 error: #yes is not known", "#true"),
    ] {
        let found = load_text(text).unwrap_err();
        let all: Vec<String> = found.iter().map(brief).collect();
        let Some(finding) = found.iter().find(|finding| brief(finding) == expected) else {
            panic!("{text}: {all:#?}")
        };
        assert!(finding.hint.as_deref().is_some_and(|said| said.contains(hint)), "{finding}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_found_at_once() {
    let sources = [
        source("number \"100\" {\n say \"greting\"\n go \"nowhere\"\n queue \"nobody\"\n}\n"),
        Source { name: "dialplans/b.kdl".into(), text: "number \"100\" { hangup }\nfoo".into() },
        Source { name: "dialplans/c.kdl".into(), text: "step \"x\" { wait 15s }".into() },
    ];
    let found = load(&sources, &catalogue(), &Settings::default()).unwrap_err();
    let places: Vec<String> =
        found.iter().map(|f| format!("{}:{}:{}", f.file, f.line, f.column)).collect();
    assert_eq!(
        places,
        [
            "dialplans/b.kdl:1:8",
            "dialplans/b.kdl:2:1",
            "dialplans/c.kdl:1:17",
            "dialplans/shop.kdl:2:6",
            "dialplans/shop.kdl:3:5",
            "dialplans/shop.kdl:4:2",
            "dialplans/shop.kdl:4:8",
        ]
    );
}

#[test]
fn what_callers_would_stumble_over_is_warned_of() {
    for (text, expected) in [
        (
            "number \"1\" { hangup }\nstep \"lost\" { hangup }",
            "2:6 warning: step \"lost\" is never reached",
        ),
        ("number \"1\" { hangup; say \"goodbye\"; }", "1:22 warning: this is never reached"),
        (
            "number \"1\" { go \"m\" }\nmenu \"m\" { say \"menu-order\"; key \"2\" { repeat }; silence { repeat }; }",
            "2:6 warning: menu \"m\" cannot be left: every key and silence lead back",
        ),
        (
            "number \"1\" { go \"m\" }\nmenu \"m\" { say \"menu-order\"; key \"2\" { hangup }; key \"3\" { hangup }; }",
            "2:54 warning: no prompt of this menu tells of key \"3\"",
        ),
        (
            "number \"1\" {\n if \"customer.found\" { say \"greeting\" }\n hangup\n}",
            "2:6 warning: customer.found is not known here: the CRM was not asked yet",
        ),
        (
            "number \"1\" {\n lookup \"customer\"\n if \"order.status == 'shiped'\" { hangup }\n}",
            "3:22 warning: there is no recording for a status 'shiped'; did you mean 'shipped'?",
        ),
        (
            "number \"1\" { queue \"g\" }\ngroup \"g\" { nobody { hangup } }",
            "2:7 warning: callers hear nothing when nobody is logged in to this group",
        ),
        (
            "timezone \"Europe/Moscow\"\nhours \"h\" { open \"mon\" }\nnumber \"1\" { queue \"g\" }\ngroup \"g\"",
            "3:20 warning: callers are queued at night, too: nothing asks for the opening hours",
        ),
        (
            "number \"1\" { hangup }\nhours \"h\" { open \"mon\" }",
            "2:1 warning: hours without a time zone are in UTC",
        ),
        (
            "timezone \"UTC\"\nnumber \"1\" { hangup }\nhours \"h\" {\n open \"2026-11-07\"\n closed \"2026-11-01..2026-11-08\"\n}",
            "5:9 warning: 2026-11-07 is already in a line above; this line wins",
        ),
        (
            "timezone \"UTC\"\nnumber \"1\" { hangup }\nhours \"h\" {\n open \"mon-fri\" \"10:00-13:00\"\n open \"mon\" \"14:00-19:00\"\n}",
            "5:7 warning: the times given before for mon hold no longer",
        ),
        (
            "number \"1\" { hangup }\nmenu \"m\" { key \"1\" { hangup }; }",
            "2:1 warning: nothing is said in this menu",
        ),
    ] {
        assert!(load_text(text).is_ok(), "{text}: {:#?}", findings(text));
        let found = findings(text);
        assert!(found.iter().any(|finding| finding == expected), "{text}: {found:#?}");
    }
}

#[test]
fn steps_that_go_round_in_circles_are_errors() {
    let unheard = "error: this goes round in a circle, and the caller hears nothing";
    let unwaited = "error: this goes round in a circle, and nothing in it waits for the caller";
    for (steps, expected) in [
        ("step \"a\" { go \"a\" }", Some(unheard)),
        (
            "step \"a\" { go \"b\" }\nstep \"b\" { if \"crm.available\" { go \"a\" }; }",
            Some(unheard),
        ),
        ("step \"a\" { say \"greeting\"; go \"a\"; }", Some(unwaited)),
        ("step \"a\" { queue \"g\" }\ngroup \"g\" { nobody { go \"a\" } }", Some(unheard)),
        (
            "step \"a\" { queue \"g\" }\ngroup \"g\" { nobody { queue \"h\" } }\ngroup \"h\" { nobody { queue \"g\" } }",
            Some(unheard),
        ),
        ("step \"a\" { ask \"enter-card\" as=\"card\"; if \"card == '1'\" { go \"a\" }; }", None),
        (
            "step \"a\" { go \"m\" }\nmenu \"m\" { say \"menu-order\"; key \"2\" { go \"a\" }; }",
            None,
        ),
    ] {
        let text = format!("number \"100\" {{ go \"a\" }}\n{steps}\n");
        let found = findings(&text);
        let circles: Vec<_> = found.iter().filter(|finding| finding.contains("circle")).collect();
        match expected {
            Some(expected) => {
                assert!(
                    circles.len() == 1 && circles[0].ends_with(expected),
                    "{steps}: {found:#?}"
                );
            }
            None => assert!(load_text(&text).is_ok(), "{steps}: {found:#?}"),
        }
    }
}

#[test]
fn the_first_plan_of_the_manual_is_right() {
    let manual = include_str!("../../docs/dialplan.md");
    let plan = manual.split("```kdl\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(findings(plan), [""; 0]);
}

#[test]
fn an_else_may_follow_the_brace_but_no_text_is_touched() {
    let loaded = load_text(
        r##"number "100" { // } else
    if "crm.available" { say "greeting" } /* } else */
    else-if "caller.known" { hangup }	else { bonus 5 reason="} else \"} else" }
    bonus 5 reason=#"} else""#
}"##,
    );
    let plan = loaded.unwrap().plan;
    let block = format!("{:?}", plan.scripts["shop"].entries[0]);
    assert_eq!(block.matches("} else").count(), 3, "{block}");
}

#[test]
fn a_folder_without_numbers_is_an_error() {
    let none = load(&[], &catalogue(), &Settings::default()).unwrap_err();
    assert!(none[0].to_string().contains("there is no dialplan file"));
    assert!(load_text("// nothing yet\n").is_err());
}

#[test]
fn the_version_changes_with_any_byte_and_not_with_the_folder() {
    let version =
        |name: &str, text: &str| super::version(&[Source { name: name.into(), text: text.into() }]);
    assert_eq!(version("a/x.kdl", "1"), version("b/x.kdl", "1"));
    assert_ne!(version("a/x.kdl", "1"), version("a/x.kdl", "2"));
    assert_ne!(version("a/x.kdl", "1"), version("a/y.kdl", "1"));
}

#[test]
fn absurd_files_are_refused_quickly() {
    for text in [
        "a {".repeat(5_000),
        "/*".repeat(50_000),
        "((".repeat(5_000),
        format!("number \"1\" {{ if \"{}\" {{ hangup }} }}", "not ".repeat(5_000)),
        "\u{feff}number \"100\" { hangup; say \"a\" }".to_owned(),
        "x".repeat(1_000_001),
    ] {
        assert!(load_text(&text).is_err());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_loaded_or_refused(text in "\\PC{0,200}") {
        let _ = load(&[source(&text)], &Catalogue::default(), &Settings::default());
    }

    #[test]
    fn a_plan_with_a_hole_is_loaded_or_refused(start in 0_usize..6_000, length in 0_usize..40, put in "\\PC{0,4}") {
        let mut text = shipped("hotline.kdl").text;
        let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (start, end) = (boundary(start), boundary(start + length));
        text.replace_range(start..end, &put);
        let _ = load(&[source(&text)], &Catalogue::default(), &Settings::default());
    }
}
