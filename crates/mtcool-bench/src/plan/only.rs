//! Some of a sweep's runs, chosen by method and seed.

use std::collections::BTreeSet;

use super::resolve::{Plan, PlannedRun};
use crate::suite::{ConfigError, name_meant};

/// A run as the flag `--only` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRun {
    /// The name of its method or variant; a method with a grid stands for all points of the grid.
    pub method: String,
    /// Its seed.
    pub seed: u64,
}

impl Plan {
    /// Those of `runs` that `only` names; all of them if it names none.
    ///
    /// # Errors
    /// If a name belongs to no run; the message lists the methods and seeds that there are.
    pub fn only(&self, runs: Vec<PlannedRun>, only: &[NamedRun]) -> Result<Vec<PlannedRun>, ConfigError> {
        if only.is_empty() {
            return Ok(runs);
        }
        let rows: BTreeSet<&str> = self.methods.iter().flat_map(|method| method.names()).collect();
        let mut chosen = vec![false; runs.len()];
        for NamedRun { method, seed } in only {
            let meant = name_meant(rows.iter().copied(), method);
            let is_meant =
                |run: &PlannedRun| run.config.seed == *seed && run.method.names().any(|name| Some(name) == meant);
            let mut found = false;
            for (_, chosen) in runs.iter().zip(&mut chosen).filter(|(run, _)| is_meant(run)) {
                (*chosen, found) = (true, true);
            }
            if !found {
                let methods: Vec<&str> = self.methods.iter().map(|method| &*method.entry.name).collect();
                return Err(ConfigError::new(format!(
                    "`--only {method}:{seed}`: the sweep has no such run; its methods are {}, its seeds {:?}",
                    methods.join(", "),
                    self.experiment.seeds.all()
                )));
            }
        }
        Ok(runs.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(run, _)| run).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::plan::{DataIdentity, Overrides};
    use crate::suite::Registry;

    #[test]
    fn single_runs_are_chosen_by_method_and_seed() {
        let names = |assignments: &[&str], only: &[(&str, u64)]| {
            let assignments = assignments.iter().map(|text| (*text).to_owned()).collect();
            let overrides = Overrides { profile: None, assignments };
            let plan = Plan::load(&Registry::builtin(), "table1", &overrides).unwrap();
            let runs = plan.runs(&DataIdentity { origin: Value::Null, files: Value::Null, samples: vec![600, 600] });
            let only = only.iter().map(|&(method, seed)| NamedRun { method: method.to_owned(), seed });
            let chosen = plan.only(runs, &only.collect::<Vec<_>>()).map_err(|error| error.to_string())?;
            let name = |run: &PlannedRun| run.method.run_name(run.config.seed);
            Ok::<Vec<String>, String>(chosen.iter().map(name).collect())
        };
        let sweep = ["methods=[\"joint\",\"mtcool\"]", "seeds=[0, 3]"];
        assert_eq!(names(&sweep, &[]).unwrap(), ["joint-s0", "mtcool-s0", "joint-s3", "mtcool-s3"]);
        assert_eq!(names(&sweep, &[("MT-COOL", 3), ("joint", 0)]).unwrap(), ["joint-s0", "mtcool-s3"]);
        let message = names(&sweep, &[("joint", 0), ("mtcool", 1)]).unwrap_err();
        for part in ["`--only mtcool:1`", "no such run", "joint, mtcool", "[0, 3]"] {
            assert!(message.contains(part), "{message}");
        }
        let grid = [&sweep[..], &["grid.method.mtcool.bound=[0.01, 0.02]"]].concat();
        assert_eq!(names(&grid, &[("mtcool", 0)]).unwrap(), ["mtcool_bound_0.01-s0", "mtcool_bound_0.02-s0"]);
        assert_eq!(names(&grid, &[("mtcool_bound_0.02", 3)]).unwrap(), ["mtcool_bound_0.02-s3"]);
    }
}
