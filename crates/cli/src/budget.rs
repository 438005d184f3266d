//! Values of options that are no single quantity.

use std::str::FromStr;
use std::time::Duration;

use foreshadow_engine::{Budget, Network, Vary};
use foreshadow_quantity::{Bytes, Rate, parse_duration};

/// One part of a budget, or both, as `--budget` takes them: `5%`, `10s`, `5%,10s`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BudgetPart {
    share: Option<f64>,
    wall: Option<Duration>,
}

impl BudgetPart {
    /// Sets the given parts in `budget`, leaves the others.
    pub(crate) fn apply(self, budget: &mut Budget) {
        if let Some(share) = self.share {
            budget.cpu_share = share;
        }
        if let Some(wall) = self.wall {
            budget.wall = wall;
        }
    }
}

impl FromStr for BudgetPart {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut part = BudgetPart::default();
        for word in s.split(',') {
            let word = word.trim();
            if let Some(percent) = word.strip_suffix('%') {
                let percent: f64 = percent
                    .trim()
                    .parse()
                    .ok()
                    .filter(|p| *p > 0.0 && *p <= 100.0)
                    .ok_or_else(|| {
                        format!("'{word}' is not a share of the CPU time between 0% and 100%")
                    })?;
                part.share = Some(percent / 100.0);
            } else {
                let wall = parse_duration(word).map_err(|_| {
                    format!("'{word}' is neither a share such as 5% nor a time such as 10s")
                })?;
                if wall.is_zero() {
                    return Err("a budget of no time leaves nothing to predict from".into());
                }
                part.wall = Some(wall);
            }
        }
        Ok(part)
    }
}

/// `NAME=VALUE` of `--vary`.
pub(crate) fn vary(s: &str) -> Result<Vary, String> {
    let wanted =
        || format!("'{s}' is not NAME=NUMBER, such as n=1000000 for an argument that holds {{n}}");
    let (name, value) = s.split_once('=').ok_or_else(wanted)?;
    let named = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let value: f64 = value.replace('_', "").parse().map_err(|_| wanted())?;
    if !named {
        return Err(wanted());
    }
    if !(value.is_finite() && value > 0.0) {
        return Err(format!(
            "{name} is {value}: a number above 0 is wanted, so that it can be scaled down"
        ));
    }
    Ok(Vary {
        name: name.to_owned(),
        value,
    })
}

/// The rate of `--net limited` where none is given.
const NET_RATE: Rate = Rate::per_second(Bytes::mib(1));

/// `none`, `limited`, `limited:RATE` of `--net`.
pub(crate) fn network(s: &str) -> Result<Network, String> {
    match s {
        "none" => Ok(Network::None),
        "limited" => Ok(Network::Limited(NET_RATE)),
        _ => match s.strip_prefix("limited:").map(str::parse::<Rate>) {
            Some(Ok(rate)) if rate.bytes() > Bytes::ZERO => Ok(Network::Limited(rate)),
            Some(Ok(_)) => Err("a rate of 0 is no network: say none".into()),
            Some(Err(e)) => Err(e.to_string()),
            None => Err(format!(
                "'{s}' is not none, limited or limited:RATE such as limited:10MiB/s"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        let budget = |texts: &[&str]| {
            let mut budget = Budget::default();
            for text in texts {
                text.parse::<BudgetPart>().unwrap().apply(&mut budget);
            }
            (budget.cpu_share, budget.wall)
        };
        let usual = Budget::default();
        assert_eq!(budget(&[]), (usual.cpu_share, usual.wall));
        assert_eq!(budget(&["20%"]), (0.2, usual.wall));
        assert_eq!(budget(&["2 %, 500ms"]), (0.02, Duration::from_millis(500)));
        assert_eq!(budget(&["2%", "1m"]), (0.02, Duration::from_secs(60)));
        for bad in ["", "0%", "101%", "-5%", "nan%", "0s", "soon", "5%,,"] {
            assert!(bad.parse::<BudgetPart>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_to_vary() {
        assert_eq!(
            vary("n=1_000_000"),
            Ok(Vary {
                name: "n".into(),
                value: 1e6
            })
        );
        for bad in ["n", "n=", "=5", "n=0", "n=-1", "n=nan", "n=inf", "a b=1"] {
            assert!(vary(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(network("none"), Ok(Network::None));
        assert_eq!(
            network("limited:10MiB/s"),
            Ok(Network::Limited(Rate::per_second(Bytes::mib(10))))
        );
        assert!(matches!(network("limited"), Ok(Network::Limited(_))));
        for bad in ["", "all", "limited:", "limited:0", "limited:fast"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }
}
