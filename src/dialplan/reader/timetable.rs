//! `hours`: when something is open.

use super::Reader;
use crate::dialplan::hours::{Exception, Hours, TimeRange};
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::values::{self, Days, WEEKDAYS};

impl Reader<'_, '_> {
    pub(super) fn hours(&mut self, node: &Node) -> Option<(Spanned<String>, Hours)> {
        let name = self.block_name(node);
        let mut hours = Hours::default();
        for child in node.children() {
            self.known_props(child, &[]);
            self.no_block(child);
            match child.name.value.as_str() {
                "open" => self.rule(child, true, &mut hours),
                "closed" => self.rule(child, false, &mut hours),
                other => {
                    let known = ["open", "closed"];
                    let what = "part of hours";
                    self.report.unknown(child.name.span, what, other, "not known", known);
                }
            }
        }
        if hours.week.iter().all(Vec::is_empty)
            && hours.exceptions.iter().all(|exception| exception.ranges.is_empty())
        {
            let hint = "write open \"mon-fri\" \"10:00-19:00\"";
            self.report.warning_hint(node.head(), "these hours are never open", hint);
        }
        Some((name?, hours))
    }

    /// `open "mon-fri" "10:00-19:00"`, `closed "2026-12-31..2027-01-08" "label"`
    fn rule(&mut self, node: &Node, open: bool, hours: &mut Hours) {
        let Some((first, rest)) = node.args.split_first() else {
            let message = format!("{} on which days?", node.name.value);
            let hint =
                "write \"mon-fri\", \"sat,sun\", \"2026-11-07\" or \"2026-12-31..2027-01-08\"";
            self.report.error_hint(node.head(), message, hint);
            return;
        };
        let Some(days) = self.text(first, "days such as \"mon-fri\"") else { return };
        let Some((ranges, label)) = self.ranges(rest, open) else { return };
        match values::days(&days.value) {
            Ok(Days::Week(week)) => self.week_rule(&days, week, &ranges, hours),
            Ok(Days::Dates(first, last)) => {
                let exception = Exception { first, last, ranges, label };
                self.warn_of_overlap(&days, &exception, hours);
                hours.exceptions.push(exception);
            }
            Err(message) => self.report.error(days.span, message),
        }
    }

    /// The times behind the days, and a label.
    fn ranges(
        &mut self,
        args: &[Spanned<Value>],
        open: bool,
    ) -> Option<(Vec<TimeRange>, Option<String>)> {
        let (mut ranges, mut label) = (Vec::new(), None);
        for arg in args {
            let text = self.text(arg, "times such as \"10:00-19:00\"")?;
            let is_time = text.value.starts_with(|c: char| c.is_ascii_digit());
            if !is_time {
                label = Some(text.value);
            } else if !open {
                let hint = "leave the times out: closed means the whole day; \
                            for a shorter day write open with that date";
                self.report.error_hint(text.span, "closed has no times", hint);
                return None;
            } else {
                match values::time_range(&text.value) {
                    Ok((start, end)) => ranges.push(TimeRange { start, end }),
                    Err(message) => {
                        self.report.error(text.span, message);
                        return None;
                    }
                }
            }
        }
        if open && ranges.is_empty() {
            ranges.push(TimeRange::WHOLE_DAY);
        }
        Some((ranges, label))
    }

    fn week_rule(
        &mut self,
        days: &Spanned<String>,
        week: [bool; 7],
        ranges: &[TimeRange],
        hours: &mut Hours,
    ) {
        let mut dropped = None;
        for (day, _) in week.iter().enumerate().filter(|(_, named)| **named) {
            let apart = |old: &TimeRange| {
                ranges.iter().all(|new| new.end <= old.start || old.end <= new.start)
            };
            let before = &hours.week[day];
            if !ranges.is_empty() && !before.is_empty() && before.iter().all(apart) {
                dropped = dropped.or(Some(WEEKDAYS[day]));
            }
            hours.week[day] = ranges.to_vec();
        }
        if let Some(day) = dropped {
            let message = format!("the times given before for {day} hold no longer");
            let hint = "for two spans of a day write both in one line: \
                        open \"mon-fri\" \"10:00-13:00\" \"14:00-19:00\"";
            self.report.warning_hint(days.span, message, hint);
        }
    }

    fn warn_of_overlap(&mut self, days: &Spanned<String>, new: &Exception, hours: &Hours) {
        let twice =
            hours.exceptions.iter().find(|old| old.first <= new.last && new.first <= old.last);
        if let Some(old) = twice {
            let date = old.first.max(new.first);
            let message = format!("{date} is already in a line above; this line wins");
            self.report.warning(days.span, message);
        }
    }
}
