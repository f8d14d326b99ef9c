//! What is wrong with the files of a data set: one entry per problem, so that a user can repair all of them before training.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of problem a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The file is missing.
    Missing,
    /// There is more than one such file.
    Doubled,
    /// The file cannot be read or decoded.
    Unreadable,
    /// The values in the file do not have the expected coding.
    WronglyCoded,
    /// The picture does not have the expected size.
    WronglySized,
    /// The diagnosis is missing, or two sources contradict each other.
    Mislabelled,
    /// A synthetic file is not marked as synthetic, or has changed since it was drawn.
    Synthetic,
    /// The file can be used, but there is something to know about it.
    Unusual,
    /// The file belongs to no photograph of the set.
    Foreign,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ProblemKind::Missing => "missing",
            ProblemKind::Doubled => "doubled",
            ProblemKind::Unreadable => "unreadable",
            ProblemKind::WronglyCoded => "wrongly coded",
            ProblemKind::WronglySized => "wrongly sized",
            ProblemKind::Mislabelled => "mislabelled",
            ProblemKind::Synthetic => "synthetic",
            ProblemKind::Unusual => "unusual",
            ProblemKind::Foreign => "foreign",
        })
    }
}

/// One problem with one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file's path within the folder; for a missing file, its official path.
    pub path: PathBuf,
    /// The kind of problem.
    pub problem: ProblemKind,
    /// Whether it must be solved before training; otherwise it is only a note.
    pub is_defect: bool,
    /// What was expected, what was found, and what to do.
    pub detail: String,
}

impl Finding {
    /// A problem with `file` in `folder` that must be solved.
    pub(crate) fn defect(folder: &Path, file: &Path, problem: ProblemKind, detail: impl Into<String>) -> Self {
        let path = file.strip_prefix(folder).unwrap_or(file).to_owned();
        Self { path, problem, is_defect: true, detail: detail.into() }
    }

    /// A note about `file` in `folder`.
    pub(crate) fn note(folder: &Path, file: &Path, problem: ProblemKind, detail: impl Into<String>) -> Self {
        Self { is_defect: false, ..Self::defect(folder, file, problem, detail) }
    }

    /// A photograph that is marked as drawn, in a `folder` without the `manifest` of a drawn set.
    pub(crate) fn undeclared(folder: &Path, file: &Path, manifest: &str) -> Self {
        let detail = format!("drawn by a program, but no `{manifest}` says so; delete it, or draw the set again");
        Self::defect(folder, file, ProblemKind::Synthetic, detail)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}: {}", self.path.display(), self.problem, self.detail)
    }
}

/// Why the files of a data set are not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defects {
    /// The data set's name.
    pub dataset: &'static str,
    /// The folder of its files.
    pub folder: PathBuf,
    /// All findings.
    pub findings: Vec<Finding>,
    /// What to do.
    pub remedy: String,
}

impl Defects {
    /// The findings that must be solved before training.
    pub fn defects(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_defect)
    }
}

/// The number of defects that a message shows; the others are only counted.
const SHOWN: usize = 5;

impl fmt::Display for Defects {
    /// The number of defects, a line for each of the first ones, and the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.defects().count();
        let plural = if count == 1 { "" } else { "s" };
        writeln!(f, "{} in `{}` has {count} defect{plural}:", self.dataset, self.folder.display())?;
        self.defects().take(SHOWN).try_for_each(|finding| writeln!(f, "  {finding}"))?;
        if count > SHOWN {
            writeln!(f, "  and {} more", count - SHOWN)?;
        }
        f.write_str(&self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defects(findings: Vec<Finding>) -> String {
        Defects { dataset: "HRF-AV", folder: "data".into(), findings, remedy: "repair them".into() }.to_string()
    }

    #[test]
    fn each_problem_is_a_line_that_names_its_file() {
        let file = Path::new("data/images/01_dr.JPG");
        let finding = |problem, detail: &str| Finding::defect(Path::new("data"), file, problem, detail);
        let problems = vec![
            finding(ProblemKind::Missing, "no photograph of this name"),
            finding(ProblemKind::Doubled, "by `images/01_dr.jpg`"),
            finding(ProblemKind::Unreadable, "truncated"),
            finding(ProblemKind::WronglySized, "expected 3504x2336, got 350x233"),
            finding(ProblemKind::WronglyCoded, "expected red or blue, got yellow"),
            Finding::undeclared(Path::new("data"), file, "synthetic.json"),
        ];
        let text = defects([problems, vec![Finding::note(Path::new("data"), file, ProblemKind::Foreign, "")]].concat());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[7]), (8, "HRF-AV in `data` has 6 defects:", "repair them"), "{text}");
        assert!(lines[1..6].iter().all(|line| line.starts_with("  `images/01_dr.JPG`: ")), "{text}");
        assert!(text.contains("expected 3504x2336, got 350x233") && text.contains("`images/01_dr.jpg`"), "{text}");
        assert_eq!(lines[6], "  and 1 more", "{text}");
        let many = defects(vec![finding(ProblemKind::Missing, ""); 50]);
        assert!(many.contains("\n  and 45 more\n") && many.lines().count() == 8, "{many}");
    }
}
