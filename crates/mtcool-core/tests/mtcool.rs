//! What Algorithm 1 promises, on a small cooperative network: regions, constants, orders, special cases.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod tiny;

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    AdamW, Batch, BatchSource, BoundUnit, ClampedLayer, ClampedVelocity, Combine, DecayedParameters, GradientMethod,
    Loss, LossWeighting, Method, Mtcool, MtcoolConfig, Network, NoiseDraw, NoiseSource, OutputKind, ParameterKind,
    ParameterName, Parameters, PerturbedParameters, Problem, RateSchedule, Result, Sgd, Step, UniformNoise,
    UpdateOrder, UpdateSettings, Variant,
};
use proptest::prelude::*;
use tiny::{INPUTS, Tiny, cross_entropy, distance, initial, problem};

/// The n-th batch of a task depends on n and on a number that stands for the task, so that tasks can be permuted.
struct Points {
    names: Vec<u32>,
    drawn: Vec<u32>,
}

impl Points {
    fn new(names: Vec<u32>) -> Self {
        Self { drawn: vec![0; names.len()], names }
    }
}

impl BatchSource for Points {
    fn next(&mut self, task: usize) -> Result<Batch> {
        self.drawn[task] += 1;
        let mut generator = stream(9, Purpose::Method, [self.names[task], self.drawn[task], 0, 0], "points");
        let input = uniform(&mut generator, 2.0, &(6, INPUTS).into(), DType::F64, &Device::Cpu)?;
        Ok(Batch { input, target: Tensor::new(&[0u32, 1, 2, 2, 1, 0], &Device::Cpu)? })
    }
}

fn config() -> MtcoolConfig {
    MtcoolConfig { bound: 0.03, alpha: 0.3, beta: 0.3, warmup_iterations: 0, ..MtcoolConfig::default() }
}

fn mtcool(config: MtcoolConfig) -> Mtcool {
    let noise = UniformNoise::new(5, config.bound).unwrap();
    Mtcool::new(config, Box::new(noise)).unwrap()
}

fn steps(method: &mut dyn Method, problem: &Problem, parameters: &mut Parameters, batches: &mut Points, count: usize) {
    for _ in 0..count {
        let step = Step { problem, parameters, batches, progress: 0.25 };
        method.step(step).unwrap().check_finite().unwrap();
    }
}

/// Task t of the permuted problem is task t + turn of the plain one: its weights, and its features where the heads read them.
fn permute(plain: &Parameters, tasks: usize, turn: usize) -> Parameters {
    let to_plain = |task: usize| (task + turn) % tasks;
    let rows: Vec<u32> =
        (0..tasks).flat_map(|task| [2 * to_plain(task) as u32, 2 * to_plain(task) as u32 + 1]).collect();
    let rows = Tensor::new(&rows[..], &Device::Cpu).unwrap();
    let theta = (0..tasks).map(|task| {
        let weight = plain.theta(to_plain(task), "hidden.weight").unwrap().clone();
        (ParameterName::theta(task, "hidden.weight"), weight)
    });
    let phi = (0..tasks).map(|task| {
        let weight = plain.phi(to_plain(task), "out.weight").unwrap().index_select(&rows, 0).unwrap();
        (ParameterName::phi(task, "out.weight"), weight)
    });
    theta.chain(phi).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_outer_iteration_keeps_theta_in_the_flat_region(
        tasks in 2usize..5, samples in 1usize..4, inner in 1usize..5, bound in 1e-4f64..0.1, beta in 0.01f64..5.0, jacobi: bool, seed: u64,
    ) {
        let schedule = if jacobi { UpdateOrder::Jacobi } else { UpdateOrder::GaussSeidel };
        let config = MtcoolConfig { bound, beta, samples, inner_iterations: inner, schedule, ..config() };
        let problem = problem(tasks);
        let before = initial(&problem, seed);
        let mut parameters = before.clone();
        let mut batches = Points::new((0..tasks as u32).collect());
        steps(&mut mtcool(config), &problem, &mut parameters, &mut batches, 1);
        prop_assert!(distance(&parameters, &before, |name| name.kind == ParameterKind::Theta) <= bound * (1.0 + 1e-9));
        for task in 0..tasks {
            prop_assert!(distance(&parameters, &before, |name| name.task == task && name.kind == ParameterKind::Theta) > 0.0);
            prop_assert_eq!(batches.drawn[task], inner as u32);
        }
    }

    #[test]
    fn under_jacobi_the_order_of_the_tasks_does_not_matter(tasks in 2usize..5, turn in 1usize..4, seed: u64) {
        let config = MtcoolConfig { schedule: UpdateOrder::Jacobi, variant: Variant::Vanilla, ..config() };
        let problem = problem(tasks);
        let start = initial(&problem, seed);
        let mut plain = start.clone();
        steps(&mut mtcool(config.clone()), &problem, &mut plain, &mut Points::new((0..tasks as u32).collect()), 2);
        let mut permuted = permute(&start, tasks, turn);
        let names = (0..tasks).map(|task| ((task + turn) % tasks) as u32).collect();
        steps(&mut mtcool(config), &problem, &mut permuted, &mut Points::new(names), 2);
        prop_assert!(distance(&permuted, &permute(&plain, tasks, turn), |_| true) < 1e-12);
    }
}

#[test]
fn schedules_differ_in_what_later_tasks_see() {
    let problem = problem(2);
    let run = |schedule| {
        let mut parameters = initial(&problem, 1);
        let config = MtcoolConfig { schedule, ..config() };
        steps(&mut mtcool(config), &problem, &mut parameters, &mut Points::new(vec![0, 1]), 1);
        parameters
    };
    let (gauss_seidel, jacobi) = (run(UpdateOrder::GaussSeidel), run(UpdateOrder::Jacobi));
    assert_eq!(distance(&gauss_seidel, &jacobi, |name| name.task == 0), 0.0);
    assert!(distance(&gauss_seidel, &jacobi, |name| name.task == 1) > 1e-9);
}

/// Zero noise that records for which draws and parameters it is asked.
struct Witness(Arc<Mutex<Vec<(NoiseDraw, ParameterName)>>>);

impl NoiseSource for Witness {
    fn noise(&mut self, draw: NoiseDraw, name: &ParameterName, parameter: &Tensor) -> Result<Tensor> {
        self.0.lock().unwrap().push((draw, name.clone()));
        Ok(parameter.zeros_like()?)
    }
}

#[test]
fn noise_meets_every_theta_in_the_warm_up_and_only_the_others_theta_after() {
    let problem = problem(3);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let config = MtcoolConfig { warmup_iterations: 1, samples: 2, inner_iterations: 2, ..config() };
    let mut method = Mtcool::new(config, Box::new(Witness(asked.clone()))).unwrap();
    let mut batches = Points::new(vec![0, 1, 2]);
    steps(&mut method, &problem, &mut initial(&problem, 1), &mut batches, 2);
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|(_, name)| name.kind == ParameterKind::Theta));
    let warm_up = asked.iter().filter(|(draw, _)| matches!(draw, NoiseDraw::Warmup { .. })).count();
    assert_eq!(warm_up, 2 * 3, "samples x tasks");
    for (draw, name) in asked.iter() {
        if let NoiseDraw::Cooperative { task, .. } = draw {
            assert_ne!(*task, name.task);
        }
    }
    assert_eq!(asked.len() - warm_up, 3 * 2 * 2 * 2, "tasks x inner x samples x others");
}

/// All weights one: the sum of the losses.
struct Equal;

impl LossWeighting for Equal {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(vec![1.0; losses.len()])
    }
}

#[test]
fn a_warm_up_without_noise_is_joint_training() {
    let problem = problem(3);
    let sgd = Sgd { momentum: 0.8, weight_decay: 0.01, ..Sgd::default() };
    let updates = UpdateSettings { rate: RateSchedule::Cosine, ..UpdateSettings::new(sgd) };
    let config = MtcoolConfig { variant: Variant::Vanilla, warmup_iterations: 5, updates: updates.clone(), ..config() };
    let mut cooperative = initial(&problem, 2);
    steps(&mut mtcool(config), &problem, &mut cooperative, &mut Points::new(vec![0, 1, 2]), 5);
    let mut joint = initial(&problem, 2);
    let mut method = GradientMethod::new(Combine::Losses(Box::new(Equal)), 0.3, updates).unwrap();
    steps(&mut method, &problem, &mut joint, &mut Points::new(vec![0, 1, 2]), 5);
    assert!(distance(&cooperative, &joint, |_| true) < 1e-12);
}

#[test]
fn weight_decay_leaves_out_what_the_network_names_if_it_is_for_weights_only() {
    let problem = problem(2);
    let start = initial(&problem, 2);
    let gradient_method = |updates| -> Box<dyn Method> {
        Box::new(GradientMethod::new(Combine::Losses(Box::new(Equal)), 0.3, updates).unwrap())
    };
    let cooperative = |updates| -> Box<dyn Method> {
        Box::new(mtcool(MtcoolConfig { variant: Variant::Vanilla, schedule: UpdateOrder::Jacobi, updates, ..config() }))
    };
    for build in [&gradient_method as &dyn Fn(UpdateSettings) -> Box<dyn Method>, &cooperative] {
        let after_one_step = |weight_decay, decayed| {
            let updates = UpdateSettings::new(Sgd { weight_decay, decayed, ..Sgd::default() });
            let mut parameters = start.clone();
            steps(build(updates).as_mut(), &problem, &mut parameters, &mut Points::new(vec![0, 1]), 1);
            parameters
        };
        let without = after_one_step(0.0, DecayedParameters::All);
        let all = after_one_step(0.1, DecayedParameters::All);
        let weights = after_one_step(0.1, DecayedParameters::Weights);
        for kind in [ParameterKind::Theta, ParameterKind::Phi] {
            assert!(distance(&all, &without, |name| name.kind == kind) > 1e-4);
        }
        assert_eq!(distance(&weights, &all, |name| name.kind == ParameterKind::Theta), 0.0);
        assert_eq!(distance(&weights, &without, |name| name.kind == ParameterKind::Phi), 0.0);
    }
}

#[test]
fn the_regulariser_needs_two_draws_and_a_weight() {
    let problem = problem(2);
    let run = |variant, samples, lambda| {
        let mut parameters = initial(&problem, 3);
        let config = MtcoolConfig { variant, samples, lambda, ..config() };
        steps(&mut mtcool(config), &problem, &mut parameters, &mut Points::new(vec![0, 1]), 3);
        parameters
    };
    let same = |a: &Parameters, b: &Parameters| distance(a, b, |_| true) == 0.0;
    assert!(same(&run(Variant::Full, 1, 1.0), &run(Variant::NoRegularizer, 1, 1.0)));
    assert!(same(&run(Variant::Full, 2, 0.0), &run(Variant::NoRegularizer, 2, 1.0)));
    assert!(!same(&run(Variant::Full, 2, 1.0), &run(Variant::NoRegularizer, 2, 1.0)));
    assert!(same(&run(Variant::Vanilla, 1, 1.0), &run(Variant::Vanilla, 3, 0.0)));
    assert!(!same(&run(Variant::Vanilla, 1, 0.0), &run(Variant::NoRegularizer, 1, 0.0)));
}

#[test]
fn a_restored_method_continues_to_the_bit() {
    let problem = problem(2);
    for updates in [
        UpdateSettings::new(Sgd { momentum: 0.9, ..Sgd::default() }),
        UpdateSettings {
            accumulated_batches: 2,
            max_gradient_norm: Some(0.1),
            ..UpdateSettings::new(AdamW::default())
        },
    ] {
        let config = MtcoolConfig { warmup_iterations: 2, updates, ..config() };
        let mut whole = initial(&problem, 4);
        let mut batches = Points::new(vec![0, 1]);
        steps(&mut mtcool(config.clone()), &problem, &mut whole, &mut batches, 6);
        for cut in 0..6 {
            let mut parameters = initial(&problem, 4);
            let mut batches = Points::new(vec![0, 1]);
            let mut first = mtcool(config.clone());
            steps(&mut first, &problem, &mut parameters, &mut batches, cut);
            let mut second = mtcool(config.clone());
            second.restore(first.state()).unwrap();
            steps(&mut second, &problem, &mut parameters, &mut batches, 6 - cut);
            assert_eq!(distance(&whole, &parameters, |_| true), 0.0, "cut at {cut}");
        }
    }
}

#[test]
fn settings_out_of_range_and_misfits_are_named() {
    let message = |config: MtcoolConfig| config.check().unwrap_err().to_string();
    assert_eq!(message(MtcoolConfig { bound: 0.0, ..config() }), "`bound` is 0: expected a positive number");
    assert!(message(MtcoolConfig { alpha: f64::NAN, ..config() }).contains("`alpha` is NaN"));
    assert!(message(MtcoolConfig { samples: 0, ..config() }).contains("`samples` is 0: expected at least 1"));
    let updates = UpdateSettings::new(Sgd { momentum: 1.0, ..Sgd::default() });
    assert!(message(MtcoolConfig { updates, ..config() }).contains("`momentum` is 1"));
    assert!(MtcoolConfig { samples: 1, ..config() }.warning().is_some());
    assert!(config().warning().is_none());

    let one_loss: Vec<Loss> = vec![Box::new(cross_entropy)];
    let message = Problem::new(Box::new(Tiny { tasks: 2 }), one_loss).unwrap_err().to_string();
    assert!(message.contains("2 tasks") && message.contains("got 1"), "{message}");
    let x = Tensor::zeros((1, INPUTS), DType::F64, &Device::Cpu).unwrap();
    let message = Tiny { tasks: 2 }.forward(&Parameters::new(), 0, &x).unwrap_err().to_string();
    assert!(message.contains("`theta.0.hidden.weight`"), "{message}");
}

/// One outer iteration with M = 1, L = 1 and plain gradient descent by the paper's lines, one parameter after the other, where
/// `bound(k)` is the half-width of noise and clamp of task k, which has neither if it is `None`. Also returns what the clamp moved.
fn outer_iteration_by_hand(
    problem: &Problem,
    start: &Parameters,
    tasks: usize,
    beta: f64,
    bound: impl Fn(usize) -> Option<f64>,
) -> (Parameters, Vec<ClampedLayer>) {
    let mut batches = Points::new((0..tasks as u32).collect());
    let mut now = start.clone();
    let mut counts = Vec::new();
    for task in 0..tasks {
        let batch = batches.next(task).unwrap();
        let leaves = now.track(|name| name.task == task).unwrap();
        let draw = NoiseDraw::Cooperative { iteration: 0, task, inner: 0, sample: 0 };
        let noisy = leaves.map(|name, tensor| {
            if name.kind == ParameterKind::Phi || name.task == task {
                return Ok(tensor.clone());
            }
            let mut generator = UniformNoise::new(5, 1.0).unwrap().generator(draw, name);
            let unit = uniform(&mut generator, 1.0, tensor.shape(), DType::F64, &Device::Cpu)?;
            Ok((tensor + (unit * bound(name.task).unwrap_or(0.0))?)?)
        });
        let output = problem.network().forward(&noisy.unwrap(), task, &batch.input).unwrap();
        let gradients = leaves.backward(&problem.loss(task, &output, &batch.target).unwrap()).unwrap();
        for (name, gradient) in gradients.iter() {
            let old = start.get(name).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let move_one = |(old, gradient): (&f64, &f64)| {
                let new = old - beta * gradient;
                let most = Some(name.kind).filter(|kind| *kind == ParameterKind::Theta).and_then(|_| bound(name.task));
                let most = most.unwrap_or(f64::INFINITY);
                new.clamp(old - most, old + most)
            };
            let new: Vec<f64> = old.iter().zip(&gradient).map(move_one).collect();
            if let Some(most) =
                Some(name.kind).filter(|kind| *kind == ParameterKind::Theta).and_then(|_| bound(name.task))
            {
                let moved = old.iter().zip(&gradient).filter(|(_, gradient)| (beta * **gradient).abs() > most).count();
                // The encoder of this network is one tensor.
                let (layer, moved, elements) = ("hidden".to_owned(), moved as u64, old.len() as u64);
                counts.push(ClampedLayer { task, layer, moved, elements });
            }
            let shape = start.get(name).unwrap().shape().clone();
            now.insert(name.clone(), Tensor::from_vec(new, shape, &Device::Cpu).unwrap());
        }
    }
    (now, counts)
}

#[test]
fn a_bound_in_initial_widths_is_the_slow_twins_for_every_parameter() {
    let (tasks, bound, beta) = (3, 0.04, 0.4);
    let problem = problem(tasks);
    let start = initial(&problem, 6);
    let run = |bound_unit| {
        let updates = UpdateSettings::new(Sgd::default());
        let config =
            MtcoolConfig { bound, bound_unit, beta, samples: 1, variant: Variant::NoRegularizer, updates, ..config() };
        let (mut method, mut parameters) = (mtcool(config), start.clone());
        steps(&mut method, &problem, &mut parameters, &mut Points::new(vec![0, 1, 2]), 1);
        (parameters, method.diagnostics().clamped.clone().unwrap())
    };
    let (absolute, moved) = run(BoundUnit::Absolute);
    let (by_hand, counts) = outer_iteration_by_hand(&problem, &start, tasks, beta, |_| Some(bound));
    assert!(distance(&absolute, &by_hand, |_| true) < 1e-12);
    assert_eq!(moved, counts);
    let (relative, moved) = run(BoundUnit::InitialWidth);
    let widths = |task| Some(bound * 0.7 / (task + 1) as f64);
    let (by_hand, counts) = outer_iteration_by_hand(&problem, &start, tasks, beta, widths);
    assert!(distance(&relative, &by_hand, |_| true) < 1e-12);
    assert_eq!(moved, counts);
    assert!(counts.iter().any(|layer| layer.moved > 0 && layer.moved < layer.elements), "{counts:?}");
    // The clamp acts, and it acts on each task at its own width.
    for task in 0..tasks {
        let moved = distance(&relative, &start, |name| name.task == task && name.kind == ParameterKind::Theta);
        assert!((moved - bound * 0.7 / (task + 1) as f64).abs() < 1e-12, "task {task} moved by {moved}");
    }
}

#[test]
fn parameters_that_are_no_weights_may_be_left_without_noise_and_clamp() {
    /// The second task's encoder counts as a bias.
    struct Biased(Tiny);
    impl Network for Biased {
        fn tasks(&self) -> usize {
            self.0.tasks()
        }
        fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
            self.0.initial_parameters(seed, dtype, device)
        }
        fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> candle_core::Result<Tensor> {
            self.0.forward(parameters, task, input)
        }
        fn decays(&self, name: &ParameterName) -> bool {
            name.task != 1
        }
    }
    let (tasks, bound, beta) = (3, 0.04, 0.4);
    let losses = (0..tasks).map(|_| -> Loss { Box::new(cross_entropy) }).collect();
    let problem = Problem::new(Box::new(Biased(Tiny { tasks })), losses).unwrap();
    let start = initial(&problem, 6);
    let run = |perturbed| {
        let config = MtcoolConfig { bound, perturbed, beta, samples: 1, variant: Variant::NoRegularizer, ..config() };
        let (mut method, mut parameters) = (mtcool(config), start.clone());
        steps(&mut method, &problem, &mut parameters, &mut Points::new(vec![0, 1, 2]), 1);
        (parameters, method.diagnostics().clamped.clone().unwrap())
    };
    let by_hand = |biases: Option<f64>| {
        let bound = |task| if task == 1 { biases } else { Some(bound) };
        outer_iteration_by_hand(&problem, &start, tasks, beta, bound)
    };
    for (perturbed, biases) in [(PerturbedParameters::All, Some(bound)), (PerturbedParameters::Weights, None)] {
        let ((parameters, moved), (expected, counts)) = (run(perturbed), by_hand(biases));
        assert!(distance(&parameters, &expected, |_| true) < 1e-12);
        assert_eq!(moved, counts, "{perturbed:?}");
    }
    let moved = distance(&by_hand(None).0, &start, |name| name.task == 1 && name.kind == ParameterKind::Theta);
    assert!(moved > bound, "without a clamp the second task moves by {moved}");
}

#[test]
fn what_the_clamp_moves_is_counted_over_the_updates_of_a_step() {
    let (problem, tasks) = (problem(2), 2);
    let start = initial(&problem, 6);
    let counts = |config: MtcoolConfig, count: usize| {
        let (mut method, mut parameters) = (mtcool(config), start.clone());
        steps(&mut method, &problem, &mut parameters, &mut Points::new(vec![0, 1]), count);
        method.diagnostics().clamped.clone()
    };
    for inner_iterations in [1, 3] {
        let found = counts(MtcoolConfig { bound: 1e-12, inner_iterations, ..config() }, 1).unwrap();
        let all = (2 * INPUTS * inner_iterations) as u64;
        let of_task = |task| ClampedLayer { task, layer: "hidden".into(), moved: all, elements: all };
        assert_eq!(found, (0..tasks).map(of_task).collect::<Vec<_>>(), "everything wants to move farther");
        let found =
            counts(MtcoolConfig { bound: 1e3, inner_iterations, lambda: 0.0, samples: 1, beta: 1e-9, ..config() }, 1);
        assert!(found.unwrap().iter().all(|layer| (layer.moved, layer.elements) == (0, all)), "nothing reaches so far");
    }
    assert_eq!(counts(MtcoolConfig { warmup_iterations: 2, ..config() }, 2), None, "the warm-up has no clamp");
    assert!(counts(MtcoolConfig { warmup_iterations: 2, ..config() }, 3).is_some());
    assert_eq!(counts(MtcoolConfig { variant: Variant::Vanilla, ..config() }, 1), None);
}

#[test]
fn a_velocity_may_stop_where_the_clamp_acts() {
    let problem = problem(2);
    let start = initial(&problem, 6);
    let optimizers = [
        ("velocity", UpdateSettings::new(Sgd { momentum: 0.9, ..Sgd::default() })),
        ("first_moment", UpdateSettings::new(AdamW::default())),
    ];
    for (slot, updates) in optimizers {
        let run = |clamped_velocity| {
            let config = MtcoolConfig { clamped_velocity, bound: 0.02, updates: updates.clone(), ..config() };
            let (mut method, mut parameters) = (mtcool(config), start.clone());
            steps(&mut method, &problem, &mut parameters, &mut Points::new(vec![0, 1]), 1);
            (parameters, method.state().tensors)
        };
        let ((kept, keeps), (stopped, stops)) = (run(ClampedVelocity::Keeps), run(ClampedVelocity::Stops));
        assert_eq!(distance(&kept, &stopped, |_| true), 0.0, "the first step is the same");
        let (mut bounded, mut free) = (0, 0);
        for (name, tensor) in stopped.iter() {
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let moved = values(&(tensor - start.get(name).unwrap()).unwrap());
            let velocities = values(keeps.of_parameter(slot, name).unwrap());
            let is_bounded = |moved: f64| name.is_shared() && moved.abs() > 0.02 - 1e-12;
            let expected: Vec<f64> =
                moved.iter().zip(velocities).map(|(moved, v)| if is_bounded(*moved) { 0.0 } else { v }).collect();
            bounded += expected.iter().filter(|v| **v == 0.0).count();
            free += expected.iter().filter(|v| **v != 0.0).count();
            assert_eq!(values(stops.of_parameter(slot, name).unwrap()), expected, "{slot} of {name}");
        }
        assert!(bounded > 0 && free > 0, "{bounded} bounded elements, {free} free ones");
    }
    let plain = MtcoolConfig { clamped_velocity: ClampedVelocity::Stops, ..config() };
    let message = plain.check().unwrap_err().to_string();
    assert!(message.contains("`clamped_velocity` is Stops") && message.contains("momentum"), "{message}");
}

#[test]
fn a_network_that_tells_no_widths_is_named() {
    struct Silent(Tiny);
    impl Network for Silent {
        fn tasks(&self) -> usize {
            self.0.tasks()
        }
        fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
            self.0.initial_parameters(seed, dtype, device)
        }
        fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> candle_core::Result<Tensor> {
            self.0.forward(parameters, task, input)
        }
    }
    let losses: Vec<Loss> = vec![Box::new(cross_entropy), Box::new(cross_entropy)];
    let problem = Problem::new(Box::new(Silent(Tiny { tasks: 2 })), losses).unwrap();
    let mut parameters = initial(&problem, 1);
    let mut batches = Points::new(vec![0, 1]);
    let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut batches, progress: 0.0 };
    let config = MtcoolConfig { bound_unit: BoundUnit::InitialWidth, ..config() };
    let message = mtcool(config).step(step).unwrap_err().to_string();
    assert!(message.contains("the initial width of `theta.1.hidden.weight`"), "{message}");
}

#[test]
fn a_single_task_is_trained_alone() {
    let problem = problem(1);
    let start = initial(&problem, 3);
    let trained = |variant: Variant| {
        // Nobody else's weights are perturbed, and the clamp does not act.
        let mut parameters = start.clone();
        let config = MtcoolConfig { variant, bound: 10.0, ..config() };
        steps(&mut mtcool(config), &problem, &mut parameters, &mut Points::new(vec![0]), 3);
        parameters
    };
    let alone = trained(Variant::Vanilla);
    assert!(distance(&alone, &start, |_| true) > 0.01);
    assert!(distance(&trained(Variant::Full), &alone, |_| true) < 1e-12);
}

#[test]
fn the_kl_term_of_numbers_is_half_of_their_variance_over_the_draws() {
    let squared = || -> Loss { Box::new(|output, target| (output - target)?.sqr()?.mean_all()) };
    let target = || Tensor::zeros((6, 3), DType::F64, &Device::Cpu).unwrap();
    struct Numbers(Points, Tensor);
    impl BatchSource for Numbers {
        fn next(&mut self, task: usize) -> Result<Batch> {
            Ok(Batch { target: self.1.clone(), ..self.0.next(task)? })
        }
    }
    let problem = |kind: OutputKind| {
        let problem = Problem::new(Box::new(Tiny { tasks: 2 }), vec![squared(), squared()]).unwrap();
        problem.with_kinds(vec![kind; 2]).unwrap()
    };
    let start = initial(&problem(OutputKind::Numbers), 3);
    let bound = 0.2;
    let config = MtcoolConfig { bound, samples: 3, lambda: 0.5, inner_iterations: 1, ..config() };
    let report = |kind: OutputKind| {
        let (problem, mut parameters) = (problem(kind), start.clone());
        let mut batches = Numbers(Points::new(vec![0, 1]), target());
        let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut batches, progress: 0.0 };
        mtcool(config.clone()).step(step).unwrap().check_finite().unwrap()
    };
    // The first task's outputs for each draw, by hand.
    let mut noise = UniformNoise::new(5, bound).unwrap();
    let input = Points::new(vec![0, 1]).next(0).unwrap().input;
    let outputs: Vec<Vec<Vec<f64>>> = (0..3)
        .map(|sample| {
            let draw = NoiseDraw::Cooperative { iteration: 0, task: 0, inner: 0, sample };
            let noisy = start.map(|name, tensor| match (name.kind, name.task) {
                (ParameterKind::Theta, 1) => Ok((tensor + noise.noise(draw, name, tensor)?)?),
                _ => Ok(tensor.clone()),
            });
            Tiny { tasks: 2 }.forward(&noisy.unwrap(), 0, &input).unwrap().to_vec2().unwrap()
        })
        .collect();
    let mut wanted = 0.0;
    for image in 0..6 {
        for number in 0..3 {
            let draws: Vec<f64> = outputs.iter().map(|draw| draw[image][number]).collect();
            let mean = draws.iter().sum::<f64>() / 3.0;
            wanted += draws.iter().map(|draw| (draw - mean).powi(2) / 2.0).sum::<f64>() / 3.0;
        }
    }
    let regularizer = report(OutputKind::Numbers)[0].regularizer;
    assert!(
        regularizer > 1e-6 && (regularizer - wanted / 6.0).abs() < 1e-12,
        "{regularizer} instead of {}",
        wanted / 6.0
    );
    assert!((report(OutputKind::Classes)[0].regularizer - regularizer).abs() > 1e-9, "logits are compared otherwise");
    let message = problem(OutputKind::Numbers).with_kinds(vec![OutputKind::Numbers]).unwrap_err().to_string();
    assert!(message.contains("2 tasks") && message.contains("got 1"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_is_an_error_with_its_task() {
    let problem = problem(2);
    let mut parameters = initial(&problem, 1);
    let broken = (parameters.phi(1, "out.weight").unwrap() * f64::NAN).unwrap();
    parameters.insert(ParameterName::phi(1, "out.weight"), broken);
    let mut batches = Points::new(vec![0, 1]);
    let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut batches, progress: 0.0 };
    let message = mtcool(config()).step(step).unwrap().check_finite().unwrap_err().to_string();
    assert!(message.starts_with("the loss of task 1 is NaN"), "{message}");
}
