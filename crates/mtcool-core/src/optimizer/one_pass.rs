//! One parameter's update in a single pass over its elements, on the processor.

use candle_core::{DType, Device, Storage, Tensor, WithDType};
use rayon::prelude::*;

use crate::error::Result;
use crate::update::{AdamFactors, AdamRule, MomentumRule, ParameterUpdate, UpdateRule, UpdatedParameter};

/// Elements that a thread takes at a time.
const ELEMENTS_PER_JOB: usize = 16 * 1024;

/// The outcome of `update`, with the bits that candle's operations would give. `None` if a tensor is not on the CPU, not
/// contiguous, not f32 or f64, or of another shape than the parameter.
pub(super) fn in_one_pass(update: &ParameterUpdate<'_>) -> Result<Option<UpdatedParameter>> {
    match (update.parameter.device(), update.parameter.dtype()) {
        (Device::Cpu, DType::F32) => on_slices::<f32>(update),
        (Device::Cpu, DType::F64) => on_slices::<f64>(update),
        _ => Ok(None),
    }
}

fn on_slices<T: Float>(update: &ParameterUpdate<'_>) -> Result<Option<UpdatedParameter>> {
    let parameter = update.parameter;
    let tensors: Vec<&Tensor> = [parameter, update.gradient].into_iter().chain(update.memory).collect();
    let fits = |tensor: &&Tensor| {
        tensor.is_contiguous() && tensor.dims() == parameter.dims() && tensor.dtype() == parameter.dtype()
    };
    if !tensors.iter().all(fits) {
        return Ok(None);
    }
    let storages: Vec<_> = tensors.iter().map(|tensor| tensor.storage_and_layout()).collect();
    let mut slices = Vec::with_capacity(storages.len());
    for (storage, layout) in &storages {
        let Storage::Cpu(storage) = &**storage else { return Ok(None) };
        let from = layout.start_offset();
        slices.push(&storage.as_slice::<T>()?[from..from + layout.shape().elem_count()]);
    }
    let elements = Elements { parameter: slices[0], gradient: slices[1], memory: &slices[2..] };
    let (moved, memory) = match update.rule {
        UpdateRule::Momentum(rule) => elements.momentum(rule, update.rate),
        UpdateRule::Adam(rule) => elements.adam(rule, update.rate),
    };
    let tensor = |values: Vec<T>| Tensor::from_vec(values, parameter.shape(), parameter.device());
    let memory = memory.into_iter().map(tensor).collect::<candle_core::Result<_>>()?;
    Ok(Some(UpdatedParameter { parameter: tensor(moved)?, memory }))
}

/// Everything that an update reads, element by element.
struct Elements<'a, T> {
    parameter: &'a [T],
    gradient: &'a [T],
    memory: &'a [&'a [T]],
}

/// The new values of the parameter, and of the memory.
type Moved<T> = (Vec<T>, Vec<Vec<T>>);

impl<'a, T: Float> Elements<'a, T> {
    fn pairs(&self) -> impl IndexedParallelIterator<Item = (&'a T, &'a T)> {
        self.parameter.par_iter().zip(self.gradient).with_min_len(ELEMENTS_PER_JOB)
    }

    fn momentum(&self, rule: MomentumRule, rate: f64) -> Moved<T> {
        let [rate, momentum, decay] = [rate, rule.momentum, rule.weight_decay].map(T::from_f64);
        let (has_decay, nesterov) = (rule.weight_decay > 0.0, rule.nesterov);
        let direction = |p: T, g: T| if has_decay { g + p * decay } else { g };
        if rule.momentum == 0.0 {
            return (self.pairs().map(|(&p, &g)| p - direction(p, g) * rate).collect(), Vec::new());
        }
        let moved = |p: T, d: T, v: T| {
            let step = if nesterov { d + v * momentum } else { v };
            (p - step * rate, v)
        };
        let (moved, velocity) = match self.memory.first() {
            None => {
                let first = |(&p, &g)| {
                    let d = direction(p, g);
                    moved(p, d, d)
                };
                self.pairs().map(first).unzip()
            }
            Some(&velocity) => {
                let next = |((&p, &g), &v): ((&T, &T), &T)| {
                    let d = direction(p, g);
                    moved(p, d, v * momentum + d)
                };
                self.pairs().zip(velocity).map(next).unzip()
            }
        };
        (moved, vec![velocity])
    }

    fn adam(&self, rule: AdamRule, rate: f64) -> Moved<T> {
        let AdamFactors { kept, rate, root_correction } = rule.factors(rate);
        let [kept, rate, root_correction, eps] = [kept, rate, root_correction, rule.eps].map(T::from_f64);
        let [beta1, new1, beta2, new2] = [rule.beta1, 1.0 - rule.beta1, rule.beta2, 1.0 - rule.beta2].map(T::from_f64);
        let moved = |p: T, first: T, second: T| {
            let step = first / (second.sqrt() * root_correction + eps);
            ((p * kept - step * rate, first), second)
        };
        let ((moved, first), second) = match self.memory {
            [first, second] => {
                let next = |(((&p, &g), &m), &v): (((&T, &T), &T), &T)| {
                    moved(p, m * beta1 + g * new1, v * beta2 + (g * g) * new2)
                };
                self.pairs().zip(*first).zip(*second).map(next).unzip()
            }
            _ => self.pairs().map(|(&p, &g)| moved(p, g * new1, (g * g) * new2)).unzip(),
        };
        (moved, vec![first, second])
    }
}

/// f32 or f64.
trait Float:
    WithDType
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
    fn sqrt(self) -> Self;
}

impl Float for f32 {
    fn sqrt(self) -> Self {
        Self::sqrt(self)
    }
}

impl Float for f64 {
    fn sqrt(self) -> Self {
        Self::sqrt(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::by_operations::by_operations;
    use super::*;

    fn bits(tensor: &Tensor) -> Vec<u64> {
        let values = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        values.into_iter().map(f64::to_bits).collect()
    }

    fn momentum_rule() -> impl Strategy<Value = UpdateRule> {
        let decay = prop_oneof![Just(0.0), 1e-4f64..0.1];
        (prop_oneof![Just(0.0), 0.1f64..0.99], any::<bool>(), decay).prop_map(|(momentum, nesterov, weight_decay)| {
            UpdateRule::Momentum(MomentumRule { momentum, nesterov, weight_decay })
        })
    }

    fn adam_rule() -> impl Strategy<Value = UpdateRule> {
        let betas = (prop_oneof![Just(0.0), 0.5f64..0.99], 0.5f64..0.9999);
        (betas, prop_oneof![Just(0.0), 1e-4f64..0.1], 1u64..2000).prop_map(|((beta1, beta2), weight_decay, step)| {
            UpdateRule::Adam(AdamRule { beta1, beta2, eps: 1e-8, weight_decay, step })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_pass_has_the_bits_of_many(
            values in prop::collection::vec([-2.0f64..2.0, -2.0f64..2.0, -2.0f64..2.0, 0.0f64..2.0], 1..40),
            rule in prop_oneof![momentum_rule(), adam_rule()],
            rate in 1e-3f64..1.0,
            is_first: bool,
            is_double: bool,
        ) {
            let dtype = if is_double { DType::F64 } else { DType::F32 };
            let tensor = |column: usize| {
                let picked: Vec<f64> = values.iter().map(|row| row[column]).collect();
                Tensor::new(picked, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
            };
            let [parameter, gradient, first, second] = [0, 1, 2, 3].map(tensor);
            // A part of a larger gradient, as a network's own backward pass may give it.
            let count = values.len();
            let gradient = Tensor::cat(&[&first, &gradient], 0).unwrap().narrow(0, count, count).unwrap();
            let memory = match rule {
                _ if is_first => vec![],
                UpdateRule::Momentum(_) => vec![first],
                UpdateRule::Adam(_) => vec![first, second],
            };
            let update = ParameterUpdate { rule, rate, parameter: &parameter, gradient: &gradient, memory: &memory };
            let got = in_one_pass(&update).unwrap().unwrap();
            let want = by_operations(&update).unwrap();
            prop_assert_eq!(bits(&got.parameter), bits(&want.parameter));
            let all = |memory: &[Tensor]| memory.iter().map(bits).collect::<Vec<_>>();
            prop_assert_eq!(all(&got.memory), all(&want.memory));
        }
    }
}
