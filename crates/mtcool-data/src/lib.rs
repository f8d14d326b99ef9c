//! Data sets for multi-task learning: fetched, verified, split, batched, and synthetic ones.
