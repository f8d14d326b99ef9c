//! [`Table`]: the finished runs of one configuration, summarised by method.

use anyhow::Result;
use mtcool_metrics::Summary;

use super::against_paper::{AgainstPaper, obstacle};
use super::claims::{JudgedClaim, judge};
use super::comparison::{Comparison, compare};
use super::context::TableContext;
use super::external::ExternalTable;
use super::notes::notes;
use super::provenance::Provenance;
use super::row::TableRow;
use super::scores::run_values;
use crate::plan::{Factor, PlannedMethod, Roles};
use crate::record::{RecordedRun, Status, StoredRun, read_rows};
use crate::suite::{Column, Digits};

/// The results table of an experiment.
pub struct Table {
    /// The experiment's title.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows: the methods of the experiment's file in the file's order, then other methods.
    pub rows: Vec<TableRow>,
    /// Whether its data is synthetic.
    pub is_synthetic: bool,
    /// The split that its results belong to, `validation` or `test`.
    pub split: &'static str,
    /// The methods that the others are compared with.
    pub roles: Roles,
    /// Paired comparisons of the subject, or of the first row, with each other row.
    pub comparisons: Vec<Comparison>,
    /// The results on labelled data beside the training data.
    pub external: Vec<ExternalTable>,
    /// The claims of the paper, judged by these runs.
    pub claims: Vec<JudgedClaim>,
    /// Rows that differ in one factor each.
    pub factors: Vec<Factor>,
    /// Why no result can be compared with the paper, if that is so.
    pub paper_obstacle: Option<String>,
    /// Notes that a reader must know before comparing results.
    pub notes: Vec<String>,
    /// The finished runs of all rows, each with the label of its row.
    pub runs: Vec<RecordedRun>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Table {
    /// Collects all finished runs that have the experiment's current configuration.
    ///
    /// # Errors
    /// If a run's files are damaged.
    pub fn collect(context: &TableContext<'_>) -> Result<Self> {
        let (plan, columns) = (context.plan, context.plan.spec.columns.clone());
        let (first, second): (Vec<&PlannedMethod>, _) =
            plan.methods.iter().chain(&plan.further).partition(|method| method.is_in_first_block);
        let first = plan.in_order_of_file(first);
        let mut rows = Vec::new();
        for method in first.into_iter().chain(second) {
            let row = Self::row(context, method, &columns)?;
            let is_asked_for = plan.methods.iter().any(|asked| asked.entry.name == method.entry.name);
            if is_asked_for || row.runs > 0 || !row.unfinished.is_empty() {
                rows.push(row);
            }
        }
        let external = &plan.experiment.external;
        let mut runs = recorded_runs(&rows)?;
        for run in &mut runs {
            external.iter().try_for_each(|external| run.add_external(&external.name))?;
        }
        Ok(Self {
            title: plan.experiment.title.clone(),
            is_synthetic: !context.data.origin.is_null(),
            split: plan.experiment.report.name(),
            comparisons: compare(&rows, &columns, &plan.experiment.roles.subject)?,
            roles: plan.experiment.roles.clone(),
            external: ExternalTable::all(external, &columns, &rows)?,
            claims: judge(&plan.experiment, &rows, &columns, plan.experiment.report.name())?,
            factors: plan.experiment.factors.clone(),
            paper_obstacle: obstacle(context),
            notes: notes(context, &columns, &rows)?,
            provenance: Provenance::collect(context, &rows, &runs),
            runs,
            columns,
            rows,
        })
    }

    /// With how many decimals the figures of `column` are shown wherever they stand in the report: by its cells, here and in the paper.
    pub(super) fn digits(&self, column: &Column) -> Digits {
        let at = self.columns.iter().position(|known| known == column);
        let of_row = |row: &TableRow, at: usize| {
            let (ours, paper) =
                (row.cells[at].map(|cell| cell.mean), row.against_paper[at].map(|cell| cell.paper.mean));
            ours.into_iter().chain(paper)
        };
        let figures = at.into_iter().flat_map(|at| self.rows.iter().flat_map(move |row| of_row(row, at)));
        column.digits(figures)
    }

    /// The heading above the table: the title, with a warning if the data is synthetic.
    pub fn heading(&self) -> String {
        let warning = if self.is_synthetic { " - SYNTHETIC DATA" } else { "" };
        format!("{}{warning}", self.title)
    }

    fn row(context: &TableContext<'_>, method: &PlannedMethod, columns: &[Column]) -> Result<TableRow> {
        let runs = runs_of(context, method);
        let (over, unfinished): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.status.status.is_over());
        let (stored, failed): (Vec<_>, Vec<_>) =
            over.into_iter().partition(|run| run.status.status == Status::Finished);
        let folders: Vec<_> = stored.iter().map(|run| run.folder.clone()).collect();
        let histories =
            folders.iter().map(|run| read_rows(&run.join("metrics.parquet"))).collect::<Result<Vec<_>>>()?;
        let split = context.plan.experiment.report.name();
        let cells: Vec<Option<Summary>> =
            columns.iter().map(|column| Summary::of(&run_values(&histories, &stored, column, split))).collect();
        let against_paper = columns
            .iter()
            .zip(&cells)
            .map(|(column, cell)| AgainstPaper::of(context, &method.entry.name, column, cell.as_ref()));
        // A run that stopped early has fewer epochs than its budget; earlier versions recorded the budget alone.
        let epochs = |run: &StoredRun| if run.status.epoch > 0 { run.status.epoch } else { run.status.epochs };
        let per_epoch = stored.iter().map(|run| run.status.train_seconds / epochs(run) as f64);
        let per_epoch: Vec<f64> = per_epoch.collect();
        let size = |run: &StoredRun| run.status.parameters as f64 / run.status.joint_parameters as f64;
        Ok(TableRow {
            method: method.entry.clone(),
            is_in_first_block: method.is_in_first_block,
            runs: stored.len(),
            failures: failed.into_iter().filter_map(|run| run.status.message).collect(),
            params: stored.first().map(size),
            against_paper: against_paper.collect::<Result<_>>()?,
            cells,
            seconds_per_epoch: Summary::of(&per_epoch).map(|summary| summary.mean),
            paper_params: context.plan.experiment.reference.get(&*method.entry.name).map(|row| row.params),
            histories,
            stored,
            folders,
            unfinished,
        })
    }
}

/// The finished runs of all rows with their circumstances. A run may have begun for a row of another name, and may belong to
/// several rows.
fn recorded_runs(rows: &[TableRow]) -> Result<Vec<RecordedRun>> {
    let of_row = |row: &TableRow| {
        let label = row.method.name.to_string();
        row.stored.clone().into_iter().map(move |run| RecordedRun::read(StoredRun { label: label.clone(), ..run }))
    };
    rows.iter().flat_map(of_row).collect()
}

/// The runs that have the current configuration of `method`, sorted by seed, also for seeds that are not requested now.
fn runs_of(context: &TableContext<'_>, method: &PlannedMethod) -> Vec<StoredRun> {
    let is_asked_for = |run: &&StoredRun| {
        run.method == method.like && context.plan.run_config(method, run.seed, context.data).has_hash(&run.hash)
    };
    let mut runs: Vec<StoredRun> = context.runs.iter().filter(is_asked_for).cloned().collect();
    runs.sort_by_key(|run| run.seed);
    // A copy of a folder is the same run.
    runs.dedup_by_key(|run| run.seed);
    runs
}
