//! The size of a pixel, so that distances are measured in millimetres instead of pixels.

use serde::{Deserialize, Serialize};

use crate::problems::Problems;

/// Height and width of a pixel of the pictures' files, in the unit in which distances are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`spacing` is two numbers, height and width of a pixel, or the names of the two columns that hold them"
)]
pub enum Spacing {
    /// The same for all pictures.
    Numbers([f64; 2]),
    /// The columns that hold it, case by case; an empty cell if it is not known.
    Columns([String; 2]),
}

impl Spacing {
    /// The columns, if it is in columns.
    pub(super) fn columns(&self) -> Option<&[String; 2]> {
        match self {
            Self::Numbers(_) => None,
            Self::Columns(columns) => Some(columns),
        }
    }

    /// Adds numbers that are no size to `problems`.
    pub(super) fn check(&self, problems: &mut Problems) {
        if let Self::Numbers(numbers) = self
            && !numbers.iter().all(is_size)
        {
            problems.add(format!("`spacing` is {numbers:?}"), "give height and width of a pixel, both above 0");
        }
    }
}

/// The size in two cells; `None` if one of them is empty.
///
/// # Errors
/// The position of the first cell that is no size.
pub(super) fn read_spacing(cells: [&str; 2]) -> Result<Option<[f64; 2]>, usize> {
    let mut sizes = [None; 2];
    for (at, cell) in cells.into_iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        sizes[at] = Some(cell.parse::<f64>().ok().filter(is_size).ok_or(at)?);
    }
    Ok(sizes[0].zip(sizes[1]).map(|(height, width)| [height, width]))
}

fn is_size(number: &f64) -> bool {
    number.is_finite() && *number > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_sizes_or_empty() {
        assert_eq!(read_spacing(["0.5", "2"]), Ok(Some([0.5, 2.0])));
        assert_eq!((read_spacing(["", "2"]), read_spacing(["", ""])), (Ok(None), Ok(None)));
        for (cells, wrong) in [(["0", "2"], 0), (["1", "-2"], 1), (["", "wide"], 1), (["inf", "1"], 0)] {
            assert_eq!(read_spacing(cells), Err(wrong), "{cells:?}");
        }
    }

    #[test]
    fn a_setting_is_two_numbers_or_two_columns() {
        let read = |text: &str| serde_json::from_str::<Spacing>(text);
        assert_eq!(read("[1, 0.5]").unwrap(), Spacing::Numbers([1.0, 0.5]));
        assert_eq!(read("[\"dy\", \"dx\"]").unwrap().columns().unwrap()[1], "dx");
        assert!(read("3").unwrap_err().to_string().contains("height and width"));
    }
}
