//! The shadow task generator: inputs, samples, small isolated runs.
