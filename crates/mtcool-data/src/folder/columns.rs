//! What the columns of an unknown table may be.

use std::collections::BTreeMap;

use super::notes::listed;
use super::table::Table;

/// What a column may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ColumnGuess {
    /// Parts of a split.
    Split,
    /// Patients, eyes or hospitals.
    Group,
    /// Classes: the contents of the cells in order, with the number of cells. Of two, an obviously negative one comes first, since
    /// the second one is the positive class.
    Classes(Vec<(String, usize)>),
    /// Numbers: the smallest and the largest.
    Numbers([f64; 2]),
    /// Nothing to predict, for this reason.
    Other(String),
}

/// The largest number of classes in a column that is taken for classes.
const MOST_CLASSES: usize = 12;

impl ColumnGuess {
    /// What the column `index` of `table` may be, by its name and its cells.
    pub(super) fn of(table: &Table, index: usize) -> Self {
        let name = table.header[index].to_lowercase();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        table.cells(index).filter(|cell| !cell.is_empty()).for_each(|cell| *counts.entry(cell).or_default() += 1);
        let (filled, distinct) = (counts.values().sum::<usize>(), counts.len());
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let is_part = |cell: &&str| {
            matches!(
                cell.to_lowercase().as_str(),
                "train" | "training" | "validation" | "val" | "valid" | "dev" | "test" | "testing"
            )
        };
        if filled == 0 {
            return Self::Other("it is empty".into());
        }
        if distinct >= 2 && counts.keys().all(is_part) {
            return Self::Split;
        }
        if distinct == 1 {
            return Self::Other("all its cells are the same".into());
        }
        let is_group =
            contains(&["patient", "subject", "person", "group", "family", "hospital", "site", "centre", "center"]);
        if is_group && distinct < filled {
            return Self::Group;
        }
        let numbers: Option<Vec<f64>> =
            counts.keys().map(|cell| cell.parse::<f64>().ok().filter(|number| number.is_finite())).collect();
        // Few values that return often are classes, such as grades, also where they are numbers.
        if distinct <= MOST_CLASSES && filled >= 3 * distinct {
            let mut classes: Vec<(String, usize)> =
                counts.iter().map(|(cell, count)| ((*cell).to_owned(), *count)).collect();
            if let Some(numbers) = &numbers {
                let mut order: Vec<usize> = (0..classes.len()).collect();
                order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
                classes = order.into_iter().map(|index| classes[index].clone()).collect();
            }
            if let [first, second] = &mut classes[..]
                && !is_negative(&first.0)
                && is_negative(&second.0)
            {
                std::mem::swap(first, second);
            }
            return Self::Classes(classes);
        }
        match numbers {
            Some(_) if name == "id" || name.ends_with("_id") || name == "index" => {
                Self::Other("its name says that it numbers something".into())
            }
            Some(numbers) => Self::Numbers([f64::INFINITY, f64::NEG_INFINITY].map(|start| {
                let pick = if start > 0.0 { f64::min } else { f64::max };
                numbers.iter().copied().fold(start, pick)
            })),
            None => Self::Other(text_reason(&counts)),
        }
    }
}

/// Contents that say that something is not the case.
const NEGATIVE: [&str; 13] =
    ["no", "none", "negative", "neg", "normal", "healthy", "benign", "control", "absent", "false", "0", "nein", "non"];

/// Whether `cell` obviously names the negative one of two classes.
fn is_negative(cell: &str) -> bool {
    NEGATIVE.contains(&cell.to_lowercase().as_str())
}

/// Why a column with these contents is neither numbers nor classes: if most of them are numbers, what the others are.
fn text_reason(counts: &BTreeMap<&str, usize>) -> String {
    let is_number = |cell: &str| cell.parse::<f64>().is_ok_and(f64::is_finite);
    let others: Vec<&str> = counts.keys().copied().filter(|cell| !is_number(cell)).collect();
    if counts.keys().all(|cell| is_number(&cell.replace(',', "."))) {
        return "its numbers have a decimal comma; write a decimal point".into();
    }
    if 2 * others.len() < counts.len() {
        return format!(
            "most of its cells are numbers, but not {}; empty these cells, or correct them",
            listed(&others, 3)
        );
    }
    format!("text with {} different contents", counts.len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn guess(name: &str, cells: &[&str]) -> ColumnGuess {
        let rows = std::iter::once(name).chain(cells.iter().copied());
        let rows = rows.map(|cell| vec!["x".into(), cell.to_owned()]).collect::<Vec<Vec<String>>>();
        ColumnGuess::of(&Table::of_rows(Path::new("t.csv"), rows).unwrap(), 1)
    }

    #[test]
    fn columns_are_guessed_by_name_and_content() {
        assert_eq!(guess("fold", &["train", "test", "train", "val"]), ColumnGuess::Split);
        assert_eq!(guess("Patient", &["a", "a", "b", "c"]), ColumnGuess::Group);
        let grades = ["2", "0", "10", "2", "0", "10", "2", "0", "10", ""];
        let classes = ["0", "2", "10"].map(|class| (class.to_owned(), 3)).to_vec();
        assert_eq!(guess("grade", &grades), ColumnGuess::Classes(classes));
        for (cells, expected) in [
            (["healthy", "cancer"], ["healthy", "cancer"]),
            (["Nein", "Ja"], ["Nein", "Ja"]),
            (["benign", "malignant"], ["benign", "malignant"]),
            (["negative", "borderline"], ["negative", "borderline"]),
            (["left", "right"], ["left", "right"]),
            (["normal", "control"], ["control", "normal"]),
            (["1", "0"], ["0", "1"]),
        ] {
            let classes = expected.map(|class| (class.to_owned(), 3)).to_vec();
            assert_eq!(guess("diagnosis", &cells.repeat(3)), ColumnGuess::Classes(classes), "{cells:?}");
        }
        let three = ["a", "b", "no"].map(|class| (class.to_owned(), 3)).to_vec();
        assert_eq!(guess("finding", &["no", "a", "b"].repeat(3)), ColumnGuess::Classes(three), "only of two");
        assert_eq!(guess("age", &["40", "51.5", "", "38"]), ColumnGuess::Numbers([38.0, 51.5]));
        for (name, cells) in [
            ("comment", ["good", "blurred", "dark", "left"]),
            ("eye", ["OD", "OD", "OD", "OD"]),
            ("exam_id", ["1", "2", "3", "4"]),
            ("nothing", ["", "", "", ""]),
        ] {
            assert!(matches!(guess(name, &cells), ColumnGuess::Other(_)), "{name}");
        }
        for (cells, reason) in
            [(["1,5", "2", "2,25", "0,5"], "decimal comma"), (["1.5", "2", "NA", "0.5"], "but not `NA`; empty")]
        {
            let ColumnGuess::Other(told) = guess("width", &cells) else { panic!("{cells:?} are numbers") };
            assert!(told.contains(reason), "{told}");
        }
    }
}
