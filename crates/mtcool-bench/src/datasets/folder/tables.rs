//! Tables in Parquet files, as rows of text.

use std::path::Path;

use polars::prelude::AnyValue;

use crate::suite::parquet_frame;

/// The header, then the rows of `file`; an empty text where a value is missing.
///
/// # Errors
/// If it is no Parquet file.
pub(super) fn read_parquet(file: &Path) -> Result<Vec<Vec<String>>, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let frame = parquet_frame(bytes).map_err(|error| error.to_string())?;
    let header = frame.get_column_names().iter().map(|name| name.to_string()).collect();
    let text = |value: AnyValue<'_>| match value {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => text.to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        other => other.to_string(),
    };
    let row = |index: usize| {
        let cells = frame.columns().iter().map(|column| column.get(index).map(text));
        cells.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
    };
    std::iter::once(Ok(header)).chain((0..frame.height()).map(row)).collect()
}
