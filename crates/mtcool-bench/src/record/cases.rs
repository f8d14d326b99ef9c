//! The results of a run for single cases: scores in `cases.parquet`, predicted classes as grey pictures in `maps/`.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use image::{DynamicImage, GrayImage, ImageFormat};
use polars::prelude::{DataFrame, df};

use super::file_list::{exists_intact, read_intact};
use super::files::{create_folder, write_whole};
use crate::suite::{CaseMap, CaseScore, parquet_frame};

/// The scores as a data frame (task, case, metric, value).
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub(super) fn scores_frame(scores: &[CaseScore]) -> Result<DataFrame> {
    Ok(df!(
        "task" => scores.iter().map(|score| &*score.task).collect::<Vec<_>>(),
        "case" => scores.iter().map(|score| score.case.as_str()).collect::<Vec<_>>(),
        "metric" => scores.iter().map(|score| &*score.metric).collect::<Vec<_>>(),
        "value" => scores.iter().map(|score| score.value).collect::<Vec<_>>(),
    )?)
}

/// Pairs (case, value) of one metric of a task in a run's folder, in the order of evaluation; empty if the run has no
/// `cases.parquet`.
///
/// # Errors
/// If `cases.parquet` exists but is damaged.
pub fn read_scores(run: &Path, task: &str, metric: &str) -> Result<Vec<(String, f64)>> {
    let path = run.join("cases.parquet");
    if !exists_intact(&path)? {
        return Ok(Vec::new());
    }
    let bytes = read_intact(&path)?;
    let parse = || -> Result<Vec<(String, f64)>> {
        let frame = parquet_frame(bytes)?;
        let text = |name: &str| frame.column(name)?.str();
        let (tasks, cases, metrics) = (text("task")?, text("case")?, text("metric")?);
        let values = frame.column("value")?.f64()?;
        let fits = |at: &usize| (tasks.get(*at), metrics.get(*at)) == (Some(task), Some(metric));
        let score = |at: usize| Some((cases.get(at)?.to_owned(), values.get(at)?));
        (0..frame.height()).filter(fits).map(|at| score(at).context("a value is missing")).collect()
    };
    parse().with_context(|| format!("`{}` is not a scores file of this program", path.display()))
}

/// The path of the map of `case` in a run's folder.
fn map_path(run: &Path, task: &str, case: &str) -> PathBuf {
    run.join("maps").join(task).join(format!("{case}.png"))
}

/// Writes a map into a run's folder, as a picture with one grey level per class.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_map(run: &Path, map: &CaseMap) -> Result<()> {
    let CaseMap { task, case, height, width, classes } = map;
    let picture = GrayImage::from_raw(*width as u32, *height as u32, classes.clone());
    let picture = picture.with_context(|| format!("map of {case}: {} classes for {height}x{width}", classes.len()))?;
    let mut bytes = Vec::new();
    DynamicImage::ImageLuma8(picture).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    create_folder(&run.join("maps").join(&**task))?;
    Ok(write_whole(&map_path(run, task, case), &bytes)?)
}

/// The classes `[height * width]` that a run predicted for `case`; `None` if the run has no map of it.
///
/// # Errors
/// If the file is damaged or has another size.
pub fn read_map(run: &Path, task: &str, case: &str, [height, width]: [usize; 2]) -> Result<Option<Vec<u8>>> {
    let path = map_path(run, task, case);
    if !exists_intact(&path)? {
        return Ok(None);
    }
    let bytes = read_intact(&path)?;
    let parse = || -> Result<Vec<u8>> {
        let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Png)?.into_luma8();
        let found = [picture.height() as usize, picture.width() as usize];
        ensure!(found == [height, width], "it is {}x{}, expected {height}x{width}", found[0], found[1]);
        Ok(picture.into_raw())
    };
    parse().map(Some).with_context(|| format!("`{}` is damaged; delete its run to run it again", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_maps_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let score = |case: &str, metric: &'static str, value| CaseScore {
            task: "a".into(),
            case: case.into(),
            metric: metric.into(),
            value,
        };
        let scores = [score("x", "dice", 0.1 + 0.2), score("x", "f1", 3.0), score("y", "dice", f64::NAN)];
        let bytes = super::super::tabular::parquet_bytes(scores_frame(&scores).unwrap()).unwrap();
        assert_eq!(read_scores(folder.path(), "a", "dice").unwrap(), []);
        write_whole(&folder.path().join("cases.parquet"), &bytes).unwrap();
        let found = read_scores(folder.path(), "a", "dice").unwrap();
        assert_eq!(found[0], ("x".to_owned(), 0.1 + 0.2));
        assert!(found[1].1.is_nan() && found.len() == 2);

        let map =
            CaseMap { task: "a".into(), case: "x".into(), height: 2, width: 3, classes: vec![0, 1, 2, 255, 3, 0] };
        write_map(folder.path(), &map).unwrap();
        assert_eq!(read_map(folder.path(), "a", "x", [2, 3]).unwrap(), Some(map.classes));
        assert_eq!(read_map(folder.path(), "a", "y", [2, 3]).unwrap(), None);
        let message = format!("{:#}", read_map(folder.path(), "a", "x", [3, 2]).unwrap_err());
        assert!(message.contains("x.png") && message.contains("2x3, expected 3x2"), "{message}");
    }
}
