//! Spreadsheets: reads diagnoses by the headers of their columns, and writes small workbooks.

use std::io::{Cursor, Write};

use calamine::{Data, Reader, open_workbook_auto_from_rs};
use zip::write::SimpleFileOptions;

use super::names::Name;
use crate::sheets::sheet_cells;

/// The header is searched in this many rows.
const HEADER_ROWS: usize = 10;
/// What a column of diagnoses may be called, if no column has the usual name.
const LABELS: [&str; 6] = ["glaucoma", "label", "diagnosis", "class", "target", "disease"];
/// The number of cells of a row that a message shows.
const SHOWN: usize = 8;

/// A row of a spreadsheet with diagnoses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The photograph's file name without extension, as it is written in the row.
    pub(super) stem: String,
    /// Whether it shows glaucoma, or the text of the cell if that is neither 0 nor 1.
    pub(super) glaucoma: Result<bool, String>,
}

/// What a workbook says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diagnoses {
    /// The rows with a diagnosis.
    pub(super) rows: Vec<Diagnosis>,
    /// The first filled row of each sheet that has no columns of names and diagnoses.
    pub(super) other_headers: Vec<String>,
}

/// The diagnoses in a workbook, from each sheet that has a column of image names and one of glaucoma labels, whatever their
/// positions.
///
/// Columns with other names are found as well, if they are the only ones of their kind: the names of photographs, and numbers 0
/// and 1 below a word for diagnoses.
///
/// # Errors
/// If the bytes are not a workbook.
pub(super) fn diagnoses(bytes: &[u8]) -> Result<Diagnoses, String> {
    let mut workbook = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut found = Diagnoses::default();
    for sheet in workbook.sheet_names() {
        let cells = sheet_cells(&mut workbook, &sheet)?;
        let rows: Vec<&[Data]> = cells.rows().collect();
        let Some((name, label, first)) = usual_columns(&rows).or_else(|| other_columns(&rows)) else {
            let text = |cell: &Data| format!("`{}`", cell.to_string().trim());
            let is_filled = |row: &&&[Data]| row.iter().any(|cell| !cell.to_string().trim().is_empty());
            let header = rows.iter().find(is_filled).map(|row| row.iter().take(SHOWN).map(text).collect::<Vec<_>>());
            found.other_headers.extend(header.map(|header| header.join(", ")));
            continue;
        };
        for row in &rows[first..] {
            let stem = stem(&row[name]);
            if !stem.is_empty() {
                found.rows.push(Diagnosis { stem, glaucoma: glaucoma(&row[label]) });
            }
        }
    }
    Ok(found)
}

/// The columns of names and of diagnoses by their usual headers, and the first row after the header.
fn usual_columns(rows: &[&[Data]]) -> Option<(usize, usize, usize)> {
    rows.iter().take(HEADER_ROWS).zip(1..).find_map(|(row, next)| {
        let column = |is_it: fn(&str) -> bool| row.iter().position(|cell| is_it(&letters(&cell.to_string())));
        Some((column(|text| text.starts_with("imgname") || text == "image")?, column(is_label)?, next))
    })
}

/// As [`usual_columns`], by what the cells hold.
fn other_columns(rows: &[&[Data]]) -> Option<(usize, usize, usize)> {
    let is_name = |cell: &Data| Name::parse(&stem(cell)).is_some();
    let first = rows.iter().take(HEADER_ROWS).position(|row| row.iter().any(is_name))?;
    let header = rows[first.checked_sub(1)?];
    let is_filled = |row: &&&[Data]| row.iter().any(|cell| !cell.to_string().trim().is_empty());
    let filled: Vec<&&[Data]> = rows[first..].iter().filter(is_filled).collect();
    let name = only((0..header.len()).filter(|&column| filled.iter().all(|row| is_name(&row[column]))))?;
    let is_diagnosis = |&column: &usize| {
        let title = letters(&header[column].to_string());
        LABELS.iter().any(|word| title.contains(word)) && filled.iter().all(|row| glaucoma(&row[column]).is_ok())
    };
    let label = only((0..header.len()).filter(is_diagnosis))?;
    Some((name, label, first))
}

/// The only item, if there is exactly one.
fn only(mut items: impl Iterator<Item = usize>) -> Option<usize> {
    items.next().filter(|_| items.next().is_none())
}

/// A cell without the extension of a file name.
fn stem(cell: &Data) -> String {
    cell.to_string().trim().split('.').next().unwrap_or_default().to_owned()
}

/// Whether a header is `Glaucoma Label`, `Label(Glaucoma=1)` or similar.
fn is_label(text: &str) -> bool {
    text.contains("glaucoma") && text.contains("label")
}

/// The letters and digits of `text`, in lower case.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn glaucoma(cell: &Data) -> Result<bool, String> {
    let text = cell.to_string();
    match text.trim().parse::<f64>() {
        Ok(1.0) => Ok(true),
        Ok(0.0) => Ok(false),
        _ => Err(text),
    }
}

/// A cell to write.
#[derive(Clone, Debug)]
pub(super) enum SheetCell {
    Text(String),
    Number(f64),
}

impl From<&str> for SheetCell {
    fn from(text: &str) -> Self {
        SheetCell::Text(text.to_owned())
    }
}

/// An Office Open XML workbook with one sheet of `rows`; the same rows give the same bytes.
pub(super) fn workbook(rows: &[Vec<SheetCell>]) -> zip::result::ZipResult<Vec<u8>> {
    workbook_of_sheet(&sheet_xml(&sheet_data(rows)))
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// The XML of a sheet with these rows.
fn sheet_xml(rows: &str) -> String {
    format!("{HEAD}<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>")
}

/// A workbook with one sheet, given as XML.
///
/// # Errors
/// If it cannot be packed.
pub(super) fn workbook_of_sheet(sheet: &str) -> zip::result::ZipResult<Vec<u8>> {
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    const DOCUMENT: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let relationship = |kind: &str, target: &str| {
        format!(
            "{HEAD}<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"rId1\" Type=\"{DOCUMENT}/{kind}\" \
             Target=\"{target}\"/></Relationships>"
        )
    };
    let types = format!(
        "{HEAD}<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Override PartName=\"/xl/workbook.xml\" ContentType=\"{TYPE}.sheet.main+xml\"/>\
         <Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"{TYPE}.worksheet+xml\"/></Types>"
    );
    let book = format!(
        "{HEAD}<workbook xmlns=\"{MAIN}\" xmlns:r=\"{DOCUMENT}\"><sheets><sheet name=\"Sheet1\" sheetId=\"1\" \
         r:id=\"rId1\"/></sheets></workbook>"
    );
    let parts = [
        ("[Content_Types].xml", types),
        ("_rels/.rels", relationship("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relationship("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", sheet.to_owned()),
    ];
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    for (name, text) in parts {
        archive.start_file(name, options)?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

fn sheet_data(rows: &[Vec<SheetCell>]) -> String {
    let mut text = String::new();
    for (row, cells) in (1..).zip(rows) {
        text += &format!("<row r=\"{row}\">");
        for (column, cell) in ('A'..='Z').zip(cells) {
            text += &match cell {
                SheetCell::Number(number) => format!("<c r=\"{column}{row}\"><v>{number}</v></c>"),
                SheetCell::Text(value) => {
                    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                    format!("<c r=\"{column}{row}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{value}</t></is></c>")
                }
            };
        }
        text += "</row>";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[Vec<SheetCell>]) -> Vec<Diagnosis> {
        diagnoses(&workbook(rows).unwrap()).unwrap().rows
    }

    fn diagnosis(stem: &str, glaucoma: Result<bool, &str>) -> Diagnosis {
        Diagnosis { stem: stem.into(), glaucoma: glaucoma.map_err(str::to_owned) }
    }

    #[test]
    fn columns_are_found_by_their_headers_wherever_they_are() {
        let expected = [diagnosis("V0001", Ok(true)), diagnosis("V0002", Ok(false))];
        let official: [Vec<SheetCell>; 3] = [
            vec!["ID".into(), "ImgName".into(), "Fovea_X".into(), "Fovea_Y".into(), "Glaucoma Label".into()],
            vec![
                SheetCell::Number(1.0),
                "V0001.jpg".into(),
                SheetCell::Number(7.5),
                SheetCell::Number(8.0),
                SheetCell::Number(1.0),
            ],
            vec![
                SheetCell::Number(2.0),
                "V0002.jpg".into(),
                SheetCell::Number(7.5),
                SheetCell::Number(8.0),
                SheetCell::Number(0.0),
            ],
        ];
        assert_eq!(read(&official), expected);
        let turned: [Vec<SheetCell>; 4] = [
            vec!["made <by> hand & eye".into()],
            vec!["Label(Glaucoma=1)".into(), "".into(), "Img Name".into()],
            vec!["1".into(), "".into(), " V0001 ".into()],
            vec![SheetCell::Number(0.0), "".into(), "V0002.JPG".into()],
        ];
        assert_eq!(read(&turned), expected);
    }

    #[test]
    fn renamed_columns_are_found_where_they_are_the_only_ones_of_their_kind() {
        let expected = [diagnosis("V0001", Ok(true)), diagnosis("V0002", Ok(false))];
        let number = SheetCell::Number;
        let sheet = |header: [&str; 4]| {
            let row = |name: &str, glaucoma: f64| vec![name.into(), number(0.0), number(glaucoma), number(1.0)];
            [header.map(SheetCell::from).to_vec(), row("V0001.jpg", 1.0), row("V0002.jpg", 0.0)]
        };
        assert_eq!(read(&sheet(["file", "fold", "diagnosis", "eye"])), expected);
        // Two columns may be meant.
        let twice = diagnoses(&workbook(&sheet(["file", "fold", "diagnosis", "label"])).unwrap()).unwrap();
        assert_eq!(
            (twice.rows, &twice.other_headers[..]),
            (vec![], &["`file`, `fold`, `diagnosis`, `label`".to_owned()][..])
        );
        let other = diagnoses(&workbook(&[vec!["a".into(), "b".into()]]).unwrap()).unwrap();
        assert_eq!(other.other_headers, ["`a`, `b`"]);
    }

    #[test]
    fn what_is_neither_0_nor_1_is_told_and_empty_rows_are_skipped() {
        let rows: [Vec<SheetCell>; 4] = [
            vec!["ImgName".into(), "Glaucoma Label".into()],
            vec!["T0001.jpg".into(), "yes".into()],
            vec!["".into(), SheetCell::Number(1.0)],
            vec!["T0002.jpg".into(), SheetCell::Number(2.0)],
        ];
        assert_eq!(read(&rows), [diagnosis("T0001", Err("yes")), diagnosis("T0002", Err("2"))]);
    }

    #[test]
    fn a_sheet_without_diagnoses_has_none_and_other_bytes_are_no_workbook() {
        assert_eq!(
            read(&[vec!["ImgName".into(), "Fovea_X".into()], vec!["g0001.jpg".into(), SheetCell::Number(1.0)]]),
            []
        );
        assert!(diagnoses(b"ID,ImgName").is_err());
        let whole = workbook(&[vec!["ImgName".into(), "Glaucoma Label".into()]]).unwrap();
        assert!(diagnoses(&whole[..whole.len() / 2]).is_err());
    }
}
