//! The figure of an experiment with dense tasks: three cases, from hard to easy, with the prediction of each method.

mod outline;
mod png;
mod raster;
mod resample;
mod scene;
mod style;
mod svg;
mod window;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::row::TableRow;
use super::table::Table;
use crate::record::{read_map, read_scores};
use crate::suite::{CasePicture, FigureTask, Suite};
use scene::{Grid, Panel, Picture};
use window::Window;

/// The positions of the shown cases in the ranking, each with its name.
const RANKS: [(f64, &str); 3] = [(0.25, "first quartile"), (0.5, "median"), (0.75, "third quartile")];

/// A figure in two formats.
pub struct Figure {
    /// The figure as SVG with embedded pictures.
    pub svg: String,
    /// The same, rendered as a PNG file.
    pub png: Vec<u8>,
}

/// Draws the maps of `task` from the run with the lowest seed of each row. The scores of the method that trains each task alone, or of
/// the first row, rank the cases. Returns `None` if no run has maps, or if the data set
/// has no figure.
///
/// # Errors
/// If a run's files are damaged or a photograph cannot be read.
pub fn draw(table: &Table, task: Option<&FigureTask>, suite: &dyn Suite) -> Result<Option<Figure>> {
    let Some(task) = task else { return Ok(None) };
    let has_maps = |row: &&TableRow| row.folders.first().is_some_and(|run| run.join("maps").join(&*task.task).is_dir());
    let rows: Vec<&TableRow> = table.rows.iter().filter(has_maps).collect();
    let Some(chooser) = rows.iter().find(|row| row.method.name == table.roles.alone.as_str()).or(rows.first()) else {
        return Ok(None);
    };
    let scores = rows.iter().map(|row| scores(&row.folders[0], task)).collect::<Result<Vec<_>>>()?;
    let ranked: Vec<(String, f64)> = {
        let own = rows.iter().position(|row| row.method.name == chooser.method.name).unwrap_or(0);
        scores[own].iter().map(|(case, values)| (case.clone(), mean(values))).collect()
    };
    let mut grid = Grid {
        title: format!(
            "{}: cases at the quartiles of {} by {}",
            table.title,
            chooser.method.label,
            task.metrics.iter().map(|(_, label)| &**label).collect::<Vec<_>>().join(" and ")
        ),
        warning: table.is_synthetic.then(|| "SYNTHETIC DATA, not comparable with photographs of patients".to_owned()),
        heads: ["Photograph", "Truth"].map(str::to_owned).into_iter().chain(rows.iter().map(|row| head(row))).collect(),
        rows: Vec::new(),
        legend: style::legend(&task.drawing),
    };
    for (case, rank) in choose(&ranked) {
        let picture = suite.picture(&case)?.with_context(|| format!("case {case} is not in the data any more"))?;
        let folders: Vec<(&PathBuf, String)> =
            rows.iter().zip(&scores).map(|(row, scores)| (&row.folders[0], caption(task, scores.get(&case)))).collect();
        grid.rows.push((format!("{case} ({rank})"), panels(&case, &picture, task, &folders)?));
    }
    let svg = svg::svg(&grid.layout())?;
    Ok(Some(Figure { png: raster::raster(&svg)?, svg }))
}

/// The header of a column: the method and the seed of the run that is shown.
fn head(row: &TableRow) -> String {
    let label = &row.method.label;
    row.stored.first().map_or_else(|| label.to_string(), |run| format!("{label}, seed {}", run.seed))
}

/// The values of the task's metrics, in their order, by case.
type CaseScores = BTreeMap<String, Vec<f64>>;

fn scores(run: &std::path::Path, task: &FigureTask) -> Result<CaseScores> {
    let mut scores = CaseScores::new();
    for (metric, _) in &task.metrics {
        for (case, value) in read_scores(run, &task.task, metric)? {
            scores.entry(case).or_default().push(value);
        }
    }
    Ok(scores)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The cases at the positions [`RANKS`] of the ranking by `scores`, the worst first. Equal scores are ranked by name, and no case
/// occurs twice.
fn choose(scores: &[(String, f64)]) -> Vec<(String, &'static str)> {
    let mut ranked: Vec<&(String, f64)> = scores.iter().collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    let mut chosen: Vec<(String, &str)> = Vec::new();
    for (rank, name) in RANKS {
        let at = (rank * ranked.len().saturating_sub(1) as f64).round() as usize;
        let case = ranked.get(at).map(|(case, _)| case.clone());
        chosen.extend(case.filter(|case| chosen.iter().all(|(other, _)| other != case)).map(|case| (case, name)));
    }
    chosen
}

fn caption(task: &FigureTask, scores: Option<&Vec<f64>>) -> String {
    let parts =
        task.metrics.iter().zip(scores.into_iter().flatten()).map(|((_, label), value)| format!("{label} {value:.1}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn panels(case: &str, shown: &CasePicture, task: &FigureTask, runs: &[(&PathBuf, String)]) -> Result<Vec<Panel>> {
    let truth = shown.truth.iter().find(|(name, _)| *name == task.task).map(|(_, classes)| classes);
    let truth = truth.with_context(|| format!("case {case} has no truth of task `{}`", task.task))?;
    let size = [shown.height, shown.width];
    let window = if task.shows_detail { Window::densest(truth, size) } else { Window::whole(size) };
    let Window { height, width, .. } = window;
    let of_window = if window == Window::whole(size) {
        String::new()
    } else {
        format!("detail, {width}x{height} of {}x{}", shown.width, shown.height)
    };
    let photograph = Picture { height, width, rgb: window.cut(&shown.rgb, shown.width, 3) };
    let truth = window.cut(truth, shown.width, 1);
    let mut panels = vec![
        Panel { picture: photograph.clone(), strokes: Vec::new(), caption: of_window },
        style::truth(&task.drawing, &photograph, &truth),
    ];
    for (run, caption) in runs {
        panels.push(match read_map(run, &task.task, case, size)? {
            Some(classes) => {
                let classes = window.cut(&classes, shown.width, 1);
                style::prediction(&task.drawing, &photograph, &truth, &classes, caption.clone())
            }
            None => {
                Panel { picture: photograph.clone(), strokes: Vec::new(), caption: "not predicted by this run".into() }
            }
        });
    }
    Ok(panels)
}

#[cfg(test)]
mod tests {
    use super::style::tests::{disc_and_cup, vessels};
    use super::*;
    use crate::suite::Drawing;

    /// A figure with one row: the panels of an artificial case, which is noise with vessels in one corner.
    fn figure(drawing: Drawing, [height, width]: [usize; 2]) -> scene::Scene {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let rgb = (0..3 * height * width).map(|_| noise()).collect();
        let mut truth = vec![0; height * width];
        for row in truth.chunks_exact_mut(width).skip(height / 2) {
            row[width / 2..].fill(1);
        }
        let shown = CasePicture { height, width, rgb, truth: vec![("av".into(), truth)] };
        let shows_detail = matches!(drawing, Drawing::Map(_));
        let metrics = vec![("a".into(), "artery F1".into()), ("b".into(), "vein F1".into())];
        let task = FigureTask { task: "av".into(), metrics, drawing, shows_detail };
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().to_owned();
        let runs = [(&run, "artery F1 80.0".to_owned())];
        let rows = vec![("01_dr (median)".to_owned(), panels("01_dr", &shown, &task, &runs).unwrap())];
        let heads = ["Photograph", "Truth", "Joint"].map(str::to_owned).to_vec();
        let (title, legend) = ("A figure".to_owned(), style::legend(&task.drawing));
        Grid { title, warning: None, heads, rows, legend }.layout()
    }

    #[test]
    fn a_large_photograph_is_a_labelled_detail_of_few_pixels() {
        // The window has 800 x 800 pixels. Each of the three panels is 288 pixels wide and high and has 576 x 576 pixels in the
        // file.
        let scene = figure(vessels(), [1500, 4000]);
        let text = svg::svg(&scene).unwrap();
        for label in ["detail, 800x800 of 4000x1500", "01_dr (median)", "missed", "not predicted by this run"] {
            assert!(text.contains(label), "{label}");
        }
        // No file format can compress noise.
        let most = 3 * (3 * 576 * 576) * 4 / 3 + 3 * 20_000;
        assert!(text.len() < most, "{} bytes, at most {most}", text.len());
        assert!(raster::raster(&text).unwrap().len() < 3 * scene.height * scene.width + 20_000);
    }

    #[test]
    fn crops_are_shown_whole() {
        for drawing in [disc_and_cup(), vessels()] {
            let text = svg::svg(&figure(drawing.clone(), [200, 280])).unwrap();
            assert!(!text.contains("detail"), "{drawing:?}");
        }
        let text = svg::svg(&figure(disc_and_cup(), [512, 512])).unwrap();
        // The three panels are noise, which no file format can compress.
        assert!(!text.contains("detail") && text.len() > 3 * 512 * 512 * 3, "pixels are missing");
    }

    #[test]
    fn cases_stand_at_the_quartiles() {
        let scores = |values: &[f64]| -> Vec<(String, f64)> {
            values.iter().enumerate().map(|(at, &value)| (format!("c{at}"), value)).collect()
        };
        let names = |values: &[f64]| choose(&scores(values)).into_iter().map(|(case, _)| case).collect::<Vec<_>>();
        assert_eq!(names(&[50.0, 10.0, 40.0, 20.0, 30.0]), ["c3", "c4", "c2"]);
        assert_eq!(names(&[5.0; 5]), ["c1", "c2", "c3"]);
        assert_eq!(names(&[1.0]), ["c0"]);
        assert!(names(&[]).is_empty());
    }
}
