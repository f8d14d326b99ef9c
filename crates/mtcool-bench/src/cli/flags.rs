//! Flags that several commands have.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use crate::progress::Display;

/// Flags that override an experiment's configuration from its file and from `MTCOOL_*` variables.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigFlags {
    /// A profile of the experiment's file, such as `--profile quick` for a small machine or `--profile paper` for the paper's setting.
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Number of runs of each method, such as 3, or a list of seeds, such as 0,3,7 (one seed: 7,).
    #[arg(long, value_name = "NUMBER|LIST")]
    pub(crate) seeds: Option<String>,
    /// Methods and variants, separated by commas, such as `--methods mtcool,joint`, or `all` for all of them (see `mtcool methods`).
    #[arg(long, value_delimiter = ',')]
    pub(crate) methods: Option<Vec<String>>,
    /// One run of the sweep, such as `mtcool:3`, as the element of a job array; may be given several times. Without `--methods` or
    /// `--seeds`, the sweep has the methods and seeds that are named here.
    #[arg(long, value_name = "METHOD:SEED")]
    pub(crate) only: Vec<String>,
    /// A row for each value of a method's setting, such as `method.mtcool.bound=0.01,0.02,0.05`; may be given several times.
    #[arg(long, value_name = "KEY=VALUES")]
    pub(crate) grid: Vec<String>,
    /// The device that computes: `cpu`, or a card, such as `--device cuda:0`.
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// A folder with the data set in its official layout, such as `--data ~/refuge`, or `synth` for a synthetic one.
    #[arg(long, value_name = "DIR|synth", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) data: Option<String>,
    /// A diagnosis instead of a result: train on this number of examples of the training part, without augmentation, and measure
    /// the networks on the same ones, such as `--overfit 8 --set training.epochs=100`. A network that learns anything fits them.
    /// The table is kept apart.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) overfit: Option<u64>,
    /// Any key of the experiment's file, such as `training.epochs=5`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) assignments: Vec<String>,
}

/// How the progress of a sweep is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressFlag {
    /// The live view in a terminal; a bar if standard output is redirected; lines if standard error is.
    #[default]
    Auto,
    /// All runs with their progress, memory and curves of the validation metric, filling the terminal.
    Live,
    /// A bar below the log.
    Bar,
    /// A plain line every 15 seconds.
    Lines,
}

impl From<ProgressFlag> for Display {
    fn from(flag: ProgressFlag) -> Self {
        match flag {
            ProgressFlag::Auto => Self::Auto,
            ProgressFlag::Live => Self::Live,
            ProgressFlag::Bar => Self::Bar,
            ProgressFlag::Lines => Self::Lines,
        }
    }
}

/// Flags of the commands that train, which change no result.
#[derive(Args, Debug)]
pub(crate) struct TrainingFlags {
    /// The folder for results, such as `--results /scratch/results`.
    #[arg(long, default_value = "results")]
    pub(crate) results: PathBuf,
    /// Number of threads, such as `--threads 4`; by default one per core. Results do not depend on it.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Seconds between checkpoints, such as `--checkpoint-seconds 300`.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) checkpoint_seconds: f64,
    /// How the progress is shown, such as `--progress lines` for plain lines.
    #[arg(long, value_enum, default_value_t = ProgressFlag::Auto)]
    pub(crate) progress: ProgressFlag,
}
