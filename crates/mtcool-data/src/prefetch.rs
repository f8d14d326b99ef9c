//! Items that other threads make ahead of their use, handed out in order.

use std::sync::mpsc::{Receiver, sync_channel};

use crate::error::{Error, Result};

/// An endless sequence of items, each a function of its number alone, made ahead of their use.
///
/// Workers take turns: worker `n % workers` makes item n, so neither the order nor an item depends on which worker is faster.
/// The position is the only state to save.
pub(crate) struct Prefetch<T> {
    lanes: Vec<Receiver<Result<T>>>,
    position: u64,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts one thread per worker; the first item that comes out is number `position`. `workers[k](n)` makes item n for every
    /// n with `n % workers.len() == k`. Each worker keeps up to `ahead` finished items waiting while it makes the next one.
    ///
    /// # Errors
    /// If `workers` is empty.
    pub(crate) fn new<F>(position: u64, ahead: usize, workers: Vec<F>) -> Result<Self>
    where
        F: FnMut(u64) -> Result<T> + Send + 'static,
    {
        let count = workers.len() as u64;
        if count == 0 {
            return Err(Error::OutOfRange { key: "workers", value: 0, expected: "at least 1".into() });
        }
        let lanes = workers.into_iter().zip(0..).map(|(mut worker, lane)| {
            let (sender, receiver) = sync_channel(ahead);
            let mut next = position + (lane + count - position % count) % count;
            std::thread::spawn(move || {
                // The thread has its own pool: the thread that waits for an item may be the only one of the global pool.
                let _pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
                // When the sequence is dropped, its receivers are gone, and the thread ends.
                while sender.send(worker(next)).is_ok() {
                    next += count;
                }
            });
            receiver
        });
        Ok(Self { lanes: lanes.collect(), position })
    }

    /// The next item, waiting for it if it is not ready.
    ///
    /// # Errors
    /// If the item could not be made, or its thread has ended.
    pub(crate) fn next(&mut self) -> Result<T> {
        let lane = (self.position % self.lanes.len() as u64) as usize;
        self.position += 1;
        self.lanes[lane].recv().map_err(|_| Error::LoaderGone)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sequence(position: u64, workers: usize) -> Prefetch<u64> {
        // Later items of a round are ready first.
        let worker = |n: u64| {
            std::thread::sleep(Duration::from_millis(3 - n % 3));
            if n == 7 { Err(Error::LoaderGone) } else { Ok(n * n) }
        };
        Prefetch::new(position, 1, vec![worker; workers]).unwrap()
    }

    #[test]
    fn order_and_items_are_those_of_a_single_thread() {
        for workers in 1..5 {
            for position in [0, 1, 5] {
                let mut items = sequence(position, workers);
                for n in position..position + 12 {
                    match items.next() {
                        Ok(item) => assert_eq!(item, n * n, "{workers} workers from {position}"),
                        Err(_) => assert_eq!(n, 7, "an error belongs to its own item"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_worker_that_dies_is_an_error_and_none_at_all_too() {
        let mut items = Prefetch::<u64>::new(0, 1, vec![|_| panic!("as meant")]).unwrap();
        assert!(matches!(items.next(), Err(Error::LoaderGone)));
        assert!(Prefetch::<u64>::new(0, 1, Vec::<fn(u64) -> Result<u64>>::new()).is_err());
    }

    #[test]
    fn values_come_in_order_from_any_position_whatever_the_workers_and_their_speed() {
        for workers in 1..5 {
            for first in [0, 1, 7] {
                let make = |position| {
                    std::thread::sleep(Duration::from_micros(position * 7919 % 1500));
                    Ok(position)
                };
                let mut values = Prefetch::new(first, workers % 3, vec![make; workers]).unwrap();
                for position in first..first + 20 {
                    assert_eq!(values.next().unwrap(), position);
                }
            }
        }
    }

    #[test]
    fn an_error_arrives_in_its_place() {
        let make = |position| match position {
            3 => Err(Error::LoaderGone),
            _ => Ok(position),
        };
        let mut values = Prefetch::new(0, 1, vec![make; 2]).unwrap();
        let seen: Vec<Option<u64>> = (0..5).map(|_| values.next().ok()).collect();
        assert_eq!(seen, [Some(0), Some(1), Some(2), None, Some(4)]);
    }

    #[test]
    fn a_worker_that_panics_is_an_error_for_whoever_waits() {
        let make = |position| match position {
            1 => std::panic::resume_unwind(Box::new("no value")),
            _ => Ok(position),
        };
        let mut values: Prefetch<u64> = Prefetch::new(0, 1, vec![make]).unwrap();
        assert_eq!(values.next().unwrap(), 0);
        assert!(matches!(values.next(), Err(Error::LoaderGone)));
    }
}
