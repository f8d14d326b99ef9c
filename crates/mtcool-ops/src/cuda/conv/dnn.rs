//! Convolution by cuDNN.
//!
//! The algorithm is chosen once for each pass, shape and precision, by cuDNN's own estimate among those that give the
//! same bits every time: its favourites for the gradients add up in whatever order threads finish. With full precision
//! Fourier and Winograd transforms are left out as well, which round more than the products they save.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::cuda_backend::DeviceId;
use candle_core::{CudaDevice, Error, Result, bail};
use cudarc::cudnn::{result, sys};
use cudarc::driver::{CudaSlice, CudaStream, CudaView, DevicePtr, DevicePtrMut};
use indexmap::IndexMap;

use crate::cuda::Real;
use crate::geometry::Geometry;
use crate::settings::Precision;

/// The largest workspace that is allocated, in bytes: the maps of a large batch in cuDNN's own layout fit.
const WORKSPACE: usize = 4 << 30;
/// Number of suggestions that cuDNN is asked for: an algorithm may occur several times, with different arithmetic.
const ANSWERS: usize = 16;

thread_local! {
    // A handle belongs to one thread at a time.
    static STATES: RefCell<IndexMap<DeviceId, State>> = RefCell::default();
}

struct State {
    handle: Rc<Handle>,
    plans: IndexMap<Key, Rc<Plan>>,
}

/// The circumstances that an algorithm is chosen for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    pass: Pass,
    geometry: Geometry,
    is_double: bool,
    is_exact: bool,
    math: sys::cudnnMathType_t,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Pass {
    Forward,
    Input,
    Kernel,
}

/// A handle and its stream, which is kept alive as long as the handle: when a thread ends, this may be the last reference.
struct Handle(sys::cudnnHandle_t, Arc<CudaStream>);

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.1.context().bind_to_thread();
        // SAFETY: made by `create_handle` and used no more. A failure at the end of a thread cannot be reported to anybody.
        let _ = unsafe { result::destroy_handle(self.0) };
    }
}

/// Descriptors, made and filled once.
struct Descriptors {
    x: sys::cudnnTensorDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    kernel: sys::cudnnFilterDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: made by the functions of those names and used no more.
        unsafe {
            let _ = result::destroy_tensor_descriptor(self.x);
            let _ = result::destroy_tensor_descriptor(self.y);
            let _ = result::destroy_filter_descriptor(self.kernel);
            let _ = result::destroy_convolution_descriptor(self.convolution);
        }
    }
}

impl Descriptors {
    fn new<T: Real>(g: &Geometry, math: sys::cudnnMathType_t) -> Result<Self> {
        let descriptors = Self {
            x: result::create_tensor_descriptor().map_err(Error::wrap)?,
            y: result::create_tensor_descriptor().map_err(Error::wrap)?,
            kernel: result::create_filter_descriptor().map_err(Error::wrap)?,
            convolution: result::create_convolution_descriptor().map_err(Error::wrap)?,
        };
        let nchw = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let x = sizes([g.batch, g.in_channels, g.height, g.width])?;
        let y = sizes([g.batch, g.out_channels, g.out_h, g.out_w])?;
        let kernel = sizes([g.out_channels, g.in_channels, g.kernel_h, g.kernel_w])?;
        let [padding, stride, dilation, _] = sizes([g.padding, g.stride, g.dilation, 1])?;
        // SAFETY: descriptors just made.
        unsafe {
            result::set_tensor4d_descriptor(descriptors.x, nchw, T::DNN, x).map_err(Error::wrap)?;
            result::set_tensor4d_descriptor(descriptors.y, nchw, T::DNN, y).map_err(Error::wrap)?;
            result::set_filter4d_descriptor(descriptors.kernel, T::DNN, nchw, kernel).map_err(Error::wrap)?;
            let convolution = descriptors.convolution;
            result::set_convolution2d_descriptor(
                convolution,
                padding,
                padding,
                stride,
                stride,
                dilation,
                dilation,
                mode,
                T::DNN,
            )
            .map_err(Error::wrap)?;
            result::set_convolution_math_type(convolution, math).map_err(Error::wrap)?;
        }
        Ok(descriptors)
    }
}

fn sizes(dims: [usize; 4]) -> Result<[i32; 4]> {
    let mut sizes = [0; 4];
    for (size, dim) in sizes.iter_mut().zip(dims) {
        *size = i32::try_from(dim).map_err(Error::wrap)?;
    }
    Ok(sizes)
}

enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Input(sys::cudnnConvolutionBwdDataAlgo_t),
    Kernel(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// Everything that one pass needs, except its operands.
struct Plan {
    handle: Rc<Handle>,
    descriptors: Descriptors,
    algorithm: Algorithm,
    workspace: usize,
}

/// Properties of the algorithms of a pass; each pass has an enumeration of its own with the same names.
trait Choice: Copy + PartialEq + 'static {
    /// Algorithms with transforms, whose rounding errors are larger than those of the products themselves.
    const TRANSFORMS: &'static [Self];
    /// An algorithm that works for all sizes, and gives the same bits every time.
    const PLAIN: Self;

    fn is_transform(self) -> bool {
        Self::TRANSFORMS.contains(&self)
    }
}

impl Choice for sys::cudnnConvolutionFwdAlgo_t {
    const TRANSFORMS: &'static [Self] = &[
        Self::CUDNN_CONVOLUTION_FWD_ALGO_FFT,
        Self::CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING,
        Self::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
        Self::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED,
    ];
    const PLAIN: Self = Self::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
}

impl Choice for sys::cudnnConvolutionBwdDataAlgo_t {
    const TRANSFORMS: &'static [Self] = &[
        Self::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT,
        Self::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
        Self::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD,
        Self::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
    ];
    const PLAIN: Self = Self::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
}

impl Choice for sys::cudnnConvolutionBwdFilterAlgo_t {
    const TRANSFORMS: &'static [Self] = &[
        Self::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT,
        Self::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
        Self::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD,
        Self::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
    ];
    const PLAIN: Self = Self::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
}

/// The first algorithm, in the order of cuDNN's estimates, that works, is deterministic, needs not too much memory and
/// rounds no more than the precision does; if there is none, the plain one. The descriptor is set to the arithmetic of
/// the algorithm. Expands to unsafe calls.
macro_rules! choose {
    ($estimates:path, $exact:expr, $handle:expr, $a:expr, $b:expr, $convolution:expr, $c:expr) => {{
        // Plain numbers, of which zero is one.
        let mut found = [std::mem::zeroed(); ANSWERS];
        let (asked, mut count) = (ANSWERS as i32, 0);
        $estimates($handle, $a, $b, $convolution, $c, asked, &mut count, found.as_mut_ptr()).map_err(Error::wrap)?;
        let fits = found[..count.clamp(0, asked) as usize].iter().find(|found| {
            found.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                && found.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC
                && found.memory <= WORKSPACE
                && !($exact && Choice::is_transform(found.algo))
        });
        match fits {
            Some(found) if !$exact => {
                result::set_convolution_math_type($convolution, found.mathType).map_err(Error::wrap)?;
                found.algo
            }
            Some(found) => found.algo,
            None => Choice::PLAIN,
        }
    }};
}

impl Plan {
    fn new<T: Real>(handle: Rc<Handle>, key: &Key) -> Result<Self> {
        let descriptors = Descriptors::new::<T>(&key.geometry, key.math)?;
        let Descriptors { x, y, kernel, convolution } = descriptors;
        let (cudnn, exact) = (handle.0, key.is_exact);
        // SAFETY: live descriptors, and room for as many results as are asked for.
        let (algorithm, workspace) = unsafe {
            match key.pass {
                Pass::Forward => {
                    let estimates = result::get_convolution_forward_algorithm;
                    let chosen = choose!(estimates, exact, cudnn, x, kernel, convolution, y);
                    let room = result::get_convolution_forward_workspace_size(cudnn, x, kernel, convolution, y, chosen);
                    (Algorithm::Forward(chosen), room)
                }
                Pass::Input => {
                    let estimates = result::get_convolution_backward_data_algorithm;
                    let chosen = choose!(estimates, exact, cudnn, kernel, y, convolution, x);
                    let room =
                        result::get_convolution_backward_data_workspace_size(cudnn, kernel, y, convolution, x, chosen);
                    (Algorithm::Input(chosen), room)
                }
                Pass::Kernel => {
                    let estimates = result::get_convolution_backward_filter_algorithm;
                    let chosen = choose!(estimates, exact, cudnn, x, y, convolution, kernel);
                    let room = result::get_convolution_backward_filter_workspace_size(
                        cudnn,
                        x,
                        y,
                        convolution,
                        kernel,
                        chosen,
                    );
                    (Algorithm::Kernel(chosen), room)
                }
            }
        };
        Ok(Self { handle, descriptors, algorithm, workspace: workspace.map_err(Error::wrap)? })
    }

    /// The plan of a pass, which is made the first time that it is asked for.
    fn of<T: Real>(device: &CudaDevice, pass: Pass, g: &Geometry, precision: Precision) -> Result<Rc<Self>> {
        let is_double = size_of::<T>() == size_of::<f64>();
        let (math, is_exact) = match precision {
            // f64 has one arithmetic, cuDNN's default; that of f32 is TF32.
            Precision::Full if is_double => (sys::cudnnMathType_t::CUDNN_DEFAULT_MATH, true),
            Precision::Full => (sys::cudnnMathType_t::CUDNN_FMA_MATH, true),
            Precision::Tf32 | Precision::Bf16 => (sys::cudnnMathType_t::CUDNN_DEFAULT_MATH, false),
        };
        let key = Key { pass, geometry: *g, is_double, is_exact, math };
        STATES.with_borrow_mut(|states| {
            if !states.contains_key(&device.id()) {
                let stream = device.cuda_stream();
                stream.context().bind_to_thread().map_err(Error::wrap)?;
                let handle = Handle(result::create_handle().map_err(Error::wrap)?, stream);
                // SAFETY: a live handle, and a stream that it keeps.
                unsafe { result::set_stream(handle.0, handle.1.cu_stream() as *mut _) }.map_err(Error::wrap)?;
                states.insert(device.id(), State { handle: Rc::new(handle), plans: IndexMap::new() });
            }
            let Some(state) = states.get_mut(&device.id()) else { bail!("cuDNN: no handle") };
            if let Some(plan) = state.plans.get(&key) {
                return Ok(plan.clone());
            }
            let plan = Rc::new(Self::new::<T>(state.handle.clone(), &key)?);
            state.plans.insert(key, plan.clone());
            Ok(plan)
        })
    }

    /// `target` from `a` and `b`: (x, kernel), (kernel, gradient) or (x, gradient).
    fn run<T: Real>(
        &self,
        device: &CudaDevice,
        (a, b): (&CudaView<'_, T>, &CudaView<'_, T>),
        target: &mut CudaSlice<T>,
    ) -> Result<()> {
        let stream = device.cuda_stream();
        let (one, zero) = (<T as num_traits::One>::one(), <T as num_traits::Zero>::zero());
        let (alpha, beta) = (std::ptr::from_ref(&one).cast(), std::ptr::from_ref(&zero).cast());
        let Descriptors { x, y, kernel, convolution } = self.descriptors;
        let (handle, room) = (self.handle.0, self.workspace);
        // SAFETY: cuDNN writes its workspace before it reads it.
        let mut workspace = unsafe { device.alloc::<u8>(room.max(1))? };
        let ((a, _a), (b, _b)) = (a.device_ptr(&stream), b.device_ptr(&stream));
        let (target, _target) = target.device_ptr_mut(&stream);
        let (workspace, _workspace) = workspace.device_ptr_mut(&stream);
        let (a, b, target, workspace) = (a as *const _, b as *const _, target as *mut _, workspace as *mut _);
        // SAFETY: live descriptors, of the sizes of the operands; the scalars are of the operands' type.
        let done = unsafe {
            match self.algorithm {
                Algorithm::Forward(chosen) => result::convolution_forward(
                    handle,
                    alpha,
                    x,
                    a,
                    kernel,
                    b,
                    convolution,
                    chosen,
                    workspace,
                    room,
                    beta,
                    y,
                    target,
                ),
                Algorithm::Input(chosen) => result::convolution_backward_data(
                    handle,
                    alpha,
                    kernel,
                    a,
                    y,
                    b,
                    convolution,
                    chosen,
                    workspace,
                    room,
                    beta,
                    x,
                    target,
                ),
                Algorithm::Kernel(chosen) => result::convolution_backward_filter(
                    handle,
                    alpha,
                    x,
                    a,
                    y,
                    b,
                    convolution,
                    chosen,
                    workspace,
                    room,
                    beta,
                    kernel,
                    target,
                ),
            }
        };
        done.map_err(Error::wrap)
    }
}

/// One pass, from operands of the sizes of `lens` to as many elements as the last of them.
fn pass<T: Real>(
    device: &CudaDevice,
    (kind, g): (Pass, &Geometry),
    operands: (&CudaView<'_, T>, &CudaView<'_, T>),
    lens: [usize; 3],
    precision: Precision,
) -> Result<CudaSlice<T>> {
    assert_eq!([operands.0.len(), operands.1.len()], lens[..2], "convolution: operands of other sizes");
    let plan = Plan::of::<T>(device, kind, g, precision)?;
    // SAFETY: cuDNN writes all of it.
    let mut target = unsafe { device.alloc::<T>(lens[2])? };
    plan.run(device, operands, &mut target)?;
    Ok(target)
}

/// Elements of x, kernel and output.
fn lens(g: &Geometry) -> [usize; 3] {
    [g.batch * g.input_len(), g.out_channels * g.taps(), g.batch * g.out_channels * g.out_pixels()]
}

pub(super) fn forward<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    operands: (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    pass(device, (Pass::Forward, g), operands, lens(g), precision)
}

pub(super) fn input_gradient<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    operands: (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let [x, kernel, y] = lens(g);
    pass(device, (Pass::Input, g), operands, [kernel, y, x], precision)
}

pub(super) fn kernel_gradient<T: Real>(
    device: &CudaDevice,
    g: &Geometry,
    operands: (&CudaView<'_, T>, &CudaView<'_, T>),
    precision: Precision,
) -> Result<CudaSlice<T>> {
    let [x, kernel, y] = lens(g);
    pass(device, (Pass::Kernel, g), operands, [x, y, kernel], precision)
}
