//! What a card adds to training steps, against candle's operations and the host's noise. Tests need a build with the feature
//! `cuda`, and a card; without one they say that they are skipped.

#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../mtcool-ops/tests/device/mod.rs"]
mod device;

use candle_core::{DType, Device, Shape, Tensor};
use device::card;
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    AdamW, Kernels, NoiseDraw, NoiseSource, Optimizer, OptimizerInputs, ParameterName, Parameters, Sgd, StateTensors,
    UniformNoise,
};
use mtcool_models::{CardKernels, PlacedNoise};

fn values(tensor: &Tensor) -> Vec<f64> {
    let on_host = tensor.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
    on_host.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn a_card_draws_the_hosts_noise_to_the_bit() {
    let card = card();
    let bits = |tensor: &Tensor| values(tensor).into_iter().map(f64::to_bits).collect::<Vec<u64>>();
    let name = ParameterName::theta(0, "conv1.weight");
    for (count, bound, seed) in [(1, 0.05, 0), (17, 0.01, 1), (1000, 0.3, 2)] {
        let mut noise = PlacedNoise(UniformNoise::new(seed, bound).unwrap());
        for dtype in [DType::F32, DType::F64] {
            for draw in [
                NoiseDraw::Warmup { iteration: 5, sample: 1 },
                NoiseDraw::Cooperative { iteration: 3, task: 1, inner: 0, sample: 2 },
            ] {
                let mut on =
                    |device: &Device| noise.noise(draw, &name, &Tensor::zeros(count, dtype, device).unwrap()).unwrap();
                let (drawn, want) = (on(&card), on(&Device::Cpu));
                assert!(drawn.device().is_cuda());
                assert_eq!(bits(&drawn), bits(&want), "{count} numbers in {dtype:?}");
            }
        }
    }
}

fn close(a: &Tensor, b: &Tensor, what: &str) {
    for (a, b) in values(a).into_iter().zip(values(b)) {
        assert!((a - b).abs() < 1e-6, "{what}: {a} and {b}");
    }
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn a_cards_updates_are_those_of_candles_operations() {
    let card = card();
    let draw = |name: &str, dtype| {
        let mut generator = stream(1, Purpose::Method, [0; 4], name);
        uniform(&mut generator, 1.0, &Shape::from((7, 90)), dtype, &card).unwrap()
    };
    let named = |tensor: &Tensor| -> Parameters {
        [(ParameterName::theta(0, "a.weight"), tensor.clone())].into_iter().collect()
    };
    let mut optimizers: Vec<Box<dyn Optimizer>> =
        vec![Box::new(AdamW::default()), Box::new(AdamW { eps: 1e-3, weight_decay: 0.0, ..AdamW::default() })];
    for (momentum, nesterov, weight_decay) in
        [(0.0, false, 0.0), (0.9, false, 0.0), (0.9, false, 0.1), (0.0, false, 0.1), (0.9, true, 0.0), (0.9, true, 0.1)]
    {
        optimizers.push(Box::new(Sgd { momentum, nesterov, weight_decay, ..Sgd::default() }));
    }
    for dtype in [DType::F32, DType::F64] {
        let [parameter, gradient] = ["parameter", "gradient"].map(|name| draw(name, dtype));
        let gradients = named(&gradient);
        for optimizer in &optimizers {
            let (mut plain, mut own) =
                ((named(&parameter), StateTensors::new()), (named(&parameter), StateTensors::new()));
            for _ in 0..3 {
                plain = optimizer.step(&OptimizerInputs::new(&plain.0, &gradients, 0.1), plain.1).unwrap();
                let inputs =
                    OptimizerInputs { kernels: Some(&CardKernels), ..OptimizerInputs::new(&own.0, &gradients, 0.1) };
                own = optimizer.step(&inputs, own.1).unwrap();
                assert_eq!(own.1.len(), plain.1.len());
                for ((name, own), (_, plain)) in own.0.iter().zip(plain.0.iter()) {
                    close(own, plain, &format!("{name}, {optimizer:?}"));
                }
                for ((name, own), (_, plain)) in own.1.iter().zip(plain.1.iter()) {
                    close(own, plain, &format!("{name}, {optimizer:?}"));
                }
            }
        }
        let want = parameter.maximum(&(&gradient - 0.3).unwrap()).unwrap();
        let want = want.minimum(&(&gradient + 0.3).unwrap()).unwrap();
        close(&CardKernels.clamp(&parameter, &gradient, 0.3).unwrap(), &want, "clamp");
    }
}
