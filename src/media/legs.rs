//! The legs of one worker, by number and by id; numbers of closed legs are used again.

use std::collections::BTreeMap;

use super::leg::Leg;
use crate::domain::LegId;

#[derive(Debug, Default)]
pub(super) struct Legs {
    slots: Vec<Option<Box<Leg>>>,
    free: Vec<u32>,
    numbers: BTreeMap<LegId, u32>,
}

impl Legs {
    /// The number that [`Legs::insert`] will give to the next leg.
    pub fn next_number(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.slots.len() as u32)
    }

    pub fn insert(&mut self, leg: Box<Leg>) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.numbers.insert(leg.id, number);
        self.slots[number as usize] = Some(leg);
    }

    pub fn remove(&mut self, number: u32) -> Option<Box<Leg>> {
        let leg = self.slots.get_mut(number as usize)?.take()?;
        self.numbers.remove(&leg.id);
        self.free.push(number);
        Some(leg)
    }

    pub fn get(&mut self, number: u32) -> Option<&mut Leg> {
        self.slots.get_mut(number as usize)?.as_deref_mut()
    }

    pub fn number(&self, id: LegId) -> Option<u32> {
        self.numbers.get(&id).copied()
    }

    pub fn ids(&self) -> impl Iterator<Item = LegId> {
        self.numbers.keys().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Numbers are below this.
    pub fn numbers_end(&self) -> u32 {
        self.slots.len() as u32
    }
}
