//! Update rules compared with the same rules written out by hand, for the methods that keep a state, draw random numbers or take
//! gradients at other points; and rules for special cases.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::quadratics::{Always, CENTERS, CURVATURES, method, problem, start, train, values};
use common::{combined, direction, dot, flat, fmtl, gradients, length, weights};
use mtcool_baselines::{
    Dwa, Famo, GradDrop, GradNorm, Joint, Mgda, NashMtl, Normalization, PcGrad, RandomWeighting, Uncertainty, Wrapped,
};
use mtcool_core::{Aggregator, Combination, Combine, Jacobian, LossWeighting, Method, Sgd, Step};

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12 * b.abs().max(1.0)), "{a:?} and {b:?}");
}

#[test]
fn uncertainty_descends_its_own_objective() {
    let (rate, losses) = (0.1, [[2.0, 0.3], [1.5, 0.4], [1.0, 0.2]]);
    let mut weighting = Uncertainty::new(rate).unwrap();
    let mut s = [0.0f64; 2];
    for (step, losses) in losses.iter().enumerate() {
        let weights = weighting.weights(losses, step as u64).unwrap();
        assert!(weights.iter().zip(s).all(|(w, s)| (w - (-s).exp()).abs() < 1e-8), "{weights:?} and {s:?}");
        // The derivative of `exp(-s) L + s/2`, by differences.
        let objective = |s: f64, loss: f64| (-s).exp() * loss + 0.5 * s;
        for (s, loss) in s.iter_mut().zip(losses) {
            let slope = (objective(*s + 1e-5, *loss) - objective(*s - 1e-5, *loss)) / 2e-5;
            *s -= rate * slope;
        }
        let state: Vec<f64> = weighting.state().iter().map(|(_, s)| *s).collect();
        assert!(state.iter().zip(s).all(|(a, b)| (a - b).abs() < 1e-8), "{state:?} and {s:?}");
    }
}

#[test]
fn dwa_weighs_by_the_ratio_of_the_last_two_windows() {
    let mut dwa = Dwa::new(2.0, 2).unwrap();
    let losses = [[4.0, 1.0], [2.0, 3.0], [1.0, 2.0], [2.0, 1.0], [9.0, 9.0], [1.0, 1.0], [1.0, 1.0]];
    let got: Vec<Vec<f64>> =
        losses.iter().enumerate().map(|(step, losses)| dwa.weights(losses, step as u64).unwrap()).collect();
    // Means of the windows: (3, 2), (1.5, 1.5), (5, 5).
    let softmax = |ratios: [f64; 2]| {
        let shares = ratios.map(|ratio| (ratio / 2.0).exp());
        shares.map(|share| 2.0 * share / (shares[0] + shares[1]))
    };
    for weights in &got[..4] {
        close(weights, &[1.0, 1.0]);
    }
    for weights in &got[4..6] {
        close(weights, &softmax([0.5, 0.75]));
    }
    close(&got[6], &softmax([5.0 / 1.5, 5.0 / 1.5]));
}

#[test]
fn random_weights_are_the_softmax_of_normal_numbers() {
    let mut rlw = RandomWeighting::new(5);
    assert!(!rlw.reads_losses());
    let (count, mut differences) = (20_000, Vec::new());
    for step in 0..count {
        let w = rlw.weights(&[f64::NAN; 2], step).unwrap();
        assert!((w[0] + w[1] - 1.0).abs() < 1e-12 && w.iter().all(|&w| w > 0.0));
        // The logit of a softmax of two is the difference of its arguments: N(0, 2).
        differences.push((w[0] / w[1]).ln());
    }
    let moment = |power: i32| differences.iter().map(|d| d.powi(power)).sum::<f64>() / count as f64;
    assert!(moment(1).abs() < 0.05, "mean {}", moment(1));
    assert!((moment(2) - 2.0).abs() < 0.1, "variance {}", moment(2));
    assert!((moment(4) - 12.0).abs() < 2.0, "fourth moment {}", moment(4));
    assert_eq!(rlw.weights(&[f64::NAN; 2], 7).unwrap(), RandomWeighting::new(5).weights(&[1.0; 2], 7).unwrap());
}

#[test]
fn gradnorm_pulls_the_lengths_towards_their_targets() {
    let (alpha, rate) = (1.5, 0.05);
    let mut gradnorm = GradNorm::new(alpha, rate).unwrap();
    let mut w = [1.0, 1.0, 1.0];
    let first = [2.0, 1.0, 4.0];
    let steps = [([1.0, 2.0, 0.5], first), ([0.8, 2.5, 0.4], [1.0, 0.9, 3.0]), ([0.7, 2.0, 0.1], [0.5, 0.8, 1.0])];
    for (lengths, losses) in steps {
        let rows: Vec<Vec<f64>> =
            (0..3).map(|i| (0..4).map(|k| if k == i { lengths[i] } else { 0.0 }).collect()).collect();
        let rows = gradients(&rows);
        match gradnorm.combine(&Jacobian::new(&rows, &losses), 0).unwrap() {
            Combination::LossWeights(weights) => close(&weights, &w),
            other => panic!("{other:?}"),
        }
        let g: Vec<f64> = (0..3).map(|i| w[i] * lengths[i]).collect();
        let mean = g.iter().sum::<f64>() / 3.0;
        let ratios: Vec<f64> = (0..3).map(|i| losses[i] / first[i]).collect();
        let pace = ratios.iter().sum::<f64>() / 3.0;
        for i in 0..3 {
            w[i] -= rate * lengths[i] * (g[i] - mean * (ratios[i] / pace).powf(alpha)).signum();
        }
        let total: f64 = w.iter().sum();
        w = w.map(|w| 3.0 * w / total);
    }
    let rows = gradients(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
    let zero = GradNorm::new(1.0, 0.1).unwrap().combine(&Jacobian::new(&rows, &[1.0, 0.0]), 0).unwrap_err().to_string();
    assert!(zero.contains("the first loss of task 1"), "{zero}");
}

#[test]
fn famo_gives_more_weight_to_the_task_that_improves_less() {
    let (rate, gamma) = (0.1, 0.01);
    let mut famo = Famo::new(rate, gamma).unwrap();
    assert!(famo.reads_losses_after());
    let steps = [([2.0, 1.0], [1.0, 0.9]), ([1.0, 0.9], [0.9, 0.2]), ([0.9, 0.2], [0.9, 0.1])];
    let (mut xi, mut m, mut v) = ([0.0f64; 2], [0.0f64; 2], [0.0f64; 2]);
    for (step, (before, after)) in steps.into_iter().enumerate() {
        let total = xi[0].exp() + xi[1].exp();
        let z = xi.map(|xi| xi.exp() / total);
        let raw = [z[0] / (before[0] + 1e-8), z[1] / (before[1] + 1e-8)];
        close(&famo.weights(&before, step as u64).unwrap(), &raw.map(|w| w / (raw[0] + raw[1])));
        famo.observe(&after).unwrap();
        let gain = [0, 1].map(|i| (before[i] + 1e-8f64).ln() - (after[i] + 1e-8f64).ln());
        for i in 0..2 {
            // The row i of the softmax's Jacobian, times the gains.
            let delta: f64 = (0..2).map(|j| z[j] * (f64::from(u8::from(i == j)) - z[i]) * gain[j]).sum();
            let gradient = delta + gamma * xi[i];
            m[i] = 0.9 * m[i] + 0.1 * gradient;
            v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
            let t = step as i32 + 1;
            xi[i] -= rate * (m[i] / (1.0 - 0.9f64.powi(t))) / ((v[i] / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
        }
        if step == 0 {
            assert!(xi[1] > xi[0], "task 1 improved less");
        }
    }
    assert!(famo.weights(&[-1.0, 1.0], 3).unwrap_err().to_string().contains("the loss of task 0"));
}

#[test]
fn famo_is_told_the_losses_after_each_step() {
    let mut parameters = start();
    let mut famo = method(Combine::Losses(Box::new(Famo::new(0.1, 0.0).unwrap())), 0.05, Sgd::default());
    train(&mut famo, &mut parameters, 0, 1, 1);
    let logits: Vec<f64> = famo.state().numbers.iter().take(2).map(|(_, value)| *value).collect();
    assert!(logits[0] != 0.0 && logits[1] != 0.0, "{logits:?}");
}

/// In expectation over the draws GradDrop is the sum of the gradients.
#[test]
fn graddrop_keeps_each_sign_in_proportion_to_its_share() {
    let rows = vec![vec![0.5, 1.0, -1.0, 0.0], vec![-0.25, 2.0, 0.5, 0.0], vec![0.3, -1.0, 0.1, -1.0]];
    let (rows_as_gradients, losses) = (gradients(&rows), [1.0; 3]);
    let jacobian = Jacobian::new(&rows_as_gradients, &losses);
    let mut graddrop = GradDrop::new(1, Vec::new()).unwrap();
    let (count, mut sums) = (4000, [0.0; 4]);
    let mut seen = [[false; 2]; 4];
    for iteration in 0..count {
        let Combination::Direction(direction) = graddrop.combine(&jacobian, iteration).unwrap() else { panic!() };
        for (k, x) in flat(&direction).into_iter().enumerate() {
            let of = |sign: f64| rows.iter().map(|row| row[k]).filter(|x| x * sign > 0.0).sum::<f64>();
            assert!([of(1.0), of(-1.0)].iter().any(|kept| (kept - x).abs() < 1e-12), "{k}: {x}");
            seen[k][usize::from(x > 0.0)] = true;
            sums[k] += x / count as f64;
        }
    }
    for (k, mean) in sums.iter().enumerate() {
        let sum: f64 = rows.iter().map(|row| row[k]).sum();
        assert!((mean - sum).abs() < 0.15, "{k}: {mean} for {sum}");
    }
    assert_eq!(seen[..3], [[true; 2]; 3], "both signs are kept at times");
    assert_eq!(seen[3], [true, false], "a coordinate that all want lowered is always lowered");
    let whole = flat(&match GradDrop::new(1, vec![1.0; 3]).unwrap().combine(&jacobian, 0).unwrap() {
        Combination::Direction(direction) => direction,
        other => panic!("{other:?}"),
    });
    close(&whole, &combined(&rows, &[1.0; 3]));
}

/// With three tasks in conflict the order matters, and all orders come up.
#[test]
fn pcgrad_projects_in_random_order() {
    let rows = vec![vec![1.0, 0.2, 0.0], vec![-0.8, 0.5, 0.1], vec![-0.3, -0.9, 0.4]];
    let (rows_as_gradients, losses) = (gradients(&rows), [1.0; 3]);
    let jacobian = Jacobian::new(&rows_as_gradients, &losses);
    let mut pcgrad = PcGrad::new(0);
    let mut different: Vec<Vec<f64>> = Vec::new();
    for iteration in 0..200 {
        let Combination::Weights(weights) = pcgrad.combine(&jacobian, iteration).unwrap() else { panic!() };
        // Surgery on the vectors themselves, in the order that explains the weights.
        let matches = |order: &Vec<Vec<usize>>| {
            let projected = |i: usize| {
                let mut p = rows[i].clone();
                for &j in &order[i] {
                    let product = dot(&p, &rows[j]);
                    if product < 0.0 {
                        let factor = product / length(&rows[j]).powi(2);
                        p.iter_mut().zip(&rows[j]).for_each(|(p, g)| *p -= factor * g);
                    }
                }
                p
            };
            let sum = combined(&[projected(0), projected(1), projected(2)], &[1.0; 3]);
            let got = combined(&rows, &weights);
            sum.iter().zip(got).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        let orders =
            (0..8usize).map(|bits| {
                let others = |i: usize| ((i + 1) % 3, (i + 2) % 3);
                (0..3).map(move |i| {
                    if bits >> i & 1 == 1 { vec![others(i).0, others(i).1] } else { vec![others(i).1, others(i).0] }
                })
            });
        assert!(orders.map(Iterator::collect::<Vec<_>>).any(|order| matches(&order)), "{weights:?}");
        if !different.contains(&weights) {
            different.push(weights);
        }
    }
    assert!(different.len() > 2, "{different:?}");
}

#[test]
fn nash_keeps_its_weights_between_updates_and_its_length_in_bounds() {
    let first = vec![vec![1.0, 0.0, 0.5], vec![-0.5, 1.0, 0.0]];
    let later = vec![vec![3.0, 0.0, 0.5], vec![-0.5, 4.0, 0.0]];
    let mut nash = NashMtl::new(0.0, 2).unwrap();
    let ask = |nash: &mut NashMtl, rows: &Vec<Vec<f64>>, iteration| {
        let (rows, losses) = (gradients(rows), [1.0; 2]);
        match nash.combine(&Jacobian::new(&rows, &losses), iteration).unwrap() {
            Combination::Weights(weights) => weights,
            other => panic!("{other:?}"),
        }
    };
    let weights = ask(&mut nash, &first, 0);
    assert_eq!(ask(&mut nash, &later, 1), weights);
    assert_ne!(ask(&mut nash, &later, 2), weights);
    let mut clipped = NashMtl::new(1.0, 2).unwrap();
    ask(&mut clipped, &first, 0);
    let kept = ask(&mut clipped, &later, 1);
    assert!((length(&combined(&later, &kept)) - 1.0).abs() < 1e-12);
    assert!((kept[0] / kept[1] - weights[0] / weights[1]).abs() < 1e-12);
}

/// In Sener and Koltun's program no task gets nothing.
#[test]
fn mgdas_corner_is_for_minima_that_give_one_task_everything() {
    let corner = || Mgda::new(Normalization::None).with_corner(0.001).unwrap();
    let dominated = vec![vec![1.0, 0.0], vec![2.0, 0.1]];
    close(&weights(&mut corner(), &dominated), &[0.999, 0.001]);
    close(&weights(&mut corner(), &[dominated[1].clone(), dominated[0].clone()]), &[0.001, 0.999]);
    let balanced = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    close(&weights(&mut corner(), &balanced), &[0.5, 0.5]);
    let nearly = vec![vec![1.0, 0.0], vec![-0.0015, 0.0]];
    close(&weights(&mut corner(), &nearly), &[0.0015 / 1.0015, 1.0 / 1.0015]);
    // The others share it, however many they are.
    let three = vec![vec![2.0, 0.1], vec![1.0, 0.0], vec![3.0, 0.0]];
    close(&weights(&mut corner(), &three), &[0.0005, 0.999, 0.0005]);
    // A minimum between two of three gradients stays where it is.
    let between = vec![vec![1.0, 0.0], vec![0.0, 1.0], vec![3.0, 3.0]];
    close(&weights(&mut corner(), &between), &[0.5, 0.5, 0.0]);
    close(&weights(&mut corner(), &[vec![0.3, -0.4]]), &[1.0]);
}

/// A weight in the interior is no corner, however small it is, and keeps its digits.
#[test]
fn mgdas_corner_leaves_the_weights_of_very_different_lengths_alone() {
    let rows = vec![vec![1e-6, 0.0], vec![-1e5, 1e6]];
    let small = (1e-12 + 0.1) / (1e-12 + 0.2 + 1.01e12);
    for corner in [0.0, 0.001] {
        let mgda = |normalization| Mgda::new(normalization).with_corner(corner).unwrap();
        let w = weights(&mut mgda(Normalization::None), &rows);
        assert!((w[0] + w[1] - 1.0).abs() < 1e-15 && (w[1] / small - 1.0).abs() < 1e-12, "{w:?}, expected {small:e}");
        // For gradients of unit length only the angle matters.
        close(&weights(&mut mgda(Normalization::L2), &rows), &[0.5, 0.5]);
    }
}

/// One step of F-MTL on the quadratics, by the formulas.
#[test]
fn fmtl_takes_each_tasks_gradient_where_its_loss_is_worst() {
    let (rho, rate) = (0.3, 0.1);
    let begin = values(&start());
    let gradient = |theta: [f64; 2], i: usize| [0, 1].map(|k| CURVATURES[i][k] * (theta[k] - CENTERS[i][k]));
    let theta = [begin[0], begin[1]];
    let plain = [0, 1].map(|i| gradient(theta, i));
    let sharp = [0, 1].map(|i| {
        let size = length(&plain[i]);
        gradient([0, 1].map(|k| theta[k] + rho * plain[i][k] / size), i)
    });
    // phi_i is one number: its gradient has length 1 after division, and phi - i at the perturbed point is rho further off.
    let phi = |i: usize| {
        let off = begin[2 + i] - i as f64;
        begin[2 + i] - rate * (off + rho * off.signum())
    };
    let step = |combine: Combine| {
        let mut parameters = start();
        train(&mut method(combine, rate, Sgd::default()), &mut parameters, 0, 1, 1);
        values(&parameters)
    };
    let moved = |d: [f64; 2]| vec![theta[0] - rate * d[0], theta[1] - rate * d[1], phi(0), phi(1)];

    let joint = step(fmtl(Wrapped::Losses(Box::new(Joint)), rho));
    close(&joint, &moved([0, 1].map(|k| sharp[0][k] + sharp[1][k])));

    let mgda = || Box::new(Mgda::new(Normalization::None));
    let wrapped = step(fmtl(Wrapped::Gradients { loss: mgda(), flat: mgda() }, rho));
    let rows = |rows: [[f64; 2]; 2]| rows.map(|row| row.to_vec()).to_vec();
    let at_point = direction(mgda().as_mut(), &rows(plain));
    let flat = direction(mgda().as_mut(), &rows([0, 1].map(|i| [0, 1].map(|k| sharp[i][k] - plain[i][k]))));
    // MGDA's direction is a mean of two: theta moves by twice of it.
    close(&wrapped, &moved([2.0 * (at_point[0] + flat[0]), 2.0 * (at_point[1] + flat[1])]));
}

/// The losses that a step reports are those at the point it starts from, whatever gradients it takes elsewhere.
#[test]
fn fmtl_reports_the_losses_of_the_point_itself() {
    let report = |combine: Combine| {
        let (problem, mut parameters) = (problem(), start());
        let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut Always, progress: 0.0 };
        method(combine, 0.1, Sgd::default()).step(step).unwrap().values().unwrap()
    };
    assert_eq!(report(fmtl(Wrapped::Losses(Box::new(Joint)), 0.3)), report(Combine::Losses(Box::new(Joint))));
}
