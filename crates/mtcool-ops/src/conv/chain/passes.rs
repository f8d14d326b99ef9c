//! The two passes of a chain, on slices.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::{Result, bail};

use super::parts::{Chain, Kept, Unit};
use crate::arithmetic::Arithmetic;
use crate::conv::input::Input;
use crate::conv::strategy;
use crate::element::Element;
use crate::norm;
use crate::settings::Norm;

/// Scale and shift of each plane.
type Affines<T> = Vec<(T, T)>;

impl Unit {
    fn dims(&self) -> [usize; 4] {
        self.geometry.output_shape().into()
    }
}

impl Chain {
    /// The raised map, if there is one: from the last of `maps` and the first of `parameters`.
    fn raised<T: Element, A: Arithmetic<T>>(&self, maps: &[&[T]], parameters: &[T]) -> Option<Vec<T>> {
        let (raise, low) = (self.raise?, maps.last()?);
        let (kernel, bias) = parameters[..self.units[0].kernel.start].split_at(raise.kernel_len());
        Some(raise.forward::<T, A>(low, kernel, bias))
    }

    /// The input of the first unit.
    fn first_input<'a, T: Element>(&self, maps: &[&'a [T]], raised: Option<&'a [T]>) -> Input<'a, T> {
        let g = &self.units[0].geometry;
        let maps = [maps[0]].into_iter().chain(raised);
        Input::joined(maps.zip(self.parts.iter().copied()).collect(), g.height * g.width)
    }

    /// The input of a further unit: the normalised map of the unit before it.
    fn further_input<'a, T: Element>(&self, unit: &Unit, map: &'a [T], affines: &'a [(T, T)]) -> Input<'a, T> {
        let g = &unit.geometry;
        Input::new(map, g.in_channels, g.height * g.width).normalised(affines, self.norm.activation)
    }

    pub(super) fn forward<T: Element, A: Arithmetic<T>>(&self, maps: &[&[T]], parameters: &[T]) -> Vec<T> {
        let mut kept = Kept::default();
        let mut raised = self.raised::<T, A>(maps, parameters);
        let mut before: Option<(Vec<T>, Affines<T>)> = None;
        for unit in &self.units {
            let input = match &before {
                None => self.first_input(maps, raised.as_deref()),
                Some((map, affines)) => self.further_input(unit, map, affines),
            };
            let kernel = &parameters[unit.kernel.clone()];
            let map = strategy::forward::<T, A>(&unit.geometry, &unit.conv, &input, kernel, None, None);
            let moments = norm::moments(&self.norm, &unit.dims(), &map);
            let affines = norm::affines(&self.norm, &unit.dims(), &moments, &parameters[unit.norm.clone()]);
            raised = None;
            let keeps = self.kept.is_some();
            if let Some((map, _)) = before.replace((map, affines)).filter(|_| keeps) {
                kept.maps.push(T::to_cpu_storage_owned(map));
            }
            let pairs = moments.into_iter().flat_map(|(mean, inverse)| [mean, inverse]);
            kept.moments.push(T::to_cpu_storage_owned(pairs.collect()));
        }
        let Some((map, affines)) = before else { return Vec::new() };
        let output = norm::apply(&affines, self.norm.activation, &map);
        if let Some(place) = &self.kept {
            kept.maps.push(T::to_cpu_storage_owned(map));
            // A forward pass runs once, so the place is free.
            let _ = place.set(kept);
        }
        output
    }

    /// Gradients of `operands`, the maps and, last, the parameters, from the gradient of the output; `None` for operands
    /// that are not `tracked`.
    pub(super) fn backward<T: Element, A: Arithmetic<T>>(
        &self,
        operands: &[&[T]],
        tracked: &[bool],
        grad: &[T],
    ) -> Result<Vec<Option<Vec<T>>>> {
        let Some(kept) = self.kept.as_ref().and_then(|kept| kept.get()) else {
            bail!("{}: the forward pass kept nothing, since no operand was tracked", Self::NAME)
        };
        let (maps, parameters) = operands.split_at(operands.len() - 1);
        let (parameters, trains) = (parameters[0], tracked[maps.len()]);
        let mut of_parameters = if trains { vec![T::zero(); parameters.len()] } else { Vec::new() };
        let mut grad = Cow::Borrowed(grad);
        for (index, unit) in self.units.iter().enumerate().rev() {
            let (map, moments) = (kept.maps[index].as_slice::<T>()?, moments::<T>(kept, index)?);
            let own = &parameters[unit.norm.clone()];
            let (of_map, of_norm) = norm::backward(&self.norm, &unit.dims(), map, &moments, own, &grad);
            grad = Cow::Owned(of_map);
            if trains {
                of_parameters[unit.norm.clone()].copy_from_slice(&of_norm);
            }
            let Some(below) = index.checked_sub(1) else { break };
            let linear = linear_gradient(unit, &grad)?;
            if trains {
                let before = &self.units[below];
                let of_map = affines_of::<T>(kept, below, &self.norm, before, parameters)?;
                let input = self.further_input(unit, kept.maps[below].as_slice::<T>()?, &of_map);
                let of_kernel = kernel_gradient::<T, A>(unit, &input, &linear)?;
                of_parameters[unit.kernel.clone()].copy_from_slice(&of_kernel);
            }
            let kernel = &parameters[unit.kernel.clone()];
            let of_input = strategy::input_gradient::<T, A>(&unit.geometry, kernel, &linear);
            drop(linear);
            grad = Cow::Owned(of_input);
        }
        self.enter::<T, A>(maps, parameters, tracked, grad, of_parameters)
    }

    /// The end of the backward pass, from the gradient of the first convolution's output to those of the operands.
    fn enter<T: Element, A: Arithmetic<T>>(
        &self,
        maps: &[&[T]],
        parameters: &[T],
        tracked: &[bool],
        grad: Cow<'_, [T]>,
        mut of_parameters: Vec<T>,
    ) -> Result<Vec<Option<Vec<T>>>> {
        let (unit, trains) = (&self.units[0], tracked[maps.len()]);
        let linear = linear_gradient(unit, &grad)?;
        if trains {
            let raised = self.raised::<T, A>(maps, parameters);
            let input = self.first_input(maps, raised.as_deref());
            let of_kernel = kernel_gradient::<T, A>(unit, &input, &linear)?;
            of_parameters[unit.kernel.clone()].copy_from_slice(&of_kernel);
        }
        // The raised map's gradient is needed for its kernel, too.
        let needs = |part: usize| tracked[part] || (part == 1 && trains);
        let ranges = self.parts.iter().scan(0, |first, &channels| {
            *first += channels;
            Some(*first - channels..*first)
        });
        let wanted: Vec<(usize, Range<usize>)> = ranges.enumerate().filter(|(part, _)| needs(*part)).collect();
        let mut gradients: Vec<Option<Vec<T>>> = vec![None; maps.len()];
        if !wanted.is_empty() {
            let ranges: Vec<Range<usize>> = wanted.iter().map(|(_, range)| range.clone()).collect();
            let kernel = &parameters[unit.kernel.clone()];
            let of_parts = strategy::input_gradients::<T, A>(&unit.geometry, kernel, &linear, &ranges);
            wanted.iter().zip(of_parts).for_each(|((part, _), gradient)| gradients[*part] = Some(gradient));
        }
        drop(linear);
        drop(grad);
        if let (Some(raise), [_, low]) = (&self.raise, maps)
            && let Some(of_raised) = gradients[1].take()
        {
            let (kernel, _) = parameters[..unit.kernel.start].split_at(raise.kernel_len());
            let wanted = [tracked[1], trains, trains];
            let [of_low, of_kernel, of_bias] = raise.backward::<T, A>((low, kernel), &of_raised, wanted)?;
            gradients[1] = of_low;
            if let (Some(of_kernel), Some(of_bias)) = (of_kernel, of_bias) {
                of_parameters[..unit.kernel.start].copy_from_slice(&[of_kernel, of_bias].concat());
            }
        }
        gradients.push(trains.then_some(of_parameters));
        Ok(gradients)
    }
}

/// Moments of a unit's convolution.
fn moments<T: Element>(kept: &Kept, index: usize) -> Result<Vec<(T, T)>> {
    let pairs = kept.moments[index].as_slice::<T>()?;
    Ok(pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Scale and shift of each plane of a unit's convolution.
fn affines_of<T: Element>(kept: &Kept, index: usize, norm: &Norm, unit: &Unit, parameters: &[T]) -> Result<Affines<T>> {
    Ok(norm::affines(norm, &unit.dims(), &moments::<T>(kept, index)?, &parameters[unit.norm.clone()]))
}

/// The gradient of a unit's convolution in its strategy's layout.
fn linear_gradient<'a, T: Element>(unit: &Unit, grad: &'a [T]) -> Result<Cow<'a, [T]>> {
    if strategy::reorders(T::DTYPE, &unit.geometry, &unit.conv) {
        Ok(Cow::Owned(strategy::map_gradient(&unit.geometry, &unit.conv, None, grad)?))
    } else {
        Ok(Cow::Borrowed(grad))
    }
}

fn kernel_gradient<T: Element, A: Arithmetic<T>>(unit: &Unit, input: &Input<'_, T>, linear: &[T]) -> Result<Vec<T>> {
    let rows = unit.conv.rows.range(unit.geometry.out_channels);
    strategy::kernel_gradient::<T, A>(&unit.geometry, None, input, linear, rows)
}
