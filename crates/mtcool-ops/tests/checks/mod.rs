//! What tests of an operation compare it with: expected numbers, and finite differences.

use candle_core::{Device, Result, Tensor, Var};

use crate::numbers::{flat, tensor};

/// Every element of `got` within `tolerance` of that of `want`, relative to it where it is above 1.
pub(crate) fn assert_close(got: &Tensor, want: &[f64], tolerance: f64) {
    let got = flat(got);
    assert_eq!(got.len(), want.len());
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "element {index}: {got} against {want}");
    }
}

/// Compares the analytic gradient of `sum(f(inputs) * direction)` with central differences, at every element of every input.
pub(crate) fn check_gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = f(&tracked).unwrap();
    let direction = tensor(output.dims(), 99);
    let gradients = (&output * &direction).unwrap().sum_all().unwrap().backward().unwrap();
    let value = |inputs: &[Tensor]| {
        let product = (f(inputs).unwrap() * &direction).unwrap();
        product.sum_all().unwrap().to_scalar::<f64>().unwrap()
    };
    let step = 1e-6;
    for (which, var) in vars.iter().enumerate() {
        let analytic = flat(gradients.get(var).unwrap());
        for index in 0..analytic.len() {
            let moved = |by: f64| {
                let mut elements = flat(&inputs[which]);
                elements[index] += by;
                let mut moved = inputs.to_vec();
                moved[which] = Tensor::from_vec(elements, inputs[which].dims(), &Device::Cpu).unwrap();
                value(&moved)
            };
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            assert!(
                (analytic[index] - numeric).abs() < 1e-6,
                "input {which}, element {index}: {} against {numeric}",
                analytic[index]
            );
        }
    }
}
