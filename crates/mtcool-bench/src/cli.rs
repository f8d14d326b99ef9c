//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Multi-task cooperative learning by searching for flat minima: reproduce the paper's tables, or compare methods of your own.
#[derive(Debug, Parser)]
#[command(name = "mtcool", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an experiment: every method, every seed, resuming what was begun; then print its table.
    Reproduce(Reproduce),
    /// Write and print an experiment's table from the runs that are finished; trains nothing.
    Report(Report),
    /// Say what a finished run makes of photographs of your own: masks, and the probability of each class.
    Predict(Predict),
    /// Fetch, draw or check a data set.
    #[command(subcommand)]
    Data(Data),
    /// List the methods that an experiment can compare.
    Methods,
}

/// Flags that change an experiment's configuration, over its file and `MTCOOL_*` variables.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigFlags {
    /// A profile of the experiment's file: `quick` for a small machine, `paper` for the paper's setting.
    #[arg(long)]
    pub profile: Option<String>,
    /// Runs a method, with seeds 0, 1, ...
    #[arg(long)]
    pub seeds: Option<u64>,
    /// Methods, separated by commas; `all` for all there are (see `mtcool methods`).
    #[arg(long, value_delimiter = ',')]
    pub methods: Option<Vec<String>>,
    /// The device that computes.
    #[arg(long)]
    pub device: Option<String>,
    /// A folder with the data set in its official layout, or `synth` for a synthetic one.
    #[arg(long, value_name = "DIR|synth")]
    pub data: Option<String>,
    /// Any key of the experiment's file, such as `training.epochs=5`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
}

/// `mtcool reproduce`.
#[derive(Args, Debug)]
pub struct Reproduce {
    /// An experiment: `table1`, or the path of a TOML file.
    pub experiment: String,
    /// Its configuration.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Where results are kept.
    #[arg(long, default_value = "results")]
    pub results: PathBuf,
    /// Threads that compute; results do not depend on it. By default one a core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Seconds between checkpoints.
    #[arg(long, default_value_t = 30.0)]
    pub checkpoint_seconds: f64,
}

/// `mtcool report`.
#[derive(Args, Debug)]
pub struct Report {
    /// An experiment: `table1`, or the path of a TOML file.
    pub experiment: String,
    /// Its configuration; by default the one it was last run with.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Where results are kept.
    #[arg(long, default_value = "results")]
    pub results: PathBuf,
}

/// `mtcool predict`.
#[derive(Args, Debug)]
pub struct Predict {
    /// The folder of a finished run, such as `results/table2/runs/mtcool-s0`.
    #[arg(long, value_name = "RUN")]
    pub checkpoint: PathBuf,
    /// Where masks and probabilities are written.
    #[arg(long, default_value = "predictions")]
    pub out: PathBuf,
    /// REFUGE: the photographs are cut out around the optic disc, which is in their middle. Without this or `--centre` it is
    /// looked for. However it was found, the network looks twice, the second time around the disc that it saw.
    #[arg(long, conflicts_with = "centre")]
    pub cropped: bool,
    /// REFUGE: the optic disc is there, in pixels from the left and from the top.
    #[arg(long, value_name = "X,Y", value_parser = parse_place)]
    pub centre: Option<(usize, usize)>,
    /// Photographs, as large as those the run was trained on.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

fn parse_place(text: &str) -> Result<(usize, usize), String> {
    let numbers = text.split_once(',').and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)));
    numbers.ok_or_else(|| "expected two whole numbers, X,Y".to_owned())
}

/// `mtcool data`.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Download a data set and verify its checksums.
    Fetch {
        /// The data set.
        dataset: String,
        /// Where it goes; by default `data/DATASET`.
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// Draw a synthetic data set in the official layout.
    Synth {
        /// The data set.
        dataset: String,
        /// Where it goes; by default `data/DATASET-synth`.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Training images, validation included; by default as many as the real set has.
        #[arg(long)]
        train: Option<usize>,
        /// Test images; by default as many as the real set has.
        #[arg(long)]
        test: Option<usize>,
        /// Every image follows from it.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// How many times shorter than the official photographs' sides the images' sides are; 1 by default.
        #[arg(long)]
        shrink: Option<usize>,
    },
    /// Check the files of a data set.
    Verify {
        /// The data set.
        dataset: String,
        /// Where it lies; by default `data/DATASET`.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}
