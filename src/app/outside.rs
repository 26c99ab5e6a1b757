//! The way to numbers outside.

use crate::config::Trunk;
use crate::domain::PhoneNumber;

/// The trunks by which numbers outside are dialled.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    trunks: Vec<Trunk>,
}

impl Outside {
    pub fn new(trunks: Vec<Trunk>) -> Self {
        Self { trunks }
    }

    /// The number at the first trunk; `None`: there is no trunk.
    pub fn uri(&self, number: &PhoneNumber) -> Option<String> {
        let trunk = self.trunks.first()?;
        Some(format!("sip:{}@{}", number.as_str(), trunk.address))
    }
}
