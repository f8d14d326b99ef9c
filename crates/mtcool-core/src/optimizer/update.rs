//! One parameter's update in a single pass over its elements.

use candle_core::{DType, Device, Storage, Tensor, WithDType};
use rayon::prelude::*;

use super::Sgd;
use crate::error::Result;

/// Elements a thread takes at a time.
const ELEMENTS_A_JOB: usize = 16 * 1024;

impl Sgd {
    /// The parameter's new value and velocity; the latter only with momentum.
    pub(super) fn update(
        self,
        parameter: &Tensor,
        gradient: &Tensor,
        velocity: Option<&Tensor>,
        rate: f64,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let in_one_pass = match (parameter.device(), parameter.dtype()) {
            (Device::Cpu, DType::F32) => self.on_slices::<f32>(parameter, &gradient, velocity, rate)?,
            (Device::Cpu, DType::F64) => self.on_slices::<f64>(parameter, &gradient, velocity, rate)?,
            _ => None,
        };
        match in_one_pass {
            Some(moved) => Ok(moved),
            None => self.on_tensors(parameter, &gradient, velocity, rate),
        }
    }

    /// By candle's operations, one pass each: other devices, and the twin of the single pass.
    pub(super) fn on_tensors(
        self,
        parameter: &Tensor,
        gradient: &Tensor,
        velocity: Option<&Tensor>,
        rate: f64,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let mut direction = gradient.clone();
        if self.weight_decay > 0.0 {
            direction = (direction + (parameter * self.weight_decay)?)?;
        }
        if self.momentum > 0.0
            && let Some(velocity) = velocity
        {
            direction = ((velocity * self.momentum)? + direction)?;
        }
        Ok(((parameter - (&direction * rate)?)?, (self.momentum > 0.0).then_some(direction)))
    }

    /// On contiguous tensors of one shape; `None` for others.
    fn on_slices<T: Real>(
        self,
        parameter: &Tensor,
        gradient: &Tensor,
        velocity: Option<&Tensor>,
        rate: f64,
    ) -> Result<Option<(Tensor, Option<Tensor>)>> {
        let tensors = [Some(parameter), Some(gradient), velocity];
        let fits = |tensor: &&Tensor| {
            tensor.is_contiguous() && tensor.dims() == parameter.dims() && tensor.dtype() == parameter.dtype()
        };
        if !tensors.iter().flatten().all(fits) {
            return Ok(None);
        }
        let storages = tensors.map(|tensor| tensor.map(Tensor::storage_and_layout));
        let slices = storages.each_ref().map(|storage| match storage {
            Some((storage, layout)) => match &**storage {
                Storage::Cpu(storage) => {
                    let from = layout.start_offset();
                    storage.as_slice::<T>().map(|all| Some(&all[from..from + layout.shape().elem_count()]))
                }
                _ => Ok(None),
            },
            None => Ok(None),
        });
        let [parameters, gradients, velocities] = slices;
        let (Some(parameters), Some(gradients), velocities) = (parameters?, gradients?, velocities?) else {
            return Ok(None);
        };
        let [rate, momentum, decay] = [rate, self.momentum, self.weight_decay].map(T::from_f64);
        let has_decay = self.weight_decay > 0.0;
        let direction = |p: T, g: T| if has_decay { g + p * decay } else { g };
        let pairs = parameters.par_iter().zip(gradients).with_min_len(ELEMENTS_A_JOB);
        let tensor = |values: Vec<T>| Tensor::from_vec(values, parameter.shape(), parameter.device());
        if self.momentum == 0.0 {
            let moved = pairs.map(|(&p, &g)| p - direction(p, g) * rate).collect();
            return Ok(Some((tensor(moved)?, None)));
        }
        let (moved, velocity): (Vec<T>, Vec<T>) = match velocities {
            None => pairs.map(|(&p, &g)| (p - direction(p, g) * rate, direction(p, g))).unzip(),
            Some(velocities) => pairs
                .zip(velocities)
                .map(|((&p, &g), &v)| {
                    let v = v * momentum + direction(p, g);
                    (p - v * rate, v)
                })
                .unzip(),
        };
        Ok(Some((tensor(moved)?, Some(tensor(velocity)?))))
    }
}

/// f32 or f64.
trait Real: WithDType + std::ops::Mul<Output = Self> + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> {}

impl Real for f32 {}
impl Real for f64 {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(tensor: &Tensor) -> Vec<u64> {
        let values = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        values.into_iter().map(f64::to_bits).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_pass_has_the_bits_of_many(
            values in prop::collection::vec((-2.0f64..2.0, -2.0f64..2.0, -2.0f64..2.0), 1..40),
            momentum in prop_oneof![Just(0.0), 0.1f64..0.99],
            weight_decay in prop_oneof![Just(0.0), 1e-4f64..0.1],
            rate in 1e-3f64..1.0,
            has_velocity: bool,
            is_double: bool,
        ) {
            let dtype = if is_double { DType::F64 } else { DType::F32 };
            let tensor = |pick: fn(&(f64, f64, f64)) -> f64| {
                let picked: Vec<f64> = values.iter().map(pick).collect();
                Tensor::new(picked, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
            };
            let (parameter, gradient, velocity) = (tensor(|v| v.0), tensor(|v| v.1), tensor(|v| v.2));
            // A part of a larger gradient, as a network's own backward pass may give it.
            let count = values.len();
            let gradient = Tensor::cat(&[&velocity, &gradient], 0).unwrap().narrow(0, count, count).unwrap();
            let velocity = has_velocity.then_some(&velocity);
            let sgd = Sgd { momentum, weight_decay };
            let (moved, direction) = sgd.update(&parameter, &gradient, velocity, rate).unwrap();
            let (want, want_direction) = sgd.on_tensors(&parameter, &gradient, velocity, rate).unwrap();
            prop_assert_eq!(bits(&moved), bits(&want));
            prop_assert_eq!(direction.as_ref().map(bits), want_direction.as_ref().map(bits));
        }
    }
}
