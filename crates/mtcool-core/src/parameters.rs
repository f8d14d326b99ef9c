//! Named, ordered parameters, partitioned into what each task owns: psi_i = (theta_i, phi_i).

use std::fmt;
use std::str::FromStr;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, TensorId, Var, bail};
use indexmap::{Equivalent, IndexMap};

use crate::error::{Error, Result};
use crate::handover::Handover;

/// Which half of a task's parameters one belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The feature extractor F_i(.; theta_i): perturbed, clamped, seen by every task.
    Theta,
    /// The prediction function G_i(.; phi_i): the task's own, never perturbed, never clamped.
    Phi,
}

/// The name of a parameter, written `theta.{task}.{layer}.{weight|bias}` or `phi.{task}.{layer}.{weight|bias}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterName {
    /// Feature extractor or prediction function.
    pub part: Part,
    /// The task that owns it, counted from 0.
    pub task: usize,
    /// Layer and role within the network, such as `conv1.weight`.
    pub layer: String,
}

impl ParameterName {
    /// The name of `layer` in task `task`'s theta.
    pub fn theta(task: usize, layer: impl Into<String>) -> Self {
        Self { part: Part::Theta, task, layer: layer.into() }
    }

    /// The name of `layer` in task `task`'s phi.
    pub fn phi(task: usize, layer: impl Into<String>) -> Self {
        Self { part: Part::Phi, task, layer: layer.into() }
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Theta => "theta",
            Part::Phi => "phi",
        };
        write!(f, "{part}.{}.{}", self.task, self.layer)
    }
}

impl FromStr for ParameterName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (part, rest) = text.split_once('.')?;
            let (task, layer) = rest.split_once('.')?;
            let part = match part {
                "theta" => Part::Theta,
                "phi" => Part::Phi,
                _ => return None,
            };
            Some(Self { part, task: task.parse().ok()?, layer: layer.to_owned() })
        };
        parse().ok_or_else(|| Error::Mismatch {
            what: "parameter name".into(),
            expected: "`theta.{task}.{layer}` or `phi.{task}.{layer}`".into(),
            got: format!("`{text}`"),
        })
    }
}

/// A name to look up, without allocating one.
#[derive(Hash)]
struct Key<'a> {
    part: Part,
    task: usize,
    layer: &'a str,
}

impl Equivalent<ParameterName> for Key<'_> {
    fn equivalent(&self, name: &ParameterName) -> bool {
        (self.part, self.task, self.layer) == (name.part, name.task, name.layer.as_str())
    }
}

/// Tensors by parameter name, in the order the network named them. Cloning is cheap: tensors share their storage.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: IndexMap<ParameterName, Tensor>,
    /// Of those that [`Parameters::track`] made.
    handover: Option<Handover>,
}

/// One gradient a parameter, under the same names; a parameter that did not take part has none.
pub type Gradients = Parameters;

impl Parameters {
    /// No parameters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces one; a new one goes last.
    pub fn insert(&mut self, name: ParameterName, tensor: Tensor) {
        self.entries.insert(name, tensor);
    }

    /// The tensor called `name`, if there is one.
    pub fn get(&self, name: &ParameterName) -> Option<&Tensor> {
        self.entries.get(name)
    }

    /// `theta.{task}.{layer}`, for use in a network's forward pass.
    ///
    /// # Errors
    /// If there is none; the message names it.
    pub fn theta(&self, task: usize, layer: &str) -> candle_core::Result<&Tensor> {
        self.lookup(Part::Theta, task, layer)
    }

    /// `phi.{task}.{layer}`, for use in a network's forward pass.
    ///
    /// # Errors
    /// If there is none; the message names it.
    pub fn phi(&self, task: usize, layer: &str) -> candle_core::Result<&Tensor> {
        self.lookup(Part::Phi, task, layer)
    }

    fn lookup(&self, part: Part, task: usize, layer: &str) -> candle_core::Result<&Tensor> {
        match self.entries.get(&Key { part, task, layer }) {
            Some(tensor) => Ok(tensor),
            None => bail!(
                "the network asks for parameter `{}`, which is not among the {} given",
                ParameterName { part, task, layer: layer.to_owned() },
                self.len()
            ),
        }
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ParameterName, &Tensor)> {
        self.entries.iter()
    }

    /// Where the tensors are; the CPU if there are none.
    pub fn device(&self) -> &Device {
        self.entries.values().next().map_or(&Device::Cpu, Tensor::device)
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many numbers there are: the count behind the tables' Params column.
    pub fn element_count(&self) -> usize {
        self.entries.values().map(Tensor::elem_count).sum()
    }

    /// The same names with `change` applied to each tensor.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map(&self, mut change: impl FnMut(&ParameterName, &Tensor) -> Result<Tensor>) -> Result<Self> {
        let entries = self.entries.iter().map(|(name, tensor)| Ok((name.clone(), change(name, tensor)?)));
        Ok(Self { entries: entries.collect::<Result<_>>()?, handover: self.handover.clone() })
    }

    /// The same values with those that `trains` selects as fresh leaves of the graph, and the others as constants, so that
    /// [`Parameters::backward`] of the result reaches the selected ones only.
    ///
    /// # Errors
    /// If a tensor cannot be copied.
    pub fn track(&self, trains: impl Fn(&ParameterName) -> bool) -> Result<Self> {
        let tracked = self.map(|name, tensor| match trains(name) {
            true => Ok(Var::from_tensor(&tensor.detach())?.into_inner()),
            false => Ok(tensor.detach()),
        })?;
        Ok(Self { handover: Some(Handover::new(tracked.device())?), ..tracked })
    }

    /// Where a network may leave gradients of the leaves itself; only if every tensor is a leaf or a constant.
    pub fn handover(&self) -> Option<&Handover> {
        let is_inside = |tensor: &Tensor| tensor.track_op() && !tensor.is_variable();
        self.handover.as_ref().filter(|_| !self.entries.values().any(is_inside))
    }

    /// The gradients of `loss` with respect to these parameters' leaves, as constants, by a backward pass over the graph and
    /// what a network in it hands over. A graph may be passed over several times.
    ///
    /// # Errors
    /// If the backward pass fails.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        // What a pass that failed has left.
        self.handover.iter().for_each(|handover| drop(handover.take()));
        self.gradients(&loss.backward()?)
    }

    fn gradients(&self, store: &GradStore) -> Result<Gradients> {
        let mut given: IndexMap<TensorId, Tensor> = IndexMap::new();
        for (leaf, gradient) in self.handover.iter().flat_map(Handover::take) {
            let sum = match given.get(&leaf) {
                Some(earlier) => (earlier + gradient)?,
                None => gradient,
            };
            given.insert(leaf, sum);
        }
        let mut gradients = Self::new();
        for (name, tensor) in self.entries.iter().filter(|(_, tensor)| tensor.is_variable()) {
            let gradient = match (store.get(tensor), given.swap_remove(&tensor.id())) {
                (Some(a), Some(b)) => (a + b)?,
                (Some(one), None) => one.clone(),
                (None, Some(one)) => one,
                (None, None) => continue,
            };
            gradients.insert(name.clone(), gradient.detach());
        }
        Ok(gradients)
    }

    /// Those whose name `keep` selects, in order.
    pub fn filter(&self, keep: impl Fn(&ParameterName) -> bool) -> Self {
        let kept = self.entries.iter().filter(|(name, _)| keep(name));
        Self { entries: kept.map(|(name, tensor)| (name.clone(), tensor.clone())).collect(), handover: None }
    }

    /// Those that `rename` has a name for, under that name, in order: one network's parameters among several networks'.
    pub fn rename(&self, rename: impl Fn(&ParameterName) -> Option<ParameterName>) -> Self {
        let renamed = self.entries.iter().filter_map(|(name, tensor)| Some((rename(name)?, tensor.clone())));
        Self { entries: renamed.collect(), handover: self.handover.clone() }
    }

    /// Replaces the tensors named in `newer`; the order stays.
    pub fn update(&mut self, newer: Self) {
        self.entries.extend(newer.entries);
    }

    /// `self + factor * other` on the names of either; a name that one of them lacks counts as zero there.
    ///
    /// # Errors
    /// If two tensors of one name differ in shape.
    pub fn add_scaled(mut self, other: &Self, factor: f64) -> Result<Self> {
        for (name, tensor) in &other.entries {
            let scaled = if factor == 1.0 { tensor.clone() } else { (tensor * factor)? };
            let sum = match self.entries.get(name) {
                Some(own) => (own + scaled)?,
                None => scaled,
            };
            self.entries.insert(name.clone(), sum);
        }
        Ok(self)
    }

    /// The sum over the names of both of the products of all elements, in f64.
    ///
    /// # Errors
    /// If two tensors of one name differ in shape.
    pub fn inner_product(&self, other: &Self) -> Result<f64> {
        let mut sum = 0.0;
        for (name, tensor) in &self.entries {
            if let Some(other) = other.entries.get(name) {
                sum += (tensor.to_dtype(DType::F64)? * other.to_dtype(DType::F64)?)?.sum_all()?.to_scalar::<f64>()?;
            }
        }
        Ok(sum)
    }

    /// Checks that `other` has the same names, shapes and dtypes: whether a checkpoint belongs to this network.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming the first parameter that is missing, surplus or of another shape or dtype.
    pub fn check_compatible(&self, other: &Self) -> Result<()> {
        let mismatch = |name: &ParameterName, expected: String, got: String| {
            Err(Error::Mismatch { what: format!("parameter `{name}`"), expected, got })
        };
        let describe = |tensor: &Tensor| format!("{:?} {:?}", tensor.dtype(), tensor.dims());
        for (name, tensor) in &self.entries {
            match other.entries.get(name) {
                None => return mismatch(name, describe(tensor), "none of that name".into()),
                Some(given) if describe(given) != describe(tensor) => {
                    return mismatch(name, describe(tensor), describe(given));
                }
                Some(_) => {}
            }
        }
        match other.entries.keys().find(|name| !self.entries.contains_key(*name)) {
            Some(name) => mismatch(name, "no parameter of that name".into(), describe(&other.entries[name])),
            None => Ok(()),
        }
    }
}

impl FromIterator<(ParameterName, Tensor)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (ParameterName, Tensor)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect(), handover: None }
    }
}
