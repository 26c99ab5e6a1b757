//! - [`callbacks`]: customers who are to be called back
//! - [`house`]: a small house whose story can be read
//! - [`oracle`]: who must be rung, worked out slowly from a flat list
//! - [`properties`]: whatever happens, nobody is forgotten and nothing is doubled
//! - [`scenarios`]: what a supervisor expects of the line

mod callbacks;
mod house;
mod oracle;
mod properties;
mod scenarios;
