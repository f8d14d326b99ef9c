//! Learning curves as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::table::Table;
use crate::suite::Column;

const SIZE: (u32, u32) = (760, 420);

/// The validation metric of `column` over the epochs, with one line per method: the mean over its runs. Empty if there is no
/// curve.
///
/// # Errors
/// If the plot cannot be drawn.
pub(super) fn learning_curves(table: &Table, column: &Column) -> Result<String> {
    let curves: Vec<(&str, Vec<(f64, f64)>)> = table
        .rows
        .iter()
        .map(|row| (&*row.method.label, mean_curve(&row.histories, column)))
        .filter(|(_, curve)| !curve.is_empty())
        .collect();
    let points = || curves.iter().flat_map(|(_, curve)| curve);
    let (low, high) = points().fold((f64::MAX, f64::MIN), |(low, high), &(_, y)| (low.min(y), high.max(y)));
    let last = points().fold(1.0f64, |last, &(x, _)| last.max(x));
    let mut svg = String::new();
    if curves.is_empty() {
        return Ok(svg);
    }
    let warning = if table.is_synthetic { " - SYNTHETIC DATA" } else { "" };
    let margin = ((high - low) * 0.05).max(0.01);
    let draw = |svg: &mut String| -> Result<(), DrawingAreaErrorKind<_>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{}: validation {}{warning}", column.label, column.metric), ("sans-serif", 16))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..last * 1.02, low - margin..high + margin)?;
        chart.configure_mesh().x_desc("epoch").y_desc(&*column.metric).draw()?;
        for (index, (label, curve)) in curves.iter().enumerate() {
            let style = ShapeStyle::from(&Palette99::pick(index)).stroke_width(2);
            chart
                .draw_series(LineSeries::new(curve.iter().copied(), style).point_size(3))?
                .label(*label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present()
    };
    draw(&mut svg).map_err(|error| anyhow!("learning curves of {}: {error}", column.label))?;
    Ok(svg)
}

/// The points (epoch, mean of the validation metric over the runs). Points that are not finite are left out: for example, the
/// sensitivity on a validation split without a positive case is NaN.
fn mean_curve(histories: &[Vec<crate::record::Row>], column: &Column) -> Vec<(f64, f64)> {
    let of_run = |rows: &[crate::record::Row]| -> Vec<(u64, f64)> {
        let rows = rows
            .iter()
            .filter(|row| row.split == "validation" && row.task == column.task && row.metric == column.metric);
        rows.map(|row| (row.epoch, row.value)).collect()
    };
    let runs: Vec<_> = histories.iter().map(|rows| of_run(rows)).collect();
    let Some(first) = runs.first() else { return Vec::new() };
    let mean =
        |at: usize| runs.iter().filter_map(|run| run.get(at)).map(|(_, value)| value).sum::<f64>() / runs.len() as f64;
    let points = first.iter().enumerate().map(|(at, &(epoch, _))| (epoch as f64, mean(at)));
    points.filter(|(_, mean)| mean.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Row;

    #[test]
    fn what_is_no_number_is_no_point() {
        let column = Column::new("glaucoma", "auroc", "AUROC");
        let row = |epoch, value| Row {
            step: epoch,
            epoch,
            split: "validation".into(),
            task: "glaucoma".into(),
            metric: "auroc".into(),
            value,
        };
        let histories = [vec![row(1, f64::NAN), row(2, 50.0)], vec![row(1, 40.0), row(2, 70.0)]];
        assert_eq!(mean_curve(&histories, &column), [(2.0, 60.0)]);
        assert_eq!(mean_curve(&[vec![row(1, f64::NAN)]], &column), []);
    }
}
