//! Settings of groups of parameters, a wrapper.

use mtcool_baselines::{GroupBy, Grouped as Rule};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::around::{InnerSettings, Inside, WrapperKeys, Wraps, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "around")]
    around: String,
    #[serde(default)]
    by: By,
    /// The settings of the wrapped method, without the learning rate.
    #[serde(default)]
    settings: InnerSettings,
}

fn around() -> String {
    "gradvac".into()
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    #[default]
    Level,
    Owner,
    Tensor,
}

impl WrapperKeys for Settings {
    const WRAPS: Wraps = Wraps::Aggregators;

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn around(&self) -> &str {
        &self.around
    }

    fn wrap(&self, inside: &Inside, seed: u64) -> Result<Combine> {
        let by = match self.by {
            By::Level => GroupBy::Level,
            By::Owner => GroupBy::Owner,
            By::Tensor => GroupBy::Tensor,
        };
        let inside = inside.clone();
        Ok(Combine::Gradients(Box::new(Rule::new(by, Box::new(move || inside.aggregator(seed)))?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("grouped", "Grouped", MethodKind::Wrapper, read::<Settings>)
        .described(
            "combines each level of the network by itself",
            "as the wrapped method, its own work per group",
            "Wang et al. 2021 (groups)",
        )
        .titled(
            "Gradient vaccine: investigating and improving multi-task optimization in massively multilingual models",
        )
        .explained(
            "J = [J_1, J_2, ...], the columns of each group; d = [A(J_1), A(J_2), ...], A the wrapped method",
            "a conflict-free A stays conflict-free",
            &[
                ["around", "a method's name", "the wrapped method"],
                [
                    "by",
                    "level | owner | tensor",
                    "what a group is: a level of the network, what one task owns, a tensor",
                ],
                ["settings", "a table", "the settings of the wrapped method"],
            ],
        )
        .inheriting("joint")
}
