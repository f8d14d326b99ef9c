//! Names of parameters: which task owns one, as feature extractor or as prediction function, and where it is used.

use std::fmt;
use std::str::FromStr;

use indexmap::Equivalent;

use crate::error::{Error, Result};

/// The two kinds of parameters that a task owns: psi_i = (theta_i, phi_i).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParameterKind {
    /// The feature extractor F_i(.; theta_i): perturbed, clamped, seen by every task.
    Theta,
    /// The prediction function G_i(.; phi_i): the task's own, never perturbed, never clamped.
    Phi,
}

/// The name of a parameter, written `theta.{task}.{layer}.{weight|bias}` or `phi.{task}.{layer}.{weight|bias}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterName {
    /// Whether it belongs to the feature extractor or to the prediction function.
    pub kind: ParameterKind,
    /// The task that owns it, counted from 0.
    pub task: usize,
    /// Layer and role within the network, such as `conv1.weight`.
    pub layer: String,
}

impl ParameterName {
    /// The name of `layer` in task `task`'s theta.
    pub fn theta(task: usize, layer: impl Into<String>) -> Self {
        Self { kind: ParameterKind::Theta, task, layer: layer.into() }
    }

    /// The name of `layer` in task `task`'s phi.
    pub fn phi(task: usize, layer: impl Into<String>) -> Self {
        Self { kind: ParameterKind::Phi, task, layer: layer.into() }
    }

    /// Whether several tasks' losses depend on it: true for every theta, since all tasks read all features.
    pub fn is_shared(&self) -> bool {
        self.kind == ParameterKind::Theta
    }

    /// Whether it belongs to the prediction function of task `task`, so that no other task's loss should move it.
    pub fn is_own(&self, task: usize) -> bool {
        self.kind == ParameterKind::Phi && self.task == task
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ParameterKind::Theta => "theta",
            ParameterKind::Phi => "phi",
        };
        write!(f, "{kind}.{}.{}", self.task, self.layer)
    }
}

impl FromStr for ParameterName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (kind, rest) = text.split_once('.')?;
            let (task, layer) = rest.split_once('.')?;
            let kind = match kind {
                "theta" => ParameterKind::Theta,
                "phi" => ParameterKind::Phi,
                _ => return None,
            };
            Some(Self { kind, task: task.parse().ok()?, layer: layer.to_owned() })
        };
        parse().ok_or_else(|| Error::Mismatch {
            what: "parameter name".into(),
            expected: "`theta.{task}.{layer}` or `phi.{task}.{layer}`".into(),
            got: format!("`{text}`"),
        })
    }
}

/// A borrowed [`ParameterName`], to look one up without allocating.
#[derive(Hash)]
pub(crate) struct ParameterKey<'a> {
    pub(crate) kind: ParameterKind,
    pub(crate) task: usize,
    pub(crate) layer: &'a str,
}

impl Equivalent<ParameterName> for ParameterKey<'_> {
    fn equivalent(&self, name: &ParameterName) -> bool {
        (self.kind, self.task, self.layer) == (name.kind, name.task, name.layer.as_str())
    }
}
