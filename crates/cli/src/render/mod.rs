//! Reports for people, as text: pure functions of the documents and a [`crate::term::Style`].

pub(crate) mod accuracy;
pub(crate) mod amount;
mod chart;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod outcome;
pub(crate) mod predict;
mod table;
mod text;

#[cfg(test)]
mod fixtures;
