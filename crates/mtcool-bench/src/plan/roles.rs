//! [`Roles`]: which methods the report compares the others with.

use serde::Deserialize;

/// The methods that have a role in the report. If such a method has no finished run, the report does without it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// The method that the paired tests compare with each other method; by default MT-COOL. The first row of the table takes
    /// its place if it has no finished run.
    pub subject: String,
    /// The method that trains each task alone, the baseline of delta-m; its scores also choose the cases of the figure.
    pub alone: String,
}

impl Default for Roles {
    fn default() -> Self {
        Self { subject: "mtcool".into(), alone: "independent".into() }
    }
}
