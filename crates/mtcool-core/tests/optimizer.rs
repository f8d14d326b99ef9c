//! Optimisers against recorded updates of PyTorch, against their update rules written out by hand, and what they promise about
//! state, decay and the schedules.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use mtcool_core::{
    AdamW, DecayedParameters, Gradients, Kernels, Optimizer, OptimizerInputs, ParameterName, ParameterUpdate,
    Parameters, RateSchedule, Sgd, StateTensors, UpdateRule, UpdateSettings, UpdatedParameter,
};
use proptest::prelude::*;
use serde_json::Value;

fn named(values: &[f64]) -> Parameters {
    [(ParameterName::theta(0, "w"), Tensor::new(values, &Device::Cpu).unwrap())].into_iter().collect()
}

fn values(parameters: &Parameters) -> Vec<f64> {
    parameters.theta(0, "w").unwrap().to_vec1().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The tensors that a recording lists by name, in the shapes that it lists by the name of the parameter.
fn tensors(listed: &Value, shapes: &Value, dtype: DType) -> Parameters {
    let entries = listed.as_object().unwrap().iter().map(|(name, listed)| {
        let shape: Vec<usize> = numbers(&shapes[name]).into_iter().map(|side| side as usize).collect();
        let tensor = Tensor::from_vec(numbers(listed), shape, &Device::Cpu).unwrap();
        (name.parse::<ParameterName>().unwrap(), tensor.to_dtype(dtype).unwrap())
    });
    entries.collect()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// The recorded settings, as PyTorch calls them.
fn optimizer_of(case: &Value) -> Box<dyn Optimizer> {
    let settings = &case["settings"];
    let number = |key: &str, default: f64| settings.get(key).map_or(default, |value| value.as_f64().unwrap());
    let decayed = match case["decayed"].as_str().unwrap() {
        "all" => DecayedParameters::All,
        "weights" => DecayedParameters::Weights,
        other => panic!("decayed: {other}"),
    };
    match case["optimizer"].as_str().unwrap() {
        "sgd" => Box::new(Sgd {
            momentum: number("momentum", 0.0),
            nesterov: settings.get("nesterov").is_some_and(|value| value.as_bool().unwrap()),
            weight_decay: number("weight_decay", 0.0),
            decayed,
        }),
        "adamw" => {
            let usual = AdamW::default();
            Box::new(AdamW {
                beta1: number("beta1", usual.beta1),
                beta2: number("beta2", usual.beta2),
                eps: number("eps", usual.eps),
                weight_decay: number("weight_decay", usual.weight_decay),
                decayed,
            })
        }
        other => panic!("optimizer: {other}"),
    }
}

/// Every recorded step of every case: parameters, moments and counts.
fn check_recording(dtype: DType, tolerance: f64) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/optimizers.json");
    let elsewhere = std::env::var_os("MTCOOL_GOLDEN_DIR").map(|folder| PathBuf::from(folder).join("optimizers.json"));
    let path = elsewhere.filter(|path| path.exists()).unwrap_or(shipped);
    let recording: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let shapes = &recording["shapes"];
    let cases = recording["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for (number, case) in cases.iter().enumerate() {
        let optimizer = optimizer_of(case);
        optimizer.check().unwrap();
        let (mut parameters, mut state) = (tensors(&case["start"], shapes, dtype), StateTensors::new());
        for (at, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let gradients = tensors(&step["gradients"], shapes, dtype);
            let is_weight = |name: &ParameterName| !name.layer.ends_with("bias");
            let rate = step["rate"].as_f64().unwrap();
            let inputs =
                OptimizerInputs { is_weight: &is_weight, ..OptimizerInputs::new(&parameters, &gradients, rate) };
            let (moved, next) = optimizer.step(&inputs, state).unwrap();
            assert_eq!(moved.len(), gradients.len());
            parameters.update(moved);
            state = next;
            let close = |what: &str, got: &Tensor, want: &Value| {
                for (got, want) in flat(got).into_iter().zip(numbers(want)) {
                    let difference = (got - want).abs();
                    let allowed = tolerance * want.abs().max(1.0);
                    assert!(difference <= allowed, "case {number}, step {at}, {what}: {got} against {want}");
                }
            };
            let recorded = step["parameters"].as_object().unwrap();
            assert_eq!(recorded.len(), parameters.len());
            for (name, want) in recorded {
                close(name, parameters.get(&name.parse().unwrap()).unwrap(), want);
            }
            let recorded = step["state"].as_object().unwrap();
            assert_eq!(recorded.len(), state.len(), "case {number}, step {at}: {state:?}");
            for (name, want) in recorded {
                match want.as_i64() {
                    Some(count) => assert_eq!(state.get(name).unwrap().to_scalar::<i64>().unwrap(), count, "{name}"),
                    None => close(name, state.get(name).unwrap(), want),
                }
            }
            state.check_slots(optimizer.slots()).unwrap();
        }
    }
}

#[test]
fn optimisers_make_the_recorded_updates_of_pytorch() {
    check_recording(DType::F64, 1e-12);
    check_recording(DType::F32, 2e-5);
}

proptest! {
    #[test]
    fn sgd_is_its_update_rule(
        start in prop::collection::vec(-2.0f64..2.0, 3),
        gradients in prop::collection::vec(prop::collection::vec(-2.0f64..2.0, 3), 1..5),
        momentum in prop_oneof![Just(0.0), 0.1f64..0.99],
        weight_decay in prop_oneof![Just(0.0), 0.001f64..0.1],
        rate in 0.001f64..1.0,
    ) {
        let sgd = Sgd { momentum, weight_decay, ..Sgd::default() };
        let (mut parameters, mut state) = (named(&start), StateTensors::new());
        let (mut p, mut v) = (start.clone(), [0.0; 3]);
        for gradient in &gradients {
            let gradients = named(gradient);
            let (moved, next) = sgd.step(&OptimizerInputs::new(&parameters, &gradients, rate), state).unwrap();
            state = next;
            parameters.update(moved);
            for i in 0..3 {
                v[i] = momentum * v[i] + gradient[i] + weight_decay * p[i];
                p[i] -= rate * v[i];
            }
        }
        for (got, want) in values(&parameters).iter().zip(&p) {
            prop_assert!((got - want).abs() < 1e-12);
        }
    }
}

#[test]
fn a_parameter_without_a_gradient_keeps_value_and_state() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.1, ..Sgd::default() };
    for (optimizer, tensors) in [(&sgd as &dyn Optimizer, 1), (&AdamW::default(), 3)] {
        let other = |name| (name, Tensor::new(&[5.0], &Device::Cpu).unwrap());
        let mut parameters = named(&[1.0]);
        let (name, tensor) = other(ParameterName::phi(1, "w"));
        parameters.insert(name, tensor);
        let gradients = named(&[1.0]);
        let inputs = OptimizerInputs::new(&parameters, &gradients, 0.1);
        let (moved, state) = optimizer.step(&inputs, StateTensors::new()).unwrap();
        assert_eq!((moved.len(), state.len()), (1, tensors));
        let nothing = Gradients::new();
        let (moved, after) = optimizer.step(&OptimizerInputs { gradients: &nothing, ..inputs }, state.clone()).unwrap();
        assert!(moved.is_empty());
        for ((name, before), (_, after)) in state.iter().zip(after.iter()) {
            assert_eq!(flat(before), flat(after), "{name}");
        }
        let unknown: Gradients = [other(ParameterName::phi(2, "w"))].into_iter().collect();
        let inputs = OptimizerInputs { gradients: &unknown, ..inputs };
        let message = optimizer.step(&inputs, StateTensors::new()).unwrap_err().to_string();
        assert!(message.contains("`phi.2.w`"), "{message}");
    }
}

#[test]
fn a_state_belongs_to_one_kind_of_optimiser() {
    let (parameters, gradients) = (named(&[1.0]), named(&[0.5]));
    let inputs = OptimizerInputs::new(&parameters, &gradients, 0.1);
    let sgd = Sgd { momentum: 0.9, ..Sgd::default() };
    let (_, velocity) = sgd.step(&inputs, StateTensors::new()).unwrap();
    let (_, moments) = AdamW::default().step(&inputs, StateTensors::new()).unwrap();
    let message =
        |state: &StateTensors, optimizer: &dyn Optimizer| state.check_slots(optimizer.slots()).unwrap_err().to_string();
    assert!(message(&velocity, &AdamW::default()).contains("`velocity.theta.0.w`: the state of another optimiser"));
    assert!(message(&moments, &sgd).contains("tensors called `velocity.*`"));
    assert!(message(&velocity, &Sgd::default()).contains("no tensors"));
    let half: StateTensors = moments.iter().skip(1).map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    assert!(message(&half, &AdamW::default()).contains("without `first_moment.theta.0.w`"));
    let mut damaged = moments.clone();
    damaged.insert("step_count.theta.0.w", Tensor::new(&[1.0], &Device::Cpu).unwrap());
    let message = AdamW::default().step(&inputs, damaged).unwrap_err().to_string();
    assert!(message.contains("`step_count.theta.0.w`") && message.contains("a scalar of dtype i64"), "{message}");
}

/// Has a kernel for Adam and none for anything else.
struct AdamKernel;

impl Kernels for AdamKernel {
    fn update(&self, update: &ParameterUpdate<'_>) -> Option<TensorResult<UpdatedParameter>> {
        let UpdateRule::Adam(rule) = update.rule else { return None };
        let zeros = || update.parameter.zeros_like();
        Some(zeros().and_then(|parameter| {
            let memory = vec![(parameter.clone() + rule.step as f64)?, zeros()?];
            Ok(UpdatedParameter { parameter, memory })
        }))
    }

    fn clamp(&self, _: &Tensor, _: &Tensor, _: f64) -> TensorResult<Tensor> {
        candle_core::bail!("not asked for")
    }

    fn disagreement(&self, _: &[Tensor]) -> TensorResult<Tensor> {
        candle_core::bail!("not asked for")
    }
}

#[test]
fn kernels_serve_the_rules_that_they_know_and_leave_the_others() {
    let (parameters, gradients) = (named(&[1.0]), named(&[0.5]));
    let plain = OptimizerInputs::new(&parameters, &gradients, 0.1);
    let inputs = OptimizerInputs { kernels: Some(&AdamKernel), ..plain };
    let (moved, state) = AdamW::default().step(&inputs, StateTensors::new()).unwrap();
    let (moved_again, state) = AdamW::default().step(&inputs, state).unwrap();
    assert_eq!((values(&moved), values(&moved_again)), (vec![0.0], vec![0.0]));
    assert_eq!(flat(state.get("first_moment.theta.0.w").unwrap()), [2.0]);
    let (by_kernels, _) = Sgd::default().step(&inputs, StateTensors::new()).unwrap();
    let (by_operations, _) = Sgd::default().step(&plain, StateTensors::new()).unwrap();
    assert_eq!(values(&by_kernels), values(&by_operations));
}

#[test]
fn settings_out_of_range_are_named() {
    let of = |optimizer: &dyn Optimizer| optimizer.check().unwrap_err().to_string();
    assert!(of(&Sgd { momentum: 1.0, ..Sgd::default() }).contains("`momentum` is 1"));
    assert!(of(&Sgd { nesterov: true, ..Sgd::default() }).contains("`nesterov` is true"));
    assert!(of(&Sgd { weight_decay: -1.0, ..Sgd::default() }).contains("`weight_decay` is -1"));
    assert!(of(&AdamW { beta1: 1.0, ..AdamW::default() }).contains("`beta1` is 1"));
    assert!(of(&AdamW { beta2: f64::NAN, ..AdamW::default() }).contains("`beta2` is NaN"));
    assert!(of(&AdamW { eps: 0.0, ..AdamW::default() }).contains("`eps` is 0"));
    assert!(of(&AdamW { weight_decay: f64::INFINITY, ..AdamW::default() }).contains("`weight_decay` is inf"));
    let of = |settings: UpdateSettings| settings.check().unwrap_err().to_string();
    let usual = UpdateSettings::default;
    assert!(of(UpdateSettings { max_gradient_norm: Some(0.0), ..usual() }).contains("`max_gradient_norm` is 0"));
    assert!(of(UpdateSettings { accumulated_batches: 0, ..usual() }).contains("`accumulated_batches` is 0"));
    assert!(of(UpdateSettings::new(Sgd { momentum: -0.1, ..Sgd::default() })).contains("`momentum` is -0.1"));
    let rate = RateSchedule::Step { milestones: vec![0.5, 1.5], gamma: 0.1 };
    assert!(of(UpdateSettings { rate, ..usual() }).contains("`milestones` is 1.5"));
}

#[test]
fn schedules_start_at_the_base_rate_and_never_rise() {
    let step = RateSchedule::Step { milestones: vec![0.5, 0.75], gamma: 0.1 };
    for schedule in [RateSchedule::Constant, RateSchedule::Cosine, step.clone()] {
        assert_eq!(schedule.factor(0.0), 1.0);
        let factors: Vec<f64> = (0..=100).map(|n| schedule.factor(f64::from(n) / 100.0)).collect();
        assert!(factors.windows(2).all(|pair| pair[1] <= pair[0]));
    }
    assert!((RateSchedule::Cosine.factor(0.5) - 0.5).abs() < 1e-15);
    assert!(RateSchedule::Cosine.factor(1.0).abs() < 1e-15);
    assert_eq!([0.49, 0.5, 0.74, 0.75].map(|at| (step.factor(at) * 1e4).round()), [1e4, 1e3, 1e3, 1e2]);
}

#[test]
fn names_are_written_and_read_the_same_way() {
    for text in ["theta.0.conv1.weight", "phi.12.out.bias", "theta.3.enc0.norm1.weight"] {
        assert_eq!(text.parse::<ParameterName>().unwrap().to_string(), text);
    }
    for text in ["theta.conv1", "psi.0.w", "theta.x.w", "weight", ""] {
        let message = text.parse::<ParameterName>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{text}`")), "{message}");
    }
}
