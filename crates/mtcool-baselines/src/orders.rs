//! Random orders in which a task meets the other ones.

use mtcool_core::random::{Purpose, stream};
use rand::RngCore;

/// For each of `tasks` tasks, a random order of the other tasks in iteration `iteration`, which follows from `seed` and `name`.
pub(crate) fn orders(seed: u64, name: &str, tasks: usize, iteration: u64) -> Vec<Vec<usize>> {
    let order = |task: usize| {
        let at = [iteration as u32, (iteration >> 32) as u32, task as u32, 0];
        let mut generator = stream(seed, Purpose::Method, at, name);
        let mut others: Vec<usize> = (0..tasks).filter(|&other| other != task).collect();
        for last in (1..others.len()).rev() {
            // A multiplication in place of a remainder; its bias is below T / 2^32.
            let chosen = (u64::from(generator.next_u32()) * (last as u64 + 1)) >> 32;
            others.swap(last, chosen as usize);
        }
        others
    };
    (0..tasks).map(order).collect()
}
