use super::*;

const ROOM: Room = Room { waiting_max: 4_000, stranger_per_second_max: 100_000 };
const NOW: u64 = 1_000_000;

fn source(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// An item names its source and its number.
type Item = (u8, u32);

fn push(
    intake: &mut Intake<Item>,
    now_ms: u64,
    standing: Standing,
    urgency: Urgency,
    item: Item,
) -> Result<(), Refusal> {
    let pushed = intake.push(now_ms, source(item.0), standing, urgency, item);
    pushed.map_err(|(refusal, _)| refusal)
}

fn take_all(intake: &mut Intake<Item>, now_ms: u64, is_app_ready: bool) -> Vec<Item> {
    let served = std::iter::from_fn(|| intake.take(now_ms, is_app_ready));
    served
        .map(|turn| match turn {
            Turn::Served(item) | Turn::Late(item) => item,
        })
        .collect()
}

use Standing::{Known, Stranger};
use Urgency::{Following, Fresh, Running};

#[test]
fn one_who_floods_waits_behind_itself() {
    let mut intake = Intake::new(ROOM);
    for number in 0..400 {
        push(&mut intake, NOW, Stranger, Fresh, (1, number)).unwrap();
    }
    push(&mut intake, NOW, Stranger, Fresh, (2, 0)).unwrap();
    push(&mut intake, NOW, Stranger, Fresh, (2, 1)).unwrap();
    let order = take_all(&mut intake, NOW, true);
    assert_eq!(order[..5], [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)]);
    assert_eq!(order.len(), 402);
}

#[test]
fn what_runs_goes_before_what_is_new_and_known_sources_before_strangers() {
    let mut intake = Intake::new(ROOM);
    push(&mut intake, NOW, Stranger, Fresh, (1, 0)).unwrap();
    push(&mut intake, NOW, Known, Fresh, (2, 0)).unwrap();
    push(&mut intake, NOW, Stranger, Running, (3, 0)).unwrap();
    push(&mut intake, NOW, Known, Running, (4, 0)).unwrap();
    assert_eq!(take_all(&mut intake, NOW, true), [(4, 0), (3, 0), (2, 0), (1, 0)]);
}

#[test]
fn a_flood_of_what_runs_lets_something_new_pass() {
    let mut intake = Intake::new(ROOM);
    for number in 0..200 {
        push(&mut intake, NOW, Stranger, Running, (1, number)).unwrap();
    }
    push(&mut intake, NOW, Known, Fresh, (2, 0)).unwrap();
    let order = take_all(&mut intake, NOW, true);
    let place = order.iter().position(|item| *item == (2, 0)).unwrap();
    assert_eq!(place, IN_A_ROW as usize);
}

#[test]
fn nothing_new_is_given_to_an_app_that_is_behind() {
    let mut intake = Intake::new(ROOM);
    push(&mut intake, NOW, Known, Fresh, (1, 0)).unwrap();
    push(&mut intake, NOW, Known, Running, (1, 1)).unwrap();
    assert_eq!(take_all(&mut intake, NOW, false), [(1, 1)]);
    assert!(!intake.has_turn(false) && intake.has_turn(true) && intake.has_fresh());
    assert_eq!(take_all(&mut intake, NOW, true), [(1, 0)]);
}

#[test]
fn a_cancel_does_not_overtake_its_invite() {
    let mut intake = Intake::new(ROOM);
    push(&mut intake, NOW, Known, Fresh, (1, 0)).unwrap();
    push(&mut intake, NOW, Known, Following, (1, 1)).unwrap();
    assert_eq!(take_all(&mut intake, NOW, false), []);
    assert_eq!(take_all(&mut intake, NOW, true), [(1, 0), (1, 1)]);
    push(&mut intake, NOW, Known, Following, (1, 2)).unwrap();
    assert_eq!(take_all(&mut intake, NOW, false), [(1, 2)]);
}

#[test]
fn who_comes_behind_one_that_has_waited_long_is_refused_at_once() {
    let mut intake = Intake::new(ROOM);
    let few = u32::try_from(FEW).unwrap();
    for number in 0..few {
        push(&mut intake, NOW, Known, Fresh, (1, number)).unwrap();
    }
    let later = NOW + PATIENCE_MS;
    push(&mut intake, later - 1, Known, Fresh, (1, few)).unwrap();
    assert_eq!(push(&mut intake, later, Known, Fresh, (1, 0)), Err(Refusal::Behind));
    push(&mut intake, later, Known, Following, (1, 0)).unwrap();
    push(&mut intake, later, Known, Fresh, (2, 0)).unwrap();
}

#[test]
fn a_pause_of_the_machine_is_no_overload() {
    let mut intake = Intake::new(ROOM);
    push(&mut intake, NOW, Known, Fresh, (1, 0)).unwrap();
    push(&mut intake, NOW + 10 * TOO_LATE_MS, Known, Fresh, (1, 1)).unwrap();
    let late = intake.take(NOW + 20 * TOO_LATE_MS, true);
    assert_eq!(late, Some(Turn::Served((1, 0))));
}

#[test]
fn what_is_about_to_be_repeated_is_refused_when_much_waits() {
    let mut intake = Intake::new(ROOM);
    for number in 0..200_u32 {
        let place = u8::try_from(number).unwrap();
        push(&mut intake, NOW, Stranger, Fresh, (place, number)).unwrap();
    }
    assert!(matches!(intake.take(NOW + TOO_LATE_MS - 1, true), Some(Turn::Served(_))));
    assert!(matches!(intake.take(NOW + TOO_LATE_MS, true), Some(Turn::Late(_))));
}

#[test]
fn strangers_fill_half_the_room_and_one_source_a_quarter() {
    let mut intake = Intake::new(Room { waiting_max: 8, ..ROOM });
    let mut fill = |from: u8, standing| {
        (0..10)
            .filter(|number| push(&mut intake, NOW, standing, Running, (from, *number)).is_ok())
            .count()
    };
    assert_eq!([fill(1, Stranger), fill(2, Stranger), fill(3, Stranger)], [2, 2, 0]);
    assert_eq!([fill(4, Known), fill(5, Known)], [2, 2]);
}

#[test]
fn a_stranger_may_send_so_many_messages_in_a_second() {
    let mut intake = Intake::new(Room { stranger_per_second_max: 2, ..ROOM });
    for (number, wanted) in [Ok(()), Ok(()), Err(Refusal::Flood)].into_iter().enumerate() {
        let item = (1, u32::try_from(number).unwrap());
        assert_eq!(push(&mut intake, NOW, Stranger, Running, item), wanted);
    }
    push(&mut intake, NOW, Stranger, Running, (2, 0)).unwrap();
    push(&mut intake, NOW + 1_000, Stranger, Running, (1, 0)).unwrap();
    for number in 0..10 {
        push(&mut intake, NOW, Known, Running, (3, number)).unwrap();
    }
}

#[test]
fn sources_that_have_gone_are_forgotten() {
    let mut intake = Intake::new(ROOM);
    for number in 0..u32::try_from(LINES_MAX).unwrap() + 10 {
        let from = IpAddr::from(number.to_be_bytes());
        intake.push(NOW, from, Stranger, Running, (0, number)).unwrap();
        take_all(&mut intake, NOW, true);
    }
    assert!(intake.lines.len() < LINES_MAX);
}
