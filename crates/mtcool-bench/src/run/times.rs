//! Measures where the time of a step goes. It reads clocks and changes no result.

use std::time::{Duration, Instant};

use mtcool_core::{Batch, BatchSource, PassTimes, Result};

use crate::record::EpochTimes;

/// A source of batches that measures how long the method waits for them.
pub(super) struct TimedBatches<'a> {
    batches: &'a mut dyn BatchSource,
    waited: Duration,
}

impl<'a> TimedBatches<'a> {
    pub(super) fn new(batches: &'a mut dyn BatchSource) -> Self {
        Self { batches, waited: Duration::ZERO }
    }

    /// Adds a step that took `whole`, `passes` of it for forward and backward passes, to `times`.
    pub(super) fn add_step(&self, whole: Duration, passes: PassTimes, times: &mut EpochTimes) {
        let PassTimes { forward, backward } = passes;
        times.data += self.waited.as_secs_f64();
        times.forward += forward.as_secs_f64();
        times.backward += backward.as_secs_f64();
        times.method += whole.saturating_sub(self.waited + forward + backward).as_secs_f64();
    }

    fn timed<R>(&mut self, next: impl FnOnce(&mut dyn BatchSource) -> R) -> R {
        let started = Instant::now();
        let result = next(self.batches);
        self.waited += started.elapsed();
        result
    }
}

impl BatchSource for TimedBatches<'_> {
    fn next(&mut self, task: usize) -> Result<Batch> {
        self.timed(|batches| batches.next(task))
    }

    fn next_all(&mut self, tasks: usize) -> Result<Vec<Batch>> {
        self.timed(|batches| batches.next_all(tasks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use mtcool_core::batches;

    #[test]
    fn what_is_neither_data_nor_a_pass_belongs_to_the_method() {
        let pause = Duration::from_millis(20);
        let mut slow = batches::from_fn(|_| {
            std::thread::sleep(pause);
            let input = Tensor::new(&[0f32], &Device::Cpu)?;
            Ok::<_, candle_core::Error>(Batch { target: input.clone(), input })
        });
        let mut timed = TimedBatches::new(&mut slow);
        timed.next(0).unwrap();
        timed.next_all(2).unwrap();
        let passes = PassTimes { forward: pause, backward: 2 * pause };
        let mut times = EpochTimes::default();
        timed.add_step(50 * pause, passes, &mut times);
        assert!(times.data >= 0.06 && times.forward == 0.02 && times.backward == 0.04, "{times:?}");
        assert!((times.total() - 1.0).abs() < 1e-9, "{times:?}");
        // Clocks are read one after the other, so their sum may be longer than the step.
        timed.add_step(pause, passes, &mut times);
        assert!(times.method > 0.0 && times.method < 1.0, "{times:?}");
    }
}
