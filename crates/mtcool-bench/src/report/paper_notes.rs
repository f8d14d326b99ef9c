//! Notes below the table on what can be compared with the paper, and by which rule.

use anyhow::Result;
use candle_core::{DType, Device};
use mtcool_core::ParameterKind;

use super::context::TableContext;
use super::row::TableRow;
use super::verdict::Verdict;
use crate::plan::Plan;
use crate::suite::{Column, Sharing, number_of};

/// A note that says in words what a table of real data and the paper's experiment have in common, and what not; `None` if the
/// experiment has no results of a paper.
pub(super) fn compared(context: &TableContext<'_>, rows: &[TableRow]) -> Option<String> {
    let experiment = &context.plan.experiment;
    let paper = experiment.paper.as_ref().filter(|_| !experiment.reference.is_empty())?;
    let mut words = vec!["real data".to_owned()];
    if experiment.has_changed_settings {
        words.push("settings other than the profile's".into());
    } else {
        words.extend(experiment.compared.iter().cloned());
    }
    let length = paper.epochs.map_or_else(|| "does not say how many".to_owned(), |epochs| format!("has {epochs}"));
    words.push(format!("{} (the paper {length})", number_of(experiment.training.epochs, "epoch")));
    let runs = || rows.iter().map(|row| row.runs).filter(|&runs| runs > 0);
    if let (Some(fewest), Some(most)) = (runs().min(), runs().max()) {
        let ours = if fewest == most { number_of(most, "run") } else { format!("{fewest} to {most} runs") };
        words.push(format!("{ours} per method (the paper has {})", paper.runs));
    }
    Some(format!("Compared with the paper: {}.", words.join("; ")))
}

/// A note with the rule of the verdicts and the tolerance of each column; `None` if the table has no verdict.
pub(super) fn rule(context: &TableContext<'_>, rows: &[TableRow], columns: &[Column]) -> Option<String> {
    let paper = context.plan.experiment.paper.as_ref()?;
    let has_difference =
        |at: usize| rows.iter().any(|row| row.against_paper[at].is_some_and(|cell| cell.difference.is_some()));
    let tolerance = |(at, column): (usize, &Column)| {
        let tolerance = paper.tolerance.get(&column.key()).filter(|_| has_difference(at))?;
        Some(format!("{} {tolerance}", column.label))
    };
    let tolerances: Vec<String> = columns.iter().enumerate().filter_map(tolerance).collect();
    if tolerances.is_empty() {
        return None;
    }
    let verdicts = Verdict::ALL.map(|verdict| format!("{} {}: {}", verdict.mark(), verdict.words(), verdict.rule()));
    let has_spread = rows.iter().flat_map(|row| &row.against_paper).flatten().any(|cell| cell.paper.std.is_some());
    let interval = if has_spread {
        "Welch's 95 % interval, from means, standard deviations and numbers of runs"
    } else {
        "the 95 % interval of a one-sample t-test, with the paper's mean as exactly known, since the paper gives no standard deviations"
    };
    Some(format!(
        "The difference is our mean minus the paper's mean. {}. The interval is {interval}. Tolerances: {}.",
        verdicts.join("; "),
        tolerances.join(", ")
    ))
}

/// A note that explains the Params of the method with separate networks, where they differ from the paper's.
///
/// # Errors
/// If a network cannot be built.
pub(super) fn params(plan: &Plan, rows: &[TableRow]) -> Result<Option<String>> {
    let separate = rows.iter().find(|row| row.method.sharing == Sharing::Separate);
    let known = separate.and_then(|row| Some((row, row.params?, row.paper_params?)));
    let Some((row, ours, paper)) = known.filter(|(_, ours, paper)| (ours - paper).abs() >= 0.005) else {
        return Ok(None);
    };
    let (shared, own) = (Sizes::of(plan, Sharing::Shared)?, Sizes::of(plan, Sharing::Separate)?);
    let percent = |part: f64| 100.0 * part / (shared.theta + shared.phi);
    let again = percent(own.phi - shared.phi);
    let again = if again < 0.05 {
        "which exist once in both cases".to_owned()
    } else {
        format!(
            "of which it has {again:.1} % again, since a task's network also computes the outputs of other tasks that it reads"
        )
    };
    Ok(Some(format!(
        "Params of {label}: {ours:.2}; the paper says about {paper}. {label} has the encoder ({:.1} % of Joint's parameters) once per \
         task. The other {:.1} % are prediction functions of single tasks, {again}.",
        percent(shared.theta),
        percent(shared.phi),
        label = row.method.label,
    )))
}

/// Numbers of parameters of a network: in feature extractors and in prediction functions.
struct Sizes {
    theta: f64,
    phi: f64,
}

impl Sizes {
    fn of(plan: &Plan, sharing: Sharing) -> Result<Self> {
        let parameters = plan.build_network(sharing)?.initial_parameters(0, DType::F32, &Device::Cpu)?;
        let of_kind = |kind: ParameterKind| {
            let elements =
                parameters.iter().filter(|(name, _)| name.kind == kind).map(|(_, tensor)| tensor.elem_count());
            elements.sum::<usize>() as f64
        };
        Ok(Self { theta: of_kind(ParameterKind::Theta), phi: of_kind(ParameterKind::Phi) })
    }
}

#[cfg(test)]
mod tests {
    use mtcool_metrics::Summary;

    use super::super::against_paper::AgainstPaper;
    use super::*;
    use crate::plan::{DataIdentity, Overrides};
    use crate::suite::Registry;

    fn plan(table: &str, assignments: &[&str]) -> Plan {
        let assignments = assignments.iter().map(|assignment| (*assignment).to_owned()).collect();
        Plan::load(&Registry::builtin(), table, &Overrides { profile: Some("quick".into()), assignments }).unwrap()
    }

    fn row(plan: &Plan, method: &str, params: f64, runs: usize) -> TableRow {
        let cell = Summary { mean: 50.0, std: (runs > 1).then_some(0.5), count: runs };
        let paper_params = plan.experiment.reference.get(method).map(|row| row.params);
        TableRow { paper_params, ..TableRow::example(method, params, vec![Some(cell); plan.spec.columns.len()]) }
    }

    #[test]
    fn what_is_compared_is_said_in_words() {
        let note = |assignments: &[&str], runs: [usize; 2]| {
            let (plan, data) = (plan("table3", assignments), DataIdentity::default());
            let rows = [row(&plan, "joint", 1.0, runs[0]), row(&plan, "mtcool", 1.0, runs[1])];
            compared(&TableContext::of_real_data(&plan, &data), &rows).unwrap()
        };
        let size = "photographs at a quarter of the paper's sides";
        let text = note(&[], [1, 1]);
        for words in
            ["real data; ", size, "22 epochs (the paper does not say how many)", "1 run per method (the paper has 3)."]
        {
            assert!(text.contains(words), "no `{words}` in `{text}`");
        }
        assert!(note(&["paper.epochs=40"], [3, 3]).contains("22 epochs (the paper has 40); 3 runs per method"));
        assert!(note(&[], [1, 3]).contains("1 to 3 runs per method"));
        assert!(!note(&[], [0, 0]).contains("per method"), "there is no run yet");
        let changed = note(&["training.epochs=1"], [2, 2]);
        assert!(
            changed.contains("settings other than the profile's; 1 epoch (") && !changed.contains(size),
            "{changed}"
        );
    }

    #[test]
    fn the_rule_names_the_tolerances_of_the_columns_that_are_compared() {
        let (data, plan) = (DataIdentity::default(), plan("table2", &[]));
        let context = TableContext::of_real_data(&plan, &data);
        let columns = &plan.spec.columns;
        let mut rows = [row(&plan, "joint", 1.0, 2)];
        assert_eq!(rule(&context, &rows, columns), None);
        let cell = |at: usize, row: &TableRow| {
            AgainstPaper::of(&context, "joint", &columns[at], row.cells[at].as_ref()).unwrap()
        };
        rows[0].against_paper[1] = cell(1, &rows[0]);
        rows[0].against_paper[3] = cell(3, &rows[0]);
        let note = rule(&context, &rows, columns).unwrap();
        assert!(note.ends_with("Tolerances: Disc Dice 1, AUROC 2."), "{note}");
        assert!(note.contains("Welch") && Verdict::ALL.iter().all(|verdict| note.contains(verdict.words())), "{note}");
    }

    /// The percentages of the note add up to the ratio that the table shows: Independent has everything once, and again what the note
    /// says.
    #[test]
    fn params_of_independent_are_explained_by_what_exists_twice() {
        for table in ["table1", "table2", "table3"] {
            let plan = plan(table, &[]);
            let elements = |sharing| {
                let network = plan.build_network(sharing).unwrap();
                network.initial_parameters(0, DType::F32, &Device::Cpu).unwrap().element_count() as f64
            };
            let params = elements(Sharing::Separate) / elements(Sharing::Shared);
            let note = super::params(&plan, &[row(&plan, "independent", params, 1)]).unwrap().unwrap();
            assert!(
                note.starts_with(&format!("Params of Independent: {params:.2}; the paper says about 2.")),
                "{note}"
            );
            let numbers: Vec<f64> =
                note.split(" %").filter_map(|part| part.rsplit([' ', '(']).next()?.parse().ok()).collect();
            let again = numbers.get(2).copied().unwrap_or(0.0);
            assert!((numbers[0] + numbers[1] - 100.0).abs() < 0.11, "{note}");
            assert!((100.0 + numbers[0] + again - 100.0 * params).abs() < 0.11, "{note}");
            assert_eq!(
                numbers.len() == 3,
                table == "table2",
                "only Table 2 has a head that reads another task's map: {note}"
            );
            let joint = super::params(&plan, &[row(&plan, "joint", 1.0, 1)]).unwrap();
            assert_eq!(joint, None);
        }
    }
}
