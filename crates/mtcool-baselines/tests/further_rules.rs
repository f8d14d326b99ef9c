//! Steps of the further methods compared with the same steps written out by hand, on two quadratic losses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::quadratics::{CENTERS, CURVATURES, FLOOR, method, problem, start, train, values};
use common::{direction, dot, gradients, length};
use mtcool_baselines::{
    ConFig, Famo, Imtl, ImtlG, Joint, LdcMtl, Mgda, MoDo, MomentumConFig, Normalization, Perturbed, Sam, Samo,
    SamoSettings, SdmGrad, SdmGradSettings,
};
use mtcool_core::{
    Aggregator, Batch, BatchSource, Combine, DirectionSource, Jacobian, LossWeighting, Method, Point, Result, Sgd, Step,
};

const RATE: f64 = 0.1;

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10 * b.abs().max(1.0)), "{a:?} and {b:?}");
}

/// The gradient of loss `i` with respect to theta, and that with respect to phi_i.
fn gradient(psi: &[f64], i: usize) -> ([f64; 2], f64) {
    ([0, 1].map(|k| CURVATURES[i][k] * (psi[k] - CENTERS[i][k])), psi[2 + i] - i as f64)
}

fn loss(psi: &[f64], i: usize) -> f64 {
    let of_theta: f64 = (0..2).map(|k| CURVATURES[i][k] * (psi[k] - CENTERS[i][k]).powi(2)).sum();
    0.5 * of_theta + 0.5 * (psi[2 + i] - i as f64).powi(2) + FLOOR
}

/// One step from the start.
fn step(combine: Combine) -> Vec<f64> {
    let mut parameters = start();
    train(&mut method(combine, RATE, Sgd::default()), &mut parameters, 0, 1, 1);
    values(&parameters)
}

fn moved(theta: [f64; 2], phi: [f64; 2]) -> Vec<f64> {
    let psi = values(&start());
    (0..4).map(|k| psi[k] - RATE * if k < 2 { theta[k] } else { phi[k - 2] }).collect()
}

#[test]
fn sam_takes_the_gradient_of_the_sum_where_it_is_worst() {
    let (psi, rho) = (values(&start()), 0.3);
    let sum = |psi: &[f64]| -> Vec<f64> {
        let (a, b) = (gradient(psi, 0), gradient(psi, 1));
        vec![a.0[0] + b.0[0], a.0[1] + b.0[1], a.1, b.1]
    };
    let g = sum(&psi);
    let worst: Vec<f64> = psi.iter().zip(&g).map(|(x, slope)| x + rho * slope / length(&g)).collect();
    let d = sum(&worst);
    let got = step(Combine::Direction(Box::new(Sam::new(Box::new(Joint), rho).unwrap())));
    close(&got, &moved([d[0], d[1]], [d[2], d[3]]));
    let plain = step(Combine::Direction(Box::new(Sam::new(Box::new(Joint), 0.0).unwrap())));
    close(&plain, &moved([g[0], g[1]], [g[2], g[3]]));
}

/// With beta = 0 every task is perturbed along the mean gradient.
#[test]
fn samo_perturbs_by_the_mean_gradient_and_each_tasks_estimate() {
    let (psi, rho) = (values(&start()), 0.3);
    let plain = [0, 1].map(|i| gradient(&psi, i));
    let mean = [0, 1].map(|k| 0.5 * (plain[0].0[k] + plain[1].0[k]));
    let at = |i: usize| {
        let mut place = psi.clone();
        (0..2).for_each(|k| place[k] += rho * mean[k] / length(&mean));
        place[2 + i] += rho * plain[i].1.signum();
        gradient(&place, i)
    };
    let (a, b) = (at(0), at(1));
    let samo = |inside, beta| {
        let settings = SamoSettings { rho, beta, ..SamoSettings::default() };
        step(Combine::Direction(Box::new(Samo::new(inside, settings, 1).unwrap())))
    };
    let joint = || Combine::Losses(Box::new(Joint));
    close(&samo(joint(), 0.0), &moved([a.0[0] + b.0[0], a.0[1] + b.0[1]], [a.1, b.1]));
    let mgda = || Box::new(Mgda::new(Normalization::None));
    let d = direction(mgda().as_mut(), &[a.0.to_vec(), b.0.to_vec()]);
    close(&samo(Combine::Gradients(mgda()), 0.0), &moved([2.0 * d[0], 2.0 * d[1]], [a.1, b.1]));
    // On quadratics a central difference along z is exact, so that c z = (g . z) z, which is g in the mean.
    let own = samo(joint(), 1.0);
    assert!(
        own != samo(joint(), 0.0) && (own[0] - moved([a.0[0] + b.0[0], 0.0], [0.0; 2])[0]).abs() < 3.0 * RATE * rho
    );
}

/// The gradient of a quadratic at the mean of the draws is the mean of its gradients.
#[test]
fn perturbed_gradients_are_means_over_the_draws_within_the_bound() {
    let psi = values(&start());
    let bound = 0.2;
    let perturbed = |samples| {
        step(Combine::Direction(Box::new(Perturbed::new(Combine::Losses(Box::new(Joint)), 3, bound, samples).unwrap())))
    };
    let plain = [0, 1].map(|k| gradient(&psi, 0).0[k] + gradient(&psi, 1).0[k]);
    let want = moved(plain, [gradient(&psi, 0).1, gradient(&psi, 1).1]);
    let off = |samples| {
        let got = perturbed(samples);
        close(&got[2..], &want[2..]);
        let off = (got[0] - want[0]).hypot(got[1] - want[1]);
        assert!(off > 0.0 && off < RATE * bound * 2.8, "{off}");
        off
    };
    assert!(off(400) < 0.3 * off(1), "{} and {}", off(400), off(1));
}

#[test]
fn imtl_is_imtl_g_on_scaled_losses() {
    let rate = 0.05;
    let rows = [vec![1.0, 0.3, -0.2, 0.1], vec![-0.4, 0.9, 0.5, 0.0]];
    let losses = [2.0, 0.5];
    let mut imtl = Imtl::new(rate).unwrap();
    let mut s = [0.0f64; 2];
    for _ in 0..5 {
        let as_gradients = gradients(&rows);
        let jacobian = Jacobian::new(&as_gradients, &losses);
        let combination = imtl.combine(&jacobian, 0).unwrap();
        let scaled: Vec<Vec<f64>> = (0..2).map(|i| rows[i].iter().map(|x| s[i].exp() * x).collect()).collect();
        close(&common::flat(&combination.direction(&jacobian).unwrap()), &direction(&mut ImtlG, &scaled));
        close(combination.own_weights().unwrap(), &s.map(f64::exp));
        s = [0, 1].map(|i| s[i] - rate * (s[i].exp() * losses[i] - 1.0));
    }
    assert!(s[0] < 0.0 && s[1] > 0.0, "the larger loss is scaled down");
}

#[test]
fn ldc_weights_follow_their_objective() {
    let (lambda, rate) = (0.05, 0.1);
    let mut ldc = LdcMtl::new(lambda, rate).unwrap();
    let first = [2.0, 1.0, 0.5];
    let objective = |losses: &[f64], z: &[f64]| {
        let total: f64 = z.iter().map(|z| z.exp()).sum();
        let w: Vec<f64> = z.iter().map(|z| (z.exp() / total).clamp(0.2, 0.8)).collect();
        let l: Vec<f64> = losses.iter().zip(first).map(|(loss, first)| loss / (first / 0.5)).collect();
        let weighted: Vec<f64> = w.iter().zip(&l).map(|(w, l)| w * l).collect();
        let steps: f64 = weighted.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum();
        weighted.iter().sum::<f64>() / w.iter().sum::<f64>() + lambda * steps
    };
    let slope = |at: &dyn Fn(f64) -> f64| (at(1e-6) - at(-1e-6)) / 2e-6;
    let nudged = |list: &[f64], i: usize, by: f64| {
        let mut list = list.to_vec();
        list[i] += by;
        list
    };
    let mut z = vec![0.0; 3];
    // In the first step all l are equal, a kink of the differences: there the signs count as 0.
    ldc.weights(&first, 0).unwrap();
    for losses in [[1.9, 0.8, 0.3], [1.5, 0.6, 0.1], [1.0, 0.5, 0.2]] {
        let weights = ldc.weights(&losses, 1).unwrap();
        for (i, weight) in weights.iter().enumerate() {
            let want = slope(&|by| objective(&nudged(&losses, i, by), &z));
            assert!((weight - want).abs() < 1e-6, "{weight} and {want}");
        }
        z = (0..3).map(|i| z[i] - rate * slope(&|by| objective(&losses, &nudged(&z, i, by)))).collect();
        let state: Vec<f64> = ldc.state()[..3].iter().map(|(_, value)| *value).collect();
        assert!(state.iter().zip(&z).all(|(a, b)| (a - b).abs() < 1e-6), "{state:?} and {z:?}");
    }
}

/// Adam's moments per task, then ConFIG; the tasks in turn, each at the parameters that the one before has moved.
#[test]
fn momentum_config_combines_the_moments_task_by_task() {
    let betas = [0.9, 0.99];
    let mut parameters = start();
    let mut ours = method(Combine::Direction(Box::new(MomentumConFig::new(betas).unwrap())), RATE, Sgd::default());
    let mut psi = values(&parameters);
    let (mut m, mut v, mut t) = ([[0.0f64; 3]; 2], [[0.0f64; 3]; 2], [0i32; 2]);
    for step in 0..4 {
        train(&mut ours, &mut parameters, step, 1, 1_000_000_000);
        for i in 0..2 {
            let (theta, phi) = gradient(&psi, i);
            t[i] += 1;
            for (k, g) in [theta[0], theta[1], phi].into_iter().enumerate() {
                m[i][k] = betas[0] * m[i][k] + (1.0 - betas[0]) * g;
                v[i][k] = betas[1] * v[i][k] + (1.0 - betas[1]) * g * g;
            }
            let h = |j: usize, k: usize| {
                let unbias = betas.map(|beta: f64| 1.0 - beta.powi(t[j]));
                m[j][k] / unbias[0] / ((v[j][k] / unbias[1]).sqrt() + 1e-8)
            };
            let known: Vec<Vec<f64>> = (0..2).filter(|&j| t[j] > 0).map(|j| vec![h(j, 0), h(j, 1)]).collect();
            let d = direction(&mut ConFig::default(), &known);
            let own = h(i, 2);
            (0..2).for_each(|k| psi[k] -= RATE * d[k]);
            psi[2 + i] -= RATE * own;
        }
        let got = values(&parameters);
        assert!(got.iter().zip(&psi).all(|(a, b)| (a - b).abs() < 1e-6), "step {step}: {got:?} and {psi:?}");
    }
}

/// Batch n of a task has the curvatures times n + 1, so that independent batches differ.
struct Numbered(usize);

impl BatchSource for Numbered {
    fn next(&mut self, task: usize) -> Result<Batch> {
        let mut batch = common::quadratics::Always.next(task)?;
        let factor = (self.0 / 2 + 1) as f64;
        self.0 += 1;
        let scaled = (batch.target.get(0)? * factor)?;
        batch.target = candle_core::Tensor::stack(&[&scaled, &batch.target.get(1)?], 0)?;
        Ok(batch)
    }
}

#[test]
fn the_weights_come_from_two_batches_and_the_direction_from_a_third() {
    let psi = values(&start());
    let g = |i: usize, factor: f64| gradient(&psi, i).0.map(|x| factor * x);
    let products: Vec<Vec<f64>> = (0..2).map(|i| (0..2).map(|j| dot(&g(i, 1.0), &g(j, 2.0))).collect()).collect();
    let run = |source: Box<dyn DirectionSource>| {
        let (problem, mut parameters) = (problem(), start());
        let mut ours = method(Combine::Direction(source), RATE, Sgd::default());
        assert_eq!(ours.batches_next_step(), 3);
        ours.step(Step { problem: &problem, parameters: &mut parameters, batches: &mut Numbered(0), progress: 0.0 })
            .unwrap();
        values(&parameters)
    };
    let check = |got: &[f64], w: &[f64]| {
        let theta = [0, 1].map(|k| 2.0 * (w[0] * g(0, 3.0)[k] + w[1] * g(1, 3.0)[k]));
        close(got, &moved(theta, [0, 1].map(|i| 3.0 * gradient(&psi, i).1)));
    };
    let settings = SdmGradSettings { rate: 0.5, iterations: 3, ..SdmGradSettings::default() };
    let w = SdmGrad::new(settings.clone()).unwrap().weights(&products).unwrap();
    check(&run(Box::new(SdmGrad::new(settings).unwrap())), &w);
    let w = MoDo::new(0.01, 0.1).unwrap().weights(&products).unwrap();
    check(&run(Box::new(MoDo::new(0.01, 0.1).unwrap())), &w);
}

/// A point with places averages over them, as over accumulated batches.
#[test]
fn passes_at_several_places_are_averaged() {
    let (problem, parameters) = (problem(), start());
    let batches = common::quadratics::Always.next_all(2).unwrap();
    let point = Point::new(&problem, &parameters, &batches);
    let shift = |by: f64| parameters.map(|_, tensor| Ok((tensor + by)?)).unwrap();
    let places = [shift(0.5), shift(-0.1)];
    let psi = values(&parameters);
    let at = |by: f64| psi.iter().map(|x| x + by).collect::<Vec<_>>();
    let got = point.at_places(&places).gradients().unwrap();
    let want = [0, 1].map(|i| 0.5 * (loss(&at(0.5), i) + loss(&at(-0.1), i)));
    close(&got.values, &want);
    close(&point.at_places(&places).losses().unwrap(), &want);
    close(&[point.loss_at(&places[0], 1).unwrap()], &[loss(&at(0.5), 1)]);
}

/// SAM around a weighting that learns from the losses after a step passes them on.
#[test]
fn sam_tells_its_weighting_the_losses_after_the_step() {
    let mut parameters = start();
    let famo = Sam::new(Box::new(Famo::new(0.1, 0.0).unwrap()), 0.1).unwrap();
    let mut sam = method(Combine::Direction(Box::new(famo)), 0.05, Sgd::default());
    train(&mut sam, &mut parameters, 0, 1, 1);
    let logits: Vec<f64> = sam.state().numbers.iter().take(2).map(|(_, value)| *value).collect();
    assert!(logits[0] != 0.0 && logits[1] != 0.0, "{logits:?}");
}
