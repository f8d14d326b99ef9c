//! Small problems on Gramians `[T, T]`, solved in f64 for several aggregators.
//!
//! No gradient is needed here. A point is a list of weights `[T]`, and its length is that of `sum_i w_i g_i`.

mod cholesky;
mod cone;
mod dual;
mod eigen;
mod matrix;
mod simplex;

pub(crate) use cholesky::Cholesky;
pub(crate) use cone::shortest_above;
pub(crate) use dual::Dual;
pub(crate) use eigen::Eigen;
pub(crate) use matrix::{Matrix, ROUNDING, inner, magnitude, normalized, product};
pub(crate) use simplex::{Affine, Hull, Objective, minimize, shortest_on_simplex};
