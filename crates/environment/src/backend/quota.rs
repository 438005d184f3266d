//! Limits as the kernel wants them written.

use foreshadow_quantity::Cores;

use crate::{EnvironmentError, Feature};

/// The period over which a quota counts: the kernel's own default.
const PERIOD_US: u64 = 100_000;
/// For small quotas, because none may be under 1 ms each period.
const LONG_PERIOD_US: u64 = 1_000_000;

/// The quota and its period, both in microseconds (`Documentation/scheduler/sched-bwc.rst`).
pub(crate) fn quota(cores: Cores) -> Result<(u64, u64), EnvironmentError> {
    let period = if cores.as_milli() < 10 {
        LONG_PERIOD_US
    } else {
        PERIOD_US
    };
    let quota = cores.as_milli().saturating_mul(period / 1000);
    if quota == 0 {
        return Err(EnvironmentError::InvalidLimit {
            feature: Feature::Cores,
            value: cores.to_string(),
            reason: "at least 0.001 cores are needed for anything to run",
        });
    }
    Ok((quota, period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_at_least_a_millisecond_a_period() {
        assert_eq!(quota(Cores::whole(2)).unwrap(), (200_000, 100_000));
        assert_eq!(quota(Cores::milli(10)).unwrap(), (1_000, 100_000));
        assert_eq!(quota(Cores::milli(9)).unwrap(), (9_000, 1_000_000));
        assert_eq!(quota(Cores::milli(1)).unwrap(), (1_000, 1_000_000));
        let error = quota(Cores::ZERO).unwrap_err().to_string();
        assert!(
            error.contains("cores") && error.contains("0.001"),
            "{error}"
        );
    }
}
