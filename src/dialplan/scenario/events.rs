//! `event …`: what happened in the shop before the call.

use std::collections::{BTreeMap, BTreeSet};

use super::{PlanTest, Reader};
use crate::dialplan::plan::{Plan, Trigger};
use crate::dialplan::syntax::{Node, Value};
use crate::domain::ShopEvent;

impl Reader<'_, '_> {
    /// `event "order.item-not-found" order="48-15"`
    pub(super) fn event(&mut self, node: &Node, test: &mut PlanTest) {
        let Some(name) = self.one_text(node, "an event such as \"order.item-not-found\"") else {
            return;
        };
        let known = events_of(self.plan);
        if !known.contains(name.value.as_str()) {
            let trouble = "not answered by the plan";
            return self.report.unknown(name.span, "event", &name.value, trouble, known);
        }
        let Some(phone) = test.customer().cloned() else {
            let hint = "write call from=\"+79161112233\" to=\"100\"";
            return self.report.error_hint(node.head(), "an event needs a customer's number", hint);
        };
        let mut values = BTreeMap::new();
        for (field, value) in &node.props {
            let text = match &value.value {
                Value::Text(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Bool(_) | Value::Null => {
                    let message = format!("{} is a text or a number", field.value);
                    self.report.error(value.span, message);
                    continue;
                }
            };
            values.insert(field.value.clone(), text);
        }
        let key = format!("{}-{}", name.value, test.events.len());
        test.events.push(ShopEvent { key, name: name.value, phone, values });
    }
}

/// The events that robots and incidents of a plan answer.
fn events_of(plan: &Plan) -> BTreeSet<&str> {
    let mut events = BTreeSet::new();
    for script in plan.scripts.values() {
        events.extend(script.incidents.values().map(|incident| incident.event.as_str()));
        events.extend(script.robots.values().filter_map(|robot| match &robot.trigger {
            Trigger::Event(event) => Some(event.as_str()),
            Trigger::Conversation { .. } => None,
        }));
    }
    events
}
