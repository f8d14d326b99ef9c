//! The U-Net of data sets with dense tasks, as an experiment's `network` table describes it.

use anyhow::{Context, Result};
use mtcool_core::Network;
use mtcool_models::{Head, Independent, UNet, UNetConfig};
use mtcool_ops::{Precision, Statistics};

use crate::config::{ConfigError, NetworkConfig, NormKind};
use crate::methods::Sharing;

/// A U-Net with a head a task, or a U-Net for each.
///
/// # Errors
/// [`ConfigError`] if the widths do not double from level to level, or the tasks or groups cannot share them.
pub(super) fn unet(
    network: &NetworkConfig,
    heads: &[Head],
    precision: Precision,
    sharing: Sharing,
) -> Result<Box<dyn Network>> {
    let NetworkConfig { widths, fusion, groups, norm, map_gradient } = network;
    let doubles = widths.windows(2).all(|pair| pair[1] == 2 * pair[0]);
    if widths.len() < 2 || widths[0] == 0 || !doubles {
        return Err(ConfigError::new(format!(
            "`network.widths` is {widths:?}: expected at least two, each twice the one before, such as [16, 32, 64, 128, 256]"
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
    let unet = |heads: &[Head]| -> Result<Box<dyn Network>> {
        let config = UNetConfig {
            base: widths[0],
            depth: widths.len() - 1,
            statistics,
            precision,
            heads: heads.to_vec(),
            map_gradient: map_gradient.of_network(),
            ..UNetConfig::default()
        };
        Ok(Box::new(UNet::new(config).context("`network`")?))
    };
    match sharing {
        Sharing::Shared => unet(heads),
        Sharing::Separate => {
            let networks = heads.iter().map(|head| unet(std::slice::from_ref(head))).collect::<Result<_>>()?;
            Ok(Box::new(Independent::new(networks)?))
        }
    }
}
