//! Who must be rung, worked out slowly and obviously from a flat list of callers and operators.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::acd::line::{Caller, Stage};
use crate::core::acd::operators::{Person, Work};
use crate::core::acd::{Acd, OfferId, TicketWay};
use crate::dialplan::plan::Pick;
use crate::domain::{CallId, Login, PhoneState, Timestamp};

pub type Pairs = BTreeSet<(CallId, Login)>;

/// The pairs of the offers in `new`.
pub fn actual(acd: &Acd, new: &[OfferId]) -> Pairs {
    new.iter().map(|id| (acd.offers[id].call, acd.offers[id].operator.clone())).collect()
}

/// The pairs that must be rung, or reserved, in a house where those in `rung_now` were not yet.
pub fn expected(
    acd: &Acd,
    now: Timestamp,
    rung_now: &Pairs,
    mut turns: BTreeMap<String, Login>,
) -> Pairs {
    let was_idle = |person: &Person| {
        let login = &person.operator.login;
        matches!(person.work, Work::None) || rung_now.iter().any(|(_, rung)| rung == login)
    };
    let mut free: Vec<&Person> =
        acd.staff.iter().filter(|p| was_idle(p) && could_be_rung(p)).collect();
    let mut callers: Vec<&Caller> = acd.callers.values().collect();
    callers.sort_by_key(|caller| order(caller));

    let mut pairs = Pairs::new();
    for caller in callers {
        let call = caller.ticket.call;
        let tried: Vec<&Login> = match &caller.stage {
            Stage::Waiting => Vec::new(),
            Stage::Reserved { operator } if rung_now.contains(&(call, operator.clone())) => {
                Vec::new()
            }
            Stage::Reserved { .. } | Stage::Answered { .. } => continue,
            Stage::Ringing { tried, .. } => {
                let before = |login: &&Login| !rung_now.contains(&(call, (*login).clone()));
                tried.keys().filter(before).collect()
            }
        };
        if !tried.is_empty() && caller.group().pick != Pick::RingAll {
            continue;
        }
        let mut able: Vec<&Person> =
            free.iter().copied().filter(|person| may_take(now, caller, person)).collect();
        able.retain(|person| !tried.contains(&&person.operator.login));
        let chosen = choose(caller, able, &mut turns);
        free.retain(|person| !chosen.contains(&person.operator.login));
        pairs.extend(chosen.into_iter().map(|login| (call, login)));
    }
    pairs
}

fn could_be_rung(person: &Person) -> bool {
    let own = &person.operator.groups;
    person.attendance.groups.iter().any(|group| own.contains(group))
        && !person.is_removed
        && person.attendance.paused.is_none()
        && person.phone == PhoneState::Reachable
        && person.own_call.is_none()
        && person.delay.is_none()
}

fn may_take(now: Timestamp, caller: &Caller, person: &Person) -> bool {
    if let Some((manager, _)) = &caller.manager {
        return *manager == person.operator.login;
    }
    if caller.ticket.only_manager {
        return false;
    }
    let waited = now.0 - caller.rank.entered.0;
    let late =
        caller.group().overflow.iter().filter(|o| i64::try_from(o.after_ms).unwrap() <= waited);
    let mut groups: Vec<&String> = late.flat_map(|overflow| &overflow.also).collect();
    groups.push(&caller.group().name);
    let attends = |group: &String| {
        person.attendance.groups.contains(group) && person.operator.groups.contains(group)
    };
    groups.into_iter().any(attends)
        && caller.group().needs.iter().all(|(skill, needed)| level(person, skill) >= *needed)
}

fn level(person: &Person, skill: &str) -> u8 {
    person.operator.skills.get(skill).copied().unwrap_or(0)
}

/// The lost first, then by arrival less the head start of priority, then by arrival and id.
fn order(caller: &Caller) -> (bool, i64, Timestamp, CallId) {
    let ticket = &caller.ticket;
    let point = ticket.group.ageing_ms.unwrap_or(1_000_000_000_000);
    let head_start = i64::from(ticket.priority) * i64::try_from(point).unwrap();
    let entered = caller.rank.entered;
    (caller.rank.is_ordinary, entered.0 - head_start, entered, ticket.call)
}

fn choose(caller: &Caller, able: Vec<&Person>, turns: &mut BTreeMap<String, Login>) -> Vec<Login> {
    let group = caller.group();
    let logins = |people: &[&Person]| -> Vec<Login> {
        people.iter().map(|person| person.operator.login.clone()).collect()
    };
    let is_to_be_called = caller.ticket.way == TicketWay::CustomerFirst && !caller.is_live;
    if group.pick == Pick::RingAll && !caller.ticket.only_manager && !is_to_be_called {
        let all = logins(&able);
        if let [one] = all.as_slice() {
            turns.insert(group.name.clone(), one.clone());
        }
        return all;
    }
    let last = caller.last_rung.as_ref().map(|(login, _)| login);
    let others: Vec<&Person> =
        able.iter().copied().filter(|p| Some(&p.operator.login) != last).collect();
    let pool = if others.is_empty() { able } else { others };
    let is_member = |p: &&Person| {
        p.attendance.groups.contains(&group.name) && p.operator.groups.contains(&group.name)
    };
    let members: Vec<&Person> = pool.iter().copied().filter(is_member).collect();
    let mut pool = if members.is_empty() { pool } else { members };
    pool.sort_by_key(|p| (p.idle_since, p.operator.login.clone()));
    match group.pick {
        Pick::LongestIdle | Pick::RingAll => {}
        Pick::FewestCalls => pool.sort_by_key(|person| person.calls),
        Pick::BySkill => {
            let skill = group.skill.as_ref().unwrap_or(&group.name);
            pool.sort_by_key(|person| 10 - level(person, skill));
        }
        Pick::RoundRobin => {
            pool.sort_by_key(|person| person.operator.login.clone());
            let last = turns.get(&group.name);
            pool.sort_by_key(|person| last.is_some_and(|last| person.operator.login <= *last));
        }
    }
    let chosen: Vec<Login> = logins(&pool).into_iter().take(1).collect();
    if let Some(login) = chosen.first() {
        turns.insert(group.name.clone(), login.clone());
    }
    chosen
}
