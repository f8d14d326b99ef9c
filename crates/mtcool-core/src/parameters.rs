//! Parameters by name, in a fixed order; the names divide them among the tasks.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, TensorId, Var, bail};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::handover::Handover;
use crate::late_gradient::LateRows;
use crate::parameter_name::{ParameterKey, ParameterKind, ParameterName};

/// Tensors by parameter name, in the order the network named them. Cloning is cheap: tensors share their storage.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: IndexMap<ParameterName, Tensor>,
    /// Only in parameters that [`Parameters::track`] made.
    handover: Option<Handover>,
}

/// Gradients under the names of their parameters; a parameter on which the loss does not depend has none.
pub type Gradients = Parameters;

impl Parameters {
    /// No parameters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the tensor called `name`; a new one goes last.
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
        self.lookup(ParameterKind::Theta, task, layer)
    }

    /// `phi.{task}.{layer}`, for use in a network's forward pass.
    ///
    /// # Errors
    /// If there is none; the message names it.
    pub fn phi(&self, task: usize, layer: &str) -> candle_core::Result<&Tensor> {
        self.lookup(ParameterKind::Phi, task, layer)
    }

    fn lookup(&self, kind: ParameterKind, task: usize, layer: &str) -> candle_core::Result<&Tensor> {
        match self.entries.get(&ParameterKey { kind, task, layer }) {
            Some(tensor) => Ok(tensor),
            None => bail!(
                "the network asks for parameter `{}`, which is not among the {} given",
                ParameterName { kind, task, layer: layer.to_owned() },
                self.len()
            ),
        }
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ParameterName, &Tensor)> {
        self.entries.iter()
    }

    /// The device of the tensors; the CPU if there are none.
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

    /// The number of elements of all tensors together.
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

    /// The same values: those that `trains` selects become new leaves of the graph, the others constants. So
    /// [`Parameters::backward`] of the result gives gradients of the selected ones only.
    ///
    /// # Errors
    /// If a tensor cannot be copied.
    pub fn track(&self, trains: impl Fn(&ParameterName) -> bool) -> Result<Self> {
        let tracked = self.map(|name, tensor| {
            let constant = tensor.detach();
            if trains(name) { Ok(Var::from_tensor(&constant)?.into_inner()) } else { Ok(constant) }
        })?;
        Ok(Self { handover: Some(Handover::new(tracked.device())?), ..tracked })
    }

    /// Where a network may leave gradients of the leaves that it has computed itself. `None` unless every tensor is a leaf or a
    /// constant.
    pub fn handover(&self) -> Option<&Handover> {
        let is_inside = |tensor: &Tensor| tensor.track_op() && !tensor.is_variable();
        self.handover.as_ref().filter(|_| !self.entries.values().any(is_inside))
    }

    /// The gradients of `loss` with respect to the leaves among these parameters, as constants: those of a backward pass over
    /// the graph, plus those that a network leaves in the handover. Several losses of one graph may be passed in turn.
    ///
    /// # Errors
    /// If the backward pass fails.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        Ok(self.pass(loss, |_| false)?.0)
    }

    /// [`Parameters::backward`] as the last one through the forward passes that `loss` follows from: networks free what they have kept
    /// for it as soon as it has been used, which takes less memory. A further backward pass through one of them fails.
    ///
    /// # Errors
    /// If the backward pass fails.
    pub fn backward_last(&self, loss: &Tensor) -> Result<Gradients> {
        match &self.handover {
            Some(handover) => handover.with_last(|| self.backward(loss)),
            None => self.backward(loss),
        }
    }

    /// As [`Parameters::backward`], but the gradients of large parameters that `may_be_late` selects may come as rows that are computed
    /// later. They are not among the first result then.
    ///
    /// # Errors
    /// As [`Parameters::backward`].
    pub(crate) fn backward_late(
        &self,
        loss: &Tensor,
        may_be_late: impl Fn(&ParameterName) -> bool,
    ) -> Result<(Gradients, Vec<LateRows>)> {
        self.with_late(|| self.pass(loss, may_be_late))
    }

    /// Calls `work`, forward or backward passes of which gradients may be late.
    pub(crate) fn with_late<R>(&self, work: impl FnOnce() -> R) -> R {
        match &self.handover {
            Some(handover) => handover.with_late(work),
            None => work(),
        }
    }

    fn pass(&self, loss: &Tensor, may_be_late: impl Fn(&ParameterName) -> bool) -> Result<(Gradients, Vec<LateRows>)> {
        // Drops what an earlier pass that failed may have left.
        self.handover.iter().for_each(|handover| drop((handover.take(), handover.take_late())));
        let store = loss.backward()?;
        let mut given = self.handover.as_ref().map_or_else(Vec::new, Handover::take);
        let mut late = Vec::new();
        for gradient in self.handover.iter().flat_map(Handover::take_late) {
            let name_of = |leaf: TensorId| Some(self.entries.iter().find(|(_, tensor)| tensor.id() == leaf)?.0.clone());
            match LateRows::of(&gradient, name_of) {
                Some(rows) if rows.iter().all(|rows| may_be_late(&rows.name)) => late.extend(rows),
                _ => {
                    let mut start = 0;
                    for &(leaf, rows) in gradient.leaves() {
                        given.push((leaf, gradient.rows(start..start + rows)?));
                        start += rows;
                    }
                }
            }
        }
        let mut gradients = self.gradients(&store, given)?;
        self.complete(&mut gradients, &mut late)?;
        Ok((gradients, late))
    }

    /// Adds the late gradients of parameters that have another gradient besides, and leaves the others in `late`.
    fn complete(&self, gradients: &mut Gradients, late: &mut Vec<LateRows>) -> Result<()> {
        let is_alone = |at: usize, name: &ParameterName, late: &[LateRows]| {
            gradients.get(name).is_none()
                && late.iter().enumerate().all(|(other, rows)| other == at || rows.name != *name)
        };
        let (alone, several): (Vec<_>, Vec<_>) = (0..late.len()).partition(|&at| is_alone(at, &late[at].name, late));
        if several.is_empty() {
            return Ok(());
        }
        for at in several {
            let whole = Self::from_iter([(late[at].name.clone(), late[at].whole()?.detach())]);
            *gradients = std::mem::take(gradients).add_scaled(&whole, 1.0)?;
        }
        let in_order = self.entries.keys().filter_map(|name| Some((name.clone(), gradients.get(name)?.clone())));
        *gradients = in_order.collect();
        *late = alone.into_iter().map(|at| late[at].clone()).collect();
        Ok(())
    }

    fn gradients(&self, store: &GradStore, handed_over: Vec<(TensorId, Tensor)>) -> Result<Gradients> {
        let mut given: IndexMap<TensorId, Tensor> = IndexMap::new();
        for (leaf, gradient) in handed_over {
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

    /// The parameters whose name `keep` selects, in order.
    pub fn filter(&self, keep: impl Fn(&ParameterName) -> bool) -> Self {
        let kept = self.entries.iter().filter(|(name, _)| keep(name));
        Self { entries: kept.map(|(name, tensor)| (name.clone(), tensor.clone())).collect(), handover: None }
    }

    /// The parameters for which `rename` returns a name, under that name, in order: for instance those of one network among
    /// those of several.
    pub fn rename(&self, rename: impl Fn(&ParameterName) -> Option<ParameterName>) -> Self {
        let renamed = self.entries.iter().filter_map(|(name, tensor)| Some((rename(name)?, tensor.clone())));
        Self { entries: renamed.collect(), handover: self.handover.clone() }
    }

    /// Replaces the tensors named in `newer`; the order stays.
    pub fn update(&mut self, newer: Self) {
        self.entries.extend(newer.entries);
    }

    /// `self + factor * other`, for the names of both; a tensor that one of them lacks counts as zero.
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

    /// The inner product in f64: the sum over the elements of all tensors whose names both have.
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

    /// Checks that `other` has the same names, shapes and dtypes, as a checkpoint of this network has.
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
