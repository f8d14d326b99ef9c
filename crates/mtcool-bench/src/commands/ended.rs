//! [`Ended`]: an end of the program that is no error, but leaves its work undone.

/// The program ended before its work was done, although nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Ended {
    /// What was kept, and how to go on.
    pub(super) message: String,
    /// The exit status.
    pub(super) status: u8,
}

impl Ended {
    /// The exit status of a process whose remaining runs other processes execute.
    const LEFT_TO_OTHERS: u8 = 3;

    /// The end of a process that has nothing left to do, since other processes execute `runs`.
    pub(super) fn left_to_others(runs: &[String]) -> Self {
        let message = format!(
            "nothing is left to take: other processes execute {}. The last one of them writes the table; `--wait` waits for it",
            runs.join(", ")
        );
        Self { message, status: Self::LEFT_TO_OTHERS }
    }
}
