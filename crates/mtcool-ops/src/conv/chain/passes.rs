//! The two passes of a chain, on slices.

use std::ops::Range;

use candle_core::{Result, bail};

use super::parts::{Chain, Kept, Unit};
use crate::arithmetic::Arithmetic;
use crate::conv::input::Input;
use crate::conv::strategy;
use crate::element::Element;
use crate::norm;

/// The output of a convolution, with what its normalisation makes of it.
struct Normalised<T> {
    map: Vec<T>,
    /// Mean and inverse deviation of each set.
    moments: Vec<(T, T)>,
    /// Scale and shift of each plane.
    affines: Vec<(T, T)>,
}

/// Gradients behind a unit's convolution.
pub(super) struct Left<T> {
    /// Of the convolution's output.
    of_map: Vec<T>,
    /// Of weight and bias of the normalisation.
    of_norm: Vec<T>,
}

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
        let mut raised = self.raised::<T, A>(maps, parameters);
        let mut before: Option<Normalised<T>> = None;
        for unit in &self.units {
            let input = match &before {
                None => self.first_input(maps, raised.as_deref()),
                Some(before) => self.further_input(unit, &before.map, &before.affines),
            };
            let kernel = &parameters[unit.kernel.clone()];
            let map = strategy::forward::<T, A>(&unit.geometry, &unit.conv, &input, kernel, None, None);
            raised = None;
            if let Some(before) = before.take() {
                self.keep(before.map, &before.moments);
            }
            let moments = norm::moments(&self.norm, &unit.dims(), &map);
            let affines = norm::affines(&self.norm, &unit.dims(), &moments, &parameters[unit.norm.clone()]);
            before = Some(Normalised { map, moments, affines });
        }
        let Some(Normalised { mut map, moments, affines }) = before else { return Vec::new() };
        if self.kept.is_none() {
            norm::apply_in_place(&affines, self.norm.activation, &mut map);
            return map;
        }
        let output = norm::apply(&affines, self.norm.activation, &map);
        self.keep(map, &moments);
        output
    }

    /// Of the last unit in `kept`, which is removed, the gradient of its convolution's output, and of its normalisation's
    /// parameters.
    pub(super) fn through_norm<T: Element>(
        &self,
        kept: &mut Vec<Kept>,
        parameters: &[T],
        grad: &[T],
    ) -> Result<Left<T>> {
        let index = kept.len().saturating_sub(1);
        let (unit, Some(last)) = (&self.units[index], kept.pop()) else {
            bail!("{}: a unit of which nothing is kept", Self::NAME)
        };
        let (own, dims, moments) = (&parameters[unit.norm.clone()], unit.dims(), last.moments::<T>()?);
        match last.into_map::<T>()? {
            Ok(mut map) => {
                let of_norm = norm::backward_in_place(&self.norm, &dims, &mut map, &moments, own, grad);
                Ok(Left { of_map: map, of_norm })
            }
            Err(last) => {
                let (of_map, of_norm) = norm::backward(&self.norm, &dims, last.map::<T>()?, &moments, own, grad);
                Ok(Left { of_map, of_norm })
            }
        }
    }

    /// Gradients of `operands`, the maps and, last, the parameters; `None` for operands that are not `tracked`. `kept` is what is kept
    /// of the units before the last one, and `last` what [`Self::through_norm`] computed for it.
    pub(super) fn backward<T: Element, A: Arithmetic<T>>(
        &self,
        operands: &[&[T]],
        tracked: &[bool],
        mut kept: Vec<Kept>,
        last: Left<T>,
    ) -> Result<Vec<Option<Vec<T>>>> {
        let (maps, parameters) = operands.split_at(operands.len() - 1);
        let (parameters, trains) = (parameters[0], tracked[maps.len()]);
        let mut of_parameters = if trains { vec![T::zero(); parameters.len()] } else { Vec::new() };
        let mut left = last;
        for unit in self.units.iter().rev() {
            let Left { of_map, of_norm } = left;
            if trains {
                of_parameters[unit.norm.clone()].copy_from_slice(&of_norm);
            }
            let Some(before) = kept.last() else {
                return self.enter::<T, A>(maps, parameters, tracked, of_map, of_parameters);
            };
            let linear = linear_gradient(unit, of_map)?;
            if trains {
                let below = &self.units[kept.len() - 1];
                let own = &parameters[below.norm.clone()];
                let affines = norm::affines(&self.norm, &below.dims(), &before.moments::<T>()?, own);
                let input = self.further_input(unit, before.map::<T>()?, &affines);
                let of_kernel = kernel_gradient::<T, A>(unit, &input, &linear)?;
                of_parameters[unit.kernel.clone()].copy_from_slice(&of_kernel);
            }
            let kernel = &parameters[unit.kernel.clone()];
            let of_input = strategy::input_gradient::<T, A>(&unit.geometry, kernel, &linear);
            drop(linear);
            left = self.through_norm(&mut kept, parameters, &of_input)?;
        }
        bail!("{}: no units", Self::NAME)
    }

    /// The end of the backward pass, from the gradient of the first convolution's output to those of the operands.
    fn enter<T: Element, A: Arithmetic<T>>(
        &self,
        maps: &[&[T]],
        parameters: &[T],
        tracked: &[bool],
        grad: Vec<T>,
        mut of_parameters: Vec<T>,
    ) -> Result<Vec<Option<Vec<T>>>> {
        let (unit, trains) = (&self.units[0], tracked[maps.len()]);
        let linear = linear_gradient(unit, grad)?;
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
        if let (Some(raise), [_, low]) = (&self.raise, maps)
            && let Some(of_raised) = gradients[1].take()
        {
            let (kernel, _) = parameters[..unit.kernel.start].split_at(raise.kernel_len());
            let wanted = [tracked[1], trains, trains];
            let [of_low, of_kernel, of_bias] = raise.backward::<T, A>((low, kernel), of_raised, wanted)?;
            gradients[1] = of_low;
            if let (Some(of_kernel), Some(of_bias)) = (of_kernel, of_bias) {
                of_parameters[..unit.kernel.start].copy_from_slice(&[of_kernel, of_bias].concat());
            }
        }
        gradients.push(trains.then_some(of_parameters));
        Ok(gradients)
    }
}

/// The gradient of a unit's convolution in its strategy's layout.
fn linear_gradient<T: Element>(unit: &Unit, grad: Vec<T>) -> Result<Vec<T>> {
    if strategy::reorders(T::DTYPE, &unit.geometry, &unit.conv) {
        strategy::map_gradient(&unit.geometry, &unit.conv, None, &grad)
    } else {
        Ok(grad)
    }
}

fn kernel_gradient<T: Element, A: Arithmetic<T>>(unit: &Unit, input: &Input<'_, T>, linear: &[T]) -> Result<Vec<T>> {
    let rows = unit.conv.rows.range(unit.geometry.out_channels);
    strategy::kernel_gradient::<T, A>(&unit.geometry, None, input, linear, rows)
}
