//! [`EpochTimes`]: where the time of an epoch goes.

use serde::{Deserialize, Serialize};

use super::metrics::{Row, TIME};

/// What stands in place of a task in rows with times, which belong to the whole run.
const RUN: &str = "run";
/// The parts of an epoch, in the order of their rows.
const PARTS: [&str; 5] = ["data", "forward", "backward", "method", "evaluation"];

/// Where the time of an epoch goes, in seconds.
///
/// On a card, forward and backward are the times until the host has handed the passes over; `method` has the time in which the host
/// waits for the card, since it reads the losses at the end of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochTimes {
    /// Waiting for batches, which other threads prepare.
    pub data: f64,
    /// Forward passes, losses included.
    pub forward: f64,
    /// Backward passes.
    pub backward: f64,
    /// Everything else in the steps of the method: combining gradients, noise, clamp, update.
    pub method: f64,
    /// The evaluation of the validation part at the end of the epoch.
    pub evaluation: f64,
}

impl EpochTimes {
    fn parts(&self) -> [f64; 5] {
        [self.data, self.forward, self.backward, self.method, self.evaluation]
    }

    /// The whole time.
    pub fn total(&self) -> f64 {
        self.parts().iter().sum()
    }

    /// As rows of `metrics.parquet`, at the end of `epoch` after `step` steps.
    pub fn rows(&self, (step, epoch): (u64, u64)) -> [Row; 5] {
        let (parts, (split, task)) = (self.parts(), (TIME, RUN));
        [0, 1, 2, 3, 4].map(|at| Row {
            step,
            epoch,
            split: split.into(),
            task: task.into(),
            metric: PARTS[at].into(),
            value: parts[at],
        })
    }

    /// The times of the last epoch that `rows` have; `None` if they have none.
    pub fn of_last_epoch(rows: &[Row]) -> Option<Self> {
        let last = |part: &str| Some(rows.iter().rfind(|row| row.split == TIME && row.metric == part)?.value);
        let [data, forward, backward, method, evaluation] = PARTS.map(last);
        Some(Self { data: data?, forward: forward?, backward: backward?, method: method?, evaluation: evaluation? })
    }

    /// The whole time and the share of each part, such as `2.0 s per epoch: data 0 %, forward 40 %, ...`.
    pub fn words(&self) -> String {
        let total = self.total();
        let share =
            |(part, seconds): (&str, f64)| format!("{part} {:.0} %", 100.0 * seconds / total.max(f64::MIN_POSITIVE));
        let shares: Vec<String> = PARTS.into_iter().zip(self.parts()).map(share).collect();
        format!("{total:.1} s per epoch: {}", shares.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_tell_the_times_of_the_last_epoch() {
        let first = EpochTimes { data: 9.0, ..EpochTimes::default() };
        let second = EpochTimes { data: 0.0, forward: 0.8, backward: 1.0, method: 0.1, evaluation: 0.1 };
        let rows = [first.rows((5, 1)), second.rows((10, 2))].concat();
        assert!(rows.iter().all(|row| (&*row.split, &*row.task) == ("time", "run")));
        assert_eq!(EpochTimes::of_last_epoch(&rows), Some(second));
        assert_eq!(EpochTimes::of_last_epoch(&rows[..4]), None);
        let words = "2.0 s per epoch: data 0 %, forward 40 %, backward 50 %, method 5 %, evaluation 5 %";
        assert_eq!(second.words(), words);
        assert!(EpochTimes::default().words().starts_with("0.0 s per epoch: data 0 %"));
    }
}
