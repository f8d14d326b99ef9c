//! Vectors of floating-point numbers, chosen at run time: AVX-512 with or without bf16, AVX2 with FMA, or portable code.
//!
//! A kernel is written once, generic over [`Vector`], marked `#[inline(always)]`, and called through [`run`], which has a
//! compiled version of it for each [`Level`]; [`Level::best`] is the best level of the processor.

#[cfg(target_arch = "x86_64")]
mod bf16_lanes;
mod elements;
mod level;
mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use level::{Level, run};
pub(crate) use vector::{Element, Kernel, Vector, WIDEST, load, store, write};
