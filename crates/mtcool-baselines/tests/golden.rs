//! Every aggregator compared with recorded directions; see `golden/README.md`. All cases are run.
//!
//! `MTCOOL_GOLDEN_DIR` points the test at another folder with an `aggregators.json` of the same form.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mtcool_baselines::{
    AlignedMtl, AlignedScale, CaGrad, DualProj, GradDrop, ImtlG, Joint, Mgda, NashMtl, Normalization, PcGrad, Rescale,
    Scalarization, UpGrad,
};
use mtcool_core::{Aggregator, Gradients, Jacobian, LossWeighting, ParameterName};
use serde_json::Value;

/// One recorded case.
struct Case<'a> {
    value: &'a Value,
    rows: Vec<Gradients>,
    losses: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(value: &'a Value) -> Self {
        let rows: Vec<Vec<f64>> = serde_json::from_value(value["jacobian"].clone()).unwrap();
        let losses = match &value["params"]["losses"] {
            Value::Null => vec![1.0; rows.len()],
            losses => numbers(losses),
        };
        let row = |row: &Vec<f64>| {
            // Two parts, like the parameters of two layers.
            let half = row.len() / 2;
            let part = |layer: &str, values: &[f64]| {
                (ParameterName::theta(0, layer), Tensor::new(values, &Device::Cpu).unwrap())
            };
            [part("a", &row[..half]), part("b", &row[half..])].into_iter().collect()
        };
        Self { value, rows: rows.iter().map(row).collect(), losses }
    }

    fn parameter(&self, key: &str) -> &'a Value {
        &self.value["params"][key]
    }

    fn number(&self, key: &str) -> f64 {
        self.parameter(key).as_f64().unwrap_or_else(|| panic!("no number `{key}` in {}", self.value["params"]))
    }

    fn jacobian(&self) -> Jacobian<'_> {
        Jacobian::new(&self.rows, &self.losses)
    }

    /// The direction of an aggregator.
    fn aggregate(&self, mut aggregator: impl Aggregator) -> Vec<f64> {
        let jacobian = self.jacobian();
        flat(&aggregator.combine(&jacobian, 0).unwrap().direction(&jacobian).unwrap())
    }

    fn weighted(&self, weights: &[f64]) -> Vec<f64> {
        flat(&self.jacobian().weighted_sum(weights).unwrap())
    }

    fn weigh(&self, mut weighting: impl LossWeighting) -> Vec<f64> {
        self.weighted(&weighting.weights(&self.losses, 0).unwrap())
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn flat(gradients: &Gradients) -> Vec<f64> {
    gradients.iter().flat_map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
}

fn mgda(case: &Case<'_>) -> Mgda {
    Mgda::new(match case.parameter("normalization").as_str().unwrap() {
        "none" => Normalization::None,
        "l2" => Normalization::L2,
        "loss" => Normalization::Loss,
        "loss+" => Normalization::LossPlus,
        other => panic!("normalization `{other}`"),
    })
}

fn cagrad(case: &Case<'_>) -> CaGrad {
    let rescale = [Rescale::None, Rescale::Square, Rescale::Linear][case.number("rescale") as usize];
    CaGrad::new(case.number("c"), rescale).unwrap()
}

/// GradDrop with the recorded draws, for one parameter with all coordinates.
fn graddrop(case: &Case<'_>) -> Vec<f64> {
    let leaks = match case.parameter("leak") {
        Value::Null => vec![0.0; case.rows.len()],
        leaks => numbers(leaks),
    };
    let rows = case.rows.iter().map(|row| Tensor::new(flat(row), &Device::Cpu).unwrap());
    let u = Tensor::new(numbers(case.parameter("uniform_draws")), &Device::Cpu).unwrap();
    GradDrop::drop(&rows.zip(leaks).collect::<Vec<_>>(), &u).unwrap().to_vec1().unwrap()
}

fn graddrop_features(case: &Case<'_>) -> Vec<f64> {
    assert_eq!(case.number("eps"), 1e-7);
    let (batch, features) = (case.number("batch") as usize, case.number("features") as usize);
    let gradients = case.rows.iter().flat_map(flat).collect::<Vec<f64>>();
    let gradients = Tensor::from_vec(gradients, (case.rows.len(), batch, features), &Device::Cpu).unwrap();
    let activations =
        Tensor::from_vec(numbers(case.parameter("activations")), (batch, features), &Device::Cpu).unwrap();
    let u = Tensor::new(numbers(case.parameter("uniform_draws")), &Device::Cpu).unwrap();
    let masked = GradDrop::drop_features(&gradients, &activations, &u, case.number("leak")).unwrap();
    assert_eq!(masked.dtype(), DType::F64);
    masked.flatten_all().unwrap().to_vec1().unwrap()
}

/// `None` for a method that this crate does not have.
fn ours(aggregator: &str, case: &Case<'_>) -> Option<Vec<f64>> {
    Some(match aggregator {
        "Sum" => case.weigh(Joint),
        "Mean" => {
            let tasks = case.rows.len();
            case.weigh(Scalarization::new(vec![1.0 / tasks as f64; tasks]).unwrap())
        }
        "MGDA" => case.aggregate(mgda(case)),
        "MGDA_SenerKoltun" => {
            let [high, low] = numbers(case.parameter("corner_gamma"))[..] else { panic!("two corners") };
            assert!((high + low - 1.0).abs() < 1e-12);
            case.aggregate(mgda(case).with_corner(low).unwrap())
        }
        "PCGrad" => {
            let orders: Vec<Vec<usize>> = serde_json::from_value(case.parameter("order").clone()).unwrap();
            case.weighted(&PcGrad::weights(case.jacobian().gramian().unwrap(), &orders))
        }
        "GradDrop" => graddrop(case),
        "GradDrop_activation" => graddrop_features(case),
        "CAGrad" => case.aggregate(cagrad(case)),
        "IMTLG" => case.aggregate(ImtlG),
        "NashMTL" => {
            assert_eq!(case.parameter("state"), "fresh");
            let every = case.number("update_weights_every") as u64;
            case.aggregate(NashMtl::new(case.number("max_norm"), every).unwrap())
        }
        "AlignedMTL" => {
            assert_eq!(case.parameter("pref_vector"), "mean");
            case.aggregate(AlignedMtl::new(match case.parameter("scale_mode").as_str().unwrap() {
                "min" => AlignedScale::Min,
                "median" => AlignedScale::Median,
                "rmse" => AlignedScale::Rmse,
                other => panic!("scale_mode `{other}`"),
            }))
        }
        "UPGrad" | "DualProj" => {
            assert_eq!(case.parameter("pref_vector"), "mean");
            let (norm_eps, reg_eps) = (case.number("norm_eps"), case.number("reg_eps"));
            match aggregator {
                "UPGrad" => case.aggregate(UpGrad::new(norm_eps, reg_eps).unwrap()),
                _ => case.aggregate(DualProj::new(norm_eps, reg_eps).unwrap()),
            }
        }
        _ => return None,
    })
}

/// Number of cases, and the largest deviation in units of `atol`.
#[derive(Default)]
struct Count {
    core: usize,
    stress: usize,
    stress_beyond_atol: usize,
    worst: f64,
}

#[test]
fn every_case_is_met() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = std::env::var_os("MTCOOL_GOLDEN_DIR").map_or(shipped, PathBuf::from).join("aggregators.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut problems = Vec::new();
    for value in cases {
        let (id, aggregator) = (value["id"].as_str().unwrap(), value["aggregator"].as_str().unwrap());
        let case = Case::new(value);
        let Some(got) = ours(aggregator, &case) else {
            problems.push(format!("{id}: no method `{aggregator}`"));
            continue;
        };
        let wanted = numbers(&value["output"]);
        assert_eq!(got.len(), wanted.len(), "{id}");
        // A NaN counts as an infinite deviation.
        let off = |(got, wanted): (&f64, &f64)| if got.is_finite() { (got - wanted).abs() } else { f64::INFINITY };
        let deviation = got.iter().zip(&wanted).map(off).fold(0.0, f64::max);
        let (atol, loose) = (value["atol"].as_f64().unwrap(), value["loose_atol"].as_f64().unwrap());
        let count = counts.entry(aggregator).or_default();
        let is_core = value["tier"] == "core";
        if is_core {
            count.core += 1;
            count.worst = count.worst.max(deviation / atol);
        } else {
            count.stress += 1;
            count.stress_beyond_atol += usize::from(deviation > atol);
        }
        if deviation > if is_core { atol } else { loose.max(atol) } {
            let (tier, category) = (&value["tier"], &value["category"]);
            problems.push(format!("{id} {aggregator} {tier} {category}: off by {deviation:e}, atol {atol:e}"));
        }
    }
    for (aggregator, count) in &counts {
        let Count { core, stress, stress_beyond_atol, worst } = count;
        println!(
            "{aggregator}: {core} core cases, worst {worst:.1e} atol; {stress} stress cases, {stress_beyond_atol} beyond atol"
        );
    }
    assert_eq!(counts.values().map(|count| count.core + count.stress).sum::<usize>(), cases.len(), "cases left out");
    assert!(!cases.is_empty(), "no case in {}", path.display());
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), cases.len(), problems.join("\n"));
}
