//! A whole set of tiny photographs in the official layout or another one, without the marks of synthetic sets.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, GrayImage, ImageFormat, RgbImage};

/// (height, width) of the photographs.
pub(crate) const SIZE: [u32; 2] = [24, 32];

/// The values of background, rim and cup in masks.
#[derive(Clone, Copy)]
pub(crate) enum Coding {
    Official,
    BackgroundZero,
    CupZero,
    /// The values of the official coding in other roles.
    Swapped,
    /// Values of no usual coding.
    Other,
}

/// Where files lie and how masks are coded.
pub(crate) struct Layout<'a> {
    /// From the official path of a file to its path in this layout.
    pub(crate) place: &'a dyn Fn(&Path) -> PathBuf,
    pub(crate) coding: Coding,
}

impl Default for Layout<'_> {
    fn default() -> Self {
        Self { place: &Path::to_owned, coding: Coding::Official }
    }
}

/// The properties of a photograph, which follow from its name.
pub(crate) struct Plain {
    pub(crate) glaucoma: bool,
    pub(crate) color: [u8; 3],
}

/// The properties of the photograph `name`, and the classes of its crop of 16 x 16: a disc of 8 x 8 around a cup of 4 x 4.
pub(crate) fn plain(name: &str) -> (Plain, Vec<u8>) {
    let number: u32 = name[1..].parse().unwrap();
    let glaucoma = name.starts_with('g') || (!name.starts_with('n') && number.is_multiple_of(10));
    let color = [150 + (number % 97) as u8, 50 + (number % 89) as u8, name.as_bytes()[0] / 2];
    (Plain { glaucoma, color }, (0..256).map(|index| class(index / 16, index % 16, [4, 4])).collect())
}

/// The class of a pixel, if the disc begins at row `top` and column `left`.
fn class(row: u32, column: u32, [top, left]: [u32; 2]) -> u8 {
    let within = |margin: u32| {
        (top + margin..top + 8 - margin).contains(&row) && (left + margin..left + 8 - margin).contains(&column)
    };
    u8::from(within(0)) + u8::from(within(2))
}

/// A photograph of one colour as a JPEG file.
pub(crate) fn jpeg(color: [u8; 3], [height, width]: [u32; 2]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, image::Rgb(color)).write_to(&mut file, ImageFormat::Jpeg).unwrap();
    file.into_inner()
}

/// The photograph `name` as a JPEG file: of one colour, except for blocks at the left and right that tell its name, so that no
/// two photographs are the same.
pub(crate) fn photograph(name: &str) -> Vec<u8> {
    let [height, width] = SIZE;
    let (color, number) = (plain(name).0.color, name[1..].parse::<u32>().unwrap());
    let letter = "gnVT".find(&name[..1]).unwrap() as u32;
    let pixel = |x: u32, y: u32| match (x / 8, y / 8) {
        (0, block) => image::Rgb([(8 + 16 * (number >> (4 * block) & 15)) as u8; 3]),
        (3, 0) => image::Rgb([(8 + 64 * letter) as u8; 3]),
        _ => image::Rgb(color),
    };
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, pixel).write_to(&mut file, ImageFormat::Jpeg).unwrap();
    file.into_inner()
}

/// `jpeg` with a tag of EXIF that gives the orientation, as cameras write it.
pub(crate) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    let exif = [&b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

/// A mask as a BMP file, with `code` of each class as its value.
pub(crate) fn mask([height, width]: [u32; 2], code: impl Fn(u8) -> u8) -> Vec<u8> {
    let picture = GrayImage::from_fn(width, height, |x, y| image::Luma([code(class(y, x, [8, 12]))]));
    let mut file = Vec::new();
    let mut encoder = image::codecs::bmp::BmpEncoder::new(&mut file);
    encoder.encode(&picture, width, height, ExtendedColorType::L8).unwrap();
    file
}

/// A spreadsheet of text cells.
pub(crate) fn sheet(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let rows = std::iter::once(header.iter().map(|&title| title.to_owned()).collect()).chain(rows);
    let mut data = String::new();
    for (number, row) in (1..).zip(rows) {
        data += &format!("<row r=\"{number}\">");
        for (column, text) in ('A'..).zip(row) {
            data += &format!("<c r=\"{column}{number}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
        }
        data += "</row>";
    }
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let relation = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{office}/{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let book = format!(
        "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("_rels/.rels", relation("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", format!("<worksheet xmlns=\"{main}\"><sheetData>{data}</sheetData></worksheet>")),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Writes all 1200 photographs with masks and spreadsheets, whose columns are in another order than the official ones.
pub(crate) fn write_set(folder: &Path, layout: &Layout<'_>) {
    let write = |path: String, bytes: &[u8]| {
        let path = folder.join((layout.place)(Path::new(&path)));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let codes = match layout.coding {
        Coding::Official => [255, 128, 0],
        Coding::BackgroundZero => [0, 1, 2],
        Coding::CupZero => [2, 1, 0],
        Coding::Swapped => [0, 128, 255],
        Coding::Other => [1, 3, 2],
    };
    let mask = mask(SIZE, |class| codes[usize::from(class)]);
    let (train, validation, test) = ("Annotation-Training400", "REFUGE-Validation400-GT", "REFUGE-Test-GT");
    for (letter, count) in [('g', 40), ('n', 360), ('V', 400), ('T', 400)] {
        for number in 1..=count {
            let name = format!("{letter}{number:04}");
            let plain = plain(&name).0;
            let (images, masks) = match (letter, plain.glaucoma) {
                ('g', _) => ("Training400/Glaucoma", format!("{train}/Disc_Cup_Masks/Glaucoma")),
                ('n', _) => ("Training400/Non-Glaucoma", format!("{train}/Disc_Cup_Masks/Non-Glaucoma")),
                ('V', _) => ("REFUGE-Validation400", format!("{validation}/Disc_Cup_Masks")),
                (_, true) => ("Test400", format!("{test}/Disc_Cup_Masks/G")),
                (_, false) => ("Test400", format!("{test}/Disc_Cup_Masks/N")),
            };
            write(format!("{images}/{name}.jpg"), &photograph(&name));
            write(format!("{masks}/{name}.bmp"), &mask);
        }
    }
    let label = |name: &str| u8::from(plain(name).0.glaucoma).to_string();
    let names = |letter: char| (1..=400).map(move |number| format!("{letter}{number:04}"));
    let rows = names('V').map(|name| vec![label(&name), "7".into(), format!("{name}.jpg")]);
    write(format!("{validation}/Fovea_locations.xlsx"), &sheet(&["Glaucoma Label", "Fovea_X", "ImgName"], rows));
    let rows = names('T').map(|name| vec![format!("{name}.jpg"), "x".into(), label(&name)]);
    let header = ["ImgName", "ID", "Label(Glaucoma=1)"];
    write(format!("{test}/Glaucoma_label_and_Fovea_location.xlsx"), &sheet(&header, rows));
    let rows = std::iter::once(vec!["g0001.jpg".into(), "7".into()]);
    write(format!("{train}/Fovea_location.xlsx"), &sheet(&["ImgName", "Fovea_X"], rows));
}
