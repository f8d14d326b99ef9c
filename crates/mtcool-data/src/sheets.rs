//! Sheets of workbooks, within the size of a table of cases: a file of a few bytes may claim to have billions of cells.

use std::io::{Read, Seek};

use calamine::{Data, Range, Reader, Sheets};

/// The largest number of cells, empty ones included.
pub(crate) const MOST_CELLS: usize = 10_000_000;

/// The smallest rectangle that contains all filled cells of a sheet.
///
/// # Errors
/// If the sheet is damaged, or the rectangle has more than [`MOST_CELLS`] cells.
pub(crate) fn sheet_cells<RS: Read + Seek>(workbook: &mut Sheets<RS>, sheet: &str) -> Result<Range<Data>, String> {
    let mut extent = Extent::default();
    match workbook {
        Sheets::Xlsx(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(sheet).map_err(|error| error.to_string())?;
            while let Some(cell) = cells.next_cell().map_err(|error| error.to_string())? {
                extent.add(cell.get_position())?;
            }
        }
        Sheets::Xlsb(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(sheet).map_err(|error| error.to_string())?;
            while let Some(cell) = cells.next_cell().map_err(|error| error.to_string())? {
                extent.add(cell.get_position())?;
            }
        }
        // These formats have been read as a whole already; sheets of the first have at most 65,536 rows and 256 columns.
        Sheets::Xls(_) | Sheets::Ods(_) => {}
    }
    workbook.worksheet_range(sheet).map_err(|error| error.to_string())
}

/// The first and the last row and column of the cells so far.
#[derive(Default)]
struct Extent(Option<[[u32; 2]; 2]>);

impl Extent {
    fn add(&mut self, (row, column): (u32, u32)) -> Result<(), String> {
        let [rows, columns] = self.0.get_or_insert([[row; 2], [column; 2]]);
        for (range, place) in [(&mut *rows, row), (&mut *columns, column)] {
            *range = [range[0].min(place), range[1].max(place)];
        }
        let length = |[first, last]: [u32; 2]| (last - first) as usize + 1;
        let (height, width) = (length(*rows), length(*columns));
        match height.saturating_mul(width) > MOST_CELLS {
            true => Err(format!(
                "a sheet with cells from row {} to {} and from column {} to {}, far more than a table of cases has",
                rows[0] + 1,
                rows[1] as usize + 1,
                columns[0] + 1,
                columns[1] as usize + 1
            )),
            false => Ok(()),
        }
    }
}
