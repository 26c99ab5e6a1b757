//! `crm …`: what the CRM of a test knows, and how it answers.

use super::{CrmState, PlanTest, Reader};
use crate::dialplan::syntax::Node;
use crate::dialplan::values;
use crate::domain::{Customer, Language, Order, Timestamp};

impl Reader<'_, '_> {
    /// `crm customer …`, `crm order …`, `crm unavailable`, `crm slow="5s"`
    pub(super) fn crm(&mut self, node: &Node, test: &mut PlanTest) {
        if let Some(slow) = node.prop("slow")
            && node.args.is_empty()
        {
            self.known_props(node, &["slow"]);
            let Some(text) = self.text(slow, "a duration such as \"5s\"") else { return };
            match values::duration(&text.value) {
                Ok(ms) => test.crm = CrmState::Slow { ms },
                Err(message) => self.report.error(text.span, message),
            }
            return;
        }
        let expected = "customer, order, unavailable, or slow=\"5s\"";
        let Some(what) = self.one_text(node, expected) else { return };
        match what.value.as_str() {
            "customer" => {
                let customer = self.customer(node);
                test.customers.push(customer);
            }
            "order" => {
                let order = self.order(node);
                test.other_orders.extend(order);
            }
            "unavailable" => {
                self.known_props(node, &[]);
                test.crm = CrmState::Unavailable;
            }
            other => {
                let known = ["customer", "order", "unavailable"];
                self.report.unknown(what.span, "crm", other, "not known", known);
            }
        }
    }

    fn customer(&mut self, node: &Node) -> Customer {
        self.known_props(
            node,
            &["name", "points", "vip", "manager", "language", "balance", "card", "timezone"],
        );
        let mut customer = Customer {
            name: self.text_prop(node, "name"),
            points: self.integer_prop(node, "points"),
            vip: self.flag_prop(node, "vip"),
            manager: self.text_prop(node, "manager"),
            language: self.parsed_prop(node, "language", |text| text.parse::<Language>()),
            balance: self.money_prop(node, "balance"),
            card: self.text_prop(node, "card"),
            timezone: self.text_prop(node, "timezone"),
            orders: Vec::new(),
        };
        for child in node.children() {
            if child.name.value == "order" {
                let order = self.order(child);
                customer.orders.extend(order);
            } else {
                let name = child.name.value.as_str();
                let known = ["order"];
                self.report.unknown(child.name.span, "part of customer", name, "not known", known);
            }
        }
        customer
    }

    fn order(&mut self, node: &Node) -> Option<Order> {
        self.known_props(node, &["number", "status", "due", "sum", "updated"]);
        let Some(number) = self.text_prop(node, "number") else {
            if node.prop("number").is_none() {
                let hint = "write order number=\"48-15\" status=\"shipped\"";
                self.report.error_hint(node.head(), "an order needs a number", hint);
            }
            return None;
        };
        let updated = self.parsed_prop(node, "updated", |text| {
            let zoned = values::moment(text)?.to_zoned(jiff::tz::TimeZone::UTC);
            zoned.map(|zoned| Timestamp::from(&zoned)).map_err(|error| error.to_string())
        });
        Some(Order {
            number,
            status: self.text_prop(node, "status"),
            due: self.parsed_prop(node, "due", values::date),
            sum: self.money_prop(node, "sum"),
            updated,
        })
    }
}
