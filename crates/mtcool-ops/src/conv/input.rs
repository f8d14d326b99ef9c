//! The input of a convolution: maps joined along the channels, either as they are or normalised while they are read.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::element::Element;
use crate::memory::{initialised, room_of};
use crate::norm::Affine;
use crate::settings::Activation;

/// A map `[B, C, H, W]` whose channels may come from several tensors, and which may be normalised while it is read.
#[derive(Clone)]
pub(super) struct Input<'a, T> {
    /// Maps `[B, C_i, H, W]` and their channels.
    parts: Vec<(&'a [T], usize)>,
    channels: usize,
    /// Pixels of a plane, H W.
    pixels: usize,
    /// Scale and shift of each plane, and the activation after them.
    normalised: Option<(&'a [(T, T)], Activation)>,
}

impl<'a, T: Element> Input<'a, T> {
    /// One map, as it is.
    pub(super) fn new(map: &'a [T], channels: usize, pixels: usize) -> Self {
        Self::joined(vec![(map, channels)], pixels)
    }

    /// Maps joined along the channels, each with its number of channels.
    pub(super) fn joined(parts: Vec<(&'a [T], usize)>, pixels: usize) -> Self {
        Self { channels: parts.iter().map(|part| part.1).sum(), parts, pixels, normalised: None }
    }

    /// `activation(scale x + shift)`, with (scale, shift) of each of the `B C` planes.
    pub(super) fn normalised(self, affine: &'a [(T, T)], activation: Activation) -> Self {
        Self { normalised: Some((affine, activation)), ..self }
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn batch(&self) -> usize {
        let (map, channels) = self.parts[0];
        map.len() / (channels * self.pixels).max(1)
    }

    /// The elements, if the input is a single map that is read as it is.
    pub(super) fn as_slice(&self) -> Option<&'a [T]> {
        match (&self.parts[..], self.normalised) {
            (&[(map, _)], None) => Some(map),
            _ => None,
        }
    }

    /// Elements `range` of plane `channel` of sample `sample`; where they are normalised, `buffer` holds the result.
    pub(super) fn row<'b>(
        &'b self,
        sample: usize,
        channel: usize,
        range: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        let source = &self.plane(sample, channel)[range];
        let Some((affine, activation)) = self.normalised else { return source };
        let (scale, shift) = affine[sample * self.channels + channel];
        // SAFETY: `Affine::apply` writes values only.
        Affine::apply(source, scale, shift, activation, unsafe { room_of(buffer) });
        buffer
    }

    /// Writes elements `range` of plane `channel` of sample `sample` to all of `target`.
    ///
    /// # Panics
    /// If `target` has another length than `range`.
    pub(super) fn read(&self, sample: usize, channel: usize, range: Range<usize>, target: &mut [MaybeUninit<T>]) {
        let source = &self.plane(sample, channel)[range];
        match self.normalised {
            None => {
                target.write_copy_of_slice(source);
            }
            Some((affine, activation)) => {
                let (scale, shift) = affine[sample * self.channels + channel];
                Affine::apply(source, scale, shift, activation, target);
            }
        }
    }

    /// A plane, as it is.
    fn plane(&self, sample: usize, channel: usize) -> &'a [T] {
        let mut within = channel;
        for &(map, channels) in &self.parts {
            if within < channels {
                return &map[(sample * channels + within) * self.pixels..][..self.pixels];
            }
            within -= channels;
        }
        &[]
    }

    /// The whole input as one map.
    pub(super) fn dense(&self) -> Cow<'a, [T]> {
        if let Some(map) = self.as_slice() {
            return Cow::Borrowed(map);
        }
        let write = |dense: &mut [MaybeUninit<T>]| {
            dense.par_chunks_mut(self.pixels).enumerate().for_each(|(plane, target)| {
                self.read(plane / self.channels, plane % self.channels, 0..self.pixels, target);
            });
        };
        // SAFETY: the length is a multiple of a plane's, and `read` writes each plane whole.
        Cow::Owned(unsafe { initialised(self.batch() * self.channels * self.pixels, write) })
    }
}
