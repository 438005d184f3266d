//! The adaptive shadowing engine: from a task request to its prediction and its run.
