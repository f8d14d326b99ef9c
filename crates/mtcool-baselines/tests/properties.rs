//! Properties of the aggregators on random gradients: order and scale of the tasks, conflicts, optimality, zero and repeated
//! rows, very different lengths.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{AGGREGATORS, combined, direction, dot, gradnorm, length, moved_along, weights};
use mtcool_baselines::{
    AlignedMtl, AlignedScale, CaGrad, DualProj, GradDrop, ImtlG, Mgda, NashMtl, Normalization, PcGrad, RawDirection,
    Rescale, UpGrad,
};
use mtcool_core::Aggregator;
use proptest::prelude::*;

type Rows = Vec<Vec<f64>>;

/// Up to 6 tasks of up to 9 coordinates; often more tasks than coordinates.
fn rows() -> impl Strategy<Value = Rows> {
    (2usize..7, 2usize..10).prop_flat_map(|(tasks, n)| matrix(tasks, n))
}

/// No more tasks than coordinates, as in training: the Gramian has an inverse.
fn independent_rows() -> impl Strategy<Value = Rows> {
    (2usize..6).prop_flat_map(|tasks| (Just(tasks), tasks + 3..12)).prop_flat_map(|(tasks, n)| matrix(tasks, n))
}

fn matrix(tasks: usize, n: usize) -> impl Strategy<Value = Rows> {
    // Some whole numbers, so that zeros, ties and parallel rows occur.
    let entry = prop_oneof![4 => -1.0..1.0f64, 1 => (-2i32..3).prop_map(f64::from)];
    prop::collection::vec(prop::collection::vec(entry, n), tasks)
}

/// Rows of scales from 1e-12 to 1e12, some zero, some repeated.
fn odd_rows() -> impl Strategy<Value = Rows> {
    let change = (-12i32..=12, 0u8..12);
    rows().prop_flat_map(move |rows| (prop::collection::vec(change.clone(), rows.len()), Just(rows))).prop_map(
        |(changes, mut rows)| {
            for (i, (exponent, kind)) in changes.into_iter().enumerate() {
                match kind {
                    0 => rows[i].fill(0.0),
                    1 => rows[i] = rows[0].clone(),
                    2 => rows[i] = rows[0].iter().map(|x| -x).collect(),
                    _ => rows[i].iter_mut().for_each(|x| *x *= 10f64.powi(exponent)),
                }
            }
            rows
        },
    )
}

fn permuted<T: Clone>(list: &[T], turn: usize) -> Vec<T> {
    (0..list.len()).map(|i| list[(i + turn) % list.len()].clone()).collect()
}

/// Equal but for rounding, relative to `size`.
fn close(a: &[f64], b: &[f64], size: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-7 * size)
}

fn largest(rows: &Rows) -> f64 {
    rows.iter().map(|row| length(row)).fold(0.0, f64::max)
}

/// The sum of the lengths of the weighted rows, to which the rounding of the combination is relative.
fn effort(rows: &Rows, weights: &[f64]) -> f64 {
    rows.iter().zip(weights).map(|(row, w)| w.abs() * length(row)).sum()
}

fn mgda() -> Mgda {
    Mgda::new(Normalization::None)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// PCGrad's order is random, and is permuted with the tasks below.
    #[test]
    fn the_order_of_the_tasks_does_not_matter(rows in independent_rows(), turn in 1usize..5) {
        for (name, build) in AGGREGATORS.iter().filter(|(name, _)| *name != "pcgrad") {
            let plain = direction(build().as_mut(), &rows);
            let other = direction(build().as_mut(), &permuted(&rows, turn));
            let size = largest(&rows).max(length(&plain));
            prop_assert!(close(&plain, &other, size), "{name}: {plain:?} and {other:?}");
        }
        let tasks = rows.len();
        let gramian = |rows: &Rows| -> Rows { rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect() };
        let orders: Vec<Vec<usize>> = (0..tasks).map(|i| (1..tasks).map(|k| (i + k) % tasks).collect()).collect();
        let plain = PcGrad::weights(&gramian(&rows), &orders);
        let other = PcGrad::weights(&gramian(&permuted(&rows, turn)), &orders);
        prop_assert!(close(&permuted(&plain, turn), &other, 1.0), "{plain:?} and {other:?}");
    }

    #[test]
    fn directions_scale_with_the_gradients_and_a_bargain_does_not(rows in independent_rows(), exponent in -12i32..=12) {
        let scale = 10f64.powi(exponent);
        let scaled: Rows = rows.iter().map(|row| row.iter().map(|x| scale * x).collect()).collect();
        for (name, build) in AGGREGATORS {
            let plain = direction(build().as_mut(), &rows);
            let factor = if name.starts_with("nash") { 1.0 } else { scale };
            let back: Vec<f64> = direction(build().as_mut(), &scaled).iter().map(|x| x / factor).collect();
            let size = largest(&rows).max(length(&plain));
            prop_assert!(close(&plain, &back, size), "{name} times {scale}: {plain:?} and {back:?}");
        }
    }

    #[test]
    fn a_bargain_does_not_care_how_the_losses_are_scaled(
        rows in independent_rows(), exponents in prop::collection::vec(-12i32..=12, 6),
    ) {
        let scaled = |row: (&Vec<f64>, &i32)| row.0.iter().map(|x| 10f64.powi(*row.1) * x).collect();
        let scaled: Rows = rows.iter().zip(&exponents).map(scaled).collect();
        let mut nash = NashMtl::new(0.0, 1).unwrap();
        let (plain, other) = (direction(&mut nash.clone(), &rows), direction(&mut nash, &scaled));
        prop_assert!(close(&plain, &other, 10.0), "{plain:?} and {other:?}");
    }

    /// `A(diag(a + b) J) = A(diag(a) J) + A(diag(b) J)`.
    #[test]
    fn upgrad_is_linear_in_the_lengths_of_the_gradients(
        rows in independent_rows(), factors in prop::collection::vec((0.01..10.0f64, 0.01..10.0f64), 6),
    ) {
        let of = |factor: &dyn Fn((f64, f64)) -> f64| {
            let scaled = |(row, pair): (&Vec<f64>, &(f64, f64))| row.iter().map(|x| factor(*pair) * x).collect();
            let scaled: Rows = rows.iter().zip(&factors).map(scaled).collect();
            direction(&mut UpGrad::new(0.0, 0.0).unwrap(), &scaled)
        };
        let parts: Vec<f64> = of(&|(a, _)| a).iter().zip(of(&|(_, b)| b)).map(|(a, b)| a + b).collect();
        let whole = of(&|(a, b)| a + b);
        prop_assert!(close(&whole, &parts, 20.0 * largest(&rows)), "{whole:?} and {parts:?}");
    }

    #[test]
    fn those_that_promise_it_conflict_with_no_task(rows in odd_rows()) {
        let mut promising: Vec<(&str, Box<dyn Aggregator>)> = vec![
            ("mgda", Box::new(mgda())),
            ("upgrad", Box::new(UpGrad::new(0.0, 0.0).unwrap())),
            ("dualproj", Box::new(DualProj::new(0.0, 0.0).unwrap())),
            ("nash_mtl", Box::new(NashMtl::new(0.0, 1).unwrap())),
        ];
        let two = rows.len() == 2;
        if two {
            promising.push(("pcgrad of two", Box::new(PcGrad::new(0))));
        }
        for (name, mut aggregator) in promising {
            let weights = weights(aggregator.as_mut(), &rows);
            let (d, effort) = (combined(&rows, &weights), effort(&rows, &weights));
            for (i, row) in rows.iter().enumerate() {
                let allowed = 1e-6 * effort * length(row);
                prop_assert!(dot(row, &d) >= -allowed, "{name}: task {i}: {} of {allowed}", dot(row, &d));
            }
        }
    }

    /// Karush, Kuhn and Tucker's conditions: `g_i . d >= |d|^2`, with equality where `w_i > 0`.
    #[test]
    fn mgda_finds_the_shortest_convex_combination(rows in odd_rows()) {
        let w = weights(&mut mgda(), &rows);
        let d = combined(&rows, &w);
        prop_assert!(w.iter().all(|&w| w >= 0.0) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{w:?}");
        // The shortest row is a combination too.
        let shortest = rows.iter().map(|row| length(row)).fold(f64::INFINITY, f64::min);
        prop_assert!(length(&d) <= shortest * (1.0 + 1e-9));
        let effort = effort(&rows, &w);
        for (row, &weight) in rows.iter().zip(&w) {
            let excess = dot(row, &d) - dot(&d, &d);
            let rounding = 1e-6 * effort * (length(row) + length(&d));
            prop_assert!(excess >= -rounding, "{excess:e} of {rounding:e}");
            prop_assert!(weight * excess <= rounding * weight.max(1e-300), "{weight} {excess:e}");
        }
    }

    /// d is in the ball, and no point of the ball is better: the dual value of the weights is an upper bound.
    #[test]
    fn cagrad_is_the_best_of_its_ball_for_the_worst_off(rows in rows(), c in prop_oneof![Just(0.0), 0.05..0.95f64]) {
        let tasks = rows.len();
        let w = weights(&mut CaGrad::new(c, Rescale::None).unwrap(), &rows);
        let mean = combined(&rows, &vec![1.0 / tasks as f64; tasks]);
        let moved: Vec<f64> = w.iter().map(|w| w - 1.0 / tasks as f64).collect();
        let (offset, radius) = (combined(&rows, &moved), c * length(&mean));
        let size = largest(&rows);
        prop_assert!(length(&offset) <= radius + 1e-5 * size, "{} of {radius}", length(&offset));
        prop_assert!(moved.iter().all(|&w| w >= -1e-12));
        let d = combined(&rows, &w);
        let worst = rows.iter().map(|row| dot(row, &d)).fold(f64::INFINITY, f64::min);
        let total: f64 = moved.iter().sum();
        // g_w . g0 + radius |g_w|, at w = moved / total.
        let bound = if total > 0.0 {
            (dot(&offset, &mean) + radius * length(&offset)) / total
        } else {
            f64::INFINITY
        };
        // Where gradients cancel (g_w = 0) the best value is 0.
        let bound = if length(&offset) < 0.999 * radius { bound.min(0.0) } else { bound };
        if total > 0.0 && radius > 1e-6 * size {
            prop_assert!(worst >= bound - 1e-5 * size * size, "{worst} below {bound}");
        }
        for rescale in [Rescale::Square, Rescale::Linear] {
            let divisor = if rescale == Rescale::Square { 1.0 + c * c } else { 1.0 + c };
            let rescaled = weights(&mut CaGrad::new(c, rescale).unwrap(), &rows);
            prop_assert!(w.iter().zip(&rescaled).all(|(w, r)| (w / divisor - r).abs() <= 1e-12 * w.abs()));
        }
    }

    #[test]
    fn cagrad_stays_in_its_ball_at_any_scale(rows in odd_rows()) {
        let tasks = rows.len();
        let w = weights(&mut CaGrad::new(0.4, Rescale::None).unwrap(), &rows);
        let mean = combined(&rows, &vec![1.0 / tasks as f64; tasks]);
        let moved: Vec<f64> = w.iter().map(|w| w - 1.0 / tasks as f64).collect();
        let allowed = 0.4 * length(&mean) * (1.0 + 1e-2) + 1e-6 * largest(&rows);
        prop_assert!(length(&combined(&rows, &moved)) <= allowed);
    }

    /// The conditions of the projection: d is in the cone, no weight is below that of the mean, and a weight is above it only where
    /// d touches the cone's border.
    #[test]
    fn dualproj_is_the_projection_of_the_mean(rows in rows()) {
        let share = 1.0 / rows.len() as f64;
        let w = weights(&mut DualProj::new(0.0, 0.0).unwrap(), &rows);
        let d = combined(&rows, &w);
        let size = effort(&rows, &w) * largest(&rows);
        for (row, &weight) in rows.iter().zip(&w) {
            prop_assert!(weight >= share);
            prop_assert!(dot(row, &d) >= -1e-7 * size);
            prop_assert!(((weight - share) * dot(row, &d)).abs() <= 1e-7 * size * weight);
        }
    }

    #[test]
    fn where_no_two_conflict_the_projecting_methods_leave_the_gradients_alone(rows in independent_rows()) {
        let rows: Rows = rows.iter().map(|row| row.iter().map(|x| x.abs()).collect()).collect();
        let tasks = rows.len() as f64;
        let all = |w: &[f64], value: f64| w.iter().all(|w| (w - value).abs() < 1e-12);
        prop_assert!(all(&weights(&mut PcGrad::new(1), &rows), 1.0));
        prop_assert!(all(&weights(&mut UpGrad::new(0.0, 0.0).unwrap(), &rows), 1.0 / tasks));
        prop_assert!(all(&weights(&mut DualProj::new(0.0, 0.0).unwrap(), &rows), 1.0 / tasks));
    }

    #[test]
    fn imtl_g_projects_equally_on_all_gradients(rows in independent_rows()) {
        let w = weights(&mut ImtlG, &rows);
        prop_assume!(w.iter().any(|&w| w != 0.0));
        let d = combined(&rows, &w);
        let projections: Vec<f64> = rows.iter().map(|row| dot(row, &d) / length(row)).collect();
        let effort = effort(&rows, &w);
        prop_assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-9 * w.iter().map(|w| w.abs()).sum::<f64>());
        prop_assert!(projections.iter().all(|p| (p - projections[0]).abs() < 1e-6 * effort), "{projections:?}");
    }

    /// `w = B (1/T, ..., 1/T)` and `B G B^T = sigma^2 I`, so that `w . (G w) = sigma^2 / T` and `(G w)_i` is B^-1's row sum.
    #[test]
    fn aligned_gradients_are_orthogonal_and_of_one_length(rows in independent_rows()) {
        let tasks = rows.len() as f64;
        let of = |scale| {
            let d = combined(&rows, &weights(&mut AlignedMtl::new(scale), &rows));
            length(&d).powi(2) * tasks
        };
        let smallest = of(AlignedScale::Min);
        let (median, mean) = (of(AlignedScale::Median), of(AlignedScale::Rmse));
        let trace: f64 = rows.iter().map(|row| dot(row, row)).sum();
        prop_assert!((mean - trace / tasks).abs() < 1e-8 * trace, "the mean of the eigenvalues is the trace over T");
        prop_assert!(smallest <= median * (1.0 + 1e-8) && smallest <= mean * (1.0 + 1e-8));
    }

    #[test]
    fn a_bargain_gains_every_task_the_inverse_of_its_weight(rows in independent_rows()) {
        let a = weights(&mut NashMtl::new(0.0, 1).unwrap(), &rows);
        let d = combined(&rows, &a);
        for (row, a) in rows.iter().zip(&a) {
            prop_assert!(length(row) == 0.0 || (a * dot(row, &d) - 1.0).abs() < 1e-6, "{a}");
        }
        let clipped = direction(&mut NashMtl::new(0.5, 1).unwrap(), &rows);
        prop_assert!((length(&clipped) - 0.5).abs() < 1e-6);
    }

    /// The closed form for two tasks against the active sets for three, of which two are the same.
    #[test]
    fn mgda_for_two_is_mgda_for_three_of_which_two_are_the_same(
        rows in (2usize..10).prop_flat_map(|n| matrix(2, n)), exponents in (-6i32..=6, -6i32..=6),
    ) {
        let scaled = |row: &Vec<f64>, exponent| row.iter().map(|x| 10f64.powi(exponent) * x).collect();
        let rows = vec![scaled(&rows[0], exponents.0), scaled(&rows[1], exponents.1)];
        let two = weights(&mut mgda(), &rows);
        for third in 0..2 {
            let three = vec![rows[0].clone(), rows[1].clone(), rows[third].clone()];
            let (fast, slow) = (direction(&mut mgda(), &rows), direction(&mut mgda(), &three));
            prop_assert!(close(&fast, &slow, effort(&rows, &two)), "{fast:?} and {slow:?}");
        }
    }

    /// Where all T tasks have one gradient g, one learning rate moves theta by `T g` with every aggregator: as Joint does. The
    /// exceptions follow from the methods' definitions.
    #[test]
    fn equal_gradients_move_theta_as_far_as_joint_does(
        row in prop::collection::vec(-1.0..1.0f64, 4), tasks in 1usize..7, c in 0.05..0.95f64,
    ) {
        prop_assume!(length(&row) > 1e-3);
        let (rows, sum) = (vec![row.clone(); tasks], tasks as f64);
        let cagrad = |rescale| -> Box<dyn Aggregator> { Box::new(CaGrad::new(c, rescale).unwrap()) };
        let aligned = |scale| -> Box<dyn Aggregator> { Box::new(AlignedMtl::new(scale)) };
        // The factor of g.
        let mut cases: Vec<(&str, Box<dyn Aggregator>, f64)> = vec![
            ("cagrad, not rescaled", cagrad(Rescale::None), sum * (1.0 + c)),
            ("cagrad, by 1 + c^2", cagrad(Rescale::Square), sum * (1.0 + c) / (1.0 + c * c)),
            ("cagrad, by 1 + c", cagrad(Rescale::Linear), sum),
            ("aligned_mtl, median", aligned(AlignedScale::Median), sum),
            ("aligned_mtl, rmse", aligned(AlignedScale::Rmse), sum),
            ("mgda with a corner", Box::new(mgda().with_corner(0.2).unwrap()), sum),
            ("graddrop with a leak", Box::new(GradDrop::new(5, vec![c; tasks]).unwrap()), sum),
            ("upgrad, regularised", Box::new(UpGrad::new(1e-4, 1e-4).unwrap()), sum),
            ("dualproj, regularised", Box::new(DualProj::new(1e-4, 1e-4).unwrap()), sum),
            ("nash_mtl, not shortened", Box::new(NashMtl::new(0.0, 1).unwrap()), sum.sqrt() / length(&row)),
            ("raw mgda", Box::new(RawDirection(Box::new(mgda()))), 1.0),
            ("raw pcgrad", Box::new(RawDirection(Box::new(PcGrad::new(1)))), sum),
        ];
        cases.extend(AGGREGATORS.into_iter().chain([gradnorm()]).map(|(name, build)| {
            let factor = match name {
                "cagrad" => sum * 1.4 / 1.16,
                "nash_mtl" | "nash_mtl every 3" => 1.0 / length(&row),
                _ => sum,
            };
            (name, build(), factor)
        }));
        for (name, mut aggregator, factor) in cases {
            let moved = moved_along(aggregator.as_mut(), &rows);
            let want: Vec<f64> = row.iter().map(|x| factor * x).collect();
            prop_assert!(close(&moved, &want, length(&want)), "{name}: {moved:?}, expected {want:?}");
        }
    }

    #[test]
    fn every_direction_is_finite(rows in odd_rows()) {
        for (name, build) in AGGREGATORS {
            let d = direction(build().as_mut(), &rows);
            prop_assert!(d.iter().all(|x| x.is_finite()), "{name}: {d:?}");
        }
    }

    #[test]
    fn one_task_alone_is_descended(row in prop::collection::vec(-1.0..1.0f64, 4), exponent in -12i32..=12) {
        let row: Vec<f64> = row.iter().map(|x| 10f64.powi(exponent) * x).collect();
        prop_assume!(length(&row) > 0.0);
        for (name, build) in AGGREGATORS {
            let d = direction(build().as_mut(), std::slice::from_ref(&row));
            let factor = match name {
                "cagrad" => 1.4 / 1.16,
                name if name.starts_with("nash") => 1.0 / length(&row),
                _ => 1.0,
            };
            prop_assert!(d.iter().zip(&row).all(|(d, x)| (d - factor * x).abs() <= 1e-9 * factor * length(&row)), "{name}");
        }
    }
}

#[test]
fn where_gradients_cancel_nothing_moves() {
    let rows = vec![vec![1.0, -2.0, 0.5], vec![-2.0, 4.0, -1.0]];
    let two = ["mgda", "pcgrad", "nash_mtl", "upgrad", "dualproj", "nash_mtl every 3"];
    for (name, build) in AGGREGATORS.iter().filter(|(name, _)| two.contains(name)) {
        assert!(length(&direction(build().as_mut(), &rows)) < 1e-7, "{name}");
    }
    let zeros = vec![vec![0.0; 4]; 3];
    for (name, build) in AGGREGATORS {
        assert_eq!(direction(build().as_mut(), &zeros), vec![0.0; 4], "{name}");
    }
}

#[test]
fn a_repeated_task_changes_nothing_for_mgda() {
    let rows = vec![vec![1.0, 2.0, 0.0], vec![-1.0, 0.5, 1.0]];
    let repeated = vec![rows[0].clone(), rows[1].clone(), rows[0].clone(), rows[1].clone()];
    let (once, twice) = (direction(&mut mgda(), &rows), direction(&mut mgda(), &repeated));
    assert!(close(&once, &twice, 1e-6));
}

#[test]
fn many_tasks_are_no_trouble() {
    // 40 tasks in 60 dimensions, from a linear congruence.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    };
    let rows: Rows = (0..40).map(|_| (0..60).map(|_| next()).collect()).collect();
    for (name, build) in AGGREGATORS {
        let d = direction(build().as_mut(), &rows);
        assert!(d.iter().all(|x| x.is_finite()) && length(&d) > 0.0, "{name}");
    }
    let d = direction(&mut mgda(), &rows);
    assert!(rows.iter().all(|row| dot(row, &d) >= dot(&d, &d) * (1.0 - 1e-9)));
}

#[test]
fn settings_out_of_range_are_named() {
    let text = |error: mtcool_core::Error| error.to_string();
    assert!(text(CaGrad::new(-0.1, Rescale::None).unwrap_err()).contains("`c` is -0.1: expected at least 0"));
    assert!(text(mgda().with_corner(0.6).unwrap_err()).contains("`corner` is 0.6: expected between 0 and 0.5"));
    assert!(text(NashMtl::new(1.0, 0).unwrap_err()).contains("`update_weights_every` is 0"));
    assert!(text(NashMtl::new(f64::NAN, 1).unwrap_err()).contains("`max_norm` is NaN"));
    assert!(text(UpGrad::new(-1.0, 0.0).unwrap_err()).contains("`norm_eps` is -1"));
    assert!(text(DualProj::new(0.0, -1.0).unwrap_err()).contains("`reg_eps` is -1"));
    assert!(text(mtcool_baselines::GradDrop::new(0, vec![0.5, 1.5]).unwrap_err()).contains("`leak` is 1.5"));
    let rows = common::gradients(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
    let jacobian = mtcool_core::Jacobian::new(&rows, &[1.0, 0.0]);
    let wrong = text(Mgda::new(Normalization::Loss).combine(&jacobian, 0).unwrap_err());
    assert!(wrong.contains("the loss of task 1") && wrong.contains("normalization none or l2"), "{wrong}");
    let wrong = text(mtcool_baselines::GradDrop::new(0, vec![0.5]).unwrap().combine(&jacobian, 0).unwrap_err());
    assert!(wrong.contains("2 numbers, one per task"), "{wrong}");
}
