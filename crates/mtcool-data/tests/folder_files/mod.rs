//! Small folders of pictures, masks and tables, written for one test.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::Write;
use std::path::{Path, PathBuf};

use image::{ImageBuffer, Luma, Rgb};
use mtcool_data::folder::{Folder, FolderConfig, OpenOptions};
use mtcool_data::{Error, Result};
use serde_json::{Value, json};

/// A folder that is deleted after the test, with a cache beside it.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions { cache: self.0.path().join("cache"), read_parquet: None }
    }

    /// The path of `name`, whose folder exists.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(crate) fn text(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A picture of `width` x `height` pixels whose colours follow from `number`.
    pub(crate) fn picture(&self, name: &str, number: u32, [height, width]: [u32; 2]) {
        let color = |x: u32, y: u32, c: u32| (x * 7 + y * 13 + c * 29 + number * 53 + x * y % 5 * 11) as u8;
        let picture = ImageBuffer::from_fn(width, height, |x, y| Rgb([0, 1, 2].map(|c| color(x, y, c))));
        picture.save(self.path(name)).unwrap();
    }

    /// A mask whose left half is `left` and whose right half is `right`.
    pub(crate) fn mask(&self, name: &str, [height, width]: [u32; 2], left: u8, right: u8) {
        let mask = ImageBuffer::from_fn(width, height, |x, _| Luma([if x < width / 2 { left } else { right }]));
        mask.save(self.path(name)).unwrap();
    }

    /// Twenty-four cases `a00` to `a23` of 12 x 16 pixels with masks, a class, two properties and a number; every fourth lacks
    /// one of the labels.
    pub(crate) fn twenty_four(&self) -> Value {
        let mut table = "case,patient,split,grade,wet,dry,age\n".to_owned();
        for k in 0..24 {
            self.picture(&format!("images/a{k:02}.png"), k, [12, 16]);
            if k % 4 != 3 {
                self.mask(&format!("masks/a{k:02}.png"), [12, 16], 0, 255);
            }
            let part = ["train", "train", "val", "test"][k as usize / 6];
            let text = |is_known: bool, text: String| if is_known { text } else { String::new() };
            let grade = text(k % 4 != 0, (k % 2).to_string());
            let wet = text(k % 4 != 1, (k % 3 % 2).to_string());
            let (dry, age) = (1 - k % 3 % 2, text(k % 4 != 2, format!("{}", 40 + k)));
            table += &format!("a{k:02},p{},{part},{grade},{wet},{dry},{age}\n", k / 2);
        }
        self.text("labels.csv", &table);
        json!({
            "images": "images/{case}.png",
            "table": "labels.csv",
            "group": "patient",
            "size": [12, 16],
            "split": { "column": "split" },
            "tasks": [
                { "name": "area", "kind": "segmentation", "mask": "masks/{case}.png",
                  "classes": { "0": "background", "255": "area" } },
                { "name": "grade", "kind": "classification", "column": "grade", "classes": [0, 1] },
                { "name": "signs", "kind": "multilabel", "columns": ["wet", "dry"] },
                { "name": "age", "kind": "regression", "column": "age", "unit": "years", "range": [0, 120] },
            ],
        })
    }

    pub(crate) fn open(&self, config: &Value) -> Result<Folder> {
        Folder::open(&self.root(), &settings(config), &self.options(), &|_, _| {})
    }

    /// The message of the error when the folder is opened.
    pub(crate) fn refused(&self, config: &Value) -> String {
        match self.open(config) {
            Err(error @ Error::Problems(_)) => error.to_string(),
            other => panic!("expected problems, got {:?}", other.map(|folder| folder.cases().len())),
        }
    }
}

pub(crate) fn settings(config: &Value) -> FolderConfig {
    serde_json::from_value(config.clone()).unwrap()
}

/// A workbook with one sheet of texts and numbers.
pub(crate) fn write_workbook(file: &Path, rows: &[&[&str]]) {
    let mut data = String::new();
    for (row, cells) in (1..).zip(rows) {
        data += &format!("<row r=\"{row}\">");
        for (column, cell) in ('A'..='Z').zip(*cells).filter(|(_, cell)| !cell.is_empty()) {
            data += &match cell.parse::<f64>() {
                Ok(_) => format!("<c r=\"{column}{row}\"><v>{cell}</v></c>"),
                Err(_) => format!("<c r=\"{column}{row}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>"),
            };
        }
        data += "</row>";
    }
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let link = |kind: &str, target: &str| {
        format!(
            "{head}<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"rId1\" Type=\"{office}/{kind}\" \
             Target=\"{target}\"/></Relationships>"
        )
    };
    let sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let types = format!(
        "{head}<Types xmlns=\"{package}/content-types\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/xl/workbook.xml\" \
         ContentType=\"{sheet}.sheet.main+xml\"/><Override PartName=\"/xl/worksheets/sheet1.xml\" \
         ContentType=\"{sheet}.worksheet+xml\"/></Types>"
    );
    let book = format!(
        "{head}<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"Labels\" sheetId=\"1\" \
         r:id=\"rId1\"/></sheets></workbook>"
    );
    let parts = [
        ("[Content_Types].xml", types),
        ("_rels/.rels", link("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", link("worksheet", "worksheets/sheet1.xml")),
        (
            "xl/worksheets/sheet1.xml",
            format!("{head}<worksheet xmlns=\"{main}\"><sheetData>{data}</sheetData></worksheet>"),
        ),
    ];
    let mut archive = zip::ZipWriter::new(std::fs::File::create(file).unwrap());
    for (name, text) in parts {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
}
