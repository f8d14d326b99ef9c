//! The entries of the first methods, in the order of listings: the methods of the paper's tables come first.

use super::gradient::{DIRECTION_SCALE, Explained, Independent, Joint, read};
use super::{aggregators, around, fmtl, mtcool, weightings};
use crate::suite::{MethodEntry, MethodKind, Sharing};

/// The settings of MT-COOL and of its ablations.
const MTCOOL: [Explained; 11] = [
    ["bound", "> 0", "half-width b of the noise and of the clamp"],
    ["bound_unit", "absolute | initial_width", "whether b is multiplied by each parameter's initial half-width"],
    ["perturbed", "all | weights", "which parameters get noise and clamp: all, or all but biases and norms"],
    ["clamped_velocity", "keeps | stops", "whether the velocity of an element becomes 0 when the clamp moves it"],
    ["alpha", "> 0", "learning rate of the warm-up"],
    ["beta", "> 0", "learning rate of the inner iterations"],
    ["samples", ">= 1", "draws M of the noise"],
    ["inner_iterations", ">= 1", "inner iterations L per task"],
    ["warmup_iterations", ">= 0", "iterations T_w of the warm-up"],
    ["lambda", ">= 0", "weight of the KL term"],
    ["schedule", "gauss_seidel | jacobi", "whether a task sees the updates of the tasks before it"],
];

/// The first methods.
pub(super) fn entries() -> Vec<MethodEntry> {
    let independent = MethodEntry::new("independent", "Independent", MethodKind::Separate, read::<Independent>)
        .described("one separate network per task, nothing shared", "1 forward and 1 backward pass per network", "-")
        .explained("d_i = g_i on a network of its own for each task i", "each task as if the others did not exist", &[])
        .inheriting("joint");
    vec![
        MethodEntry { sharing: Sharing::Separate, ..independent },
        MethodEntry::new("vanilla", "Ours (Vanilla)", MethodKind::Alternating, mtcool::vanilla)
            .described(
                "updates tasks in turn; no noise, no clamp, no KL term",
                "L forward and L backward passes per task",
                "Wu et al. 2023 (Vanilla)",
            )
            .titled("Multi-Task Cooperative Learning via Searching for Flat Minima")
            .explained("for each task i in turn, L times: psi_i -= beta grad L_i", "none", &MTCOOL)
            .inheriting("mtcool"),
        MethodEntry::new("no_regularizer", "Ours (w/o Reg)", MethodKind::Alternating, mtcool::no_regularizer)
            .described(
                "updates tasks in turn with noise and clamp; no KL term",
                "L M forward and L M backward passes per task",
                "Wu et al. 2023 (w/o Reg)",
            )
            .titled("Multi-Task Cooperative Learning via Searching for Flat Minima")
            .explained(
                "for each task i in turn, L times: psi_i -= beta grad mean_j L_i(theta_i, phi_i, {theta_k + \
                 eps_k^(j)}); theta_i stays within b of its start",
                "theta_i within b of where the other tasks have last seen it",
                &MTCOOL,
            )
            .inheriting("mtcool"),
        MethodEntry::new("mtcool", "MT-COOL (Ours)", MethodKind::Alternating, mtcool::full)
            .described(
                "updates tasks in turn with noise, clamp and KL term",
                "L M forward and L M backward passes per task",
                "Wu et al. 2023",
            )
            .titled("Multi-Task Cooperative Learning via Searching for Flat Minima")
            .explained(
                "as no_regularizer, with lambda mean_j KL(yhat^(j) || mean_n yhat^(n)) added to the loss",
                "theta_i within b of where the other tasks have last seen it",
                &MTCOOL,
            ),
        MethodEntry::new("joint", "Joint", MethodKind::Weighting, read::<Joint>)
            .described(
                "minimises the sum of the losses on one network",
                "1 forward and 1 backward pass",
                "Caruana 1997",
            )
            .titled("Multitask learning")
            .explained(
                "d = sum_i w_i g_i",
                "the weighted sum of the losses falls; any single loss may rise",
                &[["weights", "numbers >= 0, one per task", "fixed weights w of the losses; without them 1 for all"]],
            ),
        MethodEntry::new("mgda", "MGDA", MethodKind::Aggregator, read::<aggregators::Mgda>)
            .described(
                "takes the shortest convex combination of the gradients",
                "T backward passes, Gramian, 1 problem on the simplex",
                "Sener and Koltun 2018",
            )
            .titled("Multi-task learning as multi-objective optimization")
            .explained(
                "w = argmin |sum_i w_i g_i / s_i| on the simplex; d = sum_i w_i g_i",
                "without normalization g_i . d >= |d|^2: no loss rises; d = 0 exactly at Pareto-stationary points",
                &[
                    ["normalization", "none | l2 | loss | loss+", "s_i: 1, |g_i|, L_i or L_i |g_i|"],
                    ["corner", "0 to 0.5", "weight that the others keep where one task would get all"],
                    DIRECTION_SCALE,
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("pcgrad", "PCGrad", MethodKind::Aggregator, read::<aggregators::PcGrad>)
            .described(
                "removes from each gradient its conflicts with others",
                "T backward passes, Gramian",
                "Yu et al. 2020",
            )
            .titled("Gradient surgery for multi-task learning")
            .explained(
                "p_i = g_i; for the other j in random order: if p_i . g_j < 0, p_i -= (p_i . g_j / |g_j|^2) g_j; d = \
                 sum_i p_i",
                "no conflict for two tasks",
                &[],
            )
            .inheriting("joint"),
        MethodEntry::new("graddrop", "GradDrop", MethodKind::Aggregator, read::<aggregators::GradDrop>)
            .described(
                "keeps gradients of one random sign per coordinate",
                "T backward passes, 1 pass over all gradients",
                "Chen et al. 2020",
            )
            .titled("Just pick a sign: optimizing deep multitask models with gradient sign dropout")
            .explained(
                "P = (1 + sum_i g_i / sum_i |g_i|) / 2 per coordinate; positive parts are kept where P > u, negative \
                 ones where P < u, u ~ U(0, 1)",
                "the sum of the gradients in expectation",
                &[["leak", "numbers 0 to 1, one per task, or []", "share of a gradient that is always kept; empty: 0"]],
            )
            .inheriting("joint"),
        MethodEntry::new("cagrad", "CAGrad", MethodKind::Aggregator, read::<aggregators::CaGrad>)
            .described(
                "near the mean gradient, best for the task that gains least",
                "T backward passes, Gramian, 1 problem on the simplex",
                "Liu et al. 2021 (CAGrad)",
            )
            .titled("Conflict-averse gradient descent for multi-task learning")
            .explained(
                "d maximises min_i g_i . d over |d - g_0| <= c |g_0|, g_0 the mean gradient",
                "c < 1: converges to stationary points of the mean loss",
                &[
                    ["c", ">= 0", "radius of the ball"],
                    ["rescale", "0 | 1 | 2", "divide by 1, 1 + c^2, 1 + c"],
                    DIRECTION_SCALE,
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("imtl_g", "IMTL-G", MethodKind::Aggregator, read::<aggregators::ImtlG>)
            .described(
                "has the same projection onto every gradient",
                "T backward passes, Gramian, eigenvectors",
                "Liu et al. 2021 (IMTL-G)",
            )
            .titled("Towards impartial multi-task learning")
            .explained(
                "w = G^+ (|g_1|, ..., |g_T|) / sum; d = sum_i w_i g_i",
                "d . g_i / |g_i| is equal for all tasks; it may be negative",
                &[DIRECTION_SCALE],
            )
            .inheriting("joint"),
        MethodEntry::new("nash_mtl", "Nash-MTL", MethodKind::Aggregator, read::<aggregators::NashMtl>)
            .described(
                "solves a bargaining problem between the tasks",
                "T backward passes, Gramian, Newton's method",
                "Navon et al. 2022",
            )
            .titled("Multi-task learning as a bargaining game")
            .explained(
                "a > 0 with G a = 1 / a; d = sum_i a_i g_i, |d| <= max_norm",
                "g_i . d > 0 for every task; the scales of the losses do not matter",
                &[
                    ["max_norm", ">= 0", "largest length of d; 0: no limit"],
                    ["update_weights_every", ">= 1", "steps between updates of a"],
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("aligned_mtl", "Aligned-MTL", MethodKind::Aggregator, read::<aggregators::AlignedMtl>)
            .described(
                "makes the gradients orthogonal and equally long",
                "T backward passes, Gramian, eigenvectors",
                "Senushkin et al. 2023",
            )
            .titled("Independent component alignment for multi-task learning")
            .explained(
                "G = V diag(lambda) V^T; d = J^T B (1/T, ..., 1/T), B = sigma V diag(lambda^(-1/2)) V^T",
                "converges to stationary points of the mean loss",
                &[["scale", "min | median | rmse", "sigma^2: smallest, median or mean eigenvalue"], DIRECTION_SCALE],
            )
            .inheriting("joint"),
        MethodEntry::new("upgrad", "UPGrad", MethodKind::Aggregator, read::<aggregators::UpGrad>)
            .described(
                "averages gradients projected to conflict with no task",
                "T backward passes, Gramian, T projections onto a cone",
                "Quinton and Rey 2024",
            )
            .titled("Jacobian descent for multi-objective optimization")
            .explained(
                "d = 1/T sum_i (projection of g_i onto {d : g_j . d >= 0 for all j})",
                "no loss rises (for norm_eps = reg_eps = 0)",
                &[
                    ["norm_eps", ">= 0", "below this sum of squared lengths d is the mean gradient"],
                    ["reg_eps", ">= 0", "added to the diagonal of G / tr G"],
                    DIRECTION_SCALE,
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("dualproj", "DualProj", MethodKind::Aggregator, read::<aggregators::DualProj>)
            .described(
                "projects the mean gradient to conflict with no task",
                "T backward passes, Gramian, 1 projection onto a cone",
                "Lopez-Paz and Ranzato 2017",
            )
            .titled("Gradient episodic memory for continual learning")
            .explained(
                "d = projection of the mean gradient onto {d : g_j . d >= 0 for all j}",
                "no loss rises (for norm_eps = reg_eps = 0)",
                &[
                    ["norm_eps", ">= 0", "below this sum of squared lengths d is the mean gradient"],
                    ["reg_eps", ">= 0", "added to the diagonal of G / tr G"],
                    DIRECTION_SCALE,
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("uncertainty", "Uncertainty", MethodKind::Weighting, read::<weightings::Uncertainty>)
            .described(
                "divides the losses by learned noise levels",
                "1 forward and 1 backward pass",
                "Kendall et al. 2018",
            )
            .titled("Multi-task learning using uncertainty to weigh losses")
            .explained(
                "minimises sum_i exp(-s_i) L_i + s_i / 2 in s and in the parameters",
                "at rest as the sum of the log losses: scales do not matter",
                &[["weight_rate", "> 0", "learning rate of s"]],
            )
            .inheriting("joint"),
        MethodEntry::new("dwa", "DWA", MethodKind::Weighting, read::<weightings::Dwa>)
            .described(
                "gives more weight to losses that decrease more slowly",
                "1 forward and 1 backward pass",
                "Liu et al. 2019",
            )
            .titled("End-to-end multi-task learning with attention")
            .explained(
                "r_i = L_i(t-1) / L_i(t-2) over windows of steps; w = T softmax(r / temperature)",
                "none",
                &[
                    ["temperature", "> 0", "large: equal weights"],
                    ["window", ">= 1", "steps of a window, in the paper an epoch"],
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("rlw", "RLW", MethodKind::Weighting, read::<weightings::RandomWeighting>)
            .described("draws random weights in every step", "1 forward and 1 backward pass", "Lin et al. 2022")
            .titled("Reasonable effectiveness of random weighting")
            .explained("w = softmax(z), z ~ N(0, I)", "the mean loss in expectation", &[])
            .inheriting("joint"),
        MethodEntry::new("gradnorm", "GradNorm", MethodKind::Weighting, read::<weightings::GradNorm>)
            .described(
                "equalises gradient lengths, larger for slower tasks",
                "T backward passes, lengths of the gradients",
                "Chen et al. 2018",
            )
            .titled("GradNorm: gradient normalization for adaptive loss balancing")
            .explained(
                "w descends sum_i | w_i |g_i| - mean_j(w_j |g_j|) r_i^alpha |, r_i the relative inverse training rate",
                "at rest w_i |g_i| is proportional to r_i^alpha",
                &[
                    ["alpha", ">= 0", "how much longer the gradients of slow tasks become"],
                    ["weight_rate", "> 0", "learning rate of w"],
                ],
            )
            .inheriting("joint"),
        MethodEntry::new("famo", "FAMO", MethodKind::Weighting, read::<weightings::Famo>)
            .described(
                "makes all losses decrease at the same relative rate",
                "2 forward and 1 backward pass",
                "Liu et al. 2023",
            )
            .titled("FAMO: fast adaptive multitask optimization")
            .explained(
                "w_i = c z_i / L_i, z = softmax(xi); xi follows the log losses before and after the step",
                "losses fall at the same relative rate where that is possible; losses >= 0",
                &[["weight_rate", "> 0", "learning rate of xi"], ["gamma", ">= 0", "weight decay of xi"]],
            )
            .inheriting("joint"),
        MethodEntry::new("f_mtl", "F-MTL", MethodKind::Wrapper, around::read::<fmtl::Keys>)
            .described(
                "modifies another method to seek flat regions of every loss",
                "2 forward and 2 backward passes per task, wrapped method",
                "Phan et al. 2022",
            )
            .titled("Improving multi-task learning via seeking task-based flat regions")
            .explained(
                "s_i = grad L_i at theta + rho g_i / |g_i|; d = A(g_1, ..., g_T) + A(s_1 - g_1, ..., s_T - g_T), A \
                 the wrapped method",
                "none for a single step",
                &[
                    ["around", "a method's name", "the wrapped method"],
                    ["rho_shared", ">= 0", "length of the perturbation of theta"],
                    ["rho_own", ">= 0", "length of the perturbation of phi_i"],
                    ["settings", "a table", "the settings of the wrapped method"],
                ],
            )
            .inheriting("joint"),
    ]
}
