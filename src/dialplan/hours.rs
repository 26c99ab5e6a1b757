//! Opening hours and holidays, in the time zone of the plan.

use jiff::Zoned;

/// When something is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hours {}

impl Hours {
    pub fn is_open(&self, _at: &Zoned) -> bool {
        todo!()
    }

    /// The first moment at or after `at` at which it is open; `None` if it does not open within a year.
    pub fn next_opening(&self, _at: &Zoned) -> Option<Zoned> {
        todo!()
    }
}
