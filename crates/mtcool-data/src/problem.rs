//! What is wrong with a file of a data set: one entry a problem, so that a user can repair all of them before training.

use std::fmt;
use std::path::PathBuf;

/// A file and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, or where it should be.
    pub file: PathBuf,
    /// What is wrong.
    pub defect: Defect,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Defect {
    /// It is not there.
    Missing,
    /// Another file claims the same role.
    Doubled {
        /// The other file.
        also: PathBuf,
    },
    /// It cannot be read or decoded.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// It has another size than it should have.
    WrongSize {
        /// Width and height that it should have.
        expected: [usize; 2],
        /// Width and height that it has.
        got: [usize; 2],
    },
    /// Its values do not mean what they should.
    WronglyCoded {
        /// The right coding.
        expected: String,
        /// What was found.
        got: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: ", self.file.display())?;
        match &self.defect {
            Defect::Missing => f.write_str("missing"),
            Defect::Doubled { also } => write!(f, "doubled by `{}`; remove one of them", also.display()),
            Defect::Unreadable { reason } => write!(f, "unreadable: {reason}"),
            Defect::WrongSize { expected: [width, height], got: [w, h] } => {
                write!(f, "wrong size: expected {width}x{height}, got {w}x{h}")
            }
            Defect::WronglyCoded { expected, got } => write!(f, "wrongly coded: expected {expected}, got {got}"),
        }
    }
}

/// Several of them, a line each; the first ones if there are many.
pub(crate) fn list(problems: &[Problem]) -> String {
    const SHOWN: usize = 12;
    let mut lines: Vec<String> = problems.iter().take(SHOWN).map(|problem| format!("  {problem}")).collect();
    if problems.len() > SHOWN {
        lines.push(format!("  and {} more", problems.len() - SHOWN));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_a_line_that_names_its_file() {
        let problem = |defect| Problem { file: "images/01_dr.JPG".into(), defect };
        let problems = [
            problem(Defect::Missing),
            problem(Defect::Doubled { also: "images/01_dr.jpg".into() }),
            problem(Defect::Unreadable { reason: "truncated".into() }),
            problem(Defect::WrongSize { expected: [3504, 2336], got: [350, 233] }),
            problem(Defect::WronglyCoded { expected: "red or blue".into(), got: "yellow".into() }),
        ];
        let text = list(&problems);
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().all(|line| line.starts_with("  `images/01_dr.JPG`: ")), "{text}");
        assert!(text.contains("expected 3504x2336, got 350x233") && text.contains("`images/01_dr.jpg`"), "{text}");
        let many = vec![problem(Defect::Missing); 50];
        assert!(list(&many).ends_with("and 38 more") && list(&many).lines().count() == 13);
    }
}
