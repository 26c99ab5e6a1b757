//! `/metrics` in the text format of Prometheus (version 0.0.4).
//!
//! Written by hand: every figure is read from one owner at the moment it is asked for, so a client
//! library with its registered and updated counters would be a second set of books.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::promises::PromiseFigures;
use super::state::{GroupState, OperatorNow, StateSnapshot};
use crate::domain::PromiseKind;

/// The content type of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What only grows while the server runs, and what RTP is like now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Calls that ended, by outcome as `allo calls` names it.
    pub calls: BTreeMap<String, u64>,
    /// Responses sent, by the first digit of their status: 1 to 6.
    pub sip_responses: BTreeMap<u8, u64>,
    /// SIP requests that were refused with 503 for want of room.
    pub sip_refused: u64,
    /// SIP messages that were neither handled nor answered.
    pub sip_dropped: u64,
    pub rtp: RtpCounters,
    pub promises: PromiseFigures,
    /// Facts of calls and promises that are in memory and not yet in the database.
    pub facts_waiting: u64,
}

/// RTP as it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RtpCounters {
    pub packets: u64,
    /// Never came, by their sequence numbers.
    pub lost: u64,
    /// The mean interarrival jitter (RFC 3550 §6.4.1) of the calls that are up.
    pub jitter_ms: f64,
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// The whole answer.
pub fn text(state: &StateSnapshot, counters: &Counters, listeners: usize) -> String {
    let mut page = Page(String::new());
    page.one("allo_calls_up", "Calls that are up.", state.calls as f64);
    groups(&mut page, &state.groups);
    let operators = OperatorNow::NAMES.map(|name| {
        let count = state.operators.iter().filter(|operator| operator.now.name() == name).count();
        (vec![("state", name)], count as f64)
    });
    page.family("allo_operators", "Operators by state.", Kind::Gauge, operators);
    let calls = counters
        .calls
        .iter()
        .map(|(outcome, count)| (vec![("outcome", outcome.as_str())], *count as f64));
    page.family("allo_calls_total", "Calls that ended, by outcome.", Kind::Counter, calls);
    let classes: Vec<(String, u64)> = counters
        .sip_responses
        .iter()
        .map(|(class, count)| (format!("{class}xx"), *count))
        .collect();
    let responses =
        classes.iter().map(|(class, count)| (vec![("class", class.as_str())], *count as f64));
    page.family("allo_sip_responses_total", "SIP responses sent.", Kind::Counter, responses);
    overload(&mut page, counters);
    rtp(&mut page, &counters.rtp);
    promises(&mut page, &counters.promises);
    let tasks =
        tokio::runtime::Handle::try_current().map_or(0, |it| it.metrics().num_alive_tasks());
    page.one("allo_tasks", "Tasks of the runtime that are under way.", tasks as f64);
    page.one("allo_facts_waiting", "What waits for the database.", counters.facts_waiting as f64);
    page.one("allo_event_listeners", "Clients of /api/events.", listeners as f64);
    page.0
}

fn groups(page: &mut Page, groups: &[GroupState]) {
    let mut gauge = |name: &str, help: &str, value: fn(&GroupState) -> Option<f64>| {
        let rows = groups
            .iter()
            .filter_map(|group| Some((vec![("group", group.name.as_str())], value(group)?)));
        page.family(name, help, Kind::Gauge, rows);
    };
    gauge("allo_line_length", "Callers who wait.", |group| Some(group.line.len() as f64));
    gauge("allo_line_longest_wait_seconds", "The longest of their waits.", |group| {
        Some(seconds(group.longest_wait_ms()))
    });
    gauge("allo_callbacks_waiting", "Callers who asked to be called back.", |group| {
        Some(group.callbacks as f64)
    });
    gauge("allo_today_offered", "Callers answered or left unanswered, since midnight.", |group| {
        Some(group.today.offered as f64)
    });
    gauge("allo_today_answered", "Callers answered, since midnight.", |group| {
        Some(group.today.answered as f64)
    });
    gauge("allo_today_abandoned", "Callers left unanswered, since midnight.", |group| {
        Some(group.today.abandoned as f64)
    });
    gauge("allo_service_level_target_ratio", "What the group aims at, 0 to 1.", |group| {
        Some(f64::from(group.today.target_percent) / 100.0)
    });
    gauge("allo_service_level_within_seconds", "An answer after this wait is in time.", |group| {
        Some(seconds(group.today.within_ms))
    });
    let levels = groups.iter().filter(|group| group.today.denominator > 0).map(|group| {
        let labels =
            vec![("group", group.name.as_str()), ("formula", group.today.formula.as_str())];
        (labels, group.today.numerator as f64 / group.today.denominator as f64)
    });
    let help = "The service level since midnight, 0 to 1; absent before the first caller.";
    page.family("allo_service_level_ratio", help, Kind::Gauge, levels);
}

fn overload(page: &mut Page, counters: &Counters) {
    for (name, help, count) in [
        ("allo_sip_refused_total", "SIP requests refused for want of room.", counters.sip_refused),
        ("allo_sip_dropped_total", "SIP messages dropped unanswered.", counters.sip_dropped),
    ] {
        page.family(name, help, Kind::Counter, [(Vec::new(), count as f64)]);
    }
}

fn rtp(page: &mut Page, rtp: &RtpCounters) {
    let none: Vec<(&str, &str)> = Vec::new();
    let packets = [(none.clone(), rtp.packets as f64)];
    page.family("allo_rtp_packets_total", "RTP packets received.", Kind::Counter, packets);
    let lost = [(none, rtp.lost as f64)];
    page.family("allo_rtp_packets_lost_total", "RTP packets that never came.", Kind::Counter, lost);
    let help = "Mean interarrival jitter of the calls that are up.";
    page.one("allo_rtp_jitter_seconds", help, rtp.jitter_ms / 1000.0);
}

fn promises(page: &mut Page, figures: &PromiseFigures) {
    for (name, help, counts) in [
        ("allo_promises_open", "Promises that are not over.", &figures.open),
        ("allo_promises_late", "Those of them that are late.", &figures.late),
    ] {
        let rows = PromiseKind::ALL.map(|kind| {
            (vec![("kind", kind.name())], counts.get(&kind).copied().unwrap_or(0) as f64)
        });
        page.family(name, help, Kind::Gauge, rows);
    }
    let over = figures.over.iter().map(|((kind, state), count)| {
        (vec![("kind", kind.name()), ("outcome", state.name())], *count as f64)
    });
    let help = "Promises that are over, by how they ended.";
    page.family("allo_promises_total", help, Kind::Counter, over);
    let calls = figures.robot_calls_up.iter();
    let calls = calls.map(|(robot, up)| (vec![("robot", robot.as_str())], *up as f64));
    page.family("allo_robot_calls_up", "Calls of robots that are up.", Kind::Gauge, calls);
    let trunks = figures.trunk_up.iter();
    let trunks = trunks.map(|(trunk, up)| (vec![("trunk", trunk.as_str())], f64::from(*up)));
    page.family("allo_trunk_up", "1 while the trunk can be used.", Kind::Gauge, trunks);
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

struct Page(String);

impl Page {
    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, Kind::Gauge, [(Vec::new(), value)]);
    }

    fn family<'a>(
        &mut self,
        name: &str,
        help: &str,
        kind: Kind,
        rows: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let Self(text) = self;
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        for (labels, value) in rows {
            text.push_str(name);
            for (number, (label, is)) in labels.iter().enumerate() {
                let before = if number == 0 { '{' } else { ',' };
                let _ = write!(text, "{before}{label}=\"{}\"", escape(is));
            }
            let after = if labels.is_empty() { "" } else { "}" };
            let _ = writeln!(text, "{after} {value}");
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
