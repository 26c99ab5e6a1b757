//! How a caller is introduced to the operators: rank, display name, personal manager.

use crate::dialplan::plan::Group;
use crate::domain::{Language, Login};

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
