//! The interface between the modules of this program: the traits that data sets, networks, losses, methods and predictors
//! implement, and the plain values that these modules exchange.
//!
//! Every other module may use this one. It contains no data set, no method, no file access and no experiment.

mod architecture;
mod data_record;
mod dataset;
mod digits;
mod error;
mod evaluation;
mod export_form;
mod external;
mod extract;
mod figure;
mod frame;
mod inspection;
mod lookup;
mod loss;
mod method;
mod name;
mod network;
mod place;
mod predictor;
mod registry;
mod settings;
mod task;
mod training;
mod traits;
mod words;

pub use architecture::{ArchitectureKind, CgcSetting, CrossStitchSetting, MmoeSetting, StitchWeights};
pub use data_record::DataRecord;
pub use dataset::{BuildPredictor, DatasetEntry, SyntheticConfig};
pub use digits::Digits;
pub use error::{ConfigError, one_line};
pub use evaluation::{CaseMap, CasePicture, CaseScore, Evaluation, MapSink, Measurement, NonFinite, Prediction, Split};
pub use export_form::{AnswerForm, DescribeExport, ExportForm, PictureForm};
pub use external::{ExternalFolder, ExternalSet, OpenExternal, TrainedOn};
pub use extract::{Extract, check_overfit, varied};
pub use figure::{Colour, Drawing, FigureTask, MapPalette, OutlinedClasses};
pub use frame::parquet_frame;
pub use inspection::{Inspect, Inspected, Suggest};
pub use lookup::name_meant;
pub use loss::{ClassCounts, LossEntry, LossPart, LossSettings, ReadLoss};
pub use method::{MethodDetails, MethodEntry, MethodKind, MethodSettings, ReadMethod, SettingHelp, find_method};
pub use name::Name;
pub use network::{
    ClassifierSetting, ImageHeadSetting, MapGradientSetting, NetworkConfig, NetworkEntry, NetworkRequest, NormKind,
    PrecisionSetting, Sharing,
};
pub use place::DataPlace;
pub use predictor::{
    MapClass, MapPlace, PredictOption, PredictOptions, Predicted, PredictedMap, Predictor, TrainedModel,
};
pub use registry::Registry;
pub use settings::{Settings, SettingsError};
pub use task::{Caveat, Column, DatasetSpec, TaskOutput, TaskSpec};
pub use training::{GramianKind, OptimizerKind, ScheduleKind, Selected, TrainingConfig, WeightDecayOn};
pub use traits::Suite;
pub(crate) use words::number_of;
