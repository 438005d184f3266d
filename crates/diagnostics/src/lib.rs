//! Samplers and recordings of what a run used.
