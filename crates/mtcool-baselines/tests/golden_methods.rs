//! The methods of `golden/methods.json` compared with recorded values: single steps, sequences of steps with the state after each, and
//! losses; see `golden/README.md`. All cases are run, and each sequence once more with a restored method in every step.
//!
//! `MTCOOL_GOLDEN_DIR` points the test at another folder with a `methods.json` of the same form.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{combined, dot, flat, gradients, length, reversed};
use mtcool_baselines::{
    ConFig, Cosmos, CrMogm, DbMtl, ExcessForm, ExcessMtl, FairGrad, GeometricMean, Go4Align, GradVac, Igb, ImtlL, Krum,
    KrumDistance, Mgda, MoCo, MoCoSettings, MoDo, Normalization, Pbi, Pcd, ScaleInvariant, SdmGrad, SdmGradSettings,
    Smoothing, Stch, StchLog, TrimmedMean, UpGrad,
};
use mtcool_core::{Aggregator, DirectionSource, Jacobian, LossWeighting, StateTensors};
use serde_json::Value;

/// `(number of cases, problems)` by method.
type Report = BTreeMap<String, (usize, Vec<String>)>;

fn file() -> Value {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = std::env::var_os("MTCOOL_GOLDEN_DIR").map_or(shipped, PathBuf::from).join("methods.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

/// The numbers of a list; none for `null`.
fn numbers(value: &Value) -> Vec<f64> {
    if value.is_null() { Vec::new() } else { serde_json::from_value(value.clone()).unwrap() }
}

fn matrix(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A list of lists, a list, or a number, as lists.
fn lists(value: &Value) -> Vec<Vec<f64>> {
    match value {
        Value::Array(entries) if entries.iter().all(Value::is_array) => matrix(value),
        Value::Array(_) => vec![numbers(value)],
        _ => vec![vec![value.as_f64().unwrap()]],
    }
}

/// The largest deviation; infinite for a NaN.
fn deviation(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let off = |(got, want): (&f64, &f64)| if got.is_finite() { (got - want).abs() } else { f64::INFINITY };
    got.iter().zip(want).map(off).fold(0.0, f64::max)
}

/// Compares by the largest entry of each list; a list of zeros has to be zeros.
fn compare(what: &str, got: &[Vec<f64>], want: &Value, rtol: f64, problems: &mut Vec<String>) {
    let want = lists(want);
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(&want) {
        let size = want.iter().fold(0.0f64, |size, x| size.max(x.abs()));
        let off = deviation(got, want);
        if off > rtol * size {
            problems.push(format!("{what}: {got:?}, expected {want:?}, off by {off:e}"));
        }
    }
}

fn finish(report: &Report, count: usize) {
    for (method, (cases, problems)) in report {
        println!("{method}: {cases} cases, {} problems", problems.len());
    }
    assert!(count > 0 && report.values().map(|(cases, _)| cases).sum::<usize>() == count, "cases left out");
    let problems: Vec<&str> = report.values().flat_map(|(_, problems)| problems).map(String::as_str).collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// An aggregator with the settings of a case.
fn aggregator(method: &str, params: &Value) -> Option<Box<dyn Aggregator>> {
    let mgda = || Box::new(Mgda::new(Normalization::None));
    let steps = |key| params[key].as_u64().unwrap();
    let count = |key| usize::try_from(steps(key)).unwrap();
    let boxed: Box<dyn Aggregator> = match method {
        "FairGrad" => Box::new(FairGrad::new(number(params, "alpha")).unwrap()),
        "ConFIG" => Box::new(ConFig::new(numbers(&params["pref_vector"])).unwrap()),
        "Krum" => {
            let distance = match text(params, "distance") {
                "euclidean" => KrumDistance::Euclidean,
                "squared" => KrumDistance::Squared,
                other => panic!("distance `{other}`"),
            };
            Box::new(Krum::new(count("n_byzantine"), count("n_selected"), distance).unwrap())
        }
        "TrimmedMean" => Box::new(TrimmedMean::new(count("trim_number"))),
        "PCD" => {
            assert_eq!(number(params, "eps"), 1e-8);
            Box::new(Pcd::new(lists(&params["tau"]).concat(), number(params, "beta")).unwrap())
        }
        "ExcessMTL" => {
            let form = match text(params, "variant") {
                "simplex" => ExcessForm::Simplex,
                "official" => ExcessForm::Official,
                other => panic!("variant `{other}`"),
            };
            Box::new(ExcessMtl::new(form, number(params, "robust_step_size"), steps("warmup_steps")).unwrap())
        }
        "DB-MTL" => Box::new(DbMtl::new(number(params, "beta"), number(params, "beta_sigma")).unwrap()),
        "MoCo" => {
            let [beta, beta_sigma, gamma, gamma_sigma, rho] =
                ["beta", "beta_sigma", "gamma", "gamma_sigma", "rho"].map(|key| number(params, key));
            Box::new(MoCo::new(MoCoSettings { beta, beta_sigma, gamma, gamma_sigma, rho }).unwrap())
        }
        "CR-MOGM" => {
            let inside: Box<dyn Aggregator> = match text(params, "base") {
                "MGDA" => mgda(),
                "UPGrad" => Box::new(UpGrad::new(1e-4, 1e-4).unwrap()),
                "FairGrad" => Box::new(FairGrad::new(1.0).unwrap()),
                other => panic!("base `{other}`"),
            };
            let smoothing = params["alpha"].as_f64().map_or(Smoothing::Growing, Smoothing::Constant);
            Box::new(CrMogm::new(inside, smoothing, numbers(&params["initial"])).unwrap())
        }
        _ => return None,
    };
    Some(boxed)
}

#[test]
fn every_single_step_is_met() {
    let file = file();
    let cases = file["cases"].as_array().unwrap();
    let mut report = Report::new();
    for case in cases {
        let method = text(case, "aggregator");
        let (count, problems) = report.entry(method.to_owned()).or_default();
        *count += 1;
        let mut ours = aggregator(method, &case["params"]).unwrap_or_else(|| panic!("no method `{method}`"));
        let rows = gradients(&matrix(&case["jacobian"]));
        let losses = vec![1.0; rows.len()];
        let jacobian = Jacobian::new(&rows, &losses);
        let got = flat(&ours.combine(&jacobian, 0).unwrap().direction(&jacobian).unwrap());
        let off = deviation(&got, &numbers(&case["output"]));
        let allowed = if case["tier"] == "core" { "atol" } else { "loose_atol" };
        if off > number(case, allowed) {
            problems.push(format!("{} {method} {}: off by {off:e}", case["id"], case["category"]));
        }
        if off > number(case, "atol") {
            println!("{} {method} {}: {:.1} atol", case["id"], case["category"], off / number(case, "atol"));
        }
    }
    finish(&report, cases.len());
}

/// What a step gives: what is compared with the file, and the bits that a restored method has to give as well.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    output: Option<Vec<f64>>,
    weights: Option<Vec<f64>>,
    total: Option<f64>,
    /// By the file's names.
    state: Vec<(&'static str, Vec<Vec<f64>>)>,
}

/// The numbers of a state called `name.0`, `name.1`, ...
fn called(state: &[(String, f64)], name: &str) -> Vec<f64> {
    let of_list = |(key, value): &(String, f64)| (key.rsplit_once('.')?.0 == name).then_some(*value);
    state.iter().filter_map(of_list).collect()
}

/// The tensors `slot.task.*` of a state, one row per task.
fn rows_called(tensors: &StateTensors, slot: &str, tasks: usize) -> Vec<Vec<f64>> {
    let row = |task: usize| {
        let mut parts: Vec<_> =
            tensors.iter().filter(|(name, _)| name.starts_with(&format!("{slot}.{task}."))).collect();
        parts.sort_by_key(|(name, _)| *name);
        parts.iter().flat_map(|(_, tensor)| tensor.to_vec1::<f64>().unwrap()).collect()
    };
    (0..tasks).map(row).collect()
}

/// A method that is going through a sequence.
enum Running {
    Aggregator(Box<dyn Aggregator>),
    GradVac(GradVac),
    SdmGrad(SdmGrad),
    MoDo(MoDo),
    Losses(Box<dyn LossWeighting>),
}

impl Running {
    fn new(method: &str, params: &Value) -> Self {
        match method {
            "GradVac" => {
                assert_eq!(number(params, "eps"), 1e-8);
                Self::GradVac(GradVac::new(0, number(params, "beta")).unwrap())
            }
            "SDMGrad" => {
                let settings = SdmGradSettings {
                    rate: number(params, "lr"),
                    momentum: number(params, "momentum"),
                    iterations: params["iterations"].as_u64().unwrap() as usize,
                    lambda: number(params, "lambda"),
                    preference: numbers(&params["pref"]),
                };
                Self::SdmGrad(SdmGrad::new(settings).unwrap())
            }
            "MoDo" => Self::MoDo(MoDo::new(number(params, "gamma"), number(params, "rho")).unwrap()),
            "IMTL-L" => Self::Losses(Box::new(ImtlL::new(number(params, "lr")).unwrap())),
            "GO4Align" => {
                let groups = params["groups"].as_u64().unwrap() as usize;
                Self::Losses(Box::new(Go4Align::new(groups, number(params, "robust_step_size")).unwrap()))
            }
            _ => Self::Aggregator(aggregator(method, params).unwrap_or_else(|| panic!("no method `{method}`"))),
        }
    }

    /// A fresh method that goes on from this one's state, as it comes out of a checkpoint.
    fn restored(&self, method: &str, params: &Value) -> Self {
        let through_json = |state: Vec<(String, f64)>| {
            serde_json::from_str::<Vec<(String, f64)>>(&serde_json::to_string(&state).unwrap()).unwrap()
        };
        let mut fresh = Self::new(method, params);
        match (self, &mut fresh) {
            (Self::Aggregator(old), Self::Aggregator(new)) => {
                new.restore(through_json(old.state())).unwrap();
                new.restore_tensors(reversed(&old.tensors())).unwrap();
            }
            (Self::GradVac(old), Self::GradVac(new)) => new.restore(through_json(old.state())).unwrap(),
            (Self::SdmGrad(old), Self::SdmGrad(new)) => new.restore(through_json(old.state())).unwrap(),
            (Self::MoDo(old), Self::MoDo(new)) => new.restore(through_json(old.state())).unwrap(),
            (Self::Losses(old), Self::Losses(new)) => new.restore(through_json(old.state())).unwrap(),
            _ => panic!("another kind"),
        }
        fresh
    }

    fn step(&mut self, method: &str, params: &Value, step: &Value, iteration: u64) -> Outcome {
        let rows = step.get("jacobian").map(matrix).unwrap_or_default();
        let products = |step: &Value| -> Vec<Vec<f64>> {
            let other = matrix(&step["jacobian_2"]);
            rows.iter().map(|a| other.iter().map(|b| dot(a, b)).collect()).collect()
        };
        match self {
            Self::Losses(weighting) => {
                let (losses, before) = (numbers(&step["losses"]), weighting.state());
                let weights = weighting.weights(&losses, iteration).unwrap();
                let state = weighting.state();
                let (total, state) = if method == "IMTL-L" {
                    let s = if before.is_empty() { vec![0.0; losses.len()] } else { called(&before, "s") };
                    let slope = |(w, loss): (&f64, &f64)| w * loss - 1.0;
                    let slopes = weights.iter().zip(&losses).map(slope).collect();
                    let state = vec![("s", vec![called(&state, "s")]), ("s_grad", vec![slopes])];
                    (ImtlL::evaluate(&losses, &s).0, state)
                } else {
                    (dot(&weights, &losses), vec![("probabilities", vec![called(&state, "q")])])
                };
                Outcome { weights: Some(weights), total: Some(total), state, output: None }
            }
            Self::SdmGrad(source) => {
                let weights = Some(source.weights(&products(step)).unwrap());
                Outcome { weights, state: vec![("w", vec![called(&source.state(), "w")])], ..Outcome::default() }
            }
            Self::MoDo(source) => {
                let weights = Some(source.weights(&products(step)).unwrap());
                let state = vec![("lambda", vec![called(&source.state(), "lambda")])];
                Outcome { weights, state, ..Outcome::default() }
            }
            Self::GradVac(gradvac) => {
                let orders: Vec<Vec<usize>> = serde_json::from_value(params["order"].clone()).unwrap();
                let gramian: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
                let weights = gradvac.weights(&gramian, &orders).unwrap();
                let phi = called(&gradvac.state(), "phi").chunks(rows.len()).map(<[f64]>::to_vec).collect();
                let output = Some(combined(&rows, &weights));
                Outcome { output, weights: Some(weights), state: vec![("phi", phi)], total: None }
            }
            Self::Aggregator(aggregator) => {
                let losses = step.get("losses").map_or_else(|| vec![1.0; rows.len()], numbers);
                let as_gradients = gradients(&rows);
                let jacobian = Jacobian::new(&as_gradients, &losses);
                let combination = aggregator.combine(&jacobian, iteration).unwrap();
                let output = Some(flat(&combination.direction(&jacobian).unwrap()));
                let (state, tensors) = (aggregator.state(), aggregator.tensors());
                let list = |name: &str| vec![called(&state, name)];
                let kept = |slot: &str| rows_called(&tensors, slot, rows.len());
                let mut weights = combination.weights().map(<[f64]>::to_vec);
                let state = match method {
                    "PCD" => vec![("sq_norm_ema", list("sq_norm_ema")), ("steps", list("steps"))],
                    "ExcessMTL" => vec![
                        ("weights", list("weight")),
                        ("sq_grad_sum", kept("sq_grad_sum")),
                        ("excess_initial", list("excess_initial")),
                    ],
                    "DB-MTL" => {
                        let lengths: Vec<f64> = kept("grad_ema").iter().map(|row| length(row)).collect();
                        let longest = lengths.iter().copied().fold(0.0, f64::max);
                        weights = Some(lengths.iter().map(|length| longest / (length + 1e-8)).collect());
                        vec![("grad_ema", kept("grad_ema")), ("steps", list("steps"))]
                    }
                    "MoCo" => {
                        weights = Some(called(&state, "lambda"));
                        vec![("y", kept("y")), ("lambda", list("lambda")), ("steps", list("steps"))]
                    }
                    "CR-MOGM" => vec![("lambda", list("lambda"))],
                    other => panic!("no state of `{other}`"),
                };
                Outcome { output, weights, state, total: None }
            }
        }
    }
}

/// The settings of one step. Where a sequence has no `alpha` of its own, the weights of a step were computed with that step's `alpha`,
/// which is the schedule `1 - 1 / sqrt(t)` in six decimals.
fn of_step(params: &Value, step: &Value) -> Option<Value> {
    let mut own = params.clone();
    let alpha = own.get_mut("alpha").filter(|alpha| alpha.is_null())?;
    *alpha = Value::from(number(step, "alpha"));
    Some(own)
}

/// What six decimals of `alpha` leave open: half a unit of the last one, times the way from the old weights to the new ones.
const SCHEDULE_RTOL: f64 = 1e-6;

/// What the file records of a step and a method does not keep: it follows from the rest.
const DERIVED: [&str; 2] = ["excess", "indicators"];

#[test]
fn every_sequence_is_met_step_by_step_and_with_restored_methods() {
    let file = file();
    let sequences = file["sequences"].as_array().unwrap();
    let mut report = Report::new();
    for case in sequences {
        let (id, method, params) = (text(case, "id"), text(case, "aggregator"), &case["params"]);
        let rtol = number(case, "rtol");
        let (count, problems) = report.entry(method.to_owned()).or_default();
        *count += 1;
        let (mut ours, mut resumed) = (Running::new(method, params), Running::new(method, params));
        for (iteration, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let at = format!("{id} {method} {} step {iteration}", case["category"]);
            let own = of_step(params, step);
            if let Some(own) = &own {
                let scheduled = ours.restored(method, params).step(method, params, step, iteration as u64);
                let what = format!("{at} weights by the schedule");
                compare(&what, &[scheduled.weights.unwrap()], &step["weights"], SCHEDULE_RTOL, problems);
                ours = ours.restored(method, own);
            }
            let params = own.as_ref().unwrap_or(params);
            let got = ours.step(method, params, step, iteration as u64);
            resumed = resumed.restored(method, params);
            let again = resumed.step(method, params, step, iteration as u64);
            if got != again {
                problems.push(format!("{at}: {got:?}, and {again:?} after restoring"));
            }
            if let (Some(output), Some(want)) = (&got.output, step.get("output")) {
                let off = deviation(output, &numbers(want));
                if off > number(step, "atol") {
                    problems.push(format!("{at}: output off by {:.1} atol", off / number(step, "atol")));
                }
            }
            assert_eq!(got.output.is_some(), step.get("output").is_some(), "{at}");
            if !step["weights"].is_null() {
                let weights = got.weights.unwrap_or_else(|| panic!("{at}: no weights"));
                compare(&format!("{at} weights"), &[weights], &step["weights"], rtol, problems);
            }
            if let Some(total) = got.total {
                compare(&format!("{at} total"), &[vec![total]], &step["total"], rtol, problems);
            }
            for (key, want) in step["state"].as_object().unwrap() {
                match got.state.iter().find(|(name, _)| name == key) {
                    Some((_, list)) if want.is_null() => assert!(list.concat().is_empty(), "{at} {key}"),
                    Some((_, list)) => compare(&format!("{at} {key}"), list, want, rtol, problems),
                    None => assert!(DERIVED.contains(&key.as_str()), "{at}: `{key}` is not compared"),
                }
            }
        }
    }
    finish(&report, sequences.len());
}

/// The objective and its derivatives.
fn evaluate(method: &str, params: &Value, losses: &[f64]) -> (f64, Vec<f64>) {
    let list = |key: &str| numbers(&params[key]);
    match method {
        "STCH" => Stch::new(number(params, "mu"), list("weights"), list("reference")).unwrap().evaluate(losses),
        "STCH-log" => StchLog::new(number(params, "mu"), 1).unwrap().with_nadir(list("nadir")).evaluate(losses),
        "GLS" => GeometricMean::evaluate(losses),
        "IMTL-L" => Ok(ImtlL::evaluate(losses, &list("s"))),
        "SI" => ScaleInvariant::evaluate(losses),
        "IGBv1" => Igb::new(1).unwrap().with_base(list("base")).evaluate(losses),
        "COSMOS" => Cosmos::new(number(params, "lambda"), list("weights")).unwrap().evaluate(losses),
        "PBI" => Pbi::new(number(params, "theta"), list("weights"), list("reference")).unwrap().evaluate(losses),
        other => panic!("no method `{other}`"),
    }
    .unwrap()
}

#[test]
fn every_objective_of_losses_is_met() {
    let file = file();
    let cases = file["losses"].as_array().unwrap();
    let mut report = Report::new();
    for case in cases {
        let method = text(case, "aggregator");
        let (count, problems) = report.entry(method.to_owned()).or_default();
        *count += 1;
        let (total, weights) = evaluate(method, &case["params"], &numbers(&case["losses"]));
        let off = [
            deviation(&weights, &numbers(&case["weights"])) / number(case, "atol"),
            deviation(&[total], &[number(case, "total")]) / number(case, "total_atol"),
        ];
        if off.iter().any(|off| *off > 1.0) {
            problems.push(format!("{} {method} {}: {off:?} times what is allowed", case["id"], case["category"]));
        }
    }
    finish(&report, cases.len());
}
