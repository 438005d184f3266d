//! Learning from finished tasks.
