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
        let note = |method: &PlannedMethod| {
            let (_, note) = self.shortened(method, data)?;
            Some(Caveat { text: format!("{}: {note}", method.entry.label), is_comparable: false })
        };
        let overfit = self.experiment.overfit.map(|count| Caveat {
            text: format!(
                "OVERFIT DIAGNOSIS: each run is trained on {} of the training part, without augmentation and in batches of \
                 at most {count}, and measured on the same examples. It shows whether the networks can fit them, and nothing about new \
                 cases; the validation part and the test part are not read",
                number_of(count, "example")
            ),
            is_comparable: false,
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
