//! Everything that is wrong with settings and files, told at once: each kind of problem with its number, the first examples and
//! what to do.

use std::fmt;

/// The number of examples that a message shows; the others are only counted.
const SHOWN: usize = 5;

/// What is wrong, kind by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    groups: Vec<ProblemGroup>,
}

/// One kind of problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemGroup {
    /// What is wrong, with the key or the task that it concerns.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Where: files, rows, values; empty if `what` says it already.
    pub places: Vec<String>,
}

impl Problems {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All kinds of problems, in the order in which they were found.
    pub fn groups(&self) -> &[ProblemGroup] {
        &self.groups
    }

    /// Adds a problem that `what` describes wholly, unless it is known already.
    pub(crate) fn add(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        let group = ProblemGroup { what: what.into(), remedy: remedy.into(), places: Vec::new() };
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    /// Adds a place where the problem `what` occurs.
    pub(crate) fn add_place(&mut self, what: &str, remedy: &str, place: impl Into<String>) {
        let known = self.groups.iter().position(|group| group.what == what && !group.places.is_empty());
        let index = known.unwrap_or_else(|| {
            self.groups.push(ProblemGroup { what: what.into(), remedy: remedy.into(), places: Vec::new() });
            self.groups.len() - 1
        });
        self.groups[index].places.push(place.into());
    }

    /// Adds all problems of `other`.
    pub(crate) fn extend(&mut self, other: Problems) {
        for ProblemGroup { what, remedy, places } in other.groups {
            if places.is_empty() {
                self.add(what, remedy);
            } else {
                places.into_iter().for_each(|place| self.add_place(&what, &remedy, place));
            }
        }
    }
}

impl fmt::Display for Problems {
    /// One paragraph per kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for ProblemGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, remedy, places } = self;
        match &places[..] {
            [] => write!(f, "{what}; {remedy}"),
            [place] => write!(f, "{what}: {place}; {remedy}"),
            places => {
                write!(f, "{what}, {} times; {remedy}", places.len())?;
                places.iter().take(SHOWN).try_for_each(|place| write!(f, "\n  {place}"))?;
                match places.len().checked_sub(SHOWN) {
                    None | Some(0) => Ok(()),
                    Some(more) => write!(f, "\n  and {more} more"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_with_its_number_and_the_first_examples() {
        let mut problems = Problems::default();
        assert!(problems.is_empty());
        problems.add("`tasks` is empty", "add a table");
        for row in 2..10 {
            problems.add_place("column `age`: no number", "correct the cells", format!("row {row}"));
        }
        let mut other = Problems::default();
        other.add_place("column `age`: no number", "correct the cells", "row 99");
        other.add_place("no picture", "add it", "`a.png`");
        problems.extend(other);
        let lines = [
            "`tasks` is empty; add a table",
            "column `age`: no number, 9 times; correct the cells",
            "  row 2\n  row 3\n  row 4\n  row 5\n  row 6\n  and 4 more",
            "no picture: `a.png`; add it",
        ];
        assert_eq!(problems.to_string(), lines.join("\n"));
        assert_eq!(problems.groups()[1].places.len(), 9);
    }

    #[test]
    fn five_examples_are_all_shown() {
        let mut problems = Problems::default();
        (0..5).for_each(|row| problems.add_place("wrong", "mend it", format!("row {row}")));
        assert!(problems.to_string().ends_with("row 4"));
    }
}
