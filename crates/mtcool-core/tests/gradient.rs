//! The traits of methods that combine, then optimise: inner products, who gets which gradient, and what happens when it diverges.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use mtcool_core::{
    Aggregator, Batch, BatchSource, Combination, Combine, Convention, Diagnostics, Direction, DirectionSource,
    EpochSummary, GradientMethod, Gradients, Jacobian, Loss, LossWeighting, Method, Network, ParameterName, Parameters,
    Point, Problem, Result, Sgd, StateTensors, Step, UpdateSettings,
};
use proptest::prelude::*;

fn row(entries: &[(&str, Vec<f64>)], dtype: DType) -> Gradients {
    let tensor = |values: &Vec<f64>| Tensor::new(&values[..], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    entries.iter().map(|(layer, values)| (ParameterName::theta(0, *layer), tensor(values))).collect()
}

proptest! {
    #[test]
    fn the_gramian_holds_the_inner_products(
        rows in (1usize..5, 0usize..11).prop_flat_map(|(tasks, n)| {
            prop::collection::vec(prop::collection::vec(-1.0..1.0f64, n), tasks)
        }),
        single: bool,
    ) {
        let dtype = if single { DType::F32 } else { DType::F64 };
        let gradients: Vec<_> = rows.iter().map(|values| row(&[("w", values.clone())], dtype)).collect();
        let allowed = if single { 1e-5 } else { 1e-13 };
        let losses = vec![1.0; rows.len()];
        let jacobian = Jacobian::new(&gradients, &losses);
        let gramian = jacobian.gramian().unwrap();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                let want: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                prop_assert!((gramian[i][j] - want).abs() < allowed);
            }
        }
    }
}

#[test]
fn parameters_that_a_task_does_not_reach_count_as_zero() {
    let rows = [
        row(&[("a", vec![1.0, 2.0]), ("b", vec![3.0])], DType::F64),
        row(&[("b", vec![5.0]), ("c", vec![7.0, 1.0])], DType::F64),
    ];
    let jacobian = Jacobian::new(&rows, &[1.0, 1.0]);
    assert_eq!(jacobian.gramian().unwrap(), [[14.0, 15.0], [15.0, 75.0]]);
    let names: Vec<String> = jacobian.names().map(ToString::to_string).collect();
    assert_eq!(names, ["theta.0.a", "theta.0.b", "theta.0.c"]);
    let sum = jacobian.weighted_sum(&[2.0, -1.0]).unwrap();
    assert_eq!(sum.theta(0, "b").unwrap().to_vec1::<f64>().unwrap(), [1.0]);
    assert_eq!(sum.theta(0, "c").unwrap().to_vec1::<f64>().unwrap(), [-7.0, -1.0]);
    assert!(jacobian.weighted_sum(&[1.0]).unwrap_err().to_string().contains("expected 2, one per task, got 1"));
}

#[test]
fn rows_are_read_whatever_their_layout_and_must_agree_in_shape() {
    let matrix = Tensor::new(&[[1.0f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
    let one = |tensor: Tensor| -> Gradients { [(ParameterName::theta(0, "w"), tensor)].into_iter().collect() };
    let rows = [one(matrix.clone()), one(matrix.t().unwrap()), one(matrix.narrow(0, 1, 1).unwrap())];
    let gramian = |rows: &[Gradients]| Jacobian::new(rows, &vec![1.0; rows.len()]).gramian().map(<[_]>::to_vec);
    assert_eq!(gramian(&rows[..2]).unwrap(), [[30.0, 29.0], [29.0, 30.0]]);
    assert_eq!(gramian(&rows[2..]).unwrap(), [[25.0]]);
    let message = gramian(&rows).unwrap_err().to_string();
    assert!(message.contains("[1, 2]") && message.contains("[2, 2]"), "{message}");
}

/// One theta x, and one phi per task: `L_i = (x - i)^2 + (phi_i - 1)^2`, times what the batch says.
struct Line;

impl Network for Line {
    fn tasks(&self) -> usize {
        2
    }

    fn initial_parameters(&self, _: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
        let names = [ParameterName::theta(0, "x"), ParameterName::phi(0, "y"), ParameterName::phi(1, "y")];
        names.into_iter().map(|name| Ok((name, Tensor::new(&[3.0], device)?.to_dtype(dtype)?))).collect()
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> candle_core::Result<Tensor> {
        let x = (parameters.theta(0, "x")? - task as f64)?.sqr()?;
        let y = (parameters.phi(task, "y")? - 1.0)?.sqr()?;
        (x + y)?.mul(input)
    }
}

struct Factor(f64);

impl BatchSource for Factor {
    fn next(&mut self, _task: usize) -> Result<Batch> {
        let input = Tensor::new(&[self.0], &Device::Cpu)?;
        Ok(Batch { target: input.clone(), input })
    }
}

fn step(method: &mut GradientMethod, parameters: &mut Parameters, factor: f64) -> mtcool_core::StepReport {
    let loss = || -> Loss { Box::new(|output, _| output.sum_all()) };
    let problem = Problem::new(Box::new(Line), vec![loss(), loss()]).unwrap();
    method.step(Step { problem: &problem, parameters, batches: &mut Factor(factor), progress: 0.0 }).unwrap()
}

fn start() -> Parameters {
    Line.initial_parameters(0, DType::F64, &Device::Cpu).unwrap()
}

fn method(combine: Combine) -> GradientMethod {
    GradientMethod::new(combine, 0.5, UpdateSettings::default()).unwrap()
}

fn values(parameters: &Parameters) -> Vec<f64> {
    parameters.iter().map(|(_, tensor)| tensor.to_vec1::<f64>().unwrap()[0]).collect()
}

/// Returns the combination that it was made with, and counts the calls.
struct Told(Combination, Arc<Mutex<usize>>);

/// The same with a convention.
struct Measured(Told, Convention);

impl Aggregator for Measured {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        self.0.combine(jacobian, iteration)
    }

    fn convention(&self) -> Convention {
        self.1
    }
}

impl Aggregator for Told {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        assert_eq!(jacobian.losses(), [13.0, 8.0]);
        *self.1.lock().unwrap() += 1;
        Ok(self.0.clone())
    }
}

#[test]
fn shared_parameters_follow_the_combination_and_own_ones_their_task() {
    let run = |combination| {
        let mut parameters = start();
        let mut method = method(Combine::Gradients(Box::new(Told(combination, Arc::default()))));
        step(&mut method, &mut parameters, 1.0);
        (values(&parameters), method.diagnostics().clone())
    };
    // Gradients at 3: of x 6 and 4, of each phi 4; the rate is 0.5.
    let (moved, diagnostics) = run(Combination::Weights(vec![0.1, 0.3]));
    assert_eq!(moved, [3.0 - 0.5 * (0.1 * 6.0 + 0.3 * 4.0), 1.0, 1.0]);
    assert_eq!(diagnostics.weights, Some(vec![0.1, 0.3]));
    assert_eq!(diagnostics.gramian, Some(vec![vec![36.0, 24.0], vec![24.0, 16.0]]));
    let (moved, _) = run(Combination::LossWeights(vec![0.1, 0.3]));
    assert_eq!(moved, [3.0 - 0.5 * (0.1 * 6.0 + 0.3 * 4.0), 3.0 - 0.5 * 0.1 * 4.0, 3.0 - 0.5 * 0.3 * 4.0]);
    let direction: Gradients =
        [(ParameterName::theta(0, "x"), Tensor::new(&[1.0], &Device::Cpu).unwrap())].into_iter().collect();
    let (moved, diagnostics) = run(Combination::Direction(direction.clone()));
    assert_eq!((moved, diagnostics.weights), (vec![2.5, 1.0, 1.0], None));
    let with_own = |shared| Combination::WithOwn { shared: Box::new(shared), own: vec![0.5, 0.25] };
    let (moved, diagnostics) = run(with_own(Combination::Weights(vec![0.1, 0.3])));
    assert_eq!(moved, [3.0 - 0.5 * (0.1 * 6.0 + 0.3 * 4.0), 2.0, 2.5]);
    assert_eq!(diagnostics.weights, Some(vec![0.1, 0.3]));
    let (moved, diagnostics) = run(with_own(Combination::Direction(direction)));
    assert_eq!((moved, diagnostics.weights), (vec![2.5, 2.0, 2.5], None));
}

/// Of two tasks: gradients at 3 of x are 6 and 4, of each phi 4; the rate is 0.5.
#[test]
fn a_mean_is_multiplied_by_the_number_of_tasks_where_it_meets_the_shared_parameters() {
    let direction: Gradients =
        [(ParameterName::theta(0, "x"), Tensor::new(&[1.0], &Device::Cpu).unwrap())].into_iter().collect();
    let combinations = [
        (Combination::Weights(vec![0.25, 0.75]), 4.5, [4.0, 4.0], Some([0.25, 0.75])),
        (Combination::LossWeights(vec![0.25, 0.75]), 4.5, [1.0, 3.0], Some([0.25, 0.75])),
        (Combination::Direction(direction), 1.0, [4.0, 4.0], None),
    ];
    for (combination, theta, phi, weights) in combinations {
        for (convention, factor) in [(Convention::Sum, 1.0), (Convention::Mean, 2.0), (Convention::AsIs, 1.0)] {
            let mut parameters = start();
            let aggregator = Measured(Told(combination.clone(), Arc::default()), convention);
            let mut method = method(Combine::Gradients(Box::new(aggregator)));
            step(&mut method, &mut parameters, 1.0);
            // Weights of the losses reach the tasks' own parameters; other combinations do not.
            let of_phi = if matches!(combination, Combination::LossWeights(_)) { factor } else { 1.0 };
            let want = [3.0 - 0.5 * factor * theta, 3.0 - 0.5 * of_phi * phi[0], 3.0 - 0.5 * of_phi * phi[1]];
            assert_eq!(values(&parameters), want, "{combination:?} {convention:?}");
            let weights = weights.map(|weights| weights.map(|weight| factor * weight).to_vec());
            assert_eq!(method.diagnostics().weights, weights, "{combination:?} {convention:?}");
        }
    }
}

#[test]
fn what_has_diverged_is_reported_and_not_put_to_the_method() {
    let asked = Arc::new(Mutex::new(0));
    for factor in [f64::NAN, f64::INFINITY, 1e300] {
        let mut parameters = start();
        let told = Told(Combination::Weights(vec![0.0, 0.0]), asked.clone());
        let mut method = method(Combine::Gradients(Box::new(told)));
        let first = step(&mut method, &mut parameters, factor).check_finite().is_err();
        // At 1e300 the losses are finite, and the inner products of their gradients are not.
        assert_eq!(first, factor.is_nan() || factor.is_infinite());
        let second = step(&mut method, &mut parameters, factor).check_finite();
        assert!(second.unwrap_err().to_string().contains("training diverged"));
    }
    assert_eq!(*asked.lock().unwrap(), 0);
}

/// Losses, with the iteration they were shown in.
type Seen = Arc<Mutex<Vec<(u64, Vec<f64>)>>>;

/// Records the losses that it is shown.
struct Witness(Seen, u64);

impl LossWeighting for Witness {
    fn weights(&mut self, losses: &[f64], iteration: u64) -> Result<Vec<f64>> {
        self.1 = iteration;
        self.0.lock().unwrap().push((iteration, losses.to_vec()));
        Ok(vec![0.25, 0.0])
    }

    fn reads_losses_after(&self) -> bool {
        true
    }

    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        self.0.lock().unwrap().push((self.1, losses.to_vec()));
        Ok(())
    }
}

#[test]
fn a_weighting_sees_the_losses_before_and_after_each_step() {
    let seen = Seen::default();
    let mut method = method(Combine::Losses(Box::new(Witness(seen.clone(), 0))));
    let mut parameters = start();
    step(&mut method, &mut parameters, 1.0);
    // x: 3 - 0.5 * 0.25 * 6 = 2.25; phi of task 0: 3 - 0.5 * 0.25 * 4 = 2.5.
    assert_eq!(values(&parameters), [2.25, 2.5, 3.0]);
    assert_eq!(method.diagnostics(), &Diagnostics { weights: Some(vec![0.25, 0.0]), ..Diagnostics::NONE });
    step(&mut method, &mut parameters, 1.0);
    let seen = seen.lock().unwrap();
    let after = vec![2.25f64.powi(2) + 1.5f64.powi(2), 1.25f64.powi(2) + 4.0];
    assert_eq!(seen[..3], [(0, vec![13.0, 8.0]), (0, after.clone()), (1, after)]);
    assert_eq!(seen.len(), 4);
    drop(seen);
    let report = step(&mut method, &mut start(), f64::NAN);
    assert!(report.check_finite().is_err());
}

/// Remembers the sum of the gradients, and the losses of epochs.
#[derive(Default)]
struct Summing(Gradients, Arc<Mutex<Vec<f64>>>);

impl Aggregator for Summing {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        self.0 = std::mem::take(&mut self.0).add_scaled(&jacobian.weighted_sum(&[1.0, 1.0])?, 1.0)?;
        Ok(Combination::Direction(self.0.clone()))
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        self.1.lock().unwrap().extend([epoch.epochs as f64, epoch.training_losses[1], epoch.validation_losses[0]]);
        Ok(())
    }

    fn tensors(&self) -> StateTensors {
        self.0.iter().map(|(name, tensor)| (format!("sum.{name}"), tensor.clone())).collect()
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        let of = |(name, tensor): (&str, &Tensor)| Ok((name.strip_prefix("sum.").unwrap().parse()?, tensor.clone()));
        self.0 = tensors.iter().map(of).collect::<Result<_>>()?;
        Ok(())
    }
}

/// A method's tensors and its optimiser's share a checkpoint and do not meet.
#[test]
fn tensors_of_aggregator_and_optimiser_are_kept_apart() {
    let sgd = || UpdateSettings::new(Sgd { momentum: 0.5, ..Sgd::default() });
    let fresh = || GradientMethod::new(Combine::Gradients(Box::<Summing>::default()), 0.01, sgd()).unwrap();
    let (mut whole, mut parameters) = (fresh(), start());
    step(&mut whole, &mut parameters, 1.0);
    let state = whole.state();
    let names: Vec<&str> = state.tensors.iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"combine.sum.theta.0.x") && names.contains(&"velocity.theta.0.x"), "{names:?}");
    let mut resumed = (fresh(), parameters.clone());
    resumed.0.restore(state).unwrap();
    step(&mut whole, &mut parameters, 1.0);
    step(&mut resumed.0, &mut resumed.1, 1.0);
    assert_eq!(values(&parameters), values(&resumed.1));
    let mut other = method(Combine::Gradients(Box::new(Told(Combination::Weights(vec![1.0; 2]), Arc::default()))));
    let error = other.restore(whole.state()).unwrap_err().to_string();
    assert!(error.contains("sum.theta.0.x") && error.contains("another method"), "{error}");
}

#[test]
fn the_losses_of_an_epoch_reach_the_aggregator() {
    let seen = Arc::default();
    let mut method = method(Combine::Gradients(Box::new(Summing(Gradients::new(), Arc::clone(&seen)))));
    let summary = EpochSummary { epochs: 2, training_losses: &[1.0, 3.0], validation_losses: &[4.0, 5.0] };
    method.end_epoch(&summary).unwrap();
    assert_eq!(*seen.lock().unwrap(), [2.0, 3.0, 4.0]);
}

/// Every batch has another factor.
struct Counting(f64);

impl BatchSource for Counting {
    fn next(&mut self, task: usize) -> Result<Batch> {
        // The two tasks of a round have the same factor.
        self.0 += if task == 0 { 1.0 } else { 0.0 };
        Factor(self.0).next(task)
    }
}

/// Takes the gradients of its second part of the batches, for one task in each of two updates.
struct InTurns(usize);

impl DirectionSource for InTurns {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        assert_eq!(iteration, 0);
        let part = point.part(1, 2);
        let (loss, gradients) = part.loss_and_gradient_at(part.parameters(), self.0)?;
        self.0 += 1;
        Ok(Direction { gradients, losses: vec![loss], diagnostics: Diagnostics::NONE })
    }

    fn independent_batches(&self) -> usize {
        2
    }

    fn updates(&self, tasks: usize) -> usize {
        tasks
    }
}

#[test]
fn a_source_may_have_several_batches_and_several_updates_in_a_step() {
    let updates = UpdateSettings { accumulated_batches: 2, ..UpdateSettings::default() };
    let mut method = GradientMethod::new(Combine::Direction(Box::new(InTurns(0))), 0.01, updates).unwrap();
    assert_eq!(method.batches_next_step(), 4);
    let loss = || -> Loss { Box::new(|output, _| output.sum_all()) };
    let problem = Problem::new(Box::new(Line), vec![loss(), loss()]).unwrap();
    let mut parameters = start();
    let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut Counting(0.0), progress: 0.0 };
    let report = method.step(step).unwrap().values().unwrap();
    // The second part has the factors 3 and 4, whose mean is 3.5; the second update starts where the first one has led.
    let x = 3.0 - 0.01 * 3.5 * 6.0;
    let want = [x - 0.01 * 3.5 * 2.0 * (x - 1.0), 3.0 - 0.01 * 3.5 * 4.0, 3.0 - 0.01 * 3.5 * 4.0];
    assert!(values(&parameters).iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
    let losses: Vec<f64> = report.iter().map(|entry| entry.loss).collect();
    assert!((losses[0] - 3.5 * 13.0).abs() < 1e-12 && (losses[1] - 3.5 * ((x - 1.0).powi(2) + 4.0)).abs() < 1e-12);
}

#[test]
fn diagnostics_tell_lengths_and_cosines() {
    let gramian = vec![vec![4.0, -2.0, 0.0], vec![-2.0, 4.0, 0.0], vec![0.0, 0.0, 0.0]];
    let diagnostics = Diagnostics { gramian: Some(gramian), ..Diagnostics::NONE };
    assert_eq!(diagnostics.lengths(), Some(vec![2.0, 2.0, 0.0]));
    assert_eq!(diagnostics.cosines(), [(0, 1, -0.5)]);
    assert_eq!((Diagnostics::NONE.lengths(), Diagnostics::NONE.cosines()), (None, Vec::new()));
}
