//! The flags of `mtcool completions`, `mtcool man` and `mtcool cite`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `mtcool completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples: `mtcool completions bash > ~/.local/share/bash-completion/completions/mtcool`, `mtcool completions zsh > \
                  ~/.zfunc/_mtcool` (a folder of `fpath`), `mtcool completions fish > ~/.config/fish/completions/mtcool.fish`."
)]
pub(crate) struct Completions {
    /// The shell, such as `bash`.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// `mtcool man`.
#[derive(Args, Debug)]
#[command(after_help = "Example: `mtcool man ~/.local/share/man/man1`, then `man mtcool` and `man mtcool-reproduce`.")]
pub(crate) struct Man {
    /// The folder for the pages, `mtcool.1` and one for each command, such as `mtcool-reproduce.1`.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// `mtcool cite`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples: `mtcool cite`, `mtcool cite table1`, `mtcool cite results/table1/runs/cagrad-s0-1a2b3c4d`, `mtcool cite \
                  --methods fairgrad,sam --plain`."
)]
pub(crate) struct Cite {
    /// An experiment, such as `table1` or the path of a TOML file, or the folder of a run: the papers of its methods. Without it,
    /// only MT-COOL's paper and this program.
    #[arg(value_name = "EXPERIMENT|RUN")]
    pub(crate) target: Option<String>,
    /// A profile of the experiment's file, such as `quick`.
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// The papers of these methods, separated by commas, such as `fairgrad,sam`; `all` for those of every method.
    #[arg(long, value_delimiter = ',', conflicts_with = "target")]
    pub(crate) methods: Vec<String>,
    /// As plain text instead of BibTeX, such as `mtcool cite table1 --plain`.
    #[arg(long)]
    pub(crate) plain: bool,
}
