//! Looks into an unknown folder: tables, and the pictures and masks of its cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use image::ImageReader;

use super::decode::decode;
use super::mask::MaskPixels;
use super::value::MaskValue;
use crate::files::is_transient;
use crate::picture::is_picture;

/// How deep folders are looked into.
const DEPTH: usize = 3;
/// The number of files of each kind that are decoded, and of which the size is read.
const DECODED: usize = 12;
const MEASURED: usize = 200;
/// The largest number of values that all decoded masks of a kind have.
const MOST_VALUES: usize = 32;
/// Cases whose files are searched to learn how files are named.
const ASKED: usize = 20;

/// The files of a folder that matter, relative to the folder.
#[derive(Default)]
pub(super) struct Files {
    pub(super) tables: Vec<PathBuf>,
    pub(super) pictures: Vec<PathBuf>,
}

impl Files {
    /// All tables and pictures below `root`.
    pub(super) fn below(root: &Path) -> Self {
        let mut files = Self::default();
        files.add(root, Path::new(""), DEPTH);
        files
    }

    fn add(&mut self, root: &Path, folder: &Path, depth: usize) {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<PathBuf> = entries.map(|entry| folder.join(entry.file_name())).collect();
        names.sort();
        for name in names {
            let text = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if is_transient(&text) {
                continue;
            }
            if root.join(&name).is_dir() {
                if depth > 1 {
                    self.add(root, &name, depth - 1);
                }
                continue;
            }
            match name.extension().map(|extension| extension.to_string_lossy().to_lowercase()).as_deref() {
                Some(_) if is_picture(&name) => self.pictures.push(name),
                Some("csv" | "tsv" | "xlsx" | "xls" | "ods" | "parquet") => self.tables.push(name),
                _ => {}
            }
        }
    }
}

/// Pictures with names of one pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PictureKind {
    /// The pattern with `{case}`.
    pub(super) pattern: String,
    /// The file of each case that has one.
    pub(super) files: Vec<PathBuf>,
}

/// The kinds of pictures whose names contain the names of `cases`, the most frequent first.
pub(super) fn kinds(pictures: &[PathBuf], cases: &[&str]) -> Vec<PictureKind> {
    let known: BTreeSet<&Path> = pictures.iter().map(PathBuf::as_path).collect();
    let texts: Vec<String> = pictures.iter().map(|picture| picture.to_string_lossy().replace('\\', "/")).collect();
    let mut patterns: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let step = cases.len().div_ceil(ASKED).max(1);
    for case in cases.iter().step_by(step).filter(|case| !case.is_empty()) {
        for text in &texts {
            let name = text.rfind('/').map_or(0, |slash| slash + 1);
            if let Some(place) = text[name..].find(case) {
                let place = name + place;
                *patterns.entry((&text[..place], &text[place + case.len()..])).or_default() += 1;
            }
        }
    }
    let of_pattern = |(before, after): (&str, &str)| {
        let files = cases.iter().map(|case| PathBuf::from(format!("{before}{case}{after}")));
        let files = files.filter(|file| known.contains(file.as_path())).collect();
        PictureKind { pattern: format!("{before}{{case}}{after}"), files }
    };
    let mut kinds: Vec<PictureKind> = patterns.into_keys().map(of_pattern).collect();
    join_extensions(&mut kinds);
    kinds.sort_by(|a, b| b.files.len().cmp(&a.files.len()).then_with(|| a.pattern.cmp(&b.pattern)));
    // Names that contain another case's name by chance fit few cases only.
    let most = kinds.first().map_or(0, |kind| kind.files.len());
    kinds.retain(|kind| 5 * kind.files.len() >= most && !kind.files.is_empty());
    kinds
}

/// Makes one kind with any extension of kinds that differ in nothing else and have no case in common, such as `{case}.png` and
/// `{case}.PNG`. Where a case has both, they are a picture and its mask.
fn join_extensions(kinds: &mut Vec<PictureKind>) {
    let stem = |kind: &PictureKind| kind.pattern.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    let names = |kind: &PictureKind| kind.files.iter().map(|file| file.with_extension("")).collect::<BTreeSet<_>>();
    let mut joined: Vec<PictureKind> = Vec::new();
    for kind in std::mem::take(kinds) {
        let is_alike = |other: &PictureKind| stem(other) == stem(&kind) && names(other).is_disjoint(&names(&kind));
        match (joined.iter().position(is_alike), stem(&kind)) {
            (Some(at), Some(stem)) => {
                joined[at].pattern = format!("{stem}.*");
                joined[at].files.extend(kind.files);
                joined[at].files.sort();
            }
            _ => joined.push(kind),
        }
    }
    *kinds = joined;
}

/// What some pictures of a kind show.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    /// Values of all pixels with their numbers, if they are few enough for masks.
    pub(super) values: Option<BTreeMap<MaskValue, u64>>,
    /// Channels without alpha of each picture.
    pub(super) channels: BTreeSet<usize>,
    /// (height, width) of each picture.
    pub(super) sizes: Vec<[usize; 2]>,
}

impl Look {
    /// Looks at some of `kind`, of which the files lie below `root`.
    pub(super) fn at(root: &Path, kind: &PictureKind) -> Self {
        let mut look = Self { values: Some(BTreeMap::new()), channels: BTreeSet::new(), sizes: Vec::new() };
        for file in spread(&kind.files, MEASURED) {
            let reader = ImageReader::open(root.join(file)).and_then(ImageReader::with_guessed_format);
            if let Some((width, height)) = reader.ok().and_then(|reader| reader.into_dimensions().ok()) {
                look.sizes.push([height as usize, width as usize]);
            }
        }
        for file in spread(&kind.files, DECODED) {
            let Some(decoded) = fs::read(root.join(file)).ok().and_then(|bytes| decode(&bytes).ok()) else { continue };
            let pixels = decoded.opaque();
            look.channels.insert(pixels.channels);
            if look.sizes.is_empty() {
                look.sizes.push([pixels.height, pixels.width]);
            }
            let counts = MaskPixels::of_pixels(pixels).and_then(|mask| mask.counts());
            look.values = match (look.values, counts) {
                (Some(mut values), Ok(counts)) => {
                    counts.into_iter().for_each(|(value, count)| *values.entry(value).or_insert(0) += count);
                    (values.len() <= MOST_VALUES).then_some(values)
                }
                _ => None,
            };
        }
        look.values = look.values.filter(|values| !values.is_empty());
        look
    }
}

/// Up to `count` of `files`, spread evenly.
fn spread(files: &[PathBuf], count: usize) -> impl Iterator<Item = &PathBuf> {
    let count = count.min(files.len());
    (0..count).map(move |index| &files[index * files.len() / count])
}
