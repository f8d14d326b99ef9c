//! An aggregator that works on each group of the shared parameters by itself.

use std::collections::{BTreeMap, BTreeSet};

use mtcool_core::{
    Aggregator, Combination, Convention, EpochSummary, Error, Gradients, Jacobian, ParameterName, Result, StateTensors,
};

/// What a group of parameters is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// The parameters of one level or layer of the network, whichever task owns them: the name of the layer up to the first dot, such
    /// as `enc0` or `conv1`.
    #[default]
    Level,
    /// The parameters that one task owns.
    Owner,
    /// Each tensor by itself.
    Tensor,
}

impl GroupBy {
    fn group(self, name: &ParameterName) -> String {
        match self {
            Self::Level => name.layer.split('.').next().unwrap_or_default().to_owned(),
            Self::Owner => name.task.to_string(),
            Self::Tensor => name.to_string(),
        }
    }
}

/// Makes the aggregator of one more group.
pub type BuildAggregator = Box<dyn Fn() -> Result<Box<dyn Aggregator>> + Send>;

/// An aggregator applied to groups of the shared parameters, each with a state of its own.
///
/// 1. `J = [J_1, J_2, ...]`, the columns of each group
/// 2. `d = [A(J_1), A(J_2), ...]`
///
/// Tasks may agree in one level of an encoder and conflict in another. A promise of A for the whole gradient holds for each group, hence
/// for all together where it is that no task is conflicted with: `g_i . d` is the sum over the groups. GradVac's authors combine this way.
///
/// Cost of a step: one backward pass per task, and A's own work for each group.
pub struct Grouped {
    by: GroupBy,
    build: BuildAggregator,
    /// One made by `build`, for its convention.
    template: Box<dyn Aggregator>,
    groups: BTreeMap<String, Box<dyn Aggregator>>,
}

impl Grouped {
    /// The aggregators that `build` makes, one for each group.
    ///
    /// # Errors
    /// If `build` fails.
    pub fn new(by: GroupBy, build: BuildAggregator) -> Result<Self> {
        Ok(Self { by, template: build()?, build, groups: BTreeMap::new() })
    }

    fn of_group(&mut self, group: &str) -> Result<&mut Box<dyn Aggregator>> {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), (self.build)()?);
        }
        self.groups.get_mut(group).ok_or_else(|| mismatch(group))
    }
}

/// Between the name of a group and what its aggregator calls a part of its state.
const SEPARATOR: char = '/';

fn mismatch(got: &str) -> Error {
    let (what, expected) = ("method state".to_owned(), "names called `group/name`".to_owned());
    Error::Mismatch { what, expected, got: format!("`{got}`: the state of another method") }
}

impl Aggregator for Grouped {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        let by = self.by;
        let groups: BTreeSet<String> = jacobian.names().map(|name| by.group(name)).collect();
        let (mut parts, mut own) = (Gradients::new(), None);
        for group in &groups {
            let rows: Vec<Gradients> =
                jacobian.rows().iter().map(|row| row.filter(|name| by.group(name) == *group)).collect();
            let part = Jacobian::new(&rows, jacobian.losses());
            let combination = self.of_group(group)?.combine(&part, iteration)?;
            if matches!(combination, Combination::LossWeights(_)) {
                return Err(Error::Mismatch {
                    what: "groups of parameters".into(),
                    expected: "an aggregator that leaves the tasks' own parameters alone".into(),
                    got: "one that weighs the losses: a loss has one weight for all groups".into(),
                });
            }
            own = own.or_else(|| combination.own_weights().map(<[f64]>::to_vec));
            parts.update(combination.direction(&part)?);
        }
        // In the order of the parameters, whatever that of the groups is.
        let in_order = jacobian.names().filter_map(|name| Some((name.clone(), parts.get(name)?.clone())));
        let direction = Combination::Direction(in_order.collect());
        Ok(match own {
            Some(own) => Combination::WithOwn { shared: Box::new(direction), own },
            None => direction,
        })
    }

    fn convention(&self) -> Convention {
        self.template.convention()
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        self.groups.values_mut().try_for_each(|aggregator| aggregator.end_epoch(epoch))
    }

    fn state(&self) -> Vec<(String, f64)> {
        let groups = self.groups.iter().flat_map(|(group, aggregator)| {
            let named = |(name, value): (String, f64)| (format!("{group}{SEPARATOR}{name}"), value);
            aggregator.state().into_iter().map(named).collect::<Vec<_>>()
        });
        groups.collect()
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let mut parts: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
        for (key, value) in state {
            let (group, name) = key.split_once(SEPARATOR).ok_or_else(|| mismatch(&key))?;
            parts.entry(group.to_owned()).or_default().push((name.to_owned(), value));
        }
        parts.into_iter().try_for_each(|(group, part)| self.of_group(&group)?.restore(part))
    }

    fn tensors(&self) -> StateTensors {
        let groups = self.groups.iter().flat_map(|(group, aggregator)| {
            let tensors = aggregator.tensors();
            let named =
                |(name, tensor): (&str, &candle_core::Tensor)| (format!("{group}{SEPARATOR}{name}"), tensor.clone());
            tensors.iter().map(named).collect::<Vec<_>>()
        });
        groups.collect()
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        let mut parts: BTreeMap<String, StateTensors> = BTreeMap::new();
        for (key, tensor) in tensors.iter() {
            let (group, name) = key.split_once(SEPARATOR).ok_or_else(|| mismatch(key))?;
            parts.entry(group.to_owned()).or_default().insert(name, tensor.clone());
        }
        parts.into_iter().try_for_each(|(group, part)| self.of_group(&group)?.restore_tensors(part))
    }
}
