//! Labels, and how they are read from cells.

use super::task::TaskKind;

/// The target of a pixel, class or property without a label, which losses and metrics leave out.
pub const IGNORED: u8 = 255;
/// The largest number of classes: one number is [`IGNORED`].
pub(super) const MOST_CLASSES: usize = IGNORED as usize;

/// The label of one case for one task.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// There is a mask; [`Folder::mask`](super::Folder::mask) reads it.
    Mask,
    /// The index of a class.
    Class(u8),
    /// Whether the case has each property; `None` where the cell is empty. At least one is known.
    Properties(Vec<Option<bool>>),
    /// A number in its own unit.
    Number(f64),
}

/// Why a cell is no label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrongCell {
    /// The position of the cell among [`TaskKind::columns`].
    pub(super) column: usize,
    /// What is wrong.
    pub(super) what: String,
    /// What to do.
    pub(super) remedy: &'static str,
}

impl Label {
    /// The label in `cells`, one for each of [`TaskKind::columns`]; `None` if they are empty. Masks are not in cells.
    pub(super) fn read(kind: &TaskKind, cells: &[&str]) -> Result<Option<Self>, WrongCell> {
        let wrong = |column: usize, what: String, remedy| WrongCell { column, what, remedy };
        let Some(&cell) = cells.iter().find(|cell| !cell.is_empty()) else { return Ok(None) };
        match kind {
            TaskKind::Segmentation { .. } => Ok(None),
            TaskKind::Classification { classes, .. } => match classes.iter().position(|class| class.is(cell)) {
                Some(class) => Ok(Some(Self::Class(class as u8))),
                None => Err(wrong(
                    0,
                    "a class that is not listed".into(),
                    "add it to the task's `classes`, correct the cells, or empty them if the class is not known",
                )),
            },
            TaskKind::Multilabel { .. } => {
                let properties = cells.iter().enumerate().map(|(column, cell)| {
                    truth(cell).map_err(|()| {
                        let what = "neither yes nor no".into();
                        wrong(column, what, "write 1 or 0, yes or no, true or false, or nothing if it is not known")
                    })
                });
                Ok(Some(Self::Properties(properties.collect::<Result<_, _>>()?)))
            }
            TaskKind::Regression { range, .. } => {
                let number = cell.parse::<f64>().ok().filter(|number| number.is_finite());
                let Some(number) = number else {
                    let (what, remedy) = no_number(cell);
                    return Err(wrong(0, what.into(), remedy));
                };
                match range {
                    Some([least, most]) if !(*least..=*most).contains(&number) => {
                        let what = format!("outside of `range` = [{least}, {most}]");
                        Err(wrong(0, what, "correct the cell, or the task's `range`"))
                    }
                    _ => Ok(Some(Self::Number(number))),
                }
            }
        }
    }
}

/// What is wrong with a cell that is no number, and what to do.
fn no_number(cell: &str) -> (&'static str, &'static str) {
    match cell.to_lowercase().as_str() {
        "na" | "n/a" | "nan" | "null" | "none" | "-" | "?" => {
            ("no number, but a sign that it is missing", "empty these cells: an empty cell is a missing label")
        }
        text if text.contains(',') && text.replace(',', ".").parse::<f64>().is_ok() => (
            "no number, since it has a comma",
            "write a decimal point instead of a decimal comma, and no separator of thousands",
        ),
        _ => ("no number", "write a number with a decimal point and without its unit, or empty the cell"),
    }
}

/// Whether a cell says yes; `None` if it is empty.
fn truth(cell: &str) -> Result<Option<bool>, ()> {
    match cell.to_lowercase().as_str() {
        "" => Ok(None),
        "1" | "1.0" | "true" | "yes" | "y" => Ok(Some(true)),
        "0" | "0.0" | "false" | "no" | "n" => Ok(Some(false)),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(kind: &TaskKind, cells: &[&str]) -> (usize, String) {
        let WrongCell { column, what, .. } = Label::read(kind, cells).unwrap_err();
        (column, what)
    }

    #[test]
    fn classes_are_indices_in_their_order() {
        let classes = ["no", "1", "2"].map(Into::into).to_vec();
        let kind = TaskKind::Classification { column: "grade".into(), classes, names: Vec::new() };
        let read = |cell: &str| Label::read(&kind, &[cell]);
        assert_eq!(read("no"), Ok(Some(Label::Class(0))));
        assert_eq!(read("2.0"), Ok(Some(Label::Class(2))));
        assert_eq!(read(""), Ok(None));
        assert_eq!(wrong(&kind, &["3"]), (0, "a class that is not listed".into()));
    }

    #[test]
    fn properties_may_be_unknown_one_by_one() {
        let columns = ["a", "b", "c"].map(String::from).to_vec();
        let kind = TaskKind::Multilabel { columns, names: Vec::new() };
        let known = vec![Some(true), None, Some(false)];
        assert_eq!(Label::read(&kind, &["Yes", "", "0"]), Ok(Some(Label::Properties(known))));
        assert_eq!(Label::read(&kind, &["", "", ""]), Ok(None));
        assert_eq!(wrong(&kind, &["1", "", "perhaps"]), (2, "neither yes nor no".into()));
    }

    #[test]
    fn numbers_lie_in_their_range() {
        let kind = TaskKind::Regression { column: "age".into(), unit: None, range: Some([0.0, 120.0]) };
        assert_eq!(Label::read(&kind, &["1e1"]), Ok(Some(Label::Number(10.0))));
        assert_eq!(Label::read(&kind, &[""]), Ok(None));
        for cell in ["inf", "12 years", "1,5 years", "1,5,0"] {
            assert_eq!(wrong(&kind, &[cell]).1, "no number", "{cell}");
        }
        for cell in ["NaN", "NA", "-"] {
            assert_eq!(wrong(&kind, &[cell]).1, "no number, but a sign that it is missing", "{cell}");
        }
        assert_eq!(wrong(&kind, &["1,5"]).1, "no number, since it has a comma");
        assert!(wrong(&kind, &["-1"]).1.contains("[0, 120]"));
    }
}
