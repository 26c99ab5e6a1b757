//! What happened in the shop, as the API, a CSV file or the CRM tells it → a [`ShopEvent`], or what is
//! wrong with which field.

use std::collections::BTreeMap;

use super::{PhoneNumber, Region, ShopEvent};

/// The longest name of an event, in bytes.
const NAME_MAX: usize = 64;
/// The longest id, in characters.
const ID_MAX: usize = 100;
/// The most further fields of one event.
const VALUES_MAX: usize = 32;
/// The longest name of a field, in characters.
const FIELD_MAX: usize = 64;
/// The longest value, in characters.
const VALUE_MAX: usize = 200;

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

impl RawEvent {
    /// Checks every field; numbers are read as people of `region` write them. `key` names an event
    /// that has no id of its own among all events.
    pub fn read(
        self,
        region: Region,
        key: impl FnOnce() -> String,
    ) -> Result<ShopEvent, EventMistake> {
        let name = self.event.trim();
        check("event", event_name(name))?;
        let phone =
            PhoneNumber::parse(&self.phone, region).filter(PhoneNumber::has_possible_length);
        let Some(phone) = phone else {
            let why =
                if self.phone.trim().is_empty() { "is missing" } else { "not a phone number" };
            return Err(EventMistake { field: "phone".to_owned(), why });
        };
        let id = self.id.as_deref().map(str::trim).filter(|id| !id.is_empty());
        check("id", id.map_or(Ok(()), |id| plain(id, ID_MAX)))?;
        if self.values.len() > VALUES_MAX {
            let field = self.values.into_keys().nth(VALUES_MAX).unwrap_or_default();
            return Err(EventMistake { field, why: "more than 32 fields" });
        }
        for (field, value) in &self.values {
            check(field, field_name(field).and_then(|()| plain(value, VALUE_MAX)))?;
        }
        let key = id.map_or_else(key, |id| format!("{name}/{id}"));
        Ok(ShopEvent { key, name: name.to_owned(), phone, values: self.values })
    }
}

fn check(field: &str, result: Result<(), &'static str>) -> Result<(), EventMistake> {
    // A name that nobody would read to its end is not shown to it either.
    let field = || field.chars().take(FIELD_MAX).collect();
    result.map_err(|why| EventMistake { field: field(), why })
}

fn event_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is missing");
    }
    let is_plain =
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    match is_plain && name.len() <= NAME_MAX {
        true => Ok(()),
        false => Err("not the name of an event: small Latin letters, digits and . _ -, at most 64"),
    }
}

fn field_name(name: &str) -> Result<(), &'static str> {
    let begins_well = name.starts_with(char::is_alphabetic);
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    match begins_well && is_plain && name.chars().count() <= FIELD_MAX {
        true => Ok(()),
        false => Err("not a name of a field: letters, digits, _ and -, the first one a letter"),
    }
}

fn plain(text: &str, longest: usize) -> Result<(), &'static str> {
    if text.chars().count() > longest {
        return Err("too long");
    }
    match text.chars().any(char::is_control) {
        true => Err("holds a line break or another control character"),
        false => Ok(()),
    }
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
        assert_eq!(event.key, "order.ready/48-15");
        assert_eq!(event.phone.as_str(), "+79161112233");
        assert_eq!(event.values["order"], "48-15");
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
            (RawEvent { event: "Order Ready".into(), ..raw() }, "event: not the name"),
            (RawEvent { phone: String::new(), ..raw() }, "phone: is missing"),
            (RawEvent { phone: "+7916111223".into(), ..raw() }, "phone: not a phone number"),
            (RawEvent { phone: "'; drop table".into(), ..raw() }, "phone: not a phone number"),
            (RawEvent { id: Some("x".repeat(101)), ..raw() }, "id: too long"),
            (RawEvent { id: Some("a\0b".into()), ..raw() }, "id: holds"),
            (value("order", &"x".repeat(201)), "order: too long"),
            (value("order", "a\nb"), "order: holds a line break"),
            (value("1=1 --", "x"), "1=1 --: not a name of a field"),
            (RawEvent { values: many, ..raw() }, "v32: more than 32 fields"),
        ] {
            let mistake = read(raw).unwrap_err();
            assert!(mistake.starts_with(told), "{mistake}");
            assert!(!mistake.contains("drop") && !mistake.contains("916"), "{mistake}");
        }
    }
}
