use proptest::prelude::*;

use super::*;

/// 2026-11-23 10:00 in Moscow.
const TEN: Timestamp = Timestamp(1_795_417_200_000);
const STANDARD: Standard = Standard { within_ms: 20_000, short_abandon_ms: 5_000 };

fn moscow() -> TimeZone {
    TimeZone::get("Europe/Moscow").unwrap()
}

fn visit(wait_s: u64, outcome: LineOutcome) -> Visit {
    let answered = outcome == LineOutcome::Answered;
    Visit {
        group: "support".into(),
        origin: Origin::Called,
        entered: TEN,
        wait_ms: wait_s * 1_000,
        outcome,
        operator: answered.then(|| "anna".parse().unwrap()),
    }
}

fn talk(talk_s: u64, hold_s: u64, wrap_up_s: u64) -> Conversation {
    Conversation {
        operator: "anna".parse().unwrap(),
        group: Some("support".into()),
        began: TEN,
        talk_ms: talk_s * 1_000,
        hold_ms: hold_s * 1_000,
        wrap_up_ms: wrap_up_s * 1_000,
        topic: None,
    }
}

fn tally(visits: &[Visit]) -> Tally {
    let mut tally = Tally::default();
    for visit in visits {
        tally.add_visit(visit, STANDARD);
    }
    tally
}

fn parts(tally: &Tally) -> [(u64, u64); 4] {
    Formula::ALL.map(|formula| {
        let level = tally.level(formula);
        (level.numerator, level.denominator)
    })
}

#[test]
fn the_four_formulas_differ_by_what_they_divide_by() {
    use LineOutcome::{Abandoned, Answered};
    // Six answered, four of them within 20 s; one left after 3 s, one after 15 s, two later.
    let tally = tally(&[
        visit(0, Answered),
        visit(5, Answered),
        visit(19, Answered),
        visit(20, Answered),
        visit(21, Answered),
        visit(60, Answered),
        visit(3, Abandoned),
        visit(15, Abandoned),
        visit(40, Abandoned),
        visit(90, Abandoned),
    ]);
    assert_eq!(parts(&tally), [(4, 10), (4, 6), (4, 8), (4, 9)]);
    let figures = tally.figures();
    assert_eq!(figures.levels[0].percent(), Some(40.0));
    assert_eq!(figures.levels[2].percent(), Some(50.0));
    assert_eq!((figures.offered, figures.answered, figures.abandoned), (10, 6, 4));
    assert_eq!(figures.missed_percent, Some(40.0));
    // 0 + 5 + 19 + 20 + 21 + 60 = 125 s for six.
    assert_eq!(figures.mean_wait_ms, Some(20_833));
    assert_eq!((figures.median_wait_ms, figures.p90_wait_ms), (Some(19_000), Some(60_000)));
    assert_eq!(figures.longest_wait_ms, 90_000, "of those who left too");
}

#[test]
fn the_limits_themselves_are_in_time_but_not_short() {
    use LineOutcome::{Abandoned, Answered};
    let tally = tally(&[visit(20, Answered), visit(20, Abandoned), visit(5, Abandoned)]);
    assert_eq!((tally.answered_in_time, tally.abandoned_in_time), (1, 2));
    assert_eq!(tally.abandoned_at_once, 0);
}

#[test]
fn who_is_called_back_or_turned_away_was_not_offered() {
    use LineOutcome::{Answered, Callback, Full, Nobody};
    let tally =
        tally(&[visit(10, Answered), visit(70, Callback), visit(0, Nobody), visit(0, Full)]);
    assert_eq!((tally.offered(), tally.callbacks, tally.nobody, tally.full), (1, 1, 1, 1));
    assert_eq!(parts(&tally), [(1, 1); 4]);
    assert_eq!(tally.figures().longest_wait_ms, 10_000);
}

#[test]
fn a_failure_of_ours_counts_against_us_in_every_formula_that_counts_abandons() {
    let tally = tally(&[visit(10, LineOutcome::Answered), visit(1, LineOutcome::Lost)]);
    assert_eq!(parts(&tally), [(1, 2), (1, 1), (1, 2), (1, 2)]);
}

#[test]
fn who_comes_back_because_the_operator_was_lost_is_not_offered_again() {
    let back = Visit { origin: Origin::OperatorLost, ..visit(300, LineOutcome::Answered) };
    let tally = tally(&[visit(10, LineOutcome::Answered), back]);
    assert_eq!((tally.offered(), tally.operator_lost), (1, 1));
    assert_eq!(tally.figures().longest_wait_ms, 10_000);
}

#[test]
fn a_customer_who_is_called_back_is_neither_offered_nor_answered() {
    let visits = [LineOutcome::Answered, LineOutcome::Lost, LineOutcome::Abandoned]
        .map(|outcome| Visit { origin: Origin::Callback, ..visit(300, outcome) });
    let called_back = tally(&visits);
    assert_eq!(called_back, tally(&[]));
}

#[test]
fn who_calls_again_or_is_transferred_is_offered_again() {
    for origin in [Origin::CameBack, Origin::Transferred] {
        let again = Visit { origin, ..visit(30, LineOutcome::Answered) };
        let tally = tally(&[visit(10, LineOutcome::Abandoned), again]);
        assert_eq!(tally.offered(), 2);
    }
}

#[test]
fn a_group_without_operators_is_closed_and_never_perfect() {
    let closed = tally(&[visit(0, LineOutcome::Nobody)]);
    let quiet = Tally::default();
    let all_left_early = tally(&[visit(1, LineOutcome::Abandoned)]);
    for formula in Formula::ALL {
        assert!(closed.level(formula).closed);
        assert_eq!(closed.level(formula).percent(), None);
        assert!(!quiet.level(formula).closed);
        assert_eq!(quiet.level(formula).percent(), None);
        assert_ne!(all_left_early.level(formula).percent(), Some(100.0));
    }
    assert_eq!(all_left_early.level(Formula::OfOffered).percent(), Some(0.0));
}

#[test]
fn handling_is_talk_hold_and_wrap_up() {
    let mut tally = Tally::default();
    tally.add_conversation(&talk(100, 20, 30));
    tally.add_conversation(&talk(50, 0, 0));
    let figures = tally.figures();
    assert_eq!((figures.conversations, figures.mean_handle_ms), (2, Some(100_000)));
}

#[test]
fn half_hours_and_days_are_those_of_the_wall_clock() {
    let at = |ms: i64| Timestamp(TEN.0 + ms);
    let visits = [
        Visit { entered: at(0), ..visit(1, LineOutcome::Answered) },
        Visit { entered: at(1_799_999), ..visit(1, LineOutcome::Answered) },
        Visit { entered: at(1_800_000), ..visit(1, LineOutcome::Answered) },
    ];
    let by = |by, zone: &TimeZone| by_parts(&visits, &[], by, zone, |_| STANDARD);
    let halves: Vec<Part> = by(By::HalfHour, &moscow()).into_keys().collect();
    assert_eq!(halves, [Part::From(TEN), Part::From(at(1_800_000))]);
    let midnight = Timestamp(TEN.0 - 10 * 3_600_000);
    let days: Vec<Part> = by(By::Day, &moscow()).into_keys().collect();
    assert_eq!(days, [Part::From(midnight)]);
    // 12:45 in Kathmandu, which is 5:45 before UTC.
    let kathmandu = TimeZone::get("Asia/Kathmandu").unwrap();
    let halves: Vec<Part> = by(By::HalfHour, &kathmandu).into_keys().collect();
    assert_eq!(halves, [Part::From(at(-900_000)), Part::From(at(900_000))]);
}

#[test]
fn operators_have_what_they_answered_and_groups_what_came_to_them() {
    let direct = Conversation { group: None, ..talk(10, 0, 0) };
    let visits = [visit(1, LineOutcome::Answered), visit(1, LineOutcome::Abandoned)];
    let talks = [talk(20, 0, 0), direct];
    let by = |by| by_parts(&visits, &talks, by, &moscow(), |_| STANDARD);
    let operators: Vec<_> = by(By::Operator).into_values().collect();
    assert_eq!((operators.len(), operators[0].offered(), operators[0].conversations), (1, 1, 2));
    let groups: Vec<_> = by(By::Group).into_values().collect();
    assert_eq!((groups.len(), groups[0].offered(), groups[0].conversations), (1, 2, 1));
}

fn any_visit() -> impl Strategy<Value = Visit> {
    let outcome = prop_oneof![
        Just(LineOutcome::Answered),
        Just(LineOutcome::Abandoned),
        Just(LineOutcome::Callback),
        Just(LineOutcome::Nobody),
        Just(LineOutcome::Full),
        Just(LineOutcome::Lost),
    ];
    let origin = prop_oneof![
        4 => Just(Origin::Called),
        1 => Just(Origin::CameBack),
        1 => Just(Origin::OperatorLost),
        1 => Just(Origin::Callback),
    ];
    (0..120u64, outcome, origin, 0..86_400_000i64, 0..3u8).prop_map(
        |(wait_s, outcome, origin, after_ms, group)| Visit {
            entered: Timestamp(TEN.0 - 36_000_000 + after_ms),
            origin,
            group: format!("group{group}"),
            ..visit(wait_s, outcome)
        },
    )
}

proptest! {
    #[test]
    fn half_hours_and_groups_add_up_to_the_day(visits in prop::collection::vec(any_visit(), 0..80)) {
        let talks: Vec<Conversation> = visits
            .iter()
            .map(|visit| Conversation { began: visit.entered, ..talk(visit.wait_ms, 1, 2) })
            .collect();
        let sum = |by| {
            let mut sum = Tally::default();
            let tallies = by_parts(&visits, &talks, by, &moscow(), |_| STANDARD);
            tallies.values().for_each(|part| sum.add(part));
            sum
        };
        let day = by_parts(&visits, &talks, By::Day, &moscow(), |_| STANDARD);
        prop_assert!(day.len() <= 1);
        let day = day.into_values().next().unwrap_or_default();
        prop_assert_eq!(sum(By::HalfHour), day.clone());
        prop_assert_eq!(sum(By::Group), day.clone());
        let figures = day.figures();
        prop_assert!(figures.answered_in_time <= figures.answered);
        prop_assert!(figures.abandoned_at_once <= figures.abandoned_in_time);
        let counted = figures.offered + figures.callbacks + figures.nobody + figures.full
            + figures.operator_lost;
        let callers = visits.iter().filter(|visit| visit.origin != Origin::Callback);
        prop_assert_eq!(counted, callers.count() as u64);
        prop_assert!(figures.median_wait_ms <= figures.p90_wait_ms);
        prop_assert!(figures.p90_wait_ms.unwrap_or(0) <= figures.longest_wait_ms);
    }
}
