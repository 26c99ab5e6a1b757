//! What is written back into the CRM.

use serde::{Deserialize, Serialize};

use crate::domain::{PhoneNumber, Timestamp};

/// One change, to be made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrmChange {
    /// Names the change: the same id again is the same change.
    pub id: String,
    pub phone: PhoneNumber,
    pub at: Timestamp,
    pub what: CrmWrite,
}

/// What is changed. In JSON: `{"bonus":{"points":50,"reason":"…"}}`,
/// `{"order-status":{"order":"48-15","status":"confirmed"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrmWrite {
    /// Points for the customer, and why.
    Bonus { points: i64, reason: String },
    /// What the customer decided about an order.
    OrderStatus { order: String, status: String },
}
