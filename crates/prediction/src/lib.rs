//! Extrapolation, history models, intervals, calibration: pure.
