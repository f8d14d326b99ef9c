//! What is wrong with the files of a data set: one entry a problem, so that a user can repair all of them before training.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of problem a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It is there more than once.
    Doubled,
    /// It cannot be read or decoded.
    Unreadable,
    /// Its values do not mean what they should.
    WronglyCoded,
    /// It has another size than it should have.
    WronglySized,
    /// Its diagnosis is missing or contradicts itself.
    Mislabelled,
    /// A synthetic file that is not marked as such, or is not as it was drawn.
    Synthetic,
    /// It belongs to no photograph of the set.
    Foreign,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Problem::Missing => "missing",
            Problem::Doubled => "doubled",
            Problem::Unreadable => "unreadable",
            Problem::WronglyCoded => "wrongly coded",
            Problem::WronglySized => "wrongly sized",
            Problem::Mislabelled => "mislabelled",
            Problem::Synthetic => "synthetic",
            Problem::Foreign => "foreign",
        })
    }
}

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Within the folder; for a missing file, where it officially belongs.
    pub path: PathBuf,
    /// What kind of problem it is.
    pub problem: Problem,
    /// Whether nothing can be trained before it is solved; otherwise it is only worth knowing.
    pub is_defect: bool,
    /// What was expected, what was found, what to do.
    pub detail: String,
}

impl Finding {
    /// A problem that must be solved, of `file` in `folder`.
    pub(crate) fn defect(folder: &Path, file: &Path, problem: Problem, detail: impl Into<String>) -> Self {
        let path = file.strip_prefix(folder).unwrap_or(file).to_owned();
        Self { path, problem, is_defect: true, detail: detail.into() }
    }

    /// Something worth knowing about `file` in `folder`.
    pub(crate) fn note(folder: &Path, file: &Path, problem: Problem, detail: impl Into<String>) -> Self {
        Self { is_defect: false, ..Self::defect(folder, file, problem, detail) }
    }

    /// A photograph that says it was drawn, in a `folder` whose `manifest` should say so too, but is not there.
    pub(crate) fn undeclared(folder: &Path, file: &Path, manifest: &str) -> Self {
        let detail = format!("drawn by a program, but no `{manifest}` says so; delete it, or draw the set again");
        Self::defect(folder, file, Problem::Synthetic, detail)
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
    /// Where its files lie.
    pub folder: PathBuf,
    /// Everything that was found.
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

/// Defects that a message shows; the rest are counted.
const SHOWN: usize = 12;

impl fmt::Display for Defects {
    /// How many defects there are, a line for each of the first ones, and the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.defects().count();
        let plural = if count == 1 { "" } else { "s" };
        writeln!(f, "{} in `{}` has {count} defect{plural}", self.dataset, self.folder.display())?;
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
            finding(Problem::Missing, "no photograph of this name"),
            finding(Problem::Doubled, "by `images/01_dr.jpg`"),
            finding(Problem::Unreadable, "truncated"),
            finding(Problem::WronglySized, "expected 3504x2336, got 350x233"),
            finding(Problem::WronglyCoded, "expected red or blue, got yellow"),
            Finding::undeclared(Path::new("data"), file, "synthetic.json"),
        ];
        let text = defects([problems, vec![Finding::note(Path::new("data"), file, Problem::Foreign, "")]].concat());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[7]), (8, "HRF-AV in `data` has 6 defects", "repair them"), "{text}");
        assert!(lines[1..7].iter().all(|line| line.starts_with("  `images/01_dr.JPG`: ")), "{text}");
        assert!(text.contains("expected 3504x2336, got 350x233") && text.contains("`images/01_dr.jpg`"), "{text}");
        let many = defects(vec![finding(Problem::Missing, ""); 50]);
        assert!(many.contains("\n  and 38 more\n") && many.lines().count() == 15, "{many}");
    }
}
