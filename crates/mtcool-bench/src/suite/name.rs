//! Names that a data set, a network or a method chooses.

use std::borrow::Cow;

/// A name: a constant for everything that comes with the program, or a computed string for the user's own entries.
pub type Name = Cow<'static, str>;
