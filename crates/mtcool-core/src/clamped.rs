//! How much of theta the clamp of MT-COOL moves, counted layer by layer.

use candle_core::{DType, Tensor};

use crate::error::Result;
use crate::parameters::Parameters;

/// What the clamp did to one layer of one task's theta in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClampedLayer {
    /// The task that owns the layer, counted from 0.
    pub task: usize,
    /// The layer's name without the role of the parameter, such as `conv1` for `conv1.weight` and `conv1.bias`.
    pub layer: String,
    /// Number of elements that the clamp moved, added up over the updates of the step.
    pub moved: u64,
    /// Number of elements that were clamped, whether or not they moved, added up in the same way.
    pub elements: u64,
}

/// The counts of a step. They stay on the device of the parameters until all of them are read at once.
#[derive(Default)]
pub(crate) struct ClampCounts {
    /// Task, layer and number of elements of each count.
    of: Vec<(usize, String, u64)>,
    /// Number of elements that moved, scalars of U32.
    moved: Vec<Tensor>,
}

impl ClampCounts {
    /// Adds an update: `parameters` before the clamp, and `clamped`, the parameters that were clamped, after it.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub(crate) fn add(&mut self, parameters: &Parameters, clamped: &Parameters) -> Result<()> {
        for (name, after) in clamped.iter() {
            let Some(before) = parameters.get(name) else { continue };
            let layer = name.layer.rsplit_once('.').map_or(&*name.layer, |(layer, _)| layer);
            self.moved.push(before.ne(after)?.to_dtype(DType::U32)?.sum_all()?);
            self.of.push((name.task, layer.to_owned(), after.elem_count() as u64));
        }
        Ok(())
    }

    /// The counts by layer, in the order in which the layers were first added; `None` if nothing was clamped.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub(crate) fn read(self) -> Result<Option<Vec<ClampedLayer>>> {
        if self.moved.is_empty() {
            return Ok(None);
        }
        let mut layers: Vec<ClampedLayer> = Vec::new();
        let moved = Tensor::stack(&self.moved, 0)?.to_vec1::<u32>()?;
        for ((task, layer, elements), moved) in self.of.into_iter().zip(moved) {
            let moved = u64::from(moved);
            match layers.iter_mut().find(|known| known.task == task && known.layer == layer) {
                Some(known) => {
                    known.moved += moved;
                    known.elements += elements;
                }
                None => layers.push(ClampedLayer { task, layer, moved, elements }),
            }
        }
        Ok(Some(layers))
    }
}
