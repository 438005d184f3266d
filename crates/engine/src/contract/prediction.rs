use foreshadow_quantity::{Bytes, Cores, Quantiles};
use serde::{Deserialize, Serialize};

use super::{CommandLine, PathText, PredictionSchema};

/// The name of the prediction document and its version.
pub const PREDICTION_SCHEMA: &str = "foreshadow.prediction/1";

/// What a command is predicted to need (`predict --json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// `"foreshadow.prediction/1"`.
    pub schema: PredictionSchema,
    /// The command that was asked about.
    #[serde(flatten)]
    pub command: CommandLine,
    /// Where the figures come from.
    pub method: Method,
    /// The inputs that were found or named.
    pub inputs: Vec<Input>,
    /// The small runs that were made, and what they cost.
    pub shadow: Shadow,
    /// The figures.
    pub prediction: Resources,
    /// What to ask for.
    pub recommend: Recommend,
    /// Why, in sentences for people.
    pub explain: Vec<String>,
    /// Why there is no prediction, where there is none.
    pub abstained: Option<String>,
}

/// Where a prediction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Runs over samples of the inputs.
    SampledInput,
    /// The beginning of the real run.
    Prefix,
    /// Runs with a scaled-down number among the arguments.
    VariedArgument,
    /// Earlier runs of the same command.
    History,
    /// Several of these, weighted.
    Blend,
    /// None: there is no prediction.
    Abstained,
}

impl Method {
    /// The name in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Method::SampledInput => "sampled-input",
            Method::Prefix => "prefix",
            Method::VariedArgument => "varied-argument",
            Method::History => "history",
            Method::Blend => "blend",
            Method::Abstained => "abstained",
        }
    }
}

/// One input of the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it is.
    #[serde(flatten)]
    pub path: PathText,
    /// Its size; of a directory, the sum of the files below.
    pub bytes: Bytes,
    /// Its format by name (`csv`, `lines`, `fastq.gz`, `directory`, ...); null where unknown.
    pub format: Option<String>,
    /// Whether the shadows read a sample in its place.
    pub sampled: bool,
}

/// The shadows of a prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// The runs, in the order they were made.
    pub runs: Vec<ShadowRun>,
    /// CPU seconds of all of them.
    pub cpu_seconds: f64,
    /// Wall-clock seconds from the first start to the last end.
    pub wall_seconds: f64,
}

/// One small run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowRun {
    /// The part of the whole work that it did, from 0 to 1; null where it is not known.
    pub fraction: Option<f64>,
    /// Its CPU seconds.
    pub cpu_seconds: f64,
    /// Its wall-clock seconds.
    pub wall_seconds: f64,
    /// Its peak memory, without page cache.
    pub peak_memory_bytes: Option<Bytes>,
    /// Its exit code, 128+N where signal N ended it; null where the run was stopped on purpose.
    pub exit_code: Option<i32>,
}

/// Predicted needs, each null where the method cannot speak of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Peak over the run of the process tree's anonymous + shared + unreclaimable kernel memory.
    pub peak_memory_bytes: Option<Levels>,
    /// User and system CPU time.
    pub cpu_seconds: Option<Levels>,
    /// Wall-clock time with the recommended cores on an otherwise idle machine.
    pub wall_seconds: Option<Levels>,
    /// The most cores the command keeps busy.
    pub cores: Option<Levels>,
    /// Bytes read from files.
    pub read_bytes: Option<Levels>,
    /// Bytes written to files.
    pub write_bytes: Option<Levels>,
    /// Reclaimable page cache.
    pub page_cache_bytes: Option<Levels>,
    /// Bytes sent and received over the network.
    pub network_bytes: Option<Levels>,
}

impl Resources {
    /// The names and figures, in the order of the document.
    pub fn named(&self) -> [(&'static str, Option<Levels>); 8] {
        [
            ("peak_memory_bytes", self.peak_memory_bytes),
            ("cpu_seconds", self.cpu_seconds),
            ("wall_seconds", self.wall_seconds),
            ("cores", self.cores),
            ("read_bytes", self.read_bytes),
            ("write_bytes", self.write_bytes),
            ("page_cache_bytes", self.page_cache_bytes),
            ("network_bytes", self.network_bytes),
        ]
    }
}

/// Four quantiles of an uncertain amount, in the unit that the field's name says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// One run in ten stays below this.
    pub p10: f64,
    /// As likely below as above.
    pub p50: f64,
    /// One run in ten goes beyond this.
    pub p90: f64,
    /// One run in a hundred goes beyond this.
    pub p99: f64,
}

impl Levels {
    /// Whether `actual` lies in the interval from p10 to p90.
    pub fn holds(&self, actual: f64) -> bool {
        (self.p10..=self.p90).contains(&actual)
    }

    /// Rounded to whole units, as counts of bytes are.
    pub fn whole(self) -> Self {
        Levels {
            p10: self.p10.round(),
            p50: self.p50.round(),
            p90: self.p90.round(),
            p99: self.p99.round(),
        }
    }
}

impl From<&Quantiles> for Levels {
    fn from(q: &Quantiles) -> Self {
        Levels {
            p10: q.p10(),
            p50: q.p50(),
            p90: q.p90(),
            p99: q.p99(),
        }
    }
}

/// What to ask for: the cheapest allocation under the prediction, a failure and its retry counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recommend {
    /// Memory limit.
    pub memory_bytes: Option<Bytes>,
    /// Cores.
    pub cores: Option<Cores>,
    /// Wall-clock limit, in seconds.
    pub time_limit_seconds: Option<f64>,
}
