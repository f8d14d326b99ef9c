//! The networks of one or several runs, which predict together: probabilities and numbers are the means over the networks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::known::{KnownPhotograph, KnownPhotographs};
use super::trained::{predictor_of, read_trained};
use crate::record::read_data_record;
use crate::suite::{PredictOptions, Predicted, PredictedMap, Predictor, Registry};

/// Networks with the same tasks.
pub(super) struct Ensemble(Vec<Member>);

/// The network of a run.
struct Member {
    run: PathBuf,
    predictor: Box<dyn Predictor>,
    /// The kind of data that the network was trained on.
    trained_on: Value,
    known: KnownPhotographs,
}

/// What the networks predict for a photograph.
pub(super) struct Together {
    /// Height and width of the photograph.
    pub(super) size: [usize; 2],
    /// The facts and what follows from them.
    pub(super) facts: Value,
    members: Vec<Predicted>,
}

impl Ensemble {
    /// The networks of the finished runs in the folders `runs`, of which there is at least one.
    ///
    /// # Errors
    /// If a run cannot be used, a flag does not apply to its data set, or its tasks are not those of the first run.
    pub(super) fn open(registry: &Registry, runs: &[PathBuf], options: &PredictOptions) -> Result<Self> {
        let mut members: Vec<Member> = Vec::with_capacity(runs.len());
        let mut first = None;
        for run in runs {
            let (dataset, model) = read_trained(registry, run)?;
            let build = predictor_of(registry, dataset)?;
            for name in options.keys() {
                ensure!(
                    dataset.predict_options.iter().any(|option| option.name == name),
                    "`--{name}` does not apply to a run on `{}`: leave it out",
                    dataset.name
                );
            }
            let tasks = (dataset.name.clone(), model.spec.tasks.clone());
            ensure!(
                *first.get_or_insert_with(|| tasks.clone()) == tasks,
                "`{}` and `{}` have other tasks, so that they cannot predict together: name runs of one experiment",
                runs[0].display(),
                run.display()
            );
            let trained_on = if model.origin.is_null() { json!("real photographs") } else { model.origin.clone() };
            let predictor = build(model, options).with_context(|| format!("`{}`", run.display()))?;
            let known = KnownPhotographs::of(&read_data_record(run)?.unwrap_or_default());
            members.push(Member { run: run.clone(), predictor, trained_on, known });
        }
        Ok(Self(members))
    }

    /// Whether a network was trained on drawings.
    pub(super) fn is_drawn(&self) -> bool {
        self.0.iter().any(|member| !member.trained_on.is_string())
    }

    /// The folder of the run, or of all runs.
    pub(super) fn runs(&self) -> Value {
        let folders: Vec<String> = self.0.iter().map(|member| member.run.display().to_string()).collect();
        match &folders[..] {
            [one] => json!(one),
            several => json!(several),
        }
    }

    /// The kind of data that the networks were trained on.
    pub(super) fn trained_on(&self) -> Value {
        let mut kinds: Vec<Value> = self.0.iter().map(|member| member.trained_on.clone()).collect();
        kinds.dedup();
        if kinds.len() == 1 { kinds.remove(0) } else { kinds.into() }
    }

    /// The photograph whose file has this SHA-256, if it belongs to the data of a run. Of several runs, the one counts whose
    /// network depends on it most.
    pub(super) fn known(&self, sha256: &str) -> Option<&KnownPhotograph> {
        let known = self.0.iter().filter_map(|member| member.known.get(sha256));
        known.min_by_key(|known| ["train", "validation"].iter().position(|part| *part == known.part).unwrap_or(2))
    }

    /// What the networks predict for the photograph in `image`.
    ///
    /// # Errors
    /// If a network cannot use the photograph, or the networks predict different things.
    pub(super) fn predict(&self, image: &Path, warn: &mut dyn FnMut(String)) -> Result<Together> {
        let members = self.0.iter().map(|member| member.predictor.predict(image, warn)).collect::<Result<Vec<_>>>()?;
        let mut facts = mean(&members.iter().map(|predicted| &predicted.facts).collect::<Vec<_>>())?;
        let conclusions = self.0[0].predictor.conclusions(&facts);
        if let (Value::Object(facts), Value::Object(conclusions)) = (&mut facts, conclusions) {
            facts.extend(conclusions);
        }
        Ok(Together { size: members[0].size, facts, members })
    }
}

impl Together {
    /// For each kind of map, the maps of all networks.
    pub(super) fn maps(&self) -> impl Iterator<Item = Vec<&PredictedMap>> {
        let of_kind = |kind: usize| self.members.iter().filter_map(|member| member.maps.get(kind)).collect();
        (0..self.members[0].maps.len()).map(of_kind)
    }
}

/// The means of all numbers in `all`, which have the same keys. What is `null` or another word in one of them has no mean.
fn mean(all: &[&Value]) -> Result<Value> {
    let [first, others @ ..] = all else { return Ok(Value::Null) };
    if others.iter().any(|other| other.is_null()) {
        return Ok(Value::Null);
    }
    if let Value::Object(fields) = first {
        let mut means = Map::new();
        for key in fields.keys() {
            let of_each = all.iter().map(|value| value.get(key)).collect::<Option<Vec<_>>>();
            let Some(of_each) = of_each.filter(|_| others.iter().all(|other| is_alike(other, fields))) else {
                bail!("the runs predict other quantities: expected runs with the same tasks and classes");
            };
            means.insert(key.clone(), mean(&of_each)?);
        }
        return Ok(means.into());
    }
    if others.iter().all(|other| other == first) {
        return Ok((*first).clone());
    }
    let numbers: Option<Vec<f64>> = all.iter().map(|value| value.as_f64()).collect();
    Ok(numbers.map_or(Value::Null, |numbers| json!(numbers.iter().sum::<f64>() / numbers.len() as f64)))
}

/// Whether `other` has the keys of `fields`.
fn is_alike(other: &Value, fields: &Map<String, Value>) -> bool {
    other
        .as_object()
        .is_some_and(|other| other.len() == fields.len() && fields.keys().all(|key| other.contains_key(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_averaged_and_what_one_network_does_not_know_has_no_mean() {
        let first = json!({ "p": { "yes": 0.25, "no": 0.75 }, "at": { "x": 3 }, "unit": "mm", "ratio": null });
        let second = json!({ "p": { "yes": 0.75, "no": 0.25 }, "at": { "x": 4 }, "unit": "mm", "ratio": 0.5 });
        let want = json!({ "p": { "yes": 0.5, "no": 0.5 }, "at": { "x": 3.5 }, "unit": "mm", "ratio": null });
        assert_eq!(mean(&[&first, &second]).unwrap(), want);
        assert_eq!(mean(&[&first]).unwrap(), first, "one network's facts stay as they are");
        let lost = json!({ "p": { "yes": 1.0, "no": 0.0 }, "at": null, "unit": "cm", "ratio": null });
        for pair in [[&first, &lost], [&lost, &first]] {
            let found = mean(&pair).unwrap();
            assert_eq!((&found["at"], &found["unit"], &found["p"]["yes"]), (&Value::Null, &Value::Null, &json!(0.625)));
        }
        let other = json!({ "p": { "yes": 0.75, "perhaps": 0.25 }, "at": null, "unit": "mm", "ratio": 0.5 });
        assert!(mean(&[&first, &other]).unwrap_err().to_string().contains("same tasks and classes"));
    }
}
