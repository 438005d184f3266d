//! Quantities with units: [`Bytes`], [`Cores`], [`Rate`], and [`Quantiles`] of them.
//!
//! Units are types here, never name suffixes, so that memory cannot be added to a rate by
//! accident. Arithmetic that could overflow saturates or returns an [`Option`]; parsing says what
//! it wanted. This crate depends on no other crate of the project.

mod amount;
mod parse;
mod quantiles;

pub use amount::{Bytes, Cores, Rate};
pub use parse::{ParseQuantityError, parse_duration};
pub use quantiles::{LEVELS, Quantiles};
