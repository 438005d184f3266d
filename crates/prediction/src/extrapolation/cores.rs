use super::Rung;

/// Spans shorter than this say more about the sampling than about the cores used.
const SPAN: f64 = 0.08;

/// The most cores that a run kept busy over any span of 80 ms; `None` where it is too short to
/// tell.
pub fn busiest_cores(rung: &Rung) -> Option<f64> {
    let curve = &rung.curve;
    let mut most: Option<f64> = None;
    let mut start = 0;
    for end in 0..curve.len() {
        while curve[end].at - curve[start + 1..=end].first().map_or(f64::MAX, |p| p.at) >= SPAN {
            start += 1;
        }
        let span = curve[end].at - curve[start].at;
        if span >= SPAN {
            let cores = (curve[end].cpu - curve[start].cpu) / span;
            most = Some(most.map_or(cores, |m| m.max(cores)));
        }
    }
    most.or_else(|| (rung.wall >= SPAN / 4.0).then(|| rung.cpu / rung.wall))
}

#[cfg(test)]
mod tests {
    use super::super::Point;
    use super::*;

    #[test]
    fn a_parallel_phase_among_serial_ones_is_seen() {
        let mut cpu = 0.0;
        let curve = (0..=100)
            .map(|i| {
                let at = f64::from(i) * 0.01;
                cpu += if (40..70).contains(&i) { 0.02 } else { 0.01 };
                Point {
                    at,
                    cpu,
                    ..Point::default()
                }
            })
            .collect();
        let rung = Rung {
            wall: 1.0,
            cpu,
            curve,
            ..Rung::default()
        };
        let cores = busiest_cores(&rung).unwrap();
        assert!((cores - 2.0).abs() < 0.05, "{cores}");
    }

    #[test]
    fn too_short_a_run_says_nothing() {
        assert_eq!(busiest_cores(&Rung::default()), None);
    }
}
