//! A fully connected layer with bias and activation in one operation.

use std::sync::Arc;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};

use crate::activation::relu_scalar;
use crate::arithmetic::rounded;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, dispatch_precision, elements};
use crate::matmul::{Matrix, matmul};
use crate::recording::{LateWeight, apply_late3};
use crate::rows::Rows;
use crate::settings::{Activation, Precision};

/// Settings of [`linear`].
#[derive(Clone, Debug, Default)]
pub struct Linear {
    /// Applied to the output inside the operation.
    pub activation: Activation,
    /// Weight rows (output features) whose gradients are computed.
    pub rows: Rows,
    /// Precision of the operands of every multiplication, also in the backward pass.
    pub precision: Precision,
}

/// `activation(x weight^T + bias)`: `x` `[B, I]`, `weight` `[O, I]`, `bias` `[O]` to `[B, O]`.
///
/// # Errors
/// If the shapes or dtypes do not fit each other; the message names them.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, settings: Linear) -> Result<Tensor> {
    match (x.dims(), weight.dims(), bias.dims()) {
        (&[_, inputs], &[outputs, reads], &[biases])
            if inputs == reads && outputs == biases && inputs * outputs > 0 => {}
        (x, weight, bias) => {
            bail!("linear: expected x [B, I], weight [O, I], bias [O], got {x:?}, {weight:?}, {bias:?}")
        }
    }
    let late = Arc::new(settings.clone());
    apply_late3(x, weight, bias, settings, late)
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, inputs) = x_layout.shape().dims2()?;
        let outputs = weight_layout.dims()[0];
        let y = dispatch_precision!("linear", x, self.precision, (T, A) => {
            let x = &rounded::<T, A>(elements::<T>("linear", x, x_layout)?.into())[..];
            let weight = &rounded::<T, A>(elements::<T>("linear", weight, weight_layout)?.into())[..];
            let bias = elements::<T>("linear", bias, bias_layout)?;
            let mut y: Vec<T> = (0..batch).flat_map(|_| bias.iter().copied()).collect();
            matmul(
                Matrix::new(&mut y[..], batch, outputs, outputs),
                Matrix::new(x, batch, inputs, inputs),
                Matrix::new(weight, outputs, inputs, inputs).t(),
                true,
            );
            if self.activation == Activation::Relu {
                y.iter_mut().for_each(|y| *y = relu_scalar(*y));
            }
            T::to_cpu_storage_owned(y)
        });
        Ok((y, (batch, outputs).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (batch, inputs) = x_layout.shape().dims2()?;
        let (outputs, device) = (weight_layout.dims()[0], &x.device);
        cuda::dispatch!("linear", x, T => {
            let operands = (&cuda::view::<T>("linear", x, x_layout)?, &cuda::view("linear", weight, weight_layout)?);
            let bias = cuda::view("linear", bias, bias_layout)?;
            let sizes = cuda::Dense { batch, inputs, outputs, precision: self.precision };
            let mut y = cuda::dense(device, &sizes, operands)?;
            cuda::bias_activation(device, &mut y, Some(&bias), 1, self.activation)?;
            Ok(cuda::result(y, device, (batch, outputs)))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = self.activation.backward(output, grad)?;
        let gradient = |of| LinearGradient { of, rows: self.rows.clone(), precision: self.precision };
        let of_x = x.track_op().then(|| weight.apply_op2_no_bwd(&grad, &gradient(Operand::Input)));
        let of_weight = weight.track_op().then(|| x.apply_op2_no_bwd(&grad, &gradient(Operand::Weight)));
        let of_bias = bias.track_op().then(|| bias.apply_op2_no_bwd(&grad, &gradient(Operand::Bias)));
        Ok((of_x.transpose()?, of_weight.transpose()?, of_bias.transpose()?))
    }
}

impl LateWeight for Linear {
    fn is_divisible(&self, count: usize) -> bool {
        self.rows.range(count) == (0..count)
    }

    fn gradient_of_rows(&self, x: &Tensor, _weight: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let gradient = self.activation.backward(output, gradient)?;
        let of_weight = LinearGradient { of: Operand::Weight, rows: Rows::All, precision: self.precision };
        x.apply_op2_no_bwd(&gradient, &of_weight)
    }
}

enum Operand {
    Input,
    Weight,
    Bias,
}

/// The gradient of one operand, as an operation without a backward pass on the other operand and the gradient of the
/// linear output `[B, O]`.
struct LinearGradient {
    of: Operand,
    rows: Rows,
    precision: Precision,
}

impl LinearGradient {
    fn compute<T: Element>(&self, other: &[T], grad: &[T], batch: usize, outputs: usize, inputs: usize) -> Vec<T> {
        let rows = self.rows.range(outputs);
        match self.of {
            Operand::Input => {
                let mut result = vec![T::zero(); batch * inputs];
                matmul(
                    Matrix::new(&mut result[..], batch, inputs, inputs),
                    Matrix::new(grad, batch, outputs, outputs),
                    Matrix::new(other, outputs, inputs, inputs),
                    false,
                );
                result
            }
            Operand::Weight => {
                let mut result = vec![T::zero(); outputs * inputs];
                matmul(
                    Matrix::new(&mut result[rows.start * inputs..], rows.len(), inputs, inputs),
                    Matrix::new(&grad[rows.start.min(grad.len())..], batch, rows.len(), outputs).t(),
                    Matrix::new(other, batch, inputs, inputs),
                    false,
                );
                result
            }
            Operand::Bias => {
                let mut result = vec![T::zero(); outputs];
                for row in grad.chunks_exact(outputs) {
                    for (total, value) in result[rows.clone()].iter_mut().zip(&row[rows.clone()]) {
                        *total += *value;
                    }
                }
                result
            }
        }
    }
}

impl CustomOp2 for LinearGradient {
    fn name(&self) -> &'static str {
        "linear-gradient"
    }

    fn cpu_fwd(
        &self,
        other: &CpuStorage,
        other_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, outputs) = grad_layout.shape().dims2()?;
        // The other operand is the weight [O, I] or the input [B, I]; for the bias [O] the number of inputs is not used.
        let inputs = other_layout.dims().get(1).copied().unwrap_or(0);
        let precision = match self.of {
            // The gradient of the bias is a sum, without multiplications whose operands could be rounded.
            Operand::Bias => Precision::Full,
            _ => self.precision,
        };
        let result = dispatch_precision!(self.name(), grad, precision, (T, A) => {
            let grad = &rounded::<T, A>(elements::<T>(self.name(), grad, grad_layout)?.into())[..];
            let other = &rounded::<T, A>(elements::<T>(self.name(), other, other_layout)?.into())[..];
            T::to_cpu_storage_owned(self.compute(other, grad, batch, outputs, inputs))
        });
        let shape: Shape = match self.of {
            Operand::Input => (batch, inputs).into(),
            Operand::Weight => (outputs, inputs).into(),
            Operand::Bias => outputs.into(),
        };
        Ok((result, shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        other: &CudaStorage,
        other_layout: &Layout,
        grad: &CudaStorage,
        grad_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (batch, outputs) = grad_layout.shape().dims2()?;
        let inputs = other_layout.dims().get(1).copied().unwrap_or(0);
        let (name, device, rows) = (self.name(), &grad.device, self.rows.range(outputs));
        let sizes = cuda::Dense { batch, inputs, outputs, precision: self.precision };
        cuda::dispatch!(name, grad, T => {
            let (other, grad) = (cuda::view::<T>(name, other, other_layout)?, cuda::view::<T>(name, grad, grad_layout)?);
            Ok(match self.of {
                Operand::Input => {
                    cuda::result(cuda::dense_input_gradient(device, &sizes, (&other, &grad))?, device, (batch, inputs))
                }
                Operand::Weight => {
                    let gradient = cuda::dense_weight_gradient(device, &sizes, (&other, &grad), rows)?;
                    cuda::result(gradient, device, (outputs, inputs))
                }
                Operand::Bias => {
                    let sums = cuda::fold(device, &grad, (batch, outputs, 1), 1.0)?;
                    cuda::result(cuda::only(device, sums, rows)?, device, outputs)
                }
            })
        })
    }
}
