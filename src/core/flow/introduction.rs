//! How a caller is introduced to the operators: rank, display name, personal manager.

use jiff::tz::TimeZone;

use crate::dialplan::plan::Group;
use crate::domain::{Language, Login, PromiseKind, Timestamp};

use super::{Flow, Known};

/// Longer display names are cut by telephones.
const DISPLAY_MAX: usize = 30;

impl Flow {
    /// The sum of the group's priorities that hold for the caller.
    pub fn priority(&self, group: &Group) -> i32 {
        let holds = |name: &str| self.knowledge.value(name) == Some(Known::Truth(true));
        let held = group.priorities.iter().filter(|(name, _)| holds(name));
        held.map(|(_, priority)| *priority).fold(0, i32::saturating_add)
    }

    /// The login of the customer's personal manager, if the CRM knows one.
    pub fn manager(&self) -> Option<Login> {
        match self.knowledge.value("customer.manager") {
            Some(Known::Text(login)) => login.trim().parse().ok(),
            _ => None,
        }
    }

    /// The caller for the display of an operator's phone, at most 30 characters:
    /// `Анна П. · VIP · заказ 4815`. `None`: the customer is not known. What does not fit is left
    /// out from the end; a long name is shortened first.
    pub fn display(&self) -> Option<String> {
        let text = |name: &str| match self.knowledge.value(name) {
            Some(Known::Text(text)) => Some(printable(&text)).filter(|text| !text.is_empty()),
            _ => None,
        };
        let holds = |name: &str| self.knowledge.value(name) == Some(Known::Truth(true));
        if !holds("customer.found") {
            return None;
        }
        let order = text("order.number").filter(|_| holds("order.active"));
        let order = order.map(|number| match self.script.language {
            Language::Russian => format!("заказ {number}"),
            Language::English => format!("order {number}"),
        });
        let vip = holds("customer.vip").then(|| "VIP".to_owned());
        let name = text("customer.name");
        let short = name.as_deref().map(shortened);
        let joined = |parts: [Option<&String>; 3]| {
            let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            parts.join(" · ")
        };
        let ways = [
            joined([name.as_ref(), vip.as_ref(), order.as_ref()]),
            joined([short.as_ref(), vip.as_ref(), order.as_ref()]),
            joined([name.as_ref(), vip.as_ref(), None]),
            joined([short.as_ref(), vip.as_ref(), None]),
            joined([short.as_ref(), None, None]),
        ];
        let fits = |way: &&String| !way.is_empty() && way.chars().count() <= DISPLAY_MAX;
        let cut = || short.map(|name| name.chars().take(DISPLAY_MAX).collect());
        ways.iter().find(fits).cloned().or_else(cut)
    }
}

/// A customer who is to be called back, for the display of an operator's phone, at most 30
/// characters: what it is, why, and until when. `label` is a reason in the plan's words; without it
/// that of the kind. `due` is a moment of the wall clock. What does not fit is shortened: first what it is,
/// then the reason.
///
/// `Перезвон · пропущен · до 12:40`
pub fn display_callback(
    language: Language,
    kind: PromiseKind,
    label: Option<&str>,
    due: Timestamp,
    zone: &TimeZone,
) -> String {
    let time = due.in_zone(zone).strftime("%H:%M").to_string();
    let (whole, short, due) = match language {
        Language::Russian => ("Обратный звонок", "Перезвон", format!("до {time}")),
        Language::English => ("Callback", "Callback", format!("by {time}")),
    };
    let label = label.map(printable).filter(|label| !label.is_empty());
    let reason = label.unwrap_or_else(|| reason(language, kind).to_owned());
    let due = due.as_str();
    let ways = [
        [whole, &reason, due].join(" · "),
        [short, &reason, due].join(" · "),
        [short, &reason, &time].join(" · "),
        [reason.as_str(), due].join(" · "),
    ];
    let fits = |way: &&String| way.chars().count() <= DISPLAY_MAX;
    ways.iter().find(fits).cloned().unwrap_or_else(|| {
        let room = DISPLAY_MAX - " · ".chars().count() - due.chars().count();
        let reason = cut(&reason, room);
        [reason.as_str(), due].join(" · ")
    })
}

/// The words that fit: half a number would be another one. Of a long first word, its beginning.
fn cut(text: &str, room: usize) -> String {
    let mut kept = String::new();
    for word in text.split(' ') {
        let longer = if kept.is_empty() { word.to_owned() } else { format!("{kept} {word}") };
        if longer.chars().count() > room {
            break;
        }
        kept = longer;
    }
    if kept.is_empty() { text.chars().take(room).collect() } else { kept }
}

fn reason(language: Language, kind: PromiseKind) -> &'static str {
    let (russian, english) = match kind {
        PromiseKind::CallbackOrdered => ("по просьбе", "ordered"),
        PromiseKind::CallbackFromLine => ("из очереди", "from line"),
        PromiseKind::CallbackMissed => ("пропущен", "missed"),
        PromiseKind::CallbackAfterHours => ("вне часов", "closed"),
        PromiseKind::CallbackLowRating => ("оценка", "rating"),
        PromiseKind::RatingCall => ("опрос", "survey"),
        PromiseKind::Reminder => ("сообщение", "reminder"),
        PromiseKind::Incident => ("заказ", "order"),
    };
    match language {
        Language::Russian => russian,
        Language::English => english,
    }
}

/// `Анна Петрова` → `Анна П.`
fn shortened(name: &str) -> String {
    let mut words = name.split(' ');
    let first = words.next().unwrap_or_default();
    match words.next().and_then(|word| word.chars().next()) {
        Some(initial) => format!("{first} {initial}."),
        None => first.to_owned(),
    }
}

/// In one line, with single spaces, without what a display name may not hold.
fn printable(text: &str) -> String {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let kept: String = kept.filter(|c| !matches!(c, '"' | '<' | '>' | '\\')).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}
