//! Updates of parameters, each in one kernel.

use candle_core::{CudaDevice, Result, WithDType};
use cudarc::driver::{CudaSlice, CudaView};

use super::Real;
use super::launch::{Module, launch, module, threads};
use crate::settings::SgdStep;

const MODULE: Module = module!("update");

/// The parameter's new value and its velocity; the latter is empty without momentum.
pub(crate) fn sgd<T: Real>(
    device: &CudaDevice,
    step: SgdStep,
    [parameter, gradient]: [&CudaView<'_, T>; 2],
    velocity: Option<&CudaView<'_, T>>,
) -> Result<[CudaSlice<T>; 2]> {
    let count = parameter.len();
    assert!(gradient.len() == count && velocity.is_none_or(|velocity| velocity.len() == count), "sgd: sizes");
    let [rate, momentum, decay] = [step.rate, step.momentum, step.weight_decay].map(<T as WithDType>::from_f64);
    let keeps = i32::from(step.momentum > 0.0);
    let has_velocity = if velocity.is_some() { keeps } else { 0 };
    // Without a velocity the kernel does not read this argument.
    let velocity = velocity.unwrap_or(parameter);
    // SAFETY: the kernel's parameters; every element of what is kept is written.
    unsafe {
        let mut moved = device.alloc::<T>(count)?;
        let mut kept = device.alloc::<T>(if keeps == 1 { count } else { 1 })?;
        launch!(
            device,
            MODULE,
            "sgd",
            T,
            threads(count)?,
            [
                parameter,
                gradient,
                velocity,
                &mut moved,
                &mut kept,
                &rate,
                &momentum,
                &decay,
                &has_velocity,
                &keeps,
                &count
            ]
        );
        Ok([moved, kept])
    }
}

/// `x` within `bound` of `center`.
pub(crate) fn clamp_around<T: Real>(
    device: &CudaDevice,
    (x, center): (&CudaView<'_, T>, &CudaView<'_, T>),
    bound: f64,
) -> Result<CudaSlice<T>> {
    let (count, bound) = (x.len(), <T as WithDType>::from_f64(bound));
    assert_eq!(center.len(), count, "clamp: sizes");
    // SAFETY: the kernel's parameters; every element is written.
    unsafe {
        let mut y = device.alloc::<T>(count)?;
        launch!(device, MODULE, "clamp_around", T, threads(count)?, [x, center, &mut y, &bound, &count]);
        Ok(y)
    }
}
