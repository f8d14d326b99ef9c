//! Spreadsheets: diagnoses by their columns' headers, and the writing of small workbooks.

use std::io::{Cursor, Write};

use calamine::{Data, Reader, open_workbook_auto_from_rs};
use zip::write::SimpleFileOptions;

/// A header is looked for in the first rows only.
const HEADER_ROWS: usize = 10;

/// A row of a spreadsheet with diagnoses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The photograph's file name without extension, as it is written there.
    pub(super) stem: String,
    /// Whether it shows glaucoma, or what stands there instead of 0 or 1.
    pub(super) glaucoma: Result<bool, String>,
}

/// The diagnoses of a workbook: from each sheet that has one column of image names and one of glaucoma labels, whatever their
/// positions. None if no sheet has both.
///
/// # Errors
/// If the bytes are no workbook.
pub(super) fn diagnoses(bytes: &[u8]) -> Result<Vec<Diagnosis>, String> {
    let mut workbook = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for sheet in workbook.sheet_names() {
        let cells = workbook.worksheet_range(&sheet).map_err(|error| error.to_string())?;
        let mut rows = cells.rows();
        let columns = rows.by_ref().take(HEADER_ROWS).find_map(|row| {
            let column = |is_it: fn(&str) -> bool| row.iter().position(|cell| is_it(&letters(&cell.to_string())));
            Some((column(|text| text.starts_with("imgname") || text == "image")?, column(is_label)?))
        });
        let Some((name, label)) = columns else { continue };
        for row in rows {
            let text = row[name].to_string();
            let stem = text.trim().split('.').next().unwrap_or_default();
            if !stem.is_empty() {
                found.push(Diagnosis { stem: stem.to_owned(), glaucoma: glaucoma(&row[label]) });
            }
        }
    }
    Ok(found)
}

/// `Glaucoma Label`, `Label(Glaucoma=1)` and their like.
fn is_label(text: &str) -> bool {
    text.contains("glaucoma") && text.contains("label")
}

/// Lower-case letters and digits.
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
pub(super) enum Cell {
    Text(String),
    Number(f64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

/// An Office Open XML workbook with one sheet of `rows`; the same rows give the same bytes.
pub(super) fn workbook(rows: &[Vec<Cell>]) -> zip::result::ZipResult<Vec<u8>> {
    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    const DOCUMENT: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
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
    let sheet = format!("{HEAD}<worksheet xmlns=\"{MAIN}\"><sheetData>{}</sheetData></worksheet>", sheet_data(rows));
    let parts = [
        ("[Content_Types].xml", types),
        ("_rels/.rels", relationship("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relationship("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    for (name, text) in parts {
        archive.start_file(name, options)?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

fn sheet_data(rows: &[Vec<Cell>]) -> String {
    let mut text = String::new();
    for (row, cells) in (1..).zip(rows) {
        text += &format!("<row r=\"{row}\">");
        for (column, cell) in ('A'..='Z').zip(cells) {
            text += &match cell {
                Cell::Number(number) => format!("<c r=\"{column}{row}\"><v>{number}</v></c>"),
                Cell::Text(value) => {
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

    fn read(rows: &[Vec<Cell>]) -> Vec<Diagnosis> {
        diagnoses(&workbook(rows).unwrap()).unwrap()
    }

    fn diagnosis(stem: &str, glaucoma: Result<bool, &str>) -> Diagnosis {
        Diagnosis { stem: stem.into(), glaucoma: glaucoma.map_err(str::to_owned) }
    }

    #[test]
    fn columns_are_found_by_their_headers_wherever_they_are() {
        let expected = [diagnosis("V0001", Ok(true)), diagnosis("V0002", Ok(false))];
        let official: [Vec<Cell>; 3] = [
            vec!["ID".into(), "ImgName".into(), "Fovea_X".into(), "Fovea_Y".into(), "Glaucoma Label".into()],
            vec![Cell::Number(1.0), "V0001.jpg".into(), Cell::Number(7.5), Cell::Number(8.0), Cell::Number(1.0)],
            vec![Cell::Number(2.0), "V0002.jpg".into(), Cell::Number(7.5), Cell::Number(8.0), Cell::Number(0.0)],
        ];
        assert_eq!(read(&official), expected);
        let turned: [Vec<Cell>; 4] = [
            vec!["made <by> hand & eye".into()],
            vec!["Label(Glaucoma=1)".into(), "".into(), "Img Name".into()],
            vec!["1".into(), "".into(), " V0001 ".into()],
            vec![Cell::Number(0.0), "".into(), "V0002.JPG".into()],
        ];
        assert_eq!(read(&turned), expected);
    }

    #[test]
    fn what_is_neither_0_nor_1_is_told_and_empty_rows_are_skipped() {
        let rows: [Vec<Cell>; 4] = [
            vec!["ImgName".into(), "Glaucoma Label".into()],
            vec!["T0001.jpg".into(), "yes".into()],
            vec!["".into(), Cell::Number(1.0)],
            vec!["T0002.jpg".into(), Cell::Number(2.0)],
        ];
        assert_eq!(read(&rows), [diagnosis("T0001", Err("yes")), diagnosis("T0002", Err("2"))]);
    }

    #[test]
    fn a_sheet_without_diagnoses_has_none_and_other_bytes_are_no_workbook() {
        assert_eq!(read(&[vec!["ImgName".into(), "Fovea_X".into()], vec!["g0001.jpg".into(), Cell::Number(1.0)]]), []);
        assert!(diagnoses(b"ID,ImgName").is_err());
        let whole = workbook(&[vec!["ImgName".into(), "Glaucoma Label".into()]]).unwrap();
        assert!(diagnoses(&whole[..whole.len() / 2]).is_err());
    }
}
