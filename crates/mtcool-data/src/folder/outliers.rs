//! Numbers far from all others, such as 9999 for a value that is not known: one of them spoils mean and deviation of all labels.

use super::cases::CaseEntry;
use super::config::FolderConfig;
use super::label::Label;
use super::notes::counted;
use super::task::TaskKind;

/// How far from the middle half of the numbers a number lies that is told, in widths of the middle half.
const FAR: f64 = 10.0;
/// With fewer numbers, nothing is said of what is usual.
const FEWEST: usize = 12;
/// The number of places that a note names.
const SHOWN: usize = 3;

/// A note for each task of numbers that has some far from the others, and no `range`.
pub(super) fn far_numbers(config: &FolderConfig, cases: &[CaseEntry]) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, task) in config.tasks.iter().enumerate() {
        let TaskKind::Regression { range: None, .. } = &task.kind else { continue };
        let numbers: Vec<(f64, &CaseEntry)> = cases
            .iter()
            .filter_map(|case| match case.labels[index] {
                Some(Label::Number(number)) => Some((number, case)),
                _ => None,
            })
            .collect();
        let Some([least, most]) = usual(numbers.iter().map(|(number, _)| *number).collect()) else { continue };
        let far: Vec<String> = numbers
            .iter()
            .filter(|(number, _)| !(least..=most).contains(number))
            .map(|(number, case)| format!("{number} in {}", case.place()))
            .collect();
        if far.is_empty() {
            continue;
        }
        let more = if far.len() > SHOWN { ", ..." } else { "" };
        notes.push(format!(
            "{}{} far from the others: {}{more}; empty these cells if the values are not known, or give a `range`",
            task.place(),
            counted(far.len(), "number"),
            far[..far.len().min(SHOWN)].join(", ")
        ));
    }
    notes
}

/// The range of numbers that are not far from the middle half; `None` if there are too few, or if half of them are equal.
fn usual(mut numbers: Vec<f64>) -> Option<[f64; 2]> {
    let count = numbers.len();
    if count < FEWEST {
        return None;
    }
    numbers.sort_by(f64::total_cmp);
    let [low, high] = [count / 4, count - 1 - count / 4].map(|place| numbers[place]);
    let width = high - low;
    (width > 0.0).then_some([low - FAR * width, high + FAR * width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_follows_from_the_middle_half() {
        let numbers = |extra: &[f64]| (0..20).map(f64::from).chain(extra.iter().copied()).collect::<Vec<f64>>();
        let [least, most] = usual(numbers(&[9999.0, -999.0])).unwrap();
        assert!(least < -90.0 && least > -200.0 && most > 100.0 && most < 200.0, "{least} {most}");
        assert_eq!(usual(vec![1.0; 30]), None, "all equal");
        assert_eq!(usual(vec![]), None);
        assert_eq!([1, 2, 11].map(|count| usual(vec![5.0; count])), [None; 3]);
        assert_eq!(usual(vec![1.0, 2.0, 3.0, 9999.0]), None, "too few");
    }
}
