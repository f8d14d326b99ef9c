//! The report of a search: the best settings of each method, how much depends on them, and every setting against the score.

mod content;
mod page;
mod text;

use std::path::Path;

use anyhow::Result;

use crate::record::write_whole;

pub use content::SearchReport;

impl SearchReport<'_> {
    /// Writes `report.md` and `report.html` into `folder`. Returns the Markdown.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<String> {
        let markdown = text::markdown(self);
        write_whole(&folder.join("report.md"), markdown.as_bytes())?;
        write_whole(&folder.join("report.html"), page::page(self).into_bytes().as_slice())?;
        Ok(markdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DataIdentity, ExperimentSource, Overrides, Search};
    use crate::record::TrialRecord;
    use crate::suite::Registry;

    fn trial(method: &str, number: usize, rung: usize, score: Option<f64>, rate: f64) -> TrialRecord {
        TrialRecord {
            method: method.into(),
            trial: number,
            rung,
            epochs: 4 << rung,
            settings: vec![("learning_rate".into(), rate.into())],
            runs: 1,
            diverged: usize::from(score.is_none()),
            values: Vec::new(),
            score,
            deviation: None,
            is_promoted: rung == 0 && score.is_some_and(|score| score > 98.0),
            train_seconds: 2.0,
            folders: Vec::new(),
        }
    }

    #[test]
    fn the_report_has_the_best_settings_and_how_flat_the_optimum_is() {
        let assignments = ["methods=[\"joint\", \"mgda\"]", "search.trials=4", "search.rungs=[0.5, 1.0]"];
        let overrides = Overrides { profile: None, assignments: assignments.map(str::to_owned).to_vec() };
        let source = ExperimentSource::built_in("table1").unwrap();
        let (plan, search) = Search::load(&Registry::builtin(), &source, &overrides).unwrap();
        let mut trials = vec![
            trial("joint", 0, 0, Some(98.95), 0.01),
            trial("joint", 1, 0, Some(99.0), 0.02),
            trial("joint", 2, 0, Some(96.5), 0.001),
            trial("joint", 3, 0, None, 0.1),
            trial("joint", 0, 1, Some(99.5), 0.01),
            trial("joint", 1, 1, Some(99.25), 0.02),
        ];
        trials.extend((0..4).map(|number| trial("mgda", number, 0, None, 0.1)));
        let data = DataIdentity::default();
        let report = SearchReport {
            plan: &plan,
            search: &search,
            overrides: &overrides,
            data: &data,
            caveats: &[],
            trials: &trials,
        };
        let folder = tempfile::tempdir().unwrap();
        let text = report.write(folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("report.md")).unwrap(), text);
        let cells = |label: &str, nth: usize| -> Vec<String> {
            let mut lines = text.lines().filter(|line| line.starts_with(&format!("| {label} ")));
            let line = lines.nth(nth).unwrap_or_else(|| panic!("no {label} in {text}"));
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        assert_eq!(cells("Joint", 0), ["Joint", "99.500", "0", "`learning_rate` 0.01", "99.250", "0.2"]);
        assert_eq!(cells("MGDA", 0)[1..3], ["-", "-"], "all of its trials diverged");
        // Of the four trials, two are within 0.1 and 1 of the best one, and three within 3.
        assert_eq!(cells("Joint", 1), ["Joint", "99.000", "50 %", "50 %", "50 %", "75 %", "25 %"]);
        let rungs = "4 trials of each method: trial 0 has the settings of the experiment, the others are drawn with the seed 0. Rungs \
                     with runs of 4 and 8 epochs and 4 and 2 trials of each method: the best trials of a rung start again in the next one.";
        for words in ["the test split was not read", rungs, "search table1 --set", "0.005 to 0.2"] {
            assert!(text.contains(words), "no `{words}` in {text}");
        }
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(page.contains("Joint: learning_rate") && page.matches("<circle").count() == 3, "{page}");
        for loading in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(loading), "`{loading}` in the page");
        }
    }

    /// The text of a search with these settings that has no trials yet.
    fn text_of(assignments: &[&str]) -> String {
        let assignments = [&["methods=[\"joint\"]", "seeds=1"], assignments].concat();
        let overrides = Overrides { profile: None, assignments: assignments.into_iter().map(str::to_owned).collect() };
        let source = ExperimentSource::built_in("table1").unwrap();
        let (plan, search) = Search::load(&Registry::builtin(), &source, &overrides).unwrap();
        let data = DataIdentity::default();
        let (overrides, data) = (&overrides, &data);
        let report = SearchReport { plan: &plan, search: &search, overrides, data, caveats: &[], trials: &[] };
        text::markdown(&report)
    }

    #[test]
    fn a_search_with_one_trial_one_rung_or_one_epoch_is_told_in_its_own_words() {
        let text = text_of(&["search.trials=1", "search.rungs=[1.0]", "training.epochs=1"]);
        for words in [
            "1 trial of each method: trial 0 has the settings of the experiment. One rung, with runs of 1 epoch: its scores decide.",
            "Seed of the runs: 0.",
            "have 1 epoch per seed in all",
        ] {
            assert!(text.contains(words), "no `{words}` in {text}");
        }
        assert!(!text.contains("start again"), "{text}");
        let text = text_of(&["search.trials=2", "search.rungs=[1.0]", "training.epochs=4"]);
        assert!(text.contains("2 trials of each method") && text.contains("the other one is drawn"), "{text}");
        let text = text_of(&["search.trials=1", "search.rungs=[0.5, 1.0]", "training.epochs=2"]);
        assert!(text.contains("Rungs with runs of 1 and 2 epochs, each with 1 trial of each method"), "{text}");
    }
}
