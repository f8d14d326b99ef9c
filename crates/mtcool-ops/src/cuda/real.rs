//! The element types of the kernels, and conversions between candle's storage and views of device memory.

use std::ops::Deref;

use candle_core::cuda_backend::CudaDType;
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};
use cudarc::cublas::sys::{cublasComputeType_t, cudaDataType};
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr, ValidAsZeroBits};

use crate::element::Element;
use crate::settings::Precision;

/// `f32` or `f64` on the device.
pub(crate) trait Real: Element + CudaDType + DeviceRepr + ValidAsZeroBits {
    /// The end of a kernel's name.
    const SUFFIX: &'static str;
    /// cuBLAS's name for it.
    const BLAS: cudaDataType;
    /// cuDNN's name for it.
    #[cfg(feature = "cudnn")]
    const DNN: cudarc::cudnn::sys::cudnnDataType_t;

    /// The type in which cuBLAS adds up products.
    fn compute_type(precision: Precision) -> cublasComputeType_t;
}

impl Real for f32 {
    const SUFFIX: &'static str = "f32";
    const BLAS: cudaDataType = cudaDataType::CUDA_R_32F;
    #[cfg(feature = "cudnn")]
    const DNN: cudarc::cudnn::sys::cudnnDataType_t = cudarc::cudnn::sys::cudnnDataType_t::CUDNN_DATA_FLOAT;

    fn compute_type(precision: Precision) -> cublasComputeType_t {
        match precision {
            Precision::Full => cublasComputeType_t::CUBLAS_COMPUTE_32F,
            // Every bf16 number is a TF32 number, so operands that are rounded to bf16 lose no more digits.
            Precision::Tf32 | Precision::Bf16 => cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
        }
    }
}

impl Real for f64 {
    const SUFFIX: &'static str = "f64";
    const BLAS: cudaDataType = cudaDataType::CUDA_R_64F;
    #[cfg(feature = "cudnn")]
    const DNN: cudarc::cudnn::sys::cudnnDataType_t = cudarc::cudnn::sys::cudnnDataType_t::CUDNN_DATA_DOUBLE;

    fn compute_type(_precision: Precision) -> cublasComputeType_t {
        cublasComputeType_t::CUBLAS_COMPUTE_64F
    }
}

/// Runs `$body` with `$T` bound to the element type of `$storage`.
macro_rules! dispatch {
    ($op:expr, $storage:expr, $T:ident => $body:expr) => {
        match candle_core::backend::BackendStorage::dtype($storage) {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => candle_core::bail!("{}: expected an f32 or f64 tensor, got {other:?}", $op),
        }
    };
}
pub(crate) use dispatch;

/// The elements of a contiguous tensor.
pub(crate) fn view<'a, T: CudaDType>(op: &str, storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => bail!("{op}: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// A tensor's storage on the device, locked for reading.
pub(crate) struct Guard<'a, S> {
    op: &'static str,
    storage: S,
    layout: &'a Layout,
}

/// A tensor's storage, locked for reading.
pub(crate) fn guard<'a>(op: &'static str, tensor: &'a Tensor) -> Guard<'a, impl Deref<Target = Storage> + 'a> {
    let (storage, layout) = tensor.storage_and_layout();
    Guard { op, storage, layout }
}

impl<S: Deref<Target = Storage>> Guard<'_, S> {
    /// # Errors
    /// If it is on another device.
    pub(crate) fn storage(&self) -> Result<&CudaStorage> {
        match &*self.storage {
            Storage::Cuda(storage) => Ok(storage),
            _ => bail!("{}: operands on different devices", self.op),
        }
    }

    /// The elements of a contiguous tensor.
    pub(crate) fn view<T: CudaDType>(&self) -> Result<CudaView<'_, T>> {
        view(self.op, self.storage()?, self.layout)
    }
}

/// The result of an operation's forward pass, from its elements.
pub(crate) fn result<T: CudaDType>(
    slice: CudaSlice<T>,
    device: &CudaDevice,
    shape: impl Into<Shape>,
) -> (CudaStorage, Shape) {
    (CudaStorage::wrap_cuda_slice(slice, device.clone()), shape.into())
}

/// A constant of shape `shape`, from its elements.
pub(crate) fn tensor<T: CudaDType>(slice: CudaSlice<T>, device: &CudaDevice, shape: &Shape) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(slice, device.clone()));
    Tensor::from_storage(storage, shape.clone(), BackpropOp::none(), false)
}
