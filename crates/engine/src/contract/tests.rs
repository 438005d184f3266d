use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use foreshadow_quantity::{Bytes, Cores, Quantiles};
use serde_json::{Value, json};

use super::*;

fn prediction() -> Prediction {
    let levels = Levels {
        p10: 1.0,
        p50: 2.0,
        p90: 3.0,
        p99: 4.0,
    };
    Prediction {
        schema: PredictionSchema,
        command: CommandLine::new(&["sort", "big.csv"]),
        method: Method::SampledInput,
        inputs: vec![Input {
            path: PathText::new(Path::new("big.csv")),
            bytes: Bytes::new(124_568_750),
            format: Some("csv".into()),
            sampled: true,
        }],
        shadow: Shadow {
            runs: vec![ShadowRun {
                fraction: Some(0.03125),
                cpu_seconds: 0.07,
                wall_seconds: 0.1,
                peak_memory_bytes: Some(Bytes::new(6_291_456)),
                exit_code: Some(0),
            }],
            cpu_seconds: 0.4,
            wall_seconds: 0.9,
        },
        prediction: Resources {
            peak_memory_bytes: Some(levels),
            cpu_seconds: Some(levels),
            wall_seconds: Some(levels),
            cores: Some(levels),
            read_bytes: Some(levels),
            write_bytes: Some(levels),
            page_cache_bytes: Some(levels),
            network_bytes: None,
        },
        recommend: Recommend {
            memory_bytes: Some(Bytes::mib(256)),
            cores: Some(Cores::milli(1500)),
            time_limit_seconds: Some(60.0),
        },
        explain: vec!["why this method".into()],
        abstained: None,
    }
}

#[test]
fn prediction_is_the_documented_json() {
    let levels = json!({"p10": 1.0, "p50": 2.0, "p90": 3.0, "p99": 4.0});
    let expected = json!({
        "schema": "foreshadow.prediction/1",
        "command": ["sort", "big.csv"],
        "method": "sampled-input",
        "inputs": [{"path": "big.csv", "bytes": 124_568_750, "format": "csv", "sampled": true}],
        "shadow": {
            "runs": [{"fraction": 0.03125, "cpu_seconds": 0.07, "wall_seconds": 0.1,
                      "peak_memory_bytes": 6_291_456, "exit_code": 0}],
            "cpu_seconds": 0.4, "wall_seconds": 0.9},
        "prediction": {
            "peak_memory_bytes": levels, "cpu_seconds": levels, "wall_seconds": levels,
            "cores": levels, "read_bytes": levels, "write_bytes": levels,
            "page_cache_bytes": levels, "network_bytes": null},
        "recommend": {"memory_bytes": 268_435_456, "cores": 1.5, "time_limit_seconds": 60.0},
        "explain": ["why this method"],
        "abstained": null,
    });
    assert_eq!(serde_json::to_value(prediction()).unwrap(), expected);
    let back: Prediction = serde_json::from_value(expected).unwrap();
    assert_eq!(back, prediction());
}

#[test]
fn the_unknown_is_null_and_the_key_stays() {
    let empty = serde_json::to_value(Resources::default()).unwrap();
    let names: Vec<&str> = Resources::default().named().map(|(name, _)| name).to_vec();
    assert_eq!(empty.as_object().unwrap().len(), names.len());
    for name in names {
        assert_eq!(empty.get(name), Some(&Value::Null), "{name}");
    }
    let recommend = serde_json::to_value(Recommend::default()).unwrap();
    assert_eq!(
        recommend,
        json!({"memory_bytes": null, "cores": null, "time_limit_seconds": null})
    );
}

#[test]
fn outcome_is_the_documented_json() {
    let outcome = Outcome {
        schema: OutcomeSchema,
        task_id: "t".into(),
        command: CommandLine::new(&["sort", "big.csv"]),
        exit_code: None,
        signal: Some(9),
        cause_of_death: Some(CauseOfDeath::OomCgroup),
        prediction: None,
        reservation: Some(Reservation {
            memory_bytes: Some(Bytes::mib(1)),
            cores: None,
            time_limit_seconds: None,
        }),
        actual: Actual {
            major_faults: Some(3),
            ..Actual::default()
        },
        adjustments: vec![Adjustment {
            at_seconds: 1.5,
            resource: "memory_bytes".into(),
            from: Some(1.0),
            to: None,
            reason: "why".into(),
        }],
        alerts: vec![AlertSummary {
            at_seconds: 1.0,
            severity: Severity::Warning,
            message: "what".into(),
        }],
    };
    let expected = json!({
        "schema": "foreshadow.outcome/1",
        "task_id": "t",
        "command": ["sort", "big.csv"],
        "exit_code": null,
        "signal": 9,
        "cause_of_death": "oom_cgroup",
        "prediction": null,
        "reservation": {"memory_bytes": 1_048_576, "cores": null, "time_limit_seconds": null},
        "actual": {
            "peak_memory_bytes": null, "page_cache_peak_bytes": null, "cpu_seconds": null,
            "wall_seconds": null, "read_bytes": null, "write_bytes": null,
            "network_bytes": null, "major_faults": 3, "cpu_pressure_seconds": null,
            "memory_pressure_seconds": null, "io_pressure_seconds": null},
        "adjustments": [{"at_seconds": 1.5, "resource": "memory_bytes", "from": 1.0, "to": null,
                         "reason": "why"}],
        "alerts": [{"at_seconds": 1.0, "severity": "warning", "message": "what"}],
    });
    assert_eq!(serde_json::to_value(&outcome).unwrap(), expected);
    assert_eq!(
        serde_json::from_value::<Outcome>(expected).unwrap(),
        outcome
    );
    assert_eq!(outcome.shell_code(), 137);
}

#[test]
fn every_enum_has_its_documented_name() {
    for method in [
        Method::SampledInput,
        Method::Prefix,
        Method::VariedArgument,
        Method::History,
        Method::Blend,
        Method::Abstained,
    ] {
        assert_eq!(serde_json::to_value(method).unwrap(), method.name());
    }
    for (cause, name) in [
        (CauseOfDeath::OomCgroup, "oom_cgroup"),
        (CauseOfDeath::OomHost, "oom_host"),
        (CauseOfDeath::Limit, "limit"),
        (CauseOfDeath::Signal, "signal"),
    ] {
        assert_eq!(serde_json::to_value(cause).unwrap(), name);
    }
}

#[test]
fn names_that_are_not_utf8_keep_their_bytes() {
    let odd = OsString::from_vec(vec![b'a', 0xff, b'z']);
    let line = CommandLine::new(&[OsString::from("cat"), odd.clone()]);
    assert_eq!(
        serde_json::to_value(&line).unwrap(),
        json!({"command": ["cat", "a\u{fffd}z"], "command_hex": ["636174", "61ff7a"]})
    );
    let text = serde_json::to_string(&line).unwrap();
    let back: CommandLine = serde_json::from_str(&text).unwrap();
    assert_eq!(back.argv(), [OsString::from("cat"), odd.clone()]);

    let path = PathText::new(Path::new(&odd));
    assert_eq!(
        serde_json::to_value(&path).unwrap(),
        json!({"path": "a\u{fffd}z", "path_hex": "61ff7a"})
    );
    assert_eq!(path.path(), Path::new(&odd));
}

#[test]
fn another_schema_is_refused_by_name() {
    let mut document = serde_json::to_value(prediction()).unwrap();
    document["schema"] = json!("foreshadow.prediction/2");
    let error = serde_json::from_value::<Prediction>(document).unwrap_err();
    assert!(
        error.to_string().contains("foreshadow.prediction/2"),
        "{error}"
    );
}

#[test]
fn levels_come_from_quantiles() {
    let q = Quantiles::new([1.0, 2.2, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let levels = Levels::from(&q);
    assert_eq!((levels.p10, levels.p99), (2.2, 6.0));
    assert_eq!(levels.whole().p10, 2.0);
    assert!(levels.holds(2.2) && levels.holds(4.0) && !levels.holds(4.1));
}
