//! The problem of a run: the experiment's network, and one loss per task.

use anyhow::Result;
use candle_core::Device;
use mtcool_core::{OutputKind, Problem};
use mtcool_models::CardKernels;

use super::loss::sum_of;
use crate::plan::Plan;
use crate::suite::{NetworkConfig, Sharing, Suite, TaskSpec};

/// Builds the problem of a network with the sizes `network` on `device`.
///
/// # Errors
/// If the network does not fit the tasks or the images, or a loss does not fit the classes.
pub fn problem(
    plan: &Plan,
    network: &NetworkConfig,
    suite: &dyn Suite,
    sharing: Sharing,
    device: &Device,
) -> Result<Problem> {
    suite.check_network(network, (plan.network.side_multiple)(network))?;
    let losses = plan.spec.tasks.iter().zip(&plan.losses).enumerate();
    let losses = losses.map(|(index, (task, loss))| sum_of(loss.parts(&|| suite.class_counts(index))?, task));
    let losses = losses.collect::<Result<_>>()?;
    let kind = |task: &TaskSpec| if task.output.is_numbers() { OutputKind::Numbers } else { OutputKind::Classes };
    let kinds = plan.spec.tasks.iter().map(kind).collect();
    Ok(Problem::new(plan.network_of(network, sharing)?, losses)?.with_kinds(kinds)?.on(device, CardKernels))
}
