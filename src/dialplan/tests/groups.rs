//! Groups: everything that is written is read, and what is wrong is named at its place.

use std::collections::BTreeMap;

use super::*;
use crate::dialplan::plan::{
    AfterRing, Formula, Group, LINE_MAX, OfferCallback, Overflow, Pick, Target, Tell,
};

const SUPPORT: &str = r#"
number "100" { queue "support" }
group "support" {
    pick "by-skill" skill="orders"
    need "english" 5
    need "returns" 2
    ring "25s" no-answer="delay" rejected="next" delay="40s"
    wrap-up "20s"
    target "95%" within="15s" short-abandon="3s" formula="of-answered"
    priority "customer.vip" 10
    priority "caller.anonymous" -5
    ageing "never"
    while-waiting {
        tips "tip" every="30s"
        tell "place" "estimate" every="45s"
    }
    offer-callback after="90s" key="1"
    after "5m" { also "orders" }
    after "3m" { also "sales" "orders" }
    line max=50
    keep-place "10m"
    record announce="recording-notice"
    manager-first "25s"
    topic "12" "Доставка"
    topic "4" "Возврат"
    nobody { say "callback-30"; hangup }
    full { say "sorry-full"; hangup }
}
group "sales"
group "orders" { while-waiting { tips "tip"; tell "place" }; offer-callback; record; }
"#;

fn group(text: &str, name: &str) -> Group {
    let loaded = load_text(text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    Group::clone(&loaded.plan.scripts["shop"].groups[name])
}

#[test]
fn every_part_of_a_group_is_read() {
    let group = group(SUPPORT, "support");
    assert_eq!((group.pick, group.skill.as_deref()), (Pick::BySkill, Some("orders")));
    assert_eq!(group.needs, BTreeMap::from([("english".into(), 5), ("returns".into(), 2)]));
    assert_eq!((group.ring_ms, group.wrap_up_ms), (25_000, 20_000));
    let delay = AfterRing::Delay { ms: 40_000 };
    assert_eq!((group.no_answer, group.rejected, group.busy), (delay, AfterRing::Next, delay));
    let formula = Formula::OfAnswered;
    let target = Target { percent: 95, within_ms: 15_000, short_abandon_ms: 3_000, formula };
    assert_eq!(group.target, target);
    let priorities = [("customer.vip".to_owned(), 10), ("caller.anonymous".to_owned(), -5)];
    assert_eq!(group.priorities, priorities);
    assert_eq!(group.ageing_ms, None);
    let tips = group.tips.unwrap();
    assert_eq!((tips.recordings.len(), tips.every_ms), (12, 30_000));
    assert_eq!(tips.recordings[0], RecordingId::new("tip/01"));
    assert_eq!(group.tell, Some(Tell { place: true, estimate: true, every_ms: 45_000 }));
    let key = Key::try_from('1').unwrap();
    assert_eq!(group.offer_callback, Some(OfferCallback { after_ms: 90_000, key }));
    let overflow = [
        Overflow { after_ms: 180_000, also: vec!["sales".into(), "orders".into()] },
        Overflow { after_ms: 300_000, also: vec!["orders".into()] },
    ];
    assert_eq!(group.overflow, overflow);
    assert_eq!((group.line_max, group.keep_place_ms), (50, 600_000));
    let record = group.record.unwrap();
    let notice = Piece::Recording(RecordingId::new("phrase/recording-notice"));
    assert_eq!((record.announce, record.refuse_key), ([notice].into(), None));
    assert_eq!(group.manager_first_ms, Some(25_000));
    let topics = [("12", "Доставка"), ("4", "Возврат")];
    let topics = topics.map(|(code, name)| (code.to_owned(), name.to_owned()));
    assert_eq!(group.topics, BTreeMap::from(topics));
    assert_eq!((group.nobody.len(), group.full.len()), (2, 2));
}

#[test]
fn what_is_not_written_has_a_sensible_value() {
    let plain = group(SUPPORT, "sales");
    assert_eq!((plain.pick, plain.ring_ms, plain.wrap_up_ms), (Pick::LongestIdle, 15_000, 0));
    assert_eq!(plain.no_answer, AfterRing::Pause);
    assert_eq!(plain.busy, AfterRing::Delay { ms: 10_000 });
    assert_eq!(plain.target, Target::default());
    assert_eq!((plain.ageing_ms, plain.line_max), (Some(60_000), LINE_MAX));
    assert!(plain.tips.is_none() && plain.tell.is_none() && plain.record.is_none());
    assert!(matches!(&plain.full[..], [Statement::Say(_), Statement::Hangup]));
    let bare = group(SUPPORT, "orders");
    assert_eq!(bare.tips.map(|tips| tips.every_ms), Some(20_000));
    assert_eq!(bare.tell, Some(Tell { place: true, estimate: false, every_ms: 60_000 }));
    assert_eq!(bare.offer_callback.map(|offer| offer.after_ms), Some(60_000));
    assert_eq!(bare.record.map(|rule| rule.announce.len()), Some(1));
}

#[test]
fn each_mistake_of_a_group_is_named_at_its_place() {
    for (part, expected) in [
        ("pick \"longest-idle\" skill=\"x\"", "3:27 error: a skill belongs to pick \"by-skill\""),
        ("need \"english\"", "3:1 error: need takes a skill and a level"),
        ("need \"english\" 11", "3:16 error: a level is a whole number from 1 to 10"),
        ("need \"english\" \"5\"", "3:16 error: a level is a whole number from 1 to 10"),
        (
            "need \"english\" 5\nneed \"english\" 6",
            "4:6 error: how much \"english\" is needed is already said",
        ),
        (
            "ring \"15s\" busy=\"pauze\"",
            "3:17 error: busy \"pauze\" is not known; did you mean \"pause\"?",
        ),
        ("ring \"10m\"", "3:6 error: ring must be from 1s to 5m"),
        ("wrap-up 20", "3:9 error: wrap-up needs a unit"),
        ("wrap-up", "3:1 error: wrap-up needs a duration such as \"20s\""),
        (
            "priority \"customer.vip\" 500",
            "3:25 error: a priority is a whole number from -100 to 100",
        ),
        ("manager-first \"10m\"", "3:15 error: manager-first must be from 1s to 5m"),
        ("manager-first", "3:1 error: manager-first needs a duration such as \"20s\""),
        ("topic \"12\"", "3:1 error: topic takes a code and a name"),
        ("topic 12 \"Доставка\"", "3:7 error: a code such as \"12\" is expected here"),
        ("topic \"123456789\" \"Доставка\"", "3:7 error: the code of a topic has 1 to 8 digits"),
        ("topic \"1#\" \"Доставка\"", "3:7 error: the code of a topic has 1 to 8 digits"),
        ("topic \"1\" \"\"", "3:11 error: a topic needs a name"),
        (
            "wrap-up \"20s\"\ntopic \"1\" \"a\"\ntopic \"1\" \"b\"",
            "5:7 error: topic \"1\" has a name already",
        ),
        ("ageing \"often\"", "3:8 error: \"often\" is not a duration"),
        ("line", "3:1 error: how long may the line be?"),
        ("line max=0", "3:10 error: max is a whole number from 1 to 1000"),
        (
            "while-waiting { tips \"tips\"; }",
            "3:22 error: there are no recordings in prompts/ru/tips; did you mean \"tip\"?",
        ),
        (
            "while-waiting { tell \"plase\"; }",
            "3:22 error: tell \"plase\" is not known; did you mean \"place\"?",
        ),
        ("while-waiting { tell; }", "3:17 error: what shall be told?"),
        (
            "while-waiting { tell \"place\" every=\"1s\"; }",
            "3:36 error: every must be from 10s to 1h",
        ),
        (
            "offer-callback key=\"3\"",
            "3:20 error: callers are told to press 1 (phrase/offer-callback), not 3",
        ),
        (
            "offer-callback\nrecord refuse-key=\"1\"",
            "4:19 error: key \"1\" already orders a callback",
        ),
        (
            "record announce=\"recording-notise\"",
            "3:17 error: recording \"recording-notise\" is not known; did you mean \"recording-notice\"?",
        ),
        ("after \"3m\"", "3:1 error: which group helps then?"),
        ("after \"3m\" { also \"g\"; }", "3:19 error: a group cannot help itself"),
        ("line max=5\nline max=6", "4:1 error: line is given twice"),
    ] {
        let text = format!("number \"100\" {{ queue \"g\"; }}\ngroup \"g\" {{\n{part}\n}}\n");
        let found = findings(&text);
        assert!(found.iter().any(|finding| finding.starts_with(expected)), "{part}: {found:#?}");
        let errors = found.iter().filter(|finding| finding.contains(" error: ")).count();
        assert_eq!(errors, 1, "{part}: {found:#?}");
    }
}

#[test]
fn a_refuse_key_that_nobody_tells_of_is_warned_of() {
    let text = "number \"100\" { queue \"g\"; }\ngroup \"g\" { record refuse-key=\"9\"; }\n";
    let found = findings(text);
    let expected = "2:31 warning: nothing that is announced tells of key \"9\"";
    assert!(found.iter().any(|finding| finding == expected), "{found:#?}");
}

#[test]
fn topics_without_wrap_up_are_warned_of() {
    let text = "number \"100\" { queue \"g\"; }\ngroup \"g\" { topic \"1\" \"Доставка\"; }\n";
    let found = findings(text);
    let expected = "2:13 warning: nobody has the time to type a topic";
    assert!(found.iter().any(|finding| finding == expected), "{found:#?}");
}

#[test]
fn what_waiting_callers_hear_must_be_recorded() {
    let mut catalogue = catalogue();
    let gone =
        ["phrase/your-place", "phrase/callback-promised", "phrase/all-busy", "count/hour/01"];
    catalogue.retain(|_, id| !gone.contains(&id.as_str()));
    let all = "while-waiting { tell \"place\" \"estimate\"; }\noffer-callback";
    let text = format!("number \"100\" {{ queue \"g\"; }}\ngroup \"g\" {{\n{all}\n}}\n");
    let found = load(&[source(&text)], &catalogue, &Settings::default()).unwrap_err();
    let found: Vec<String> = found.iter().map(brief).collect();
    assert_eq!(
        found,
        [
            "2:7 error: recording phrase/all-busy is missing in ru",
            "3:22 error: recording phrase/your-place is missing in ru",
            "3:30 error: to speak the estimate as duration the recording count/hour/01 is missing in ru",
            "4:1 error: recording phrase/callback-promised is missing in ru",
        ]
    );
    let spoken = format!("language \"en\"\n{text}");
    let found = load(&[source(&spoken)], &catalogue, &Settings::default()).unwrap_err();
    assert!(found.iter().any(|finding| finding.message.ends_with("is missing in en")));
}

#[test]
fn one_group_in_two_files_has_one_way_to_pick() {
    let file = |name: &str, number: u32, pick: &str| Source {
        name: format!("dialplans/{name}.kdl"),
        text: format!(
            "number \"{number}\" {{ queue \"g\"; }}\ngroup \"g\" {{ pick \"{pick}\"; }}\n"
        ),
    };
    let sources = [file("a", 1, "ring-all"), file("b", 2, "round-robin"), file("c", 3, "ring-all")];
    let loaded = load(&sources, &catalogue(), &Settings::default()).unwrap();
    let shown: Vec<_> = loaded.warnings.iter().map(|w| (&w.file, &w.message)).collect();
    let message = "group \"g\" picks its operators otherwise in dialplans/a.kdl".to_owned();
    assert_eq!(shown, [(&"dialplans/b.kdl".to_owned(), &message)]);
}

#[test]
fn operators_may_transfer_to_the_numbers_that_the_file_names() {
    let plan =
        load_text("transfer-to \"+7 (495)*\" \"8 (800) 123-45-67\"\nnumber \"100\" { hangup }\n");
    let plan = plan.unwrap_or_else(|findings| panic!("{findings:#?}")).plan;
    let allowed = &plan.scripts["shop"].transfer_to;
    let allows =
        |number: &str| allowed.allows(&PhoneNumber::parse(number, Region::default()).unwrap());
    assert!(allows("84951234567") && allows("+78001234567"));
    assert!(!allows("+79161234567") && !allows("+78001234568"));
    for wrong in ["495*", "*", "+*", "+0495*", "sales", "100"] {
        let found = findings(&format!("transfer-to \"{wrong}\"\nnumber \"100\" {{ hangup }}\n"));
        let expected = format!("1:13 error: \"{wrong}\" is no telephone number");
        assert!(found.contains(&expected), "{found:#?}");
    }
    let plan = load_text("number \"100\" { hangup }\n").unwrap().plan;
    let number = PhoneNumber::parse("+74951234567", Region::default()).unwrap();
    assert!(!plan.scripts["shop"].transfer_to.allows(&number), "without the line, none");
}

#[test]
fn customers_are_called_at_ordinary_numbers_of_our_country_unless_the_file_names_others() {
    let allowed = |line: &str| {
        let plan = load_text(&format!("{line}\nnumber \"100\" {{ hangup }}\n"));
        plan.unwrap_or_else(|findings| panic!("{findings:#?}")).plan.scripts["shop"].call_to.clone()
    };
    // Mobile, landline, free; premium, Kazakhstan, Belarus, Jamaica, a satellite.
    let ours = ["+79161112233", "84951112233", "+78003334455"];
    let dear = ["+78095551234", "+77272223344", "+375291112233", "+18765551234", "+882161234567"];
    let all = [&ours[..], &dear].concat();
    let allows = |line: &str, all: &[&'static str]| {
        let allowed = allowed(line);
        let number = |text: &str| PhoneNumber::parse(text, Region::default()).unwrap();
        all.iter().copied().filter(|text| allowed.allows(&number(text))).collect::<Vec<_>>()
    };
    assert_eq!(allows("", &all), ours);
    assert_eq!(allows("call-to \"+7*\" \"+375*\"", &all), [&ours[..], &dear[1..3]].concat());
    assert_eq!(allows("call-to \"+7495*\"\ncall-to \"+78095551234\"", &all), [ours[1], dear[0]]);
    let found = findings("call-to \"here\"\nnumber \"100\" { hangup }\n");
    assert!(found[0].starts_with("1:9 error: \"here\" is no telephone number"), "{found:#?}");
}
