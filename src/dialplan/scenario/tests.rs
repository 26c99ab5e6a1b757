use std::sync::LazyLock;

use super::*;
use crate::dialplan::tests::shipped_plan;
use crate::domain::Money;

static PLAN: LazyLock<Plan> = LazyLock::new(shipped_plan);

fn parse(text: &str) -> Result<Vec<PlanTest>, Vec<String>> {
    let source = Source { name: "dialplans/tests/shop.kdl".into(), text: text.into() };
    parse_tests(&source, &PLAN, &Settings::default()).map_err(|findings| {
        let brief = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.message);
        findings.iter().map(brief).collect()
    })
}

#[test]
fn a_test_tells_who_calls_what_the_crm_knows_and_what_is_heard() {
    let tests = parse(
            r##"
test "known client" {
    at "2026-11-23 12:30"
    call from="8 916 111-22-33" to="100"
    crm customer name="Анна" points=120 vip=#true balance=10.5 card="4444-5678" language="en" {
        order number="48-15" status="shipped" due="2026-11-25" sum="999,90" updated="2026-11-20 08:00"
    }
    crm order number="A-7" status="ready"
    crm slow="5s"
    event "order.item-not-found" order="48-15" sum=999
    hears "points-are" "120 баллов" "status/shipped" "48-15"
    hears-not "goodbye"
    press "4"
    enter "4815#"
    silence
    expect step="main"
    expect queued="support"
    expect promise="callback" due="2026-11-30 11:00"
    expect language="ru"
    expect hangup
    hangs-up
}
"##,
        )
        .unwrap();
    let test = &tests[0];
    assert_eq!((test.name.as_str(), test.line, test.to.as_str()), ("known client", 2, "100"));
    assert_eq!(test.at.to_string(), "2026-11-23T12:30:00");
    assert_eq!(test.from.full(), "+79161112233");
    assert_eq!(test.crm, CrmState::Slow { ms: 5_000 });
    let anna = &test.customers[0];
    assert_eq!((anna.points, anna.vip, anna.balance), (Some(120), true, Some(Money(1_050))));
    assert_eq!(anna.orders[0].sum, Some(Money(99_990)));
    assert_eq!(anna.orders[0].due.map(|due| due.to_string()).as_deref(), Some("2026-11-25"));
    assert_eq!(test.other_orders[0].number, "A-7");
    let recording = |id: &str| Heard::Recording(RecordingId::new(id));
    let text = |text: &str| Heard::Text(text.into());
    let heard = vec![
        recording("phrase/points-are"),
        text("120 баллов"),
        recording("status/shipped"),
        text("48-15"),
    ];
    assert_eq!(test.steps[0].action, Action::Hears(heard));
    let event = &test.events[0];
    assert_eq!(
        (event.name.as_str(), event.phone.as_str()),
        ("order.item-not-found", test.from.full())
    );
    assert_eq!((event.values["order"].as_str(), event.values["sum"].as_str()), ("48-15", "999"));
    assert_eq!((test.steps[0].line, test.steps[0].column), (11, 5));
    assert_eq!(test.steps[1].text, "hears-not \"goodbye\"");
    let key = |c: char| Key::try_from(c).unwrap();
    assert_eq!(test.steps[2].action, Action::Press(key('4')));
    assert_eq!(test.steps[3].action, Action::Enter("4815#".chars().map(key).collect()));
    assert_eq!(test.steps[5].action, Action::Expect(Expectation::Step("main".into())));
    let due = Some(Date::constant(2026, 11, 30).at(11, 0, 0, 0));
    let promised = Expectation::Promise { kind: PromiseKind::CallbackOrdered, due };
    assert_eq!(test.steps[7].action, Action::Expect(promised));
    assert_eq!(test.steps.len(), 11);
}

#[test]
fn mistakes_in_tests_are_named() {
    let call = "call from=\"+79161112233\" to=\"100\"";
    for (lines, expected) in [
        ("hears \"greeting\"", "1:1 nobody calls in this test"),
        ("call to=\"999\"", "2:9 number \"999\" is not answered by the plan"),
        ("call to=100", "2:9 a number of the plan is expected here"),
        ("{call}\nhear \"greeting\"", "3:1 line \"hear\" is not known; did you mean \"hears\"?"),
        ("{call}\npress \"12\"", "3:1 which one key?"),
        (
            "{call}\nevent \"order.delaied\"\nhangs-up",
            "3:7 event \"order.delaied\" is not answered by the plan; did you mean \"order.delayed\"?",
        ),
        ("{call}\nexpect hangup due=\"2026-11-30 11:00\"", "3:19 what is due then?"),
        (
            "{call}\nexpect promise=\"callback-missed\" due=\"monday\"",
            "3:38 \"monday\" is not a moment; write \"2026-11-23 12:00\"",
        ),
        ("{call}\npress 1", "3:7 keys such as \"1\" or \"4815#\" is expected here"),
        (
            "{call}\nexpect queued=\"suport\"",
            "3:15 group \"suport\" is not defined; did you mean \"support\"?",
        ),
        (
            "{call}\nexpect step=\"mian\"",
            "3:13 step or menu \"mian\" is not defined; did you mean \"main\"?",
        ),
        (
            "{call}\nat \"noon\"\nsilence",
            "3:4 \"noon\" is not a moment; write \"2026-11-23 12:00\"",
        ),
        (
            "{call}\ncrm custmer\nsilence",
            "3:5 crm \"custmer\" is not known; did you mean \"customer\"?",
        ),
        (
            "{call}\ncrm customer points=\"5\"\nsilence",
            "3:21 points is a whole number without quotes",
        ),
        ("{call}\ncrm customer { order status=\"new\"; }\nsilence", "3:16 an order needs a number"),
        ("{call}", "1:1 nothing is tested"),
    ] {
        let lines = lines.replace("{call}", call);
        let found = parse(&format!("test \"x\" {{\n{lines}\n}}")).unwrap_err();
        assert_eq!(found, [expected], "{lines}");
    }
}

#[test]
fn the_shipped_tests_can_be_read() {
    for file in ["hotline.kdl", "hotline-en.kdl"] {
        let path = format!("{}/dialplans/tests/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let source = Source { name: format!("dialplans/tests/{file}"), text };
        match parse_tests(&source, &PLAN, &Settings::default()) {
            Ok(tests) => assert!(tests.len() >= 5, "{file}"),
            Err(findings) => panic!("{}", findings[0]),
        }
    }
}

#[test]
fn a_test_tells_who_is_there_to_answer_and_who_waits_before_the_caller() {
    let tests = parse(
        r##"
test "line" {
    call from="anonymous" to="100"
    operators "support" ready=1 busy=2 answer="5s" free="1m"
    operator "boris" "support" answer="never"
    ahead "support" 3
    wait "70s"
    expect waiting="support"
    expect connected="support"
    expect operator="boris"
}
"##,
    )
    .unwrap();
    let test = &tests[0];
    let logins: Vec<&str> = test.operators.iter().map(|o| o.login.as_str()).collect();
    assert_eq!(logins, ["operator-1", "operator-2", "operator-3", "boris"]);
    let busy = Presence::Busy { free_after_ms: Some(60_000) };
    let presences: Vec<Presence> = test.operators.iter().map(|o| o.presence).collect();
    assert_eq!(presences, [Presence::Ready, busy, busy, Presence::Ready]);
    assert_eq!((test.operators[0].answer_ms, test.operators[3].answer_ms), (Some(5_000), None));
    assert_eq!(test.ahead, [("support".to_owned(), 3)]);
    let actions: Vec<&Action> = test.steps.iter().map(|step| &step.action).collect();
    let group = || "support".to_owned();
    let expected = [
        Action::Wait { ms: 70_000 },
        Action::Expect(Expectation::Waiting(group())),
        Action::Expect(Expectation::Connected(group())),
        Action::Expect(Expectation::Operator("boris".parse().unwrap())),
    ];
    assert_eq!(actions, expected.iter().collect::<Vec<_>>());
}

#[test]
fn mistakes_about_operators_are_named_at_their_place() {
    for (line, expected) in [
        ("operators \"support\"", "4:1 how many operators are there?"),
        (
            "operators \"suport\" ready=1",
            "4:11 group \"suport\" is not defined; did you mean \"support\"?",
        ),
        ("operators \"support\" ready=-1", "4:27 ready is a whole number from 0 to 100"),
        ("operators \"support\" ready=1 free=\"9s\"", "4:34 nobody is busy"),
        ("operator \"boris\"", "4:1 in which groups is the operator?"),
        ("operator \"борис\" \"support\"", "4:10 \"борис\" is not a login"),
        ("ahead \"support\" 0", "4:17 the callers ahead are a whole number from 1 to 1000"),
        ("wait \"3h\"", "4:6 a caller waits at most 2h in a test"),
        ("wait 70", "4:6 a duration such as \"70s\" is expected here"),
    ] {
        let test = format!("\ntest \"x\" {{\ncall to=\"100\"\n{line}\nhangs-up\n}}\n");
        let found = parse(&test).unwrap_err();
        assert!(found.iter().any(|found| found.starts_with(expected)), "{line}: {found:#?}");
        assert_eq!(found.len(), 1, "{line}: {found:#?}");
    }
}
