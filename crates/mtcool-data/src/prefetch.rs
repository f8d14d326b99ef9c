//! Values made ahead by threads of their own and handed out in order.

use std::sync::mpsc::{Receiver, sync_channel};

use crate::error::{Error, Result};

/// The endless sequence `make(first)`, `make(first + 1)`, ..., computed ahead.
///
/// Worker w of W makes every W-th value and hands it out through a channel of its own, so the order is that of the positions
/// whatever the timing.
pub(crate) struct Prefetch<T> {
    workers: Vec<Receiver<Result<T>>>,
    position: u64,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts `workers` threads, each with a `make` of its own that keeps up to `ahead` finished values waiting.
    pub(crate) fn new<M>(workers: usize, ahead: usize, first: u64, make: M) -> Self
    where
        M: FnMut(u64) -> Result<T> + Clone + Send + 'static,
    {
        let count = workers.max(1) as u64;
        let start = |worker: u64| {
            let (sender, receiver) = sync_channel(ahead);
            let mut make = make.clone();
            std::thread::spawn(move || {
                // A pool of its own: whoever waits for a value may be the only worker of the global one.
                let _pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
                // The worker whose turn `first` is.
                let mut position = first + (worker + count - first % count) % count;
                // The receiver is gone when its owner is dropped; that ends the thread.
                while sender.send(make(position)).is_ok() {
                    position += count;
                }
            });
            receiver
        };
        Self { workers: (0..count).map(start).collect(), position: first }
    }

    /// The next value, waiting for it if it is not ready.
    pub(crate) fn next(&mut self) -> Result<T> {
        let worker = (self.position % self.workers.len() as u64) as usize;
        self.position += 1;
        self.workers[worker].recv().map_err(|_| Error::LoaderGone)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_come_in_order_from_any_position_whatever_the_workers_and_their_speed() {
        for workers in 1..5 {
            for first in [0, 1, 7] {
                let mut values = Prefetch::new(workers, 1, first, |position| {
                    std::thread::sleep(Duration::from_micros(position * 7919 % 1500));
                    Ok(position)
                });
                for position in first..first + 20 {
                    assert_eq!(values.next().unwrap(), position);
                }
            }
        }
    }

    #[test]
    fn an_error_arrives_in_its_place() {
        let mut values = Prefetch::new(2, 1, 0, |position| match position {
            3 => Err(Error::LoaderGone),
            _ => Ok(position),
        });
        let seen: Vec<Option<u64>> = (0..5).map(|_| values.next().ok()).collect();
        assert_eq!(seen, [Some(0), Some(1), Some(2), None, Some(4)]);
    }

    #[test]
    fn a_worker_that_panics_is_an_error_for_whoever_waits() {
        let mut values: Prefetch<u64> = Prefetch::new(1, 1, 0, |position| match position {
            1 => std::panic::resume_unwind(Box::new("no value")),
            _ => Ok(position),
        });
        assert_eq!(values.next().unwrap(), 0);
        assert!(matches!(values.next(), Err(Error::LoaderGone)));
    }
}
