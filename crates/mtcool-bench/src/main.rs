//! The `mtcool` program.
fn main() {}
