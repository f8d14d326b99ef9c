//! Every parser of files, fed with damaged ones: none may panic, hang, take more than 1 GiB or write to another place. A plain
//! `cargo test` takes a few hundred inputs for each; `cargo xtask fuzz [TARGET] --minutes N` takes as long as one likes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod fuzzer;

use std::io::{Cursor, Write};

use fuzzer::Target;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use mtcool_data::fuzzing;

/// `picture` as a file of each of these formats.
fn encoded(picture: &DynamicImage, formats: &[ImageFormat]) -> Vec<Vec<u8>> {
    let encode = |format: &ImageFormat| {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, *format).unwrap();
        file.into_inner()
    };
    formats.iter().map(encode).collect()
}

const ALL: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp];
const LOSSLESS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp];

fn photograph() -> DynamicImage {
    let value = |x: u32, y: u32, c: u32| (x * 7 + y * 13 + c * 29 + x * y % 11 * 17) as u8;
    RgbImage::from_fn(20, 14, |x, y| Rgb([value(x, y, 0), value(x, y, 1), value(x, y, 2)])).into()
}

/// A photograph of each format; the JPEG file also with an orientation.
fn photographs() -> Vec<Vec<u8>> {
    let mut all = encoded(&photograph(), &ALL);
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
    let exif = [&b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    all.push([&all[0][..2], &[0xff, 0xe1], &length, &exif, &all[0][2..]].concat());
    all.extend(encoded(&photograph().to_luma16().into(), &LOSSLESS[..2]));
    all
}

/// A mask of disc and cup in several codings and formats.
fn masks() -> Vec<Vec<u8>> {
    let class = |x: u32, y: u32| {
        let within = |margin: u32| (6 + margin..14 - margin).contains(&x) && (4 + margin..12 - margin).contains(&y);
        usize::from(within(0)) + usize::from(within(2))
    };
    let mask =
        |codes: [u8; 3]| -> DynamicImage { GrayImage::from_fn(20, 16, |x, y| Luma([codes[class(x, y)]])).into() };
    let mut all = encoded(&mask([255, 128, 0]), &LOSSLESS);
    all.extend(encoded(&mask([0, 1, 2]), &LOSSLESS));
    all.extend(encoded(&DynamicImage::from(mask([0, 128, 255]).to_luma16()), &LOSSLESS[..2]));
    all
}

/// Writes the checksum of each chunk of a PNG file anew.
fn repair_png(bytes: &mut [u8]) {
    if !bytes.starts_with(b"\x89PNG") {
        return;
    }
    let mut place = 8;
    while let Some(length) = bytes.get(place..place + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(end) = place.checked_add(8 + length).filter(|end| end + 4 <= bytes.len()) else { return };
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[place + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        place = end + 4;
    }
}

#[test]
fn photographs_of_all_formats() {
    let target = Target::new("photograph", photographs(), |bytes, _| fuzzing::photograph(bytes));
    Target { repair: repair_png, ..target }.check();
}

#[test]
fn masks_of_disc_and_cup() {
    let target = Target::new("disc_mask", masks(), |bytes, _| fuzzing::disc_mask(bytes));
    Target { repair: repair_png, ..target }.check();
}

#[test]
fn pictures_of_a_users_folder() {
    let seeds = [photographs(), masks()].concat();
    let target = Target::new("folder_picture", seeds, |bytes, _| fuzzing::folder_picture(bytes));
    Target { repair: repair_png, ..target }.check();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_files() {
    let idx = |sides: &[u32], bytes: &[u8]| {
        let head = [0, 0, 8, sides.len() as u8].into_iter().chain(sides.iter().flat_map(|side| side.to_be_bytes()));
        head.chain(bytes.iter().copied()).collect::<Vec<u8>>()
    };
    let plain = [idx(&[1, 28, 28], &[9; 784]), idx(&[3], &[1, 2, 3])];
    let packed = plain.each_ref().map(|bytes| gzip(bytes));
    Target::new("idx", [plain, packed].concat(), fuzzing::idx).check();
}

const SHEET: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
    <worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><dimension ref=\"A1:B3\"/><sheetData>\
    <row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>ImgName</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>Glaucoma Label</t></is></c></row>\
    <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>V0001.jpg</t></is></c><c r=\"B2\"><v>1</v></c></row>\
    <row r=\"3\"><c r=\"A3\" t=\"str\"><v>V0002.jpg</v></c><c r=\"B3\" t=\"b\"><v>0</v></c></row></sheetData></worksheet>";

/// A workbook whose sheet is [`SHEET`], packed with and without compression.
fn workbooks() -> Vec<Vec<u8>> {
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" \
             Type=\"{office}/{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let book = format!(
        "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"{office}\"><sheets><sheet name=\"S\" \
         sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let parts = [
        ("_rels/.rels", relation("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", SHEET.to_owned()),
    ];
    [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated].map(|method| packed(method, &parts)).into()
}

fn packed(method: zip::CompressionMethod, parts: &[(&str, String)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn workbooks_with_diagnoses() {
    Target::new("workbook", workbooks(), |bytes, _| fuzzing::workbook(bytes)).check();
}

#[test]
fn sheets_inside_of_workbooks() {
    let words = &[
        "<row r=\"1048576\">",
        "<c r=\"XFD1048576\">",
        "<c r=\"A0\">",
        "<c r=\"ZZZZZZZ1\">",
        "</row>",
        "</c>",
        "<v>",
        "t=\"e\"",
        "t=\"s\"",
        "t=\"d\"",
        "<is><t>",
        "s=\"99\"",
        "&#0;",
        "<mergeCell ref=\"A1:XFD1048576\"/>",
    ];
    let target = Target::new("sheet", vec![SHEET.as_bytes().to_vec()], |bytes, _| fuzzing::sheet(bytes));
    Target { words, ..target }.check();
}

#[test]
fn tables_of_labels() {
    let seeds =
        ["case,age,sex\na,1,f\nb,,m\n", "\u{feff}case;age\r\n\"a;1\";\"2\"\"\"\r\n\r\nb;3\r\n", "case\tx\na\t1\n"];
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).into();
    let words = &["\"", "\"\"", "\r\n", "\n\n", ",,,,", "\u{feff}", "\0", ";", "\t"];
    Target { words, ..Target::new("label_table", seeds, fuzzing::label_table) }.check();
}

#[test]
fn archives_of_digits_and_photographs() {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in
        [("package/package.json", &b"{}"[..]), ("package/data/train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 0])]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let names = ["images/01_dr.JPG", "all/manual1/01_dr.tif", "../../../manual1/x", "manual1/..", "/etc/manual1/y"];
    let parts = names.map(|name| (name, "content of a file".to_owned()));
    let mut seeds = vec![
        gzip(&tar),
        packed(zip::CompressionMethod::Stored, &parts),
        packed(zip::CompressionMethod::Deflated, &parts),
    ];
    seeds.push(gzip(&[&tar[..], &tar].concat()));
    Target { words: &["../", "manual1/", "images/", "\\"], ..Target::new("archive", seeds, fuzzing::archive) }.check();
}

#[test]
fn manifests_of_drawn_sets() {
    let seeds = [
        r#"{"generator":5,"seed":3,"md5":["a","b","c","d"]}"#,
        r#"{"generator":5,"seed":3,"numbers":3,"size":[48,36]}"#,
        r#"{"version":2,"generator":5,"config":{"train":4,"validation":2,"test":2,"size":{"shrunk":16},"seed":1},"files":{"a/b.jpg":"00"}}"#,
        r#"{"cases":12,"side":64,"seed":1}"#,
    ];
    let words = &["null", "[]", "{}", "4294967295", "{\"fixed\":[96,96]}", "\"\"", "-1", "1e308"];
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).into();
    Target { words, ..Target::new("manifest", seeds, fuzzing::manifest) }.check();
}
