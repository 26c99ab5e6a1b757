//! Lines of a CSV file → customers and orders as the tables keep them.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::crm::fields;
use crate::domain::{Customer, Money, PhoneNumber, Region, Timestamp};
use crate::spreadsheet::{Line, Mistakes};

/// A customer and the number to find them by; without orders.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CustomerRow {
    pub(super) phone: String,
    pub(super) customer: Customer,
}

impl CustomerRow {
    pub(super) fn read(line: &Line<'_>, region: Region, mistakes: &mut Mistakes) -> Option<Self> {
        let customer = Customer {
            name: line.value("name", fields::short_text, mistakes),
            points: line.value("points", fields::whole_number, mistakes),
            vip: line.value("vip", fields::yes_or_no, mistakes).unwrap_or(false),
            manager: line.value("manager", fields::short_text, mistakes),
            language: line.value("language", fields::language, mistakes),
            balance: line.value("balance", fields::money, mistakes),
            card: line.value("card", fields::short_text, mistakes),
            timezone: line.value("timezone", fields::timezone, mistakes),
            orders: Vec::new(),
        };
        let phone = line.required("phone", |text| phone(text, region), mistakes)?;
        Some(Self { phone: phone.as_str().to_owned(), customer })
    }

    /// Takes over what the file has no column for.
    pub(super) fn keep_from(&mut self, old: &Self, columns: &BTreeSet<&'static str>) {
        let keep = |column| !columns.contains(column);
        let (new, old) = (&mut self.customer, &old.customer);
        if keep("name") {
            new.name.clone_from(&old.name);
        }
        if keep("points") {
            new.points = old.points;
        }
        if keep("vip") {
            new.vip = old.vip;
        }
        if keep("manager") {
            new.manager.clone_from(&old.manager);
        }
        if keep("language") {
            new.language = old.language;
        }
        if keep("balance") {
            new.balance = old.balance;
        }
        if keep("card") {
            new.card.clone_from(&old.card);
        }
        if keep("timezone") {
            new.timezone.clone_from(&old.timezone);
        }
    }
}

pub(super) fn phone(text: &str, region: Region) -> Result<PhoneNumber, &'static str> {
    let number = PhoneNumber::parse(text, region).ok_or("not a phone number")?;
    match number.has_possible_length() {
        true => Ok(number),
        false => Err("a digit is missing or one too many"),
    }
}

#[derive(Clone, Debug)]
pub(super) struct OrderRow {
    pub(super) number: String,
    pub(super) phone: String,
    pub(super) status: Option<String>,
    pub(super) due: Option<Date>,
    pub(super) sum: Option<Money>,
    pub(super) updated: Option<Timestamp>,
}

impl OrderRow {
    pub(super) fn read(line: &Line<'_>, region: Region, mistakes: &mut Mistakes) -> Option<Self> {
        let number = line.required("number", fields::short_text, mistakes);
        let phone = line.required("phone", |text| phone(text, region), mistakes);
        let status = line.value("status", fields::status, mistakes);
        let due = line.value("due", fields::date, mistakes);
        let sum = line.value("sum", fields::money, mistakes);
        let updated = line.value("updated", fields::moment, mistakes);
        let (number, phone) = (number?, phone?.as_str().to_owned());
        if fields::order_key(&number).is_empty() {
            line.mistake("number", "holds neither letter nor digit", mistakes);
        }
        Some(Self { number, phone, status, due, sum, updated })
    }
}
