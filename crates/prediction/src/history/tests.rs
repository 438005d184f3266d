//! Behaviour of the learner as a whole, on repeatable pseudo-random tasks.

use super::*;
use crate::Predictive;
use crate::cost::{CostModel, recommend};

/// Uniform and normal numbers, the same in every run.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn input(bytes: f64) -> Features {
    Features::new().with("input_bytes", bytes)
}

fn learn(l: &mut Learner, f: &Features, value: f64) {
    l.observe(f, &Observation::complete(value)).unwrap();
}

fn median(l: &Learner, f: &Features) -> f64 {
    l.predict(f).unwrap().quantiles.p50()
}

#[test]
fn nothing_seen_nothing_said() {
    let l = Learner::new(Config::default());
    assert_eq!(l.predict(&input(1e6)), Err(Abstention::NoHistory));
}

#[test]
fn one_run_is_a_wide_forecast_around_it() {
    let mut l = Learner::new(Config::default());
    learn(&mut l, &input(1e6), 1e9);
    let q = l.predict(&input(1e6)).unwrap().quantiles;
    assert!((0.8e9..1.2e9).contains(&q.p50()), "{q:?}");
    assert!(q.p95() > 1.3e9 && q.p05() < 0.8e9, "{q:?}");
}

#[test]
fn follows_lines_power_laws_and_steps() {
    type Shape = fn(f64) -> f64;
    let shapes: [(&str, Shape); 4] = [
        ("line", |x| 5e7 + 3.0 * x),
        ("power", |x| 2e4 * x.powf(0.6)),
        ("flat", |_| 3e8),
        ("saturating", |x| 3e8_f64.min(1e7 + 4.0 * x)),
    ];
    for (name, shape) in shapes {
        let mut r = Random(7);
        let mut l = Learner::new(Config::default());
        let mut off = Vec::new();
        for i in 0..60 {
            let x = 1e6 * (r.uniform() * 5.0).exp();
            let y = shape(x) * (1.0 + 0.01 * r.normal());
            if i >= 10 {
                off.push((median(&l, &input(x)) / y).ln().abs());
            }
            learn(&mut l, &input(x), y);
        }
        off.sort_unstable_by(f64::total_cmp);
        assert!(off[off.len() / 2] < 0.03, "{name}: {}", off[off.len() / 2]);
    }
}

#[test]
fn intervals_hold_what_they_promise_also_after_a_drift() {
    let mut r = Random(11);
    let mut held = [[0_u32; 2]; 2];
    let mut asked = [0_u32; 2];
    for _ in 0..40 {
        let mut l = Learner::new(Config::default());
        for i in 0..160 {
            let x = 1e6 * (1.0 + 9.0 * r.uniform());
            let doubled = if i >= 80 { 2.0 } else { 1.0 };
            let y = doubled * (2e8 + 50.0 * x) * (0.08 * r.normal()).exp();
            // Before the change, and from the thirtieth task after it.
            let phase = match i {
                10..80 => Some(0),
                110.. => Some(1),
                _ => None,
            };
            if let (Some(phase), Ok(p)) = (phase, l.predict(&input(x))) {
                asked[phase] += 1;
                for (k, level) in [0.8, 0.95].into_iter().enumerate() {
                    let (low, high) = p.interval(level);
                    held[phase][k] += u32::from((low..=high).contains(&y));
                }
            }
            learn(&mut l, &input(x), y);
        }
    }
    for phase in 0..2 {
        for (k, level) in [0.8, 0.95].into_iter().enumerate() {
            let share = f64::from(held[phase][k]) / f64::from(asked[phase]);
            assert!(
                (share - level).abs() <= 0.03,
                "phase {phase}, {level}: {share}"
            );
        }
    }
}

#[test]
fn a_change_is_forgotten_within_a_few_tasks_and_named() {
    let mut r = Random(3);
    let mut l = Learner::new(Config::default());
    for _ in 0..200 {
        learn(&mut l, &input(1e6), 1e9 * (1.0 + 0.02 * r.normal()));
    }
    for _ in 0..10 {
        learn(&mut l, &input(1e6), 2e9 * (1.0 + 0.02 * r.normal()));
    }
    let p = l.predict(&input(1e6)).unwrap();
    assert!(
        (p.quantiles.p50() / 2e9 - 1.0).abs() < 0.05,
        "{:?}",
        p.quantiles
    );
    assert!(
        p.explain().iter().any(|e| e.contains("change")),
        "{:?}",
        p.explain()
    );
    assert!(l.remembered() <= 10);
}

#[test]
fn one_absurd_outlier_spoils_nothing() {
    let mut clean = Learner::new(Config::default());
    let mut poisoned = Learner::new(Config::default());
    let mut r = Random(5);
    for i in 0..60 {
        let x = 1e6 * (1.0 + 9.0 * r.uniform());
        let y = (2e8 + 50.0 * x) * (1.0 + 0.02 * r.normal());
        learn(&mut clean, &input(x), y);
        learn(&mut poisoned, &input(x), y);
        if i == 20 {
            learn(&mut poisoned, &input(x), 1e15);
            learn(&mut poisoned, &input(x * 3.0), 1.0);
        }
    }
    for x in [1.5e6, 5e6, 9e6] {
        let (a, b) = (median(&clean, &input(x)), median(&poisoned, &input(x)));
        assert!((a / b).ln().abs() < 0.02, "{a} {b}");
        let cost = CostModel::default();
        let (a, b) = (
            recommend(&clean.predict(&input(x)).unwrap().predictive, &cost)
                .allocation
                .as_f64(),
            recommend(&poisoned.predict(&input(x)).unwrap().predictive, &cost)
                .allocation
                .as_f64(),
        );
        assert!(b < 1.25 * a && b > 0.9 * a, "{a} {b}");
    }
}

#[test]
fn a_killed_task_counts_as_a_lower_bound() {
    let mut l = Learner::new(Config::default());
    for i in 0..8 {
        learn(&mut l, &Features::new(), 1e9 + f64::from(i) * 1e7);
    }
    let before = l.predict(&Features::new()).unwrap().quantiles;
    for _ in 0..6 {
        l.observe(&Features::new(), &Observation::at_least(1.5e9))
            .unwrap();
    }
    let after = l.predict(&Features::new()).unwrap().quantiles;
    assert!(
        after.p90() > 1.5e9 && before.p90() < 1.5e9,
        "{before:?} {after:?}"
    );
    // A bound far below what is usual says nothing new.
    let mut low = Learner::new(Config::default());
    for _ in 0..8 {
        learn(&mut low, &Features::new(), 1e9);
        low.observe(&Features::new(), &Observation::at_least(1e3))
            .unwrap();
    }
    assert!((median(&low, &Features::new()) / 1e9 - 1.0).abs() < 0.02);
}

#[test]
fn amounts_that_were_not_measured_are_refused() {
    let mut l = Learner::new(Config::default());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            l.observe(&Features::new(), &Observation::complete(bad))
                .is_err()
        );
    }
    assert_eq!(l.observed(), 0);
}

#[test]
fn missing_features_and_odd_values_do_no_harm() {
    let mut l = Learner::new(Config::default());
    let mut r = Random(9);
    for i in 0..50 {
        let mut f = Features::new().with("nan", f64::NAN).with("same", 4.0);
        if i % 3 != 0 {
            f.set("input_bytes", 1e6 * (1.0 + r.uniform()));
        }
        if i % 7 == 0 {
            f.set("huge", f64::MAX);
        } else {
            f.set("huge", f64::MIN);
        }
        f.set("zero", 0.0);
        f.set("negative", -5.0 * r.uniform());
        learn(&mut l, &f, 1e9 * (1.0 + 0.1 * r.uniform()));
    }
    for f in [
        Features::new(),
        input(1.5e6),
        Features::new().with("unheard of", 3.0),
    ] {
        let q = l.predict(&f).unwrap().quantiles;
        assert!((0.95e9..1.15e9).contains(&q.p50()), "{q:?}");
    }
}

#[test]
fn more_features_than_are_kept_is_bounded() {
    let mut l = Learner::new(Config::default());
    for i in 0..100 {
        let f = Features::new()
            .with(format!("f{i}"), f64::from(i))
            .with("input_bytes", 1e6);
        learn(&mut l, &f, 1e9);
    }
    assert!((median(&l, &input(1e6)) / 1e9 - 1.0).abs() < 0.01);
}

#[test]
fn the_useful_feature_is_found_among_useless_ones() {
    let mut l = Learner::new(Config::default());
    let mut r = Random(13);
    let mut off = Vec::new();
    for i in 0..60 {
        let n = (1.0 + 99.0 * r.uniform()).round();
        let f = Features::new()
            .with("threads", (1.0 + 7.0 * r.uniform()).round())
            .with("input_bytes", 1e6 * r.uniform())
            .with("n", n);
        let y = (1e8 + 1e7 * n) * (1.0 + 0.01 * r.normal());
        if i >= 15 {
            off.push((median(&l, &f) / y).ln().abs());
        }
        learn(&mut l, &f, y);
    }
    off.sort_unstable_by(f64::total_cmp);
    assert!(off[off.len() / 2] < 0.04, "{}", off[off.len() / 2]);
}

#[test]
fn far_outside_without_a_trend_there_is_no_forecast() {
    let mut l = Learner::new(Config::default());
    let mut r = Random(17);
    for _ in 0..20 {
        learn(
            &mut l,
            &input(1e6 * (1.0 + 0.5 * r.uniform())),
            1e9 * (0.3 * r.normal()).exp(),
        );
    }
    assert!(l.predict(&input(1.2e6)).is_ok());
    let error = l.predict(&input(1e9)).unwrap_err();
    assert!(matches!(error, Abstention::OutOfRange { .. }), "{error:?}");
    assert!(error.to_string().contains("input_bytes"), "{error}");

    let mut trend = Learner::new(Config::default());
    for i in 1..20 {
        let x = 1e6 * f64::from(i);
        learn(&mut trend, &input(x), 1e8 + 10.0 * x);
    }
    let p = trend.predict(&input(1e9)).unwrap();
    let (low, high) = p.interval(0.95);
    assert!(low <= 1.01e10 && 1.01e10 <= high, "{low} {high}");
    assert!(
        high / low > 1.5,
        "far outside the forecast must be wide: {low} {high}"
    );
}

#[test]
fn memory_is_bounded_and_the_state_survives_storage() {
    let mut l = Learner::new(Config::default());
    let mut r = Random(19);
    for _ in 0..5000 {
        let x = 1e6 * r.uniform();
        learn(&mut l, &input(x), 1e8 + 7.0 * x);
    }
    assert_eq!(l.observed(), 5000);
    assert!(l.remembered() <= Config::default().capacity);
    let json = serde_json::to_string(&l).unwrap();
    assert!(json.len() < 64 * 1024, "{}", json.len());
    let mut back: Learner = serde_json::from_str(&json).unwrap();
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.01;
    assert!(near(median(&back, &input(5e5)), median(&l, &input(5e5))));
    learn(&mut back, &input(5e5), 1e8 + 3.5e6);
    assert!(near(median(&back, &input(5e5)), 1e8 + 3.5e6));
    let newer = json.replacen("\"version\":1", "\"version\":2", 1);
    let error = serde_json::from_str::<Learner>(&newer)
        .unwrap_err()
        .to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn constants_are_learned_to_the_page() {
    let mut l = Learner::new(Config::default());
    for _ in 0..20 {
        learn(&mut l, &input(1e6), 1e9);
    }
    let r = recommend(
        &l.predict(&input(1e6)).unwrap().predictive,
        &CostModel::default(),
    );
    let share = r.allocation.as_f64() / 1e9;
    assert!(share > 1.0 && share < 1.03, "{share}");
}

#[test]
fn shadows_are_corrected_and_blended() {
    let mut l = Learner::new(Config::default());
    let mut r = Random(23);
    let shadow = Predictive::lognormal(1e9, 0.3).unwrap();
    assert_eq!(blend(&l, None, &shadow), shadow);
    // Shadows that say a fifth too little.
    for _ in 0..20 {
        let y = 1e9 * (1.0 + r.uniform());
        let f = Features::new().with_shadow(0.8 * y * (1.0 + 0.02 * r.normal()));
        learn(&mut l, &f, y);
    }
    let blended = blend(&l, None, &Predictive::lognormal(0.8e9, 0.1).unwrap());
    assert!((blended.quantile(0.5) / 1e9 - 1.0).abs() < 0.05);
    // History alone knows only the range; the shadow knows the task.
    let f = Features::new();
    let both = blend(
        &l,
        l.predict(&f).ok().as_ref(),
        &Predictive::lognormal(0.8e9, 0.1).unwrap(),
    );
    assert!(
        (both.quantile(0.5) / 1e9 - 1.0).abs() < 0.12,
        "{}",
        both.quantile(0.5)
    );
    // Contradiction keeps both.
    let wild = blend(
        &l,
        l.predict(&f).ok().as_ref(),
        &Predictive::lognormal(1e12, 0.1).unwrap(),
    );
    assert!(wild.quantile(0.01) < 3e9 && wild.quantile(0.99) > 1e11);
}
