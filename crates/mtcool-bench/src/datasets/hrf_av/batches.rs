//! Standardised training patches for two tasks on the same image.

use std::collections::VecDeque;

use mtcool_core::{Batch, BatchSource, Error};
use mtcool_data::hrf_av::Patches;

use super::standard::Standard;

/// The batches of both tasks. Batch n has the same patches for both tasks; it is kept until both tasks have taken it.
pub(super) struct PatchBatches {
    patches: Patches,
    standard: Standard,
    waiting: VecDeque<[Batch; 2]>,
    /// Number of batches in `waiting` that each task has taken.
    taken: [usize; 2],
}

impl PatchBatches {
    pub(super) fn new(patches: Patches, standard: Standard) -> Self {
        Self { patches, standard, waiting: VecDeque::new(), taken: [0; 2] }
    }

    fn read(&mut self) -> Result<[Batch; 2], Box<dyn std::error::Error + Send + Sync>> {
        let sample = self.patches.next()?;
        let input = self.standard.batch(&sample.inputs)?;
        let target = |task: usize| sample.targets.narrow(1, task, 1)?.squeeze(1)?.contiguous();
        Ok([Batch { input: input.clone(), target: target(0)? }, Batch { input, target: target(1)? }])
    }
}

impl BatchSource for PatchBatches {
    fn next(&mut self, task: usize) -> mtcool_core::Result<Batch> {
        while self.waiting.len() <= self.taken[task] {
            let batch = self.read().map_err(|source| Error::Batch { task, source })?;
            self.waiting.push_back(batch);
        }
        let Batch { input, target } = &self.waiting[self.taken[task]][task];
        let batch = Batch { input: input.clone(), target: target.clone() };
        self.taken[task] += 1;
        while self.taken.iter().all(|&taken| taken > 0) {
            self.waiting.pop_front();
            self.taken = self.taken.map(|taken| taken - 1);
        }
        Ok(batch)
    }
}
