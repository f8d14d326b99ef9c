//! Experiments on a folder of drawn cells, `cells-data`, which has labels of every kind.

/// How they train.
const TRAINING: &str = r#"
[default.training]
epochs = 1
batch_size = 4
optimizer = "adamw"
weight_decay = 0.0
schedule = "constant"
[default.method.joint]
learning_rate = 0.002
[default.method.mtcool]
bound = 0.02
alpha = 0.002
beta = 0.002
samples = 2
inner_iterations = 1
warmup_iterations = 2
lambda = 1.0
schedule = "gauss_seidel"
"#;

/// The table of a task that segments the cell.
pub const CELL: &str = r#"
[[default.data.settings.tasks]]
name = "cell"
kind = "segmentation"
mask = "cells/{case}.png"
classes = { 0 = "background", 128 = "cytoplasm", 255 = "nucleus" }
"#;

/// The table of a task that segments the granules.
pub const GRANULES: &str = r##"
[[default.data.settings.tasks]]
name = "granules"
kind = "segmentation"
mask = "granules/{case}.png"
classes = { 0 = "background", "#ff0000" = "red", "#0000ff" = "blue" }
"##;

/// The table of a task that classifies the cell.
pub const STAGE: &str = r#"
[[default.data.settings.tasks]]
name = "stage"
kind = "classification"
column = "stage"
classes = ["resting", "growing", "dividing"]
"#;

/// The table of a task with several labels, each of which may be there or not.
pub const PRESENT: &str = r#"
[[default.data.settings.tasks]]
name = "present"
kind = "multilabel"
columns = ["red_granules", "blue_granules"]
"#;

/// The table of a task that predicts a number; further keys may follow.
pub const RATIO: &str = r#"
[[default.data.settings.tasks]]
name = "ratio"
kind = "regression"
column = "nucleus_ratio"
"#;

/// What an experiment on the cells has of its own.
pub struct Experiment<'a> {
    /// The method of its file.
    pub method: &'a str,
    /// The lines of its table `network`.
    pub network: &'a str,
    /// Further tables.
    pub further: &'a str,
    /// The lines of its table `data.settings` besides those that all have.
    pub settings: &'a str,
    /// The tables of its tasks.
    pub tasks: &'a [&'a str],
}

impl Experiment<'_> {
    /// The text of its file.
    pub fn text(&self) -> String {
        let Self { method, network, further, settings, tasks } = self;
        format!(
            "[default]\ntitle = \"cells\"\ndataset = \"folder\"\nmethods = [\"{method}\"]\nseeds = 1\ndevice = \"cpu\"\n\
             [default.network]\n{network}\n{TRAINING}\n{further}\n\
             [default.data]\nsource = \"folder\"\nfolder = \"cells-data\"\n\
             [default.data.settings]\nimages = \"images/{{case}}.png\"\ntable = \"labels.csv\"\n{settings}\n{}",
            tasks.concat()
        )
    }
}
