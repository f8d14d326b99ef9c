//! The mtcool program: configuration, training, evaluation, resumable sweeps, tables.
