//! How long work on many photographs tells how far it is.

/// Is told how many of how many photographs are done, from any thread.
pub type PhotographProgress<'a> = dyn Fn(usize, usize) + Sync + 'a;
