//! The flags of `mtcool sweep`.

use std::num::NonZeroUsize;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::flags::{ConfigFlags, TrainingFlags};

/// `mtcool sweep`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: `mtcool sweep table1 --profile paper --slurm --partition gpu --gpus 1 --device cuda:0 --time 4:00:00 \
                  --max-parallel 8`. The script is kept below the experiment's folder. At the time limit, each run writes a checkpoint, and \
                  its element starts again; a job after the array writes the table. Without Slurm, `bash SCRIPT` executes the same \
                  elements one after the other."
)]
pub(crate) struct Sweep {
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) experiment: String,
    /// Its configuration.
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// How it trains.
    #[command(flatten)]
    pub(crate) training: TrainingFlags,
    /// Check the whole way with one training step, one batch of validation and one of the test for each row, and draw the report;
    /// nothing is kept, and nothing else is done. For example `mtcool sweep own.toml --fast-dev-run` before a long sweep.
    #[arg(long)]
    pub(crate) fast_dev_run: bool,
    /// Submit the script with `sbatch`. Without this flag, it is only written.
    #[arg(long)]
    pub(crate) slurm: bool,
    /// What the script asks Slurm for.
    #[command(flatten)]
    pub(crate) request: SlurmFlags,
}

/// What a job array asks Slurm for. Without a flag, the cluster's own default applies.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Slurm")]
pub(crate) struct SlurmFlags {
    /// The partition, such as `gpu`.
    #[arg(long, value_name = "NAME", value_parser = one_word)]
    pub(crate) partition: Option<String>,
    /// The time limit of an element, such as `30` (minutes), `4:00:00` or `2-12` (days and hours). A run may take longer: it goes on
    /// after the limit.
    #[arg(long, value_name = "TIME", value_parser = one_word)]
    pub(crate) time: Option<String>,
    /// Cards of an element, such as `1` or `a100:1`; `--device cuda:0` uses one.
    #[arg(long, value_name = "[TYPE:]NUMBER", value_parser = one_word)]
    pub(crate) gpus: Option<String>,
    /// Processor cores of an element, such as `--cpus 8`; the program starts as many threads.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) cpus: Option<NonZeroUsize>,
    /// Memory of an element, such as `16G`.
    #[arg(long, value_name = "SIZE", value_parser = one_word)]
    pub(crate) memory: Option<String>,
    /// The largest number of elements at the same time, such as `--max-parallel 8`.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_parallel: Option<NonZeroUsize>,
    /// Number of elements, which share the runs evenly, such as `--elements 4`. By default, each run is an element.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) elements: Option<NonZeroUsize>,
    /// Any other option of `sbatch`, such as `--sbatch=--account=me`, for the array and the job of the table; may be given several times.
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true, value_parser = sbatch_option)]
    pub(crate) options: Vec<String>,
}

/// A value of an option of `sbatch`, which must not break the script's line.
fn one_word(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"'\"\\#".contains(c)) {
        Ok(text.to_owned())
    } else {
        Err("expected one word, as `sbatch` takes it, without blanks and quotes".into())
    }
}

/// An option of `sbatch` with its value.
fn sbatch_option(text: &str) -> Result<String, String> {
    match one_word(text) {
        Ok(option) if option.starts_with("--") => Ok(option),
        _ => {
            Err("expected one option of `sbatch` with its value, without blanks, such as `--sbatch=--account=me`"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_of_the_script_is_refused() {
        for word in ["gpu", "4:00:00", "2-12", "a100:1", "16G", "a,b", "[gpu&large]"] {
            assert_eq!(one_word(word).as_deref(), Ok(word));
        }
        for wrong in ["", "a b", "a\nb", "it's", "\"", "#x"] {
            assert!(one_word(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(sbatch_option("--account=me").as_deref(), Ok("--account=me"));
        assert!(sbatch_option("account=me").unwrap_err().contains("--sbatch=--account=me"));
    }
}
