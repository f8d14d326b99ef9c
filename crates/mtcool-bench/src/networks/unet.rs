//! The U-Net, for data sets with dense tasks: one encoder, and a head for each task.

use anyhow::{Context, Result};
use mtcool_core::Network;
use mtcool_models::{Head, MapOf, UNet, UNetConfig, shares};
use mtcool_ops::Statistics;

use super::labels::{image_outputs, shaped};
use crate::suite::{
    ArchitectureKind, ConfigError, ImageHeadSetting, NetworkConfig, NetworkEntry, NetworkRequest, NormKind, TaskOutput,
    TaskSpec,
};

pub(super) fn entry() -> NetworkEntry {
    use ArchitectureKind::{CrossStitch, HardSharing, Mtan};
    let architectures = &[HardSharing, CrossStitch, Mtan];
    let levels = |network: &NetworkConfig| network.widths.len();
    NetworkEntry { side_multiple, levels, architectures, ..NetworkEntry::new("unet", build) }
}

/// Each level except the first halves the sides.
fn side_multiple(network: &NetworkConfig) -> usize {
    1 << network.widths.len().saturating_sub(1).min(16)
}

fn build(request: &NetworkRequest<'_>) -> Result<Box<dyn Network>> {
    let NetworkConfig { widths, fusion, map_gradient, classifier, class_priors, .. } = request.config;
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
    let (statistics, usual) = (statistics(request)?, UNetConfig::default());
    let classifier_width = match statistics {
        Statistics::Group { groups } if groups > 0 => usual.classifier_width.next_multiple_of(groups),
        _ => usual.classifier_width,
    };
    if class_priors.is_some() && !request.all_tasks.iter().any(|task| is_classification_with_map(task, request)) {
        let message = "`network.class_priors` is set: expected a classification that reads the map of a segmentation, which alone \
                       starts at priors; leave it out";
        return Err(ConfigError::new(message).into());
    }
    let config = UNetConfig {
        in_channels: request.input[0],
        base: widths[0],
        depth: widths.len() - 1,
        architecture: request.architecture()?,
        allocation: request.allocation()?,
        statistics,
        precision: request.precision.of_operands(),
        heads: request.tasks.iter().map(|task| head(task, request)).collect(),
        map_gradient: map_gradient.of_network(),
        classifier: classifier.of_network(class_priors.as_ref())?,
        classifier_width,
        recomputed_levels: request.recompute,
        ..usual
    };
    Ok(shaped(Box::new(UNet::new(config).context("`network`")?), request.tasks))
}

/// The normalisation: the given number of groups, or a number that fits all tasks. It is the same in a network for one task, so
/// that methods with separate networks normalise alike.
fn statistics(request: &NetworkRequest<'_>) -> Result<Statistics, ConfigError> {
    let NetworkConfig { widths, groups, norm, .. } = request.config;
    let usual = match UNetConfig::default().statistics {
        Statistics::Group { groups } => groups,
        Statistics::Batch => 1,
    };
    let tasks = request.all_tasks.len();
    match (norm, groups) {
        (NormKind::Batch, _) => Ok(Statistics::Batch),
        (NormKind::Group, Some(groups)) => Ok(Statistics::Group { groups: *groups }),
        (NormKind::Group, None) => {
            // Unequal parts are rounded to whole groups.
            let fit = |groups: usize, width: usize| match request.config.allocation.is_empty() {
                true => groups_fit(groups, width, tasks),
                false => groups >= tasks && width.is_multiple_of(groups),
            };
            let fits = |groups: &usize| widths.iter().all(|&width| fit(*groups, width));
            let mut candidates = (1..=usual).rev().chain(usual + 1..=tasks);
            let groups = candidates.find(fits).ok_or_else(|| {
                let wanted: Vec<usize> = (0..widths.len()).map(|level| (4 * tasks) << level).collect();
                ConfigError::new(format!(
                    "`network.widths` is {widths:?}: expected numbers that can be divided evenly among the {tasks} tasks, so that \
                     no group of channels contains channels of two tasks, such as {wanted:?}"
                ))
            })?;
            Ok(Statistics::Group { groups })
        }
    }
}

/// Whether `groups` equal groups of `width` channels are such that none contains channels of two tasks.
fn groups_fit(groups: usize, width: usize, tasks: usize) -> bool {
    let shares = shares(width, tasks).unwrap_or_default();
    !shares.is_empty()
        && width.is_multiple_of(groups)
        && shares.iter().all(|share| share.is_multiple_of(width / groups.max(1)))
}

/// Classes of the map that the head of `task` reads: the map of the first segmentation of all tasks, if there is any.
fn map_to_read(request: &NetworkRequest<'_>) -> Option<usize> {
    let classes = request.all_tasks.iter().find_map(|task| match task.output {
        TaskOutput::Segmentation { classes } => Some(classes),
        _ => None,
    });
    classes.filter(|_| request.config.image_heads == ImageHeadSetting::Map)
}

fn is_classification_with_map(task: &TaskSpec, request: &NetworkRequest<'_>) -> bool {
    matches!(task.output, TaskOutput::Class { .. }) && map_to_read(request).is_some()
}

/// The head of `task`. In a network that serves a single task of several, a head that reads a map computes its own map.
fn head(task: &TaskSpec, request: &NetworkRequest<'_>) -> Head {
    let is_alone = request.tasks.len() < request.all_tasks.len();
    match (task.output, map_to_read(request)) {
        (TaskOutput::Segmentation { classes }, _) => Head::Segmentation { classes },
        (TaskOutput::Class { classes }, Some(map)) if is_alone => Head::LoneClassification { classes, map },
        (TaskOutput::Class { classes }, Some(_)) => Head::Classification { classes },
        (output, map) => {
            let map = match map {
                None => MapOf::Nothing,
                Some(classes) if is_alone => MapOf::Own(classes),
                Some(_) => MapOf::Segmentation,
            };
            Head::Image { outputs: image_outputs(output), map }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{PrecisionSetting, Registry, Sharing};
    use candle_core::{DType, Device, Tensor};

    fn tasks(outputs: &[TaskOutput]) -> Vec<TaskSpec> {
        outputs.iter().enumerate().map(|(index, &output)| TaskSpec::new(format!("task{index}"), output)).collect()
    }

    fn network(toml: &str, outputs: &[TaskOutput], sharing: Sharing) -> Result<Box<dyn Network>> {
        let (config, tasks): (NetworkConfig, _) = (toml::from_str(toml).unwrap(), tasks(outputs));
        let input = [2, 16, 16];
        let precision = PrecisionSetting::default();
        let request =
            NetworkRequest { config: &config, input, tasks: &tasks, all_tasks: &tasks, precision, recompute: 0 };
        Registry::builtin().network("unet").unwrap().network(request, sharing)
    }

    const FIVE: [TaskOutput; 5] = [
        TaskOutput::Segmentation { classes: 3 },
        TaskOutput::Class { classes: 4 },
        TaskOutput::Multilabel { labels: 3 },
        TaskOutput::Regression { values: 1 },
        TaskOutput::Segmentation { classes: 2 },
    ];

    /// The shapes of the outputs for two images.
    fn shapes(network: &dyn Network) -> Vec<Vec<usize>> {
        let parameters = network.initial_parameters(0, DType::F32, &Device::Cpu).unwrap();
        let images = Tensor::zeros((2, 2, 16, 16), DType::F32, &Device::Cpu).unwrap();
        let tasks = network.tasks();
        let together = network.forward_all(&parameters, &vec![&images; tasks]).unwrap();
        for (task, output) in together.iter().enumerate() {
            assert_eq!(network.forward(&parameters, task, &images).unwrap().dims(), output.dims());
        }
        together.iter().map(|output| output.dims().to_vec()).collect()
    }

    #[test]
    fn every_kind_of_task_gets_a_head_for_any_number_of_tasks() {
        let wanted: [&[usize]; 5] = [&[2, 3, 16, 16], &[2, 4], &[2, 2, 3], &[2, 1], &[2, 2, 16, 16]];
        let plain = "widths = [10, 20, 40]";
        for settings in ["", "classifier = \"normalized\"", "image_heads = \"features\"", "norm = \"batch\""] {
            let toml = format!("{plain}\n{settings}");
            for sharing in [Sharing::Shared, Sharing::Separate] {
                let network = network(&toml, &FIVE, sharing).unwrap();
                assert_eq!(shapes(network.as_ref()), wanted, "{settings} {sharing:?}");
            }
            for (output, wanted) in FIVE.iter().zip(wanted) {
                let network = network(&toml, &[*output], Sharing::Shared).unwrap();
                assert_eq!(shapes(network.as_ref()), [wanted], "{settings} {output:?} alone");
            }
        }
    }

    #[test]
    fn tasks_own_unequal_parts_in_a_shared_network_alone() {
        let toml = "widths = [16, 32]\nallocation = [4, 1, 1, 1, 1]";
        let of = |sharing| {
            let network = network(toml, &FIVE, sharing).unwrap();
            let parameters = network.initial_parameters(0, DType::F32, &Device::Cpu).unwrap();
            [0, 1].map(|task| parameters.theta(task, "enc0.conv0.weight").unwrap().dims()[0])
        };
        assert_eq!((of(Sharing::Shared), of(Sharing::Separate)), ([8, 2], [16, 16]));
        let error = network("widths = [16, 32]\nallocation = [1, 2]", &FIVE, Sharing::Separate).err().unwrap();
        assert!(format!("{error:#}").contains("each of the tasks task0, task1"), "{error:#}");
    }

    #[test]
    fn groups_fit_the_number_of_tasks_and_widths_that_do_not_are_named() {
        let class = TaskOutput::Class { classes: 2 };
        for (tasks, width, groups) in [(1, 16, 8), (2, 16, 8), (3, 24, 6), (3, 12, 6), (5, 20, 5), (9, 36, 9)] {
            let (config, tasks): (NetworkConfig, _) =
                (toml::from_str(&format!("widths = [{width}, {}]", 2 * width)).unwrap(), vec![class; tasks]);
            let tasks = super::tests::tasks(&tasks);
            let precision = PrecisionSetting::default();
            let (tasks, input) = (&tasks[..], [2, 16, 16]);
            let request = NetworkRequest { config: &config, input, tasks, all_tasks: tasks, precision, recompute: 0 };
            assert_eq!(statistics(&request).unwrap(), Statistics::Group { groups }, "{} tasks", tasks.len());
            build(&request).unwrap();
        }
        let message = |toml: &str, outputs: &[TaskOutput]| {
            format!("{:#}", network(toml, outputs, Sharing::Shared).err().unwrap())
        };
        let uneven = message("widths = [16, 32]", &[class; 3]);
        assert!(uneven.contains("divided evenly among the 3 tasks") && uneven.contains("[12, 24]"), "{uneven}");
        let priors =
            message("widths = [8, 16]\nclassifier = \"normalized\"\nclass_priors = [0.5, 0.5]", &[FIVE[3], FIVE[0]]);
        assert!(priors.contains("`network.class_priors`") && priors.contains("leave it out"), "{priors}");
    }
}
