//! SGD against its update rule written out by hand, the schedules, and parameter names.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{Device, Tensor};
use mtcool_core::{Gradients, ParameterName, Parameters, RateSchedule, Sgd, Velocity};
use proptest::prelude::*;

fn named(values: &[f64]) -> Parameters {
    [(ParameterName::theta(0, "w"), Tensor::new(values, &Device::Cpu).unwrap())].into_iter().collect()
}

fn values(parameters: &Parameters) -> Vec<f64> {
    parameters.theta(0, "w").unwrap().to_vec1().unwrap()
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
        let sgd = Sgd { momentum, weight_decay };
        let (mut parameters, mut velocity) = (named(&start), Velocity::new());
        let (mut p, mut v) = (start.clone(), [0.0; 3]);
        for gradient in &gradients {
            let (moved, next) = sgd.step(&parameters, &named(gradient), velocity, rate).unwrap();
            velocity = next;
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
fn a_parameter_without_a_gradient_keeps_value_and_velocity() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.1 };
    let other = |name| (name, Tensor::new(&[5.0], &Device::Cpu).unwrap());
    let mut parameters = named(&[1.0]);
    let (name, tensor) = other(ParameterName::phi(1, "w"));
    parameters.insert(name, tensor);
    let (moved, velocity) = sgd.step(&parameters, &named(&[1.0]), Velocity::new(), 0.1).unwrap();
    assert_eq!((moved.len(), velocity.len()), (1, 1));
    let (moved, after) = sgd.step(&parameters, &Gradients::new(), velocity.clone(), 0.1).unwrap();
    assert!(moved.is_empty());
    assert_eq!(values(&after), values(&velocity));
    let unknown: Gradients = [other(ParameterName::phi(2, "w"))].into_iter().collect();
    let message = sgd.step(&parameters, &unknown, Velocity::new(), 0.1).unwrap_err().to_string();
    assert!(message.contains("`phi.2.w`"), "{message}");
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
