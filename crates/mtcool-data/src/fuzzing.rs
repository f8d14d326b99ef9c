//! The parsers of this crate as functions of bytes, for the fuzz tests. No part of the interface.

use std::path::Path;

use crate::refuge::fuzzing as refuge;
use crate::{folder, hrf_av, mnist, picture};

/// A picture of any format: whole, upright, as red, green and blue.
pub fn photograph(bytes: &[u8]) {
    if let Ok((picture, _)) = picture::decode_upright(bytes) {
        drop(picture::Picture::rgb(picture).reduced(2));
    }
}

/// A mask of disc and cup, by the codes that it shows itself and by the official ones.
pub fn disc_mask(bytes: &[u8]) {
    refuge::disc_mask(bytes);
}

/// A mask or a picture of any number of channels in a user's folder.
pub fn folder_picture(bytes: &[u8]) {
    folder::fuzzing::picture(bytes);
}

/// An IDX file of images or of labels, plain or packed.
pub fn idx(bytes: &[u8], scratch: &Path) {
    mnist::fuzzing::idx(bytes, scratch);
}

/// A workbook with diagnoses.
pub fn workbook(bytes: &[u8]) {
    refuge::workbook(bytes);
}

/// The XML of a sheet, in a workbook around it.
pub fn sheet(bytes: &[u8]) {
    refuge::sheet(bytes);
}

/// A table of labels as text.
pub fn label_table(bytes: &[u8], scratch: &Path) {
    let file = scratch.join("labels.csv");
    if std::fs::write(&file, bytes).is_ok() {
        drop(folder::Table::read(&file, None, None));
    }
}

/// An archive of digits (tar, packed by gzip) or of photographs (ZIP), which is unpacked into `scratch`.
pub fn archive(bytes: &[u8], scratch: &Path) {
    let file = scratch.join("archive");
    if std::fs::write(&file, bytes).is_ok() {
        mnist::fuzzing::archive(&file);
        hrf_av::fuzzing::archive(&file, &scratch.join("set"));
    }
}

/// The manifest of a drawn set of each kind.
pub fn manifest(bytes: &[u8], scratch: &Path) {
    let file = scratch.join("synthetic.json");
    if std::fs::write(&file, bytes).is_ok() {
        drop(mnist::verify(scratch));
        drop(hrf_av::origin(scratch));
        refuge::manifest(scratch);
        drop(folder::drawn(scratch));
    }
}
