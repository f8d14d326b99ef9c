//! [`Claim`]: a sentence of the paper as a comparison that the table can judge.

use serde::Deserialize;

/// A claim: each of `methods` stands in `direction` to each of `against`, in each of `columns`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The claim in words.
    pub text: String,
    /// The methods that the claim is about.
    pub methods: Vec<String>,
    /// The methods that they are compared with.
    pub against: Vec<String>,
    /// The columns of the table, as `task.metric`.
    pub columns: Vec<String>,
    /// How the methods differ.
    #[serde(default)]
    pub direction: Direction,
    /// For `better`, the difference that has to be exceeded; for `near`, the difference that must not be reached. In the metric's
    /// unit.
    #[serde(default)]
    pub margin: f64,
}

/// How a claim's methods differ from those that they are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// They are better by more than the margin.
    #[default]
    Better,
    /// The difference is smaller than the margin, in either direction.
    Near,
}
