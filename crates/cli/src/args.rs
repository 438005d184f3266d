use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use foreshadow_engine::{Network, Vary};
use foreshadow_quantity::{Bytes, Cores};
use foreshadow_replay::cli::ReplayArgs;

use crate::budget::{self, BudgetPart};

/// See what a command will need before it runs, then run it inside that.
#[derive(Debug, Parser)]
#[command(
    name = "foreshadow",
    version,
    long_about = "Foreshadow tells what a command will need (memory, CPU, time, disk) before it \
        runs, by running small parts of it in a shadow: an isolated copy of this machine where \
        the command sees its inputs cut short and can harm nothing. It then runs the command \
        inside what was predicted, and compares.",
    after_long_help = "EXAMPLES:
  What will sorting this file take?
      foreshadow predict -- sort -t, -k3,3n big.csv -o out.csv

  Run a training inside what was predicted, with the comparison after:
      foreshadow run -- python3 train.py data.csv

  What would predictions have saved on the tasks of a trace?
      foreshadow replay trace.txt

  What can this machine do for us, and what is missing?
      foreshadow doctor

EXIT CODES:
  The command's own code passes through, 128+N where signal N ended it (137 where it
  ran out of memory). 125: foreshadow itself failed. 126: the command cannot be
  executed. 127: it was not found.

FILES AND VARIABLES:
  The history is kept in $FORESHADOW_STATE_DIR, else $XDG_STATE_HOME/foreshadow, else
  ~/.local/state/foreshadow. Defaults are read from the file of --config, else from
  $XDG_CONFIG_HOME/foreshadow/config.toml, else from ~/.config/foreshadow/config.toml:

      budget = \"5%,10s\"
      net = \"none\"
      history = true
      [run]
      strict = false
      predict = true
      quiet = false

  NO_COLOR turns colours off, COLUMNS sets the width."
)]
pub(crate) struct Arguments {
    /// Take defaults from this TOML file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Say more: every shadow, and all quantiles
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Predict(PredictArguments),
    Run(RunArguments),
    History(HistoryArguments),
    Accuracy(AccuracyArguments),
    Replay(ReplayArgs),
    Doctor(DoctorArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// How predictions are made.
#[derive(Args, Debug)]
pub(crate) struct ShadowArguments {
    /// Most that the shadows may use: a share of the command's own CPU time, a time, or both
    ///
    /// [default: 5%,10s]. May be repeated.
    #[arg(long, value_name = "5%|10s")]
    pub(crate) budget: Vec<BudgetPart>,

    /// Name an input that cannot be found by watching the command; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,

    /// Scale a number in the command down instead of its input
    ///
    /// With --vary steps=1000000, every {steps} in the command stands for 1000000 when it really
    /// runs, and for smaller numbers in the shadows. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = budget::vary)]
    pub(crate) vary: Vec<Vary>,

    /// What the shadows may reach of the network: none, limited or limited:RATE
    ///
    /// [default: none]. A limited network reaches what this machine reaches, at 1 MiB/s or at
    /// the given rate: what the command sends there really arrives.
    #[arg(long, value_name = "none|limited", value_parser = budget::network)]
    pub(crate) net: Option<Network>,

    /// Do not use earlier runs of the same command
    #[arg(long)]
    pub(crate) no_history: bool,
}

/// Tell what a command will need, without running it
///
/// Small parts of the command run in a shadow: an isolated copy of this machine in which its
/// inputs are cut short. Nothing that happens there leaves it. From how these runs grow, and from
/// earlier runs of the same command, follows what the whole will need.
#[derive(Args, Debug)]
#[command(override_usage = "foreshadow predict [OPTIONS] -- <CMD>...")]
#[command(after_long_help = "EXAMPLES:
  foreshadow predict -- sort -t, -k3,3n big.csv -o out.csv
  foreshadow predict --json -- sh -c 'zcat reads.fastq.gz | awk -f count.awk'
  foreshadow predict --budget 2%,5s -- xz -9 archive.tar
  foreshadow predict --vary steps=100000000 -- ./simulate --steps '{steps}'")]
pub(crate) struct PredictArguments {
    /// Print the prediction as JSON (schema foreshadow.prediction/1)
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) shadow: ShadowArguments,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) argv: Vec<OsString>,
}

/// Run a command inside what was predicted, and compare
///
/// The command gets the memory and cores that were predicted, with room to grow: where it reaches
/// its limit and the machine has more, it is given more. Its standard input, output and error are
/// its own; the comparison follows on standard error.
#[derive(Args, Debug)]
#[command(override_usage = "foreshadow run [OPTIONS] -- <CMD>...")]
#[command(after_long_help = "EXAMPLES:
  foreshadow run -- python3 train.py data.csv
  foreshadow run --memory 2G --cores 1.5 -- make -j2
  foreshadow run --strict --memory 512M -- ./untrusted data.bin
  foreshadow run --quiet --result outcome.json -- sort big.csv >sorted.csv")]
pub(crate) struct RunArguments {
    /// Memory limit, in place of the predicted one: 512M, 1.5G
    #[arg(short, long, value_name = "SIZE")]
    pub(crate) memory: Option<Bytes>,

    /// Cores, in place of the predicted ones: 2, 0.5
    #[arg(short, long, value_name = "CORES")]
    pub(crate) cores: Option<Cores>,

    /// Keep the limits: never give the command more while it runs
    #[arg(long)]
    pub(crate) strict: bool,

    /// Start at once, without a prediction
    #[arg(long)]
    pub(crate) no_predict: bool,

    /// Write the outcome as JSON to FILE (schema foreshadow.outcome/1)
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,

    /// Print no progress and no comparison
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) shadow: ShadowArguments,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) argv: Vec<OsString>,
}

/// Show the commands that were run, with what they used
#[derive(Args, Debug)]
#[command(after_long_help = "EXAMPLES:
  foreshadow history --limit 5
  foreshadow history --command 'train.py' --json")]
pub(crate) struct HistoryArguments {
    /// Print as JSON (schema foreshadow.history/1)
    #[arg(long)]
    pub(crate) json: bool,

    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// Only commands that contain this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) command: Option<String>,
}

/// Show how well predictions held so far
///
/// Over the finished runs that had a prediction: the median error of the likely value, and how
/// often the truth lay in, above and below the range from p10 to p90, in which 8 of 10 should be.
#[derive(Args, Debug)]
pub(crate) struct AccuracyArguments {
    /// Print as JSON (schema foreshadow.accuracy/1)
    #[arg(long)]
    pub(crate) json: bool,

    /// Only commands that contain this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) command: Option<String>,
}

/// Show what this machine offers, what is missing, and what mends it
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    /// Print as JSON (schema foreshadow.doctor/1)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the completions for a shell
#[derive(Args, Debug)]
#[command(after_long_help = "EXAMPLES:
  foreshadow completions bash > ~/.local/share/bash-completion/completions/foreshadow
  foreshadow completions zsh > ~/.zfunc/_foreshadow
  foreshadow completions fish > ~/.config/fish/completions/foreshadow.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: Shell,
}

/// Print the manual page, or write all pages into a directory
#[derive(Args, Debug)]
#[command(after_long_help = "EXAMPLES:
  foreshadow man | man -l -
  foreshadow man ~/.local/share/man/man1")]
pub(crate) struct ManArguments {
    /// Where to write the pages; it must exist
    pub(crate) dir: Option<PathBuf>,
}
