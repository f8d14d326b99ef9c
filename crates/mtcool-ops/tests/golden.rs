//! Every operation against recorded values and gradients (float64 automatic differentiation), in f64 and f32.
//!
//! `MTCOOL_GOLDEN_DIR` points the test at another folder with an `ops.safetensors` of the same form.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod device;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use mtcool_ops::{
    Activation, Conv2d, MaxPool2d, Norm, Precision, Statistics, conv_transpose2d, conv2d, max_pool2d, norm,
    upsample_bilinear2d,
};
use safetensors::SafeTensors;
use serde_json::Value;

fn check_all(dtype: DType, device: &Device) {
    // This file is also a part of the tests of another crate.
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../mtcool-ops/tests/golden")).to_owned();
    let path = std::env::var_os("MTCOOL_GOLDEN_DIR").map_or(shipped, PathBuf::from).join("ops.safetensors");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    let tensors: BTreeMap<_, _> = candle_core::safetensors::load_buffer(&bytes, device).unwrap().into_iter().collect();
    assert!(!cases.is_empty(), "no case in {}", path.display());
    for case in &cases {
        check(case, case["op"].as_str().unwrap(), &tensors, dtype);
    }
}

fn check(case: &Value, op: &str, tensors: &BTreeMap<String, Tensor>, dtype: DType) {
    let name = case["name"].as_str().unwrap();
    let setting = |key: &str| case[key].as_u64().unwrap() as usize;
    let tensor = |key: &str| tensors.get(&format!("{name}.{key}")).map(|t| t.to_dtype(dtype).unwrap());
    let inputs: Vec<(&str, Var)> = ["x", "w", "b"]
        .into_iter()
        .filter_map(|key| Some((key, Var::from_tensor(&tensor(&format!("in.{key}"))?).unwrap())))
        .collect();
    let input = |key: &str| inputs.iter().find(|(name, _)| *name == key).map(|(_, var)| var.as_tensor());
    let x = input("x").unwrap();
    let output = match op {
        "conv2d" => {
            let settings = Conv2d {
                stride: setting("stride"),
                padding: setting("padding"),
                dilation: setting("dilation"),
                ..Conv2d::default()
            };
            conv2d(x, input("w").unwrap(), input("b"), settings).unwrap()
        }
        "max_pool2d" => max_pool2d(x, MaxPool2d { kernel: setting("kernel"), stride: setting("stride") }).unwrap(),
        "conv_transpose2d" => {
            assert_eq!((setting("stride"), setting("padding")), (setting("kernel"), 0), "{name}: windows that overlap");
            conv_transpose2d(x, input("w").unwrap(), input("b").unwrap(), Precision::Full).unwrap()
        }
        "group_norm" | "batch_norm_train" => {
            let statistics = match op {
                "group_norm" => Statistics::Group { groups: setting("groups") },
                _ => Statistics::Batch,
            };
            let settings = Norm { statistics, eps: case["eps"].as_f64().unwrap(), activation: Activation::Identity };
            norm(x, input("w").unwrap(), input("b").unwrap(), settings).unwrap()
        }
        "upsample_bilinear" => {
            assert_eq!(case["align_corners"], false, "{name}: aligned corners");
            upsample_bilinear2d(x, setting("scale")).unwrap()
        }
        other => panic!("{name}: unknown operation `{other}`"),
    };
    close(&output, &tensor("out").unwrap(), name, "out", dtype);
    let gradients = (&output * tensor("grad_out").unwrap()).unwrap().sum_all().unwrap().backward().unwrap();
    for (key, var) in &inputs {
        close(
            gradients.get(var).unwrap(),
            &tensor(&format!("grad.{key}")).unwrap(),
            name,
            &format!("grad.{key}"),
            dtype,
        );
    }
}

/// Element-wise, relative to the largest element.
fn close(got: &Tensor, want: &Tensor, case: &str, what: &str, dtype: DType) {
    assert_eq!(got.dims(), want.dims(), "{case} {what}");
    let largest = |t: &Tensor| {
        let flat =
            t.to_device(&Device::Cpu).unwrap().abs().unwrap().flatten_all().unwrap().to_dtype(DType::F64).unwrap();
        flat.max(0).unwrap().to_scalar::<f64>().unwrap()
    };
    let tolerance = if dtype == DType::F64 { 1e-9 } else { 2e-5 } * largest(want).max(1.0);
    let difference = largest(&(got - want).unwrap());
    assert!(difference <= tolerance, "{case} {what}: off by {difference:e}, allowed {tolerance:e}");
}

#[test]
fn operations_in_float64() {
    check_all(DType::F64, &Device::Cpu);
}

#[test]
fn operations_in_float32() {
    check_all(DType::F32, &Device::Cpu);
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn operations_on_a_card() {
    let card = device::card();
    check_all(DType::F64, &card);
    check_all(DType::F32, &card);
}
