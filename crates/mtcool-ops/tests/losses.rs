//! The losses against twins of candle's operations and of plain loops, against finite differences, and at the edges of what they
//! are given.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod checks;
mod numbers;

use candle_core::{DType, Device, Result, Tensor, Var};
use mtcool_ops::{
    ClassLoss, CrossEntropy, Dice, DiceSums, Focal, Huber, LossSpec, Normalization, RegressionLoss, WeightRule,
    class_loss, cross_entropy, regression_loss,
};
use proptest::prelude::*;

use checks::{assert_close, check_gradients};
use numbers::{flat, tensor};

/// [`class_loss`] by candle's operations, step by step as the formulas have it, in f64.
fn by_definition(logits: &Tensor, targets: &[u32], settings: &ClassLoss) -> Result<Tensor> {
    let (n, k, pixels) = logits.dims3()?;
    let count = n * pixels;
    // A number per class and position, [N, K, P].
    let map = |number: &dyn Fn(usize, u32) -> f64| {
        let numbers = (0..n * k * pixels).map(|at| {
            let (pixel, class, sample) = (at % pixels, at / pixels % k, at / (pixels * k));
            let target = targets[sample * pixels + pixel];
            if settings.ignored == Some(target) { 0.0 } else { number(class, target) }
        });
        Tensor::from_vec(numbers.collect::<Vec<f64>>(), (n, k, pixels), &Device::Cpu)
    };
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_p = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)?;
    let (p, one_hot) = (log_p.exp()?, map(&|class, target| f64::from(class as u32 == target))?);
    let counted: Vec<u32> = targets.iter().copied().filter(|&target| settings.ignored != Some(target)).collect();
    assert_eq!(count, targets.len());
    let weight = |weights: &Option<Vec<f64>>, class: usize| weights.as_ref().map_or(1.0, |weights| weights[class]);
    let total = |normalization, weights: &Option<Vec<f64>>| match normalization {
        Normalization::Targets => counted.len() as f64,
        Normalization::Weights => counted.iter().map(|&target| weight(weights, target as usize)).sum(),
    };
    let mut loss = logits.zeros_like()?.sum_all()?;
    if let Some(settings) = &settings.cross_entropy {
        let (weights, e) = (&settings.class_weights, settings.label_smoothing);
        let share = |class: usize, target: u32| {
            let own = if class as u32 == target { 1.0 - e } else { 0.0 };
            weight(weights, class) * (own + e / k as f64)
        };
        let total = total(settings.normalization, weights);
        if total > 0.0 {
            loss = (loss - ((map(&share)? * &log_p)?.sum_all()? * (settings.weight / total))?)?;
        }
    }
    // With one class the loss is 0, and candle's gradient of a power of 0 is NaN.
    if let Some(settings) = &settings.focal
        && k > 1
    {
        let weights = &settings.class_weights;
        let (rest, log_p) = ((one_hot.affine(-1.0, 1.0)? * &p)?.sum(1)?, (&one_hot * &log_p)?.sum(1)?);
        let weights_map =
            map(&|class, target| if class as u32 == target { weight(weights, class) } else { 0.0 })?.sum(1)?;
        let total = total(settings.normalization, weights);
        if total > 0.0 {
            let focus = rest.powf(settings.gamma)?;
            loss = (loss - (((weights_map * focus)? * log_p)?.sum_all()? * (settings.weight / total))?)?;
        }
    }
    if let Some(dice) = &settings.dice {
        let p = (map(&|_, _| 1.0)? * p)?;
        // [N, K], one row of sums per image, or [1, K].
        let by_group = |map: Tensor| match dice.sums {
            DiceSums::Image => map.sum(2),
            DiceSums::Batch => map.sum(2)?.sum_keepdim(0),
        };
        let (p_sum, y_sum, common) = (by_group(p.clone())?, by_group(one_hot.clone())?, by_group((&p * &one_hot)?)?);
        let used: Vec<f64> = y_sum.sum(1)?.to_vec1::<f64>()?.iter().map(|&count| f64::from(count > 0.0)).collect();
        // Groups without any target get 1 / 1, so that their factor 0 does not meet 0 / 0.
        let unused: Vec<f64> = used.iter().map(|used| 1.0 - used).collect();
        let unused = Tensor::from_vec(unused, (used.len(), 1), &Device::Cpu)?;
        let above = common.affine(2.0, dice.smooth)?.broadcast_add(&unused)?;
        let below = ((p_sum + &y_sum)? + dice.smooth)?.broadcast_add(&unused)?;
        let rest = (above / below)?.affine(-1.0, 1.0)?;
        let share = |class: usize| match &dice.class_weights {
            _ if settings.ignored == Some(class as u32) => 0.0,
            Some(weights) => weights[class],
            None => f64::from(class > 0),
        };
        let shares: Vec<f64> = (0..k).map(share).collect();
        let sum: f64 = shares.iter().sum();
        let groups: f64 = used.iter().sum();
        if groups > 0.0 {
            let factors: Vec<f64> = used.iter().flat_map(|used| shares.iter().map(move |share| used * share)).collect();
            let factors = Tensor::from_vec(factors, rest.dims(), &Device::Cpu)?;
            loss = (loss + ((factors * rest)?.sum_all()? * (dice.weight / (sum * groups)))?)?;
        }
    }
    Ok(loss)
}

fn targets(targets: &[u32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(targets.to_vec(), shape, &Device::Cpu).unwrap()
}

/// A loss and its gradient, multiplied by a number so that the loss's own gradient is not 1.
fn run(logits: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> (f64, Vec<f64>) {
    let logits = Var::from_tensor(logits).unwrap();
    let loss = (f(&logits).unwrap() * 3.0).unwrap();
    let gradients = loss.backward().unwrap();
    (flat(&loss)[0], gradients.get(&logits).map_or(vec![0.0; logits.elem_count()], flat))
}

fn maybe<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(strategy)
}

fn class_weights(classes: usize) -> impl Strategy<Value = Option<Vec<f64>>> {
    maybe(proptest::collection::vec(prop_oneof![Just(0.0), 0.1f64..3.0], classes))
}

fn normalization() -> impl Strategy<Value = Normalization> {
    prop_oneof![Just(Normalization::Targets), Just(Normalization::Weights)]
}

/// Any settings for that many classes.
fn any_settings(classes: usize) -> impl Strategy<Value = ClassLoss> {
    let smoothing = prop_oneof![Just(0.0), 0.01f64..0.9];
    let cross_entropy = (0.1f64..3.0, class_weights(classes), smoothing, normalization()).prop_map(
        |(weight, class_weights, label_smoothing, normalization)| CrossEntropy {
            weight,
            class_weights,
            label_smoothing,
            normalization,
        },
    );
    let sums = prop_oneof![Just(DiceSums::Batch), Just(DiceSums::Image)];
    let smooth = prop_oneof![Just(0.0), 0.01f64..20.0];
    let dice = (0.1f64..3.0, smooth, class_weights(classes), sums)
        .prop_map(|(weight, smooth, class_weights, sums)| Dice { weight, smooth, class_weights, sums });
    let gamma = prop_oneof![Just(0.0), Just(1.0), Just(2.0), 0.1f64..4.0];
    let focal = (0.1f64..3.0, gamma, class_weights(classes), normalization()).prop_map(
        |(weight, gamma, class_weights, normalization)| Focal { weight, gamma, class_weights, normalization },
    );
    (maybe(0u32..6), maybe(cross_entropy), maybe(dice), maybe(focal))
        .prop_map(|(ignored, cross_entropy, dice, focal)| ClassLoss { ignored, cross_entropy, dice, focal })
        .prop_filter("a loss that is valid", move |settings| settings.check(classes).is_ok())
}

/// Targets of that many positions, ignored ones among them.
fn draw_targets(count: usize, classes: usize, ignored: Option<u32>, seed: u64) -> Vec<u32> {
    let draw =
        |at: usize| (seed.wrapping_add(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % (classes + 1);
    (0..count).map(|at| if draw(at) < classes { draw(at) as u32 } else { ignored.unwrap_or(0) }).collect()
}

fn case() -> impl Strategy<Value = ([usize; 3], ClassLoss, f64, u64)> {
    let shape = (1usize..4, 1usize..6, prop_oneof![3 => 1usize..80, 1 => 4090usize..4110]);
    shape.prop_flat_map(|(n, k, pixels)| (Just([n, k, pixels]), any_settings(k), 0.1f64..8.0, any::<u64>()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn class_losses_equal_their_definition((shape, settings, scale, seed) in case()) {
        let [n, k, pixels] = shape;
        let logits = (tensor(&shape, seed) * scale).unwrap();
        let drawn = draw_targets(n * pixels, k, settings.ignored, seed);
        let own = targets(&drawn, &[n, pixels]);
        let (want, want_gradient) = run(&logits, |x| by_definition(x, &drawn, &settings));
        let (got, gradient) = run(&logits, |x| class_loss(x, &own, &settings));
        prop_assert!((got - want).abs() <= 1e-11 * want.abs().max(1.0), "{} against {}", got, want);
        for (got, want) in gradient.iter().zip(&want_gradient) {
            prop_assert!((got - want).abs() <= 1e-11, "{} against {}", got, want);
        }
        // In f32, against the same logits in f64.
        let rounded = logits.to_dtype(DType::F32).unwrap();
        let (want, want_gradient) = run(&rounded.to_dtype(DType::F64).unwrap(), |x| class_loss(x, &own, &settings));
        let (got, gradient) = run(&rounded, |x| class_loss(x, &own, &settings));
        prop_assert!((got - want).abs() <= 2e-5 * want.abs().max(1.0), "{} against {}", got, want);
        for (got, want) in gradient.iter().zip(&want_gradient) {
            prop_assert!((got - want).abs() <= 2e-5 * want.abs().max(1.0), "{} against {}", got, want);
        }
    }

    #[test]
    fn the_sum_of_losses_is_the_sum_of_the_losses((shape, settings, scale, seed) in case()) {
        let [n, k, pixels] = shape;
        let logits = (tensor(&shape, seed) * scale).unwrap();
        let own = targets(&draw_targets(n * pixels, k, settings.ignored, seed), &[n, pixels]);
        let (got, gradient) = run(&logits, |x| class_loss(x, &own, &settings));
        let ClassLoss { ignored, cross_entropy, dice, focal } = settings;
        let none = ClassLoss { ignored, ..ClassLoss::default() };
        let parts = [
            ClassLoss { cross_entropy, ..none.clone() },
            ClassLoss { dice, ..none.clone() },
            ClassLoss { focal, ..none.clone() },
        ];
        let parts = parts.iter().filter(|part| **part != none).map(|part| run(&logits, |x| class_loss(x, &own, part)));
        let (mut want, mut want_gradient) = (0.0, vec![0.0; gradient.len()]);
        for (part, of_part) in parts {
            want += part;
            want_gradient.iter_mut().zip(of_part).for_each(|(sum, one)| *sum += one);
        }
        prop_assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0));
        prop_assert!(gradient.iter().zip(&want_gradient).all(|(got, want)| (got - want).abs() <= 1e-12));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits((shape, settings, scale, seed) in case()) {
        let [n, k, pixels] = shape;
        let logits = (tensor(&[n, k, 3 * pixels], seed) * scale).unwrap().to_dtype(DType::F32).unwrap();
        let own = targets(&draw_targets(3 * n * pixels, k, settings.ignored, seed), &[n, 3 * pixels]);
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (loss, gradient) = pool.install(|| run(&logits, |x| class_loss(x, &own, &settings)));
            (loss.to_bits(), gradient.iter().map(|number| number.to_bits()).collect::<Vec<_>>())
        };
        let one = bits(1);
        prop_assert!(bits(2) == one && bits(5) == one);
    }

#[test]
    fn wide_cross_entropy_in_f32_equals_f64(n in 1usize..3, k in 1usize..5, pixels in 1usize..70, scale in 0.1f64..80.0, seed: u64) {
        let run = |dtype: DType| {
            let logits = (tensor(&[n, k, pixels], seed) * scale).unwrap().to_dtype(DType::F32).unwrap();
            let logits = Var::from_tensor(&logits.to_dtype(dtype).unwrap()).unwrap();
            let targets: Vec<u32> = (0..n * pixels).map(|i| ((seed >> (i % 50)) % k as u64) as u32).collect();
            let targets = Tensor::from_vec(targets, (n, pixels), &Device::Cpu).unwrap();
            let loss = (cross_entropy(&logits, &targets).unwrap() * 3.0).unwrap();
            let gradients = loss.backward().unwrap();
            (flat(&loss)[0], flat(gradients.get(&logits).unwrap()))
        };
        let ((single, singles), (double, doubles)) = (run(DType::F32), run(DType::F64));
        prop_assert!((single - double).abs() <= 2e-6 * double.abs().max(1.0), "{} against {}", single, double);
        for (single, double) in singles.iter().zip(&doubles) {
            prop_assert!((single - double).abs() < 2e-6, "{} against {}", single, double);
        }
    }

    #[test]
    fn cross_entropy_equals_its_definition(n in 1usize..4, k in 1usize..6, pixels in 1usize..5, seed: u64) {
        let logits = (tensor(&[n, k, pixels], seed) * 5.0).unwrap();
        let targets: Vec<u32> = (0..n * pixels).map(|i| ((seed >> (i % 50)) % k as u64) as u32).collect();
        let elements = flat(&logits);
        let mut want = 0.0;
        for (position, &target) in targets.iter().enumerate() {
            let at = |class: usize| elements[(position / pixels * k + class) * pixels + position % pixels];
            let sum: f64 = (0..k).map(|class| at(class).exp()).sum();
            want -= (at(target as usize).exp() / sum).ln() / targets.len() as f64;
        }
        let targets = Tensor::from_vec(targets, (n, pixels), &Device::Cpu).unwrap();
        assert_close(&cross_entropy(&logits, &targets).unwrap(), &[want], 1e-12);
    }

    #[test]
    fn weighted_cross_entropy_equals_its_definition(k in 1usize..5, pixels in 1usize..9, ignored in 0u32..6, seed: u64) {
        let logits = (tensor(&[2, k, pixels], seed) * 5.0).unwrap();
        let weights: Vec<f64> = (0..k).map(|class| ((seed >> class) % 4) as f64 / 2.0).collect();
        let draw = |i: usize| ((seed >> (i % 50)) % (k as u64 + 1)) as u32;
        // The ignored target may be one that is no class at all.
        let targets: Vec<u32> = (0..2 * pixels).map(|i| if draw(i) < k as u32 { draw(i) } else { ignored }).collect();
        if targets.iter().all(|&target| target < k as u32 || target == ignored) {
            let elements = flat(&logits);
            let (mut sum, mut total) = (0.0, 0.0);
            for (position, &target) in targets.iter().enumerate().filter(|(_, target)| **target != ignored) {
                let at = |class: usize| elements[(position / pixels * k + class) * pixels + position % pixels];
                let all: f64 = (0..k).map(|class| at(class).exp()).sum();
                sum -= weights[target as usize] * (at(target as usize).exp() / all).ln();
                total += weights[target as usize];
            }
            let want = if total > 0.0 { sum / total } else { 0.0 };
            let targets = Tensor::from_vec(targets, (2, pixels), &Device::Cpu).unwrap();
            let class_weights = Some(weights);
            let settings = CrossEntropy { class_weights, normalization: Normalization::Weights, ..CrossEntropy::default() };
            let settings =
                ClassLoss { ignored: Some(ignored), cross_entropy: Some(settings), ..ClassLoss::default() };
            assert_close(&class_loss(&logits, &targets, &settings).unwrap(), &[want], 1e-12);
        }
    }

    #[test]
    fn weights_have_mean_one_and_even_out_the_classes(counts in proptest::collection::vec(0u64..1_000_000, 1..6)) {
        for (rule, power) in [(WeightRule::InverseFrequency, 1.0), (WeightRule::InverseSqrtFrequency, 0.5)] {
            let weights = mtcool_ops::class_weights(&counts, rule);
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            prop_assert!((mean - 1.0).abs() < 1e-12, "{:?}", weights);
            // The same product for every class that occurs.
            let products: Vec<f64> = counts.iter().zip(&weights).filter(|(count, _)| **count > 0)
                .map(|(&count, weight)| weight * (count as f64).powf(power)).collect();
            prop_assert!(products.windows(2).all(|pair| (pair[0] / pair[1] - 1.0).abs() < 1e-12), "{:?}", products);
            for (&count, &weight) in counts.iter().zip(&weights) {
                prop_assert!(count > 0 || weight == 1.0);
            }
        }
    }

    #[test]
    fn regression_losses_equal_their_definition(
        n in 1usize..5, d in prop_oneof![1usize..6, Just(20_000)], seed: u64, l1 in maybe(0.0f64..2.0), l2 in maybe(0.0f64..2.0),
        huber in maybe((0.0f64..2.0, 0.01f64..3.0)), missing in 0u32..4,
    ) {
        let settings = RegressionLoss { l1, l2, huber: huber.map(|(weight, delta)| Huber { weight, delta }) };
        if settings.check().is_ok() {
            let (x, mut aims) = ((tensor(&[n, d], seed) * 3.0).unwrap(), flat(&tensor(&[n, d], seed ^ 77)));
            for (at, aim) in aims.iter_mut().enumerate() {
                if missing > 0 && (seed >> (at % 50)) as u32 % 4 < missing { *aim = f64::NAN }
            }
            let pairs: Vec<(f64, f64)> = flat(&x).into_iter().zip(aims.iter().copied()).collect();
            let count = pairs.iter().filter(|(_, aim)| !aim.is_nan()).count();
            let (mut want, mut want_gradient) = (0.0, Vec::new());
            for (x, aim) in pairs {
                let e = x - aim;
                let Huber { weight, delta } = settings.huber.unwrap_or(Huber { weight: 0.0, delta: 1.0 });
                let near = e.abs() <= delta;
                let one = l1.unwrap_or(0.0) * e.abs() + l2.unwrap_or(0.0) * e.powi(2)
                    + weight * if near { 0.5 * e * e } else { delta * (e.abs() - 0.5 * delta) };
                let slope = l1.unwrap_or(0.0) * e.signum() + l2.unwrap_or(0.0) * 2.0 * e + weight * e.clamp(-delta, delta);
                if aim.is_nan() { want_gradient.push(0.0) } else {
                    want += 3.0 * one / count as f64;
                    want_gradient.push(3.0 * slope / count as f64);
                }
            }
            let aims = Tensor::from_vec(aims, (n, d), &Device::Cpu).unwrap();
            let (got, gradient) = run(&x, |x| regression_loss(x, &aims, &settings));
            prop_assert!((got - want).abs() <= 1e-11 * want.abs().max(1.0), "{} against {}", got, want);
            prop_assert!(gradient.iter().zip(&want_gradient).all(|(got, want)| (got - want).abs() <= 1e-12));
            let (single, singles) = run(&x.to_dtype(DType::F32).unwrap(), |x| regression_loss(x, &aims, &settings));
            prop_assert!((single - want).abs() <= 1e-5 * want.abs().max(1.0), "{} against {}", single, want);
            prop_assert!(singles.iter().zip(&want_gradient).all(|(got, want)| (got - want).abs() <= 1e-5 * want.abs().max(1.0)));
        }
    }
}

#[test]
fn cross_entropy_of_many_positions_equals_its_definition() {
    let (n, k, pixels) = (2, 3, 10_000);
    let logits = Var::from_tensor(&tensor(&[n, k, pixels], 5)).unwrap();
    let targets: Vec<u32> =
        (0..(n * pixels) as u32).map(|at| at.wrapping_mul(2_654_435_761) >> 7).map(|t| t % 3).collect();
    let xs = flat(&logits);
    let at = |position: usize, class: usize| xs[(position / pixels * k + class) * pixels + position % pixels].exp();
    let (mut loss, mut gradient) = (0.0, vec![0.0; xs.len()]);
    for (position, &target) in targets.iter().enumerate() {
        let all: f64 = (0..k).map(|class| at(position, class)).sum();
        loss -= (at(position, target as usize) / all).ln() / targets.len() as f64;
        for class in 0..k {
            let onehot = f64::from(class == target as usize);
            gradient[(position / pixels * k + class) * pixels + position % pixels] =
                (at(position, class) / all - onehot) / targets.len() as f64;
        }
    }
    let targets = Tensor::from_vec(targets, (n, pixels), &Device::Cpu).unwrap();
    let got = cross_entropy(&logits, &targets).unwrap();
    assert_close(&got, &[loss], 1e-12);
    assert_close(got.backward().unwrap().get(&logits).unwrap(), &gradient, 1e-15);
}

#[test]
fn bad_logits_show_in_the_loss_unless_they_are_ignored() {
    for (bad, shows_as_nan) in [(f32::NAN, true), (f32::INFINITY, true), (f32::NEG_INFINITY, false)] {
        // Class 1 of pixel 17 of 20, whose target is class 0.
        let mut logits = vec![0.5f32; 40];
        logits[20 + 17] = bad;
        let logits = Var::from_tensor(&Tensor::from_vec(logits, (1, 2, 20), &Device::Cpu).unwrap()).unwrap();
        let targets = |of_pixel: u32| {
            Tensor::from_vec((0..20).map(|at| if at == 17 { of_pixel } else { 1 }).collect(), (1, 20), &Device::Cpu)
                .unwrap()
        };
        let loss = cross_entropy(&logits, &targets(0)).unwrap();
        assert_eq!(loss.to_scalar::<f32>().unwrap().is_nan(), shows_as_nan, "{bad}");
        let settings = ClassLoss { ignored: Some(9), ..ClassLoss::cross_entropy() };
        let loss = class_loss(&logits, &targets(9), &settings).unwrap();
        let wild = (&loss * f64::INFINITY).unwrap().backward().unwrap();
        assert_eq!([17, 37].map(|at| flat(wild.get(&logits).unwrap())[at]), [0.0; 2], "{bad}");
        assert!((loss.to_scalar::<f32>().unwrap() - 2f32.ln()).abs() < 1e-6, "{bad}");
        let gradients = flat(loss.backward().unwrap().get(&logits).unwrap());
        assert_eq!([gradients[17], gradients[20 + 17]], [0.0; 2], "{bad}");
        assert!(gradients.iter().all(|gradient| gradient.is_finite()), "{bad}");
    }
}

fn dice(sums: DiceSums, smooth: f64) -> ClassLoss {
    ClassLoss { dice: Some(Dice { sums, smooth, ..Dice::default() }), ..ClassLoss::default() }
}

/// Every loss at once.
fn all() -> ClassLoss {
    let class_weights = Some(vec![0.5, 2.0, 0.0, 1.0]);
    ClassLoss {
        ignored: Some(9),
        cross_entropy: Some(CrossEntropy {
            weight: 0.7,
            class_weights: class_weights.clone(),
            label_smoothing: 0.1,
            normalization: Normalization::Targets,
        }),
        dice: Some(Dice { weight: 1.3, smooth: 0.5, class_weights: None, sums: DiceSums::Image }),
        focal: Some(Focal { weight: 0.4, gamma: 1.5, class_weights, normalization: Normalization::Weights }),
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let own = targets(&[0, 3, 1, 9, 2, 2, 0, 9], &[2, 4]);
    let logits = [(tensor(&[2, 4, 4], 9) * 2.0).unwrap()];
    let ClassLoss { cross_entropy: of_all, dice: by_image, focal, .. } = all();
    let by_batch = Dice { class_weights: Some(vec![0.3, 1.0, 0.0, 2.0]), smooth: 0.0, ..Dice::default() };
    let none = ClassLoss { ignored: Some(9), ..ClassLoss::default() };
    let by_weights = of_all.clone().map(|settings| CrossEntropy { normalization: Normalization::Weights, ..settings });
    for settings in [
        ClassLoss { ignored: Some(9), ..ClassLoss::cross_entropy() },
        ClassLoss { cross_entropy: of_all, ..none.clone() },
        ClassLoss { cross_entropy: by_weights, ..none.clone() },
        ClassLoss { dice: by_image, ..none.clone() },
        ClassLoss { dice: Some(by_batch), ..none.clone() },
        ClassLoss { focal, ..none.clone() },
        ClassLoss { focal: Some(Focal { gamma: 0.5, ..Focal::default() }), ..none },
        all(),
    ] {
        check_gradients(&logits, |t| class_loss(&t[0], &own, &settings));
    }
    let labels = targets(&[3, 0, 2], &[3]);
    check_gradients(&[tensor(&[3, 4], 5)], |t| class_loss(&t[0], &labels, &all()));
    let aims = Tensor::new(&[[0.5, f64::NAN, -2.0], [0.1, 4.0, f64::NAN]], &Device::Cpu).unwrap();
    let settings = RegressionLoss { l1: Some(0.3), l2: Some(0.5), huber: Some(Huber { weight: 2.0, delta: 0.7 }) };
    check_gradients(&[tensor(&[2, 3], 6)], |t| regression_loss(&t[0], &aims, &settings));
}

/// The hand-computed value of both kinds of sums: two images of two pixels, of which the first has class 1 once.
#[test]
fn dice_adds_up_over_the_batch_or_over_each_image() {
    // Probabilities of class 1: 0.5 everywhere.
    let (logits, own) = (Tensor::zeros((2, 2, 2), DType::F64, &Device::Cpu).unwrap(), targets(&[1, 0, 0, 0], &[2, 2]));
    let value = |settings: &ClassLoss| class_loss(&logits, &own, settings).unwrap().to_scalar::<f64>().unwrap();
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-14, "{got} against {want}");
    close(value(&dice(DiceSums::Batch, 1.0)), 1.0 - (2.0 * 0.5 + 1.0) / (2.0 + 1.0 + 1.0));
    // The second image lacks the class: P / (P + s).
    close(
        value(&dice(DiceSums::Image, 1.0)),
        f64::midpoint(1.0 - (2.0 * 0.5 + 1.0) / (1.0 + 1.0 + 1.0), 1.0 / (1.0 + 1.0)),
    );
    // An image without any position that counts has no part in the mean.
    let settings = ClassLoss { ignored: Some(7), ..dice(DiceSums::Image, 1.0) };
    let own = targets(&[1, 0, 7, 7], &[2, 2]);
    let got = class_loss(&logits, &own, &settings).unwrap().to_scalar::<f64>().unwrap();
    close(got, 1.0 - (2.0 * 0.5 + 1.0) / (1.0 + 1.0 + 1.0));
    // A weight for the background makes it a class like any other.
    let with_background = Dice { class_weights: Some(vec![1.0, 1.0]), ..Dice::default() };
    let settings = ClassLoss { dice: Some(with_background), ..ClassLoss::default() };
    let own = targets(&[1, 0, 0, 0], &[2, 2]);
    let got = class_loss(&logits, &own, &settings).unwrap().to_scalar::<f64>().unwrap();
    close(got, f64::midpoint(1.0 - (2.0 * 0.5 + 1.0) / 4.0, 1.0 - (2.0 * 1.5 + 1.0) / (2.0 + 3.0 + 1.0)));
}

#[test]
fn the_weight_of_a_class_acts_at_batch_size_one() {
    let (logits, own) = (tensor(&[1, 2], 3), targets(&[1], &[1]));
    let value = |weight: f64, normalization: Normalization| {
        let class_weights = Some(vec![1.0, weight]);
        let cross_entropy = Some(CrossEntropy { class_weights, normalization, ..CrossEntropy::default() });
        let settings = ClassLoss { cross_entropy, ..ClassLoss::default() };
        class_loss(&logits, &own, &settings).unwrap().to_scalar::<f64>().unwrap()
    };
    let plain = value(1.0, Normalization::Targets);
    assert!((value(9.0, Normalization::Targets) - 9.0 * plain).abs() < 1e-14);
    assert!((value(9.0, Normalization::Weights) - plain).abs() < 1e-14);
    let by_default = CrossEntropy { class_weights: Some(vec![1.0, 9.0]), ..CrossEntropy::default() };
    assert_eq!(by_default.normalization, Normalization::Targets);
}

#[test]
fn focal_loss_without_focus_is_cross_entropy() {
    let (logits, own) = ((tensor(&[2, 3, 50], 4) * 9.0).unwrap(), targets(&draw_targets(100, 3, None, 8), &[2, 50]));
    let focal = ClassLoss { focal: Some(Focal { gamma: 0.0, ..Focal::default() }), ..ClassLoss::default() };
    let (want, want_gradient) = run(&logits, |x| cross_entropy(x, &own));
    let (got, gradient) = run(&logits, |x| class_loss(x, &own, &focal));
    assert!((got - want).abs() < 1e-13);
    assert!(gradient.iter().zip(&want_gradient).all(|(got, want)| (got - want).abs() < 1e-15));
}

/// Settings for each loss alone, and all together; Dice by both sums, with and without `smooth`.
fn one_by_one(ignored: Option<u32>) -> Vec<ClassLoss> {
    let ClassLoss { cross_entropy, focal, .. } = all();
    let none = ClassLoss::default();
    let losses = [
        ClassLoss::cross_entropy(),
        ClassLoss { cross_entropy, ..none.clone() },
        dice(DiceSums::Batch, 1.0),
        dice(DiceSums::Image, 1.0),
        dice(DiceSums::Batch, 0.0),
        dice(DiceSums::Image, 0.0),
        ClassLoss { focal, ..none.clone() },
        ClassLoss { focal: Some(Focal { gamma: 0.3, ..Focal::default() }), ..none },
        all(),
    ];
    losses.into_iter().map(|settings| ClassLoss { ignored, ..settings }).collect()
}

#[test]
fn where_every_target_is_ignored_loss_and_gradient_are_zero() {
    for dtype in [DType::F32, DType::F64] {
        for settings in one_by_one(Some(9)) {
            for bad in [1.0, f64::NAN, f64::INFINITY] {
                let logits = (tensor(&[2, 4, 20], 2) * bad).unwrap().to_dtype(dtype).unwrap();
                let own = targets(&[9; 40], &[2, 20]);
                let (loss, gradient) = run(&logits, |x| class_loss(x, &own, &settings));
                assert_eq!(loss, 0.0, "{settings:?}, logits times {bad}");
                assert!(gradient.iter().all(|&gradient| gradient == 0.0), "{settings:?}, logits times {bad}");
            }
        }
    }
}

#[test]
fn extreme_logits_and_missing_classes_give_finite_losses() {
    for dtype in [DType::F32, DType::F64] {
        for settings in one_by_one(Some(9)) {
            // Class 2 is never a target and, with logits of -10000, never predicted; some targets are impossible, some certain.
            let logit = |at: usize| match at / 20 % 4 {
                2 => -1e4,
                class => {
                    if (at % 20) % 3 == class {
                        1e4
                    } else {
                        -1e4
                    }
                }
            };
            let logits = Tensor::from_vec((0..160).map(logit).collect::<Vec<f64>>(), (2, 4, 20), &Device::Cpu).unwrap();
            let own: Vec<u32> = (0..40).map(|at| [0, 1, 3, 9][at % 4]).collect();
            let (loss, gradient) =
                run(&logits.to_dtype(dtype).unwrap(), |x| class_loss(x, &targets(&own, &[2, 20]), &settings));
            assert!(loss.is_finite() && loss > 0.0, "{dtype:?}, {settings:?}: {loss}");
            assert!(gradient.iter().all(|gradient| gradient.is_finite()), "{dtype:?}, {settings:?}");
        }
        // An impossible target has an infinite loss, and the gradient of any other target.
        let (infinite, focal) = (Tensor::new(&[[0.0, f64::NEG_INFINITY]], &Device::Cpu).unwrap(), Focal::default());
        let settings = ClassLoss { focal: Some(focal), ..ClassLoss::default() };
        let got = run(&infinite.to_dtype(dtype).unwrap(), |x| class_loss(x, &targets(&[1], &[1]), &settings));
        assert_eq!(got, (f64::INFINITY, vec![3.0, -3.0]));
        let logits = Tensor::new(&[[1e4, -1e4]], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let value = |target: u32| run(&logits, |x| cross_entropy(x, &targets(&[target], &[1])));
        assert_eq!([value(0).0, value(1).0], [0.0, 6e4]);
        assert_eq!([value(0).1, value(1).1], [[0.0, 0.0], [3.0, -3.0]]);
    }
}

#[test]
fn one_pixel_and_one_class() {
    for settings in one_by_one(Some(9)) {
        let (loss, gradient) = run(&tensor(&[1, 4, 1, 1], 3), |x| class_loss(x, &targets(&[1], &[1, 1, 1]), &settings));
        assert!(loss > 0.0 && loss.is_finite(), "{settings:?}");
        // A softmax does not change if all logits rise alike.
        assert!(gradient.iter().sum::<f64>().abs() < 1e-14, "{settings:?}");
    }
    let (loss, gradient) = run(&tensor(&[2, 1, 5], 3), |x| cross_entropy(x, &targets(&[0; 10], &[2, 5])));
    assert_eq!((loss, gradient), (0.0, vec![0.0; 10]));
    let alone = class_loss(&tensor(&[2, 1, 5], 3), &targets(&[0; 10], &[2, 5]), &dice(DiceSums::Batch, 1.0));
    assert!(alone.unwrap_err().to_string().contains("`dice.class_weights` is None"));
}

#[test]
fn a_class_that_is_ignored_has_no_dice() {
    let logits = tensor(&[1, 3, 30], 6);
    let own = targets(&draw_targets(30, 3, None, 5), &[1, 30]);
    let explicit = Dice { class_weights: Some(vec![0.0, 1.0, 0.0]), ..Dice::default() };
    let settings = |dice: Dice| ClassLoss { ignored: Some(2), dice: Some(dice), ..ClassLoss::default() };
    let by_default = run(&logits, |x| class_loss(x, &own, &settings(Dice::default())));
    assert_eq!(by_default, run(&logits, |x| class_loss(x, &own, &settings(explicit.clone()))));
}

#[test]
fn missing_numbers_count_for_nothing() {
    let settings = RegressionLoss { l1: Some(1.0), l2: Some(1.0), huber: Some(Huber::default()) };
    for dtype in [DType::F32, DType::F64] {
        let tensor = |numbers: [f64; 3]| Tensor::new(&[numbers], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let missing = tensor([f64::NAN; 3]);
        let (loss, gradient) =
            run(&tensor([1.0, f64::INFINITY, f64::NAN]), |x| regression_loss(x, &missing, &settings));
        assert_eq!((loss, gradient), (0.0, vec![0.0; 3]));
        // What is there has the mean to itself; a prediction that is NaN shows only where it counts.
        let aims = tensor([3.0, f64::NAN, f64::NAN]);
        let (loss, gradient) = run(&tensor([1.0, f64::NAN, 5.0]), |x| regression_loss(x, &aims, &settings));
        assert_eq!((loss, gradient), (3.0 * (2.0 + 4.0 + 1.5), vec![3.0 * (-1.0 - 4.0 - 1.0), 0.0, 0.0]));
        let (loss, gradient) = run(&tensor([f64::NAN, 0.0, 0.0]), |x| regression_loss(x, &aims, &settings));
        assert!(loss.is_nan() && gradient[0].is_nan() && gradient[1..] == [0.0; 2]);
    }
    let shapes = regression_loss(&tensor(&[2, 3], 1), &tensor(&[3, 2], 1), &settings).unwrap_err().to_string();
    assert!(shapes.contains("[2, 3]") && shapes.contains("[3, 2]"), "{shapes}");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let weights = |weights: &[f64]| Some(weights.to_vec());
    let cross_entropy = |change: &dyn Fn(&mut CrossEntropy)| {
        let mut settings = CrossEntropy::default();
        change(&mut settings);
        LossSpec::Classes(ClassLoss { cross_entropy: Some(settings), ..ClassLoss::default() })
    };
    let of_dice = |dice: Dice| LossSpec::Classes(ClassLoss { dice: Some(dice), ..ClassLoss::default() });
    let of_focal = |focal: Focal| LossSpec::Classes(ClassLoss { focal: Some(focal), ..ClassLoss::default() });
    let none = RegressionLoss::default();
    let huber = |weight: f64, delta: f64| RegressionLoss { huber: Some(Huber { weight, delta }), ..none.clone() };
    for (key, spec) in [
        ("loss", LossSpec::Classes(ClassLoss::default())),
        ("cross_entropy.weight", cross_entropy(&|settings| settings.weight = -1.0)),
        ("cross_entropy.class_weights", cross_entropy(&|settings| settings.class_weights = weights(&[1.0; 2]))),
        ("cross_entropy.class_weights", cross_entropy(&|settings| settings.class_weights = weights(&[1.0, -1.0, 1.0]))),
        ("cross_entropy.label_smoothing", cross_entropy(&|settings| settings.label_smoothing = 1.0)),
        ("cross_entropy.label_smoothing", cross_entropy(&|settings| settings.label_smoothing = f64::NAN)),
        ("dice.weight", of_dice(Dice { weight: f64::INFINITY, ..Dice::default() })),
        ("dice.smooth", of_dice(Dice { smooth: -0.5, ..Dice::default() })),
        ("dice.class_weights", of_dice(Dice { class_weights: weights(&[0.0; 3]), ..Dice::default() })),
        ("dice.class_weights", of_dice(Dice { class_weights: weights(&[1.0; 4]), ..Dice::default() })),
        ("focal.gamma", of_focal(Focal { gamma: -1.0, ..Focal::default() })),
        ("focal.weight", of_focal(Focal { weight: f64::NAN, ..Focal::default() })),
        ("focal.class_weights", of_focal(Focal { class_weights: weights(&[1.0]), ..Focal::default() })),
        ("loss", LossSpec::Regression(none.clone())),
        ("l1.weight", LossSpec::Regression(RegressionLoss { l1: Some(-1.0), ..none.clone() })),
        ("l2.weight", LossSpec::Regression(RegressionLoss { l2: Some(f64::NAN), ..none.clone() })),
        ("huber.weight", LossSpec::Regression(huber(-1.0, 1.0))),
        ("huber.delta", LossSpec::Regression(huber(1.0, 0.0))),
    ] {
        let error = spec.check(3).unwrap_err();
        assert_eq!(error.key, key, "{error}");
        assert!(error.to_string().contains(": expected "), "{error}");
        let refused = spec.evaluate(&tensor(&[2, 3], 1), &tensor(&[2, 3], 1).narrow(1, 0, 3).unwrap());
        assert!(refused.is_err());
    }
    assert!(LossSpec::Classes(all()).check(4).is_ok());
    let class = cross_entropy_error(3);
    assert!(class.contains("target 3") && class.contains("0..3"), "{class}");
}

/// The message about a target of 3 classes.
fn cross_entropy_error(target: u32) -> String {
    cross_entropy(&tensor(&[1, 3], 1), &targets(&[target], &[1])).unwrap_err().to_string()
}

#[test]
fn a_loss_spec_evaluates_what_it_holds() {
    let (logits, own) = (tensor(&[2, 4, 3], 5), targets(&[0, 1, 2, 3, 9, 1], &[2, 3]));
    let spec = LossSpec::Classes(all());
    assert_eq!(flat(&spec.evaluate(&logits, &own).unwrap()), flat(&class_loss(&logits, &own, &all()).unwrap()));
    let settings = RegressionLoss { l2: Some(1.0), ..RegressionLoss::default() };
    let aims = tensor(&[2, 4, 3], 8);
    let want = flat(&(&logits - &aims).unwrap()).iter().map(|error| error * error).sum::<f64>() / 24.0;
    assert_close(&LossSpec::Regression(settings).evaluate(&logits, &aims).unwrap(), &[want], 1e-13);
}
