//! `POST /api/events`: what happens in the shop comes in here and is kept before it is answered.
//!
//! All or nothing: one wrong field, and no event of the request is kept. The error names the field.
//! What an event may hold, [`RawEvent`] knows, as for events from CSV files and from the CRM.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::domain::{EventMistake, RawEvent, Region, ShopEvent};

/// Events in one request.
pub const EVENTS_AT_ONCE_MAX: usize = 1_000;
/// Bytes of one request.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

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
        for (name, is_right) in [
            ("event", Value::is_string as fn(&Value) -> bool),
            ("id", |id| id.is_string() || id.is_number()),
            ("phone", |phone| phone.is_string() || phone.is_number()),
        ] {
            if fields.get(name).is_some_and(|value| !value.is_null() && !is_right(value)) {
                let why =
                    if name == "event" { "must be a text" } else { "must be a text or a number" };
                return Err(format!("field {}", EventMistake::new(name, why)));
            }
        }
        let mut taken =
            |name: &str| fields.remove(name).map_or(Ok(None), |value| text(name, value));
        let (id, event, phone) = (taken("id")?, taken("event")?, taken("phone")?);
        let mut values = BTreeMap::new();
        for (name, value) in fields {
            if let Some(text) = text(&name, value)? {
                values.insert(name, text);
            }
        }
        let (event, phone) = (event.unwrap_or_default(), phone.unwrap_or_default());
        let key = || uuid::Uuid::now_v7().to_string();
        let raw = RawEvent { id, event, phone, values };
        raw.read(self.region, key).map_err(|mistake| format!("field {mistake}"))
    }
}

/// `None` for null, which is as good as no field.
fn text(field: &str, value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(value) => Ok(Some(value.to_string())),
        Value::String(text) => Ok(Some(text)),
        Value::Array(_) | Value::Object(_) => {
            let why = "must be a text, a number, true or false";
            Err(format!("field {}", EventMistake::new(field, why)))
        }
    }
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
            (r#"{"event": "a b", "phone": "+79161112233"}"#, "field event: not a name such as"),
            (r#"{"event": ["a"], "phone": "+79161112233"}"#, "field event: must be a text"),
            (r#"{"event": "a"}"#, "field phone: is missing"),
            (r#"{"event": "a", "phone": "100"}"#, "field phone: not a phone number"),
            (r#"{"event": "a", "phone": true}"#, "field phone: must be a text or a number"),
            (r#"{"event": 7, "phone": "+79161112233"}"#, "field event: must be a text"),
            (r#"{"event": "a", "phone": "+79161112233", "id": {}}"#, "field id: must be a text"),
            (
                r#"{"event": "a", "phone": "+79161112233", "items": [1]}"#,
                "field items: must be a text",
            ),
            (r#"{"event": "a", "phone": "+79161112233", "a b": 1}"#, "field a b: not a name"),
            (
                &format!(r#"{{"event": "a", "phone": "+79161112233", "id": "{long}"}}"#),
                "field id: longer than 128",
            ),
            (
                &format!(r#"{{"event": "a", "phone": "+79161112233", "note": "{long}"}}"#),
                "field note: longer than 500",
            ),
            (
                &format!(r#"{{"event": "a", "phone": "+79161112233", {}}}"#, many.join(", ")),
                "field f9: more than 32 fields",
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
