//! One parameter's update, by the fastest way that its device has.

use candle_core::Tensor;

use super::by_operations::by_operations;
use super::interface::OptimizerInputs;
use super::one_pass::in_one_pass;
use crate::error::Result;
use crate::parameter_name::ParameterName;
use crate::state_tensors::StateTensors;
use crate::update::{ParameterUpdate, UpdateRule};

/// Moves the parameter `name` along `gradient` by `rule`: its new value. `slots` of the state hold the rule's memory.
pub(super) fn update_parameter(
    inputs: &OptimizerInputs<'_>,
    state: &mut StateTensors,
    slots: &[&str],
    (name, gradient): (&ParameterName, &Tensor),
    rule: UpdateRule,
) -> Result<Tensor> {
    let (parameter, gradient) = (inputs.parameter(name)?, gradient.contiguous()?);
    // A state from a checkpoint may still lie on another device.
    let memory = slots.iter().filter_map(|slot| state.of_parameter(slot, name));
    let memory = memory.map(|tensor| tensor.to_device(parameter.device()));
    let memory = memory.collect::<candle_core::Result<Vec<_>>>()?;
    let update =
        ParameterUpdate { rule, rate: inputs.rate, parameter: &parameter, gradient: &gradient, memory: &memory };
    let updated = match inputs.kernels.and_then(|kernels| kernels.update(&update)) {
        Some(updated) => updated?,
        None => match in_one_pass(&update)? {
            Some(updated) => updated,
            None => by_operations(&update)?,
        },
    };
    for (slot, tensor) in slots.iter().zip(updated.memory) {
        state.insert_for(slot, name, tensor);
    }
    Ok(updated.parameter)
}
