//! LeNet, for small images and tasks with one answer per image.

use anyhow::{Context, Result};
use mtcool_core::Network;
use mtcool_models::{Fusion, LeNet, LeNetConfig};

use super::labels::{image_outputs, shaped};
use crate::suite::{ConfigError, NetworkEntry, NetworkRequest, TaskOutput, TaskSpec};

pub(super) fn entry() -> NetworkEntry {
    NetworkEntry::new("lenet", build)
}

fn build(request: &NetworkRequest<'_>) -> Result<Box<dyn Network>> {
    let [conv1, conv2, hidden] = request.config.widths(["conv1", "conv2", "hidden"])?;
    let fusion = match request.config.fusion.as_str() {
        "concat" => Fusion::Concat,
        "cross_stitch" => Fusion::CrossStitch,
        other => return Err(ConfigError::unknown("fusion", other, &["concat", "cross_stitch"]))?,
    };
    let classes = request.tasks.iter().map(channels).collect::<Result<_, _>>()?;
    let [depth, height, width] = request.input;
    let precision = request.precision.of_operands();
    let (input, allocation) = ((depth, height, width), request.allocation()?);
    let config = LeNetConfig { input, conv1, conv2, hidden, classes, allocation, fusion, precision };
    Ok(shaped(Box::new(LeNet::new(config).context("`network`")?), request.tasks))
}

fn channels(task: &TaskSpec) -> Result<usize, ConfigError> {
    match task.output {
        TaskOutput::Class { .. } | TaskOutput::Multilabel { .. } | TaskOutput::Regression { .. } => {
            Ok(image_outputs(task.output))
        }
        TaskOutput::Segmentation { .. } => Err(ConfigError::new(format!(
            "`network.kind` is `lenet`, which gives one answer per image: task `{}` needs one answer per pixel, so use `unet`",
            task.name
        ))),
    }
}
