//! - [`house`]: a small house whose story can be read
//! - [`scenarios`]: what a supervisor expects of the line

mod house;
mod scenarios;
