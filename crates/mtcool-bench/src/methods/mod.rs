//! The methods that come with the program: the keys of their tables `[method.*]`, and how each method is built.

mod aggregators;
mod around;
mod conflict_free;
mod cosmos;
mod cr_mogm;
mod db_mtl;
mod direction_scale;
mod entries;
mod excess_mtl;
mod fairgrad;
mod fmtl;
mod geometric_mean;
mod go4align;
mod gradient;
mod gradvac;
mod grouped;
mod igb;
mod imtl;
mod imtl_l;
mod krum;
mod ldc_mtl;
mod moco;
mod modo;
mod momentum_config;
mod mtcool;
mod pbi;
mod pcd;
mod perturbed;
mod pivrg;
mod sam;
mod samo;
mod scale_invariant;
mod sdmgrad;
mod stch;
mod stch_log;
mod trimmed_mean;
mod weightings;

use crate::suite::MethodEntry;

/// All methods: those of `entries.rs`, then further ones, each from a file of its own.
pub(crate) fn entries() -> Vec<MethodEntry> {
    let further = [
        fairgrad::entry(),
        gradvac::entry(),
        conflict_free::entry(),
        momentum_config::entry(),
        pcd::entry(),
        excess_mtl::entry(),
        db_mtl::entry(),
        moco::entry(),
        sdmgrad::entry(),
        modo::entry(),
        imtl::entry(),
        imtl_l::entry(),
        pivrg::entry(),
        krum::entry(),
        trimmed_mean::entry(),
        stch::entry(),
        stch_log::entry(),
        geometric_mean::entry(),
        scale_invariant::entry(),
        igb::entry(),
        go4align::entry(),
        cosmos::entry(),
        pbi::entry(),
        ldc_mtl::entry(),
        samo::entry(),
        sam::entry(),
        perturbed::entry(),
        cr_mogm::entry(),
        grouped::entry(),
    ];
    entries::entries().into_iter().chain(further).collect()
}
