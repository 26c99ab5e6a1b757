//! What each number is owed, and whether it can be called now.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{PhoneNumber, PromiseId};

/// All numbers that are owed something, or are in a call with us.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<PhoneNumber, Number>);

#[derive(Debug, Default)]
struct Number {
    open: BTreeSet<PromiseId>,
    /// Promises that wait until the number is free.
    parked: BTreeSet<PromiseId>,
    /// Calls of the customer's own that are up.
    calls: u32,
    /// The promise with a ticket in the line, or with a call under way.
    busy: Option<PromiseId>,
}

impl Numbers {
    pub fn add(&mut self, phone: &PhoneNumber, promise: PromiseId) {
        self.0.entry(phone.clone()).or_default().open.insert(promise);
    }

    pub fn remove(&mut self, phone: &PhoneNumber, promise: PromiseId) {
        self.change(phone, |number| {
            number.open.remove(&promise);
            number.parked.remove(&promise);
        });
    }

    pub fn open(&self, phone: &PhoneNumber) -> impl Iterator<Item = PromiseId> {
        self.0.get(phone).into_iter().flat_map(|number| number.open.iter().copied())
    }

    /// Whether nobody calls this number and nobody waits to call it, and it calls nobody.
    pub fn is_free(&self, phone: &PhoneNumber) -> bool {
        self.0.get(phone).is_none_or(|number| number.calls == 0 && number.busy.is_none())
    }

    /// Whether the customer is calling us.
    pub fn is_in_call(&self, phone: &PhoneNumber) -> bool {
        self.0.get(phone).is_some_and(|number| number.calls > 0)
    }

    /// The promise with a ticket or a call.
    pub fn busy(&self, phone: &PhoneNumber) -> Option<PromiseId> {
        self.0.get(phone)?.busy
    }

    pub fn occupy(&mut self, phone: &PhoneNumber, promise: PromiseId) {
        self.0.entry(phone.clone()).or_default().busy = Some(promise);
    }

    /// The promise has no ticket and no call any more.
    pub fn vacate(&mut self, phone: &PhoneNumber, promise: PromiseId) {
        self.change(phone, |number| number.busy = number.busy.filter(|busy| *busy != promise));
    }

    pub fn park(&mut self, phone: &PhoneNumber, promise: PromiseId) {
        self.0.entry(phone.clone()).or_default().parked.insert(promise);
    }

    pub fn unpark(&mut self, phone: &PhoneNumber, promise: PromiseId) {
        self.change(phone, |number| {
            number.parked.remove(&promise);
        });
    }

    /// Those that waited for the number, if it is free.
    pub fn freed(&self, phone: &PhoneNumber) -> Vec<PromiseId> {
        let number = self.0.get(phone).filter(|_| self.is_free(phone));
        number.into_iter().flat_map(|number| number.parked.iter().copied()).collect()
    }

    /// A call of the customer's own began, or ended.
    pub fn set_in_call(&mut self, phone: &PhoneNumber, is_in: bool) {
        if is_in {
            self.0.entry(phone.clone()).or_default().calls += 1;
        } else {
            self.change(phone, |number| number.calls = number.calls.saturating_sub(1));
        }
    }

    /// Forgets the number when nothing is left of it.
    fn change(&mut self, phone: &PhoneNumber, change: impl FnOnce(&mut Number)) {
        let Some(number) = self.0.get_mut(phone) else { return };
        change(number);
        let is_idle = number.open.is_empty() && number.parked.is_empty();
        if is_idle && number.calls == 0 && number.busy.is_none() {
            self.0.remove(phone);
        }
    }
}
