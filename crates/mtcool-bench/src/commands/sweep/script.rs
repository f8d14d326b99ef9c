//! The text of a job array: what Slurm is asked for, the runs of each element, and the part that is the same in all scripts.

use std::path::Path;

use crate::cli::SlurmFlags;
use crate::record::shell_word;
use crate::suite::number_of;

/// The part of the script that does the work, the same for all sweeps.
const BODY: &str = include_str!("body.sh");

/// How the script is used, for its reader.
const USAGE: &str = "# `mtcool sweep` wrote this script; read it, change it, keep it.
#
#   bash sweep.sh submit           gives the elements to Slurm as a job array, and after them the job that writes the table
#   sbatch --array=3,7 sweep.sh    only these elements, for example after they were cancelled
#   bash sweep.sh                  without Slurm: one element after the other, then the table
#   bash sweep.sh 3                without Slurm: element 3; `bash sweep.sh table` writes the table of what is finished
#
# What was interrupted is started again in the same way: finished runs stay, the others go on from their last checkpoints.
#";

/// What differs between the scripts of two sweeps.
pub(super) struct Script<'a> {
    /// The experiment's name.
    pub(super) name: &'a str,
    /// What Slurm is asked for.
    pub(super) request: &'a SlurmFlags,
    /// The folder in which the program is started, as an absolute path.
    pub(super) start: &'a Path,
    /// The program, as an absolute path.
    pub(super) program: &'a Path,
    /// `MTCOOL_*` variables that are a part of the configuration.
    pub(super) variables: &'a [(String, String)],
    /// The experiment and the flags that `reproduce` and `report` have both.
    pub(super) sweep: &'a [String],
    /// The flags that only `reproduce` has.
    pub(super) training: &'a [String],
    /// Whether the flags leave the number of threads to Slurm.
    pub(super) has_free_threads: bool,
    /// The words of the command that tells how far the sweep is.
    pub(super) status: &'a [String],
    /// The runs, as `--only` names them.
    pub(super) runs: &'a [String],
}

impl Script<'_> {
    /// Number of elements.
    pub(super) fn elements(&self) -> usize {
        self.request.elements.map_or(self.runs.len(), |asked| asked.get().min(self.runs.len()))
    }

    /// The script, whose logs are written into the folder `logs`, an absolute path.
    pub(super) fn text(&self, logs: &Path) -> String {
        let (runs, elements) = (self.runs.len(), self.elements());
        let mut lines = vec![
            "#!/bin/bash".to_owned(),
            format!(
                "# Experiment `{}`: {} in {}, and a table.",
                self.name,
                number_of(runs, "run"),
                number_of(elements, "element")
            ),
            USAGE.to_owned(),
        ];
        lines.extend(self.directives(logs));
        lines.extend([String::new(), "script=$(realpath \"$0\")".into(), format!("cd {} || exit 1", word(self.start))]);
        lines.extend(self.variables.iter().map(|(name, value)| format!("export {name}={}", shell_word(value))));
        lines.extend([
            format!("mtcool={}", word(self.program)),
            "# The sweep, as `mtcool reproduce` and `mtcool report` take it.".into(),
            format!("sweep=({})", words(self.sweep)),
            "# How its runs are executed; no result depends on it.".into(),
            format!("training=({})", words(self.training)),
        ]);
        if self.has_free_threads {
            lines.push("[ -z \"$SLURM_CPUS_ON_NODE\" ] || training+=(--threads \"$SLURM_CPUS_ON_NODE\")".into());
        }
        lines.push(
            "# METHOD:SEED of each run. Element E executes the runs E, E + elements, E + 2 * elements, and so on."
                .into(),
        );
        lines.extend([format!("elements={elements}"), "runs=(".into()]);
        let numbered = self.runs.iter().enumerate();
        lines.extend(numbered.map(|(at, run)| format!("    {} # element {}", shell_word(run), at % elements)));
        lines.extend([
            ")".into(),
            "# The options of the job that writes the table, and the command that tells how far the runs are.".into(),
            format!("table_job=({})", words(&self.table_job(logs))),
            format!("watch={}", shell_word(&format!("{} {}", word(self.program), words(self.status)))),
            String::new(),
        ]);
        lines.join("\n") + "\n" + BODY
    }

    /// The lines that `sbatch` reads.
    fn directives(&self, logs: &Path) -> Vec<String> {
        let SlurmFlags { gpus, max_parallel, .. } = self.request;
        let at_most = max_parallel.map(|most| format!("%{most}")).unwrap_or_default();
        let mut lines = vec![
            format!("#SBATCH --job-name={}", self.job_name()),
            format!("#SBATCH --array=0-{}{at_most}", self.elements() - 1),
        ];
        lines.extend(self.common().map(|option| format!("#SBATCH {option}")));
        lines.extend(gpus.iter().map(|gpus| format!("#SBATCH --gres=gpu:{gpus}")));
        lines.push(
            "# If a node fails or another job takes its place, Slurm starts the element again, and its log goes on."
                .into(),
        );
        lines.extend(["--requeue", "--open-mode=append"].map(|option| format!("#SBATCH {option}")));
        lines.push("# So many seconds before the time limit, the element is asked to stop: for its last step or evaluation, and a checkpoint.".into());
        lines.push("#SBATCH --signal=B:USR1@90".into());
        lines.push(format!("#SBATCH --output={}", shell_word(&pattern(&logs.join("%A_%a.log")))));
        lines.extend(self.request.options.iter().map(|option| format!("#SBATCH {option}")));
        lines
    }

    /// The options of the job of the table.
    fn table_job(&self, logs: &Path) -> Vec<String> {
        let own = [
            format!("--job-name={}-table", self.job_name()),
            format!("--output={}", pattern(&logs.join("table_%j.log"))),
        ];
        own.into_iter().chain(self.common()).chain(self.request.options.iter().cloned()).collect()
    }

    /// The options of both jobs.
    fn common(&self) -> impl Iterator<Item = String> {
        let SlurmFlags { partition, time, cpus, memory, .. } = self.request.clone();
        let cpus = cpus.map(|cpus| cpus.to_string());
        let named = [("--partition", partition), ("--time", time), ("--cpus-per-task", cpus), ("--mem", memory)];
        named.into_iter().filter_map(|(option, value)| Some(format!("{option}={}", value?)))
    }

    /// The experiment's name as a single word.
    fn job_name(&self) -> String {
        self.name.replace(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)), "_")
    }
}

/// The path of log files for `sbatch`; only the last part has patterns.
fn pattern(path: &Path) -> String {
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    format!("{}/{}", folder.to_string_lossy().replace('%', "%%"), name.to_string_lossy())
}

fn word(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

fn words(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// The script of three runs, and what `change` makes of what Slurm is asked for.
    fn text(change: impl FnOnce(&mut SlurmFlags)) -> String {
        let mut request = SlurmFlags::default();
        change(&mut request);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let script = Script {
            name: "my table",
            request: &request,
            start: Path::new("/home/me/it's"),
            program: Path::new("/bin/mtcool"),
            variables: &[("MTCOOL_SEEDS".into(), "[0, 1]".into())],
            sweep: &words(&["t.toml", "--set", "a={ b = 1 }"]),
            training: &[],
            has_free_threads: true,
            status: &words(&["status", "t.toml"]),
            runs: &words(&["joint:0", "a b:0", "joint:1"]),
        };
        script.text(Path::new("/scratch/100%/logs"))
    }

    #[test]
    fn what_slurm_is_asked_for_stands_in_lines_of_its_own() {
        let plain = text(|_| ());
        for line in [
            "#SBATCH --job-name=my_table",
            "#SBATCH --array=0-2",
            "#SBATCH --requeue",
            "#SBATCH --open-mode=append",
            "#SBATCH --signal=B:USR1@90",
            "#SBATCH --output=/scratch/100%%/logs/%A_%a.log",
            r"cd '/home/me/it'\''s' || exit 1",
            "export MTCOOL_SEEDS='[0, 1]'",
            "sweep=(t.toml --set 'a={ b = 1 }')",
            "    'a b:0' # element 1",
            "    joint:1 # element 2",
            "elements=3",
        ] {
            assert!(plain.lines().any(|known| known == line), "no `{line}` in\n{plain}");
        }
        assert!(!plain.contains("--gres") && !plain.contains("--time"), "{plain}");
        let asked = text(|request| {
            request.partition = Some("gpu".into());
            request.gpus = Some("a100:1".into());
            request.max_parallel = NonZeroUsize::new(8);
            request.elements = NonZeroUsize::new(2);
            request.cpus = NonZeroUsize::new(4);
            request.options = vec!["--account=me".into()];
        });
        for line in [
            "#SBATCH --array=0-1%8",
            "#SBATCH --partition=gpu",
            "#SBATCH --cpus-per-task=4",
            "#SBATCH --gres=gpu:a100:1",
            "#SBATCH --account=me",
            "elements=2",
            "    joint:1 # element 0",
        ] {
            assert!(asked.lines().any(|known| known == line), "no `{line}` in\n{asked}");
        }
        let table = asked.lines().find(|line| line.starts_with("table_job=")).unwrap();
        assert!(
            table.contains("--partition=gpu") && table.contains("--account=me") && !table.contains("--gres"),
            "{table}"
        );
        let more = text(|request| request.elements = NonZeroUsize::new(9));
        assert!(more.contains("elements=3"), "an element has at least one run: {more}");
    }
}
