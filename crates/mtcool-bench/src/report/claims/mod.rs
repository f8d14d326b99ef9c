//! The claims of the paper in words, judged by the finished runs.

mod finding;
mod sample;

use anyhow::Result;
use mtcool_metrics::{Interval, MetricError, Seeds, holm};
use rayon::prelude::*;

use super::interval::CONFIDENCE;
use super::row::TableRow;
use crate::plan::{Claim, Direction, Experiment};
use crate::suite::{Column, Name};
use finding::p_value;
use sample::{Sample, SeedGroups};

pub use finding::Finding;

/// A claim with its comparisons.
pub struct JudgedClaim {
    /// The claim.
    pub claim: Claim,
    /// One comparison per pair of methods and column.
    pub comparisons: Vec<JudgedPair>,
    /// Names of the claim's methods without a finished run.
    pub missing: Vec<String>,
    /// Whether it is supported.
    pub finding: Finding,
}

/// Two methods in one column.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedPair {
    /// The label of the claim's method.
    pub method: Name,
    /// The label of the method that it is compared with.
    pub against: Name,
    /// The column.
    pub column: Column,
    /// Number of runs of each method.
    pub runs: [usize; 2],
    /// How the seeds of both belong together.
    pub seeds: Seeds,
    /// Number of images; `None` if the metric is only known for whole runs.
    pub images: Option<usize>,
    /// The difference method minus other, in the metric's unit, with its 95 % interval over images and seeds.
    pub difference: Interval,
    /// The difference of the means that the table shows.
    pub shown: Option<f64>,
    /// The p-value of the hypothesis that the claim is wrong here, after Holm's correction for all comparisons of all claims;
    /// `None` if a method has a single run.
    pub adjusted_p: Option<f64>,
    /// The same difference in the paper.
    pub paper: Option<f64>,
    /// Whether this comparison supports the claim.
    pub finding: Finding,
}

/// Judges the experiment's claims by `rows`. A claim without any comparison, because its methods have no finished runs, is left
/// out.
///
/// # Errors
/// If a file of a run is damaged.
pub(super) fn judge(
    experiment: &Experiment,
    rows: &[TableRow],
    columns: &[Column],
    split: &str,
) -> Result<Vec<JudgedClaim>> {
    let mut judged = Vec::new();
    let is_claimed = |column: &&Column| experiment.claims.iter().any(|claim| claim.columns.contains(&column.key()));
    let groups = |column: &Column| Some(column).filter(is_claimed).map(|column| SeedGroups::of(rows, column, split));
    let groups: Vec<Option<SeedGroups>> =
        columns.par_iter().map(|column| groups(column).transpose()).collect::<Result<_>>()?;
    for claim in &experiment.claims {
        let comparisons = compare(claim, experiment, (rows, &groups), columns, split)?;
        let has_runs = |name: &&String| rows.iter().any(|row| row.method.name == name.as_str() && row.runs > 0);
        let missing: Vec<String> =
            claim.methods.iter().chain(&claim.against).filter(|name| !has_runs(name)).cloned().collect();
        if !comparisons.is_empty() {
            judged.push(JudgedClaim { claim: claim.clone(), comparisons, missing, finding: Finding::Undecided });
        }
    }
    decide(&mut judged)?;
    Ok(judged)
}

/// All comparisons of a claim whose rows have finished runs, with uncorrected p-values. `groups` has those of each column that a claim is
/// about.
fn compare(
    claim: &Claim,
    experiment: &Experiment,
    (rows, groups): (&[TableRow], &[Option<SeedGroups>]),
    columns: &[Column],
    split: &str,
) -> Result<Vec<JudgedPair>> {
    let row = |name: &String| rows.iter().find(|row| row.method.name == name.as_str() && row.runs > 0);
    let mut pairs = Vec::new();
    for own in claim.methods.iter().filter_map(row) {
        for other in claim.against.iter().filter_map(row) {
            let of_claim = columns.iter().enumerate().filter(|(_, column)| claim.columns.contains(&column.key()));
            pairs.extend(of_claim.map(|(at, column)| (own, other, at, column)));
        }
    }
    let judged = |(own, other, at, column): (&TableRow, &TableRow, usize, &Column)| -> Result<Option<JudgedPair>> {
        let Some(sample) = Sample::of([own, other], column, split)? else { return Ok(None) };
        let seeds = groups[at].as_ref().map_or(Seeds::Independent, |groups| groups.of_pair([own, other]));
        let difference = match sample.difference(seeds) {
            Err(MetricError::Undefined { .. }) => return Ok(None),
            difference => difference?,
        };
        let p = p_value(&difference, claim.direction, claim.margin, column.is_lower_better);
        let runs = [own.runs, other.runs];
        let mean = |row: &TableRow| row.cells[at].map(|cell| cell.mean);
        let of_paper = |row: &TableRow| {
            experiment.reference.get(&*row.method.name)?.cells.get(&column.key()).map(|cell| cell.mean)
        };
        Ok(Some(JudgedPair {
            method: own.method.label.clone(),
            against: other.method.label.clone(),
            column: column.clone(),
            runs,
            seeds,
            images: sample.images(),
            difference: difference.interval(CONFIDENCE),
            shown: mean(own).zip(mean(other)).map(|(own, other)| own - other),
            adjusted_p: (runs[0].min(runs[1]) > 1).then_some(p),
            paper: of_paper(own).zip(of_paper(other)).map(|(own, other)| own - other),
            finding: Finding::Undecided,
        }))
    };
    let found: Vec<Option<JudgedPair>> = pairs.into_par_iter().map(judged).collect::<Result<_>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Corrects the p-values of all comparisons together, and gives the findings.
fn decide(judged: &mut [JudgedClaim]) -> Result<()> {
    let known: Vec<&mut f64> = judged
        .iter_mut()
        .flat_map(|claim| &mut claim.comparisons)
        .filter_map(|pair| pair.adjusted_p.as_mut())
        .collect();
    let adjusted = holm(&known.iter().map(|p| **p).collect::<Vec<f64>>())?;
    known.into_iter().zip(adjusted).for_each(|(p, adjusted)| *p = adjusted);
    for JudgedClaim { claim, comparisons, missing, finding } in judged {
        for pair in comparisons.iter_mut() {
            pair.finding = finding_of(pair, claim.direction, claim.margin);
        }
        let findings: Vec<Finding> = comparisons.iter().map(|pair| pair.finding).collect();
        *finding = Finding::of_all(&findings, missing.is_empty());
    }
    Ok(())
}

fn finding_of(pair: &JudgedPair, direction: Direction, margin: f64) -> Finding {
    let Interval { low, high, .. } = pair.difference;
    let gain = if pair.column.is_lower_better { [-high, -low] } else { [low, high] };
    pair.adjusted_p.map_or(Finding::Undecided, |p| Finding::of(direction, margin, gain, p))
}

#[cfg(test)]
mod tests;
