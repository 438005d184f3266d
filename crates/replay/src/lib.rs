//! What would have been saved: traces of finished tasks, replayed against several ways to size
//! them.

pub mod methods;
pub mod parse;
pub mod simulate;
pub mod trace;
