//! What is owed to customers, and all that was done to keep it.
//!
//! - [`writer`]: stores, in batches and in order, and says when something is safe
//! - `batch`: what is to be stored → statements
//! - [`reading`]: promises and their stories
//! - [`ratings`]: what customers thought of conversations

mod batch;
pub mod ratings;
pub mod reading;
pub mod writer;

pub(super) use batch::{ADD_CONSENTS, ADD_FORBIDDEN, consent_row, forbade};
pub use ratings::{AskedRecord, RatingFilter, RatingRecord};
pub(super) use reading::phone;
pub use reading::{Change, PromiseFilter, PromiseRecord, PromiseStory, RobotCall};
pub use writer::{PromiseWriter, QueueFull, Stored};
