//! The table of cases: a header, and rows of text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use calamine::{Data, Reader, open_workbook_auto};
use csv_core::ReadRecordResult;

use super::notes::{counted, near_names};
use crate::error::{Error, Result, at};
use crate::sheets::{MOST_CELLS, sheet_cells};

/// Reads a table of a format that this crate does not read itself: the header, then the rows, every cell as text, empty if there
/// is none.
pub type ReadParquet = fn(&Path) -> Result<Vec<Vec<String>>, String>;

/// A header, and rows of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The file, for messages.
    pub file: PathBuf,
    /// The names of the columns.
    pub header: Vec<String>,
    /// The rows that are not empty.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The row's number in the file as a spreadsheet counts: the header is row 1.
    pub number: usize,
    /// As many cells as the header has, without white space at their ends.
    pub cells: Vec<String>,
}

impl Table {
    /// Reads `file`: `.csv` or `.tsv`, a workbook (`.xlsx`, `.xls`, `.ods`; its sheet `sheet`, or its first one), or, with
    /// `read_parquet`, `.parquet`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the file is no such table or its header is not usable; [`Error::Io`] if it cannot be read.
    pub fn read(file: &Path, sheet: Option<&str>, read_parquet: Option<ReadParquet>) -> Result<Self> {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
        let rows = match (extension.as_str(), read_parquet) {
            ("csv" | "tsv" | "txt", _) => text_rows(&std::fs::read(file).map_err(at(file))?),
            ("xlsx" | "xls" | "xlsm" | "xlsb" | "ods", _) => workbook_rows(file, sheet),
            ("parquet", Some(read)) => read(file),
            ("parquet", None) => Err("a Parquet file, which is not readable here".into()),
            _ => Err(format!("a file with the extension `{extension}`")),
        };
        let rows = rows.and_then(|rows| Self::of_rows(file, rows));
        rows.map_err(|got| Error::Corrupt {
            file: file.to_owned(),
            expected: "a table with a header: .csv, .tsv, .xlsx, .xls, .ods or .parquet".into(),
            got,
            remedy: "correct the file, or name another one with the key `table`",
        })
    }

    /// The table of `rows`, of which the first one is the header.
    ///
    /// # Errors
    /// A description of what is wrong with the header or the number of cells.
    pub fn of_rows(file: &Path, rows: Vec<Vec<String>>) -> Result<Self, String> {
        let mut rows = rows.into_iter();
        let mut header: Vec<String> =
            rows.next().unwrap_or_default().iter().map(|cell| cell.trim().to_owned()).collect();
        while header.last().is_some_and(String::is_empty) {
            header.pop();
        }
        if header.is_empty() {
            return Err("no header in its first row".into());
        }
        let mut seen = BTreeSet::new();
        if let Some(name) = header.iter().find(|name| !name.is_empty() && !seen.insert(name.as_str())) {
            return Err(format!("two columns named `{name}`"));
        }
        let columns = header.len();
        if columns.saturating_mul(rows.len()) > MOST_CELLS {
            return Err(format!("{columns} columns and {} rows, far more than a table of cases has", rows.len()));
        }
        let mut checked = Vec::new();
        for (number, cells) in (2..).zip(rows) {
            let mut cells: Vec<String> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
            if cells.iter().all(String::is_empty) {
                continue;
            }
            if cells.iter().skip(columns).any(|cell| !cell.is_empty()) {
                return Err(format!("row {number} with {} cells below a header of {columns}", cells.len()));
            }
            if cells.len() < columns {
                let count = counted(cells.len(), "cell");
                return Err(format!(
                    "row {number} with {count} below a header of {columns}; empty cells need their separators too"
                ));
            }
            cells.truncate(columns);
            checked.push(Row { number, cells });
        }
        if checked.is_empty() {
            return Err("no row below the header".into());
        }
        Ok(Self { file: file.to_owned(), header, rows: checked })
    }

    /// The position of the column `name`.
    ///
    /// # Errors
    /// What is wrong, with the names that are similar.
    pub fn column(&self, name: &str) -> Result<usize, String> {
        self.header.iter().position(|column| column == name).ok_or_else(|| {
            let names: Vec<&str> = self.header.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
            format!("`{}` has no column `{name}`; {}", self.file.display(), near_names(name, &names, "columns"))
        })
    }

    /// The cells of column `index`, top down.
    pub fn cells(&self, index: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row.cells[index].as_str())
    }
}

/// Rows of a text file. Cells are separated by what the header contains most often: commas, semicolons or tabulators.
fn text_rows(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let header = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| header.iter().filter(|&&byte| byte == separator).count();
    // Of equally frequent ones, the last is taken: the comma.
    let separator = [b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b',');
    let mut reader = csv_core::ReaderBuilder::new().delimiter(separator).build();
    let (mut text, mut ends) = (vec![0; 1024], vec![0; 64]);
    let (mut place, mut rows) = (0, Vec::new());
    loop {
        let (start, mut length, mut cells) = (place, 0, 0);
        loop {
            let (result, read, written, ended) =
                reader.read_record(&bytes[place..], &mut text[length..], &mut ends[cells..]);
            (place, length, cells) = (place + read, length + written, cells + ended);
            match result {
                // Without any input left, the next call ends the last record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => text.resize(2 * text.len(), 0),
                ReadRecordResult::OutputEndsFull => ends.resize(2 * ends.len(), 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(rows),
            }
        }
        // The parser leaves out empty lines, which a spreadsheet counts.
        rows.extend(std::iter::repeat_n(Vec::new(), empty_lines(bytes, start)));
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let cells = starts.zip(&ends[..cells]).map(|(start, &end)| String::from_utf8(text[start..end].to_vec()));
        let row = cells.collect::<Result<Vec<String>, _>>();
        let number = rows.len() + 1;
        rows.push(row.map_err(|_| format!("text that is not UTF-8 in row {number}; save the table as \"CSV UTF-8\""))?);
    }
}

/// The number of empty lines from `start`, where the record before them ended.
fn empty_lines(bytes: &[u8], start: usize) -> usize {
    let (before, rest) = bytes.split_at(start);
    // The second half of the end of the line before.
    let rest = rest.strip_prefix(b"\n").filter(|_| before.ends_with(b"\r")).unwrap_or(rest);
    rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|&&byte| byte == b'\n').count()
}

fn workbook_rows(file: &Path, sheet: Option<&str>) -> Result<Vec<Vec<String>>, String> {
    let mut workbook = open_workbook_auto(file).map_err(|error| error.to_string())?;
    let names = workbook.sheet_names();
    let name = match sheet {
        Some(sheet) if names.iter().any(|name| name == sheet) => sheet.to_owned(),
        Some(sheet) => return Err(format!("no sheet `{sheet}`, but {}", names.join(", "))),
        None => names.first().cloned().ok_or("a workbook without sheets")?,
    };
    let cells = sheet_cells(&mut workbook, &name)?;
    let [above, left] = cells.start().map_or([0; 2], |(row, column)| [row as usize, column as usize]);
    let rows = cells.rows().map(|row| {
        let texts = row.iter().map(|cell| match cell {
            Data::Empty => Ok(String::new()),
            Data::Error(error) => Err(format!("a cell with the error {error} in its sheet `{name}`")),
            cell => Ok(cell.to_string()),
        });
        std::iter::repeat_n(Ok(String::new()), left).chain(texts).collect()
    });
    std::iter::repeat_n(Ok(Vec::new()), above).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &[u8]) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        Table::read(&file, None, None)
    }

    fn refused(name: &str, content: &[u8]) -> String {
        read(name, content).unwrap_err().to_string()
    }

    #[test]
    fn text_files_are_read_whatever_separates_their_cells() {
        for (separator, name) in [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv")] {
            let text =
                "\u{feff}case,age, sex \r\na,\"1, 2\",\r\n\r\nb,\"say \"\"no\"\"\", f ,\r\n".replace(',', separator);
            let table = read(name, text.as_bytes()).unwrap();
            assert_eq!(table.header, ["case", "age", "sex"]);
            let quoted = format!("1{separator} 2");
            let expected = [(2, ["a", &quoted, ""]), (4, ["b", "say \"no\"", "f"])];
            let got: Vec<(usize, [&str; 3])> =
                table.rows.iter().map(|row| (row.number, [0, 1, 2].map(|cell| row.cells[cell].as_str()))).collect();
            assert_eq!(got, expected, "{separator:?}");
            assert_eq!(table.column("sex"), Ok(2));
        }
    }

    #[test]
    fn long_rows_and_cells_with_lines_are_read_whole() {
        let cells: Vec<String> = (0..300).map(|k| format!("c{k}").repeat(20)).collect();
        let text = format!("{}\n{}\n", cells.join(","), vec!["\"a\nb\""; 300].join(","));
        let table = read("a.csv", text.as_bytes()).unwrap();
        assert_eq!((table.header, table.rows[0].cells.clone()), (cells, vec!["a\nb".to_owned(); 300]));
        let last = read("a.csv", b"case\na\n\n\nb").unwrap();
        assert_eq!(last.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn unusable_tables_are_refused_with_the_reason() {
        for (content, reason) in [
            ("", "no header"),
            ("case,case\na,b\n", "two columns named `case`"),
            ("case,age\n", "no row below"),
            ("case,age\na,1\nb,1,2\n", "row 3 with 3 cells below a header of 2"),
            ("case,age,sex,,\na,1,f\n\nb,1\n", "row 4 with 2 cells below a header of 3; empty cells need"),
            ("case,age\na,1\nb\n", "row 3 with 1 cell below a header of 2"),
        ] {
            let message = refused("labels.csv", content.as_bytes());
            assert!(message.contains(reason) && message.contains("labels.csv"), "{message}");
        }
        let wide = format!("{}\n{}", ",".repeat(9_999) + "z", "a\n".repeat(2_000));
        assert!(refused("labels.csv", wide.as_bytes()).contains("10000 columns and 2000 rows, far more"));
        assert!(refused("labels.csv", b"case,sex\na,\xe4\n").contains("not UTF-8 in row 2"));
        // A row of white space or of separators alone is empty, however long it is.
        assert_eq!(read("labels.csv", b"case,age,sex\na,1,f\n , \n  \n,,,,\n").unwrap().rows.len(), 1);
        assert!(refused("labels.doc", b"").contains("extension `doc`"));
        assert!(refused("labels.xlsx", b"case,age\na,1").contains("labels.xlsx"));
        assert!(refused("labels.parquet", b"").contains("Parquet"));
    }

    #[test]
    fn a_missing_column_is_told_with_similar_names() {
        let table = Table::of_rows(
            Path::new("t.csv"),
            vec![["case", "glaucoma"].map(Into::into).to_vec(), vec!["a".into(); 2]],
        );
        let message = table.unwrap().column("Glaucoma").unwrap_err();
        assert_eq!(message, "`t.csv` has no column `Glaucoma`; did you mean `glaucoma`?");
    }
}
