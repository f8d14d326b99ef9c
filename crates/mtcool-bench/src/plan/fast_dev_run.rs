//! A plan that is cut down to a check of the whole way (`--fast-dev-run`).

use super::resolve::Plan;
use super::seeds::Seeds;
use crate::suite::{MethodSettings, TrainingConfig};

impl Plan {
    /// The same plan with one run of each method, which trains one epoch of as few batches as a step needs. A method whose warm-up is
    /// longer than that makes steps of both kinds.
    #[must_use]
    pub fn for_fast_dev_run(mut self) -> Self {
        let first = self.experiment.seeds.all().into_iter().take(1).collect();
        self.experiment.seeds = Seeds::List(first);
        self.experiment.training.epochs = 1;
        for method in &mut self.methods {
            let training = TrainingConfig { epochs: 1, ..method.training.clone() };
            let most_batches = Some(batches(method.settings.as_ref(), &training));
            method.training = TrainingConfig { most_batches, ..training };
        }
        self
    }
}

/// The number of batches per task that a method needs for a step, and twice as many if its warm-up had to be left out for that.
fn batches(settings: &dyn MethodSettings, training: &TrainingConfig) -> u64 {
    let whole = settings.least_batches(training);
    let needed = |batches: u64| {
        let shorter = settings.shortened(training, batches);
        shorter.map_or(whole, |(shorter, _)| shorter.least_batches(training))
    };
    match (1..whole).find(|&batches| needed(batches) <= batches) {
        Some(least) => whole.min(2 * least),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{DataIdentity, Overrides, Plan};
    use crate::suite::Registry;

    #[test]
    fn every_method_makes_one_step_of_each_kind() {
        let settings = ["methods=[\"all\"]", "seeds=[3, 4]", "training.epochs=30", "method.mtcool.inner_iterations=2"];
        for (accumulate, mtcool, warmup) in [(1, 4, 2), (3, 12, 2)] {
            let accumulated = format!("training.accumulate={accumulate}");
            let assignments = settings.into_iter().chain([accumulated.as_str()]).map(str::to_owned).collect();
            let overrides = Overrides { profile: None, assignments };
            let plan = Plan::load(&Registry::builtin(), "table1", &overrides).unwrap().for_fast_dev_run();
            let data = DataIdentity { samples: vec![25_000, 25_000], ..DataIdentity::default() };
            let runs = plan.runs(&data);
            assert_eq!(runs.len(), plan.methods.len(), "one seed");
            for run in runs {
                let training = &run.config.training;
                assert_eq!((run.config.seed, training.epochs), (3, 1));
                let batches = training.batches_per_epoch([25_000, 25_000].into_iter());
                let least = run.method.settings.least_batches(training);
                let name = &run.method.entry.name;
                assert!(least <= batches, "{name}: {least} of {batches}");
                match &**name {
                    "mtcool" => {
                        assert_eq!(batches, mtcool);
                        assert_eq!(run.config.settings["warmup_iterations"], warmup);
                    }
                    "joint" | "pcgrad" => assert_eq!(batches, accumulate),
                    _ => {}
                }
            }
        }
    }
}
