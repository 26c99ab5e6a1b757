//! The test phone.
