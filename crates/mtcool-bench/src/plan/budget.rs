//! What depends on the length of a run: a warm-up that does not fit is shortened, so that a run with few epochs works with the
//! settings of a long one.

use std::sync::Arc;

use super::methods::PlannedMethod;
use super::resolve::Plan;
use super::run_config::DataIdentity;
use crate::suite::{Caveat, MethodSettings, number_of};

impl Plan {
    /// `method` with the settings of its runs on data of this identity.
    pub fn fitted(&self, method: &PlannedMethod, data: &DataIdentity) -> PlannedMethod {
        match self.shortened(method, data) {
            Some((settings, _)) => PlannedMethod { settings, ..method.clone() },
            None => method.clone(),
        }
    }

    /// What was changed in the settings of the methods, for the log and the readers of the table.
    pub fn notes(&self, data: &DataIdentity) -> Vec<Caveat> {
        // Without a paper, such as on a folder of one's own, there are no published results to compare with.
        let is_comparable = self.experiment.paper.is_none();
        let note = |method: &PlannedMethod| {
            let (_, note) = self.shortened(method, data)?;
            Some(Caveat { text: format!("{}: {note}", method.entry.label), is_comparable })
        };
        let overfit = self.experiment.overfit.map(|count| Caveat {
            text: format!(
                "OVERFIT DIAGNOSIS: each run is trained on {} of the training part, without augmentation and in batches of \
                 at most {count}, and measured on the same examples. It shows whether the networks can fit them, and nothing about new \
                 cases; the validation part and the test part are not read",
                number_of(count, "example")
            ),
            is_comparable,
        });
        overfit.into_iter().chain(self.methods.iter().filter_map(note)).collect()
    }

    /// The settings of `method` with a shorter warm-up and a note, if its warm-up does not fit into the run.
    fn shortened(&self, method: &PlannedMethod, data: &DataIdentity) -> Option<(Arc<dyn MethodSettings>, String)> {
        // Records of earlier versions do not tell the number of samples; their runs had a warm-up that fits.
        if data.samples.is_empty() {
            return None;
        }
        let training = &method.training;
        let batches = training.epochs.saturating_mul(training.batches_per_epoch(data.samples.iter().copied()));
        method.settings.shortened(training, batches).map(|(settings, note)| (settings.into(), note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overrides;
    use crate::suite::Registry;

    #[test]
    fn published_results_are_spoken_of_where_there_is_a_paper() {
        for (experiment, is_comparable) in [("table1", false), ("ablation", true)] {
            let assignments =
                ["methods=[\"mtcool\"]", "method.mtcool.warmup_iterations=100000"].map(String::from).to_vec();
            let plan = Plan::load(&Registry::builtin(), experiment, &Overrides { profile: None, assignments }).unwrap();
            assert_eq!(plan.experiment.paper.is_none(), is_comparable, "{experiment}");
            let notes = plan.notes(&DataIdentity { samples: vec![600, 600], ..DataIdentity::default() });
            assert_eq!(notes.len(), 1, "{experiment}: {notes:?}");
            assert!(notes[0].text.contains("is shortened to"), "{}", notes[0].text);
            assert_eq!(notes[0].is_comparable, is_comparable, "{experiment}");
        }
    }
}
