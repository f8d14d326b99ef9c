//! The sizes of one convolution, checked once.

use candle_core::{Result, bail};

use crate::settings::Conv2d;

/// Every size a convolution kernel needs; all fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) in_channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) out_channels: usize,
    pub(crate) kernel_h: usize,
    pub(crate) kernel_w: usize,
    pub(crate) out_h: usize,
    pub(crate) out_w: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) dilation: usize,
}

impl Geometry {
    pub(crate) fn new(x: &[usize], kernel: &[usize], settings: &Conv2d) -> Result<Self> {
        let &[batch, in_channels, height, width] = x else {
            bail!("conv2d: expected an input [B, C, H, W], got shape {x:?}");
        };
        let &[out_channels, kernel_in, kernel_h, kernel_w] = kernel else {
            bail!("conv2d: expected a kernel [O, C, kh, kw], got shape {kernel:?}");
        };
        if x.contains(&0) || out_channels == 0 {
            bail!("conv2d: expected no empty operand, got an input {x:?} and a kernel {kernel:?}");
        }
        if kernel_in != in_channels {
            bail!("conv2d: the input has {in_channels} channels, the kernel {kernel:?} reads {kernel_in}");
        }
        let &Conv2d { stride, padding, dilation, .. } = settings;
        if stride == 0 || dilation == 0 || kernel_h == 0 || kernel_w == 0 {
            bail!("conv2d: stride {stride}, dilation {dilation} and kernel {kernel_h}x{kernel_w} must be at least 1");
        }
        let side = |size: usize, kernel: usize| {
            let reach = dilation * (kernel - 1) + 1;
            (size + 2 * padding >= reach).then(|| (size + 2 * padding - reach) / stride + 1)
        };
        let (Some(out_h), Some(out_w)) = (side(height, kernel_h), side(width, kernel_w)) else {
            bail!(
                "conv2d: a {kernel_h}x{kernel_w} kernel with dilation {dilation} does not fit a {height}x{width} input with padding {padding}"
            );
        };
        Ok(Self {
            batch,
            in_channels,
            height,
            width,
            out_channels,
            kernel_h,
            kernel_w,
            out_h,
            out_w,
            stride,
            padding,
            dilation,
        })
    }

    pub(crate) fn output_shape(&self) -> (usize, usize, usize, usize) {
        (self.batch, self.out_channels, self.out_h, self.out_w)
    }

    /// Elements of one sample's input, `C * H * W`.
    pub(crate) fn input_len(&self) -> usize {
        self.in_channels * self.height * self.width
    }

    /// Pixels of one output channel.
    pub(crate) fn out_pixels(&self) -> usize {
        self.out_h * self.out_w
    }

    /// Taps of one kernel row, `C * kh * kw`.
    pub(crate) fn taps(&self) -> usize {
        self.in_channels * self.kernel_h * self.kernel_w
    }

    /// The input coordinate that tap `k` of output coordinate `o` reads, unless it lies in the padding.
    pub(crate) fn source(&self, o: usize, k: usize, size: usize) -> Option<usize> {
        (o * self.stride + k * self.dilation).checked_sub(self.padding).filter(|&i| i < size)
    }

    /// The output columns whose tap `kx` reads inside the image; the rest read padding.
    pub(crate) fn inside(&self, kx: usize) -> std::ops::Range<usize> {
        let offset = kx * self.dilation;
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let end = match (self.width + self.padding).checked_sub(offset) {
            Some(reach) if reach > 0 => (reach - 1) / self.stride + 1,
            _ => 0,
        };
        let end = end.min(self.out_w);
        first.min(end)..end
    }
}
