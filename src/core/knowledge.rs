//! What a call knows of its caller: the values behind the names that a plan may use.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::dialplan::plan::CallTo;
use crate::domain::{CallerId, Customer, Language, Money, Order, Timestamp};
use crate::speech::Value;

/// The order that `order.…` speaks of.
#[derive(Clone, Debug, Default, PartialEq)]
enum ChosenOrder {
    /// The customer's current one.
    #[default]
    Current,
    /// Found by the number that the caller typed.
    Typed(Order),
    /// The caller typed a number that nobody knows.
    NotFound,
}

/// All that conditions and values of a plan can refer to.
#[derive(Clone, Debug)]
pub struct Knowledge {
    pub caller: CallerId,
    pub dialled: String,
    pub language: Language,
    /// False after a lookup that failed.
    pub crm_available: bool,
    customers: Vec<Customer>,
    /// Index into `customers`, when it is certain whose call this is.
    chosen: Option<usize>,
    /// The caller typed the last digits of the club card.
    verified: bool,
    order: ChosenOrder,
    /// What `ask … as="name"` stored.
    variables: BTreeMap<String, String>,
    /// The fields of the event that the call is about.
    event: BTreeMap<String, String>,
    incident: Option<OpenIncident>,
    /// The plan allows calls to the caller's number.
    is_callable: bool,
    /// Something is owed to the customer.
    has_promise: bool,
    /// How long the caller waited in the line last.
    waited_ms: Option<u64>,
}

/// Something that went wrong with an order of the caller and is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// As the plan calls it: `item-not-found`.
    pub name: String,
    pub order: Option<String>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Truth(bool),
    Number(i64),
    Money(Money),
    Text(String),
    Date(Date),
    Moment(Timestamp),
    /// Milliseconds.
    Duration(u64),
}

impl Knowledge {
    pub fn new(caller: CallerId, dialled: String, language: Language) -> Self {
        Self {
            caller,
            dialled,
            language,
            crm_available: true,
            customers: Vec::new(),
            chosen: None,
            verified: false,
            order: ChosenOrder::Current,
            variables: BTreeMap::new(),
            event: BTreeMap::new(),
            incident: None,
            is_callable: false,
            has_promise: false,
            waited_ms: None,
        }
    }

    /// The value of a name; `None` if it is unknown in this call.
    pub fn value(&self, name: &str) -> Option<Known> {
        use Known::{Date, Moment, Number, Text, Truth};
        let customer = self.customer();
        let order = self.order();
        let text = |text: &Option<String>| text.clone().map(Text);
        let count = |n: usize| Some(Number(i64::try_from(n).unwrap_or(i64::MAX)));
        match name {
            "customer.found" => Some(Truth(customer.is_some())),
            "customer.several" => Some(Truth(customer.is_none() && self.customers.len() > 1)),
            "customer.verified" => Some(Truth(self.verified)),
            "customer.name" => text(&customer?.name),
            "customer.points" => customer?.points.map(Number),
            "customer.vip" => Some(Truth(customer?.vip)),
            "customer.manager" => text(&customer?.manager),
            "customer.language" => {
                customer?.language.map(|language| Text(language.code().to_owned()))
            }
            "customer.balance" => customer?.balance.map(Known::Money),
            "customer.card" => text(&customer?.card),
            "order.found" => Some(Truth(order.is_some())),
            "order.active" => Some(Truth(order?.is_active())),
            "order.number" => Some(Text(order?.number.clone())),
            "order.status" => text(&order?.status),
            "order.due" => order?.due.map(Date),
            "order.sum" => order?.sum.map(Known::Money),
            "order.updated" => order?.updated.map(Moment),
            "orders.count" => count(customer?.orders.len()),
            "orders.active" => count(customer?.orders.iter().filter(|o| o.is_active()).count()),
            "caller.known" => Some(Truth(self.caller.number().is_some())),
            "caller.anonymous" => Some(Truth(self.caller == CallerId::Anonymous)),
            "caller.callable" => Some(Truth(self.is_callable)),
            "caller.number" => self.caller.number().map(|n| Text(n.as_str().to_owned())),
            "crm.available" => Some(Truth(self.crm_available)),
            "call.number" => Some(Text(self.dialled.clone())),
            "language" => Some(Text(self.language.code().to_owned())),
            "incident.open" => Some(Truth(self.incident.is_some())),
            "incident.name" => Some(Text(self.incident.as_ref()?.name.clone())),
            "incident.order" => text(&self.incident.as_ref()?.order),
            "promise.open" => Some(Truth(self.has_promise)),
            "waited" => self.waited_ms.map(Known::Duration),
            other => match other.strip_prefix("event.") {
                Some(field) => self.event.get(field).cloned().map(Text),
                None => self.variables.get(other).cloned().map(Text),
            },
        }
    }

    /// Takes in what the CRM knows of the caller's number. One customer is certain; several are not.
    pub fn set_customers(&mut self, customers: Vec<Customer>) {
        self.chosen = (customers.len() == 1).then_some(0);
        self.customers = customers;
        self.verified = false;
        self.order = ChosenOrder::Current;
        self.crm_available = true;
    }

    /// Keeps the one customer whose club card ends in `digits`; at least 4 digits are needed.
    pub fn match_card(&mut self, digits: &str) {
        const DIGITS_MIN: usize = 4;
        let matches = |customer: &Customer| {
            customer.card.as_deref().is_some_and(|card| only_digits(card).ends_with(digits))
        };
        let mut found = self.customers.iter().enumerate().filter(|(_, c)| matches(c));
        let only = match (found.next(), found.next()) {
            (Some((index, _)), None) if digits.len() >= DIGITS_MIN => Some(index),
            _ => None,
        };
        self.verified = only.is_some();
        self.chosen = only.or(self.chosen);
    }

    /// Looks among the caller's own orders; true if it is there.
    pub fn choose_own_order(&mut self, typed: &str) -> bool {
        let own = self.customers.iter().flat_map(|customer| &customer.orders);
        let found = own.into_iter().find(|order| same_number(&order.number, typed)).cloned();
        let is_own = found.is_some();
        self.set_order(found);
        is_own
    }

    /// From now on `order.…` means this order, or none.
    pub fn set_order(&mut self, order: Option<Order>) {
        self.order = order.map_or(ChosenOrder::NotFound, ChosenOrder::Typed);
    }

    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    pub fn set_variable(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    /// The fields of the event that the call is about, as texts: spoken in whatever format they can
    /// be read as.
    pub fn set_event(&mut self, values: BTreeMap<String, String>) {
        self.event = values;
    }

    /// What went wrong with an order of the caller and is not settled yet.
    pub fn set_incident(&mut self, incident: Option<OpenIncident>) {
        self.incident = incident;
    }

    /// Whether something is owed to the caller.
    pub fn set_promise_open(&mut self, is_open: bool) {
        self.has_promise = is_open;
    }

    /// The numbers that the plan allows calls to.
    pub fn set_call_to(&mut self, allowed: &CallTo) {
        self.is_callable = self.caller.number().is_some_and(|number| allowed.allows(number));
    }

    /// How long the caller waited in the line.
    pub fn set_waited(&mut self, ms: u64) {
        self.waited_ms = Some(ms);
    }

    /// The order that the call is about: that of the event, else the caller's.
    pub fn order_number(&self) -> Option<String> {
        let of_event = self.event.get("order").filter(|number| !number.is_empty());
        of_event.cloned().or_else(|| Some(self.order()?.number.clone()))
    }

    /// Where the customer lives, if the CRM knows it: an IANA name.
    pub fn customer_timezone(&self) -> Option<String> {
        self.customer()?.timezone.clone()
    }

    fn customer(&self) -> Option<&Customer> {
        self.customers.get(self.chosen?)
    }

    fn order(&self) -> Option<&Order> {
        match &self.order {
            ChosenOrder::Current => self.customer()?.current_order(),
            ChosenOrder::Typed(order) => Some(order),
            ChosenOrder::NotFound => None,
        }
    }
}

impl Known {
    /// The value as speech takes it; moments in the time zone of the plan.
    pub fn to_speech(&self, zone: &TimeZone) -> Option<Value> {
        match self {
            Self::Truth(_) => None,
            Self::Number(n) => Some(Value::Number(*n)),
            Self::Money(money) => Some(Value::Money(*money)),
            Self::Text(text) => Some(Value::Text(text.clone())),
            Self::Date(date) => Some(Value::Date(*date)),
            Self::Moment(at) => Some(Value::DateTime(at.in_zone(zone).datetime())),
            Self::Duration(ms) => Some(Value::Duration(ms.div_ceil(1_000))),
        }
    }
}

fn only_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// `48-15` is what a caller types as 4815: a keypad has no dashes and no letters.
fn same_number(number: &str, typed: &str) -> bool {
    !typed.is_empty() && only_digits(number) == typed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(card: &str, points: i64) -> Customer {
        Customer { card: Some(card.into()), points: Some(points), ..Customer::default() }
    }

    fn knowledge(customers: Vec<Customer>) -> Knowledge {
        let mut knowledge = Knowledge::new(CallerId::Anonymous, "100".into(), Language::Russian);
        knowledge.set_customers(customers);
        knowledge
    }

    #[test]
    fn of_several_customers_none_is_certain_until_the_card_tells() {
        let mut known = knowledge(vec![customer("7000-1111", 5), customer("7000-2222", 9)]);
        assert_eq!(known.value("customer.found"), Some(Known::Truth(false)));
        assert_eq!(known.value("customer.several"), Some(Known::Truth(true)));
        assert_eq!(known.value("customer.points"), None);
        known.match_card("2222");
        assert_eq!(known.value("customer.points"), Some(Known::Number(9)));
        assert_eq!(known.value("customer.several"), Some(Known::Truth(false)));
    }

    #[test]
    fn a_short_or_wrong_card_verifies_nobody() {
        let mut known = knowledge(vec![customer("7000-1111", 5)]);
        for digits in ["", "1", "111", "9999"] {
            known.match_card(digits);
            assert_eq!(known.value("customer.verified"), Some(Known::Truth(false)), "{digits}");
        }
        known.match_card("1111");
        assert_eq!(known.value("customer.verified"), Some(Known::Truth(true)));
    }

    #[test]
    fn an_order_is_found_by_what_a_keypad_can_type() {
        let order = Order { number: "A-48-15".into(), ..Order::default() };
        let mut known = knowledge(vec![Customer { orders: vec![order], ..Customer::default() }]);
        assert!(known.choose_own_order("4815"));
        assert_eq!(known.value("order.number"), Some(Known::Text("A-48-15".into())));
        assert!(!known.choose_own_order("4816"));
        assert_eq!(known.value("order.found"), Some(Known::Truth(false)));
    }
}
