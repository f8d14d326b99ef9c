//! The U-Net, for data sets with dense tasks.

use anyhow::{Context, Result};
use mtcool_core::Network;
use mtcool_models::{Head, UNet, UNetConfig};
use mtcool_ops::Statistics;

use crate::suite::{ConfigError, NetworkConfig, NetworkEntry, NetworkRequest, NormKind, TaskOutput, TaskSpec};

pub(super) fn entry() -> NetworkEntry {
    NetworkEntry { side_multiple, ..NetworkEntry::new("unet", build) }
}

/// Each level except the first halves the sides.
fn side_multiple(network: &NetworkConfig) -> usize {
    1 << network.widths.len().saturating_sub(1).min(16)
}

fn build(request: &NetworkRequest<'_>) -> Result<Box<dyn Network>> {
    let NetworkConfig { widths, fusion, groups, norm, map_gradient, classifier, class_priors, .. } = request.config;
    let doubles = widths.windows(2).all(|pair| pair[1] == 2 * pair[0]);
    if widths.len() < 2 || widths[0] == 0 || !doubles {
        return Err(ConfigError::new(format!(
            "`network.widths` is {widths:?}: expected at least two widths, each twice the previous one, such as [16, 32, 64, 128, 256]"
        ))
        .into());
    }
    if fusion != "concat" {
        return Err(ConfigError::unknown("fusion of a U-Net", fusion, &["concat"]).into());
    }
    let statistics = match (norm, groups) {
        (NormKind::Batch, _) => Statistics::Batch,
        (NormKind::Group, Some(groups)) => Statistics::Group { groups: *groups },
        (NormKind::Group, None) => UNetConfig::default().statistics,
    };
    let config = UNetConfig {
        in_channels: request.input[0],
        base: widths[0],
        depth: widths.len() - 1,
        statistics,
        precision: request.precision.of_operands(),
        heads: request.tasks.iter().map(|task| head(task, request)).collect::<Result<_, _>>()?,
        map_gradient: map_gradient.of_network(),
        classifier: classifier.of_network(class_priors.as_ref())?,
        ..UNetConfig::default()
    };
    Ok(Box::new(UNet::new(config).context("`network`")?))
}

/// The head of `task`. A classification reads the map of the first task if that is a segmentation; in a network that serves
/// the classification alone, its head computes its own map.
fn head(task: &TaskSpec, request: &NetworkRequest<'_>) -> Result<Head, ConfigError> {
    let is_alone = request.tasks.len() < request.all_tasks.len();
    match (task.output, request.all_tasks[0].output) {
        (TaskOutput::Segmentation { classes }, _) => Ok(Head::Segmentation { classes }),
        (TaskOutput::Class { classes }, TaskOutput::Segmentation { classes: map }) if is_alone => {
            Ok(Head::LoneClassification { classes, map })
        }
        (TaskOutput::Class { classes }, _) => Ok(Head::Classification { classes }),
        (TaskOutput::Regression { .. }, _) => Err(ConfigError::new(format!(
            "`network.kind` is `unet`, which has no head for the regression of task `{}` yet",
            task.name
        ))),
    }
}
