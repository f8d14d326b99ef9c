//! What the further methods promise, on random gradients and losses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{FURTHER, combined, direction, dot, gradients, grouped, length, moved_along, weights};
use mtcool_baselines::{
    ConFig, Cosmos, CrMogm, FairGrad, GeometricMean, GradVac, GroupBy, Igb, ImtlL, Krum, KrumDistance, Mgda,
    Normalization, Pbi, PcGrad, Pcd, Pivrg, ScaleInvariant, Smoothing, Stch, StchLog, TrimmedMean,
};
use mtcool_core::{Aggregator, EpochSummary, Jacobian};
use proptest::prelude::*;

type Rows = Vec<Vec<f64>>;

/// No more tasks than coordinates, as in training.
fn rows() -> impl Strategy<Value = Rows> {
    (2usize..6)
        .prop_flat_map(|tasks| (Just(tasks), tasks + 3..12))
        .prop_flat_map(|(tasks, n)| prop::collection::vec(prop::collection::vec(-1.0..1.0f64, n), tasks))
}

fn turned<T: Clone>(list: &[T], turn: usize) -> Vec<T> {
    (0..list.len()).map(|i| list[(i + turn) % list.len()].clone()).collect()
}

fn close(a: &[f64], b: &[f64], size: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-7 * size)
}

fn times(rows: &Rows, factor: f64) -> Rows {
    rows.iter().map(|row| row.iter().map(|x| factor * x).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// But for PCD, whose first task is another kind of task, and GradVac, whose orders are random.
    #[test]
    fn the_order_of_the_tasks_does_not_matter(rows in rows(), turn in 1usize..5) {
        let has_order = |name: &str| name == "pcd" || name.contains("gradvac");
        for (name, build) in FURTHER.iter().filter(|(name, _)| !has_order(name)) {
            let plain = direction(build().as_mut(), &rows);
            let other = direction(build().as_mut(), &turned(&rows, turn));
            prop_assert!(close(&plain, &other, length(&plain).max(1.0)), "{name}: {plain:?} and {other:?}");
        }
    }

    #[test]
    fn the_first_direction_scales_with_the_gradients_or_not_at_all(rows in rows(), exponent in 0i32..=6) {
        let scale = 10f64.powi(exponent);
        for (name, build) in FURTHER {
            let plain = direction(build().as_mut(), &times(&rows, 100.0));
            // FairGrad divides by the lengths, MoCo by each one; PIVRG is as long as it may be.
            let factor = if ["fairgrad", "moco", "pivrg"].contains(&name) { 1.0 } else { scale };
            let scaled = direction(build().as_mut(), &times(&rows, 100.0 * scale));
            let back: Vec<f64> = scaled.iter().map(|x| x / factor).collect();
            // ExcessMTL's weights follow the sizes of the gradients, and PIVRG is short for long gradients alone.
            let is_exempt = name.starts_with("excess") || name == "pivrg";
            prop_assert!(is_exempt || close(&plain, &back, length(&plain)), "{name}: {plain:?} and {back:?}");
        }
    }

    #[test]
    fn equal_gradients_move_theta_as_far_as_the_documentation_says(
        row in prop::collection::vec(-1.0..1.0f64, 4), tasks in 1usize..7,
    ) {
        prop_assume!(length(&row) > 1e-2);
        let (rows, sum) = (vec![row.clone(); tasks], tasks as f64);
        for (name, build) in FURTHER {
            let factor = match name {
                "fairgrad" => sum.sqrt() / length(&row),
                "pivrg" => (sum.powf(4.0 / 3.0) * length(&row).powf(-1.0 / 3.0)).min(1.0) / length(&row),
                "moco" => 0.5 / length(&row),
                "db_mtl" => 0.1 * sum,
                _ => sum,
            };
            let moved = moved_along(build().as_mut(), &rows);
            let want: Vec<f64> = row.iter().map(|x| factor * x).collect();
            prop_assert!(moved.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4 * length(&want)), "{name}: {moved:?}, expected {want:?}");
        }
    }

    #[test]
    fn every_direction_is_finite(rows in rows(), changes in prop::collection::vec((-9i32..=9, 0u8..8), 6)) {
        let mut rows = rows;
        for (i, (exponent, kind)) in changes.into_iter().enumerate().take(rows.len()) {
            match kind {
                0 => rows[i].fill(0.0),
                1 => rows[i] = rows[0].clone(),
                2 => rows[i] = rows[0].iter().map(|x| -x).collect(),
                _ => rows[i].iter_mut().for_each(|x| *x *= 10f64.powi(exponent)),
            }
        }
        for (name, build) in FURTHER {
            let mut aggregator = build();
            for _ in 0..3 {
                let d = direction(aggregator.as_mut(), &rows);
                prop_assert!(d.iter().all(|x| x.is_finite()), "{name}: {d:?}");
            }
        }
    }

    #[test]
    fn fair_weights_fulfil_their_equations_and_conflict_with_no_task(rows in rows(), alpha in 0.3..4.0f64) {
        let w = weights(&mut FairGrad::new(alpha).unwrap(), &rows);
        let d = combined(&rows, &w);
        for (row, w) in rows.iter().zip(&w) {
            prop_assert!((dot(row, &d) / w.powf(-1.0 / alpha) - 1.0).abs() < 1e-6, "{} for {w}", dot(row, &d));
        }
    }

    #[test]
    fn proportional_fairness_does_not_care_how_the_losses_are_scaled(
        rows in rows(), exponents in prop::collection::vec(-6i32..=6, 6),
    ) {
        let scaled: Rows = rows.iter().zip(&exponents).map(|(row, e)| row.iter().map(|x| 10f64.powi(*e) * x).collect()).collect();
        let mut fair = FairGrad::new(1.0).unwrap();
        let (plain, other) = (direction(&mut fair, &rows), direction(&mut fair, &scaled));
        prop_assert!(close(&plain, &other, 10.0), "{plain:?} and {other:?}");
    }

    #[test]
    fn the_conflict_free_direction_has_the_wanted_cosines(rows in rows(), p in prop::collection::vec(0.1..3.0f64, 6)) {
        let p = p[..rows.len()].to_vec();
        let d = direction(&mut ConFig::new(p.clone()).unwrap(), &rows);
        let cosines: Vec<f64> = rows.iter().map(|row| dot(row, &d) / length(row) / length(&d)).collect();
        for (cosine, p_i) in cosines.iter().zip(&p) {
            prop_assert!(*cosine > 0.0 && (cosine / cosines[0] - p_i / p[0]).abs() < 1e-5 * p_i / p[0], "{cosines:?} for {p:?}");
        }
        let gains: f64 = rows.iter().map(|row| dot(row, &d) / length(&d)).sum();
        prop_assert!((length(&d) - gains).abs() < 1e-6 * gains);
    }

    /// On the scaled gradients: every secondary task gains its share, and no feasible direction is nearer to the primary one.
    #[test]
    fn the_primary_direction_leaves_every_secondary_task_its_share(rows in rows(), tau in 0.0..0.9f64) {
        // In the first step the running means are the squared lengths: the scaled gradients are unit vectors.
        let rows: Rows = rows.iter().map(|row| row.iter().map(|x| x / length(row)).collect()).collect();
        let d = direction(&mut Pcd::new(vec![tau], 0.9).unwrap(), &rows);
        prop_assert!((length(&d) - 1.0).abs() < 1e-6, "as long as the primary gradient");
        // d = k (h_1 + sum mu_j h_j) for the length k that makes d the projection: find it from the conditions.
        let w = weights(&mut Pcd::new(vec![tau], 0.9).unwrap(), &rows);
        let projection: Vec<f64> = d.iter().map(|x| x / w[0]).collect();
        for (j, row) in rows.iter().enumerate().skip(1) {
            let slack = dot(row, &projection) - tau;
            prop_assert!(slack > -1e-6, "task {j}: {slack}");
            prop_assert!(w[j] >= 0.0 && (w[j] / w[0] * slack).abs() < 1e-5, "task {j}: {} {slack}", w[j]);
        }
    }

    #[test]
    fn pivrg_serves_every_task_and_those_more_that_lag_behind(rows in rows(), lags in prop::collection::vec(0.5..20.0f64, 6)) {
        let lags = &lags[..rows.len()];
        let mut pivrg = Pivrg::new(2.0, 0.1, vec![1.0; rows.len()]).unwrap();
        let summary = EpochSummary { epochs: 1, training_losses: &[], validation_losses: lags };
        pivrg.end_epoch(&summary).unwrap();
        let w = weights(&mut pivrg, &rows);
        let d = combined(&rows, &w);
        prop_assert!(length(&d) < 1.0 + 1e-9);
        // `g_i . d` is proportional to `sqrt(omega_i / x_i)`, w to x.
        let claims: Vec<f64> = rows.iter().zip(&w).map(|(row, w)| dot(row, &d).powi(2) * w).collect();
        for (i, j) in (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let ratio = claims[i] / claims[j];
            prop_assert!((0.5 - 1e-5..=2.0 + 1e-5).contains(&ratio) && (ratio > 1.0) == (lags[i] > lags[j]), "{claims:?} for {lags:?}");
        }
    }

    /// Against surgery on the vectors themselves; with phi = 0 it is PCGrad.
    #[test]
    fn gradvac_turns_gradients_until_their_cosines_are_the_usual_ones(rows in rows(), later in rows()) {
        let tasks = rows.len().min(later.len());
        let n = rows[0].len().min(later[0].len());
        let steps: Vec<Rows> = [rows, later].iter().map(|rows| rows[..tasks].iter().map(|row| row[..n].to_vec()).collect()).collect();
        let orders: Vec<Vec<usize>> = (0..tasks).map(|i| (1..tasks).map(|k| (i + k) % tasks).collect()).collect();
        let mut gradvac = GradVac::new(0, 0.5).unwrap();
        let mut phi = vec![vec![0.0f64; tasks]; tasks];
        for (step, rows) in steps.iter().enumerate() {
            let gramian: Rows = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
            let got = gradvac.weights(&gramian, &orders).unwrap();
            let mut sum = vec![0.0; n];
            for i in 0..tasks {
                let mut v = rows[i].clone();
                for &j in &orders[i] {
                    let cosine = dot(&v, &rows[j]) / length(&v) / length(&rows[j]);
                    if cosine < phi[i][j] {
                        let sine = (1.0 - phi[i][j].powi(2)).sqrt();
                        let a = length(&v) * (phi[i][j] * (1.0 - cosine * cosine).sqrt() - cosine * sine) / (length(&rows[j]) * sine);
                        v.iter_mut().zip(&rows[j]).for_each(|(v, g)| *v += a * g);
                        prop_assert!((dot(&v, &rows[j]) / length(&v) / length(&rows[j]) - phi[i][j]).abs() < 1e-6);
                    }
                    phi[i][j] = 0.5 * phi[i][j] + 0.5 * cosine;
                }
                sum.iter_mut().zip(v).for_each(|(sum, v)| *sum += v);
            }
            prop_assert!(close(&combined(rows, &got), &sum, 10.0), "step {step}");
            if step == 0 {
                prop_assert!(close(&got, &PcGrad::weights(&gramian, &orders), 10.0));
            }
        }
    }

    #[test]
    fn krum_takes_the_rows_in_the_crowd(rows in rows(), far in 5.0..50.0f64) {
        // One row far away from all the others, which are within the unit cube.
        let n = rows[0].len();
        let mut crowd = rows.clone();
        crowd.extend([vec![0.1; n], vec![0.2; n], vec![far; n]]);
        for distance in [KrumDistance::Euclidean, KrumDistance::Squared] {
            let w = weights(&mut Krum::new(1, 2, distance).unwrap(), &crowd);
            prop_assert_eq!(w[crowd.len() - 1], 0.0);
            prop_assert_eq!(w.iter().filter(|w| **w == 0.5).count(), 2);
        }
    }

    #[test]
    fn the_trimmed_mean_is_the_mean_of_the_middle(rows in rows(), cut in 0usize..3) {
        let trim = cut.min((rows.len() - 1) / 2);
        let d = direction(&mut TrimmedMean::new(trim), &rows);
        for (k, x) in d.iter().enumerate() {
            let mut column: Vec<f64> = rows.iter().map(|row| row[k]).collect();
            column.sort_by(f64::total_cmp);
            let kept = &column[trim..column.len() - trim];
            prop_assert!((x - kept.iter().sum::<f64>() / kept.len() as f64).abs() < 1e-12);
        }
    }

    #[test]
    fn smoothed_weights_are_the_mean_of_the_steps(first in rows(), factor in 0.1..5.0f64) {
        let mgda = || Box::new(Mgda::new(Normalization::None));
        let mut second = first.clone();
        second[0].iter_mut().for_each(|x| *x *= factor);
        let mut growing = CrMogm::new(mgda(), Smoothing::Growing, Vec::new()).unwrap();
        let plain = [&first, &second].map(|rows| weights(mgda().as_mut(), rows));
        let ask = |cr_mogm: &mut CrMogm, rows: &Rows, iteration| {
            let (rows, losses) = (gradients(rows), vec![1.0; rows.len()]);
            cr_mogm.combine(&Jacobian::new(&rows, &losses), iteration).unwrap().weights().unwrap().to_vec()
        };
        prop_assert!(close(&ask(&mut growing, &first, 0), &plain[0], 1.0));
        let alpha = 1.0 - 1.0 / 2f64.sqrt();
        let want: Vec<f64> = plain[0].iter().zip(&plain[1]).map(|(a, b)| alpha * a + (1.0 - alpha) * b).collect();
        prop_assert!(close(&ask(&mut growing, &second, 1), &want, 1.0));
        let mut constant = CrMogm::new(mgda(), Smoothing::Constant(0.0), Vec::new()).unwrap();
        prop_assert!(close(&ask(&mut constant, &first, 0), &plain[0], 1.0), "alpha 0 is the aggregator itself");
    }

    /// One tensor per group: the aggregator on each part by itself.
    #[test]
    fn groups_are_combined_by_themselves(rows in rows()) {
        let whole = direction(grouped(GroupBy::Tensor, || Box::new(FairGrad::new(1.0).unwrap())).as_mut(), &rows);
        let half = rows[0].len() / 2;
        let part = |from: usize, to: usize| -> Rows { rows.iter().map(|row| row[from..to].to_vec()).collect() };
        let of = |rows: &Rows| combined(rows, &weights(&mut FairGrad::new(1.0).unwrap(), rows));
        let want = [of(&part(0, half)), of(&part(half, rows[0].len()))].concat();
        prop_assert!(close(&whole, &want, 10.0), "{whole:?} and {want:?}");
        // All in one group: the aggregator itself.
        let one = direction(grouped(GroupBy::Owner, || Box::new(FairGrad::new(1.0).unwrap())).as_mut(), &rows);
        prop_assert_eq!(one, direction(&mut FairGrad::new(1.0).unwrap(), &rows));
    }

    /// Weights are derivatives of the objective, by differences.
    #[test]
    fn weights_are_the_derivatives_of_the_objectives(
        losses in prop::collection::vec(0.2..3.0f64, 2..6), others in prop::collection::vec(0.2..3.0f64, 6), mu in 0.2..2.0f64,
    ) {
        let others = others[..losses.len()].to_vec();
        type Objective<'a> = (&'a str, Box<dyn Fn(&[f64]) -> (f64, Vec<f64>) + 'a>);
        let objectives: Vec<Objective<'_>> = vec![
            ("stch", Box::new(|l| Stch::new(mu, others.clone(), vec![0.1; l.len()]).unwrap().evaluate(l).unwrap())),
            ("stch_log", Box::new(|l| StchLog::new(mu, 1).unwrap().with_nadir(others.clone()).evaluate(l).unwrap())),
            ("stch_log, warm-up", Box::new(|l| StchLog::new(mu, 1).unwrap().evaluate(l).unwrap())),
            ("gls", Box::new(|l| GeometricMean::evaluate(l).unwrap())),
            ("si", Box::new(|l| ScaleInvariant::evaluate(l).unwrap())),
            ("imtl_l", Box::new(|l| ImtlL::evaluate(l, &others))),
            ("igb, before the base is known", Box::new(|l| Igb::new(1).unwrap().evaluate(l).unwrap())),
            ("cosmos", Box::new(|l| Cosmos::new(mu, others.clone()).unwrap().evaluate(l).unwrap())),
            ("pbi", Box::new(|l| Pbi::new(mu, others.clone(), vec![0.1; l.len()]).unwrap().evaluate(l).unwrap())),
        ];
        for (name, evaluate) in objectives {
            let weights = evaluate(&losses).1;
            for i in 0..losses.len() {
                let at = |step: f64| {
                    let mut moved = losses.clone();
                    moved[i] += step;
                    evaluate(&moved).0
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                prop_assert!((slope - weights[i]).abs() < 1e-5 * (1.0 + slope.abs()), "{name}: {slope} and {}", weights[i]);
            }
        }
    }

    /// The direction `sum_i w_i g_i` does not change, or only its length does, when a loss and its gradient are scaled.
    #[test]
    fn scales_of_losses_do_not_matter_to_those_that_promise_it(
        losses in prop::collection::vec(0.2..3.0f64, 3), factor in 1e-3..1e3f64,
    ) {
        let scaled = [losses[0] * factor, losses[1], losses[2]];
        let back = |weights: Vec<f64>| [weights[0] * factor, weights[1], weights[2]];
        let plain = ScaleInvariant::evaluate(&losses).unwrap().1;
        prop_assert!(close(&back(ScaleInvariant::evaluate(&scaled).unwrap().1), &plain, 10.0));
        let base = |first: f64| Igb::new(1).unwrap().with_base(vec![first, 1.0, 2.0]);
        prop_assert!(close(&back(base(factor).evaluate(&scaled).unwrap().1), &base(1.0).evaluate(&losses).unwrap().1, 20.0));
        let (geometric, other) = (GeometricMean::evaluate(&losses).unwrap().1, back(GeometricMean::evaluate(&scaled).unwrap().1));
        prop_assert!(close(&other, &geometric.iter().map(|w| w * factor.cbrt()).collect::<Vec<_>>(), 100.0));
    }
}

#[test]
fn where_gradients_are_opposite_nothing_moves() {
    let rows = vec![vec![1.0, -2.0, 0.5], vec![-2.0, 4.0, -1.0]];
    for (name, build) in FURTHER.iter().filter(|(name, _)| ["fairgrad", "config", "pivrg"].contains(name)) {
        assert!(length(&direction(build().as_mut(), &rows)) < 1e-7, "{name}");
    }
    for (name, build) in FURTHER {
        assert_eq!(direction(build().as_mut(), &vec![vec![0.0; 4]; 3]), vec![0.0; 4], "{name}");
    }
    let pcd = |tau: f64, rows: &Rows| direction(&mut Pcd::new(vec![tau], 0.9).unwrap(), rows);
    assert!(length(&pcd(0.0, &rows)) < 1e-7);
    // A share for the only secondary task can be had, against the primary one.
    assert!(close(&pcd(0.02, &rows), &times(&rows, -1.0)[0], 1.0));
    // Shares for two opposite secondary tasks cannot: the primary one goes its own way.
    let opposite = vec![vec![1.0, 1.0, -0.5], rows[0].clone(), rows[1].clone()];
    assert!(close(&pcd(0.02, &opposite), &opposite[0], 1.0));
}

#[test]
fn settings_out_of_range_are_named() {
    let text = |error: mtcool_core::Error| error.to_string();
    assert!(text(FairGrad::new(0.0).unwrap_err()).contains("`alpha` is 0: expected a positive number"));
    assert!(text(GradVac::new(0, 1.5).unwrap_err()).contains("`beta` is 1.5: expected between 0 and 1"));
    assert!(text(ConFig::new(vec![1.0, 0.0]).unwrap_err()).contains("`preference` is 0"));
    assert!(text(Pcd::new(vec![-0.1], 0.9).unwrap_err()).contains("`tau` is -0.1"));
    assert!(text(Pcd::new(Vec::new(), 0.9).unwrap_err()).contains("`tau`"));
    assert!(text(Pcd::new(vec![0.1], 1.0).unwrap_err()).contains("`beta` is 1"));
    assert!(text(Pivrg::new(1.0, 1.0, Vec::new()).unwrap_err()).contains("`bound` is 1: expected above 1"));
    assert!(text(Krum::new(0, 0, KrumDistance::Euclidean).unwrap_err()).contains("`n_selected` is 0"));
    assert!(text(Stch::new(-1.0, Vec::new(), Vec::new()).unwrap_err()).contains("`mu` is -1"));
    assert!(text(Pbi::new(1.0, vec![0.0, 0.0], Vec::new()).unwrap_err()).contains("`preference` is 0"));
    assert!(text(Cosmos::new(f64::NAN, Vec::new()).unwrap_err()).contains("`lambda` is NaN"));
    assert!(text(StchLog::new(1.0, 0).unwrap_err()).contains("`nadir_epoch` is 0"));
    assert!(text(ScaleInvariant::evaluate(&[1.0, -0.5]).unwrap_err()).contains("the loss of task 1"));
    let rows = gradients(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
    let jacobian = Jacobian::new(&rows, &[1.0, 1.0]);
    let refused = |mut aggregator: Box<dyn Aggregator>| text(aggregator.combine(&jacobian, 0).unwrap_err());
    let krum = refused(Box::new(Krum::new(0, 1, KrumDistance::Euclidean).unwrap()));
    assert!(krum.contains("here 3") && krum.contains("got 2"), "{krum}");
    assert!(refused(Box::new(TrimmedMean::new(1))).contains("here 3"));
    assert!(refused(Box::new(ConFig::new(vec![1.0; 3]).unwrap())).contains("2 numbers, one per task"));
    let trimmed = CrMogm::new(Box::new(TrimmedMean::new(0)), Smoothing::Growing, Vec::new()).unwrap();
    assert!(refused(Box::new(trimmed)).contains("a weight to each gradient"));
}
