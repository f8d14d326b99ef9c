//! [`PassClock`]: how long the forward and backward passes of a problem take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time that passes took.
///
/// On a processor this is the time of their calculation. On a card it is the time until the host has handed them over: the card
/// computes them later, and the host waits where it first reads a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassTimes {
    /// Forward passes, losses included.
    pub forward: Duration,
    /// Backward passes.
    pub backward: Duration,
}

/// Adds up the time of passes. It measures with two readings of the clock per pass, and changes no result.
#[derive(Debug, Default)]
pub(crate) struct PassClock {
    forward: AtomicU64,
    backward: AtomicU64,
}

impl PassClock {
    /// Does the work of a forward pass.
    pub(crate) fn forward<R>(&self, work: impl FnOnce() -> R) -> R {
        timed(&self.forward, work)
    }

    /// Does the work of a backward pass.
    pub(crate) fn backward<R>(&self, work: impl FnOnce() -> R) -> R {
        timed(&self.backward, work)
    }

    /// The times since the last call.
    pub(crate) fn take(&self) -> PassTimes {
        let [forward, backward] =
            [&self.forward, &self.backward].map(|sum| Duration::from_nanos(sum.swap(0, Ordering::Relaxed)));
        PassTimes { forward, backward }
    }
}

fn timed<R>(sum: &AtomicU64, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = work();
    let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    sum.fetch_add(nanoseconds, Ordering::Relaxed);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_added_up_and_taken_once() {
        let clock = PassClock::default();
        let pause = |milliseconds| std::thread::sleep(Duration::from_millis(milliseconds));
        for _ in 0..2 {
            clock.forward(|| pause(10));
        }
        assert_eq!(clock.backward(|| 3), 3);
        let PassTimes { forward, backward } = clock.take();
        assert!(forward >= Duration::from_millis(20) && backward < forward, "{forward:?} {backward:?}");
        assert_eq!(clock.take(), PassTimes::default());
    }
}
