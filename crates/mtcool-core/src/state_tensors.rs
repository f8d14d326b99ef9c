//! Named tensors that a method keeps between steps, as they go into checkpoints.

use candle_core::{DType, Device, Tensor};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::parameter_name::ParameterName;

/// Tensors by name, in the order they were first inserted. What belongs to one parameter is called `{slot}.{parameter}`, such
/// as `velocity.theta.0.conv1.weight`. Cloning is cheap: tensors share their storage.
#[derive(Clone, Debug, Default)]
pub struct StateTensors {
    entries: IndexMap<String, Tensor>,
}

impl StateTensors {
    /// No tensors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the tensor called `name`.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.entries.insert(name.into(), tensor);
    }

    /// The tensor called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.get(name)
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same tensors and those of `others`, which get the names `{prefix}.{name}`.
    #[must_use]
    pub fn with_all(mut self, prefix: &str, others: &Self) -> Self {
        self.entries.extend(others.iter().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor.clone())));
        self
    }

    /// The tensors called `{prefix}.{name}`, under `name`, and the other ones: the reverse of [`StateTensors::with_all`].
    pub fn split(self, prefix: &str) -> (Self, Self) {
        let (mut of_prefix, mut others) = (Self::new(), Self::new());
        for (name, tensor) in self.entries {
            match name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) {
                Some(rest) => of_prefix.insert(rest, tensor),
                None => others.insert(name, tensor),
            }
        }
        (of_prefix, others)
    }

    /// Checks that there are none, for a method that keeps no tensors.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming the first tensor.
    pub fn expect_none(&self) -> Result<()> {
        match self.entries.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::Mismatch {
                what: "method state".into(),
                expected: "no tensors".into(),
                got: format!("`{name}`: the state of another method"),
            }),
        }
    }

    /// The tensor in `slot` of the parameter `name`, if there is one.
    pub fn of_parameter(&self, slot: &str, name: &ParameterName) -> Option<&Tensor> {
        self.get(&format!("{slot}.{name}"))
    }

    /// Adds or replaces the tensor in `slot` of the parameter `name`.
    pub fn insert_for(&mut self, slot: &str, name: &ParameterName, tensor: Tensor) {
        self.insert(format!("{slot}.{name}"), tensor);
    }

    /// The count in `slot` of the parameter `name`; 0 if there is none. Counts are scalars of dtype i64 on the CPU, so that
    /// reading one never waits for another device.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the tensor in that slot is no count.
    pub fn count(&self, slot: &str, name: &ParameterName) -> Result<u64> {
        let Some(tensor) = self.of_parameter(slot, name) else { return Ok(0) };
        let count = match (tensor.rank(), tensor.dtype()) {
            (0, DType::I64) => tensor.to_device(&Device::Cpu)?.to_scalar::<i64>()?,
            _ => -1,
        };
        u64::try_from(count).map_err(|_| Error::Mismatch {
            what: format!("`{slot}.{name}` in the state of the method"),
            expected: "a count: a scalar of dtype i64, at least 0".into(),
            got: format!("{:?} {:?}", tensor.dtype(), tensor.dims()),
        })
    }

    /// Sets the count in `slot` of the parameter `name`.
    ///
    /// # Errors
    /// If the tensor cannot be made.
    pub fn set_count(&mut self, slot: &str, name: &ParameterName, count: u64) -> Result<()> {
        self.insert_for(slot, name, Tensor::new(count as i64, &Device::Cpu)?);
        Ok(())
    }

    /// Checks that every tensor is in one of `slots`, and that every parameter that is in one of them is in all.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming the first tensor that does not belong or is missing.
    pub fn check_slots(&self, slots: &[&str]) -> Result<()> {
        let mismatch = |got: String| {
            let what = "state of the optimiser".into();
            let expected = match slots {
                [] => "no tensors, since this optimiser keeps none".to_owned(),
                slots => format!("tensors called {} for every parameter", described(slots)),
            };
            Err(Error::Mismatch { what, expected, got })
        };
        for name in self.entries.keys() {
            let Some((_, parameter)) = name.split_once('.').filter(|(slot, _)| slots.contains(slot)) else {
                return mismatch(format!("`{name}`: the state of another optimiser"));
            };
            let mut names = slots.iter().map(|slot| format!("{slot}.{parameter}"));
            if let Some(missing) = names.find(|name| !self.entries.contains_key(name)) {
                return mismatch(format!("`{name}` without `{missing}`"));
            }
        }
        Ok(())
    }
}

/// `velocity.*` and the like.
fn described(slots: &[&str]) -> String {
    let names: Vec<String> = slots.iter().map(|slot| format!("`{slot}.*`")).collect();
    names.join(", ")
}

impl FromIterator<(String, Tensor)> for StateTensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}
