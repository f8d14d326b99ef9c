//! [`SweepState`]: what is known about the runs of a sweep while they are executed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The largest number of log lines that are kept while they are not on the screen.
const MOST_LINES: usize = 2000;

/// A run before it is executed.
#[derive(Clone, Debug)]
pub struct RunShape {
    /// Its name, such as `joint-s0`.
    pub name: String,
    /// Number of its epochs.
    pub epochs: u64,
    /// Number of its batches per task.
    pub batches: u64,
}

/// A sweep before it is executed.
#[derive(Clone, Debug)]
pub struct SweepShape {
    /// The experiment's name.
    pub title: String,
    /// What the curves show, such as `mean of 2 columns on the validation part`.
    pub metric: String,
    /// Its runs, in the order of their execution.
    pub runs: Vec<RunShape>,
}

/// What is happening to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not begun.
    Waiting,
    /// This process is executing it.
    Running,
    /// Another process holds it.
    Elsewhere,
    /// It is finished.
    Finished,
    /// It failed.
    Failed,
    /// It was stopped before its end.
    Interrupted,
}

/// A run while its sweep is executed.
#[derive(Clone, Debug)]
pub(super) struct RunState {
    pub(super) shape: RunShape,
    pub(super) phase: Phase,
    /// Number of batches that are done.
    pub(super) done: u64,
    /// The part of `done` that this process has trained: the basis of the estimate of the remaining time.
    fresh: u64,
    /// When this process took it up.
    since: Option<Instant>,
    /// (epoch, value) on the validation part.
    pub(super) curve: Vec<(f64, f64)>,
    /// The share of steps in which gradients were in conflict in the last epoch, if the method measures it.
    pub(super) conflict: Option<f64>,
}

/// The runs of a sweep while they are executed.
#[derive(Clone, Debug)]
pub(super) struct SweepState {
    pub(super) title: String,
    pub(super) metric: String,
    pub(super) runs: Vec<RunState>,
    /// The run that this process is working on.
    current: usize,
    pub(super) started: Instant,
    /// Number of batches that this process has trained.
    trained: u64,
    /// What the current run is doing.
    pub(super) message: String,
    /// Lines of the log that are to be printed when the view is closed.
    pub(super) log: Vec<String>,
}

/// The state of a sweep, which the training changes and the view shows.
pub(super) type Shared = Arc<Mutex<SweepState>>;
/// The sweep whose view fills the terminal, if there is one; it keeps the log until the view is closed.
pub(super) type Slot = Arc<Mutex<Option<Shared>>>;

/// The state; a panic elsewhere does no harm to it.
pub(super) fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunState {
    /// The share that is done, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        share(self.done, self.shape.batches)
    }

    /// The number of completed epochs.
    pub(super) fn epoch(&self) -> u64 {
        (self.share() * self.shape.epochs as f64 + 1e-9) as u64
    }

    /// The time left, if this process is executing it.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| self.phase == Phase::Running)?;
        left(now.duration_since(since), self.fresh, self.shape.batches.saturating_sub(self.done))
    }
}

impl SweepState {
    pub(super) fn new(shape: SweepShape) -> Self {
        let SweepShape { title, metric, runs } = shape;
        let waiting = |shape| RunState {
            shape,
            phase: Phase::Waiting,
            done: 0,
            fresh: 0,
            since: None,
            curve: Vec::new(),
            conflict: None,
        };
        let runs = runs.into_iter().map(waiting).collect();
        let (message, log) = (String::new(), Vec::new());
        Self { title, metric, runs, current: 0, started: Instant::now(), trained: 0, message, log }
    }

    /// The place of the run that this process is working on.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// From now on, the other functions are about the run called `name`.
    pub(super) fn choose(&mut self, name: &str) {
        if let Some(place) = self.runs.iter().position(|run| run.shape.name == name) {
            self.current = place;
        }
    }

    /// The current run.
    pub(super) fn run(&mut self) -> Option<&mut RunState> {
        self.runs.get_mut(self.current)
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        let Some(run) = self.run() else { return };
        run.phase = phase;
        run.since = (phase == Phase::Running).then(Instant::now);
        run.fresh = 0;
    }

    /// Counts batches of the current run; `is_fresh` if they were just trained.
    pub(super) fn add(&mut self, batches: u64, is_fresh: bool) {
        let Some(run) = self.run() else { return };
        run.done = run.done.saturating_add(batches).min(run.shape.batches);
        if is_fresh {
            run.fresh += batches;
            self.trained += batches;
        }
    }

    /// Adds a piece of text to the log.
    pub(super) fn add_text(&mut self, text: &str) {
        self.log.extend(text.lines().map(str::to_owned));
        let surplus = self.log.len().saturating_sub(MOST_LINES);
        self.log.drain(..surplus);
    }

    /// Number of batches that are done, and of all, without the runs that other processes hold.
    pub(super) fn batches(&self) -> [u64; 2] {
        let own = || self.runs.iter().filter(|run| run.phase != Phase::Elsewhere);
        let sum = |pick: fn(&RunState) -> u64| own().map(pick).fold(0, u64::saturating_add);
        [sum(|run| run.done), sum(|run| run.shape.batches)]
    }

    /// Number of runs in `phase`.
    pub(super) fn count(&self, phase: Phase) -> usize {
        self.runs.iter().filter(|run| run.phase == phase).count()
    }

    /// The time until this process has trained everything that is left.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        let [done, all] = self.batches();
        left(now.duration_since(self.started), self.trained, all.saturating_sub(done))
    }
}

/// `done` of `all`, 0 to 1.
pub(super) fn share(done: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { done as f64 / all as f64 }
}

/// The time for `rest`, if `done` took `spent`; `None` before anything is done.
fn left(spent: Duration, done: u64, rest: u64) -> Option<Duration> {
    let factor = rest as f64 / done as f64;
    (done > 0 && factor.is_finite())
        .then(|| Duration::try_from_secs_f64(spent.as_secs_f64() * factor).unwrap_or(Duration::MAX))
}

/// Three runs of four epochs that have not begun.
#[cfg(test)]
pub(super) fn example() -> SweepState {
    let run = |name: &str| RunShape { name: name.into(), epochs: 4, batches: 40 };
    let runs = ["joint-s0", "mtcool-s0", "pcgrad-s0"].map(run).into();
    SweepState::new(SweepShape { title: "table1".into(), metric: "accuracy".into(), runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_belong_to_the_run_that_is_chosen() {
        let mut state = example();
        assert_eq!(state.time_left(state.started + Duration::from_secs(60)), None, "nothing is trained");
        state.choose("mtcool-s0");
        state.set_phase(Phase::Running);
        state.add(10, false);
        state.add(20, true);
        assert_eq!(state.batches(), [30, 120]);
        let run = &state.runs[1];
        assert_eq!((run.share(), run.epoch(), run.phase), (0.75, 3, Phase::Running));
        let later = run.since.unwrap() + Duration::from_secs(60);
        // Twenty batches took a minute, and ten are left.
        assert_eq!(run.time_left(later), Some(Duration::from_secs(30)));
        let later = state.started + Duration::from_secs(60);
        assert_eq!(state.time_left(later), Some(Duration::from_secs(270)));
        assert_eq!(state.runs[0].time_left(later), None);
        state.add(u64::MAX, false);
        state.set_phase(Phase::Finished);
        assert_eq!((state.runs[1].share(), state.count(Phase::Finished), state.count(Phase::Waiting)), (1.0, 1, 2));
        assert_eq!(state.runs[1].time_left(later), None);
        state.choose("nobody");
        assert_eq!(state.current(), 1);
    }

    #[test]
    fn runs_of_other_processes_do_not_count_as_work_that_is_left() {
        let mut state = example();
        state.choose("joint-s0");
        state.set_phase(Phase::Elsewhere);
        state.choose("mtcool-s0");
        state.set_phase(Phase::Running);
        state.add(20, true);
        assert_eq!(state.batches(), [20, 80]);
        let later = state.started + Duration::from_secs(60);
        assert_eq!(state.time_left(later), Some(Duration::from_secs(180)));
        // The other process has finished it.
        state.choose("joint-s0");
        state.add(40, false);
        state.set_phase(Phase::Finished);
        assert_eq!(state.batches(), [60, 120]);
    }

    #[test]
    fn the_log_is_bounded() {
        let mut state = example();
        (0..MOST_LINES + 5).for_each(|line| state.add_text(&format!("{line}\n")));
        assert_eq!((state.log.len(), state.log[0].as_str()), (MOST_LINES, "5"));
        state.add_text("a\nb\n");
        assert_eq!(state.log[MOST_LINES - 2..], ["a", "b"]);
    }
}
