//! What happened in the shop, as the API, a CSV file or the CRM tells it → a [`ShopEvent`], or what is
//! wrong with which field.

use std::collections::BTreeMap;

use super::{PhoneNumber, Region, ShopEvent};

/// Characters of an event's name, and of a field's.
const NAME_CHARS_MAX: usize = 64;
const ID_CHARS_MAX: usize = 128;
/// Fields of an event, besides those that every event has.
const VALUES_MAX: usize = 32;
const VALUE_CHARS_MAX: usize = 500;

/// An event as it came: texts only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawEvent {
    /// The same id of the same event again is a repeat.
    pub id: Option<String>,
    /// `balance.low`
    pub event: String,
    pub phone: String,
    /// All further fields.
    pub values: BTreeMap<String, String>,
}

/// Why an event is refused. Never repeats a value that may be a customer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct EventMistake {
    pub field: String,
    pub why: &'static str,
}

impl EventMistake {
    /// A name of a field that nobody would read to its end is not shown to it either.
    pub fn new(field: &str, why: &'static str) -> Self {
        let field = field.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        Self { field, why }
    }
}

impl RawEvent {
    /// Checks every field; numbers are read as people of `region` write them. `key` names an event
    /// that has no id of its own among all events.
    pub fn read(
        self,
        region: Region,
        key: impl FnOnce() -> String,
    ) -> Result<ShopEvent, EventMistake> {
        let name = self.event.trim();
        if name.is_empty() {
            return Err(EventMistake::new("event", "is missing"));
        }
        check("event", is_name(name), "not a name such as balance.low")?;
        let phone =
            PhoneNumber::parse(&self.phone, region).filter(PhoneNumber::has_possible_length);
        let Some(phone) = phone else {
            let why =
                if self.phone.trim().is_empty() { "is missing" } else { "not a phone number" };
            return Err(EventMistake::new("phone", why));
        };
        let id = self.id.as_deref().map(str::trim).filter(|id| !id.is_empty());
        check("id", id.is_none_or(|id| is_short(id, ID_CHARS_MAX)), "longer than 128 characters")?;
        if self.values.len() > VALUES_MAX {
            let field = self.values.into_keys().nth(VALUES_MAX).unwrap_or_default();
            return Err(EventMistake::new(&field, "more than 32 fields"));
        }
        let mut values = BTreeMap::new();
        for (field, value) in self.values {
            check(&field, is_name(&field), "not a name: letters, digits and . _ -, at most 64")?;
            let is_short = is_short(&value, VALUE_CHARS_MAX);
            check(&field, is_short, "longer than 500 characters")?;
            values.insert(field, line(&value));
        }
        let key = id.map_or_else(key, |id| ShopEvent::key_of(name, &line(id)));
        Ok(ShopEvent { key, name: name.to_owned(), phone, values })
    }
}

fn check(field: &str, is_right: bool, why: &'static str) -> Result<(), EventMistake> {
    if is_right { Ok(()) } else { Err(EventMistake::new(field, why)) }
}

fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && is_short(text, NAME_CHARS_MAX) && text.chars().all(is_allowed)
}

fn is_short(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max
}

/// A text of one line.
fn line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawEvent {
        RawEvent {
            id: Some("48-15".into()),
            event: "order.ready".into(),
            phone: "8 (916) 111-22-33".into(),
            values: [("order".to_owned(), "48-15".to_owned())].into(),
        }
    }

    fn read(raw: RawEvent) -> Result<ShopEvent, String> {
        raw.read(Region::default(), || "new".into()).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn an_event_is_known_by_its_name_and_id() {
        let event = read(raw()).unwrap();
        assert_eq!(event.key, "order.ready:48-15");
        assert_eq!(event.phone.as_str(), "+79161112233");
        assert_eq!(event.values["order"], "48-15");
        let two_lines = [("note".to_owned(), "a\r\nb ".to_owned())].into();
        assert_eq!(read(RawEvent { values: two_lines, ..raw() }).unwrap().values["note"], "a  b");
        for id in [None, Some("  ".to_owned())] {
            assert_eq!(read(RawEvent { id, ..raw() }).unwrap().key, "new");
        }
    }

    #[test]
    fn junk_is_refused_with_the_field_named_and_its_value_kept_quiet() {
        let value = |name: &str, text: &str| RawEvent {
            values: [(name.to_owned(), text.to_owned())].into(),
            ..raw()
        };
        let many = (0..33).map(|n| (format!("v{n:02}"), String::new())).collect();
        for (raw, told) in [
            (RawEvent { event: String::new(), ..raw() }, "event: is missing"),
            (RawEvent { event: "Order Ready".into(), ..raw() }, "event: not a name"),
            (RawEvent { phone: String::new(), ..raw() }, "phone: is missing"),
            (RawEvent { phone: "+7916111223".into(), ..raw() }, "phone: not a phone number"),
            (RawEvent { phone: "'; drop table".into(), ..raw() }, "phone: not a phone number"),
            (RawEvent { id: Some("x".repeat(129)), ..raw() }, "id: longer than 128"),
            (value("order", &"x".repeat(501)), "order: longer than 500"),
            (value("1=1 --", "x"), "1=1 --: not a name"),
            (RawEvent { values: many, ..raw() }, "v32: more than 32 fields"),
        ] {
            let mistake = read(raw).unwrap_err();
            assert!(mistake.starts_with(told), "{mistake}");
            assert!(!mistake.contains("drop") && !mistake.contains("916"), "{mistake}");
        }
    }
}
