//! `POST /api/events`: what happens in the shop comes in here and is kept before it is answered.
//!
//! All or nothing: one wrong field, and no event of the request is kept. The error names the field.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{PhoneNumber, Region, ShopEvent};

/// Events in one request.
pub const EVENTS_AT_ONCE_MAX: usize = 1_000;
/// Bytes of one request.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Characters of an event's name, and of a field's.
const NAME_CHARS_MAX: usize = 64;
const ID_CHARS_MAX: usize = 128;
/// Fields of an event, besides those that every event has.
const VALUES_MAX: usize = 32;
const VALUE_CHARS_MAX: usize = 500;

type Keeping = Pin<Box<dyn Future<Output = Result<Kept, String>> + Send>>;

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    region: Region,
    keep: Arc<dyn Fn(Vec<ShopEvent>) -> Keeping + Send + Sync>,
}

/// How many of the events were not known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub new: u64,
    pub repeated: u64,
}

impl Intake {
    /// Phone numbers are understood as they are written in `region`. `keep` returns when the events
    /// are where no crash forgets them, or says why they can't be kept.
    pub fn new<F>(
        region: Region,
        keep: impl Fn(Vec<ShopEvent>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Kept, String>> + Send + 'static,
    {
        Self { region, keep: Arc::new(move |events| Box::pin(keep(events))) }
    }

    /// The events of a request's body, an object or an array of objects; or what is wrong with it.
    pub(super) fn read(&self, body: &[u8]) -> Result<Vec<ShopEvent>, String> {
        let body = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
        let Value::Array(events) = body else { return Ok(vec![self.event(body)?]) };
        if events.len() > EVENTS_AT_ONCE_MAX {
            return Err(format!("{} events; at most {EVENTS_AT_ONCE_MAX} at once", events.len()));
        }
        let numbered = (1..).zip(events);
        let read = |(number, event)| {
            self.event(event).map_err(|problem| format!("event {number}: {problem}"))
        };
        numbered.map(read).collect()
    }

    pub(super) async fn keep(&self, events: Vec<ShopEvent>) -> Result<Kept, String> {
        (self.keep)(events).await
    }

    fn event(&self, event: Value) -> Result<ShopEvent, String> {
        let Value::Object(mut fields) = event else {
            return Err("an event is an object with the fields event and phone".to_owned());
        };
        let name = required(&mut fields, "event")?;
        if !is_name(&name) {
            let problem = format!(
                "a name such as balance.low: letters, digits, \".\", \"-\" and \"_\", at most \
                 {NAME_CHARS_MAX}"
            );
            return Err(wrong("event", &problem));
        }
        let phone = required(&mut fields, "phone")?;
        let phone = PhoneNumber::parse(&phone, self.region)
            .ok_or_else(|| wrong("phone", "is not a phone number"))?;
        let key = match taken(&mut fields, "id")? {
            Some(id) if id.chars().count() > ID_CHARS_MAX => {
                return Err(wrong("id", &format!("is longer than {ID_CHARS_MAX} characters")));
            }
            Some(id) if id.is_empty() => return Err(wrong("id", "is empty")),
            Some(id) => ShopEvent::key_of(&name, &id),
            None => uuid::Uuid::now_v7().to_string(),
        };
        Ok(ShopEvent { key, name, phone, values: values(fields)? })
    }
}

fn values(fields: Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    if fields.len() > VALUES_MAX {
        return Err(format!(
            "{} fields besides event, phone and id; at most {VALUES_MAX}",
            fields.len()
        ));
    }
    let mut values = BTreeMap::new();
    for (name, value) in fields {
        if !is_name(&name) {
            let problem = format!(
                "the name of a field is letters, digits, \".\", \"-\" and \"_\", at most \
                 {NAME_CHARS_MAX}"
            );
            return Err(wrong(&name, &problem));
        }
        let Some(text) = text(&name, value)? else { continue };
        if text.chars().count() > VALUE_CHARS_MAX {
            return Err(wrong(&name, &format!("is longer than {VALUE_CHARS_MAX} characters")));
        }
        values.insert(name, text);
    }
    Ok(values)
}

fn required(fields: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    taken(fields, name)?.filter(|text| !text.is_empty()).ok_or_else(|| wrong(name, "is missing"))
}

fn taken(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    fields.remove(name).map_or(Ok(None), |value| text(name, value))
}

/// A value as a text of one line; `None` for null, which is as good as no field.
fn text(name: &str, value: Value) -> Result<Option<String>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => text,
        Value::Array(_) | Value::Object(_) => {
            return Err(wrong(name, "must be a text, a number, true or false"));
        }
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok(Some(line.trim().to_owned()))
}

fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX && text.chars().all(is_allowed)
}

/// Names the field, as far as its name is short.
fn wrong(field: &str, problem: &str) -> String {
    let shown: String = field.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    format!("field {shown}: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<ShopEvent>, String> {
        let intake = Intake::new(Region::default(), |_| async { Err(String::new()) });
        intake.read(body.as_bytes())
    }

    #[test]
    fn an_event_has_a_name_a_number_and_values() {
        let body = r#"{"event": "balance.low", "phone": "8 (916) 111-22-33", "id": 77,
            "balance": 40.5, "vip": true, "card": null, "note": "вернуть\r\nзавтра "}"#;
        let [event] = &read(body).unwrap()[..] else { panic!("one event") };
        assert_eq!((event.key.as_str(), event.name.as_str()), ("balance.low:77", "balance.low"));
        assert_eq!(event.phone.as_str(), "+79161112233");
        let values = [("balance", "40.5"), ("note", "вернуть  завтра"), ("vip", "true")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(event.values, BTreeMap::from(values));
    }

    #[test]
    fn events_without_an_id_are_all_different() {
        let event = r#"{"event": "delayed", "phone": 79161112233}"#;
        let events = read(&format!("[{event}, {event}]")).unwrap();
        assert_eq!(events.len(), 2);
        assert_ne!(events[0].key, events[1].key);
        assert!(read("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        let long = "x".repeat(501);
        let many: Vec<String> = (0..33).map(|n| format!("\"f{n}\": 1")).collect();
        for (body, named) in [
            ("", "not JSON"),
            ("{\"event\": \"a\"", "not JSON"),
            ("7", "an event is an object"),
            (r#"[7]"#, "event 1: an event is an object"),
            (r#"{"phone": "+79161112233"}"#, "field event: is missing"),
            (r#"{"event": "", "phone": "+79161112233"}"#, "field event: is missing"),
            (r#"{"event": "a b", "phone": "+79161112233"}"#, "field event: a name such as"),
            (r#"{"event": ["a"], "phone": "+79161112233"}"#, "field event: must be a text"),
            (r#"{"event": "a"}"#, "field phone: is missing"),
            (r#"{"event": "a", "phone": "100"}"#, "field phone: is not a phone number"),
            (r#"{"event": "a", "phone": true}"#, "field phone: is not a phone number"),
            (r#"{"event": "a", "phone": "+79161112233", "id": {}}"#, "field id: must be a text"),
            (r#"{"event": "a", "phone": "+79161112233", "id": ""}"#, "field id: is empty"),
            (
                r#"{"event": "a", "phone": "+79161112233", "items": [1]}"#,
                "field items: must be a text",
            ),
            (
                r#"{"event": "a", "phone": "+79161112233", "a b": 1}"#,
                "field a b: the name of a field",
            ),
            (
                &format!(r#"{{"event": "a", "phone": "+79161112233", "id": "{long}"}}"#),
                "field id: is longer than 128",
            ),
            (
                &format!(r#"{{"event": "a", "phone": "+79161112233", "note": "{long}"}}"#),
                "field note: is longer than 500",
            ),
            (
                &format!(r#"{{"event": "a", "phone": "+79161112233", {}}}"#, many.join(", ")),
                "33 fields besides",
            ),
            (
                r#"[{"event": "a", "phone": "+79161112233"}, {"event": "a"}]"#,
                "event 2: field phone: is missing",
            ),
            (&format!("[{}]", vec!["0"; 1_001].join(",")), "1001 events; at most 1000"),
        ] {
            let problem = read(body).unwrap_err();
            assert!(problem.starts_with(named), "{body}: {problem}");
        }
    }
}
