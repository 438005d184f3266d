//! Documents for the tests of the reports.

use std::path::Path;

use foreshadow_engine::contract::{
    Actual, Adjustment, CommandLine, Input, Levels, Method, Outcome, OutcomeSchema, PathText,
    Prediction, PredictionSchema, Recommend, Reservation, Resources, Shadow, ShadowRun,
};
use foreshadow_quantity::{Bytes, Cores};

fn levels(p10: f64, p50: f64, p90: f64, p99: f64) -> Option<Levels> {
    Some(Levels { p10, p50, p90, p99 })
}

fn mib(n: f64) -> f64 {
    Bytes::mib(1).as_f64() * n
}

/// A sort of a large file, with a ladder of five rungs, the last of which failed.
pub(super) fn prediction() -> Prediction {
    let runs = [
        (1.0 / 256.0, 0.01, 0.8, 0),
        (1.0 / 64.0, 0.03, 3.1, 0),
        (1.0 / 32.0, 0.07, 6.0, 0),
        (1.0 / 16.0, 0.14, 11.8, 0),
        (1.0 / 8.0, 0.01, 900.0, 2),
    ];
    Prediction {
        schema: PredictionSchema,
        command: CommandLine::new(&["sort", "-t,", "-k3,3n", "big.csv", "-o", "out file.csv"]),
        method: Method::SampledInput,
        inputs: vec![Input {
            path: PathText::new(Path::new("big.csv")),
            bytes: Bytes::new(124_568_750),
            format: Some("csv".into()),
            sampled: true,
        }],
        shadow: Shadow {
            runs: runs
                .iter()
                .map(|&(fraction, cpu, memory, exit)| ShadowRun {
                    fraction: Some(fraction),
                    cpu_seconds: cpu,
                    wall_seconds: cpu * 1.1,
                    peak_memory_bytes: Some(Bytes::from_f64(mib(memory))),
                    exit_code: Some(exit),
                })
                .collect(),
            cpu_seconds: 0.26,
            wall_seconds: 0.9,
        },
        prediction: Resources {
            peak_memory_bytes: levels(mib(198.0), mib(210.0), mib(231.0), mib(250.0)),
            cpu_seconds: levels(2.1, 2.4, 3.0, 3.9),
            wall_seconds: levels(2.2, 2.5, 3.1, 4.5),
            cores: levels(1.0, 1.0, 1.1, 1.2),
            read_bytes: levels(mib(119.0), mib(119.0), mib(119.0), mib(238.0)),
            write_bytes: levels(mib(119.0), mib(119.0), mib(119.0), mib(238.0)),
            page_cache_bytes: levels(mib(119.0), mib(238.0), mib(240.0), mib(250.0)),
            network_bytes: None,
        },
        recommend: Recommend {
            memory_bytes: Some(Bytes::mib(256)),
            cores: Some(Cores::milli(1500)),
            time_limit_seconds: Some(60.0),
        },
        explain: vec![
            "memory grows in proportion to the input, at 1.7 times its size".into(),
            "the run on 1/8 of big.csv ended with exit code 2 and was left out".into(),
        ],
        abstained: None,
    }
}

/// A command that gave nothing to go by.
pub(super) fn abstention() -> Prediction {
    Prediction {
        method: Method::Abstained,
        inputs: Vec::new(),
        shadow: Shadow::default(),
        prediction: Resources::default(),
        recommend: Recommend::default(),
        explain: vec!["its error output ends in: cannot open file".into()],
        abstained: Some("the command ended at once with exit code 2".into()),
        ..prediction()
    }
}

/// The run of [`prediction`]: memory as predicted, less CPU time, more wall time.
pub(super) fn outcome() -> Outcome {
    Outcome {
        schema: OutcomeSchema,
        task_id: "01jdvx3k00abcdefgh12".into(),
        command: prediction().command,
        exit_code: Some(0),
        signal: None,
        cause_of_death: None,
        prediction: Some(prediction()),
        reservation: Some(Reservation {
            memory_bytes: Some(Bytes::mib(256)),
            cores: Some(Cores::milli(1500)),
            time_limit_seconds: None,
        }),
        actual: Actual {
            peak_memory_bytes: Some(Bytes::mib(214)),
            cpu_seconds: Some(2.0),
            wall_seconds: Some(4.0),
            ..Actual::default()
        },
        adjustments: vec![Adjustment {
            at_seconds: 1.2,
            resource: "memory_bytes".into(),
            from: Some(mib(256.0)),
            to: Some(mib(320.0)),
            reason: "it reached its limit".into(),
        }],
        alerts: Vec::new(),
    }
}
