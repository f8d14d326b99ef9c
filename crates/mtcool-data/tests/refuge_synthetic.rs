//! Synthetic photographs in REFUGE's layout: complete, repeatable, readable, and never taken for real ones.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mtcool_data::fundus::GENERATOR;
use mtcool_data::refuge::{CropPlacement, DrawnSize, Refuge, RefugeConfig, RefugePart, RefugeSynthesis, verify};
use mtcool_data::{Error, Origin, ProblemKind};

const SMALL: RefugeSynthesis =
    RefugeSynthesis { train: 12, validation: 11, test: 6, size: DrawnSize::Fixed([96, 120]), seed: 3 };

fn draw(config: RefugeSynthesis) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    config.draw(folder.path(), &|_, _| {}).unwrap();
    folder
}

fn open(folder: &Path) -> mtcool_data::Result<Refuge> {
    let config = RefugeConfig {
        crop: 32,
        side: 32,
        placement: CropPlacement::CENTRED,
        allows_copies: false,
        cache: folder.join(".cache"),
    };
    Refuge::open(folder, &config, &|_, _| {})
}

/// Every file below `folder` with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_drawn_set_is_complete_and_says_what_it_is() {
    let folder = draw(SMALL);
    let report = verify(folder.path(), &|_, _| {}).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.complete, [(12, 1), (11, 1), (6, 1)]);
    assert!(report.to_string().contains("(synthetic, seed 3)"), "{report}");

    let refuge = open(folder.path()).unwrap();
    assert_eq!(refuge.origin(), &Origin::Synthetic { seed: 3, generator: GENERATOR });
    for (index, case) in refuge.cases().iter().enumerate() {
        let share = |class: u8| refuge.classes(index).iter().filter(|&&found| found == class).count();
        // The whole disc lies in the middle of the crop.
        assert!(share(1) > 20 && share(2) > 0, "{}", case.name);
        let border = (0..32).flat_map(|n| [n, 31 * 32 + n, 32 * n, 32 * n + 31]);
        assert!(border.into_iter().all(|at| refuge.classes(index)[at] == 0), "{}", case.name);
        assert!(refuge.classes(index)[16 * 32 + 16] > 0, "{}", case.name);
    }
    let mask = image::open(folder.path().join("REFUGE-Validation400-GT/Disc_Cup_Masks/V0003.bmp")).unwrap().to_luma8();
    assert_eq!(mask.dimensions(), (120, 96));
    for value in [0, 128, 255] {
        assert!(mask.contains(&value));
    }
    assert!(mask.iter().all(|value| [0, 128, 255].contains(value)));
}

#[test]
fn a_set_follows_from_its_settings_for_any_number_of_threads() {
    let bytes = |threads: usize, config: RefugeSynthesis| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        contents(pool.install(|| draw(config)).path())
    };
    let first = bytes(1, SMALL);
    assert_eq!(first.len(), 2 * 29 + 3 + 1);
    assert!(first == bytes(3, SMALL));
    let other = bytes(2, RefugeSynthesis { seed: 4, ..SMALL });
    let same = |path: &PathBuf| first[path] == other[path];
    assert!(first.keys().filter(|path| path.extension().is_some_and(|e| e == "jpg")).all(|path| !same(path)));
    // No photograph occurs twice.
    let mut photographs: Vec<&Vec<u8>> =
        first.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "jpg")).map(|(_, bytes)| bytes).collect();
    let count = photographs.len();
    photographs.sort();
    photographs.dedup();
    assert_eq!((count, photographs.len()), (29, 29));
}

#[test]
fn official_sizes_are_drawn_unless_others_are_asked_for() {
    let folder = draw(RefugeSynthesis { train: 2, validation: 2, test: 2, size: DrawnSize::Shrunk(1), seed: 1 });
    for (path, part, size) in [
        ("Training400/Glaucoma/g0001.jpg", RefugePart::Train, (2124, 2056)),
        ("Annotation-Training400/Disc_Cup_Masks/Non-Glaucoma/n0001.bmp", RefugePart::Train, (2124, 2056)),
        ("REFUGE-Validation400/V0002.jpg", RefugePart::Validation, (1634, 1634)),
        ("Test400/T0001.jpg", RefugePart::Test, (1634, 1634)),
    ] {
        assert_eq!(image::image_dimensions(folder.path().join(path)).unwrap(), size);
        assert_eq!(part.official_size(), [size.1 as usize, size.0 as usize]);
    }
    let config = RefugeConfig {
        crop: 512,
        side: 128,
        placement: CropPlacement::CENTRED,
        allows_copies: false,
        cache: folder.path().join(".cache"),
    };
    let refuge = Refuge::open(folder.path(), &config, &|_, _| {}).unwrap();
    assert_eq!((refuge.side(), refuge.classes(0).len(), refuge.pixels(0).len()), (128, 128 * 128, 3 * 128 * 128));
}

#[test]
fn smaller_photographs_are_each_parts_official_ones_so_many_times_shorter() {
    let folder = draw(RefugeSynthesis { train: 2, validation: 2, test: 2, size: DrawnSize::Shrunk(16), seed: 1 });
    for (path, size) in [
        ("Training400/Glaucoma/g0001.jpg", (132, 128)),
        ("REFUGE-Validation400/V0002.jpg", (102, 102)),
        ("Test400/T0001.jpg", (102, 102)),
        ("REFUGE-Validation400-GT/Disc_Cup_Masks/V0001.bmp", (102, 102)),
    ] {
        assert_eq!(image::image_dimensions(folder.path().join(path)).unwrap(), size);
    }
    assert_eq!(verify(folder.path(), &|_, _| {}).unwrap().findings, []);
    // 512 pixels of the official photographs are 32 of these.
    let config = RefugeConfig {
        crop: 512,
        side: 16,
        placement: CropPlacement::CENTRED,
        allows_copies: false,
        cache: folder.path().join(".cache"),
    };
    let refuge = Refuge::open(folder.path(), &config, &|_, _| {}).unwrap();
    assert_eq!((refuge.crop(), refuge.side(), refuge.size(0), refuge.size(5)), (32, 16, [128, 132], [102, 102]));
}

#[test]
fn a_set_of_an_earlier_version_is_refused_with_what_to_do() {
    let folder = draw(SMALL);
    let manifest = folder.path().join("synthetic.json");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    text.as_object_mut().unwrap().remove("version");
    fs::write(&manifest, text.to_string()).unwrap();
    let drawn = SMALL.draw(folder.path(), &|_, _| {}).unwrap_err().to_string();
    for message in [drawn, open(folder.path()).unwrap_err().to_string()] {
        for part in ["synthetic.json", "version 2, got one of version 1", "delete the folder"] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }
}

#[test]
fn without_its_marker_a_drawn_set_is_not_taken_for_the_real_one() {
    let folder = draw(SMALL);
    open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("synthetic.json")).unwrap();
    let report = verify(folder.path(), &|_, _| {}).unwrap();
    let told = report.defects().filter(|finding| finding.problem == ProblemKind::Synthetic).count();
    assert_eq!(told, 29, "every photograph says that it was drawn");
    assert!(matches!(open(folder.path()), Err(Error::Defective(_))));
}

#[test]
fn a_drawn_photograph_among_real_ones_is_found_whatever_its_name() {
    let (real, drawn) = (tempfile::tempdir().unwrap(), draw(SMALL));
    let place = real.path().join("REFUGE-Validation400");
    fs::create_dir_all(&place).unwrap();
    fs::copy(drawn.path().join("Test400/T0003.jpg"), place.join("V0200.JPG")).unwrap();
    let report = verify(real.path(), &|_, _| {}).unwrap();
    let told: Vec<_> = report.defects().filter(|finding| finding.problem == ProblemKind::Synthetic).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].path, Path::new("REFUGE-Validation400/V0200.JPG"));
}

#[test]
fn a_changed_file_of_a_drawn_set_is_named() {
    let folder = draw(SMALL);
    let changed =
        ["Test400/T0002.jpg", "REFUGE-Test-GT/Disc_Cup_Masks/G", "REFUGE-Validation400-GT/Fovea_locations.xlsx"];
    let change = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    change(&folder.path().join(changed[0]));
    let mask = fs::read_dir(folder.path().join(changed[1])).unwrap().next().unwrap().unwrap().path();
    change(&mask);
    fs::write(folder.path().join("Training400/Glaucoma/g0002.jpg"), fs::read(folder.path().join(changed[0])).unwrap())
        .unwrap();
    change(&folder.path().join(changed[2]));
    let report = verify(folder.path(), &|_, _| {}).unwrap();
    let told: Vec<&Path> = report
        .defects()
        .filter(|finding| finding.problem == ProblemKind::Synthetic)
        .map(|finding| finding.path.as_path())
        .collect();
    let mask = mask.strip_prefix(folder.path()).unwrap();
    assert_eq!(told, [mask, Path::new(changed[2]), Path::new(changed[0])]);
    assert!(report.findings.iter().any(|finding| finding.problem == ProblemKind::Foreign), "{report}");
}

#[test]
fn drawing_goes_on_where_it_was_interrupted_and_replaces_nothing_else() {
    let folder = draw(SMALL);
    assert!(SMALL.is_drawn(folder.path()).unwrap());
    let whole = contents(folder.path());
    // An interrupted drawing leaves a manifest without files, and some photographs.
    let interrupt = || {
        let manifest = folder.path().join("synthetic.json");
        let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        text["files"] = serde_json::json!({});
        fs::write(&manifest, text.to_string()).unwrap();
        fs::remove_file(folder.path().join("Test400/T0001.jpg")).unwrap();
    };
    interrupt();
    assert!(!SMALL.is_drawn(folder.path()).unwrap());
    assert!(verify(folder.path(), &|_, _| {}).unwrap().defects().next().is_some());
    let kept = folder.path().join("Test400/T0002.jpg");
    let time = fs::metadata(&kept).unwrap().modified().unwrap();
    SMALL.draw(folder.path(), &|_, _| {}).unwrap();
    assert!(contents(folder.path()) == whole);
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), time, "what was drawn is kept");

    // Missing files of a whole set are drawn again.
    fs::remove_file(&kept).unwrap();
    assert!(!SMALL.is_drawn(folder.path()).unwrap());
    SMALL.draw(folder.path(), &|_, _| {}).unwrap();
    assert!(contents(folder.path()) == whole);

    // Other settings change nothing, neither in a whole set nor in an interrupted one.
    for other in [RefugeSynthesis { train: 5, ..SMALL }, RefugeSynthesis { test: 3, seed: 4, ..SMALL }] {
        let before = contents(folder.path());
        assert!(!other.is_drawn(folder.path()).unwrap());
        let message = other.draw(folder.path(), &|_, _| {}).unwrap_err().to_string();
        for part in ["12 + 11 + 6 synthetic photographs (seed 3", "delete the folder", "data.folder=DIR"] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
        assert!(contents(folder.path()) == before);
        SMALL.draw(folder.path(), &|_, _| {}).unwrap();
        interrupt();
    }

    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.txt"), b"the only copy").unwrap();
    let message = SMALL.draw(foreign.path(), &|_, _| {}).unwrap_err().to_string();
    assert!(message.contains("other files") && message.contains("another folder"), "{message}");
}

#[test]
fn settings_out_of_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (config, key) in [
        (RefugeSynthesis { train: 1, ..SMALL }, "train"),
        (RefugeSynthesis { test: 10_000, ..SMALL }, "test"),
        (RefugeSynthesis { size: DrawnSize::Fixed([96, 95]), ..SMALL }, "size"),
        (RefugeSynthesis { size: DrawnSize::Shrunk(0), ..SMALL }, "shrink"),
        (RefugeSynthesis { size: DrawnSize::Shrunk(18), ..SMALL }, "shrink"),
    ] {
        let message = config.draw(folder.path(), &|_, _| {}).unwrap_err().to_string();
        assert!(message.starts_with(&format!("`{key}` is")), "{message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
