//! What a folder is read for.

/// What the cases of a folder are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are divided as the settings say, and every task must have labels.
    Experiment,
    /// Networks that were trained on another folder are measured on all of them; a task without labels is left out.
    ExternalTest,
}
