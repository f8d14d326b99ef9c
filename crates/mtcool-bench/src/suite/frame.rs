//! Reading Parquet files, in the one way that all modules use.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use polars::prelude::{DataFrame, ParquetReader, SerReader};

/// The table in `bytes`, the content of a Parquet file.
///
/// # Errors
/// If it is no Parquet file, or a damaged one: polars panics on some of these, and such a panic becomes an error here.
pub fn parquet_frame(bytes: Vec<u8>) -> Result<DataFrame> {
    let parsed = catch_unwind(AssertUnwindSafe(|| ParquetReader::new(Cursor::new(bytes)).finish()));
    Ok(parsed.map_err(|_| anyhow!("the Parquet file is damaged"))??)
}
