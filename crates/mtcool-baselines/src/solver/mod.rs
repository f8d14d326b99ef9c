//! Small problems on Gramians `[T, T]`, solved in f64 for several aggregators.
//!
//! No gradient is needed here, but for the corrections of `conflict_free.rs`. A point is a list of weights `[T]`, and its length is
//! that of `sum_i w_i g_i`.

mod cholesky;
mod cone;
mod conflict_free;
mod dual;
mod eigen;
mod fair_root;
mod impartial;
mod matrix;
mod nonnegative;
mod project;
mod simplex;

pub(crate) use cholesky::Cholesky;
pub(crate) use cone::shortest_above;
pub(crate) use conflict_free::conflict_free;
pub(crate) use dual::Dual;
pub(crate) use eigen::Eigen;
pub(crate) use fair_root::fair_root;
pub(crate) use impartial::impartial;
pub(crate) use matrix::{Matrix, ROUNDING, inner, magnitude, normalized, product};
pub(crate) use nonnegative::minimize_nonnegative;
pub(crate) use project::onto_simplex;
pub(crate) use simplex::{Affine, Hull, Objective, minimize, shortest_on_simplex};
