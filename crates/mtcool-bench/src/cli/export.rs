//! The arguments of `mtcool export`.

use std::path::PathBuf;

use clap::Args;

/// `mtcool export`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: mtcool export --run results/table2/runs/mtcool-s0-1a2b3c4d glaucoma.onnx --task glaucoma\n\n\
                  Inputs are pixels from 0 to 255 as f32, [batch, channels, height, width]; the network's own normalisation is in the \
                  file. Outputs are probabilities, or numbers in their own unit; the metadata names tasks and classes. docs/export.md \
                  has examples for onnxruntime and PyTorch."
)]
pub(crate) struct Export {
    /// The folder of a finished run, such as `results/table2/runs/mtcool-s0-1a2b3c4d`.
    #[arg(long, value_name = "FOLDER", alias = "checkpoint")]
    pub(crate) run: PathBuf,
    /// Only this task; may be given several times. By default all tasks.
    #[arg(long = "task", value_name = "NAME")]
    pub(crate) tasks: Vec<String>,
    /// The ONNX file to write, for onnxruntime and other programs.
    #[arg(required_unless_present = "pytorch", value_name = "FILE.onnx")]
    pub(crate) onnx: Option<PathBuf>,
    /// Write the weights for PyTorch into this safetensors file. docs/export.md has the module that reads it.
    #[arg(long, value_name = "FILE.safetensors", alias = "safetensors-pytorch")]
    pub(crate) pytorch: Option<PathBuf>,
    /// Replace files.
    #[arg(long)]
    pub(crate) force: bool,
}
