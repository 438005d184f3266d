use super::Rung;

/// A run cut at the first and the last byte of its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phases {
    /// CPU seconds before anything was read.
    pub startup: f64,
    /// CPU seconds from then to the end of the input.
    pub reading: f64,
    /// CPU seconds after the end of the input.
    pub after: f64,
    /// Memory when reading began, in bytes.
    pub memory_before: f64,
    /// Memory halfway through the input.
    pub memory_halfway: f64,
    /// Memory at the end of the input.
    pub memory_read: f64,
    /// CPU seconds of the second half of the reading over those of the first.
    pub lateness: f64,
}

/// Reading that is seen in fewer looks than this is too fast to be followed.
const LEAST_LOOKS: usize = 4;
/// The end of the input is near enough here: the last block may be read by a final short read.
const END: f64 = 0.97;

impl Phases {
    /// The phases of a run; `None` where its reading couldn't be followed: too fast, by mapping
    /// the file, or not to the end.
    pub fn of(rung: &Rung) -> Option<Phases> {
        let curve = &rung.curve;
        let first = curve.iter().position(|p| p.progress > 0.0)?;
        let last = curve.iter().position(|p| p.progress >= END)?;
        let looks = curve[first..=last]
            .windows(2)
            .filter(|w| w[1].progress > w[0].progress)
            .count();
        if looks < LEAST_LOOKS || curve[first].progress > 0.5 {
            return None;
        }
        let before = curve[first.saturating_sub(1)];
        let end = curve[last];
        let half = curve[first..=last]
            .iter()
            .find(|p| p.progress >= 0.5 * (curve[first].progress + end.progress))
            .copied()
            .unwrap_or(end);
        let startup = before.cpu.clamp(0.0, rung.cpu);
        let read = end.cpu.clamp(startup, rung.cpu);
        let (early, late) = (half.cpu - before.cpu, end.cpu - half.cpu);
        Some(Phases {
            startup,
            reading: read - startup,
            after: rung.cpu - read,
            memory_before: before.memory,
            memory_halfway: half.memory,
            memory_read: end.memory,
            lateness: if early > 0.0 { late / early } else { 1.0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Point;
    use super::*;

    /// 0.1 s start-up, 1 s of reading, 0.4 s after it.
    fn run() -> Rung {
        let curve = (0..=150)
            .map(|i| {
                let at = f64::from(i) * 0.01;
                Point {
                    at,
                    cpu: at,
                    memory: 1e6 * (at - 0.1).clamp(0.0, 1.0),
                    progress: (at - 0.1).clamp(0.0, 1.0),
                }
            })
            .collect();
        Rung {
            size: 1e6,
            cpu: 1.5,
            wall: 1.5,
            memory: 1e6,
            complete: true,
            curve,
        }
    }

    #[test]
    fn phases_are_cut_at_the_input() {
        let phases = Phases::of(&run()).unwrap();
        assert!((phases.startup - 0.1).abs() < 0.02, "{phases:?}");
        assert!((phases.reading - 1.0).abs() < 0.05, "{phases:?}");
        assert!((phases.after - 0.4).abs() < 0.05, "{phases:?}");
        assert!((phases.lateness - 1.0).abs() < 0.1, "{phases:?}");
        assert!((phases.memory_halfway / phases.memory_read - 0.5).abs() < 0.05);
    }

    #[test]
    fn reading_at_once_or_not_at_all_has_no_phases() {
        let mut rung = run();
        for p in &mut rung.curve {
            p.progress = if p.at > 0.1 { 1.0 } else { 0.0 };
        }
        assert_eq!(Phases::of(&rung), None);
        for p in &mut rung.curve {
            p.progress = 0.0;
        }
        assert_eq!(Phases::of(&rung), None);
    }
}
