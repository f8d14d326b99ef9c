//! `flatness.parquet` in a run's folder: losses where weights are moved at random.

use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::prelude::df;

use super::files::{read, write_whole};
use super::tabular::parquet_bytes;
use crate::suite::{Name, parquet_frame};

/// Whose feature extractor is moved while the loss of one task is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    /// Those of all other tasks, as in Eq. (6).
    Others,
    /// The task's own.
    Own,
}

impl Moved {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Others, Self::Own];

    /// The word in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Others => "others",
            Self::Own => "own",
        }
    }
}

/// The training loss of a task where weights are moved.
#[derive(Clone, Debug, PartialEq)]
pub struct MovedLoss {
    /// The task's name.
    pub task: Name,
    /// Whose weights are moved.
    pub moved: Moved,
    /// The half-width r of the uniform noise.
    pub radius: f64,
    /// Number of draws of the noise.
    pub draws: u64,
    /// Number of batches.
    pub batches: u64,
    /// The mean loss over draws and batches.
    pub loss: f64,
    /// The mean loss over the batches without noise.
    pub at_zero: f64,
}

const FILE: &str = "flatness.parquet";

/// Writes the losses into the folder of a run.
///
/// # Errors
/// If the file cannot be written.
pub fn write_flatness(run: &Path, losses: &[MovedLoss]) -> Result<()> {
    let number = |pick: fn(&MovedLoss) -> f64| losses.iter().map(pick).collect::<Vec<f64>>();
    let count = |pick: fn(&MovedLoss) -> u64| losses.iter().map(pick).collect::<Vec<u64>>();
    let frame = df!(
        "task" => losses.iter().map(|entry| &*entry.task).collect::<Vec<_>>(),
        "moved" => losses.iter().map(|entry| entry.moved.word()).collect::<Vec<_>>(),
        "radius" => number(|entry| entry.radius),
        "draws" => count(|entry| entry.draws),
        "batches" => count(|entry| entry.batches),
        "loss" => number(|entry| entry.loss),
        "loss_at_zero" => number(|entry| entry.at_zero),
    )?;
    Ok(write_whole(&run.join(FILE), &parquet_bytes(frame)?)?)
}

/// The losses in the folder of a run; `None` if they have not been measured.
///
/// # Errors
/// If the file is damaged.
pub fn read_flatness(run: &Path) -> Result<Option<Vec<MovedLoss>>> {
    let path = run.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let parse = || -> Result<Vec<MovedLoss>> {
        let frame = parquet_frame(read(&path)?)?;
        let (tasks, moved) = (frame.column("task")?.str()?, frame.column("moved")?.str()?);
        let number = |name: &str| frame.column(name)?.f64();
        let (radii, losses, at_zero) = (number("radius")?, number("loss")?, number("loss_at_zero")?);
        let (draws, batches) = (frame.column("draws")?.u64()?, frame.column("batches")?.u64()?);
        let moved_of = |word: &str| match Moved::ALL.into_iter().find(|moved| moved.word() == word) {
            Some(moved) => Ok(moved),
            None => bail!("`moved` is `{word}`: expected `others` or `own`"),
        };
        let entry = |at: usize| -> Result<MovedLoss> {
            let missing = || "a value is missing";
            Ok(MovedLoss {
                task: tasks.get(at).with_context(missing)?.to_owned().into(),
                moved: moved_of(moved.get(at).with_context(missing)?)?,
                radius: radii.get(at).with_context(missing)?,
                draws: draws.get(at).with_context(missing)?,
                batches: batches.get(at).with_context(missing)?,
                loss: losses.get(at).with_context(missing)?,
                at_zero: at_zero.get(at).with_context(missing)?,
            })
        };
        (0..frame.height()).map(entry).collect()
    };
    parse().map(Some).with_context(|| format!("`{}` is damaged; delete it to measure it again", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_flatness(folder.path()).unwrap(), None);
        let entry = |moved, radius| MovedLoss {
            task: "even".into(),
            moved,
            radius,
            draws: 4,
            batches: 2,
            loss: 0.1 + 0.2,
            at_zero: 0.25,
        };
        let losses = [entry(Moved::Others, 0.0), entry(Moved::Own, 0.05)];
        write_flatness(folder.path(), &losses).unwrap();
        assert_eq!(read_flatness(folder.path()).unwrap().unwrap(), losses);
        std::fs::write(folder.path().join(FILE), "no parquet").unwrap();
        assert!(format!("{:#}", read_flatness(folder.path()).unwrap_err()).contains("flatness.parquet"));
    }
}
