//! From a task request to its prediction.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use foreshadow_environment::isolation::NetworkAccess;
use foreshadow_environment::{Exit, Host, Signals};
use foreshadow_prediction::extrapolation::Rung;
use foreshadow_quantity::Bytes;
use foreshadow_shadow::input::{Input, Kind, Origin, Role};
use foreshadow_shadow::{Generator, Ladder, ShadowError, Source, TaskToShadow, ladder};
use foreshadow_store::{Features, NewPrediction, Store, TaskId};

use crate::contract::{
    self, CommandLine, Method, PathText, Prediction, PredictionSchema, Recommend, Resources,
};
use crate::error::EngineError;
use crate::forecast::{Evidence, forecast, rungs};
use crate::past::Past;
use crate::request::{Network, Progress, TaskRequest};
use crate::{machine, pages};

/// A prediction with what is needed to keep and to use it.
pub(crate) struct Made {
    pub document: Prediction,
    pub signature: String,
    pub machine: String,
    pub features: Features,
    pub input_bytes: Option<Bytes>,
    pub inputs: Vec<std::path::PathBuf>,
    /// What the forecast was extrapolated from; empty where no shadow told anything.
    pub rungs: Vec<Rung>,
}

/// What a session of the engine works with.
pub(crate) struct Session<'a> {
    pub host: &'a Host,
    pub store: Option<&'a Store>,
    pub signals: &'a Signals,
}

/// Time kept back for what comes before and after the shadows.
const OVERHEAD: Duration = Duration::from_millis(400);

impl Session<'_> {
    /// Predicts what the command will need. `shadows` allows shadows where history does not
    /// suffice.
    pub fn predict(
        &self,
        request: &TaskRequest,
        shadows: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Made, EngineError> {
        progress(Progress::Discovering);
        let command = request.argv.first().ok_or(EngineError::NoCommand)?;
        machine::find(command, &request.env, &request.cwd)?;
        for vary in &request.vary {
            let mark = format!("{{{}}}", vary.name);
            let marked = request
                .argv
                .iter()
                .any(|a| a.to_string_lossy().contains(&mark));
            if !marked {
                return Err(EngineError::NotMarked {
                    name: vary.name.clone(),
                });
            }
        }
        let interrupted = Cell::new(None);
        let cancelled = || {
            if interrupted.get().is_none() {
                interrupted.set(self.signals.take().map(|a| a.signal));
            }
            interrupted.get().is_some()
        };
        let mut number = |number, fraction| progress(Progress::Shadow { number, fraction });
        let generator = Generator::new(self.host, to_shadow(request), &cancelled, &mut number);
        let inputs = generator.discover();
        let mut made = self.describe(request, &inputs);
        let mut past = self.past(request, &made);
        let mut explain = Vec::new();
        let enough = request.use_history && past.suffices(&made.features);
        let ladder = if !shadows || enough {
            if enough {
                explain.push(format!(
                    "{} finished runs of this command tell enough; no shadow was run",
                    past.successes()
                ));
            }
            Ok(None)
        } else {
            generator.generate(inputs.clone()).map(Some)
        };
        if let Some(signal) = interrupted.get() {
            return Err(EngineError::Interrupted(signal));
        }
        let ladder = match ladder {
            Ok(ladder) => ladder,
            // Without isolation no shadow is run; the past may still speak.
            Err(ShadowError::Isolation(why)) => {
                explain.push(format!("no shadow was run: {why}"));
                None
            }
            Err(other) => return Err(other.into()),
        };
        if let Some(ladder) = &ladder {
            // Watching a shadow may have found inputs that the command line doesn't name.
            let known = std::mem::take(&mut made.signature);
            made = self.describe(request, &ladder.inputs);
            if made.signature != known {
                past = self.past(request, &made);
            }
            made.rungs = rungs(&ladder.rungs, self.host.cpus());
        }
        made.document = self.document(request, &made, ladder.as_ref(), &inputs, &past, explain);
        Ok(made)
    }

    fn past(&self, request: &TaskRequest, made: &Made) -> Past {
        if !request.use_history {
            return Past::default();
        }
        self.store
            .and_then(|s| Past::load(s, &made.signature, &made.machine).ok())
            .unwrap_or_default()
    }

    fn describe(&self, request: &TaskRequest, inputs: &[Input]) -> Made {
        let data: Vec<&Input> = inputs
            .iter()
            .filter(|i| i.role == Role::Data && !matches!(i.kind, Kind::Unreadable(_)))
            .collect();
        let paths: Vec<_> = data.iter().map(|i| i.path.clone()).collect();
        let input_bytes = (!data.is_empty()).then(|| data.iter().map(|i| i.bytes).sum());
        Made {
            document: empty(request),
            signature: foreshadow_store::signature(&request.argv, &paths),
            machine: machine::class(self.host),
            features: features(request, &data),
            input_bytes,
            inputs: paths,
            rungs: Vec::new(),
        }
    }

    fn document(
        &self,
        request: &TaskRequest,
        made: &Made,
        ladder: Option<&Ladder>,
        inputs: &[Input],
        past: &Past,
        mut explain: Vec<String>,
    ) -> Prediction {
        let rungs = ladder.map_or(&[][..], |l| &l.rungs);
        let source = ladder.map_or(Source::Prefix, |l| l.source);
        let paths: Vec<_> = made.inputs.clone();
        let evidence = Evidence {
            rungs,
            past,
            features: &made.features,
            input_bytes: made
                .input_bytes
                .map(|all| (all, all.saturating_sub(pages::sum_cached(&paths)))),
            cpus: self.host.cpus(),
            machine_memory: self.host.memory_total(),
        };
        let found = forecast(&evidence);
        let from_past = past.successes() > 0;
        let method = match (found.known, rungs.is_empty(), from_past) {
            (false, _, _) => Method::Abstained,
            (true, true, _) => Method::History,
            (true, false, true) => Method::Blend,
            (true, false, false) => match source {
                Source::SampledInput => Method::SampledInput,
                Source::Prefix => Method::Prefix,
                Source::VariedArgument => Method::VariedArgument,
            },
        };
        if let Some(ladder) = ladder {
            explain.splice(0..0, method_words(ladder));
            explain.extend(ladder.notes.iter().cloned());
        }
        let abstained = (!found.known).then(|| abstention(ladder, &explain));
        if found.known
            && let Some(why) = ladder.and_then(|l| l.failure.as_ref())
        {
            explain.push(format!("no shadow told anything: {why}"));
        }
        explain.extend(found.explain);
        let (listed, sampled) = match ladder {
            Some(ladder) => (&ladder.inputs[..], &ladder.sampled[..]),
            None => (inputs, &[][..]),
        };
        Prediction {
            method,
            inputs: listed
                .iter()
                .enumerate()
                .filter(|(_, i)| i.role == Role::Data)
                .map(|(n, i)| contract::Input {
                    path: PathText::new(&i.path),
                    bytes: i.bytes,
                    format: Some(i.format_name()),
                    sampled: sampled.get(n).copied().unwrap_or(false),
                })
                .collect(),
            shadow: ladder
                .map(|l| shadows(l, self.host.cpus().as_f64()))
                .unwrap_or_default(),
            prediction: if found.known {
                found.resources
            } else {
                Resources::default()
            },
            recommend: if found.known {
                found.recommend
            } else {
                Recommend::default()
            },
            explain,
            abstained,
            ..empty(request)
        }
    }

    /// Keeps a prediction in the history, for `task` if it is made for one. A history that can't
    /// be written stops nothing.
    pub fn keep(&self, made: &Made, task: Option<&TaskId>, progress: &mut dyn FnMut(Progress)) {
        let Some(store) = self.store else { return };
        let document = match serde_json::to_string(&made.document) {
            Ok(document) => document,
            Err(e) => {
                progress(Progress::Note(format!("the prediction is not kept: {e}")));
                return;
            }
        };
        let kept = store.record_prediction(&NewPrediction {
            task,
            signature: &made.signature,
            machine: &made.machine,
            method: made.document.method.name(),
            document: &document,
        });
        let kept = kept.and_then(|()| match serde_json::to_vec(&thinned(&made.rungs)) {
            Ok(body) if !made.rungs.is_empty() => {
                store.record_recording(task, &made.signature, "ladder", &body)
            }
            _ => Ok(()),
        });
        if let Err(e) = kept {
            progress(Progress::Note(format!("the prediction is not kept: {e}")));
        }
    }
}

/// The rungs with at most so many looks each: their shape is kept, not every sample.
fn thinned(rungs: &[Rung]) -> Vec<Rung> {
    const LOOKS: usize = 128;
    rungs
        .iter()
        .map(|rung| {
            let step = rung.curve.len().div_ceil(LOOKS).max(1);
            let last = rung.curve.len().saturating_sub(1);
            let curve = rung.curve.iter().enumerate();
            Rung {
                curve: curve
                    .filter(|(i, _)| i % step == 0 || *i == last)
                    .map(|(_, point)| *point)
                    .collect(),
                ..rung.clone()
            }
        })
        .collect()
}

fn empty(request: &TaskRequest) -> Prediction {
    Prediction {
        schema: PredictionSchema,
        command: CommandLine::new(&request.argv),
        method: Method::Abstained,
        inputs: Vec::new(),
        shadow: contract::Shadow::default(),
        prediction: Resources::default(),
        recommend: Recommend::default(),
        explain: Vec::new(),
        abstained: None,
    }
}

fn to_shadow(request: &TaskRequest) -> TaskToShadow {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().ok();
    TaskToShadow {
        argv: request.argv.clone(),
        env: request.env.clone(),
        cwd: request.cwd.clone(),
        stdin: stdin.map(File::from),
        named: request.inputs.clone(),
        vary: request.vary.clone(),
        budget: ladder::Budget {
            cpu_share: request.budget.cpu_share,
            wall: request.budget.wall.saturating_sub(OVERHEAD),
            ..ladder::Budget::default()
        },
        network: match request.network {
            Network::None => NetworkAccess::None,
            Network::Limited(rate) => NetworkAccess::Limited(rate),
        },
    }
}

/// What the needs of the command may depend on.
fn features(request: &TaskRequest, data: &[&Input]) -> Features {
    let mut features = Features::default();
    for (n, input) in data.iter().enumerate() {
        let role = match input.origin {
            Origin::Argument(i) | Origin::Option(i) | Origin::Script(i) => i.to_string(),
            Origin::Stdin => "stdin".to_owned(),
            Origin::Opened => format!("opened {n}"),
        };
        let bytes = features.inputs.entry(role).or_default();
        *bytes = *bytes + input.bytes;
    }
    for (n, argument) in request.argv.iter().enumerate().skip(1) {
        if let Some(number) = argument.to_str().and_then(|a| a.parse::<f64>().ok())
            && number.is_finite()
        {
            features.numbers.insert(n.to_string(), number);
        }
    }
    for vary in &request.vary {
        features.numbers.insert(vary.name.clone(), vary.value);
    }
    features
}

/// How the shadows were made, in words.
fn method_words(ladder: &Ladder) -> Option<String> {
    let n = ladder.rungs.len();
    let runs = if n == 1 { "shadow" } else { "shadows" };
    let largest = ladder
        .rungs
        .iter()
        .filter_map(|r| r.fraction)
        .fold(0.0, f64::max);
    if n == 0 {
        return None;
    }
    if largest >= 0.999 {
        return Some("the shadow did the whole work, so the figures are measured".to_owned());
    }
    let part = if largest > 0.0 {
        format!("{:.2} %", 100.0 * largest)
    } else {
        "an unknown part".to_owned()
    };
    Some(match ladder.source {
        Source::SampledInput => format!("{n} {runs} on samples of up to {part} of the input"),
        Source::VariedArgument => {
            format!("{n} {runs} with smaller numbers, up to {part} of the size")
        }
        Source::Prefix => format!(
            "the real command was run from its beginning for {:.1} s, as far as {part} of its input",
            ladder.rungs[0].run.recording.wall.as_secs_f64()
        ),
    })
}

fn abstention(ladder: Option<&Ladder>, explain: &[String]) -> String {
    match ladder {
        Some(Ladder {
            failure: Some(why), ..
        }) => why.clone(),
        Some(ladder) if ladder.rungs.iter().any(|r| r.fraction.is_some()) => {
            "only one shadow came to its end within the budget, and one alone can't tell how needs \
             grow; allow more with --budget, or ask again when the machine is less busy"
                .to_owned()
        }
        Some(ladder) => {
            let used = ladder.rungs.first().map(|r| &r.run.recording);
            let seen = used.map_or(String::new(), |r| {
                format!(
                    "; in {:.1} s of CPU time it used up to {} of memory",
                    r.cpu.as_secs_f64(),
                    r.peak_memory
                )
            });
            format!(
                "nothing tells how far a short run has come: no input that can be sampled or \
                 followed was found{seen}; name an input with --input, or a number that scales \
                 the work with --vary"
            )
        }
        None => explain.last().cloned().unwrap_or_else(|| {
            "there is no finished run of this command in the history, and no shadow was run"
                .to_owned()
        }),
    }
}

fn shadows(ladder: &Ladder, cpus: f64) -> contract::Shadow {
    let run = |rung: &foreshadow_shadow::Rung| contract::ShadowRun {
        fraction: rung.fraction,
        cpu_seconds: rung.run.recording.cpu.as_secs_f64(),
        wall_seconds: rung.run.undisturbed(cpus).as_secs_f64(),
        peak_memory_bytes: Some(rung.run.recording.peak_memory),
        exit_code: rung.run.recording.exit.map(Exit::shell_code),
    };
    let all = ladder.rungs.iter().chain(&ladder.wasted);
    contract::Shadow {
        cpu_seconds: all.clone().map(|r| r.run.recording.cpu.as_secs_f64()).sum(),
        wall_seconds: ladder.wall.as_secs_f64(),
        runs: all.map(run).collect(),
    }
}
