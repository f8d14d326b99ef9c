//! [`Search`]: which settings of which methods a hyperparameter search tries, and for how long.

use super::grid::TRAINING;
use super::layers::{Layers, Overrides, read};
use super::methods::planned;
use super::objective::columns_named;
use super::resolve::Plan;
use super::source::ExperimentSource;
use super::spaces::{Rung, Space, Trial};
use super::variants::Rows;
use crate::suite::{Column, ConfigError, Registry};

/// The key of `training` that the rungs set.
const EPOCHS: &str = "epochs";

/// The table in `search` with the space of every method that has none of its own.
const OTHERS: &str = "others";

/// A hyperparameter search by successive halving: the table `search` of an experiment.
///
/// Every method has the same number of trials, the first of which has the settings that the experiment has now. The runs of the first
/// rung are short. The best trials of a rung, by the validation split, start again in the next rung with longer runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Number of trials of each method.
    pub trials: usize,
    /// The seed from which the settings of the trials are drawn.
    pub seed: u64,
    /// The rungs, the shortest runs first.
    pub rungs: Vec<Rung>,
    /// The columns of the table, as `task.metric`, whose mean on the validation split is the score.
    pub objective: Vec<Column>,
    /// The methods that are searched.
    pub spaces: Vec<Space>,
}

impl Search {
    /// The plan of `source` with the validation split as its reported split, and the search of those of its methods that have a space.
    ///
    /// # Errors
    /// As [`Plan::load`]; [`ConfigError`] with the key if a space has values that its method refuses, if there is no space, or if an
    /// objective is no column of the table.
    pub fn load(
        registry: &Registry,
        source: &ExperimentSource,
        overrides: &Overrides,
    ) -> Result<(Plan, Self), ConfigError> {
        let overrides = with(overrides, ["report=\"validation\"".to_owned()]);
        let mut layers = read(source, &overrides, registry)?;
        let plan = Plan::of_layers(registry, source.clone(), &mut layers)?;
        if !layers.points.is_empty() {
            let message = "`grid`: a search has no grid; give the values as `search.METHOD.KEY = { values = [...] }`";
            return Err(ConfigError::new(message));
        }
        let (keys, mut spaces) = layers.search()?;
        let others = spaces.iter().position(|space| space.method == OTHERS).map(|at| spaces.remove(at));
        if let Some(others) = others {
            let names = plan.methods.iter().map(|method| method.entry.name.to_string());
            let without: Vec<String> = names.filter(|name| spaces.iter().all(|space| space.method != *name)).collect();
            spaces.extend(without.into_iter().map(|name| others.clone().for_method(name)));
        }
        let mut spaces = checked(&layers, spaces, registry, plan.spec.tasks.len())?;
        let place_of = |space: &Space| plan.methods.iter().position(|method| method.entry.name == space.method);
        spaces.retain(|space| place_of(space).is_some());
        spaces.sort_by_key(place_of);
        if spaces.is_empty() {
            let names: Vec<&str> = plan.methods.iter().map(|method| &*method.entry.name).collect();
            return Err(ConfigError::new(format!(
                "`search` has no space for {}: write which values to try, such as `[default.search.{}]` with `learning_rate = {{ log \
                 = [0.001, 0.1] }}`",
                names.join(", "),
                names[0]
            )));
        }
        let rungs = keys.rungs(plan.experiment.training.epochs);
        let objective =
            columns_named(&keys.objective, &plan.spec.columns).map_err(|error| error.within("`search.objective`"))?;
        let search = Self { trials: keys.trials, seed: keys.seed, rungs, objective, spaces };
        search.trials()?;
        Ok((plan, search))
    }

    /// All trials, method by method.
    ///
    /// # Errors
    /// If a space has too few different settings.
    pub fn trials(&self) -> Result<Vec<Trial>, ConfigError> {
        let of_space = |space: &Space| space.trials(self.seed, self.trials);
        Ok(self.spaces.iter().map(of_space).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The plan whose methods are `trials` of `source`, with runs of `epochs` epochs that are judged by the validation split.
    ///
    /// # Errors
    /// If settings of a trial exclude each other.
    pub fn rung(
        registry: &Registry,
        source: &ExperimentSource,
        overrides: &Overrides,
        trials: &[Trial],
        epochs: u64,
    ) -> Result<Plan, ConfigError> {
        let names: Vec<String> = trials.iter().map(|trial| format!("\"{}\"", trial.name())).collect();
        let common = ["report=\"validation\"".to_owned(), format!("training.epochs={epochs}")];
        let tables = trials.iter().map(|trial| {
            let table = toml::Value::Table(trial.table());
            format!("method.{}={table}", trial.name())
        });
        let methods = format!("methods=[{}]", names.join(", "));
        let overrides = with(overrides, common.into_iter().chain(tables).chain([methods]));
        Plan::of_layers(registry, source.clone(), &mut read(source, &overrides, registry)?)
    }
}

fn with(overrides: &Overrides, further: impl IntoIterator<Item = String>) -> Overrides {
    let assignments = overrides.assignments.iter().cloned().chain(further).collect();
    Overrides { profile: overrides.profile.clone(), assignments }
}

/// The spaces, each with the present settings of its method as its first trial. Each method accepts the extreme values of each of its
/// settings.
fn checked(layers: &Layers, spaces: Vec<Space>, registry: &Registry, tasks: usize) -> Result<Vec<Space>, ConfigError> {
    let rows = Rows { experiment: &layers.experiment, points: &layers.points, registry };
    let checked = |space: Space| {
        let variant = rows.find(&space.method).map_err(|error| error.within("`search`"))?;
        for (key, value) in space.extremes() {
            let mut variant = variant.clone();
            variant.settings.push((key.clone(), value.clone()));
            planned(layers, &variant, registry, tasks)
                .map_err(|error| error.within(format!("`search.{}.{key}` with {value}", space.table())))?;
        }
        let present = planned(layers, &variant, registry, tasks)?;
        let epochs = layers.experiment.training.epochs;
        let key = format!("{TRAINING}.{EPOCHS}");
        if present.training.epochs != epochs || space.settings().any(|(searched, ..)| searched == key) {
            return Err(ConfigError::new(format!(
                "`search`: the rungs give the runs of all methods their number of epochs, as shares of `{key}`, which is {epochs}; {} has a \
                 number of its own: leave the method or the key out, and search with another `{key}` instead",
                space.method
            )));
        }
        Ok(space.beginning_with(|key| present.value(key)))
    };
    spaces.into_iter().map(checked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(assignments: &[&str]) -> Result<(Plan, Search), ConfigError> {
        let overrides = Overrides { profile: None, assignments: assignments.iter().map(|a| (*a).to_owned()).collect() };
        Search::load(&Registry::builtin(), &ExperimentSource::find("table1").unwrap(), &overrides)
    }

    #[test]
    fn the_spaces_of_every_experiment_are_valid_for_every_profile() {
        for (name, profiles) in [
            ("table1", &["smoke", "quick", "paper"][..]),
            ("table2", &["smoke", "quick", "paper"]),
            ("table3", &["smoke", "quick", "long"]),
        ] {
            let source = ExperimentSource::built_in(name).unwrap();
            for profile in profiles {
                let overrides = Overrides { profile: Some((*profile).into()), assignments: Vec::new() };
                let (plan, search) = Search::load(&Registry::builtin(), &source, &overrides).unwrap();
                assert_eq!(search.spaces.len(), plan.methods.len(), "{name}: a method without a space");
                let trials = search.trials().unwrap();
                let last = search.rungs.last().unwrap();
                assert_eq!(last.epochs, plan.experiment.training.epochs);
                Search::rung(&Registry::builtin(), &source, &overrides, &trials, last.epochs).unwrap();
            }
        }
    }

    #[test]
    fn every_method_has_a_space_in_table_1_and_what_has_none_is_named() {
        let (plan, search) = load(&["methods=[\"all\"]"]).unwrap();
        assert!(search.spaces.len() > 40 && search.spaces.len() == plan.methods.len());
        let source = ExperimentSource::built_in("table2").unwrap();
        let overrides = Overrides { profile: None, assignments: vec!["methods=[\"dwa\"]".into()] };
        let message = Search::load(&Registry::builtin(), &source, &overrides).err().unwrap().to_string();
        assert!(message.contains("`search` has no space for dwa"), "{message}");
    }

    #[test]
    fn settings_of_training_that_were_found_can_be_written() {
        let table1 = include_str!("../../experiments/table1.toml");
        let settings = vec![("training.momentum".to_owned(), 0.5.into())];
        let winner = crate::plan::Winner { method: "joint".into(), settings, origin: "trial 1".into() };
        let text = crate::plan::with_winners(table1, "default", "mtcool search", &[winner]).unwrap();
        let source = ExperimentSource { text, ..ExperimentSource::built_in("table1").unwrap() };
        let plan = Search::load(&Registry::builtin(), &source, &Overrides::default()).unwrap().0;
        let momentum =
            |name: &str| plan.methods.iter().find(|method| method.entry.name == name).unwrap().training.momentum;
        // PCGrad takes the settings that it lacks from Joint, but not how Joint is trained.
        assert_eq!((momentum("joint"), momentum("pcgrad")), (Some(0.5), Some(0.9)));
        let source =
            ExperimentSource { text: format!("{}\n[default.method.twin]\nlike = \"joint\"\n", source.text), ..source };
        let overrides = Overrides { profile: None, assignments: vec!["methods=[\"twin\", \"pcgrad\"]".into()] };
        let plan = Search::load(&Registry::builtin(), &source, &overrides).unwrap().0;
        assert_eq!(plan.methods[0].training.momentum, Some(0.5), "a variant is like its method");
    }

    #[test]
    fn the_runs_of_trials_have_their_settings_and_read_no_test_split() {
        let (_, search) = load(&["methods=[\"joint\", \"mtcool\"]", "search.trials=3"]).unwrap();
        assert_eq!(search.spaces.iter().map(|space| space.method.as_str()).collect::<Vec<_>>(), ["joint", "mtcool"]);
        let trials = search.trials().unwrap();
        let source = ExperimentSource::find("table1").unwrap();
        let plan = Search::rung(&Registry::builtin(), &source, &Overrides::default(), &trials, 2).unwrap();
        assert_eq!((plan.experiment.report.name(), plan.experiment.training.epochs), ("validation", 2));
        assert_eq!(plan.methods.len(), 6);
        for (method, trial) in plan.methods.iter().zip(&trials) {
            assert_eq!((method.like.as_str(), &*method.entry.name), (trial.method.as_str(), trial.name().as_str()));
            let settings = method.settings.describe();
            for (key, value) in &trial.settings {
                assert_eq!(settings[key].as_f64(), value.as_float().or(value.as_integer().map(|n| n as f64)), "{key}");
            }
        }
    }

    #[test]
    fn methods_without_a_space_of_their_own_have_that_of_the_others() {
        let methods = "methods=[\"mtcool\", \"dwa\", \"joint\", \"fairgrad\"]";
        let others = "search.others.learning_rate={ log = [0.5, 0.9] }";
        let (_, search) = load(&[methods, others, "search.trials=3"]).unwrap();
        let values = |space: &Space| space.settings().map(|(_, values, _)| values).next().unwrap();
        let found: Vec<_> = search.spaces.iter().map(|space| (space.method.as_str(), values(space))).collect();
        assert_eq!(found.iter().map(|(method, _)| *method).collect::<Vec<_>>(), ["mtcool", "dwa", "joint", "fairgrad"]);
        assert!(found[1].1.starts_with("0.5 to 0.9") && found[3].1.starts_with("0.5 to 0.9"), "{found:?}");
        assert!(found[2].1.starts_with("0.005 to 0.2"), "{found:?}");
        let trials = search.trials().unwrap();
        assert_ne!(trials[4].settings, trials[10].settings, "every method has draws of its own");
        let message =
            load(&["methods=[\"mtcool\"]", "search.mtcool.lr={ log = [0.1, 0.2] }"]).err().unwrap().to_string();
        assert!(message.contains("`search.mtcool.lr`"), "{message}");
        let message =
            load(&["methods=[\"dwa\"]", "search.others.beta={ log = [0.1, 0.2] }"]).err().unwrap().to_string();
        assert!(message.contains("`search.others.beta` with 0.1") && message.contains("dwa"), "{message}");
    }

    #[test]
    fn the_first_trial_of_each_method_has_the_settings_of_the_file() {
        let (_, search) = load(&["method.joint.learning_rate=0.125"]).unwrap();
        let trials = search.trials().unwrap();
        let first = |method: &str| {
            let trial = trials.iter().find(|trial| trial.method == method).unwrap();
            let settings = trial.settings.iter().map(|(key, value)| (key.as_str(), value.as_float()));
            (trial.index, settings.collect::<Vec<_>>())
        };
        assert_eq!(first("joint"), (0, vec![("learning_rate", Some(0.125))]));
        let keys: Vec<&str> = first("mtcool").1.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["alpha", "beta", "bound", "lambda"]);
        for name in ["table1", "table2", "table3"] {
            let source = ExperimentSource::built_in(name).unwrap();
            let (_, search) = Search::load(&Registry::builtin(), &source, &Overrides::default()).unwrap();
            let trials = search.trials().unwrap();
            for space in &search.spaces {
                let first = trials.iter().find(|trial| trial.method == space.method).unwrap();
                let keys: Vec<&str> = space.settings().map(|(key, ..)| key).collect();
                assert_eq!(first.settings.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), keys, "{name}");
            }
        }
        let inner = [
            "methods=[\"joint\"]",
            "search.joint={ training = { momentum = { values = [0.5, 0.7, 0.8] } } }",
            "search.trials=3",
        ];
        let settings = load(&inner).unwrap().1.trials().unwrap()[0].settings.clone();
        assert!(settings.contains(&("training.momentum".to_owned(), 0.9.into())), "{settings:?}");
    }

    #[test]
    fn rungs_are_shares_of_the_epochs_and_halve_the_trials() {
        let rungs = |assignments: &[&str]| {
            let (_, search) = load(assignments).unwrap();
            search.rungs.iter().map(|rung| (rung.epochs, rung.trials)).collect::<Vec<_>>()
        };
        let common = ["methods=[\"joint\"]", "search.trials=5", "search.rungs=[0.25, 0.5, 1.0]"];
        assert_eq!(rungs(&common), [(2, 5), (4, 3), (8, 2)]);
        assert_eq!(rungs(&[&common[..], &["search.keep=0.2"]].concat()), [(2, 5), (4, 1), (8, 1)]);
        assert_eq!(rungs(&[&common[..], &["training.epochs=2"]].concat()), [(1, 5), (2, 3)]);
    }

    #[test]
    fn a_flag_and_a_profile_replace_the_values_of_a_setting() {
        let values = |profile: Option<&str>, assignments: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.toml");
            let further = "\n[quick.search.joint]\nlearning_rate = { values = [0.1, 0.2] }\n";
            std::fs::write(&path, include_str!("../../experiments/table1.toml").to_owned() + further).unwrap();
            let overrides = Overrides {
                profile: profile.map(str::to_owned),
                assignments: assignments.iter().chain(&["search.trials=2"]).map(|a| (*a).to_owned()).collect(),
            };
            let source = ExperimentSource::find(path.to_str().unwrap()).unwrap();
            let (_, search) = Search::load(&Registry::builtin(), &source, &overrides).unwrap();
            let joint = search.spaces.iter().find(|space| space.method == "joint").unwrap();
            let (_, values, _) = joint.settings().next().unwrap();
            values
        };
        assert_eq!(values(None, &[]), "0.005 to 0.2, by its logarithm");
        assert_eq!(values(Some("quick"), &[]), "0.1, 0.2");
        assert_eq!(values(Some("quick"), &["search.joint.learning_rate={ range = [0.3, 0.4] }"]), "0.3 to 0.4");
    }

    #[test]
    fn spaces_and_settings_without_a_meaning_are_refused_with_their_key() {
        for (assignment, part) in [
            ("search.trials=0", "`search.trials` is 0: expected 1 to 1000"),
            ("search.trails=3", "`search.trails`"),
            ("search.rungs=[0.5, 0.25]", "`search.rungs` is [0.5, 0.25]: expected ascending shares"),
            ("search.rungs=[0.5, 2.0]", "`search.rungs`"),
            ("search.keep=0.0", "`search.keep` is 0.0"),
            ("search.objective=[\"even.acuracy\"]", "`search.objective`: unknown column `even.acuracy`"),
            ("search.jiont.learning_rate={ log = [0.1, 0.2] }", "`search`: unknown method `jiont`"),
            ("search.joint.learning_rat={ log = [0.1, 0.2] }", "`search.joint.learning_rat` with 0.1"),
            ("search.joint.learning_rate={ range = [-0.1, 0.2] }", "`search.joint.learning_rate` with -0.1"),
            ("search.mtcool.samples={ range = [0, 2] }", "`search.mtcool.samples` with 0"),
            ("search.mtcool.schedule={ values = [\"jacobbi\"] }", "`search.mtcool.schedule` with \"jacobbi\""),
            ("search.joint.learning_rate={ log = [0.0, 0.2] }", "`search.joint.learning_rate.log` is [0.0, 0.2]"),
            ("search.joint=3", "search.joint"),
            ("grid.method.joint.learning_rate=[0.1, 0.2]", "`grid`: a search has no grid"),
            ("search.joint.training.epochs={ values = [2, 3] }", "joint has a number of its own"),
            ("method.joint.training={ epochs = 3 }", "joint has a number of its own"),
        ] {
            let message = load(&[assignment]).err().map_or_else(|| "accepted".into(), |error| error.to_string());
            assert!(message.contains(part), "no `{part}` in `{message}`");
        }
    }
}
