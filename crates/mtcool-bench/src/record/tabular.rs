//! Data frames as Parquet files that every reader opens, since text columns are declared as plain UTF-8, and as CSV.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use polars::prelude::{
    ArrowDataType, ArrowField, ArrowSchema, CompatLevel, CsvWriter, DataFrame, Field, KeyValueMetadata, ParquetWriter,
    SchemaExt, SerWriter,
};
use polars_arrow::io::ipc::write::{default_ipc_fields, schema_to_bytes};

/// The key of a Parquet file's metadata under which readers look for the Arrow types of the columns.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// A data frame as a Parquet file.
///
/// # Errors
/// If polars fails.
pub fn parquet_bytes(mut frame: DataFrame) -> Result<Vec<u8>> {
    let schema = KeyValueMetadata::from_static(vec![(ARROW_SCHEMA.to_owned(), plain_schema(&frame))]);
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_key_value_metadata(Some(schema)).finish(&mut frame)?;
    Ok(bytes)
}

/// A data frame as CSV, with a line of column names.
///
/// # Errors
/// If polars fails.
pub fn csv_bytes(mut frame: DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame)?;
    Ok(bytes)
}

/// The Arrow schema of the columns with text as `utf8`, as the metadata of a Parquet file holds it: a message of Arrow's IPC
/// format in Base64. The columns themselves are stored in the same way whatever the schema calls them, but polars would call
/// text `utf8_view`, which readers from before 2024 refuse.
fn plain_schema(frame: &DataFrame) -> String {
    let plain = |field: Field| {
        let field = field.to_arrow(CompatLevel::oldest());
        let dtype = if field.dtype == ArrowDataType::LargeUtf8 { ArrowDataType::Utf8 } else { field.dtype };
        let field = ArrowField { dtype, ..field };
        (field.name.clone(), field)
    };
    let schema: ArrowSchema = frame.schema().iter_fields().map(plain).collect();
    let message = schema_to_bytes(&schema, &default_ipc_fields(schema.iter_values()), None);
    // A message begins with a continuation marker and its length.
    let mut framed = vec![0xff; 4];
    framed.extend((message.len() as u32).to_le_bytes());
    framed.extend(message);
    STANDARD.encode(framed)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use polars::prelude::{ParquetReader, SerReader, df};
    use polars_arrow::io::ipc::read::deserialize_schema;

    use super::*;

    #[test]
    fn text_is_declared_as_plain_utf8_and_comes_back() {
        let frame = df!(
            "text" => ["a", "", "\u{e9}"],
            "optional" => [Some("x"), None, None],
            "number" => [1.5, 0.1 + 0.2, 3.0],
            "count" => [1u64, 2, 3],
            "flag" => [true, false, true],
        )
        .unwrap();
        let bytes = parquet_bytes(frame.clone()).unwrap();
        let found = ParquetReader::new(Cursor::new(&bytes)).finish().unwrap();
        assert!(found.equals_missing(&frame), "{found}");

        // The file declares its types once, and text as UTF-8.
        let written = |text: &str| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
        let schema = plain_schema(&frame);
        assert_eq!((written(ARROW_SCHEMA), written(&schema)), (1, 1));
        let (schema, ..) = deserialize_schema(&STANDARD.decode(schema).unwrap()[8..]).unwrap();
        let types: Vec<&ArrowDataType> = schema.iter_values().map(|field| &field.dtype).collect();
        use ArrowDataType::{Boolean, Float64, UInt64, Utf8};
        assert_eq!(types, [&Utf8, &Utf8, &Float64, &UInt64, &Boolean]);
    }
}
