//! LeNet, for small images and tasks with one answer per image.

use anyhow::{Context, Result};
use mtcool_core::Network;
use mtcool_models::{Fusion, LeNet, LeNetConfig};

use super::labels::{image_outputs, shaped};
use crate::suite::{ArchitectureKind, ConfigError, NetworkEntry, NetworkRequest, TaskOutput, TaskSpec};

pub(super) fn entry() -> NetworkEntry {
    use ArchitectureKind::{Cgc, CrossStitch, HardSharing, Mmoe, Mtan};
    let architectures = &[HardSharing, CrossStitch, Mtan, Mmoe, Cgc];
    NetworkEntry { architectures, ..NetworkEntry::new("lenet", build) }
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
    let (input, allocation, architecture) = ((depth, height, width), request.allocation()?, request.architecture()?);
    let config = LeNetConfig { input, conv1, conv2, hidden, classes, allocation, fusion, architecture, precision };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{NetworkConfig, PrecisionSetting};
    use candle_core::{DType, Device, Tensor};

    #[test]
    fn small_images_of_any_number_of_tasks_get_one_answer_each() {
        let config: NetworkConfig = toml::from_str("widths = [6, 9, 12]\nallocation = [1, 1, 2]").unwrap();
        let outputs = [
            TaskOutput::Class { classes: 4 },
            TaskOutput::Multilabel { labels: 3 },
            TaskOutput::Regression { values: 1 },
        ];
        let tasks: Vec<TaskSpec> = outputs.iter().map(|&output| TaskSpec::new("task", output)).collect();
        let request = |tasks| NetworkRequest {
            config: &config,
            input: [2, 20, 24],
            tasks,
            all_tasks: tasks,
            precision: PrecisionSetting::default(),
            recompute: 0,
        };
        let network = build(&request(&tasks)).unwrap();
        let parameters = network.initial_parameters(0, DType::F32, &Device::Cpu).unwrap();
        let images = Tensor::zeros((5, 2, 20, 24), DType::F32, &Device::Cpu).unwrap();
        let wanted: [&[usize]; 3] = [&[5, 4], &[5, 2, 3], &[5, 1]];
        for (output, wanted) in network.forward_all(&parameters, &[&images; 3]).unwrap().iter().zip(wanted) {
            assert_eq!(output.dims(), wanted);
        }
        assert_eq!(parameters.theta(2, "fc.weight").unwrap().dims()[0], 6);
        let dense = vec![TaskSpec::new("mask", TaskOutput::Segmentation { classes: 2 })];
        let message = format!("{:#}", build(&request(&dense)).err().unwrap());
        assert!(message.contains("use `unet`"), "{message}");
    }
}
