//! Every method by name, and gradients made from plain numbers.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod quadratics;

use candle_core::{Device, Tensor};
use mtcool_baselines::{
    AlignedMtl, AlignedScale, CaGrad, ConFig, Cosmos, CrMogm, DbMtl, DualProj, Dwa, ExcessForm, ExcessMtl, FairGrad,
    Famo, Fmtl, GeometricMean, Go4Align, GradDrop, GradNorm, GradVac, GroupBy, Grouped, Igb, Imtl, ImtlG, ImtlL, Joint,
    LdcMtl, Mgda, MoCo, MoCoSettings, MoDo, MomentumConFig, NashMtl, Normalization, Pbi, PcGrad, Pcd, Perturbed, Pivrg,
    RandomWeighting, Rescale, Sam, Samo, SamoSettings, Scalarization, ScaleInvariant, SdmGrad, SdmGradSettings,
    Smoothing, Stch, StchLog, TrimmedMean, Uncertainty, UpGrad, Wrapped,
};
use mtcool_core::{Aggregator, Combination, Combine, Gradients, Jacobian, LossWeighting, ParameterName, StateTensors};

/// A name, and a function that makes a new instance.
pub type Entry<T> = (&'static str, fn() -> Box<T>);

/// The aggregators that do not change the weights of the losses.
pub const AGGREGATORS: [Entry<dyn Aggregator>; 13] = [
    ("mgda", || Box::new(Mgda::new(Normalization::None))),
    ("mgda l2", || Box::new(Mgda::new(Normalization::L2))),
    ("mgda loss", || Box::new(Mgda::new(Normalization::Loss))),
    ("mgda loss+", || Box::new(Mgda::new(Normalization::LossPlus))),
    ("pcgrad", || Box::new(PcGrad::new(3))),
    ("graddrop", || Box::new(GradDrop::new(3, Vec::new()).unwrap())),
    ("cagrad", || Box::new(CaGrad::new(0.4, Rescale::Square).unwrap())),
    ("imtl_g", || Box::new(ImtlG)),
    ("nash_mtl", || Box::new(NashMtl::new(1.0, 1).unwrap())),
    ("nash_mtl every 3", || Box::new(NashMtl::new(1.0, 3).unwrap())),
    ("aligned_mtl", || Box::new(AlignedMtl::new(AlignedScale::Min))),
    ("upgrad", || Box::new(UpGrad::new(0.0, 0.0).unwrap())),
    ("dualproj", || Box::new(DualProj::new(0.0, 0.0).unwrap())),
];

pub const WEIGHTINGS: [Entry<dyn LossWeighting>; 6] = [
    ("joint", || Box::new(Joint)),
    ("scalarization", || Box::new(Scalarization::new(vec![0.2, 0.8]).unwrap())),
    ("uncertainty", || Box::new(Uncertainty::new(0.05).unwrap())),
    ("dwa", || Box::new(Dwa::new(2.0, 4).unwrap())),
    ("rlw", || Box::new(RandomWeighting::new(3))),
    ("famo", || Box::new(Famo::new(0.025, 1e-3).unwrap())),
];

/// Further aggregators: most keep a state or have a length of their own, so that each has its own properties.
pub const FURTHER: [Entry<dyn Aggregator>; 13] = [
    ("fairgrad", || Box::new(FairGrad::new(1.0).unwrap())),
    ("gradvac", || Box::new(GradVac::new(3, 0.5).unwrap())),
    ("config", || Box::new(ConFig::default())),
    ("pcd", || Box::new(Pcd::new(vec![0.02], 0.999).unwrap())),
    ("excess_mtl", || Box::new(ExcessMtl::new(ExcessForm::Simplex, 1e-3, 0).unwrap())),
    ("excess_mtl official", || Box::new(ExcessMtl::new(ExcessForm::Official, 1e-3, 0).unwrap())),
    ("db_mtl", || Box::new(DbMtl::new(0.9, 0.0).unwrap())),
    ("moco", || Box::new(MoCo::new(MoCoSettings::default()).unwrap())),
    ("imtl", || Box::new(Imtl::new(0.01).unwrap())),
    ("pivrg", || Box::new(Pivrg::new(2.0, 10.0, Vec::new()).unwrap())),
    ("trimmed_mean", || Box::new(TrimmedMean::new(0))),
    ("cr_mogm around mgda", || {
        let mgda = Box::new(Mgda::new(Normalization::None));
        Box::new(CrMogm::new(mgda, Smoothing::Constant(0.9), Vec::new()).unwrap())
    }),
    ("grouped around gradvac", || grouped(GroupBy::Level, || Box::new(GradVac::new(3, 0.5).unwrap()))),
];

pub const FURTHER_WEIGHTINGS: [Entry<dyn LossWeighting>; 10] = [
    ("stch", || Box::new(Stch::new(0.5, vec![1.0, 1.0], Vec::new()).unwrap())),
    ("stch_log", || Box::new(StchLog::new(1.0, 1).unwrap())),
    ("gls", || Box::new(GeometricMean)),
    ("imtl_l", || Box::new(ImtlL::new(0.01).unwrap())),
    ("si", || Box::new(ScaleInvariant)),
    ("igb", || Box::new(Igb::new(2).unwrap())),
    ("go4align", || Box::new(Go4Align::new(2, 1e-4).unwrap())),
    ("cosmos", || Box::new(Cosmos::new(0.1, vec![1.0, 1.0]).unwrap())),
    ("pbi", || Box::new(Pbi::new(0.1, Vec::new(), Vec::new()).unwrap())),
    ("ldc_mtl", || Box::new(LdcMtl::new(0.05, 0.05).unwrap())),
];

pub fn grouped(by: GroupBy, build: fn() -> Box<dyn Aggregator>) -> Box<dyn Aggregator> {
    Box::new(Grouped::new(by, Box::new(move || Ok(build()))).unwrap())
}

/// Builds a method in its initial state.
type Build = fn() -> Combine;

/// The methods that find a direction by passes of their own, most of them around another one.
pub const SOURCES: [(&str, Build); 9] = [
    ("sdmgrad", || Combine::Direction(Box::new(SdmGrad::new(SdmGradSettings::default()).unwrap()))),
    ("modo", || Combine::Direction(Box::new(MoDo::new(0.1, 0.1).unwrap()))),
    ("momentum_config", || Combine::Direction(Box::new(MomentumConFig::new([0.9, 0.999]).unwrap()))),
    ("sam around joint", || Combine::Direction(Box::new(Sam::new(Box::new(Joint), 1e-3).unwrap()))),
    ("sam around famo", || {
        Combine::Direction(Box::new(Sam::new(Box::new(Famo::new(0.025, 1e-3).unwrap()), 1e-3).unwrap()))
    }),
    ("samo around mgda", || samo(Combine::Gradients(Box::new(Mgda::new(Normalization::None))))),
    ("samo around joint", || samo(Combine::Losses(Box::new(Joint)))),
    ("perturbed around db_mtl", || perturbed(Combine::Gradients(Box::new(DbMtl::new(0.9, 0.0).unwrap())))),
    ("perturbed around dwa", || perturbed(Combine::Losses(Box::new(Dwa::new(2.0, 4).unwrap())))),
];

fn samo(inside: Combine) -> Combine {
    Combine::Direction(Box::new(Samo::new(inside, SamoSettings::default(), 5).unwrap()))
}

fn perturbed(inside: Combine) -> Combine {
    Combine::Direction(Box::new(Perturbed::new(inside, 5, 0.01, 2).unwrap()))
}

/// The methods that the three lists above add.
pub fn further() -> Vec<(String, Box<dyn Fn() -> Combine>)> {
    let mut methods: Vec<(String, Box<dyn Fn() -> Combine>)> = Vec::new();
    for (name, build) in FURTHER {
        methods.push((name.into(), Box::new(move || Combine::Gradients(build()))));
    }
    for (name, build) in FURTHER_WEIGHTINGS {
        methods.push((name.into(), Box::new(move || Combine::Losses(build()))));
    }
    for (name, build) in SOURCES {
        methods.push((name.into(), Box::new(build)));
    }
    methods
}

/// The same tensors in another order: a checkpoint sorts them by name.
pub fn reversed(tensors: &StateTensors) -> StateTensors {
    let mut entries: Vec<_> = tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    entries.reverse();
    entries.into_iter().collect()
}

/// Every method of the crate's first lists, by itself and wrapped by F-MTL.
pub fn methods() -> Vec<(String, Box<dyn Fn() -> Combine>)> {
    let mut methods: Vec<(String, Box<dyn Fn() -> Combine>)> = Vec::new();
    for (name, build) in AGGREGATORS.into_iter().chain([gradnorm()]) {
        methods.push((name.into(), Box::new(move || Combine::Gradients(build()))));
        let wrapped = move || Wrapped::Gradients { loss: build(), flat: build() };
        methods.push((format!("f_mtl around {name}"), Box::new(move || fmtl(wrapped(), 1e-3))));
    }
    for (name, build) in WEIGHTINGS {
        methods.push((name.into(), Box::new(move || Combine::Losses(build()))));
        methods.push((format!("f_mtl around {name}"), Box::new(move || fmtl(Wrapped::Losses(build()), 1e-3))));
    }
    methods
}

/// GradNorm, which is an aggregator by its interface and a loss weighting by what it does; it remembers the first losses.
pub fn gradnorm() -> Entry<dyn Aggregator> {
    ("gradnorm", || Box::new(GradNorm::new(0.5, 0.01).unwrap()))
}

pub fn fmtl(wrapped: Wrapped, rho: f64) -> Combine {
    Combine::Direction(Box::new(Fmtl::new(wrapped, rho, rho).unwrap()))
}

/// One row of numbers per task, as the gradients of two parameters.
pub fn gradients(rows: &[Vec<f64>]) -> Vec<Gradients> {
    let part =
        |layer: &str, values: &[f64]| (ParameterName::theta(0, layer), Tensor::new(values, &Device::Cpu).unwrap());
    let row = |row: &Vec<f64>| {
        let (a, b) = row.split_at(row.len() / 2);
        [part("a", a), part("b", b)].into_iter().collect()
    };
    rows.iter().map(row).collect()
}

pub fn flat(gradients: &Gradients) -> Vec<f64> {
    gradients.iter().flat_map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
}

/// The direction that `aggregator` defines for `rows`, with all losses 1.
pub fn direction(aggregator: &mut dyn Aggregator, rows: &[Vec<f64>]) -> Vec<f64> {
    let (rows, losses) = (gradients(rows), vec![1.0; rows.len()]);
    let jacobian = Jacobian::new(&rows, &losses);
    flat(&aggregator.combine(&jacobian, 0).unwrap().direction(&jacobian).unwrap())
}

/// What the shared parameters are moved along: the direction with the factor of its convention, with all losses 1.
pub fn moved_along(aggregator: &mut dyn Aggregator, rows: &[Vec<f64>]) -> Vec<f64> {
    flat(&aggregator.combine_all(&gradients(rows), &vec![1.0; rows.len()], 0).unwrap().0)
}

/// The weights of `rows`, with all losses 1, by an aggregator that works from the Gramian.
pub fn weights(aggregator: &mut dyn Aggregator, rows: &[Vec<f64>]) -> Vec<f64> {
    let (rows, losses) = (gradients(rows), vec![1.0; rows.len()]);
    match aggregator.combine(&Jacobian::new(&rows, &losses), 0).unwrap() {
        Combination::Weights(weights) => weights,
        other => panic!("{other:?}"),
    }
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn length(a: &[f64]) -> f64 {
    // Scaled, so that squares neither vanish nor overflow.
    let largest = a.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 { 0.0 } else { largest * a.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt() }
}

/// `sum_i w_i g_i`.
pub fn combined(rows: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    (0..rows[0].len()).map(|k| rows.iter().zip(weights).map(|(row, w)| w * row[k]).sum()).collect()
}
