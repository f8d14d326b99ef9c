//! The entries of all methods, in the order of listings: the methods of the paper's tables come first.

use super::gradient::{Independent, Joint, read};
use super::{aggregators, fmtl, mtcool, weightings};
use crate::suite::{MethodEntry, MethodKind, Sharing};

const WU: &str = "Wu et al. 2023";

/// All methods.
pub(super) fn entries() -> Vec<MethodEntry> {
    vec![
        MethodEntry {
            name: "independent".into(),
            label: "Independent".into(),
            kind: MethodKind::Separate,
            summary: "one separate network per task, nothing shared".into(),
            needs: "1 forward and 1 backward pass per network".into(),
            reference: "-".into(),
            sharing: Sharing::Separate,
            inherits: Some("joint".into()),
            settings: read::<Independent>,
        },
        MethodEntry {
            name: "vanilla".into(),
            label: "Ours (Vanilla)".into(),
            kind: MethodKind::Alternating,
            summary: "updates tasks in turn; no noise, no clamp, no KL term".into(),
            needs: "L forward and L backward passes per task".into(),
            reference: WU.into(),
            sharing: Sharing::Shared,
            inherits: Some("mtcool".into()),
            settings: mtcool::vanilla,
        },
        MethodEntry {
            name: "no_regularizer".into(),
            label: "Ours (w/o Reg)".into(),
            kind: MethodKind::Alternating,
            summary: "updates tasks in turn with noise and clamp; no KL term".into(),
            needs: "L M forward and L M backward passes per task".into(),
            reference: WU.into(),
            sharing: Sharing::Shared,
            inherits: Some("mtcool".into()),
            settings: mtcool::no_regularizer,
        },
        MethodEntry {
            name: "mtcool".into(),
            label: "MT-COOL (Ours)".into(),
            kind: MethodKind::Alternating,
            summary: "updates tasks in turn with noise, clamp and KL term".into(),
            needs: "L M forward and L M backward passes per task".into(),
            reference: WU.into(),
            sharing: Sharing::Shared,
            inherits: None,
            settings: mtcool::full,
        },
        MethodEntry {
            name: "joint".into(),
            label: "Joint".into(),
            kind: MethodKind::Weighting,
            summary: "minimises the sum of the losses on one network".into(),
            needs: "1 forward and 1 backward pass".into(),
            reference: "Caruana 1997".into(),
            sharing: Sharing::Shared,
            inherits: None,
            settings: read::<Joint>,
        },
        MethodEntry {
            name: "mgda".into(),
            label: "MGDA".into(),
            kind: MethodKind::Aggregator,
            summary: "takes the shortest convex combination of the gradients".into(),
            needs: "T backward passes, Gramian, 1 problem on the simplex".into(),
            reference: "Sener and Koltun 2018".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::Mgda>,
        },
        MethodEntry {
            name: "pcgrad".into(),
            label: "PCGrad".into(),
            kind: MethodKind::Aggregator,
            summary: "removes from each gradient its conflicts with others".into(),
            needs: "T backward passes, Gramian".into(),
            reference: "Yu et al. 2020".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::PcGrad>,
        },
        MethodEntry {
            name: "graddrop".into(),
            label: "GradDrop".into(),
            kind: MethodKind::Aggregator,
            summary: "keeps gradients of one random sign per coordinate".into(),
            needs: "T backward passes, 1 pass over all gradients".into(),
            reference: "Chen et al. 2020".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::GradDrop>,
        },
        MethodEntry {
            name: "cagrad".into(),
            label: "CAGrad".into(),
            kind: MethodKind::Aggregator,
            summary: "near the mean gradient, best for the task that gains least".into(),
            needs: "T backward passes, Gramian, 1 problem on the simplex".into(),
            reference: "B. Liu et al. 2021".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::CaGrad>,
        },
        MethodEntry {
            name: "imtl_g".into(),
            label: "IMTL-G".into(),
            kind: MethodKind::Aggregator,
            summary: "has the same projection onto every gradient".into(),
            needs: "T backward passes, Gramian, eigenvectors".into(),
            reference: "L. Liu et al. 2021".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::ImtlG>,
        },
        MethodEntry {
            name: "nash_mtl".into(),
            label: "Nash-MTL".into(),
            kind: MethodKind::Aggregator,
            summary: "solves a bargaining problem between the tasks".into(),
            needs: "T backward passes, Gramian, Newton's method".into(),
            reference: "Navon et al. 2022".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::NashMtl>,
        },
        MethodEntry {
            name: "aligned_mtl".into(),
            label: "Aligned-MTL".into(),
            kind: MethodKind::Aggregator,
            summary: "makes the gradients orthogonal and equally long".into(),
            needs: "T backward passes, Gramian, eigenvectors".into(),
            reference: "Senushkin et al. 2023".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::AlignedMtl>,
        },
        MethodEntry {
            name: "upgrad".into(),
            label: "UPGrad".into(),
            kind: MethodKind::Aggregator,
            summary: "averages gradients projected to conflict with no task".into(),
            needs: "T backward passes, Gramian, T projections onto a cone".into(),
            reference: "Quinton and Rey 2024".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::UpGrad>,
        },
        MethodEntry {
            name: "dualproj".into(),
            label: "DualProj".into(),
            kind: MethodKind::Aggregator,
            summary: "projects the mean gradient to conflict with no task".into(),
            needs: "T backward passes, Gramian, 1 projection onto a cone".into(),
            reference: "Lopez-Paz and Ranzato 2017".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<aggregators::DualProj>,
        },
        MethodEntry {
            name: "uncertainty".into(),
            label: "Uncertainty".into(),
            kind: MethodKind::Weighting,
            summary: "divides the losses by learned noise levels".into(),
            needs: "1 forward and 1 backward pass".into(),
            reference: "Kendall et al. 2018".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<weightings::Uncertainty>,
        },
        MethodEntry {
            name: "dwa".into(),
            label: "DWA".into(),
            kind: MethodKind::Weighting,
            summary: "gives more weight to losses that decrease more slowly".into(),
            needs: "1 forward and 1 backward pass".into(),
            reference: "Liu et al. 2019".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<weightings::Dwa>,
        },
        MethodEntry {
            name: "rlw".into(),
            label: "RLW".into(),
            kind: MethodKind::Weighting,
            summary: "draws random weights in every step".into(),
            needs: "1 forward and 1 backward pass".into(),
            reference: "Lin et al. 2022".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<weightings::RandomWeighting>,
        },
        MethodEntry {
            name: "gradnorm".into(),
            label: "GradNorm".into(),
            kind: MethodKind::Weighting,
            summary: "equalises gradient lengths, larger for slower tasks".into(),
            needs: "T backward passes, lengths of the gradients".into(),
            reference: "Chen et al. 2018".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<weightings::GradNorm>,
        },
        MethodEntry {
            name: "famo".into(),
            label: "FAMO".into(),
            kind: MethodKind::Weighting,
            summary: "makes all losses decrease at the same relative rate".into(),
            needs: "2 forward and 1 backward pass".into(),
            reference: "Liu et al. 2023".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: read::<weightings::Famo>,
        },
        MethodEntry {
            name: "f_mtl".into(),
            label: "F-MTL".into(),
            kind: MethodKind::Wrapper,
            summary: "modifies another method to seek flat regions of every loss".into(),
            needs: "2 forward and 2 backward passes per task, wrapped method".into(),
            reference: "Phan et al. 2022".into(),
            sharing: Sharing::Shared,
            inherits: Some("joint".into()),
            settings: fmtl::read,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The methods of one paper are variants of one method: they inherit from it, or are it.
    #[test]
    fn two_papers_never_share_a_short_reference() {
        let entries = entries();
        let origin = |entry: &MethodEntry| match &entry.inherits {
            Some(base) if entries.iter().any(|e| e.name == *base && e.reference == entry.reference) => base.clone(),
            _ => entry.name.clone(),
        };
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.reference != "-") {
            for other in &entries[..at] {
                let shared = entry.reference == other.reference;
                assert!(
                    !shared || origin(entry) == origin(other),
                    "{} and {}: {}",
                    entry.name,
                    other.name,
                    entry.reference
                );
            }
        }
    }
}
