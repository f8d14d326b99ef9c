//! A photograph of the set as experiments know it.

use super::names::RefugePart;

/// Name, origin and diagnosis of a photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file's name without extension, such as `g0012` or `V0400`.
    pub name: String,
    /// The part of the challenge in which it was published.
    pub part: RefugePart,
    /// The diagnosis: whether the eye has glaucoma.
    pub glaucoma: bool,
}
