//! Reading Parquet files, in the one way that all modules use.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow, bail, ensure};
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::parquet::read::{get_page_iterator, read_metadata};

/// The most values of a column; polars allocates memory for as many as the file says, however short it is.
const MOST_VALUES: i64 = 100_000_000;

/// The largest size of a page in bytes.
const LARGEST_PAGE: usize = 1 << 30;

/// The table in `bytes`, the content of a Parquet file.
///
/// # Errors
/// If it is no Parquet file, or a damaged one: polars panics on some of these, and such a panic becomes an error here; it asks for too
/// much memory for others, or reads columns of different lengths.
pub fn parquet_frame(bytes: Vec<u8>) -> Result<DataFrame> {
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        check_counts(&bytes)?;
        Ok::<_, anyhow::Error>(ParquetReader::new(Cursor::new(bytes)).finish()?)
    }));
    let frame = parsed.map_err(|_| anyhow!("the Parquet file is damaged"))??;
    let odd = frame.columns().iter().find(|column| column.len() != frame.height());
    if let Some(odd) = odd {
        let (name, values, rows) = (odd.name(), odd.len(), frame.height());
        bail!("the Parquet file is damaged: its column `{name}` has {values} values, and the table {rows} rows");
    }
    Ok(frame)
}

/// Checks the numbers of values that the file says its columns and their pages have.
fn check_counts(bytes: &[u8]) -> Result<()> {
    let metadata = read_metadata(&mut Cursor::new(bytes))?;
    let content = Cursor::new(bytes.to_vec().into());
    for column in metadata.row_groups.iter().flat_map(|group| group.parquet_columns()) {
        let values = column.num_values();
        ensure!(
            (0..=MOST_VALUES).contains(&values),
            "the Parquet file is damaged: a column with {values} values, expected 0 to {MOST_VALUES}"
        );
        for page in get_page_iterator(column, content.clone(), Vec::new(), LARGEST_PAGE)? {
            let CompressedPage::Data(page) = page? else { continue };
            let of_page = page.num_values();
            ensure!(
                i64::try_from(of_page).is_ok_and(|of_page| of_page <= values),
                "the Parquet file is damaged: a page with {of_page} values in a column with {values}"
            );
        }
    }
    Ok(())
}
